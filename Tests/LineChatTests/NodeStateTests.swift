// What outlives a node's process, in a real directory; and what happens where the disk does not do its
// part.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("A node's directory", .ownThread, .timeLimit(.minutes(20)))
struct NodeStateTests {
  private func members(_ node: TestNode, _ group: String) throws -> [String] {
    let name = try #require(GroupName(group))
    guard case .members(_, let entries) = try node.ask(.members(name)) else {
      throw TestFailure("no members")
    }
    return entries.map { "\($0.member.name)" }
  }

  @Test(
    "its groups, who is in them, and what it has to deliver outlive it, also without the server")
  func restart() throws {
    let (own, others) = (try TemporaryDirectory(), try TemporaryDirectory())
    let server = try TestServer()
    let address = try server.serverAddress
    var alice = try TestNode("alice", server: address, in: own, groups: ["lobby", "ops"])
    try alice.waitUntilIn("ops")
    try alice.waitUntilIn("lobby")
    var bob = try TestNode("bob", server: address, in: others, groups: ["lobby"])
    try bob.waitUntilIn("lobby")
    try alice.wait(for: "bob joins") { if case .joined = $0 { true } else { false } }
    try alice.say("hello", in: "lobby")
    try bob.expect(["hello"])
    try eventually(within: 30, "alice knows") { try alice.status().outboxMessages == 0 }
    bob.stop()
    guard case .receipt(let receipt) = try alice.say("while you are away", in: "lobby") else {
      throw TestFailure("no receipt")
    }
    #expect(receipt.entries.count == 1 && receipt.entries.allSatisfy { !$0.state.isFinal })
    alice.stop()
    server.stop()

    alice = try TestNode("other", server: address, in: own)
    #expect(
      alice.log.all.contains(
        "info state directory \(own.path): alice, groups: 2, messages to be delivered: 1"))
    #expect(try members(alice, "lobby") == ["alice", "bob"])
    #expect(try members(alice, "ops") == ["alice"])
    #expect(try alice.status().name.description == "alice")
    bob = try TestNode("bob", server: address, in: others)
    try bob.expect(["while you are away"], within: 60)
    try eventually(within: 30, "alice knows") { try alice.status().outboxMessages == 0 }
  }

  @Test("one node at a time has it, and another says who that is")
  func locked() throws {
    let directory = try TemporaryDirectory()
    let first = try TestNode("alice", in: directory)
    let error = #expect(throws: NodeError.self) { _ = try TestNode("alice", in: directory) }
    #expect(error?.kind == .directoryInUse)
    #expect(error?.description.contains("process \(getpid())") == true)
    first.stop()
    _ = try TestNode("alice", in: directory)
  }

  @Test("what cannot be read in it is kept as it was, and said; the rest is used")
  func damage() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    var node = try TestNode("alice", server: server.serverAddress, in: directory, groups: ["lobby"])
    try node.waitUntilIn("lobby")
    node.stop()
    let snapshot = "\(directory.path)/replica.json"
    let text = try directory.text(of: "replica.json")
    #expect(text.contains("\"name\" : \"alice\""))
    // A person's hand: a member that is none, and no checksum to match.
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      .filter { !$0.contains("\"crc\"") }
      .map { $0.replacingOccurrences(of: "alice@127", with: "@127") }
    let edited = lines.joined(separator: "\n")
    try edited.write(toFile: snapshot, atomically: true, encoding: .utf8)
    let journal = try #require(
      FileManager.default.contentsOfDirectory(atPath: directory.path)
        .filter { $0.hasPrefix("journal.") }.max { $0.count < $1.count || $0 < $1 })
    let file = try #require(FileHandle(forWritingAtPath: "\(directory.path)/\(journal)"))
    try file.seekToEnd()
    try file.write(contentsOf: Data("this is no record\n".utf8))
    try file.close()

    node = try TestNode("bob", in: directory)
    try node.waitForLog("warning replica.json: left out member @127")
    #expect(try directory.text(of: "replica.json.damaged-1") == edited)
    try node.waitForLog("\(journal).damaged-1")
    #expect(try node.status().name.description == "alice")
    node.stop()

    // What is no JSON at all ends the start, and is not touched.
    try "no JSON".write(toFile: snapshot, atomically: true, encoding: .utf8)
    let error = #expect(throws: NodeError.self) { _ = try TestNode("alice", in: directory) }
    #expect(error?.kind == .badDirectory)
    #expect(error?.description.contains("replica.json cannot be read") == true)
    #expect(try directory.text(of: "replica.json") == "no JSON")
  }

  @Test(
    "while the disk is full, nothing is sent that would be lost, and it is said; then all is well")
  func fullDisk() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    let disk = TestDisk()
    var surroundings = Surroundings()
    surroundings.storage = { (path) throws(StorageError) in try disk.make(path) }
    let alice = try TestNode(
      "alice", server: server.serverAddress, in: directory, groups: ["lobby"],
      surroundings: surroundings)
    try alice.waitUntilIn("lobby")
    let bob = try TestNode("bob", server: server.serverAddress, groups: ["lobby"])
    try bob.waitUntilIn("lobby")
    try alice.wait(for: "bob joins") { if case .joined = $0 { true } else { false } }
    disk.fill()
    let error = #expect(throws: NodeError.self) { try alice.say("lost?", in: "lobby") }
    #expect(error?.kind == .refused(.internalError))
    try alice.waitForLog("messages are neither sent nor acknowledged")
    #expect(bob.texts.isEmpty)
    disk.makeRoom()
    try alice.waitForLog("the disk takes changes again")
    try alice.say("hello again", in: "lobby")
    try bob.expect(["hello again"])
    #expect(alice.log.all.filter { $0.contains("neither sent nor") }.count == 1)
  }

  @Test("while the disk is slow, the node answers, and says a message only when it is written")
  func slowDisk() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    let disk = TestDisk()
    var surroundings = Surroundings()
    surroundings.storage = { (path) throws(StorageError) in try disk.make(path) }
    let alice = try TestNode(
      "alice", server: server.serverAddress, in: directory, groups: ["lobby"],
      surroundings: surroundings)
    try alice.waitUntilIn("lobby")
    let bob = try server.member("bob")
    try alice.wait(for: "bob joins") { if case .joined = $0 { true } else { false } }
    disk.hold()
    let receipts = Shared(0)
    alice.machine.perform(.say(try #require(GroupName("lobby")), "slowly")) { _ in
      receipts.update { $0 += 1 }
    }
    try disk.waitForSync()
    #expect(try alice.status().isServerThere)
    #expect(receipts.value == 0)
    try bob.ask("PING")
    disk.letGo()
    try bob.line(startingWith: ":alice@")
    try eventually(within: 30, "it is answered") { receipts.value == 1 }
  }
}
