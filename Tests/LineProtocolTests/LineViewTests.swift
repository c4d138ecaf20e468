// A line taken apart: where its parts are, and which shapes are refused.

import LineChatFuzzing
import Testing

@testable import LineProtocol

@Suite("Line view")
struct LineViewTests {
  /// The parts of a line as text: tags, source, verb's word, words until the end.
  private func parts(_ line: String) throws -> [String] {
    try withBytes(line) { bytes in
      var view = try LineView(bytes)
      func text(_ range: Range<Int>) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
      }
      var parts = [text(view.tags), text(view.source), text(view.verbWord)]
      while let word = view.word() { parts.append(String(decoding: word, as: UTF8.self)) }
      return parts
    }
  }

  @Test(
    "tags, source, verb and words are found",
    arguments: [
      ("QUIT", ["", "", "QUIT"]), ("MSG lobby hi there", ["", "", "MSG", "lobby", "hi", "there"]),
      ("@a=1;b=2 :alice@relay JOIN lobby", ["a=1;b=2", "alice@relay", "JOIN", "lobby"]),
      ("@a=1 JOIN lobby", ["a=1", "", "JOIN", "lobby"]),
      (":alice@relay JOIN lobby", ["", "alice@relay", "JOIN", "lobby"]),
      ("   QUIT   ", ["", "", "QUIT"]),
      ("  @a=1   :b@relay   MSG   x   y", ["a=1", "b@relay", "MSG", "x", "y"]),
      // Only the first two words can be tags and source.
      ("MSG @x :y", ["", "", "MSG", "@x", ":y"]),
      (":a@relay @b=1 MSG", ["", "a@relay", "@b=1", "MSG"]),
      ("frobnicate it", ["", "", "frobnicate", "it"]), ("MSG\tlobby", ["", "", "MSG\tlobby"]),
    ])
  func shapes(line: String, expected: [String]) throws {
    #expect(try parts(line) == expected)
  }

  @Test(
    "a line without a verb is refused",
    arguments: [
      "", " ", "     ", "@a=1", "@a=1 ", ":b@relay", ":b@relay  ", "@a=1 :b@relay", "@ QUIT",
      ": QUIT", "@a=1 : QUIT", "@", ":",
    ])
  func noVerb(line: String) throws {
    let refusal = try #require(refusal { try parts(line) })
    #expect(refusal.code == .badSyntax)
    #expect(refusal.verb == nil)
    #expect(isClean(refusal.text))
  }

  @Test("verbs are known in any case, others are not")
  func verbs() throws {
    #expect(try withBytes("mSg x") { try LineView($0).verb } == .msg)
    #expect(try withBytes("MSGX x") { try LineView($0).verb } == nil)
    #expect(try withBytes("@a=1 :b@relay pong") { try LineView($0).verb } == .pong)
  }

  @Test(
    "a text is what stands behind exactly one space, spaces kept",
    arguments: [
      ("MSG lobby hi", "hi"), ("MSG lobby  hi  there ", " hi  there "), ("MSG  lobby hi", "hi"),
      ("MSG lobby", ""), ("MSG lobby ", ""), ("MSG lobby  ", " "), ("MSG lobby :hi", ":hi"),
      ("MSG lobby \thi", "\thi"),
    ])
  func texts(line: String, text: String) throws {
    try withBytes(line) { bytes in
      var view = try LineView(bytes)
      #expect(view.word() != nil)
      #expect(String(decoding: view.text(), as: UTF8.self) == text)
      #expect(view.textIsBlank() == text.allSatisfy { $0 == " " || $0 == "\t" })
    }
  }

  @Test("behind the last word there is no other, however often one asks")
  func end() throws {
    try withBytes("QUIT now") { bytes in
      var view = try LineView(bytes)
      #expect(view.word()?.count == 3)
      for _ in 0..<3 {
        #expect(view.word() == nil)
        #expect(view.text().isEmpty)
        #expect(view.textIsBlank())
      }
    }
  }

  @Test("tags and source have 2,048 bytes, spaces included, and not one more")
  func prefixBound() throws {
    // "@a=" and a space are 4, ":b@relay " is 9.
    let tag = "@a=" + String(repeating: "v", count: 2_048 - 4)
    #expect(try parts(tag + " QUIT").last == "QUIT")
    #expect(refusal { try parts(tag + "v QUIT") }?.code == .lineTooLong)
    #expect(refusal { try parts(tag + "  QUIT") }?.code == .lineTooLong)
    let both = "@a=" + String(repeating: "v", count: 2_048 - 13) + " :b@relay "
    #expect(try parts(both + "QUIT").last == "QUIT")
    #expect(refusal { try parts(" " + both + "QUIT") }?.code == .lineTooLong)
    #expect(try parts(String(repeating: " ", count: 2_048) + "QUIT").last == "QUIT")
    #expect(
      refusal { try parts(String(repeating: " ", count: 2_049) + "QUIT") }?.code == .lineTooLong)
  }
}
