// Styled text, rows, and lines out of pipes: without a terminal.

import LineProtocol
import Testing

@testable import LineShell

@Suite("Text to be shown")
struct TextTests {
  @Test(
    "rows",
    arguments: [
      ("", 10, 0, [""]), ("fits", 10, 4, ["fits"]), ("exactly 10", 10, 4, ["exactly 10"]),
      ("one two three", 7, 0, ["one two", "three"]),
      ("one two three", 8, 2, ["one two", "  three"]),
      ("one  two   three", 5, 0, ["one", "two", "three"]), ("a b c d", 3, 0, ["a b", "c d"]),
      // A word longer than a row is cut; one that would fit in the next row goes there.
      ("abcdefghij", 4, 0, ["abcd", "efgh", "ij"]),
      ("abcdefghij", 4, 2, ["abcd", "  ef", "  gh", "  ij"]),
      ("ab cdefgh", 6, 0, ["ab", "cdefgh"]), ("ab cdefghi", 6, 0, ["ab", "cdefgh", "i"]),
      ("ab cdefgh", 6, 3, ["ab cde", "   fgh"]),
      // Indents leave at least half of the row.
      ("abcdef", 4, 3, ["abcd", "ef"]),
      ("你好你好", 5, 0, ["你好", "你好"]), ("你 好 吗", 5, 1, ["你 好", " 吗"]),
      ("e\u{301}e\u{301}e\u{301}", 2, 0, ["e\u{301}e\u{301}", "e\u{301}"]),
      ("你", 1, 0, ["你"]), ("   leading", 6, 0, ["", "leadin", "g"]),
      ("trailing    ", 8, 0, ["trailing"]),
    ])
  func rows(text: String, columns: Int, indent: Int, expected: [String]) {
    #expect(StyledText(text).wrapped(to: columns, indent: indent).map(\.plain) == expected)
  }

  @Test("whatever the text, rows fit, and nothing but blanks is lost")
  func anyRows() {
    var random = SystemRandomNumberGenerator()
    let letters: [Character] = ["a", "b", " ", " ", "ü", "你", "e\u{301}", "👍"]
    for _ in 0..<2_000 {
      let text = String((0..<Int.random(in: 0...60)).map { _ in letters.randomElement() ?? " " })
      let columns = Int.random(in: 2...20, using: &random)
      let indent = Int.random(in: 0...10)
      let rows = StyledText(text).wrapped(to: columns, indent: indent).map(\.plain)
      #expect(
        rows.allSatisfy { displayWidth(of: $0) <= columns }, "\(text.debugDescription) \(columns)")
      #expect(rows.joined().filter { $0 != " " } == text.filter { $0 != " " })
    }
  }

  @Test("styles go on over the rows, and end with each")
  func styles() {
    let text = StyledText("12:00 ", .dim) + StyledText("one two", Style(.red, bold: true))
    #expect(
      text.wrapped(to: 9, indent: 2).map { $0.rendered(for: .terminal) } == [
        "\u{1B}[2m12:00 \u{1B}[0m\u{1B}[1;31mone\u{1B}[0m", "  \u{1B}[1;31mtwo\u{1B}[0m",
      ])
    #expect(text.rendered(for: .plain) == "12:00 one two")
    #expect(
      StyledText("x", Style(.palette(208), dim: true, underlined: true, reversed: true))
        .rendered(for: .readline)
        == "\u{1}\u{1B}[2;4;7;38;5;208m\u{2}x\u{1}\u{1B}[0m\u{2}")
  }

  @Test("what is shown holds no controls, and tabs reach to each eighth column")
  func shown() {
    let text: StyledText = "a\tb\u{1B}[0m\r\nc\u{202E}\\d"
    #expect(text.shown.plain == "a       b\\u{1b}[0m\\r\\nc\\u{202e}\\d")
    #expect((StyledText("你", .bold) + StyledText("\tx")).shown.plain == "你      x")
    #expect(text.width == text.shown.plain.count)
    var joined = StyledText("a", .bold)
    joined += StyledText("b", .bold)
    #expect(joined == StyledText("ab", .bold))
    #expect(escaped("a\\b\n") == "a\\\\b\\n")
    #expect(escaped("a\\b\n", doublesBackslash: false) == "a\\b\\n")
  }

  @Test("lines of a pipe")
  func pipedLines() {
    func pieces(_ bytes: [UInt8], _ size: Int) -> [LineSplitter.Piece] {
      var splitter = LineSplitter()
      var pieces: [LineSplitter.Piece] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        splitter.take(rest.prefix(size)) { pieces.append($0) }
        rest = rest.dropFirst(size)
      }
      splitter.end { pieces.append($0) }
      return pieces
    }
    let bytes = Array("one\r\n\ntwo\u{7}\n".utf8) + [0xFF, 0x0A] + Array("größe".utf8)
    for size in [1, 2, 5, 1_000] {
      #expect(
        pieces(bytes, size) == [
          .line("one"), .line(""), .line("two\u{7}"), .refused(.notUTF8("\u{FFFD}")),
          .line("größe"),
        ])
    }
    let long = Array(repeating: UInt8(0x61), count: WireLimits.lineBytes + 1) + [0x0A, 0x62, 0x0A]
    #expect(
      pieces(long, 1_000) == [.refused(.lineTooLong(bytes: WireLimits.lineBytes + 1)), .line("b")])
  }

  @Test("where the cursor is after the width changed")
  func typedRow() {
    #expect(typedRows("> ", columns: 20) == 0)
    #expect(typedRows(String(repeating: "x", count: 19), columns: 20) == 0)
    #expect(typedRows(String(repeating: "x", count: 20), columns: 20) == 1)
    #expect(typedRows(String(repeating: "x", count: 41), columns: 20) == 2)
    #expect(typedRows("> a\nb\n", columns: 20) == 2)
    #expect(typedRows("123你你", columns: 4) == 2)
    #expect(typedRows("a\tb", columns: 8) == 1)
    #expect(typedRows("\u{1B}\u{1B}", columns: 3) == 1)

    let text = String(repeating: "x", count: 50)
    #expect(Rewrapping.wrapsAnew.rowsAbove(text, from: 80, to: 20) == 2)
    #expect(Rewrapping.keepsRows.rowsAbove(text, from: 80, to: 20) == 0)
    #expect(Rewrapping.unknown.rowsAbove(text, from: 80, to: 20) == 0)
    #expect(Rewrapping.unknown.rowsAbove(text, from: 20, to: 80) == 0)
    #expect(Rewrapping.keepsRows.rowsAbove(text, from: 20, to: 80) == 2)
  }

  @Test(
    "terminals are known by what they leave in the environment",
    arguments: [
      (["TERM": "xterm-256color"], Rewrapping.unknown),
      (["TERM": "xterm-256color", "VTE_VERSION": "7200"], .wrapsAnew),
      (["TERM": "xterm", "XTERM_VERSION": "XTerm(379)"], .keepsRows),
      (["TERM": "tmux-256color", "XTERM_VERSION": "XTerm(379)"], .wrapsAnew),
      (["TERM": "screen", "TMUX": "/tmp/x"], .wrapsAnew),
      (["TERM": "screen", "STY": "1"], .keepsRows),
      (["TERM": "linux"], .keepsRows), (["TERM": "foot"], .wrapsAnew), ([:], .unknown),
    ])
  func terminals(environment: [String: String], expected: Rewrapping) {
    #expect(Rewrapping.of { environment[$0] } == expected)
  }
}
