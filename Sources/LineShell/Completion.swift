// What TAB asks and is answered: values, so that the shell's rules for it can be tested without a
// terminal.

/// The line when TAB was pressed. Words are parted by blanks and tabs alone: `127.0.0.1:5001` is one.
package struct CompletionRequest: Hashable, Sendable {
  /// What stands before the word; empty where the word begins the line.
  package var before: String
  /// The word up to the cursor.
  package var word: String
  /// What stands behind the cursor.
  package var after: String

  package init(before: String, word: String, after: String) {
    self.before = before
    self.word = word
    self.after = after
  }
}

/// What could stand in place of the word.
package struct Completion: Hashable, Sendable {
  /// In the order in which they are to be shown, the likeliest first. They should begin with the
  /// word, in whatever case.
  package var candidates: [String]
  /// What is set behind the word where there is only one candidate: a blank, or `: `.
  package var appended: String

  package init(_ candidates: [String], appending appended: String = " ") {
    self.candidates = candidates
    self.appended = appended
  }

  package static let none = Completion([])

  /// What takes the place of the word, and what is listed if that does not decide it; nil where there
  /// is nothing.
  func answer(to request: CompletionRequest) -> (replacement: String, list: [String])? {
    var seen = Set<String>()
    let different = candidates.filter { seen.insert($0).inserted }
    guard let first = different.first else { return nil }
    if different.count == 1 {
      // A blank that is there already needs no other.
      let isSpaced = request.after.first == " " && appended.last == " "
      return (first + (isSpaced ? String(appended.dropLast()) : appended), [])
    }
    let common = different.dropFirst().reduce(first) { Completion.commonStart($0, $1) }
    // What was typed is never shortened.
    return (common.count < request.word.count ? request.word : common, different)
  }

  /// As far as both are the same but for the case of letters, as the first one writes it.
  private static func commonStart(_ one: String, _ other: String) -> String {
    let count = zip(one, other).prefix { $0 == $1 || $0.lowercased() == $1.lowercased() }.count
    return String(one.prefix(count))
  }
}

/// Candidates in columns, read downwards, for a terminal of so many columns. At most `rowsMax` rows;
/// the last one says how many did not fit.
func listed(_ candidates: [String], columns: Int, rowsMax: Int) -> [StyledText] {
  let names = candidates.map { truncated(StyledText($0).shown.plain, to: columns) }
  let width = (names.map { displayWidth(of: $0) }.max() ?? 0) + 2
  let perRow = max(1, (columns + 2) / width)
  let rowsNeeded = (names.count + perRow - 1) / perRow
  let rows = max(1, min(rowsNeeded, rowsMax))
  let isCut = rowsNeeded > rows
  let shownRows = isCut ? max(1, rows - 1) : rows
  let shown = isCut ? Array(names.prefix(shownRows * perRow)) : names
  var lines = (0..<shownRows).map { row in
    var line = ""
    for (column, at) in stride(from: row, to: shown.count, by: shownRows).enumerated() {
      let blanks = column * width - displayWidth(of: line)
      line += String(repeating: " ", count: max(0, blanks)) + shown[at]
    }
    return StyledText(line)
  }
  if isCut { lines.append(StyledText("… and \(names.count - shown.count) more", .dim)) }
  return lines
}
