// A terminal's screen as a value: bytes go in, and what a person would see can be asked for, cursor
// and all. It knows as much of a VT100 and xterm as programs that edit lines use; of anything else
// it makes a failure (`unknown`), so that no test passes on a picture that is wrong.

/// What is on the screen.
package struct Screen {
  /// A column. A wide character has the first of its two; the second has an empty text.
  private struct Cell {
    var text = " "
    var attributes: Set<Int> = []
  }

  private struct Row {
    var cells: [Cell]
    /// The text went on in the next row by itself, without a line end.
    var isWrapped = false

    init(_ columns: Int) { cells = Array(repeating: Cell(), count: columns) }
  }

  private enum State {
    case ground
    case escape
    case charset
    case sequence(String)
    case title(String)
  }

  package private(set) var columns: Int
  package private(set) var height: Int
  /// Where the cursor stands; both count from 0.
  package private(set) var row = 0
  package private(set) var column = 0
  /// The rows that went off at the top, oldest first.
  package private(set) var scrolledOff: [String] = []
  package private(set) var bells = 0
  /// The program has asked for pastes between markers.
  package private(set) var marksPastes = false
  /// What the window is to be called, with the number of the sequence before it.
  package private(set) var title = ""
  /// Sequences that this does not know.
  package private(set) var unknown: [String] = []

  private var rows: [Row]
  private var state = State.ground
  /// The last column was written: the next character goes to the next row.
  private var isAtEdge = false
  private var attributes: Set<Int> = []
  private var character: [UInt8] = []

  package init(columns: Int = 80, rows: Int = 24) {
    self.columns = columns
    height = rows
    self.rows = Array(repeating: Row(columns), count: rows)
  }

  /// The rows from the top, without blanks at their ends.
  package var lines: [String] { rows.map { Screen.text($0) } }

  /// All that was ever seen and not erased: what scrolled off, then the screen down to the cursor.
  package var transcript: [String] { scrolledOff + lines[...row] }

  /// The row of the cursor.
  package var cursorLine: String { lines[row] }

  /// The attributes (numbers of SGR) of the column at which `text` begins, in the lowest row that has
  /// it.
  package func attributes(of text: String) -> Set<Int>? {
    for row in rows.reversed() {
      let cells = row.cells
      for start in cells.indices where Screen.text(cells[start...]).hasPrefix(text) {
        return cells[start].attributes
      }
    }
    return nil
  }

  private static func text(_ row: Row) -> String { text(row.cells[...]) }

  private static func text(_ cells: ArraySlice<Cell>) -> String {
    var text = cells.map(\.text).joined()
    while text.last == " " { text.removeLast() }
    return text
  }
}

// What comes in.
extension Screen {
  package mutating func show(_ bytes: some Sequence<UInt8>) {
    for byte in bytes {
      if byte >= 0x80 || !character.isEmpty {
        character.append(byte)
        let length =
          character[0] < 0xE0 ? 2 : character[0] < 0xF0 ? 3 : character[0] < 0xF8 ? 4 : 1
        guard character.count >= length || byte < 0x80 else { continue }
        let text = String(decoding: character, as: UTF8.self)
        character = []
        for scalar in text.unicodeScalars { take(scalar) }
      } else {
        take(Unicode.Scalar(byte))
      }
    }
  }

  private mutating func take(_ scalar: Unicode.Scalar) {
    switch state {
    case .ground:
      if scalar.value < 0x20 || scalar.value == 0x7F { control(scalar.value) } else { put(scalar) }
    case .escape:
      state = .ground
      escape(scalar)
    case .charset: state = .ground
    case .sequence(let text):
      if (0x40...0x7E).contains(scalar.value) {
        state = .ground
        sequence(text, scalar)
      } else {
        state = .sequence(text + String(scalar))
      }
    case .title(let text):
      if scalar.value == 7 {
        title = text
        state = .ground
      } else {
        state = .title(text + String(scalar))
      }
    }
  }

  private mutating func control(_ value: UInt32) {
    switch value {
    case 0x07: bells += 1
    case 0x08: moveTo(row, column - 1)
    case 0x09: moveTo(row, (column / 8 + 1) * 8)
    case 0x0A: feedLine()
    case 0x0D: moveTo(row, 0)
    case 0x1B: state = .escape
    default: unknown.append("control \(value)")
    }
  }

  private mutating func escape(_ scalar: Unicode.Scalar) {
    switch scalar {
    case "[": state = .sequence("")
    case "]": state = .title("")
    case "(", ")": state = .charset
    case "=", ">": break
    case "M":
      if row > 0 { moveTo(row - 1, column) } else { insertRows(1) }
    default: unknown.append("ESC \(scalar)")
    }
  }

