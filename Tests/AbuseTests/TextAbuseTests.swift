// Characters with which one writes into another's terminal, and texts that try to be a second line: in
// every field, in the echo of an error, in the log, in JSON and on the disk.

import Foundation
import LineChat
import LineProtocol
import TestSupport
import Testing

/// Texts of people who mean no good, and where they can be put.
enum Hostile {
  static let bytes: [String: [UInt8]] = [
    "escape": Array("\u{1B}[2J".utf8), "title": Array("\u{1B}]0;x\u{7}".utf8),
    "C1": Array("\u{9B}31m".utf8), "C1 in Latin 1": [0x9B, 0x33, 0x31, 0x6D],
    "NUL": [0x61, 0, 0x62],
    "DEL": [0x61, 0x7F], "backspace": [0x61, 8, 8], "override": Array("a\u{202E}b".utf8),
    "isolate": Array("a\u{2066}b".utf8), "line separator": Array("a\u{2028}b".utf8),
    "next line": Array("a\u{85}b".utf8), "CR": Array("a\rb".utf8), "overlong": [0xC0, 0x80],
    "stacked marks": Array(("e" + String(repeating: "\u{301}", count: 30)).utf8),
    "more marks": Array(("a" + String(repeating: "\u{489}\u{20DD}", count: 300)).utf8),
  ]

  /// `%` is the field.
  static let requests = [
    "NICK %", "JOIN %", "JOIN lobby %", "LEAVE %", "MSG % hi", "MSG lobby %", "PM % hi",
    "PM alice %", "MEMBERS %", "HELP %", "WAIT %", "FORGET %", "ACK lobby %", "GROUPS %", "%",
    "% lobby", "/% lobby", "hello % there", "@label=% NICK 9", "@a=% NICK 9", "@%=a NICK 9",
    ":% NICK 9", ":a@% NICK 9",
  ]

  /// A program's label comes back to it as it was.
  static func withoutTags(_ line: String) -> String {
    line.hasPrefix("@") ? String(line.drop { $0 != " " }) : line
  }

  /// Nothing in a line moves a cursor, begins a line, or turns the direction.
  static func isFit(_ line: String, marksMost: Int = 5) -> Bool {
    var marks = 0
    for scalar in line.unicodeScalars {
      switch scalar.value {
      case 0..<0x20 where scalar != "\t", 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069:
        return false
      default: break
      }
      switch scalar.properties.generalCategory {
      case .nonspacingMark, .enclosingMark: marks += 1
      default: marks = 0
      }
      if marks > marksMost { return false }
    }
    // What the reader of the tests shows instead of a control, or of what is no text.
    return !line.contains("{0x")
  }
}

@Suite("Abuse: texts", .ownThread, .timeLimit(.minutes(20)))
struct TextAbuseTests {
  @Test(
    "escape, C1, NUL, bidirectional and stacked combining characters in every field and its echo",
    arguments: Hostile.bytes.keys.sorted())
  func fields(kind: String) throws {
    let target = try Target()
    let alice = try target.member("alice")
    let mallory = try target.client()
    for request in Hostile.requests {
      try mallory.send(Self.filled(request, with: Hostile.bytes[kind] ?? []))
      try mallory.send("PING done\n")
      while let line = try mallory.line(), line != "PONG done" {
        #expect(Hostile.isFit(Hostile.withoutTags(line)), "\(request): \(line)")
        #expect(line.utf8.count < 600, "\(request): \(line)")
      }
    }
    // What reaches others are texts; marks are a matter of those who show them.
    try mallory.send("QUIT\n")
    try alice.answers("GROUPS", "OK GROUPS 1")
    while alice.hasInput, let line = try alice.line() {
      #expect(Hostile.isFit(line, marksMost: .max), "\(line)")
    }
  }

  @Test("the same at a node's port, and on its own socket")
  func fieldsOfNode() throws {
    let target = try Target()
    let node = try NodeTarget("bob", of: target, in: "lobby")
    for client in [try node.stranger(), try node.owner()] {
      for kind in Hostile.bytes.keys.sorted() {
        for request in Hostile.requests {
          try client.send(Self.filled(request, with: Hostile.bytes[kind] ?? []))
          try client.send("PING done\n")
          while let line = try client.line(), !line.hasSuffix("PONG done") {
            // It hears what the other one said.
            let most = line.contains(" PM ") || line.contains(" MSG ") ? Int.max : 5
            let shown = Hostile.withoutTags(line)
            #expect(Hostile.isFit(shown, marksMost: most), "\(kind) in \(request): \(line)")
          }
        }
      }
    }
  }

  private static func filled(_ request: String, with field: [UInt8]) -> [UInt8] {
    let parts = request.utf8.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
    return Array(parts[0]) + field + parts.dropFirst().joined() + [0x0A]
  }

