// linechatd as people start it: options, environment, log, signals. Where a system runs out of
// descriptors is in AbuseTests.

import CSystem
import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("linechatd", .ownThread, .timeLimit(.minutes(20)))
struct LinechatdTests {
  @Test(
    "says where it listens and how to join, serves, and ends with 0 on SIGTERM and SIGINT",
    arguments: [SIGTERM, SIGINT])
  func life(signal: Int32) throws {
    let daemon = try Linechatd(["--listen", "127.0.0.1:0"])
    let address = try daemon.addresses()[0]
    guard case .tcp(_, let port) = address.kind else { throw TestFailure("no port") }
    try daemon.line(
      containing: "others join with: nc 127.0.0.1 \(port)   (then: NICK <name>, JOIN <group>)")
    let client = try TestClient(address)
    try client.line(startingWith: "INFO linechatd \(lineChatVersion) ")
    try client.ask("NICK alice")
    try client.ask("JOIN lobby")
    try daemon.line(containing: "alice@relay joined lobby (1 member)")
    daemon.signal(signal)
    try client.expect("INFO shutting-down the server is stopping; connect again later")
    #expect(try client.line() == nil)
    client.close()
    #expect(try daemon.exitCode(within: 5) == 0)
    #expect(!(try daemon.linesToEnd()).contains { $0.contains("can read and write every group") })
  }

  @Test("a second SIGINT ends it at once")
  func secondInterrupt() throws {
    let daemon = try Linechatd(["--listen", "127.0.0.1:0"])
    let address = try daemon.addresses()[0]
    let alice = try TestClient(address)
    let bob = try TestClient(address, receiveBuffer: 4_096)
    for client in [alice, bob] { try client.ask("JOIN lobby") }
    // Something that bob does not take keeps the server from ending by itself.
    for _ in 1...100 { try alice.ask("MSG lobby " + String(repeating: "x", count: 60_000)) }
    daemon.signal(SIGINT)
    try daemon.line(containing: "SIGINT: stopping")
    let start = Deadline.now
    try eventually("it ends") {
      daemon.signal(SIGINT)
      return daemon.hasEnded
    }
    #expect(Deadline.now - start < 3_000_000_000)
    #expect(try daemon.exitCode() == 128 + SIGINT)
  }

  @Test("takes its options from the environment, and the command line wins")
  func environment() throws {
    let directory = try TemporaryDirectory()
    let daemon = try Linechatd(
      ["--max-connections", "1"],
      environment: [
        "LINECHATD_LISTEN": "127.0.0.1:0, unix:\(directory.path)/socket",
        "LINECHATD_MAX_CONNECTIONS": "2", "LINECHATD_MAX_LINE": "1KiB",
        "LINECHATD_LOG_LEVEL": "debug", "LINECHATD_MAX_PENDING": "",
      ])
    let addresses = try daemon.addresses(2)
    try daemon.line(containing: "others join with: nc -U \(directory.path)/socket")
    let client = try TestClient(addresses[1])
    #expect(try client.line()?.contains(" max-line=1024 ") == true)
    #expect(try TestClient(addresses[0]).line()?.hasPrefix("ERR too-many-connections") == true)
  }

  @Test(
    "refuses wrong options with 64 and what is right",
    arguments: [
      (["--listen", "nonsense"], "has no port"),
      (["--listen", "127.0.0.1:5463", "--listen", ":1"], "name the host"),
      (["--max-connections", "0"], "must be a number from 1 to 1000000, not '0'"),
      (["--max-connections", "many"], "must be a number from 1 to 1000000, not 'many'"),
      (["--max-line", "64MiB"], "must be a size from 512 to 64KiB"),
      (["--max-pending", "8XiB"], "must be a size from 4KiB to 1GiB"),
      (["--max-pending-total", "1"], "must be a size from 4KiB to 1TiB"),
      (["--max-pending", "99999999999999999999"], "must be a size"),
      (["--log-level", "loud"], "must be one of trace, debug, info"),
      (["--log-format", "xml"], "must be one of text, json"),
      (["--frobnicate"], "--frobnicate"), (["extra"], "extra"),
    ])
  func wrongOptions(arguments: [String], reason: String) throws {
    let daemon = try Linechatd(arguments)
    #expect(try daemon.exitCode() == EX_USAGE)
    #expect(try daemon.linesToEnd().joined(separator: "\n").contains(reason))
  }

  @Test("refuses a wrong environment with 64 and the variable's name")
  func wrongEnvironment() throws {
    let daemon = try Linechatd([], environment: ["LINECHATD_MAX_LINE": "lots"])
    #expect(try daemon.exitCode() == EX_USAGE)
    #expect(try daemon.linesToEnd().joined().contains("LINECHATD_MAX_LINE must be a size"))
  }

