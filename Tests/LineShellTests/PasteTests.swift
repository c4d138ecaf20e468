// Pastes: between markers, in one piece, whatever is in them.

import TestSupport
import Testing

@testable import LineShell

@Suite("Pastes", .ownThread, .timeLimit(.minutes(20)))
struct PasteTests {
  @Test("five lines are one event, after they were looked at")
  func fiveLines() throws {
    let stage = try ShellStage()
    try stage.terminal.paste("one\ntwo\n\nfour\nfive\n")
    try stage.terminal.wait(for: "the paste") { $0.lines.contains("five") && $0.column == 0 }
    try stage.tell("print meanwhile")
    try stage.terminal.see("meanwhile")
    var screen = try stage.terminal.wait(for: "the paste below") {
      $0.lines.contains("five") && $0.column == 0
    }
    #expect(screen.transcript == ["ready", "meanwhile", "> one", "two", "", "four", "five", ""])
    try stage.terminal.send("\r")
    try stage.terminal.see("paste: one|two||four|five")
    screen = try stage.terminal.seeTyped("> ")
    #expect(screen.transcript == ["ready", "meanwhile", "paste: one|two||four|five", ">"])
  }

  @Test("one line is a line, and can be typed on")
  func oneLine() throws {
    let stage = try ShellStage()
    try stage.terminal.send("before ")
    try stage.terminal.paste("pasted")
    try stage.terminal.send(" behind\r")
    try stage.terminal.see("line: before pasted behind")
  }

  @Test("one that is higher than the screen is not drawn again for each line that arrives")
  func tall() throws {
    let stage = try ShellStage(rows: 10)
    try stage.terminal.paste((1...30).map { "row \($0)" }.joined(separator: "\n"))
    try stage.terminal.seeTyped("row 30")
    for number in 1...50 {
      try stage.tell("print \(number)")
      try stage.tell("bell")
      try stage.terminal.wait(for: "a bell") { $0.bells == number }
    }
    try stage.terminal.wait(for: "all lines") { $0.transcript.contains("50") }
    let screen = try stage.terminal.seeTyped("row 30")
    // Twice at first: as it was pasted, and with the first line. The machine may be slow.
    #expect(screen.transcript.filter { $0 == "row 1" || $0 == "> row 1" }.count < 10)
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.seeTyped("> ")
  }

  @Test("what does not belong into a line is replaced")
  func controls() throws {
    let stage = try ShellStage()
    try stage.terminal.paste("a\u{1B}[2Jb\u{07}c\u{9B}d\u{202E}e\tf")
    try stage.terminal.send("\r")
    let screen = try stage.terminal.see("line: a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d\u{FFFD}e      f")
    #expect(screen.bells == 0)
  }

  @Test("what is too much is cut, which is said")
  func tooMuch() throws {
    let stage = try ShellStage()
    let line = String(repeating: "0123456789", count: 7_000)
    try stage.terminal.paste(line)
    let excess = line.count - ShellLimits.pasteBytes
    try stage.terminal.wait(for: "that it was cut") { screen in
      screen.transcript.contains { $0 == "refused: pasteCut(bytes: \(excess))" }
    }
  }

  @Test("Ctrl-C in the middle of one drops the rest of it too")
  func interrupted() throws {
    let stage = try ShellStage()
    try stage.terminal.wait(for: "bracketed paste") { $0.marksPastes }
    try stage.terminal.send("typed \u{1B}[200~one\rtwo\rthr")
    try stage.terminal.seeTyped("> typed ")
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.see("interrupted: typed ".trimmed)
    try stage.terminal.send("ee\rfour\u{1B}[201~new\r")
    let screen = try stage.terminal.see("line: new")
    #expect(screen.lines.allSatisfy { !$0.contains("four") && !$0.contains("paste") })
  }

  @Test("one whose end does not come is given up, and keys work again")
  func endless() throws {
    let stage = try ShellStage()
    try stage.terminal.send("\u{1B}[200~no end")
    try stage.terminal.seeTyped("> no end")
    try stage.terminal.send("\r")
    try stage.terminal.see("line: no end")
  }

  @Test(
    "keys of all kinds, in any pieces",
    arguments: [
      ("plain", "plain"), ("\u{1B}[A\u{1B}OA", "\u{1B}[A\u{1B}OA"), ("größe 你 👍🏽", "größe 你 👍🏽"),
      ("a\u{9B}b\u{2028}c\u{FEFF}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}"),
      ("\u{1B}[200~a\r\nb\nc\rd\u{1B}[201~e", "\u{1B}[200~a\rb\rc\rd\u{1B}[201~e"),
      ("\u{1B}[200~\u{1B}[201\u{1B}[20\u{1B}\u{1B}[201~", "\u{1B}[200~�[201�[20�\u{1B}[201~"),
      ("\u{1B}[20\u{1B}[200~x\u{1B}[201~", "\u{1B}[20\u{1B}[200~x\u{1B}[201~"),
    ])
  func filter(input: String, expected: String) {
    for size in 1...input.utf8.count {
      #expect(Self.filtered(Array(input.utf8), size) == expected, "in pieces of \(size)")
    }
  }

  @Test(
    "bytes that are no UTF-8 become U+FFFD",
    arguments: [
      ([0xFF], "�"), ([0x41, 0x80, 0x42], "A�B"), ([0xC3, 0x41], "�A"), ([0xC3, 0xC3, 0xBC], "�ü"),
      ([0xC0, 0x80, 0x41], "��A"), ([0xED, 0xA0, 0x80], "�"), ([0xF4, 0x90, 0x80, 0x80], "�"),
      ([0xE4, 0xBD, 0x1B, 0x5B, 0x41], "�\u{1B}[A"), ([0xF5, 0x41], "�A"),
    ])
  func notUTF8(bytes: [UInt8], expected: String) {
    for size in 1...bytes.count {
      #expect(Self.filtered(bytes, size) == expected)
      #expect(String(validating: Self.keys(bytes, size), as: UTF8.self) == expected)
    }
  }

  private static func filtered(_ bytes: [UInt8], _ size: Int) -> String {
    String(decoding: keys(bytes, size), as: UTF8.self)
  }

  private static func keys(_ bytes: [UInt8], _ size: Int) -> [UInt8] {
    var filter = KeyFilter()
    var keys: [UInt8] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      filter.take(rest.prefix(size), into: &keys)
      rest = rest.dropFirst(size)
    }
    return keys
  }
}

extension String {
  /// As the screen has it, without blanks at the end.
  fileprivate var trimmed: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