  @Test("none of it is in the log, where each thing is a line", arguments: ["text", "json"])
  func log(format: String) throws {
    let target = try Target(["--log-level", "trace", "--log-format", format])
    let alice = try target.member("alice")
    let mallory = try target.client()
    for kind in Hostile.bytes.keys.sorted() {
      for request in ["NICK %", "MSG lobby %", "JOIN lobby %"] {
        try mallory.send(Self.filled(request, with: Hostile.bytes[kind] ?? []))
        try mallory.send("PING done\n")
        try mallory.line(startingWith: "PONG done")
      }
    }
    try alice.answers("PING", "PONG")
    try target.stop()
    let lines = try target.daemon.linesToEnd()
    // Of the marks beyond the fifth there are the numbers alone.
    #expect(lines.contains { $0.contains("to lobby (handed to 1): ") && $0.contains("u{301}") })
    for line in lines {
      #expect(Hostile.isFit(line), "\(line)")
      if format == "json" {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        #expect(object?["message"]?.isEmpty == false)
      } else {
        let form = #/\d{4}-\d\d-\d\dT[\d:.]+Z (trace|debug|info|notice|warning) .+/#
        #expect(line.wholeMatch(of: form) != nil, "\(line)")
      }
    }
  }

  /// None of them is a line.
  private static let refused = [
    "hello\r:alice@relay MSG lobby forged", "hello\u{85}:alice@relay MSG lobby forged",
    "hello\u{2028}:alice@relay MSG lobby forged", "hello\u{2029}forged", "hello\u{B}forged",
    "hello\u{C}forged", "hello\0forged", "hello\u{1B}[1G:alice@relay MSG lobby forged",
  ]

  /// All of them are one.
  private static let texts = [
    #"hello\n:alice@relay MSG lobby forged"#, #"hello\r\nERR internal - forged"#,
    #"","text":"forged"},{"text":""#, #"\u000a{"kind":"message","from":"alice","text":"forged"}"#,
    "2026-11-22T17:30:10.521110Z error forged", "%0Aforged", ":alice@relay MSG lobby forged",
    "@time=2026-01-01T00:00:00.000000Z :alice@relay MSG lobby forged", "</script>&#10;forged",
    "e" + String(repeating: "\u{301}", count: 30) + " forged", "tab\tforged", #"back\slash""#,
  ]

  @Test("a text that tries to be a second line is one: on the wire, in log, JSON and on the disk")
  func secondLine() throws {
    let directory = try TemporaryDirectory()
    let target = try Target(["--log-level", "trace", "--log-format", "json"], keepingIn: directory)
    let keeper = try target.member("keeper")
    try keeper.answers("JOIN lobby relay", "OK JOIN")
    try keeper.answers("QUIT", "OK QUIT")
    let tail = try tool(["tail", "--json", "-n", "\(Self.texts.count)", "lobby"], target)
    let hearer = try target.member("hearer")
    try eventually("all are there") { try hearer.ask("MEMBERS lobby") == "OK MEMBERS lobby 3" }
    let sender = try target.client()
    try sender.answers("NICK sender", "OK NICK")
    for text in Self.refused { try sender.answers("MSG lobby \(text)", "ERR bad-encoding") }
    for text in Self.texts {
      try sender.answers("MSG lobby \(text)", "OK MSG lobby 2/3 kept 1")
      try hearer.expect(":sender@relay MSG lobby \(text)")
    }
    try check(tail: tail)
    try checkMembers(target, directory)
    try target.stop()
    let said = try target.daemon.linesToEnd().filter { $0.contains("sender@relay to lobby") }
    #expect(said.count == Self.texts.count)
    try checkState(directory)
    // From the disk it comes as it was said.
    let again = try Target(keepingIn: directory)
    let back = try again.client()
    try back.answers("NICK keeper", "OK NICK keeper")
    for text in Self.texts { try back.expect(":sender@relay MSG lobby \(text)") }
  }

  /// A command of `linechat`, as a guest of the server.
  private func tool(_ arguments: [String], _ target: Target) throws -> Program {
    try Program(
      "linechat", arguments,
      environment: [
        "LINECHAT_SERVER": "\(target.address)", "LINECHAT_NAME": "cron",
        "XDG_STATE_HOME": "/nonexistent",
      ])
  }

  private func check(tail: Program) throws {
    #expect(try tail.child.finish() == 0)
    let lines = tail.child.text(of: .output).split(separator: "\n")
    let entries = try lines.map { line in
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
    }
    #expect(entries.map { $0?["text"] } == Self.texts)
    #expect(entries.allSatisfy { $0?["from"] == "sender" && $0?["kind"] == "message" })
  }

  private func checkMembers(_ target: Target, _ directory: TemporaryDirectory) throws {
    let own = try Program("linechatd", ["members", "--json", "--data-dir", directory.path])
    for program in [own, try tool(["members", "--json", "lobby"], target)] {
      #expect(try program.child.finish() == 0)
      let text = program.child.text(of: .output)
      #expect(text.split(separator: "\n").allSatisfy { Hostile.isFit(String($0)) })
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
      #expect(text.contains("keeper") && !text.contains("forged"))
    }
  }

  /// The readable state: JSON with each message as one string, and lines that are what they seem.
  private func checkState(_ directory: TemporaryDirectory) throws {
    let text = try directory.text(of: "groups.json")
    let lines = text.split(separator: "\n")
    #expect(lines.allSatisfy { Hostile.isFit(String($0), marksMost: .max) })
    let state = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    let kept = state?["kept"] as? [[String: Any]]
    let messages = kept?.first?["messages"] as? [String] ?? []
    #expect(messages.count == Self.texts.count)
    for (message, text) in zip(messages, Self.texts) {
      #expect(message.hasSuffix(":sender@relay MSG lobby \(text)"))
    }
  }
}
