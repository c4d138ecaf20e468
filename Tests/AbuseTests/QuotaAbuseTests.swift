// One address that wants everything: connections, names and groups are given out up to its quota, and
// the others have theirs.

import Foundation
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Abuse: quotas of an address", .ownThread, .timeLimit(.minutes(20)))
struct QuotaAbuseTests {
  private static let counted = "--quotas-on-loopback"

  @Test("connections of one address: as many as its quota, the next is told, another has its own")
  func connections() throws {
    let target = try Target([Self.counted, "--max-connections-per-address", "5"])
    let inside = try (1...5).map { _ in try target.client(from: "127.0.0.2") }
    let late = try TestClient(target.address, from: IPAddress("127.0.0.2"))
    #expect(
      try late.linesToEnd() == [
        "ERR too-many-connections - this server takes 5 connections from one address at once; end "
          + "one of yours, or try again later"
      ])
    #expect(late.end == .inOrder)
    // A storm of them costs the others nothing.
    let storm = try (1...500).map { _ in
      try TestClient(target.address, from: IPAddress("127.0.0.2"))
    }
    let other = try target.client(from: "127.0.0.3")
    for client in storm { client.close() }
    late.close()
    let stats = try other.stats()
    #expect(stats["connections"] == 6 && stats["max-connections-per-address"] == 5)
    try eventually("all of them are counted") {
      try other.stats()["refused-by-quota"] == 501
    }
    try inside[0].answers("QUIT", "OK QUIT")
    inside[0].close()
    try eventually("there is room for it again") {
      try TestClient(target.address, from: IPAddress("127.0.0.2")).line()?.hasPrefix("INFO ")
        == true
    }
    try target.daemon.line(containing: "its address has 5")
  }

  @Test("100,000 groups from one address: a quota's worth is made, and it costs no more than that")
  func groups() throws {
    let target = try Target([Self.counted])
    let greedy = try target.client()
    let before = try target.figures.memoryBytes()
    let count = Abuse.count(100_000, or: 5_000)
    let drain = Drain(
      greedy, countingLinesWith: "ERR rate-limited JOIN your address has made 1000 groups")
    try greedy.send((1...count).map { "JOIN g\($0)\n" }.joined())
    try eventually(within: 60, "each is answered") { drain.lines == count - 1_000 }
    let other = try target.client(from: "127.0.0.3")
    try other.answers("JOIN lobby", "OK JOIN lobby 1")
    let stats = try other.stats()
    #expect(stats["groups"] == 1_001 && stats["refused-by-quota"] == count - 1_000)
    let grown = try target.figures.memoryBytes() - before
    #expect(grown < 16 << 20, "\(grown) bytes")
    Abuse.report("\(count) groups asked for, 1000 made: \(Abuse.megabytes(grown))")
    // Those that there are can be joined by everybody.
    try other.answers("JOIN g1", "OK JOIN g1 2")
  }

  @Test("100,000 names from one address: a quota's worth stays, over a restart too")
  func names() throws {
    let directory = try TemporaryDirectory()
    let most = Abuse.count(1_000, or: 100)
    let options = [Self.counted, "--max-names-per-address", "\(most)"]
    let target = try Target(options, keepingIn: directory)
    var kept = 0
    for number in 1...Abuse.count(100_000, or: 300) {
      // The first half of the alphabet takes names, the second stays under a guest's.
      let client = try target.client(from: "127.0.0.2")
      if number % 2 == 0 { try client.ask("NICK n\(number)") }
      let reply = try client.ask("JOIN crowd relay")
      if reply.hasPrefix("OK ") { kept += 1 }
      #expect(reply.hasPrefix("OK JOIN ") || reply.hasPrefix("ERR rate-limited JOIN "))
      try client.answers("QUIT", "OK QUIT")
    }
    #expect(kept == most)
    try target.client(from: "127.0.0.3").answers("NICK other", "OK NICK other")
    try target.stop()
    let again = try Target(options, keepingIn: directory)
    let client = try again.client(from: "127.0.0.2")
    try client.answers("NICK newcomer", "ERR rate-limited NICK your address has \(most) names here")
    // Its own are its own.
    try client.answers("NICK n2", "OK NICK n2")
    try client.answers("LEAVE crowd", "OK LEAVE crowd")
    try client.answers("QUIT", "OK QUIT")
    try again.client(from: "127.0.0.2").answers("NICK newcomer", "OK NICK newcomer")
    try again.client(from: "127.0.0.3").answers("NICK other", "OK NICK other")
  }

  @Test("a quota that is lower after a restart takes nothing from anybody")
  func lowered() throws {
    let directory = try TemporaryDirectory()
    let target = try Target(keepingIn: directory)
    for name in ["anna", "bob"] {
      let client = try target.client(from: "127.0.0.2")
      try client.answers("NICK \(name)", "OK NICK")
      try client.answers("JOIN \(name)s relay", "OK JOIN")
      try client.answers("QUIT", "OK QUIT")
    }
    try target.stop()
    let again = try Target(
      [Self.counted, "--max-names-per-address", "1", "--max-groups-per-address", "1"],
      keepingIn: directory)
    let client = try again.client(from: "127.0.0.2")
    try client.answers("GROUPS", "OK GROUPS 2")
    try client.answers("NICK bob", "OK NICK bob")
    try client.answers("JOIN third", "ERR rate-limited JOIN your address has made 1 group ")
    try client.answers("JOIN annas relay", "OK JOIN annas 2")
  }

  @Test("off for whoever comes from this machine, unless that is wished", arguments: [false, true])
  func loopback(counts: Bool) throws {
    let target = try Target(
      [
        "--max-connections-per-address", "3", "--max-names-per-address", "1",
        "--max-groups-per-address", "1",
      ] + (counts ? [Self.counted] : []))
    for source in ["127.0.0.1", "127.0.0.2"] {
      let one = try target.client(from: source)
      let two = try target.client(from: source)
      let name = "n" + source.suffix(1)
      try one.answers("NICK \(name)", "OK NICK")
      try two.answers("NICK \(name)x", counts ? "ERR rate-limited NICK" : "OK NICK")
      try one.answers("JOIN \(name)", "OK JOIN")
      try two.answers("JOIN \(name)x", counts ? "ERR rate-limited JOIN" : "OK JOIN")
      // All of them stay until all have come.
      let more = try (1...3).map { _ in try TestClient(target.address, from: IPAddress(source)) }
      let greetings = try more.map { try $0.line() }
      #expect(greetings.contains { $0?.hasPrefix("ERR too-many") == true } == counts)
    }
  }

  @Test("0 is no limit, and what is no number is refused with what is right")
  func options() throws {
    let target = try Target([
      Self.counted, "--max-connections-per-address", "0", "--max-names-per-address", "0",
      "--max-groups-per-address", "0",
    ])
    let clients = try (1...20).map { _ in try target.client(from: "127.0.0.2") }
    for (number, client) in clients.enumerated() {
      try client.answers("NICK n\(number)", "OK NICK")
      try client.answers("JOIN g\(number)", "OK JOIN")
    }
    for option in [
      "--max-connections-per-address", "--max-names-per-address", "--max-groups-per-address",
      "--max-rate",
    ] {
      let wrong = try Linechatd([option, "-1"])
      #expect(try wrong.exitCode() == 64)
      let lines = try Linechatd([option, "1000001"]).linesToEnd().joined(separator: "\n")
      #expect(lines.contains("\(option) must be a number from 0 to 1000000, not '1000001'"))
    }
  }

  @Test("the environment says them as well, and STATS shows what counts")
  func environment() throws {
    let daemon = try Linechatd(
      ["--listen", "127.0.0.1:0", "--max-groups-per-address", "4"],
      environment: [
        "LINECHATD_MAX_CONNECTIONS_PER_ADDRESS": "2", "LINECHATD_MAX_NAMES_PER_ADDRESS": "3",
        "LINECHATD_MAX_GROUPS_PER_ADDRESS": "5", "LINECHATD_QUOTAS_ON_LOOPBACK": "yes",
        "LINECHATD_MAX_RATE": "700",
      ])
    let address = try daemon.addresses()[0]
    let one = try TestClient(address)
    let stats = try one.stats()
    #expect(stats["max-connections-per-address"] == 2 && stats["max-names-per-address"] == 3)
    #expect(stats["max-groups-per-address"] == 4 && stats["max-rate"] == 700)
    let two = try TestClient(address)
    try two.line(startingWith: "INFO ")
    #expect(try TestClient(address).line()?.hasPrefix("ERR too-many-connections") == true)
    try one.answers("PING", "PONG")
    try two.answers("PING", "PONG")
  }

  @Test("a node's connections from one address are bounded, too")
  func node() throws {
    let node = try TestNode("bob") {
      $0.listening = .at(try ListenAddress(parsing: "127.0.0.1:0"))
      $0.quotas.connections = 3
      $0.quotas.countsLoopback = true
    }
    let address = try node.address()
    let inside = try (1...3).map { _ in try TestClient(address, from: IPAddress("127.0.0.2")) }
    for client in inside { try client.line(startingWith: "INFO linechat ") }
    let late = try TestClient(address, from: IPAddress("127.0.0.2"))
    let refusal = try late.linesToEnd().first ?? ""
    #expect(refusal.contains("- this node takes 3 connections from one address at once; end one"))
    try TestClient(address, from: IPAddress("127.0.0.3")).line(startingWith: "INFO linechat ")
  }
}
