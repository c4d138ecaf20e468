// The example of the library, built and run as its reader would; and that it is the one in the README.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("The bot of the examples", .ownThread, .timeLimit(.minutes(20)))
struct BotTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private static func bot(_ server: TestServer, _ directory: TemporaryDirectory) throws -> Program {
    try Program(
      "uptime-bot", ["\(try server.address)"], environment: ["XDG_STATE_HOME": directory.path])
  }

  /// What the bot has answered, in order, without the numbers of seconds.
  private static func answers(_ node: TestNode) -> [String] {
    node.heard.filter { $0.from.name == name("uptime") }.map { message in
      let words = message.text.split(separator: " ")
      let number = words.count == 3 && words[2] == "seconds" ? Int(words[1]) : nil
      return number == nil ? message.text : "\(words[0]) \(message.conversation)"
    }
  }

  @Test("answers each question once, where it was asked, and none from before it was there")
  func answers() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"])
    let bot = try Self.bot(server, directory)
    for node in [alice, bob] { try await node.meets(["alice", "bob", "uptime"]) }
    try await alice.node.send("hello", to: group("lobby"))
    try await alice.node.send("!uptime", to: group("lobby"))
    for node in [alice, bob] {
      try await until("it has answered") { Self.answers(node) == ["alice: lobby"] }
    }
    try await alice.node.send("!uptime", to: .name(name("uptime")))
    try await until("it has answered") {
      Self.answers(alice) == ["alice: lobby", "alice: @uptime"]
    }

    // Killed, and asked meanwhile.
    try bot.child.end()
    let missed = try await alice.node.send("!uptime", to: group("lobby"))
    let again = try Self.bot(server, directory)
    try await alice.delivery(of: missed, to: "uptime") { $0 == .delivered }
    // What it answered to that would be there before what it answers to this.
    try await alice.node.send("!uptime", to: .name(name("uptime")))
    try await bob.node.send("!uptime", to: group("lobby"))
    try await until("it has answered") {
      Self.answers(alice).count == 4 && Self.answers(bob).count == 2
    }
    #expect(Self.answers(bob) == ["alice: lobby", "bob: lobby"])
    #expect(
      Self.answers(alice).sorted()
        == ["alice: lobby", "bob: lobby", "alice: @uptime", "alice: @uptime"].sorted())
    try again.child.end()
  }

  @Test("says that there is no server")
  func noServer() throws {
    let directory = try TemporaryDirectory()
    let port = try TestListener.unusedPort()
    let bot = try Program(
      "uptime-bot", ["127.0.0.1:\(port)"], environment: ["XDG_STATE_HOME": directory.path],
      // As in a terminal, where each line is seen at once.
      by: ["stdbuf", "-oL"])
    try bot.child.line(
      of: .output, containing: "no server at 127.0.0.1:\(port) (connection refused), next try in ")
    try bot.child.end()
  }

  @Test("is what the README shows, and short")
  func readme() throws {
    let code = try String(
      contentsOf: Self.root.appendingPathComponent("examples/bot/main.swift"), encoding: .utf8)
    let readme = try String(
      contentsOf: Self.root.appendingPathComponent("README.md"), encoding: .utf8)
    #expect(readme.contains("```swift\n\(code)```\n"))
    let lines = code.split(separator: "\n").filter { !$0.hasPrefix("//") && !$0.isEmpty }
    #expect(lines.count <= 20)
  }

  @Test("links neither readline nor the argument parser")
  func dependencies() throws {
    // The names of a module's symbols are in whatever is linked with it.
    let bot = try Data(contentsOf: URL(fileURLWithPath: try Program.path(of: "uptime-bot")))
    let linechat = try Data(contentsOf: URL(fileURLWithPath: try Program.path(of: "linechat")))
    #expect(linechat.range(of: Data("ArgumentParser".utf8)) != nil)
    #expect(bot.range(of: Data("PeerNode".utf8)) != nil)
    #expect(bot.range(of: Data("ArgumentParser".utf8)) == nil)
    #expect(bot.range(of: Data("readline".utf8)) == nil)
  }
}
