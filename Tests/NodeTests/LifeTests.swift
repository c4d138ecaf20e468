// How a node begins and ends, what it keeps, and the two ways to take what it tells.

import Foundation
import LineChat
import Logging
import Synchronization
import TestSupport
import Testing

@Suite("A node's life", .ownThread, .timeLimit(.minutes(20)))
struct LifeTests {
  @Test("its events are read in a loop, which ends with it")
  func loop() async throws {
    let server = try TestServer()
    let bob = try await TestNode.member("bob", server)
    var configuration = PeerNode.Configuration(name: name("alice"))
    configuration.server = try ServerAddress(parsing: "\(server.address)")
    configuration.groups = [group("lobby")]
    let alice = try PeerNode.launch(configuration)
    try await bob.meets(["alice"])
    for text in ["one", "two", "stop"] { try bob.node.post(text, to: group("lobby")) }
    var heard: [String] = []
    for await case .message(let message) in alice.events {
      heard.append(message.text)
      if message.text == "stop" { alice.stop() }
    }
    #expect(heard == ["one", "two", "stop"])
    alice.waitUntilStopped()
  }

  @Test("who takes them slowly misses some, and is told; nobody waits for that")
  func slowReader() async throws {
    let server = try TestServer()
    let bob = try await TestNode.member("bob", server)
    var configuration = PeerNode.Configuration(name: name("alice"))
    configuration.server = try ServerAddress(parsing: "\(server.address)")
    configuration.groups = [group("lobby")]
    configuration.eventsMax = 3
    let alice = try PeerNode.launch(configuration)
    try await bob.meets(["alice"])
    var receipts: [Receipt] = []
    for number in 1...20 {
      receipts.append(try await bob.node.send("\(number)", to: group("lobby")))
    }
    for receipt in receipts {
      try await bob.delivery(of: receipt, to: "alice") { $0 == .delivered }
    }
    alice.stop()
    alice.waitUntilStopped()
    var events: [NodeEvent] = []
    for await event in alice.events { events.append(event) }
    guard case .missed(let count) = events.first else { throw TestFailure("\(events)") }
    #expect(count >= 17)
    let texts = events.dropFirst().map { event in
      if case .message(let message) = event { message.text } else { "" }
    }
    #expect(texts == ["18", "19", "20"])
  }

  @Test("a closure gets them on the node's thread, in order, and may post")
  func sink() async throws {
    let server = try TestServer()
    let bob = try await TestNode.member("bob", server)
    let node = Mutex<PeerNode?>(nil)
    let heard = Mutex<[String]>([])
    let threads = Mutex<Set<pthread_t>>([])
    var configuration = PeerNode.Configuration(name: name("alice"))
    configuration.server = try ServerAddress(parsing: "\(server.address)")
    configuration.groups = [group("lobby")]
    let alice = PeerNode(configuration) { event in
      threads.withLock { _ = $0.insert(pthread_self()) }
      guard case .message(let message) = event, message.path != .own else { return }
      heard.withLock { $0.append(message.text) }
      try? node.withLock { $0 }?.post("\(message.text)!", answering: message)
    }
    node.withLock { $0 = alice }
    try alice.start()
    let runs = Mutex<pthread_t?>(nil)
    Foundation.Thread.detachNewThread {
      runs.withLock { $0 = pthread_self() }
      try? alice.run()
    }
    try await bob.meets(["alice"])
    for number in 1...50 { try bob.node.post("\(number)", to: group("lobby")) }
    #expect(try await bob.hears(50).map(\.text) == (1...50).map { "\($0)!" })
    #expect(heard.withLock { $0 } == (1...50).map { "\($0)" })
    #expect(threads.withLock { $0.count } == 1)
    #expect(threads.withLock { $0.first } == runs.withLock { $0 })
    // There is no second way beside it.
    for await event in alice.events { Issue.record("\(event)") }
    alice.stop()
    alice.waitUntilStopped()
    node.withLock { $0 = nil }
  }

  @Test("it runs once, after it was started once")
  func wrongOrder() async throws {
    let node = PeerNode(PeerNode.Configuration(name: name("alice")))
    #expect(#expect(throws: NodeError.self) { try node.run() }?.kind == .wrongOrder)
    try node.start()
    #expect(#expect(throws: NodeError.self) { try node.start() }?.kind == .wrongOrder)
    let running = Task.detached { try node.run() }
    _ = try await node.status()
    #expect(#expect(throws: NodeError.self) { try node.run() }?.kind == .wrongOrder)
    // That was no end for whoever reads.
    let end = Task { for await _ in node.events {} }
    _ = try await node.status()
    node.stop()
    node.stop()
    try await running.value
    await end.value
    #expect(#expect(throws: NodeError.self) { try node.run() }?.kind == .wrongOrder)
  }

