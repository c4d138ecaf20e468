// What happens at a terminal, for the shell on top: each is handed to the closure of `Terminal.run`.

/// Something that happened while the terminal's loop was waiting.
package enum TerminalEvent: Hashable, Sendable {
  /// A line was entered; it is no longer on the screen, and the line being typed is empty. It may
  /// hold controls that were typed on purpose, such as TAB.
  case line(String)
  /// Several lines were entered at once: they were pasted, looked at, and confirmed with one Enter.
  /// At least two; no empty ones at the end.
  case paste([String])
  /// Input that is no line; say so.
  case refused(RefusedInput)
  /// Ctrl-C: what was being typed is gone from the line (Ctrl-Y brings it back).
  case interrupted(discarded: String)
  /// Ctrl-D on an empty line, the end of standard input, or a terminal that has gone. Where
  /// `isFinal`, no more input will come.
  case ended(isFinal: Bool)
  /// SIGTERM or SIGHUP; without a terminal also SIGINT. Its number.
  case signalled(Int32)
  /// The terminal has another size.
  case resized
  /// The descriptor given to `run` is readable. It is for the shell to drain: this comes again at
  /// once, though behind what is typed, as long as it is readable.
  case woken
  /// The deadline has come.
  case due
  /// Standard output takes no more. It is told once.
  case outputFailed(reason: String)
}

/// Why input is no line.
package enum RefusedInput: Hashable, Sendable {
  /// A line of a pipe or file is longer than a line of the protocol may be. Its bytes; it was left
  /// out.
  case lineTooLong(bytes: Int)
  /// A line of a pipe or file is no UTF-8; it was left out. The text has U+FFFD for each fault.
  case notUTF8(String)
  /// So many bytes of a paste were too many; the line being typed has what came before them.
  case pasteCut(bytes: Int)
}
