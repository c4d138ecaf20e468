// What people pipe into a netcat: every one of them must print every reply and end by itself, and
// those that close at once must at least have said what they were told to.

import Foundation
import TestSupport
import Testing

/// A way to pipe lines to a server from a shell.
struct Pipe: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let command: @Sendable (_ port: UInt16) -> [String]

  init(_ words: String...) {
    testDescription = words.joined(separator: " ")
    command = { port in words + ["127.0.0.1", String(port)] }
  }

  private init(name: String, command: @escaping @Sendable (UInt16) -> [String]) {
    testDescription = name
    self.command = command
  }

  /// Those that are still there when the replies come.
  static let patient = [
    Pipe("nc.openbsd"), Pipe("nc.openbsd", "-N"), Pipe("nc.traditional"), Pipe("ncat"),
    Pipe("busybox", "nc"),
    // Left to itself, socat waits half a second for replies after the end of its input.
    Pipe(name: "socat -t 20") { ["socat", "-t", "20", "-", "TCP:127.0.0.1:\($0)"] },
  ]

  /// Those that close as soon as their input ends.
  static let hasty = [Pipe("nc.traditional", "-q0"), Pipe("ncat", "--send-only")]

  /// One of each make, as a person would type it.
  static let fourNetcats = [
    Pipe("nc.openbsd"), Pipe("nc.traditional"), Pipe("ncat"), Pipe("busybox", "nc"),
  ]
}

@Suite("Piped into a netcat", .ownThread, .timeLimit(.minutes(20)))
struct PipedTests {
  static let alert = "NICK cron\nMSG ops disk is full\nQUIT\n"
  static let said = ":cron@relay MSG ops disk is full"

  /// Somebody who is in `ops` and hears what is said there.
  static func listener(_ daemon: Daemon) throws -> TestClient {
    let listener = try daemon.client()
    #expect(try listener.ask("JOIN ops") == "OK JOIN ops 1")
    return listener
  }

  @Test("every reply is printed, and it ends by itself", arguments: Pipe.patient)
  func everyReply(_ pipe: Pipe) async throws {
    let daemon = try Daemon()
    let listener = try Self.listener(daemon)
    let finished = try await run(pipe.command(daemon.port), input: Self.alert)
    try Self.expectEveryReply(finished)
    #expect(try listener.line() == Self.said)
  }

  static func expectEveryReply(_ finished: Finished) throws {
    var lines = finished.lines
    let greeting = lines.isEmpty ? "" : lines.removeFirst()
    #expect(greeting.hasPrefix("INFO linechatd "))
    #expect(lines == ["OK NICK cron", "OK MSG ops 1/1", "OK QUIT", ""])
    #expect(finished.exitCode == 0)
  }

  @Test("what was sent is carried out, also where nobody waits for it", arguments: Pipe.hasty)
  func closedAtOnce(_ pipe: Pipe) async throws {
    let daemon = try Daemon()
    let listener = try Self.listener(daemon)
    _ = try await run(pipe.command(daemon.port), input: Self.alert)
    #expect(try listener.line() == Self.said)
  }

  @Test("telnet, which drops what it has not sent when its input ends, needs it open")
  func pipedTelnet() async throws {
    let daemon = try Daemon()
    let listener = try Self.listener(daemon)
    let telnet = Running(
      ["telnet", "127.0.0.1", String(daemon.port)], input: Self.alert, keepsInputOpen: true)
    let finished = try await telnet.finished
    #expect(finished.lines.suffix(4) == ["OK NICK cron", "OK MSG ops 1/1", "OK QUIT", ""])
    #expect(try listener.line() == Self.said)
  }

  @Test("a hundred times in a hundred", arguments: Pipe.fourNetcats)
  func hundredTimes(_ pipe: Pipe) async throws {
    let daemon = try Daemon()
    let listener = try Self.listener(daemon)
    for _ in 1...100 {
      try Self.expectEveryReply(try await run(pipe.command(daemon.port), input: Self.alert))
      #expect(try listener.line() == Self.said)
    }
    try listener.send("PING end\n")
    #expect(try listener.line() == "PONG end")
  }

  @Test(
    "a netcat that closes its side needs no QUIT",
    arguments: [Pipe("nc.openbsd", "-N"), Pipe("ncat"), Pipe("busybox", "nc")])
  func withoutQuit(_ pipe: Pipe) async throws {
    let daemon = try Daemon()
    let listener = try Self.listener(daemon)
    // The last line has no end; it counts.
    let finished = try await run(
      pipe.command(daemon.port), input: "NICK cron\nMSG ops disk is full")
    #expect(finished.lines.dropFirst() == ["OK NICK cron", "OK MSG ops 1/1", ""])
    #expect(try listener.line() == Self.said)
  }

  @Test("grep makes an exit code of the reply")
  func exitCodes() async throws {
    let daemon = try Daemon()
    let command = """
      printf 'NICK cron\\nMSG ops disk is full\\nQUIT\\n' | nc.openbsd 127.0.0.1 \(daemon.port) \
      | grep -q '^OK MSG ops [1-9]'
      """
    let nobody = try await run(["sh", "-c", command])
    #expect(nobody.exitCode == 1)
    let listener = try Self.listener(daemon)
    let somebody = try await run(["sh", "-c", command])
    #expect(somebody.exitCode == 0)
    #expect(try listener.line() == Self.said)
  }

  @Test("WAIT prints the next message and ends", arguments: Pipe.fourNetcats)
  func waiting(_ pipe: Pipe) async throws {
    let daemon = try Daemon()
    let listener = try Self.listener(daemon)
    let running = Running(pipe.command(daemon.port), input: "JOIN ops\nWAIT 60 1\nQUIT\n")
    // The JOIN is heard when the script is in; its WAIT is in the same round, or right behind.
    _ = try listener.line()
    #expect(try listener.ask("MSG ops go") == "OK MSG ops 1/1")
    let lines = try await running.finished.lines
    #expect(lines.suffix(4) == [":guest1@relay MSG ops go", "OK WAIT 1", "OK QUIT", ""])
  }
}
