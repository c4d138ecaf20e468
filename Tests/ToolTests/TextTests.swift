// What the commands do with text, without running them.

import LineChatCore
import LineProtocol
import LineTools
import Testing

@Suite("text of any kind", .ownThread, .timeLimit(.minutes(20)))
struct TextTests {
  @Test("is made fit to be sent, and what was replaced is counted")
  func fit() throws {
    func fit(_ text: String) -> FitText { FitText(text.utf8) }
    #expect(fit("disk is full").text == "disk is full")
    #expect(fit("tab\tstays, and  blanks").text == "tab\tstays, and  blanks")
    #expect(fit("\u{1B}[31mred\u{7F}").text == "\u{FFFD}[31mred\u{FFFD}")
    #expect(fit("\u{1B}[31mred\u{7F}").replaced == 2)
    #expect(fit("a\r\nb\nc\rd\n\n").text == "a b c d")
    #expect(fit("a\r\nb\nc\rd\n\n").breaks == 3)
    #expect(fit("the end \n").breaks == 0)
    #expect(fit("\u{2028}\u{202E}\u{2066}").replaced == 3)
    #expect(fit(" \t\r\n").isBlank)
    #expect(FitText([0x63, 0xE9, 0x21]).text == "c\u{FFFD}!")
    #expect(FitText([0xFF, 0xFE]).replaced == 2)
    // An honest replacement character is no fault.
    #expect(fit("\u{FFFD}").replaced == 0)
  }

  @Test("can be sent whatever it was")
  func anything() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
        Bool.random() ? UInt8.random(in: 0...255) : UInt8.random(in: 0x20...0x7E)
      }
      let fit = FitText(bytes)
      guard !fit.isBlank else { continue }
      let lobby = try #require(GroupName("lobby"))
      #expect(throws: Never.self, "\(bytes)") { try Message(content: .msg(lobby, fit.text)) }
    }
  }

  @Test("is cut between characters")
  func cut() {
    #expect(FitText.cut("häuser", toBytes: 2) == "h")
    #expect(FitText.cut("häuser", toBytes: 3) == "hä")
    #expect(FitText.cut("häuser", toBytes: 7) == "häuser")
    #expect(FitText.cut("👨‍👩‍👧", toBytes: 10) == "")
  }

  @Test("comes in lines, however it is cut into pieces")
  func lines() {
    for size in 1...9 {
      var lines = InputLines(bytesMax: 5)
      var found: [InputLines.Line] = []
      let bytes = Array("one\r\n\n123456789\nlast".utf8)
      for start in stride(from: 0, to: bytes.count, by: size) {
        found += lines.take(bytes[start..<min(start + size, bytes.count)])
      }
      if let last = lines.finish() { found.append(last) }
      #expect(
        found.map { String(decoding: $0.bytes, as: UTF8.self) } == ["one", "", "12345", "last"])
      #expect(found.map(\.isCut) == [false, false, true, false])
      #expect(lines.finish() == nil)
    }
  }

  @Test("is one line of JSON, and nothing in it speaks to a terminal")
  func json() {
    let value = JSONValue.object([
      "text": .text("a\n\"b\"\\\u{1B}\u{2028}ä👍"), "none": nil, "n": .number(-3),
      "list": .list([.flag(true), .null, .object([:])]),
    ])
    #expect(
      "\(value)"
        == #"{"text":"a\n\"b\"\\\u001b\u2028ä👍","n":-3,"list":[true,null,{}]}"#)
  }

  @Test(
    "with a dash in front is text, unless it might be an option",
    arguments: [
      ("send --group g -5 degrees", "send --group g -- -5 degrees"),
      ("send --group g -- -x", "send --group g -- -x"),
      ("send --group g --bogus", "send --group g --bogus"),
      ("send -h", "send -h"),
      ("send --group g ---", "send --group g -- ---"),
      ("send --group g hi - there", "send --group g hi -- - there"),
      ("send --group g hi", "send --group g hi"),
      ("send --server=[::1]:1 -°", "send --server=[::1]:1 -- -°"),
    ])
  func dashes(given: String, marked: String) {
    let words = given.split(separator: " ").map { String($0) }
    #expect(DashedText.marked(words) == marked.split(separator: " ").map { String($0) })
    #expect(DashedText.marked(["send", "-x y"]) == ["send", "--", "-x y"])
    #expect(DashedText.marked(["send", "--name=x y"]) == ["send", "--name=x y"])
  }
}