  @Test("explains itself", arguments: ["--help", "--version"])
  func help(option: String) throws {
    var ends: [Int32] = [-1, -1]
    #expect(csystem_pipe(&ends) == 0)
    let daemon = try Linechatd([option], output: ends[1])
    close(ends[1])
    defer { close(ends[0]) }
    #expect(try daemon.exitCode() == 0)
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = read(ends[0], &bytes, bytes.count)
    let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    if option == "--version" {
      #expect(text == "linechatd \(lineChatVersion)\n")
    } else {
      let words = [
        "--listen", "--max-connections", "--max-line", "--max-pending", "--max-pending-total",
        "--log-level", "--log-format", "LINECHATD_LISTEN", "LINECHATD_LOG_FORMAT",
        "127.0.0.1:5463", "8MiB", "256MiB", "nc 127.0.0.1 5463",
      ]
      for word in words { #expect(text.contains(word), "\(word)") }
    }
  }

  @Test("exits with 69 and says so where it cannot listen")
  func portInUse() throws {
    let first = try Linechatd(["--listen", "127.0.0.1:0"])
    let address = try first.addresses()[0]
    let second = try Linechatd(["--listen", "\(address)"])
    #expect(try second.exitCode() == EX_UNAVAILABLE)
    #expect(
      try second.linesToEnd().joined().contains(
        "\(address) is in use; is a linechatd running already?"))
  }

  @Test("warns where others than this machine can reach it")
  func warning() throws {
    let daemon = try Linechatd(["--listen", "0.0.0.0:0"])
    let address = try daemon.addresses()[0]
    try daemon.line(
      containing: "whoever reaches \(address) can read and write every group")
  }

  @Test(
    "writes its log as text with the time first, or as JSON, a whole line each",
    arguments: ["text", "json"])
  func logFormat(format: String) throws {
    let daemon = try Linechatd(
      ["--listen", "127.0.0.1:0", "--log-format", format, "--log-level", "trace"])
    let client = try TestClient(try daemon.addresses()[0])
    try client.ask("NICK alice")
    try client.ask("JOIN lobby")
    try client.ask("MSG lobby say \"hello\" \\ \u{FEFF} é 😀")
    try client.ask("NICK two words")
    try client.ask("QUIT")
    daemon.signal(SIGTERM)
    #expect(try daemon.exitCode() == 0)
    let lines = try daemon.linesToEnd()
    #expect(lines.count >= 8)
    for line in lines {
      let (time, level): (String, String)
      if format == "json" {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        time = object?["time"] ?? ""
        level = object?["level"] ?? ""
        #expect(object?["message"]?.isEmpty == false)
      } else {
        let words = line.split(separator: " ")
        time = String(words[0])
        level = String(words[1])
      }
      #expect(time.count == 27 && time.hasSuffix("Z") && time.contains("T"), "\(line)")
      #expect(["trace", "debug", "info", "notice", "warning"].contains(level), "\(line)")
    }
    let said = lines.first { $0.contains("alice@relay to lobby") } ?? ""
    #expect(said.contains("é 😀") && !said.contains("\u{FEFF}"))
    #expect(lines.contains { $0.contains("bad-syntax NICK") })
  }

  @Test(
    "goes on serving while nobody reads its log, or where it is closed",
    arguments: [Linechatd.StandardError.unread, .closed])
  func stuckLog(state: Linechatd.StandardError) throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/socket"
    let daemon = try Linechatd(
      ["--listen", "unix:\(path)", "--log-level", "trace"], standardError: state)
    let address = try ListenAddress(parsing: "unix:\(path)")
    try eventually("it listens") { (try? TestClient(address)) != nil }
    let client = try TestClient(address)
    try client.ask("JOIN lobby")
    // Ten times what the queue and a pipe hold.
    for turn in 1...1_000 {
      try client.send(String(repeating: "MSG lobby \(turn)\n", count: 100))
      for _ in 1...100 { try client.expect("OK MSG lobby 0/0") }
    }
    daemon.signal(SIGTERM)
    try client.line(startingWith: "INFO shutting-down")
    client.close()
    #expect(try daemon.exitCode(within: 8) == 0)
  }

  @Test("says where the system allows fewer connections than asked for")
  func descriptorLimit() throws {
    let daemon = try Linechatd(["--listen", "127.0.0.1:0"], descriptorLimit: 1_000)
    let address = try daemon.addresses()[0]
    #expect(
      daemon.lines.contains { $0.contains("allows 1000 open descriptors, so 840 connections") })
    try TestClient(address).line(startingWith: "INFO ")
  }
}
