// examples/bot.sh: a bot of sh and netcat, with each netcat, in each shell.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("bot.sh", .ownThread, .timeLimit(.minutes(20)))
struct BotScriptTests {
  private static let netcats = ["nc.openbsd", "ncat", "nc.traditional", "busybox nc"]

  private static func start(
    _ port: UInt16, shell: [String] = [], _ options: [String] = []
  ) throws -> Child {
    try Child(
      shell + [ExampleTests.example("bot.sh"), "--server", "127.0.0.1:\(port)"] + options)
  }

  private static func isIn(_ bot: Child) throws {
    try bot.line(of: .errors, containing: "in lobby as uptime")
  }

  @Test("answers, and ends cleanly", arguments: netcats, [["dash"], ["bash"], ["busybox", "sh"]])
  func answers(netcat: String, shell: [String]) throws {
    let daemon = try Daemon()
    let alice = try daemon.client()
    #expect(try alice.ask("NICK alice") == "OK NICK alice")
    #expect(try alice.ask("JOIN lobby") == "OK JOIN lobby 1")
    let bot = try Self.start(daemon.port, shell: shell, ["--netcat", netcat])
    try Self.isIn(bot)
    #expect(try alice.line { !$0.hasPrefix("INFO") } == ":uptime@relay JOIN lobby")

    // What only looks like it is not answered, and a star is no file.
    try alice.send("MSG lobby * !uptime now\nMSG lobby uptime\nMSG lobby !uptime\n")
    let answer = try alice.line(startingWith: ":uptime@relay MSG ")
    #expect(answer.wholeMatch(of: /:uptime@relay MSG lobby alice: [0-9]+ seconds/) != nil)
    try alice.send("PM uptime !uptime\n")
    let own = try alice.line(startingWith: ":uptime@relay ")
    #expect(own.wholeMatch(of: /:uptime@relay PM alice [0-9]+ seconds/) != nil)

    bot.signal(SIGTERM)
    #expect(try bot.finish() == 0)
    // It said QUIT.
    #expect(try alice.line(startingWith: ":uptime@relay ") == ":uptime@relay LEAVE lobby")
  }

  @Test("is back when the server is", arguments: netcats)
  func reconnects(netcat: String) throws {
    var daemon = try Daemon()
    let port = daemon.port
    let bot = try Self.start(port, ["--netcat", netcat, "--ping", "1"])
    try Self.isIn(bot)
    // Without a warning.
    daemon.stop(SIGKILL)
    try bot.line(of: .errors, containing: "no server at 127.0.0.1:\(port); next try in 1 s")
    try bot.line(of: .errors, containing: "next try in 2 s")
    daemon = try Daemon(["--listen", "127.0.0.1:\(port)"])
    try Self.isIn(bot)
    // And with one.
    daemon.stop()
    try bot.line(of: .errors, containing: "next try in 1 s")
    bot.signal(SIGINT)
    #expect(try bot.finish() == 0)
  }

  @Test("says why it is refused, and what is wrong with its options")
  func refused() async throws {
    let daemon = try Daemon()
    let script = ExampleTests.example("bot.sh")
    let other = try daemon.client()
    #expect(try other.ask("NICK uptime") == "OK NICK uptime")
    let server = ["--server", "127.0.0.1:\(daemon.port)"]
    let taken = try await run([script] + server)
    #expect(taken.exitCode == 1)
    #expect(taken.errors.contains("ERR name-taken NICK"))
    for wrong in [["--what"], ["--group", "a b"], ["--name", ""], ["--ping", "0"], ["--netcat"]] {
      #expect(try await run([script] + server + wrong).exitCode == 2, "\(wrong)")
    }
    #expect(try await run([script, "--netcat", "no-such-netcat"] + server).exitCode == 3)
    let help = try await run([script, "--help"])
    #expect(help.exitCode == 0)
    #expect(help.output.contains("--netcat COMMAND") && !help.output.contains("set -u"))
  }
}
