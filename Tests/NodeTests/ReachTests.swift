// Ways to a member: directly, through the server, later. And those who must not get what is meant for
// somebody else.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("Ways to a member", .ownThread, .timeLimit(.minutes(20)))
struct ReachTests {
  /// A member that says it listens and is reached through the server alone: a node as far as the
  /// others can tell, played by the test.
  private static func unreachable(_ server: TestServer, _ port: UInt16) throws -> TestClient {
    let client = try server.client()
    try client.send("@label=1 NICK bob\n@label=2 JOIN lobby :\(port)\n")
    try client.line(startingWith: "@label=1 OK NICK")
    try client.line { $0.contains(" OK JOIN lobby ") }
    return client
  }

  @Test("who cannot be dialled gets it through the server, at once after the first two seconds")
  func relayed() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let bob = try Self.unreachable(server, try TestListener.unusedPort())
    try await alice.meets(["bob"])
    let first = try await alice.node.send("one", to: group("lobby"))
    let line = try bob.line { $0.contains(" MSG lobby one") }
    #expect(line.contains("msgid=\(first.message.id?.description ?? "?")"))
    try await alice.delivery(of: first, to: "bob") { $0 == .relayed }
    try bob.send("@to=alice ACK lobby \(first.message.id?.description ?? "?")\n")
    try await alice.event("bob has it") { event in
      if case .delivery(first.message.id, _, name("bob"), .delivered) = event {
        true
      } else {
        false
      }
    }
    // Nobody waits for the dead place any more.
    for number in 2...20 {
      let receipt = try await alice.node.send("\(number)", to: group("lobby"))
      #expect(receipt.entries.map(\.state) == [.relayed])
      try bob.line { $0.contains(" MSG lobby \(number)") }
    }
  }

  @Test("who can be reached by neither gets it when it is back, and the sender was told")
  func waiting() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"]) {
      $0.storage = .directory(directory.path)
    }
    try await alice.meets(["bob"])
    bob.stop()
    let receipt = try await alice.node.send("when you are back", to: group("lobby"))
    let state = try #require(receipt.entries.first?.state)
    guard case .waiting = state else { throw TestFailure("\(state)") }
    let privately = try await alice.node.send("and this", to: .name(name("bob")))
    guard case .waiting? = privately.entries.first?.state else {
      throw TestFailure("\(privately.entries)")
    }
    let again = try await TestNode.member("bob", server, with: ["alice"]) {
      $0.storage = .directory(directory.path)
    }
    let heard = try await again.hears(2)
    #expect(Set(heard.map(\.text)) == ["when you are back", "and this"])
    #expect(heard.allSatisfy { $0.isFromBeforeStart })
    for sent in [receipt, privately] {
      try await alice.delivery(of: sent, to: "bob") { $0 == .delivered }
    }
  }

  @Test("another node at a dead member's address and port receives nothing meant for that member")
  func takenAddress() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let port = try TestListener.unusedPort()
    let place = try ListenAddress(parsing: "127.0.0.2:\(port)")
    let alice = try await TestNode.member("alice", server)
    let carol = try await TestNode.member("carol", server, with: ["alice"]) {
      $0.listening = .at(place)
      $0.storage = .directory(directory.path)
    }
    try await alice.meets(["carol"])
    let first = try await alice.node.send("hello, carol", to: group("lobby"))
    try await alice.delivery(of: first, to: "carol") { $0 == .delivered }
    carol.stop()
    // In another group, so that nothing that alice says there is for it.
    let dave = try TestNode("dave", server) {
      $0.listening = .at(place)
      $0.groups = [group("attic")]
    }
    try await until("dave is in the attic") {
      (try? await dave.node.members(of: group("attic"))) != nil
    }
    let secret = try await alice.node.send("for carol alone", to: .name(name("carol")))
    let said = try await alice.node.send("for the lobby alone", to: group("lobby"))
    try await alice.event("the wrong one answers") { event in
      if case .linkDown(_, let reason, _) = event { reason.contains("dave answers") } else { false }
    }
    for receipt in [secret, said] {
      guard case .waiting? = receipt.entries.first(where: { $0.recipient == name("carol") })?.state
      else { throw TestFailure("\(receipt.entries)") }
    }
    dave.stop()
    #expect(dave.heard.isEmpty)
    let again = try await TestNode.member("carol", server, with: ["alice"]) {
      $0.listening = .at(place)
      $0.storage = .directory(directory.path)
    }
    let texts = try await again.hears(2).map(\.text)
    #expect(Set(texts) == ["for carol alone", "for the lobby alone"])
  }

  @Test("the first message right after a join is refused by nobody", arguments: [1_000])
  func rightAfterJoin(count: Int) async throws {
    let server = try TestServer()
    // Each at a host of its own, so that being from the server's host proves nothing.
    let hosts = ["alice": 2, "bob": 3]
    func member(_ name: String) async throws -> TestNode {
      let node = try TestNode(name, server) {
        $0.listening = .at(try ListenAddress(parsing: "127.0.0.\(hosts[name] ?? 4):0"))
        $0.eventsMax = 1
      }
      try await node.meets([])
      return node
    }
    let alice = try await member("alice")
    let bob = try await member("bob")
    for number in 1...count {
      let here = group("g\(number)")
      try await alice.node.join(here)
      try await bob.node.join(here)
      try bob.node.post("bob", to: here)
      try alice.node.post("alice", to: here)
      if number % 10 == 0 { try await alice.node.leave(group("g\(number - 5)")) }
    }
    // Whoever joined spoke to everybody who was there, and was heard.
    try await alice.hears(count)
    #expect((alice.events + bob.events).filter(Self.isRefusal).isEmpty)
    #expect(Set(alice.heard.map(\.conversation)).count == count)
  }

  private static func isRefusal(_ event: NodeEvent) -> Bool {
    switch event {
    case .delivery(_, _, _, .failed(let reason)): !reason.hasPrefix("left ")
    case .refused: true
    default: false
    }
  }

  @Test("a stranger at a node's port can neither speak for a member, change a roster, nor more")
  func stranger() async throws {
    let server = try TestServer()
    func at(_ host: Int) throws -> ListenAddress { try ListenAddress(parsing: "127.0.0.\(host):0") }
    let alice = try await TestNode.member("alice", server) { $0.listening = .at(try at(2)) }
    let bob = try await TestNode.member("bob", server, with: ["alice"]) {
      $0.listening = .at(try at(3))
    }
    try await alice.meets(["bob"])
    guard case .direct(let place) = try await bob.node.status().place,
      let port = alice.node.address
    else { throw TestFailure("no place") }
    let rosterBefore = try await alice.node.members(of: group("lobby"))
    let host = try #require(IPAddress("127.0.0.9"))
    let stranger = try TestClient(port, from: host)
    try stranger.line(startingWith: "INFO linechat ")
    for (line, code) in [
      (":bob@\(place) MSG lobby I am bob", "forbidden"),
      (":bob@relay MSG lobby I am bob", "forbidden"),
      ("@msgid=0123456789abcdef.1;version=9999999999.9 :bob@\(place) PM alice me", "forbidden"),
      ("MSG lobby hello", "forbidden"),
      (":mallory@127.0.0.9:666 JOIN lobby", "not-a-server"),
      ("JOIN lobby 127.0.0.9:666", "not-a-server"), ("NICK alice", "not-a-server"),
      (":bob@\(place) LEAVE lobby", "not-a-server"),
      (":bob@\(place) NICK mallory", "not-a-server"),
      ("MEMBER lobby mallory@127.0.0.9:666 online", "unknown-verb"),
      ("STATS", "not-a-server"), ("PM carol hi", "no-such-peer"),
    ] {
      try stranger.send(line + "\n")
      let reply = try stranger.line { $0.contains("ERR ") || $0.contains("OK ") }
      #expect(reply.contains("ERR \(code) "), "\(line)")
    }
    // It is told how many are in a group, not who.
    let plain = try TestClient(port, from: host)
    try plain.line(startingWith: "INFO linechat ")
    #expect(try plain.ask("MEMBERS lobby") == "OK MEMBERS lobby 2")
    #expect(try plain.ask("PM alice it is only me") == "OK PM alice")
    let message = try await alice.hears(1)[0]
    #expect(message.isUnverified && message.unverifiedAddress == IPAddress("127.0.0.9"))
    // That somebody was reached may be told in between.
    let rosterAfter = try await alice.node.members(of: group("lobby"))
    #expect(rosterAfter.map(\.member) == rosterBefore.map(\.member))
    #expect(alice.heard.count == 1)
  }
}
