// How a node finds its server, and finds it again: names looked up anew, addresses dialled in turn,
// and what happens when the machine has slept or is in another network.

import Glibc
import LineChatCore
import LineProtocol
import Synchronization
import TestSupport
import Testing

@testable import LineChat

@Suite("A node's way to its server", .ownThread, .timeLimit(.minutes(20)))
struct NodeSearchTests {
  private let loopback = IPAddress(v4: 0x7F00_0001)

  /// The reasons that the user was told, in order.
  private func reasons(_ node: TestNode) -> [String] {
    node.news.compactMap { if case .serverIsAway(let reason, _) = $0 { reason } else { nil } }
  }

  @Test("is by a name that is looked up anew at each try")
  func lookedUpAnew() throws {
    let server = try TestServer()
    let port = try server.serverAddress.port
    let dead = try #require(IPAddress("127.0.0.9"))
    let answers = Shared<[Result<[IPAddress], NameLookUp.Failure>]>([
      .failure(NameLookUp.Failure("no such host chat.example")), .success([dead]),
      .success([dead, loopback]),
    ])
    let asked = Shared<[String]>([])
    var surroundings = Surroundings()
    surroundings.lookUp = { name in
      asked.update { $0.append(name) }
      return answers.update { $0.count > 1 ? $0.removeFirst() : $0[0] }
    }
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "chat.example:\(port)"), groups: ["lobby"],
      surroundings: surroundings)
    try node.waitUntilIn("lobby")
    #expect(reasons(node) == ["no such host chat.example", "connection refused"])
    #expect(asked.value == ["chat.example", "chat.example", "chat.example"])
  }

  @Test("ends with what became of each address, where they differ, and of all, where they do not")
  func failures() throws {
    let port = try TestListener.unusedPort()
    let full = try TestListener()
    try full.becomeDeaf()
    let both = Shared([loopback, try #require(IPAddress("127.0.0.9"))])
    var surroundings = Surroundings()
    surroundings.lookUp = { _ in .success(both.value) }
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "chat.example:\(port)"), surroundings: surroundings)
    try eventually(within: 30, "it has failed") { !reasons(node).isEmpty }
    #expect(reasons(node).first == "connection refused")
    node.stop()
    let other = try TestNode(
      "bob", server: ServerAddress(parsing: "chat.example:\(full.port)"),
      surroundings: surroundings)
    try eventually(within: 30, "it has failed") { !reasons(other).isEmpty }
    #expect(
      reasons(other).first
        == "127.0.0.1:\(full.port): no answer within 2 s; 127.0.0.9:\(full.port): connection refused"
    )
  }

  @Test("is not waited for where the resolver hangs, and neither is the node's end")
  func hangingResolver() throws {
    let gate = Latch()
    defer { gate.open() }
    var surroundings = Surroundings()
    surroundings.lookUp = { _ in
      gate.wait()
      return .success([])
    }
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "chat.example"), surroundings: surroundings)
    // The loop answers meanwhile.
    #expect(try node.status().isServerThere == false)
    try eventually(within: 30, "it is given up") {
      reasons(node).first == "chat.example:5463 cannot be looked up: no answer within 5 s"
    }
    node.stop()
  }

  @Test("is by a name as the system's resolver knows it")
  func systemsResolver() throws {
    #expect(try NameLookUp.addresses(of: "localhost").contains { $0.isLoopback })
    let error = #expect(throws: NameLookUp.Failure.self) {
      try NameLookUp.addresses(of: "no-such-host.invalid")
    }
    #expect(error?.description.contains("no-such-host.invalid") == true)
    let server = try TestServer()
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "localhost:\(server.serverAddress.port)"),
      groups: ["lobby"])
    try node.waitUntilIn("lobby")
  }

  // MARK: Sleep

  /// A clock that stands still, so that nothing happens because of the time; and that sleeps when it
  /// is told.
  private final class StandingClock: Sendable {
    private let start = SystemClock.now()
    let passed = Atomic<Int64>(0)
    let slept = Atomic<Int64>(0)

    var clock: MachineClock {
      MachineClock(
        now: { [self] in
          var now = start
          now.monotonicMicroseconds += passed.load(ordering: .relaxed)
          now.wallMicroseconds += passed.load(ordering: .relaxed)
          return now
        }, suspendedMicroseconds: { [self] in slept.load(ordering: .relaxed) })
    }
  }

  @Test("is tried at once when the machine has slept, whatever pause had been begun")
  func wakes() throws {
    let clock = StandingClock()
    var surroundings = Surroundings()
    surroundings.clock = clock.clock
    let closed = try TestListener.unusedPort()
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "127.0.0.1:\(closed)"), surroundings: surroundings)
    for sleeps in 1...3 {
      try eventually(within: 30, "try \(sleeps)") { reasons(node).count >= sleeps }
      // The time stands still, so the pause after it does not end by itself.
      #expect(reasons(node).count == sleeps)
      clock.slept.add(3_000_000, ordering: .relaxed)
    }
    try eventually(within: 30, "the last try") { reasons(node).count == 4 }
    #expect(node.log.all.filter { $0.contains("the machine slept for 3 s") }.count == 3)
  }

  @Test("is asked for a sign of life when the machine has other addresses")
  func otherAddresses() throws {
    let clock = StandingClock()
    let addresses = Shared([loopback])
    var surroundings = Surroundings()
    surroundings.clock = clock.clock
    surroundings.addresses = { addresses.value }
    let listener = try TestListener()
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "127.0.0.1:\(listener.port)"),
      surroundings: surroundings)
    let server = try listener.accept()
    try server.send("INFO linechatd 0 protocol=1 server=0123456789abcdef\n")
    try server.expect("@label=1 NICK alice")
    try server.send("@label=1 OK NICK alice\n")
    try node.wait(for: "the server is there") {
      if case .serverIsThere = $0 { true } else { false }
    }
    // The same addresses are no news; nor are others, before it is time to look.
    clock.passed.add(MachineLimits.addressLookMicroseconds, ordering: .relaxed)
    _ = try node.status()
    addresses.value = [loopback, try #require(IPAddress("10.1.2.3"))]
    #expect(try node.status().isServerThere)
    #expect(!node.log.all.contains { $0.contains("addresses") })
    clock.passed.add(MachineLimits.addressLookMicroseconds, ordering: .relaxed)
    try node.waitForLog("the addresses of this machine are others now")
    try server.expect("PING")
    #expect(node.log.all.filter { $0.contains("addresses of this machine") }.count == 1)
  }
}
