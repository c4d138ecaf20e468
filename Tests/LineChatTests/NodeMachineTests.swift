// A node's machine with real sockets and a real server: where it listens, where it dials from, how its
// owner speaks to it.

import Glibc
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@testable import LineChat

@Suite("A node's machine", .ownThread, .timeLimit(.minutes(20)))
struct NodeMachineTests {
  @Test("joins, and talks to another one directly")
  func talks() throws {
    let server = try TestServer()
    let alice = try TestNode("alice", server: server.serverAddress, groups: ["lobby"])
    try alice.waitUntilIn("lobby")
    let bob = try TestNode("bob", server: server.serverAddress, groups: ["lobby"])
    try bob.waitUntilIn("lobby")
    try alice.wait(for: "bob joins") { if case .joined = $0 { true } else { false } }
    guard case .receipt(let receipt) = try alice.say("hello", in: "lobby") else {
      throw TestFailure("no receipt")
    }
    #expect(receipt.entries.map { "\($0.recipient)" } == ["bob"])
    try bob.expect(["hello"])
    try eventually(within: 30, "alice knows") { try alice.status().outboxMessages == 0 }
    let status = try alice.status()
    #expect(status.contacts.map(\.sentDirectly) == [1])
    #expect(status.isServerThere)
    #expect(try status.place?.description == alice.address().description)
    try alice.waitForLog("linked to bob@")
  }

  // MARK: Where it listens

  @Test("listens where it is told, dials from there, and is the host there to its server")
  func explicit() throws {
    let server = try TestServer()
    func node(_ name: String, _ host: String) throws -> TestNode {
      try TestNode(name, server: server.serverAddress, groups: ["lobby"]) {
        $0.listening = .at(try ListenAddress(parsing: "\(host):0"))
      }
    }
    let alice = try node("alice", "127.0.0.2")
    try alice.waitUntilIn("lobby")
    let bob = try node("bob", "127.0.0.3")
    try bob.waitUntilIn("lobby")
    #expect(try alice.address().description.hasPrefix("127.0.0.2:"))
    #expect(try bob.status().place?.description == bob.address().description)
    #expect(server.log.all.contains { $0.hasPrefix("info 127.0.0.2:") && $0.contains("connected") })
    try alice.wait(for: "bob joins") { if case .joined = $0 { true } else { false } }
    try alice.say("from the second host", in: "lobby")
    try bob.waitForLog("info 127.0.0.2:")
    try bob.expect(["from the second host"])
  }

  @Test("on all addresses, the others are told the one by which the server sees it")
  func everywhere() throws {
    let server = try TestServer()
    let node = try TestNode("alice", server: server.serverAddress, groups: ["lobby"]) {
      $0.listening = .at(try ListenAddress(parsing: "0.0.0.0:0"))
    }
    try node.waitUntilIn("lobby")
    guard case .tcp(_, let port) = try node.address().kind else { throw TestFailure("no port") }
    #expect(try node.status().place?.description == "127.0.0.1:\(port)")
    _ = try TestClient(ListenAddress(parsing: "127.0.0.2:\(port)")).line(startingWith: "INFO ")
  }

  @Test("listens nowhere where it is to be reached through the server")
  func relay() throws {
    let server = try TestServer()
    let node = try TestNode("alice", server: server.serverAddress, groups: ["lobby"]) {
      $0.listening = .relay
    }
    try node.waitUntilIn("lobby")
    #expect(node.machine.address == nil)
    #expect(try node.status().place == .relay)
  }