  private mutating func sequence(_ text: String, _ final: Unicode.Scalar) {
    let isPrivate = text.hasPrefix("?")
    let numbers = (isPrivate ? text.dropFirst() : text[...])
      .split(separator: ";", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    let first = numbers.first ?? 0
    let count = max(1, first)
    switch final {
    case "A": moveTo(row - count, column)
    case "B": moveTo(row + count, column)
    case "C": moveTo(row, column + count)
    case "D": moveTo(row, column - count)
    case "G": moveTo(row, count - 1)
    case "d": moveTo(count - 1, column)
    case "H": moveTo(count - 1, max(1, numbers.count > 1 ? numbers[1] : 1) - 1)
    case "J": eraseScreen(first)
    case "K": eraseRow(first)
    case "P": deleteCells(count)
    case "@": insertCells(count)
    case "X": for at in column..<min(columns, column + count) { rows[row].cells[at] = Cell() }
    case "L": insertRows(count)
    case "m": select(numbers)
    case "h", "l":
      if isPrivate && first == 2004 { marksPastes = final == "h" }
    default: unknown.append("ESC [ \(text)\(final)")
    }
  }

  private mutating func select(_ numbers: [Int]) {
    for number in numbers {
      if number == 0 { attributes = [] } else { attributes.insert(number) }
    }
  }
}

// What changes on the screen.
extension Screen {
  private mutating func put(_ scalar: Unicode.Scalar) {
    let width = Screen.width(of: scalar)
    if width == 0 {
      // It belongs to the character before it.
      var at = isAtEdge ? columns - 1 : column - 1
      while at > 0, rows[row].cells[at].text.isEmpty { at -= 1 }
      if at >= 0 { rows[row].cells[at].text.unicodeScalars.append(scalar) }
      return
    }
    if isAtEdge || column + width > columns {
      rows[row].isWrapped = true
      feedLine()
      column = 0
    }
    isAtEdge = false
    rows[row].cells[column] = Cell(text: String(scalar), attributes: attributes)
    if width == 2 { rows[row].cells[column + 1] = Cell(text: "", attributes: attributes) }
    column += width
    if column >= columns {
      column = columns - 1
      isAtEdge = true
    }
  }

  private mutating func moveTo(_ newRow: Int, _ newColumn: Int) {
    row = min(max(0, newRow), height - 1)
    column = min(max(0, newColumn), columns - 1)
    isAtEdge = false
  }

  private mutating func feedLine() {
    isAtEdge = false
    guard row == height - 1 else {
      row += 1
      return
    }
    scrolledOff.append(Screen.text(rows.removeFirst()))
    rows.append(Row(columns))
  }

  private mutating func insertRows(_ count: Int) {
    for _ in 0..<min(count, height - row) {
      rows.insert(Row(columns), at: row)
      rows.removeLast()
    }
  }

  private mutating func eraseScreen(_ part: Int) {
    eraseRow(part)
    let whole = part == 2 ? 0..<height : part == 1 ? 0..<row : row + 1..<height
    for at in whole where part != 0 || at > row { rows[at] = Row(columns) }
  }

  private mutating func eraseRow(_ part: Int) {
    let range = part == 2 ? 0..<columns : part == 1 ? 0..<column + 1 : column..<columns
    for at in range { rows[row].cells[at] = Cell() }
    if part != 1 { rows[row].isWrapped = false }
    isAtEdge = false
  }

  private mutating func deleteCells(_ count: Int) {
    let count = min(count, columns - column)
    rows[row].cells.removeSubrange(column..<column + count)
    rows[row].cells += Array(repeating: Cell(), count: count)
    isAtEdge = false
  }

  private mutating func insertCells(_ count: Int) {
    let count = min(count, columns - column)
    rows[row].cells.insert(contentsOf: Array(repeating: Cell(), count: count), at: column)
    rows[row].cells.removeLast(count)
    isAtEdge = false
  }

  /// Gives it another size. Some terminals leave their rows as they are and cut them off, others
  /// `rewrap` what was wrapped; the cursor stays at its character.
  package mutating func resize(columns newColumns: Int, rows newHeight: Int, rewraps: Bool) {
    if rewraps && newColumns != columns {
      rewrap(newColumns)
    } else {
      for at in rows.indices {
        let missing = newColumns - rows[at].cells.count
        if missing < 0 { rows[at].cells.removeLast(-missing) }
        if missing > 0 { rows[at].cells += Array(repeating: Cell(), count: missing) }
      }
      column = min(column, newColumns - 1)
    }
    columns = newColumns
    isAtEdge = false
    while rows.count > newHeight, row < rows.count - 1 { rows.removeLast() }
    while rows.count > newHeight {
      scrolledOff.append(Screen.text(rows.removeFirst()))
      row -= 1
    }
    while rows.count < newHeight { rows.append(Row(columns)) }
    height = newHeight
  }

  private mutating func rewrap(_ newColumns: Int) {
    var new: [Row] = []
    var newRow = 0
    var newColumn = 0
    var at = 0
    let last = max(row, rows.lastIndex { !Screen.text($0).isEmpty } ?? 0)
    while at <= last {
      // One line of text: the rows that it was wrapped into, and where the cursor is in it.
      var cells: [Cell] = []
      var cursor: Int?
      while true {
        if at == row { cursor = cells.count + column }
        cells += rows[at].cells
        at += 1
        if !rows[at - 1].isWrapped || at > last { break }
      }
      var length = cells.count
      while length > 0, cells[length - 1].text == " ", length > (cursor ?? 0) { length -= 1 }
      var start = 0
      repeat {
        var row = Row(newColumns)
        let end = min(start + newColumns, length)
        for index in start..<end { row.cells[index - start] = cells[index] }
        row.isWrapped = end < length
        if let cursor, cursor >= start, cursor < start + newColumns {
          newRow = new.count
          newColumn = cursor - start
        }
        new.append(row)
        start = end
      } while start < length
    }
    rows = new
    row = newRow
    column = newColumn
  }

  /// Not the program's own table: what tests use, written down here.
  private static func width(of scalar: Unicode.Scalar) -> Int {
    switch scalar.value {
    case 0x300...0x36F, 0x200B...0x200D, 0xFE00...0xFE0F: 0
    case 0x3000...0x303E, 0x3041...0x30FF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0xFF01...0xFF60,
      0x1F300...0x1F64F, 0x1F900...0x1F9FF:
      2
    default: 1
    }
  }
}
