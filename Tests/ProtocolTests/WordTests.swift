// The words of the code and the words of the document are the same: verbs, error codes, the syntax
// of each request.

import LineChatCore
import LineProtocol
import Testing

@Suite("protocol.md: the words")
struct WordTests {
  private static let received = ProtocolDocument.transcripts.flatMap(\.steps).compactMap {
    if case .receives(let text) = $0.action { text } else { nil as String? }
  }

  private static let sent = ProtocolDocument.transcripts.flatMap(\.steps).compactMap {
    if case .sends(let text) = $0.action { text } else { nil as String? }
  }

  /// The codes that this release's server has no occasion to give, or none that fits a transcript.
  private static let neverShown: Set<ErrorCode> = [.notAServer, .shuttingDown]

  @Test("every verb is explained, and shown in a transcript", arguments: Verb.allCases)
  func verb(_ verb: Verb) {
    let word = verb.word.description
    #expect(ProtocolDocument.text.contains("`\(word)"))
    let shown = verb.isRequest ? Self.sent : Self.received
    #expect(shown.contains { $0.split(separator: " ").contains(Substring(word)) })
    if verb.isRequest {
      #expect(ProtocolDocument.text.contains("\n### \(word)\n"))
    }
  }

  @Test(
    "every error code is in the table, and shown in a transcript", arguments: ErrorCode.allCases)
  func code(_ code: ErrorCode) {
    let row = ProtocolDocument.text.split(separator: "\n").first {
      $0.hasPrefix("| `\(code.rawValue)` |")
    }
    #expect(row?.hasPrefix("| `\(code.rawValue)` | \(code.isFinal ? "final" : "later") |") == true)
    let isShown = Self.received.contains { $0.contains("ERR \(code.rawValue) ") }
    #expect(isShown != Self.neverShown.contains(code))
  }

  @Test("HELP and the document give every request the same syntax", arguments: Verb.allCases)
  func help(_ verb: Verb) throws {
    guard verb.isRequest else {
      #expect(Help.of(verb) == nil)
      return
    }
    let help = try #require(Help.of(verb))
    let inTable = help.syntax.split(separator: "|").joined(separator: "\\|")
    #expect(ProtocolDocument.text.contains("\n| `\(inTable)` | "))
    #expect(ProtocolDocument.text.contains("\n### \(verb.word)\n\n    \(help.syntax)\n"))
    #expect(help.syntax.hasPrefix(verb.word.description))
  }
}
