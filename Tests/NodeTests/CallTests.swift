// What the calls of a node answer, and what becomes of those that nobody waits for any more.

import Foundation
import LineChat
import LineProtocol
import Logging
import TestSupport
import Testing

@Suite("A node's calls", .ownThread, .timeLimit(.minutes(20)))
struct CallTests {
  /// A server of the test's own: it greets, takes the name, gives signs of life, and leaves everything
  /// else to the test. It has a thread to itself, so that a test that has to wait for others does not
  /// look like a server that is gone.
  private final class FakeServer: Sendable {
    private let requests = Shared<[String]>([])
    private let replies = Shared<[String]>([])
    private let isOver = Shared(false)

    init(_ listener: TestListener) throws {
      let handover = Handover(listener)
      Thread.detachNewThread { [requests, replies, isOver] in
        try? Self.serve(handover.listener, requests, replies, isOver)
      }
    }

    deinit { isOver.value = true }

    private struct Handover: @unchecked Sendable {
      let listener: TestListener
      init(_ listener: TestListener) { self.listener = listener }
    }

    private static func serve(
      _ listener: TestListener, _ requests: Shared<[String]>, _ replies: Shared<[String]>,
      _ isOver: Shared<Bool>
    ) throws {
      let connection = try listener.accept(within: 60)
      try connection.send(
        "INFO linechatd 0.1.0 protocol=1 server=00c0ffee00c0ffee you=guest1 max-line=65536 help=HELP\n"
      )
      connection.patienceSeconds = 0.01
      while !isOver.value, connection.end == nil {
        for reply in replies.update({ replies in
          defer { replies = [] }
          return replies
        }) { try connection.send(reply) }
        guard let line = try? connection.line() else { continue }
        let words = line.split(separator: " ")
        if line.contains(" NICK ") {
          try connection.send("\(words[0]) OK NICK \(words[2])\n")
        } else if words.last == "PING" {
          try connection.send("PONG\n")
        } else {
          requests.update { $0.append(line) }
        }
      }
    }

    func send(_ text: String) { replies.update { $0.append(text) } }

    /// Waits for a request.
    func request(_ text: String) async throws -> String {
      // The task that asks for it may have to wait for all other tests.
      try await found(within: 200, "the request \(text)") {
        requests.value.first { $0.contains(text) }
      }
    }
  }

  private static func alone(
    _ change: (inout PeerNode.Configuration) throws -> Void = { _ in }
  ) throws -> TestNode {
    try TestNode("alice", nil, change)
  }

  private static func kind(_ body: () async throws -> Void) async -> NodeError.Kind? {
    do { try await body() } catch { return (error as? NodeError)?.kind }
    return nil
  }

  @Test("a task that is cancelled waits no more, and what it asked for goes on")
  func cancelled() async throws {
    let listener = try TestListener()
    let alice = try Self.alone {
      $0.server = try ServerAddress(parsing: "127.0.0.1:\(listener.port)")
      $0.listening = .relay
    }
    let server = try FakeServer(listener)
    try await alice.event("the server is there") { event in
      if case .serverIsThere = event { true } else { false }
    }
    let call = Task { try await alice.node.join(group("ops")) }
    let request = try await server.request(" JOIN ops relay")
    call.cancel()
    #expect(await Self.kind { _ = try await call.value } == .cancelled)
    let label = request.prefix { $0 != " " }
    let place = "alice@relay"
    server.send(
      "\(label) MEMBER ops \(place) online tags\n\(label);version=1.1 OK JOIN ops 1\n")
    try await alice.event("it is in all the same") {
      $0 == .entered(group("ops"), members: 1, isNew: true)
    }
    #expect(try await alice.node.members(of: group("ops")).map(\.member.description) == [place])
    withExtendedLifetime(server) {}
  }

