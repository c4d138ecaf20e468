// Where the cursor is when the terminal has got another width. Terminals do one of two things with
// rows that a long line was wrapped into: most of today's wrap it anew, some leave the rows as they
// are. Readline believes the latter, and so do we unless the terminal is known to be one of the first:
// guessing wrong in that direction leaves a piece of the old line above the new one, in the other it
// would wipe out lines of the conversation.

/// What a terminal does with wrapped rows when its width changes.
enum Rewrapping: Hashable {
  case wrapsAnew
  case keepsRows
  case unknown

  /// By what terminals write into the environment of the programs in them.
  static func of(_ environment: (String) -> String?) -> Rewrapping {
    let name = environment("TERM") ?? ""
    // GNU screen and the kernel's console tell by their names, xterm and rxvt by theirs.
    if name.hasPrefix("linux") || name.hasPrefix("rxvt") || name.hasPrefix("putty")
      || environment("STY") != nil
    {
      return .keepsRows
    }
    // A multiplexer is the terminal, whatever it runs in.
    let signs = [
      "TMUX", "VTE_VERSION", "KONSOLE_VERSION", "KITTY_WINDOW_ID", "ALACRITTY_WINDOW_ID",
      "WEZTERM_PANE", "WT_SESSION", "GHOSTTY_RESOURCES_DIR", "ITERM_SESSION_ID",
    ]
    let names = ["tmux", "xterm-kitty", "alacritty", "foot", "wezterm", "xterm-ghostty"]
    if signs.contains(where: { !(environment($0) ?? "").isEmpty })
      || names.contains(where: { name.hasPrefix($0) })
      || environment("TERM_PROGRAM") == "Apple_Terminal"
    {
      return .wrapsAnew
    }
    return environment("XTERM_VERSION") != nil ? .keepsRows : .unknown
  }

  /// How many rows the cursor stands below the first row of what is being typed, after the width
  /// went from `old` to `new`. `text` is the prompt, as it is seen, and the line up to the cursor.
  func rowsAbove(_ text: String, from old: Int, to new: Int) -> Int {
    switch self {
    case .wrapsAnew: typedRows(text, columns: new)
    case .keepsRows: typedRows(text, columns: old)
    case .unknown: min(typedRows(text, columns: old), typedRows(text, columns: new))
    }
  }
}

/// How many rows below its first one readline has the cursor behind `text`.
func typedRows(_ text: String, columns: Int) -> Int {
  var row = 0
  var column = 0
  for scalar in text.unicodeScalars {
    let width: Int
    switch scalar.value {
    case 0x0A:
      row += 1
      column = 0
      continue
    case 0x09: width = 8 - column % 8
    // Readline shows controls as ^X.
    case 0..<0x20, 0x7F: width = 2
    default: width = displayWidth(of: scalar)
    }
    if column + width > columns {
      row += 1
      column = 0
    }
    column += width
  }
  // Behind the last column, it stands in the next row already.
  return column >= columns ? row + 1 : row
}
