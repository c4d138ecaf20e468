// Nodes of the library talking to each other: what a sender is told, and what the others hear.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("Nodes talk", .ownThread, .timeLimit(.minutes(20)))
struct TalkTests {
  @Test("in a group and privately, directly, and each sender knows that it got there")
  func talk() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"])
    let carol = try await TestNode.member("carol", server, with: ["alice", "bob"])
    try await alice.meets(["bob", "carol"])
    try await alice.isLinked(to: ["bob", "carol"])

    let receipt = try await alice.node.send("hello, you two", to: group("lobby"))
    #expect(receipt.entries.map(\.recipient) == [name("bob"), name("carol")])
    for recipient in ["bob", "carol"] {
      try await alice.delivery(of: receipt, to: recipient) { $0 == .delivered }
    }
    let place = try #require(try await alice.node.status().place)
    for other in [bob, carol] {
      let message = try await other.hears(1)[0]
      #expect(message.text == "hello, you two")
      #expect(message.from == Member(name: name("alice"), place: place))
      #expect(message.conversation == .group(group("lobby")))
      #expect(message.path == .direct)
      #expect(message.id == receipt.message.id)
      #expect(!message.isLate && !message.isFromBeforeStart && !message.isUnverified)
    }
    #expect(
      alice.events.contains { event in
        if case .message(let message) = event { message == receipt.message } else { false }
      })

    // By name, by address, by both.
    let member = try #require(
      try await alice.node.members(of: group("lobby")).first { $0.member.name == name("bob") })
    #expect(member.isOnline && member.speaksTags)
    guard case .direct(let endpoint) = member.member.place else {
      throw TestFailure("bob is not direct")
    }
    #expect(bob.node.address?.description == "\(endpoint)")
    let recipients: [Recipient] = [.name(name("bob")), .endpoint(endpoint), .member(member.member)]
    for (index, recipient) in recipients.enumerated() {
      let sent = try await alice.node.send("psst \(index)", to: recipient)
      #expect(sent.entries.map(\.recipient) == [name("bob")])
    }
    let heard = try await bob.hears(4).dropFirst()
    #expect(heard.map(\.text) == ["psst 0", "psst 1", "psst 2"])
    #expect(heard.allSatisfy { $0.conversation == .person(name("alice")) })
    #expect(carol.heard.count == 1)

    // The answers go where the questions came from.
    try await bob.node.send("yes?", answering: bob.heard[1])
    try bob.node.post("hello, alice", answering: bob.heard[0])
    let answers = try await alice.hears(2)
    #expect(answers.map(\.conversation) == [.person(name("bob")), .group(group("lobby"))])
  }

  @Test("what is posted goes out in order, with an outcome each")
  func posts() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"])
    try await alice.meets(["bob"])
    let count = 500
    for number in 1...count { try alice.node.post("line \(number)", to: group("lobby")) }
    try await alice.node.send("last", to: group("lobby"))
    let heard = try await bob.hears(count + 1)
    #expect(heard.map(\.text) == (1...count).map { "line \($0)" } + ["last"])
    try await until("each has its outcome") { alice.posted.count == count }
    #expect(alice.posted.map(\.message.text) == (1...count).map { "line \($0)" })

    try alice.node.post("hello?", to: group("nowhere"))
    let event = try await alice.event("it is not posted") { event in
      if case .notPosted = event { true } else { false }
    }
    guard case .notPosted(let text, let target, let error) = event else { return }
    #expect(text == "hello?")
    #expect(target == .group(group("nowhere")))
    #expect(error.kind == .refused(.notMember))
  }

  @Test("with members of netcat: what is sent and not acknowledged is said so")
  func netcat() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let bob = try server.member("bob")
    // A netcat that listens at a port of its own, in a group alone with alice.
    let listener = try TestListener()
    let carol = try server.client()
    try carol.ask("NICK carol")
    try carol.ask("JOIN lobby :\(listener.port)")
    try await alice.meets(["bob", "carol"])
    let receipt = try await alice.node.send("hello", to: group("lobby"))
    for recipient in ["bob", "carol"] {
      try await alice.delivery(of: receipt, to: recipient) { $0 == .sent }
    }
    #expect(try await alice.node.status().outboxMessages == 0)
    let place = try #require(try await alice.node.status().place)
    try bob.line { $0 == ":alice@\(place) MSG lobby hello" }
    #expect(try listener.lines(1) == [":alice@\(place) MSG lobby hello"])
    try bob.ask("MSG lobby hi there")
    #expect(try await alice.hears(1)[0].text == "hi there")
    #expect(alice.heard[0].path == .relayed)
  }

  @Test("who is away gets it when back, once; the sender is told each time; it is marked as old")
  func away() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"]) {
      $0.storage = .directory(directory.path)
    }
    try await alice.meets(["bob"])
    let first = try await alice.node.send("one", to: group("lobby"))
    try await alice.delivery(of: first, to: "bob") { $0 == .delivered }
    try await bob.hears(1)
    bob.stop()
    try await alice.event("bob's going is seen") { event in
      if case .presence(let member, false) = event { member.name == name("bob") } else { false }
    }
    let second = try await alice.node.send("two", to: group("lobby"))
    guard case .waiting(let reason) = second.entries.first?.state else {
      throw TestFailure("it does not wait: \(second.entries)")
    }
    #expect(!reason.isEmpty)
    let waits = "info message \(try #require(second.message.id)) to lobby waits for bob: \(reason)"
    try await until("the log says so") { alice.log.all.contains(waits) }
    let waiting = try await alice.node.status()
    #expect(waiting.outboxMessages == 1)

    // The profile knows its server, name and group.
    let back = try TestNode("somebody", server) {
      $0.storage = .directory(directory.path)
      $0.groups = []
    }
    let message = try await back.hears(1)[0]
    #expect(message.text == "two")
    #expect(message.isFromBeforeStart)
    #expect(try await back.node.status().name == name("bob"))
    try await alice.delivery(of: second, to: "bob") { $0 == .delivered }
    let id = try #require(second.message.id)
    try await until("the log says so") {
      alice.log.all.contains("info bob has message \(id) to lobby")
    }
    try await alice.node.send("three", to: group("lobby"))
    #expect(try await back.hears(2).map(\.text) == ["two", "three"])
    #expect(!back.heard[1].isFromBeforeStart)
  }

  @Test("without the server, they go on; when it is there again, so are they")
  func withoutServer() async throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer(directory)
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"])
    try await alice.meets(["bob"])
    try await alice.isLinked(to: ["bob"])
    let address = try server.address
    server.stop()
    for node in [alice, bob] {
      try await node.event("the server is away") { event in
        if case .serverIsAway = event { true } else { false }
      }
    }
    let receipt = try await alice.node.send("just us", to: group("lobby"))
    try await alice.delivery(of: receipt, to: "bob") { $0 == .delivered }
    #expect(try await bob.hears(1)[0].path == .direct)
    let error = await #expect(throws: NodeError.self) {
      try await alice.node.join(group("other"))
    }
    #expect(error?.kind == .refused(.unreachable))
    #expect(try await alice.node.groups().map(\.name) == [group("lobby")])

    let again = try TestServer {
      $0.dataDirectory = directory.path
      $0.listen = [address]
    }
    try await until("they are in again") {
      alice.events.contains(.entered(group("lobby"), members: 2, isNew: false))
    }
    #expect(try await alice.node.join(group("other")).count == 1)
    #expect(try await Set(alice.node.groups().map(\.name)) == [group("lobby"), group("other")])
    again.stop()
  }

  @Test("from other hosts, listening where they are told, or nowhere")
  func places() async throws {
    let server = try TestServer { $0.listen = [try ListenAddress(parsing: "127.0.0.1:0")] }
    let alice = try await TestNode.member("alice", server) {
      $0.listening = .at(try ListenAddress(parsing: "127.0.0.2:0"))
    }
    let bob = try await TestNode.member("bob", server, with: ["alice"]) {
      $0.listening = .at(try ListenAddress(parsing: "127.0.0.3:0"))
    }
    let carol = try await TestNode.member("carol", server, with: ["alice", "bob"]) {
      $0.listening = .relay
    }
    try await alice.meets(["bob", "carol"])
    #expect(alice.node.address?.description.hasPrefix("127.0.0.2:") == true)
    #expect(bob.node.address?.description.hasPrefix("127.0.0.3:") == true)
    #expect(carol.node.address == nil)
    #expect(try await carol.node.status().place == .relay)
    try await alice.isLinked(to: ["bob"])
    let receipt = try await alice.node.send("hello", to: group("lobby"))
    for recipient in ["bob", "carol"] {
      try await alice.delivery(of: receipt, to: recipient) { $0 == .delivered }
    }
    #expect(try await bob.hears(1)[0].path == .direct)
    #expect(try await carol.hears(1)[0].path == .relayed)
    // Who has no address cannot prove directly who it is.
    try await carol.node.send("hello yourself", to: .name(name("alice")))
    #expect(try await alice.hears(1)[0].path == .relayed)
  }

  @Test("joins, leaves and other names are told to the others")
  func changes() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let bob = try await TestNode.member("bob", server, with: ["alice"])
    try await alice.meets(["bob"])
    let place = try #require(try await bob.node.status().place)
    let asBob = Member(name: name("bob"), place: place)
    #expect(alice.events.contains(.joined(asBob, group("lobby"))))

    try await bob.node.rename(to: name("Robert"))
    try await bob.event("the new name") { $0 == .named(name("Robert")) }
    try await alice.event("the new name") { $0 == .renamed(asBob, to: name("Robert")) }
    let error = await #expect(throws: NodeError.self) {
      try await bob.node.rename(to: name("alice"))
    }
    #expect(error?.kind == .refused(.nameTaken))

    #expect(try await alice.node.join(group("ops")).map(\.member.name) == [name("alice")])
    let both = try await bob.node.join(group("ops"))
    #expect(both.map(\.member.name) == [name("alice"), name("Robert")])
    try await bob.node.leave(group("lobby"))
    let asRobert = Member(name: name("Robert"), place: place)
    try await alice.event("the leave") { $0 == .left(asRobert, group("lobby"), reason: "") }
    try await bob.event("the leave") { $0 == .exited(group("lobby"), reason: "") }
    #expect(try await bob.node.status().groups.map(\.name) == [group("ops")])
    try await until("the log has all of it") {
      let log = alice.log.all
      return [
        "\(asBob) joined lobby", "\(asBob) is now Robert", "\(asRobert) joined ops",
        "\(asRobert) left lobby",
      ].allSatisfy { log.contains("info " + $0) }
    }
  }
}

extension TestNode {
  /// What was posted and taken over, in order.
  var posted: [Receipt] {
    events.compactMap { if case .posted(let receipt) = $0 { receipt } else { nil } }
  }
}
