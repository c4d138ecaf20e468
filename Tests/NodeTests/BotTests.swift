// The example of the library, built and run as its reader would; and that it is the one in the README.

import Foundation
import TestSupport
import Testing

@Suite("The bot of the examples")
struct BotTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private static func bot(_ server: TestServer, _ directory: TemporaryDirectory) throws -> Program {
    try Program(
      "uptime-bot", ["\(try server.address)"], environment: ["XDG_STATE_HOME": directory.path])
  }

  /// The next answer; what else happens in the group is passed over.
  private static func answer(to client: TestClient) throws -> String {
    let line = try client.line { $0.hasPrefix(":uptime@") && $0.contains(" seconds") }
    return line.split(separator: " ", maxSplits: 1).last.map { String($0) } ?? ""
  }

  /// The next answer without its number.
  private static func answerBegins(to client: TestClient) throws -> Substring {
    let answer = try answer(to: client)
    let words = answer.split(separator: " ")
    guard words.count > 2, Int(words[words.count - 2]) != nil else { throw TestFailure(answer) }
    return answer.dropLast(words.suffix(2).joined(separator: " ").count + 1)
  }

  @Test("answers each question once, where it was asked, and none from before it was there")
  func answers() throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let alice = try server.member("alice")
    let bob = try server.member("bob")
    let bot = try Self.bot(server, directory)
    try alice.line { $0.hasPrefix(":uptime@") && $0.hasSuffix(" JOIN lobby") }
    try alice.send("MSG lobby hello\nMSG lobby !uptime\n")
    for client in [alice, bob] {
      #expect(try Self.answerBegins(to: client) == "MSG lobby alice:")
    }
    try alice.send("PM uptime !uptime\n")
    #expect(try Self.answerBegins(to: alice) == "PM alice alice:")

    // Killed in the middle, and asked meanwhile.
    try bot.child.end()
    try until(alice, "OK MSG lobby 1/2 kept 1", asking: "MSG lobby !uptime")
    let again = try Self.bot(server, directory)
    // It has heard the old question when it answers the new one, which lies behind it.
    try until(alice, "OK MSG lobby 2/2", asking: "MSG lobby and now?")
    try bob.send("MSG lobby !uptime\n")
    #expect(try Self.answerBegins(to: alice) == "MSG lobby bob:")
    try bob.send("PM uptime !uptime\n")
    #expect(try Self.answerBegins(to: bob) == "MSG lobby bob:")
    #expect(try Self.answerBegins(to: bob) == "PM bob bob:")
    try again.child.end()
  }

  /// Asks again and again until that is the reply.
  private func until(_ client: TestClient, _ wanted: String, asking request: String) throws {
    let deadline = Deadline(seconds: 40)
    while true {
      let reply = try client.ask(request)
      if reply == wanted { return }
      if deadline.hasPassed { throw TestFailure("never '\(wanted)', last '\(reply)'") }
      pauseBriefly()
    }
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