@Suite("moments of the past", .ownThread, .timeLimit(.minutes(20)))
struct PastMomentTests {
  private static let now = Timestamp.microseconds("2026-11-22T12:00:00.000000Z") ?? 0

  /// An hour east of UTC.
  private func read(_ text: String) -> String? {
    PastMoment.parse(text, now: Self.now) { _ in 3_600 }.map { Timestamp.text($0) }
  }

  @Test(
    "are read as people write them",
    arguments: [
      ("2h", "2026-11-22T10:00:00.000000Z"), ("90m", "2026-11-22T10:30:00.000000Z"),
      ("1d", "2026-11-21T12:00:00.000000Z"), ("10s", "2026-11-22T11:59:50.000000Z"),
      ("2026-11-20", "2026-11-19T23:00:00.000000Z"),
      ("2026-11-20 09:30", "2026-11-20T08:30:00.000000Z"),
      ("2026-11-20T09:30:15", "2026-11-20T08:30:15.000000Z"),
      ("2026-11-20T09:30:15Z", "2026-11-20T09:30:15.000000Z"),
      ("2026-11-20T09:30:15.25+02:00", "2026-11-20T07:30:15.250000Z"),
      ("2026-11-20T09:30-0530", "2026-11-20T15:00:00.000000Z"),
      ("2026-11-20T09:30:15.000001Z", "2026-11-20T09:30:15.000001Z"),
    ])
  func good(text: String, moment: String) { #expect(read(text) == moment) }

  @Test(
    "or refused",
    arguments: [
      "", "h", "-2h", "2x", "2026", "9999999999d", "99999999999999999999h", "2026-13-01",
      "2026-11-31", "2026-11-20T25:00", "2026-11-20T09:30:15+99:00", "2026-11-20T", "yesterday",
      "2026-11-20 09:30 Z", "2026-11-20T09:30:15.Z", "2026-11-20x",
    ])
  func bad(text: String) { #expect(read(text) == nil) }
}

@Suite("what is said of a command", .ownThread, .timeLimit(.minutes(20)))
struct RunReportTests {
  @Test("is how it ended, after what time, and its last lines")
  func report() {
    func first(_ end: RunReport.End, _ seconds: Double) -> String? {
      RunReport.lines(["make", "test"], end, microseconds: Int64(seconds * 1e6), last: []).first
    }
    #expect(first(.exited(0), 0.34) == "make test: done after 0.3 s")
    #expect(first(.exited(2), 42) == "make test: failed with 2 after 42 s")
    #expect(first(.exited(1), 192) == "make test: failed with 1 after 3 min 12 s")
    #expect(
      first(.killed(15, signal: "SIGTERM"), 7_500)
        == "make test: ended by SIGTERM (143) after 2 h 5 min")
    #expect(
      first(.notStarted("No such file or directory", isMissing: true), 0)
        == "make test: could not be started: No such file or directory")
  }

  @Test("is short, and fit to be sent")
  func bounds() throws {
    let long = String(repeating: "ä", count: 5_000)
    let lines = RunReport.lines(
      ["sh", "-c", "a\nb\u{1B}" + long], .exited(0), microseconds: 0,
      last: [Array(long.utf8), [0xFF, 0x1B]])
    #expect(lines.count == 3)
    #expect(lines[0].hasPrefix(#"sh -c a\nb\u{1b}ää"#))
    #expect(lines[0].hasSuffix("ä…: done after 0.0 s"))
    #expect(lines[2] == "| \u{FFFD}\\u{1b}")
    for line in lines { #expect(line.utf8.count < 500) }
  }

  @Test("of its output, the lines that ended last, of both streams")
  func lastLines() {
    var last = LastLines(3, streams: 2, bytesMax: 4)
    last.take(Array("one\ntwo\n\n  \nth".utf8), from: 0)
    last.take(Array("error\n".utf8), from: 1)
    last.take(Array("ree\n10%\r20%\r".utf8), from: 0)
    last.take(Array("open".utf8), from: 1)
    #expect(
      last.finish().map { String(decoding: $0, as: UTF8.self) } == ["10%", "20%", "open"])
    var none = LastLines(0, streams: 1)
    none.take(Array("x\n".utf8), from: 0)
    #expect(none.finish() == [])
  }
}