  @Test("one that is stopped before it runs ends as soon as it does")
  func stoppedBefore() throws {
    let node = PeerNode(PeerNode.Configuration(name: name("alice")))
    try node.start()
    node.stop()
    try node.run()
  }

  @Test("what it keeps is there again: name, groups, port; and only one has it")
  func storage() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let path = directory.path + "/deeper/alice"
    let alice = try await TestNode.member("alice", server) { $0.storage = .directory(path) }
    let address = try #require(alice.node.address)
    #expect(alice.node.ownerSocket == path + "/node.sock")
    let error = #expect(throws: NodeError.self) {
      try TestNode("bob", server) { $0.storage = .directory(path) }
    }
    #expect(error?.kind == .directoryInUse)
    #expect(error?.description.contains("process \(getpid())") == true)
    try await alice.node.join(group("ops"))
    try await alice.node.rename(to: name("alicia"))
    alice.stop()
    #expect(alice.node.address == nil)

    let again = try TestNode("alice", server) {
      $0.storage = .directory(path)
      $0.groups = []
    }
    try await until("it is where it was") {
      let status = try await again.node.status()
      return status.name == name("alicia") && status.isServerThere
        && Set(status.groups.map(\.name)) == [group("lobby"), group("ops")]
    }
    #expect(again.node.address == address)
    again.stop()

    let renamed = try TestNode("alice", server) {
      $0.storage = .directory(path)
      $0.isNameWanted = true
    }
    try await renamed.event("it is called as wanted") { $0 == .named(name("alice")) }
    renamed.stop()
  }

  @Test("what is wrong is said before anything runs")
  func wrongConfiguration() throws {
    let taken = try TestListener()
    let error = #expect(throws: NodeError.self) {
      try TestNode("alice", nil) {
        $0.listening = .at(try ListenAddress(parsing: "127.0.0.1:\(taken.port)"))
      }
    }
    #expect(error?.kind == .addressInUse)
    let file = try TemporaryDirectory()
    #expect(FileManager.default.createFile(atPath: file.path + "/file", contents: nil))
    let bad = #expect(throws: NodeError.self) {
      try TestNode("alice", nil) { $0.storage = .directory(file.path + "/file") }
    }
    #expect(bad?.kind == .badDirectory)
  }

  @Test("texts become a configuration, or it is said which of them is wrong")
  func texts() throws {
    let configuration = try PeerNode.Configuration(
      name: "alice", server: "chat.example", groups: ["lobby", "#ops"])
    #expect(configuration.server?.description == "chat.example:5463")
    #expect(configuration.groups == [group("lobby"), group("ops")])
    let wrong: [(String, String, [String], ErrorCode)] = [
      ("a b", "x", [], .badName), ("relay", "x", [], .badName), ("", "x", [], .badName),
      ("alice", "", [], .badAddress), ("alice", "x:70000", [], .badAddress),
      ("alice", "unix:/x", [], .badAddress), ("alice", "x", ["a b"], .badGroup),
    ]
    for (name, server, groups, code) in wrong {
      let error = #expect(throws: NodeError.self) {
        try PeerNode.Configuration(name: name, server: server, groups: groups)
      }
      #expect(error?.kind == .refused(code), "\(name) \(server) \(groups)")
    }
  }

  @Test("profiles are directories of one name")
  func profiles() throws {
    #expect(try PeerNode.Storage.profile("work", in: "/x") == .directory("/x/work"))
    for name in ["", "..", ".", ".x", "a/b", "#x", "a b", "é", String(repeating: "x", count: 65)] {
      let error = #expect(throws: NodeError.self) { try PeerNode.Storage.profile(name, in: "/x") }
      #expect(error?.kind == .refused(.badName), "\(name)")
    }
  }

  @Test("what is said is in its log at trace alone; what strangers do there is bounded")
  func log() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server, logLevel: .trace)
    let bob = try await TestNode.member("bob", server, with: ["alice"], logLevel: .debug)
    try await alice.meets(["bob"])
    try await alice.node.send("secret plans", to: group("lobby"))
    try await alice.node.send("psst", to: .name(name("bob")))
    try await bob.hears(2)
    let place = try #require(try await alice.node.status().place)
    #expect(!bob.log.all.contains { $0.contains("secret") || $0.contains("psst") })
    #expect(alice.log.all.contains("trace alice@\(place) to lobby (own): secret plans"))
    #expect(alice.log.all.contains("trace alice@\(place) to @bob (own): psst"))

    let stranger = try TestClient(try #require(alice.node.address))
    try stranger.line(startingWith: "INFO ")
    for _ in 1...300 { try stranger.send("FROBNICATE \u{7}\n") }
    for _ in 1...300 { try stranger.line(startingWith: "ERR ") }
    let shown = alice.log.all.filter { $0.contains("refused 127.0.0.1:") }
    #expect(shown.count >= 1 && shown.count <= 100)
    #expect(!alice.log.all.contains { $0.contains("\u{7}") })
  }
}