  @Test("a task that is cancelled already asks for nothing")
  func cancelledBefore() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let call = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      try await alice.node.send("not to be said", to: group("lobby"))
    }
    #expect(await Self.kind { _ = try await call.value } == .cancelled)
    try await alice.node.send("to be said", to: group("lobby"))
    let own = alice.events.compactMap { event in
      if case .message(let message) = event { message.text } else { nil }
    }
    #expect(own == ["to be said"])
  }

  @Test("what cannot be done is refused with its code")
  func refusals() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server) { $0.lineBytesMax = 1_024 }
    let (node, lobby, nowhere) = (alice.node, group("lobby"), group("nowhere"))
    let refused: [(ErrorCode, () async throws -> Void)] = [
      (.notMember, { try await node.send("x", to: nowhere) }),
      (.noSuchPeer, { try await node.send("x", to: .name(name("alice"))) }),
      (.lineTooLong, { try await node.send(String(repeating: "x", count: 1_024), to: lobby) }),
      (.badEncoding, { try await node.send("two\nlines", to: lobby) }),
      (.badEncoding, { try await node.send("\u{1B}[2J", to: lobby) }),
      (.badSyntax, { try await node.send("", to: lobby) }),
      (.badSyntax, { try await node.send("  ", to: lobby) }),
      (.noSuchGroup, { _ = try await node.members(of: nowhere) }),
      (.notMember, { try await node.leave(nowhere) }),
    ]
    for (index, (code, call)) in refused.enumerated() {
      let kind = await Self.kind(call)
      #expect(kind == .refused(code), "the call with index \(index)")
    }
    let endpoint = try #require(Endpoint("127.0.0.9:9"))
    #expect(
      await Self.kind { try await node.send("x", to: .endpoint(endpoint)) }
        == .refused(.noSuchPeer))
    #expect(try await node.status().outboxMessages == 0)
  }

  @Test("a name that shares no group with it is looked for by the server")
  func unknownName() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let stranger = try server.client()
    try stranger.ask("NICK stranger")
    let receipt = try await alice.node.send("hello", to: .name(name("stranger")))
    #expect(receipt.entries.map(\.recipient) == [name("stranger")])
    #expect(try stranger.line()?.hasSuffix(" PM stranger hello") == true)

    let lost = try await alice.node.send("hello", to: .name(name("nobody")))
    guard case .failed(let reason) = lost.entries.first?.state else {
      throw TestFailure("it has not failed: \(lost.entries)")
    }
    #expect(!reason.isEmpty)
    try await until("the log says so") {
      alice.log.all.contains { $0.hasPrefix("warning nobody will not get message ") }
    }
    #expect(try await alice.node.status().outboxMessages == 0)
  }

  @Test("what was said by nobody that can be named cannot be answered")
  func unverified() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    let address = try #require(alice.node.address)
    let stranger = try TestClient(address, from: IPAddress("127.0.0.9"))
    #expect(try stranger.ask("PM alice who is there?") == "OK PM alice")
    let message = try await alice.hears(1)[0]
    #expect(message.isUnverified && message.unverifiedAddress?.description == "127.0.0.9")
    #expect(
      await Self.kind { try await alice.node.send("me", answering: message) }
        == .refused(.noSuchPeer))
    #expect(
      await Self.kind { try alice.node.post("me", answering: message) } == .refused(.noSuchPeer))
  }

  @Test("calls from before it runs are carried out when it does, in order, and they have a bound")
  func beforeItRuns() async throws {
    let server = try TestServer()
    let bob = try await TestNode.member("bob", server)
    let directory = try TemporaryDirectory()
    let first = try await TestNode.member("alice", server, with: ["bob"]) {
      $0.storage = .directory(directory.path)
    }
    try await bob.meets(["alice"])
    first.stop()

    var configuration = PeerNode.Configuration(name: name("alice"))
    configuration.server = try ServerAddress(parsing: "\(server.address)")
    configuration.storage = .directory(directory.path)
    let node = PeerNode(configuration)
    var taken = 0
    let error = #expect(throws: NodeError.self) {
      while taken < 100_000 {
        try node.post("line \(taken)", to: group("lobby"))
        taken += 1
      }
    }
    #expect(error?.kind == .tooManyCalls)
    #expect(taken >= 1_000)
    try node.start()
    let thread = Task.detached { try node.run() }
    let heard = try await bob.hears(taken)
    #expect(heard.map(\.text) == (0..<taken).map { "line \($0)" })
    node.stop()
    try await thread.value
  }

  @Test("after the end, every call says so")
  func stopped() async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server)
    alice.stop()
    let node = alice.node
    #expect(await Self.kind { try await node.send("x", to: group("lobby")) } == .stopped)
    #expect(await Self.kind { try await node.join(group("lobby")) } == .stopped)
    #expect(await Self.kind { _ = try await node.status() } == .stopped)
    #expect(await Self.kind { _ = try await node.groups() } == .stopped)
    #expect(await Self.kind { try node.post("x", to: group("lobby")) } == .stopped)
  }

  @Test("a call that is under way at the end is answered")
  func stoppedMeanwhile() async throws {
    let listener = try TestListener()
    let alice = try Self.alone {
      $0.server = try ServerAddress(parsing: "127.0.0.1:\(listener.port)")
      $0.listening = .relay
    }
    let server = try FakeServer(listener)
    try await alice.event("the server is there") { event in
      if case .serverIsThere = event { true } else { false }
    }
    async let kind = Self.kind { try await alice.node.join(group("ops")) }
    _ = try await server.request(" JOIN ops relay")
    alice.node.stop()
    let answer = await kind
    #expect(answer == .refused(.unreachable) || answer == .stopped)
  }
}
