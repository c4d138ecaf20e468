// Lines cut to the width of the terminal: between words where that can be done, and with the rows
// after the first set in, so that one sees at a glance where a message begins.

extension StyledText {
  /// The rows that this makes in `columns`, each without trailing blanks. The second and all further
  /// ones begin with `indent` blanks, or with none where that would leave less than half of the row,
  /// or no room for a wide character.
  /// Nothing is lost but the blanks at which a row was cut. At least one row; call it on what is
  /// `shown`.
  package func wrapped(to columns: Int, indent: Int = 0) -> [StyledText] {
    guard columns > 0, width > columns else { return [self] }
    let indent = indent * 2 <= columns && indent + 2 <= columns ? indent : 0
    var wrapping = Wrapping(columns: columns, indent: indent)
    for span in spans {
      for character in span.text { wrapping.take(character, span.style) }
    }
    return wrapping.finish()
  }

  /// As much of it as fits in `columns`, the last of them `…` if something had to go.
  package func truncated(to columns: Int) -> StyledText {
    guard width > columns else { return self }
    var result = StyledText()
    var left = columns
    for span in spans {
      let width = displayWidth(of: span.text)
      // What stands behind needs at least the column of the dots.
      guard width < left else {
        result.append(LineShell.truncated(span.text + " ", to: left), span.style)
        break
      }
      result.append(span.text, span.style)
      left -= width
    }
    return result
  }
}

/// The rows under way.
private struct Wrapping {
  private struct Cell {
    let character: Character
    let style: Style
    let width: Int
  }

  private let columns: Int
  private let indent: Int
  private var rows: [StyledText] = []
  /// The row being filled, and how many columns of it are taken.
  private var row: [Cell] = []
  private var width = 0
  /// Where the latest word in `row` begins, behind its blanks; nil where the row is one word.
  private var wordStart: Int?

  init(columns: Int, indent: Int) {
    self.columns = columns
    self.indent = indent
  }

  mutating func take(_ character: Character, _ style: Style) {
    let cell = Cell(character: character, style: style, width: displayWidth(of: character))
    if character == " " {
      // At the right edge the cut takes it away, at the left edge it must not stand.
      if width + 1 > columns { return breakRow(carrying: row.endIndex) }
      if row.isEmpty, !rows.isEmpty { return }
      add(cell)
      wordStart = row.endIndex
      return
    }
    if width + cell.width > columns, !row.isEmpty { breakRow(carrying: carryStart(with: cell)) }
    add(cell)
  }

  /// Where the next row is to begin: with the word that does not fit any more, if it does there; else
  /// the word is cut.
  private func carryStart(with cell: Cell) -> Int {
    guard let wordStart else { return row.endIndex }
    let word = row[wordStart...].reduce(0) { $0 + $1.width }
    return indent + word + cell.width <= columns ? wordStart : row.endIndex
  }

  mutating func finish() -> [StyledText] {
    if !row.isEmpty || rows.isEmpty { breakRow(carrying: row.endIndex) }
    return rows
  }

  private mutating func add(_ cell: Cell) {
    row.append(cell)
    width += cell.width
  }

  /// Ends the row before the cell at `start`; what stands there and behind begins the next one.
  private mutating func breakRow(carrying start: Int) {
    let carried = Array(row[start...])
    var kept = row[..<start]
    while kept.last?.character == " " { kept.removeLast() }
    var text = StyledText(String(repeating: " ", count: rows.isEmpty ? 0 : indent))
    for cell in kept { text.append(String(cell.character), cell.style) }
    rows.append(text)
    row = carried
    width = indent + carried.reduce(0) { $0 + $1.width }
    wordStart = nil
  }
}
