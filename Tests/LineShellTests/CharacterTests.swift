// Characters of more than one byte, or of more or less than one column, typed and edited.

import Glibc
import TestSupport
import Testing

@testable import LineShell

@Suite("Characters", .ownThread, .timeLimit(.minutes(20)))
struct CharacterTests {
  @Test(
    "editing goes by characters",
    arguments: [
      // An umlaut is one key to delete, and one column.
      ("größe", 7, Key.backspace * 3, "gr", 4),
      ("größe", 7, Key.left * 3 + "X", "grXöße", 5),
      // Chinese and emoji take two columns each.
      ("你好", 6, Key.backspace, "你", 4),
      ("a你b", 6, Key.left * 2 + "X", "aX你b", 4),
      ("x👍y", 6, Key.left + Key.backspace, "xy", 3),
      // An accent of its own takes none, and goes with its letter.
      ("e\u{301}x", 4, Key.left * 2 + "Z", "Ze\u{301}x", 3),
    ])
  func editing(typed: String, width: Int, keys: String, result: String, column: Int) throws {
    let stage = try ShellStage()
    try stage.terminal.send(typed)
    try stage.terminal.seeTyped("> \(typed)", column: width)
    try stage.tell("print between")
    try stage.terminal.see("between")
    try stage.terminal.seeTyped("> \(typed)", column: width)
    try stage.terminal.send(keys)
    try stage.terminal.seeTyped("> \(result)", column: column)
    try stage.terminal.send("\r")
    try stage.terminal.see("line: \(result)")
  }

  @Test(
    "so it does where the environment has no UTF-8",
    arguments: [
      ["LC_ALL": nil, "LC_CTYPE": nil, "LANG": nil], ["LC_ALL": "C"],
      ["LC_ALL": nil, "LANG": "POSIX"], ["LC_ALL": "xx_XX.ISO-8859-1"],
      ["LC_ALL": "", "LC_CTYPE": "C"],
    ])
  func withoutLocale(environment: [String: String?]) throws {
    let stage = try ShellStage(environment: environment)
    try stage.terminal.send("grüße你" + Key.backspace * 2)
    try stage.terminal.seeTyped("> grüß")
    try stage.terminal.send("\r")
    try stage.terminal.see("line: grüß")
    // It stays so for the lines that follow.
    try stage.terminal.send("ü" + Key.left)
    try stage.terminal.seeTyped("> ü", column: 2)
  }

  @Test("a wide character does not fit into the last column")
  func wideAtTheEdge() throws {
    let stage = try ShellStage(columns: 20)
    try stage.terminal.send("1234567890123456789".dropLast(2) + "你好")
    func isThere(_ screen: Screen) -> Bool {
      screen.lines.contains("> 12345678901234567") && screen.cursorLine == "你好"
        && screen.column == 4
    }
    try stage.terminal.wait(for: "the second row", isThere)
    try stage.tell("print between")
    try stage.terminal.see("between")
    let screen = try stage.terminal.wait(for: "the second row", isThere)
    #expect(screen.transcript == ["ready", "between", "> 12345678901234567", "你好"])
  }

  @Test("bytes that are no UTF-8 are seen, and do no harm")
  func notUTF8() throws {
    let stage = try ShellStage()
    try stage.terminal.send([0x61, 0xFF, 0x62, 0xC3, 0x28, 0x9B, 0x32, 0x4A])
    try stage.terminal.seeTyped("> a\u{FFFD}b\u{FFFD}(\u{FFFD}2J")
    // A character may come in pieces.
    try stage.terminal.send([0xE4])
    try stage.tell("print between")
    try stage.terminal.see("between")
    try stage.terminal.send([0xBD, 0xA0, 0x0D])
    let screen = try stage.terminal.see("line: a\u{FFFD}b\u{FFFD}(\u{FFFD}2J你")
    #expect(screen.bells == 0)
  }

  @Test("a control that is typed on purpose is shown as ^X, and reported")
  func quotedControl() throws {
    let stage = try ShellStage()
    try stage.terminal.send("a" + Key.control("V") + "\u{1B}" + "b")
    try stage.terminal.seeTyped("> a^[b")
    try stage.terminal.send("\r")
    try stage.terminal.see("line: a\\u{1b}b")
  }

  @Test(
    "width",
    arguments: [
      ("", 0), ("plain ASCII", 11), ("größe", 5), ("gro\u{308}ße", 5), ("你好", 4), ("한글", 4),
      ("\u{1112}\u{1161}\u{11AB}", 2), ("ﾊﾟ", 2), ("１２", 4), ("👍", 2), ("👍🏽", 4), ("❤\u{FE0F}", 1),
      ("a\u{200B}b\u{200D}", 2), ("\u{AD}", 1), ("עברית", 5), ("ไทย", 3), ("กำ", 2), ("नि", 2),
      ("☰", 2), ("𠀀", 2), ("🫠", 2), ("\u{10FFFF}", 1), ("\u{E000}", 1), ("─", 1), ("…", 1),
    ])
  func width(text: String, expected: Int) { #expect(displayWidth(of: text) == expected) }

  @Test("the table is in order, and says what the C library says")
  func table() throws {
    // Between two versions of Unicode a few symbols change their width (133 from 14 to 17).
    var differences: [String] = []
    for (value, theirs) in try widthsOfLibrary(upTo: 0x40000).enumerated().dropFirst(0x20) {
      guard let theirs, let scalar = Unicode.Scalar(UInt32(value)) else { continue }
      let ours = displayWidth(of: scalar)
      if ours != theirs { differences.append("\(String(value, radix: 16)): \(ours), \(theirs)") }
    }
    #expect(differences.count < 150, "\(differences.count): \(differences.prefix(400))")
  }

  @Test("text is cut between characters")
  func truncation() {
    #expect(truncated("hello", to: 5) == "hello")
    #expect(truncated("hello", to: 4) == "hel…")
    #expect(truncated("你好吗", to: 5) == "你好…")
    #expect(truncated("你好吗", to: 4) == "你…")
    #expect(truncated("e\u{301}e\u{301}e\u{301}", to: 2) == "e\u{301}…")
    #expect(truncated("hello", to: 1) == "…")
    #expect(truncated("hello", to: 0) == "")
    let styled = StyledText("ab", .bold) + StyledText("cd")
    #expect(styled.truncated(to: 4) == styled)
    #expect(styled.truncated(to: 3).spans.map(\.text) == ["ab", "…"])
    #expect(styled.truncated(to: 2).spans.map(\.text) == ["a…"])
  }
}

/// The C library's own idea of widths, in a locale with UTF-8; nil where it knows none. (Swift does
/// not see wcwidth.)
private func widthsOfLibrary(upTo end: UInt32) throws -> [Int?] {
  let symbol = try #require(dlsym(nil, "wcwidth"))
  let wcwidth = unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)
  let locale = try #require(newlocale(LC_CTYPE_MASK, "C.UTF-8", nil))
  let before = uselocale(locale)
  defer {
    uselocale(before)
    freelocale(locale)
  }
  return (0..<end).map { value in
    let width = wcwidth(Int32(value))
    return width < 0 ? nil : Int(width)
  }
}
