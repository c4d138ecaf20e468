// What text may hold. The check in the reader is compared with the standard library's decoder and
// the list of characters in the protocol's document.

import LineChatFuzzing
import Testing

@testable import LineProtocol

@Suite("Text")
struct TextTests {
  /// What the standard library and the list of refused characters say.
  private func isFine(_ bytes: [UInt8]) -> Bool {
    guard let text = String(validating: bytes, as: UTF8.self) else { return false }
    return isClean(text)
  }

  private func passes(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { TextCheck.firstFault(in: $0) == nil }
  }

  @Test("every character is judged as the list says, wherever it stands: all 1,112,064 of them")
  func everyScalar() {
    var wrong: [UInt32] = []
    for value in UInt32(0)...0x10FFFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let bytes = Array(UTF8.encode(scalar)!)
      if passes(bytes) == isRefused(scalar) { wrong.append(value) }
    }
    #expect(wrong.isEmpty)
  }

  @Test("every pair of bytes is judged as the standard library judges it, behind 0 and 15 others")
  func everyPair() {
    var wrong: [[UInt8]] = []
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let pair = [first, second]
        let fine = isFine(pair)
        if passes(pair) != fine { wrong.append(pair) }
        if passes(Array(repeating: 0x61, count: 15) + pair) != fine { wrong.append(pair) }
      }
    }
    #expect(wrong.isEmpty)
  }

  @Test(
    "overlong forms, surrogates, what is beyond U+10FFFF, and halves are no UTF-8",
    arguments: [
      [0xC0, 0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
      [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0x80],
      [0xBF], [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28], [0xE2, 0x28, 0xA1],
      [0xE2, 0x82, 0x28], [0xF0, 0x28, 0x8C, 0xBC], [0xF0, 0x90, 0x28, 0xBC], [0xFE], [0xFF],
      [0xE9, 0x74, 0xE9], [0xFF, 0xFE, 0x68, 0x00],
    ] as [[UInt8]])
  func noUTF8(bytes: [UInt8]) throws {
    #expect(!isFine(bytes))
    for before in [0, 1, 7, 8, 15, 16, 17, 31] {
      for after in [0, 1, 16] {
        let line =
          Array(repeating: 0x61, count: before) + bytes + Array(repeating: 0x62, count: after)
        #expect(!passes(line), "behind \(before), before \(after)")
        let fault = line.withUnsafeBytes { TextCheck.firstFault(in: $0) }
        #expect(fault == before || bytes[0] < 0x80)
      }
    }
  }

  @Test("a fault is found at every place of lines of every length, past all blocks")
  func everyPlace() {
    for length in 1...70 {
      #expect(passes(Array(repeating: 0x7E, count: length)))
      #expect(passes(Array(repeating: 0x20, count: length)))
      for at in 0..<length {
        for bad: UInt8 in [0x00, 0x1F, 0x7F, 0x80, 0xFF] {
          var line = [UInt8](repeating: 0x61, count: length)
          line[at] = bad
          let fault = line.withUnsafeBytes { TextCheck.firstFault(in: $0) }
          #expect(fault == at, "byte \(bad) at \(at) of \(length)")
        }
        var line = [UInt8](repeating: 0x61, count: length)
        line[at] = 0x09
        #expect(passes(line))
      }
    }
  }

  @Test("characters of several bytes pass across the borders of blocks")
  func borders() {
    for character in [
      "é", "€", "😀", "\u{10FFFF}", "\u{2027}", "\u{202F}", "\u{A0}", "\u{2065}", "\u{206A}",
      "\u{FEFF}",
    ] {
      for before in 0..<34 {
        let text =
          String(repeating: "a", count: before) + character + String(repeating: "b", count: 33)
        #expect(passes(Array(text.utf8)))
      }
    }
  }

  @Test("random bytes are judged as the standard library judges them: 100,000 runs")
  func random() {
    var random = SeededGenerator(seed: 8)
    let leads: [UInt8] = [
      0xC2, 0xDF, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0x80, 0xBF, 0x61, 0x20, 0x09, 0x80,
    ]
    for _ in 0..<100_000 {
      let bytes = (0..<random.below(24)).map { _ in
        random.oneIn(2)
          ? random.pick(leads) : 0x80 | UInt8(truncatingIfNeeded: random.next()) & 0x3F
      }
      if passes(bytes) != isFine(bytes) { Issue.record("\(bytes)") }
    }
  }

  @Test(
    "a refusal says what the matter is, and what to do",
    arguments: [
      ([0x04], "byte 0x04 is a control character; end with QUIT, not Ctrl-D"),
      ([0x61, 0x03], "byte 0x03 is a control character; end with QUIT, not Ctrl-C"),
      ([0x07], "byte 0x07 is a control character; leave it out"),
      ([0x00], "byte 0x00 is no text; send UTF-8, without zero bytes"),
      ([0x61, 0x0D, 0x62], "a CR (byte 0x0D) stands alone; a line ends with LF or with CR LF"),
      (
        [0x1B, 0x5B, 0x41],
        "byte 0x1B is an escape sequence's beginning; no colours and no arrow keys, please"
      ),
      (
        [0x7F], "byte 0x7F is a backspace, which deletes nothing here; send the line again"
      ),
      ([0xC2, 0x85], "U+0085 is a control character; leave it out"),
      ([0xC2, 0x9B], "U+009B is a control character; leave it out"),
      ([0xE2, 0x80, 0xA8], "U+2028 separates lines; send one line at a time"),
      ([0xE2, 0x80, 0xAE], "U+202E turns the direction of text; leave it out"),
      ([0xE2, 0x81, 0xA6], "U+2066 turns the direction of text; leave it out"),
      ([0xE2, 0x81, 0xA9], "U+2069 turns the direction of text; leave it out"),
      ([0x61, 0xFF], "byte 0xFF begins no telnet command known here; send UTF-8 text"),
      (
        [0x61, 0xE9, 0x62],
        "that is not UTF-8 (byte 0xE9 at position 2); set your terminal or program to UTF-8"
      ),
    ] as [([UInt8], String)])
  func explanations(bytes: [UInt8], text: String) throws {
    let refusal = try #require(refusals(bytes).first)
    #expect(refusal == Refusal(code: .badEncoding, verb: nil, text: text))
  }

  @Test(
    "no refusal's text holds a character that a line refuses: every byte, alone and behind others")
  func cleanTexts() {
    for first in UInt8.min...UInt8.max {
      for second: UInt8 in [0x00, 0x0D, 0x1B, 0x61, 0x80, 0x81, 0x85, 0xA6, 0xA8, 0xFF] {
        for refusal in refusals([first, second]) + refusals([0xE2, first, second]) {
          #expect(isClean(refusal.text) && !refusal.text.isEmpty)
        }
      }
    }
  }

  @Test("a quotation is bounded, whole in its characters, and clean")
  func quotes() {
    func quote(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { Quote($0).description } }
    #expect(quote(Array("lobby!".utf8)) == "\"lobby!\"")
    #expect(quote([0x1B, 0x5B]) == "\"...\"")
    #expect(quote([]) == "\"\"")
    for offset in 0..<4 {
      let long = quote(
        Array((String(repeating: "a", count: offset) + String(repeating: "😀", count: 99)).utf8))
      #expect(long.utf8.count <= WireLimits.quotedBytes + 5)
      #expect(!long.contains("\u{FFFD}"))
      #expect(long.hasSuffix("...\""))
    }
    for _ in 0..<100 { #expect(isClean(quote(Array(repeating: 0x80, count: 100)))) }
  }
}