  @Test("says what is wrong with an address, and leaves nothing open")
  func badAddress() throws {
    let directory = try TemporaryDirectory()
    let taken = try TestListener()
    for (text, kind) in [
      ("192.0.2.77:0", NodeError.Kind.noSuchAddress), ("unix:/tmp/x", .noSuchAddress),
      ("127.0.0.1:\(taken.port)", .addressInUse),
    ] {
      let error = #expect(throws: NodeError.self) {
        _ = try TestNode("alice", in: directory) {
          $0.listening = .at(try ListenAddress(parsing: text))
        }
      }
      #expect(error?.kind == kind, "\(text): \(error?.description ?? "")")
    }
    // The directory is free again.
    _ = try TestNode("alice", in: directory)
  }

  @Test("moves its listener with the address by which it reaches the server, and keeps its port")
  func moves() throws {
    let own = Interfaces.addresses().filter { !$0.isLinkLocal && $0 != IPAddress("127.0.0.1") }
    let other = try #require(own.first, "a machine with two addresses")
    let server = try TestServer {
      $0.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    }
    guard case .tcp(_, let port) = try server.address.kind else { throw TestFailure("no port") }
    let second = try TestServer { $0.listen = [ListenAddress(other, port: port)] }
    let addresses = Shared([try #require(IPAddress("127.0.0.1"))])
    var surroundings = Surroundings()
    surroundings.lookUp = { _ in .success(addresses.value) }
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "chat.example:\(port)"), groups: ["lobby"],
      surroundings: surroundings)
    try node.waitUntilIn("lobby")
    guard case .tcp(let first, let listened) = try node.address().kind else {
      throw TestFailure("no address")
    }
    #expect(first.description == "127.0.0.1")
    addresses.value = [other]
    server.stop()
    let moved = ListenAddress(other, port: listened)
    try eventually(within: 30, "it listens at \(moved)") { node.machine.address == moved }
    try node.wait(for: "it says that this is another server") {
      if case .serverIsThere(_, isAnother: true) = $0 { true } else { false }
    }
    try eventually(within: 30, "it is in again") { try node.status().isServerThere }
    _ = try TestClient(moved).line(startingWith: "INFO ")
    #expect(throws: TestFailure.self) { _ = try TestClient(ListenAddress(first, port: listened)) }
    second.stop()
  }

  @Test("on its server's machine, listens where the server tells the others that it does")
  func follows() throws {
    let server = try TestServer {
      $0.listen = [try ListenAddress(parsing: "0.0.0.0:0")]
    }
    guard case .tcp(let every, let port) = try server.address.kind else {
      throw TestFailure("no port")
    }
    let outward = Interfaces.outwardAddress([every], among: Interfaces.addresses())
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "127.0.0.1:\(port)"), groups: ["lobby"])
    try node.waitUntilIn("lobby")
    try eventually(within: 30, "it listens there") {
      guard case .tcp(let address, _) = node.machine.address?.kind else { return false }
      return address == outward ?? IPAddress("127.0.0.1")
    }
    try eventually(within: 30, "that is its place") {
      try node.status().place?.description == node.machine.address?.description
    }

    try node.wait(for: "the server reaches it") { $0 == .reachable(true) }
    // Where it is is where it stays when the server is lost and found again.
    let before = node.machine.address
    server.stop()
    let again = try TestServer { $0.listen = [ListenAddress(every, port: port)] }
    try node.wait(for: "the other server") {
      if case .serverIsThere(_, isAnother: true) = $0 { true } else { false }
    }
    try eventually(within: 30, "it is in") { try node.status().isServerThere }
    #expect(node.machine.address == before)
    again.stop()
  }

  // MARK: Where it dials from

  @Test(
    "dials from the address it is to have, or from any where the machine does not have that one",
    arguments: [
      ("127.0.0.2", "127.0.0.2"), ("192.0.2.77", "127.0.0.1"), ("fd00::77", "127.0.0.1"),
    ])
  func source(wanted: String, seen: String) throws {
    let listener = try TestListener()
    let endpoint = try #require(Endpoint("127.0.0.1:\(listener.port)"))
    let descriptor = try Descriptor.dial(endpoint, from: IPAddress(wanted))
    let accepted = try listener.accept()
    let number = accepted.descriptor
    let (_, peer) = SocketAddress.receive { getpeername(number, $0, $1) }
    #expect(peer?.endpoint?.address.description == seen)
    #expect(SocketAddress.local(of: descriptor) == peer)
  }

  // MARK: Its port

  @Test("keeps its port over restarts, also without its server; where it is taken, gets another")
  func keepsPort() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    var node = try TestNode("alice", server: server.serverAddress, in: directory, groups: ["lobby"])
    try node.waitUntilIn("lobby")
    let first = try node.address()
    node.stop()
    #expect(node.machine.address == nil)
    node = try TestNode("alice", server: server.serverAddress, in: directory)
    try node.waitUntilIn("lobby")
    #expect(try node.address() == first)
    node.stop()
    let address = try server.serverAddress
    server.stop()

    // It listens before anything is heard of the server.
    node = try TestNode("alice", server: address, in: directory)
    #expect(node.machine.address == first)
    let stranger = try TestClient(first)
    #expect(try stranger.line()?.contains(" name=alice ") == true)
    stranger.close()
    node.stop()

    guard case .tcp(_, let port) = first.kind else { throw TestFailure("no port") }
    let thief = try TestListener(port: port)
    let second = try TestServer { $0.listen = [ListenAddress(thief.host, port: address.port)] }
    node = try TestNode("alice", server: address, in: directory)
    try node.waitForLog("not listening before the server is there")
    try node.waitForLog("the port of before is not to be had")
    try eventually(within: 30, "it has another") { node.machine.address != nil }
    #expect(try node.address() != first)
    second.stop()
  }

  // MARK: Its owner

  @Test("its owner speaks as the user on a socket in its directory, and nobody else can")
  func ownersSocket() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    let node = try TestNode("alice", server: server.serverAddress, in: directory, groups: ["lobby"])
    try node.waitUntilIn("lobby")
    let path = "\(directory.path)/node.sock"
    #expect(node.machine.ownerSocket == path)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(stat(directory.path, &status) == 0 && status.st_mode & 0o777 == 0o700)
    let owner = try TestClient(ListenAddress(parsing: "unix:\(path)"))
    try owner.line(startingWith: "INFO ")
    let ear = try server.member("bob")
    try node.wait(for: "bob joins") { if case .joined = $0 { true } else { false } }
    #expect(try owner.ask("MSG lobby as alice") == "OK MSG lobby 1/1")
    let source = try "alice@\(node.address())"
    try ear.expect(":\(source) MSG lobby as alice")
    #expect(
      node.news.contains {
        if case .message(let message) = $0 { message.path == .own } else { false }
      })
    node.stop()
    #expect(stat(path, &status) != 0)
  }

  @Test("has its socket elsewhere where the directory's path is too long for one")
  func longPath() throws {
    let directory = try TemporaryDirectory()
    let long = "\(directory.path)/" + String(repeating: "x", count: 120)
    let node = try TestNode("alice") { $0.directory = long }
    let path = try #require(node.machine.ownerSocket)
    #expect(!path.hasPrefix(long) && path.contains("/linechat-"))
    try TestClient(ListenAddress(parsing: "unix:\(path)")).line(startingWith: "INFO ")
    node.stop()
  }

  @Test("without a directory, has no socket of its owner's and answers all the same")
  func withoutDirectory() throws {
    let node = try TestNode("alice")
    #expect(node.machine.ownerSocket == nil)
    #expect(try node.status().name.description == "alice")
    let error = #expect(throws: NodeError.self) { try node.join("lobby") }
    #expect(error?.kind == .refused(.unreachable))
  }

  @Test("what it was asked and did not answer before its end fails")
  func stops() throws {
    let silent = try TestListener()
    let node = try TestNode(
      "alice", server: ServerAddress(parsing: "127.0.0.1:\(silent.port)"))
    let outcomes = Shared<[NodeError.Kind]>([])
    node.machine.stop()
    node.machine.waitUntilStopped()
    node.machine.perform(.groups) { result in
      if case .failure(let error) = result { outcomes.value.append(error.kind) }
    }
    node.machine.status { result in
      if case .failure(let error) = result { outcomes.value.append(error.kind) }
    }
    #expect(outcomes.value == [.stopped, .stopped])
    #expect(throws: NodeError.self) { try node.machine.post(.groups) }
    #expect(throws: NodeError.self) { try node.machine.start() }
    #expect(throws: NodeError.self) { try node.machine.run() }
  }
}
