// examples/nagios-check.sh: what a monitoring system reads of it.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("nagios-check.sh", .ownThread, .timeLimit(.minutes(20)))
struct MonitoringTests {
  private static func check(
    _ port: UInt16, _ words: [String] = [], shell: [String] = []
  ) async throws -> Finished {
    try await run(
      shell + [ExampleTests.example("nagios-check.sh"), "--server", "127.0.0.1:\(port)"] + words)
  }

  /// One line, with the state that belongs to the exit code, and data that monitoring systems can read.
  private static func expect(
    _ finished: Finished, _ code: Int32, _ texts: String..., hasData: Bool = true,
    at place: SourceLocation = #_sourceLocation
  ) {
    let states = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]
    #expect(finished.exitCode == code, "\(finished)", sourceLocation: place)
    #expect(finished.errors == "", sourceLocation: place)
    #expect(finished.lines.count == 2 && finished.lines.last == "", sourceLocation: place)
    let start = "LINECHAT \(states[Int(code)]) - "
    #expect(finished.output.hasPrefix(start), "\(finished)", sourceLocation: place)
    for text in texts {
      #expect(finished.output.contains(text), "\(finished)", sourceLocation: place)
    }
    let parts = finished.lines[0].split(separator: " | ")
    #expect(parts.count == (hasData ? 2 : 1), "\(finished)", sourceLocation: place)
    guard hasData, let data = parts.last else { return }
    for one in data.split(separator: " ") {
      let form = /[a-z-]+=[0-9]+(ms|B)?;([0-9]+)?;([0-9]+:?)?;0/
      #expect(one.wholeMatch(of: form) != nil, "\(one)", sourceLocation: place)
    }
  }

  @Test(
    "says that all is well, with each netcat",
    arguments: ["nc.openbsd", "ncat", "nc.traditional", "busybox nc"],
    [["dash"], ["bash"], ["busybox", "sh"]])
  func well(netcat: String, shell: [String]) async throws {
    let daemon = try Daemon()
    let alice = try daemon.client()
    #expect(try alice.ask("JOIN ops") == "OK JOIN ops 1")
    let finished = try await Self.check(
      daemon.port,
      ["--netcat", netcat, "--group", "ops", "--at-least", "1", "-w", "connections=10"],
      shell: shell)
    Self.expect(
      finished, 0, "linechatd \(lineChatVersion) answered in ", ", 2 connections, 1 in ops",
      " connections=2;10;;0 ", " names=2;;;0 ", " bytes-kept=0B;;;0 ", " members=1;;1:;0")
  }

  @Test("warns, and cries")
  func thresholds() async throws {
    let daemon = try Daemon()
    let others = try (1...3).map { _ in try daemon.client() }
    Self.expect(
      try await Self.check(daemon.port, ["-w", "connections=3", "-c", "connections=4"]), 1,
      "connections is 4, more than 3; linechatd", " connections=4;3;4;0 ")
    Self.expect(
      try await Self.check(
        daemon.port, ["-w", "names=1", "-c", "connections=3", "-w", "time=60000"]), 2,
      "connections is 4, more than 3, names is 4, more than 1; linechatd", "time=")
    Self.expect(
      try await Self.check(daemon.port, ["-c", "lines-received=100"]), 0, " lines-received=")
    Self.expect(
      try await Self.check(daemon.port, ["-w", "wombats=1"]), 3, "STATS have no wombats",
      hasData: false)
    for client in others { client.close() }
  }

  @Test("counts who is in a group")
  func members() async throws {
    let daemon = try Daemon()
    Self.expect(
      try await Self.check(daemon.port, ["--group", "ops", "--at-least", "1"]), 2,
      "0 in ops, fewer than 1; linechatd")
    let alice = try daemon.client()
    #expect(try alice.ask("JOIN ops") == "OK JOIN ops 1")
    Self.expect(
      try await Self.check(daemon.port, ["--group", "#ops", "--at-least", "1"]), 0, "1 in #ops")
    Self.expect(
      try await Self.check(daemon.port, ["--group", "ops", "--at-least", "2"]), 2,
      "1 in ops, fewer than 2; linechatd", "members=1;;2:;0")
  }

  @Test("tells a server from something else, and from nothing")
  func others() async throws {
    let port = try TestListener.unusedPort()
    Self.expect(try await Self.check(port), 2, "no answer from 127.0.0.1:\(port)", hasData: false)

    let silent = try TestListener()
    let began = ContinuousClock.now
    Self.expect(
      try await Self.check(silent.port, ["--timeout", "1"]), 2, "within 1 s", hasData: false)
    #expect(ContinuousClock.now - began < .seconds(30))

    let stranger = try TestListener()
    let running = Running(
      [
        ExampleTests.example("nagios-check.sh"), "--server", "127.0.0.1:\(stranger.port)",
        "--timeout", "20",
      ])
    let caller = try stranger.accept()
    // It has been read: what is not is answered by a reset, which may take the answer away.
    try caller.line(startingWith: "QUIT")
    try caller.send("220 mail.example ESMTP | 1\n")
    caller.close()
    Self.expect(
      try await running.finished, 2, "what answers at", "is no linechatd", hasData: false)

    let full = try Daemon(["--max-connections", "1"])
    let alice = try full.client()
    Self.expect(
      try await Self.check(full.port), 2, "says: ERR too-many-connections", hasData: false)
    alice.close()
  }

  @Test(
    "explains wrong use",
    arguments: [
      ["--what"], ["-w"], ["-w", "connections"], ["-c", "connections=x"], ["-c", "=1"],
      ["--timeout", "0"], ["--timeout", "x"], ["--group", "a b"], ["--at-least", "1"],
      ["--group", "a", "--at-least", "-1"], ["--netcat", "no-such-netcat"],
    ])
  func wrongUse(words: [String]) async throws {
    Self.expect(try await Self.check(1, words), 3, hasData: false)
  }

  @Test("has a help")
  func help() async throws {
    let help = try await run([ExampleTests.example("nagios-check.sh"), "--help"])
    #expect(help.exitCode == 0)
    #expect(help.output.contains("--at-least NUMBER") && !help.output.contains("set -u"))
  }
}
