// Verbs and error codes: the words that programs rely on, spelled out here once more, so that a
// change of a word is seen.

import LineChatFuzzing
import Testing

@testable import LineProtocol

@Suite("Verbs and codes")
struct VerbTests {
  @Test(
    "the verbs' words are these",
    arguments: zip(
      Verb.allCases,
      [
        "NICK", "JOIN", "LEAVE", "MSG", "PM", "ACK", "MEMBERS", "GROUPS", "PING", "HELP", "STATS",
        "WAIT", "QUIT", "FORGET", "OK", "ERR", "PONG", "INFO", "MEMBER", "GROUP", "STAT",
      ]))
  func words(verb: Verb, word: String) {
    #expect(verb.word.description == word)
    #expect(verb.description == word)
    #expect(Verb(word) == verb)
    #expect(Verb(word.lowercased()) == verb)
    #expect(Verb(word.capitalized) == verb)
    #expect(Verb(word + "X") == nil)
    #expect(Verb(word.dropLast(1) + "") != verb)
    let isReply = ["OK", "ERR", "PONG", "INFO", "MEMBER", "GROUP", "STAT"].contains(word)
    #expect(verb.isRequest == !isReply)
  }

  @Test("there are twenty-one verbs")
  func count() { #expect(Verb.allCases.count == 21) }

  @Test(
    "nothing else is a verb",
    arguments: [
      "", "M", "MS", "MSGS", "MEMBERSS", "MSG ", " MSG", "HISTORY", "PRIVMSG", "ＭＳＧ", "\0OK",
    ])
  func noVerbs(text: String) {
    #expect(Verb(text) == nil)
  }

  @Test("no byte but a letter's other case makes a verb of another word")
  func everyByte() {
    for verb in Verb.allCases {
      let word = Array(verb.description.utf8)
      for at in word.indices {
        for byte in UInt8.min...UInt8.max {
          var changed = word
          changed[at] = byte
          let read = changed.withUnsafeBytes { Verb(bytes: $0) }
          let isSame = byte == word[at] || byte == word[at] | 0x20
          #expect((read == verb) == isSame, "\(verb) with byte \(byte) at \(at)")
        }
      }
    }
  }

  @Test(
    "the codes' words, and which are final, are these",
    arguments: zip(
      ErrorCode.allCases,
      [
        ("unreachable", false), ("too-many-connections", false), ("slow-consumer", false),
        ("rate-limited", false), ("shutting-down", false), ("internal", false),
        ("unknown-verb", true), ("bad-syntax", true), ("bad-encoding", true), ("bad-name", true),
        ("bad-group", true), ("bad-address", true), ("line-too-long", true), ("name-taken", true),
        ("no-such-group", true), ("no-such-peer", true), ("not-member", true),
        ("not-a-server", true), ("forbidden", true),
      ]))
  func codes(code: ErrorCode, expected: (word: String, isFinal: Bool)) {
    #expect(code.rawValue == expected.word)
    #expect(code.description == expected.word)
    #expect(code.isFinal == expected.isFinal)
  }

  @Test("there are nineteen codes")
  func codeCount() { #expect(ErrorCode.allCases.count == 19) }

  @Test("a refusal is shown, and sent, as its ERR line")
  func refusalLine() {
    let buffer = ByteBuffer()
    for (refusal, line) in [
      (Refusal(.noSuchGroup, .msg, "there is none"), "ERR no-such-group MSG there is none"),
      (Refusal(.badEncoding, "that is not UTF-8"), "ERR bad-encoding - that is not UTF-8"),
      (Refusal(code: .forbidden, text: ""), "ERR forbidden -"),
    ] {
      buffer.removeAll()
      buffer.append(refusal)
      #expect(refusal.description == line)
      #expect(String(decoding: buffer.bytes, as: UTF8.self) == line)
    }
  }

  @Test(
    "every verb's form begins with the verb and shows it with what it takes",
    arguments: Verb.allCases)
  func forms(verb: Verb) {
    #expect(verb.form.hasPrefix("\(verb) "))
    #expect(verb.form.contains(": \(verb)"))
    #expect(isClean(verb.form))
  }
}
