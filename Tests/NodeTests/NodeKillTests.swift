// Nodes killed in the middle of their work, as processes of their own: what was accepted is in the
// others' logs, each line once, each sender's in order, whether or not there is a server.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("Nodes are killed", .serialized, .ownThread, .timeLimit(.minutes(20)))
struct NodeKillTests {
  /// Alice, bob and carol, each at a host of its own, and what they need to be started again.
  private final class Town {
    let directory: TemporaryDirectory
    var server: TestServer?
    private let address: String
    private let ports: [String: UInt16]
    var nodes: [String: Program] = [:]
    static let names = ["alice", "bob", "carol"]

    init() throws {
      directory = try TemporaryDirectory()
      let server = try TestServer()
      self.server = server
      address = "\(try server.address)"
      ports = try Dictionary(
        uniqueKeysWithValues: Town.names.map { ($0, try TestListener.unusedPort()) })
      for name in Town.names {
        try start(name)
        try nodes[name]?.says("joined lobby")
      }
      for name in Town.names {
        for other in Town.names where other != name { try meet(name, other) }
      }
    }

    func start(_ name: String) throws {
      let host = 1 + (Town.names.firstIndex(of: name) ?? 0)
      nodes[name] = try Program.node(
        ["--server", address, "--listen", "127.0.0.\(host):\(ports[name] ?? 0)", "--name", name]
          + ["lobby"], in: directory)
    }

    func kill(_ name: String) throws {
      nodes[name]?.child.signal(SIGKILL)
      _ = try nodes[name]?.child.finish(within: .seconds(20))
    }

    func stopServer() {
      server?.stop()
      server = nil
    }

    private func meet(_ name: String, _ other: String) throws {
      let owner = try owner(of: name)
      try eventually(within: 30, "\(name) knows \(other)") {
        try owner.send("MEMBERS lobby\n")
        var lines: [String] = []
        while lines.last?.hasPrefix("OK MEMBERS") != true {
          lines.append(try owner.line { $0.contains("MEMBER") })
        }
        return lines.contains { $0.hasPrefix("MEMBER lobby \(other)@") && $0.contains(" tags") }
      }
    }

    func owner(of name: String) throws -> TestClient {
      let path = "\(directory.path)/linechat/\(name)/node.sock"
      var client: TestClient?
      try eventually(within: 30, "\(name)'s socket is there") {
        client = try? TestClient(ListenAddress(parsing: "unix:\(path)"))
        return client != nil
      }
      guard let client else { throw TestFailure("no socket of \(name)") }
      try client.line(startingWith: "INFO linechat ")
      return client
    }

    /// The texts of a sender in the log of a node, in their order.
    func log(of name: String, from sender: String) throws -> [String] {
      let path = "\(directory.path)/linechat/\(name)/log/lobby.log"
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").compactMap { line in
        guard line.contains(" :\(sender)@"), let range = line.range(of: " MSG lobby ") else {
          return nil
        }
        return String(line[range.upperBound...])
      }
    }

    /// Waits until a node has all that a sender said, and holds that it has nothing else of it.
    func expect(_ name: String, hasAllOf sender: String, _ count: Int) throws {
      let wanted = (1...count).map { "\(sender) \($0)" }
      do {
        try eventually(within: 90, "\(name) has \(count) messages of \(sender)") {
          try log(of: name, from: sender).count >= count
        }
      } catch {
        let logs = Town.names.map { "\($0): \(nodes[$0]?.child.text(of: .errors) ?? "")" }
        throw TestFailure("\(error)\n\(logs.joined(separator: "\n"))")
      }
      let found = try log(of: name, from: sender)
      #expect(found == wanted, "\(name) has \(found.count) of \(sender)'s \(count)")
    }
  }

  /// Says `count` messages through the owner's socket, as many at once as it takes; returns when all
  /// have been answered.
  private static func say(_ count: Int, as name: String, _ town: Town, half: () throws -> Void = {})
    throws
  {
    let owner = try town.owner(of: name)
    let lines = (1...count).map { "MSG lobby \(name) \($0)\n" }
    try owner.send(lines[..<(count / 2)].joined())
    try half()
    try owner.send(lines[(count / 2)...].joined())
    for _ in 0..<count {
      let reply = try owner.line { $0.hasPrefix("OK MSG") || $0.hasPrefix("ERR") }
      guard reply.hasPrefix("OK MSG lobby ") else { throw TestFailure(reply) }
    }
  }

  @Test(
    "a receiver in the middle of 1,000 messages from each of two has them all when it is back",
    arguments: [true, false])
  func receiver(hasServer: Bool) throws {
    let town = try Town()
    if !hasServer { town.stopServer() }
    try Self.say(1_000, as: "alice", town) {
      let bob = try town.owner(of: "bob")
      try bob.send((1...500).map { "MSG lobby bob \($0)\n" }.joined())
      try eventually(within: 30, "carol has heard some of it") {
        try town.log(of: "carol", from: "alice").count > 20
      }
      try town.kill("carol")
      try bob.send((501...1_000).map { "MSG lobby bob \($0)\n" }.joined())
      for _ in 0..<1_000 { try bob.line(startingWith: "OK MSG lobby ") }
    }
    let before = try town.log(of: "carol", from: "alice").count
    #expect(before < 1_000)
    try town.start("carol")
    for sender in ["alice", "bob"] {
      try town.expect("carol", hasAllOf: sender, 1_000)
    }
    try town.expect("bob", hasAllOf: "alice", 1_000)
    try town.expect("alice", hasAllOf: "bob", 1_000)
  }

  @Test(
    "a sender with messages in its outbox sends them when it is started again",
    arguments: [true, false])
  func sender(hasServer: Bool) throws {
    let town = try Town()
    if !hasServer { town.stopServer() }
    try town.kill("carol")
    try Self.say(300, as: "alice", town)
    try town.kill("alice")
    try town.start("carol")
    try town.nodes["carol"]?.says("state directory ")
    try town.start("alice")
    try town.nodes["alice"]?.says("messages to be delivered: 300")
    for receiver in ["bob", "carol"] { try town.expect(receiver, hasAllOf: "alice", 300) }
    // And it goes on where it was.
    try town.owner(of: "alice").send("MSG lobby alice 301\n")
    for receiver in ["bob", "carol"] { try town.expect(receiver, hasAllOf: "alice", 301) }
  }
}
