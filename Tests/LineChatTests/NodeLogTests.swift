// A whole node with its readable logs: written while it runs, mended when it starts.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("A node's readable logs", .ownThread, .timeLimit(.minutes(20)))
struct NodeLogTests {
  private static func start(
    _ directory: TemporaryDirectory, server: ServerAddress? = nil, _ log: LogRecord = LogRecord()
  ) throws -> NodeMachine {
    var configuration = NodeMachine.Configuration(name: try #require(MemberName("alice")))
    configuration.directory = directory.path
    configuration.server = server
    configuration.listening = .relay
    configuration.groups = [try #require(GroupName("Lobby"))]
    let node = NodeMachine(configuration, logger: log.logger()) { _ in }
    try node.start()
    try node.runOnOwnThread()
    return node
  }

  private static func end(_ node: NodeMachine) {
    node.stop()
    node.waitUntilStopped()
  }

  @Test("what is said, and who comes and goes, is in the logs while the node runs")
  func running() throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let node = try Self.start(directory, server: ServerAddress(parsing: "\(server.address)"))
    defer { Self.end(node) }
    try eventually(within: 30, "alice is in the group") {
      try server.client().ask("MEMBERS lobby").hasSuffix(" 1")
    }
    let bob = try server.member("bob")
    try bob.ask("MSG lobby good morning")
    try bob.ask("PM alice a word")
    try bob.ask("LEAVE lobby")
    try eventually(within: 30, "all of it is in the logs") {
      let logs = LogReader(try LogDirectory(in: directory.path))
      let lobby = try logs.last(10, of: .group(try #require(GroupName("lobby")))).messages
      let person = try logs.last(10, of: .person(try #require(MemberName("bob")))).messages
      return lobby.count == 3 && person.count == 1
        && lobby.allSatisfy { $0.source?.name == MemberName("bob") }
        && lobby.map(\.content.verb) == [.join, .msg, .leave]
        && person.first?.tags["heard"] != nil
    }
  }

  /// The directory of a node that was killed, with three messages in its journal.
  private static func killed() throws -> (directory: TemporaryDirectory, lines: String) {
    let directory = try TemporaryDirectory()
    var (_, journal) = try Recovery.start(
      try FileStorage(directory.path), snapshotFile: "replica.json")
    let state = ReplicaState(name: "alice")
    try journal.snapshot(try StateCoding.encode(state), inFlight: [])
    let lines = (1...3).map {
      "@heard=2026-11-22T09:05:07.00000\($0)Z;msgid=00c0ffee00c0ffee.\($0) :bob@relay MSG lobby \($0)"
    }
    try journal.commit(lines.map(LogDesk.line))
    return (directory, lines.map { $0 + "\n" }.joined())
  }

  @Test("what a killed node had not written is there as soon as it has started, and it is said")
  func mending() throws {
    let (directory, lines) = try Self.killed()
    let log = LogRecord()
    let node = try Self.start(directory, log)
    #expect(try directory.text(of: "log/lobby.log") == lines)
    #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/journal.1"))
    try eventually("it is said") {
      log.all.contains("info the readable logs lacked 3 lines, which the journal had")
    }
    Self.end(node)
  }

  @Test("a node whose logs cannot be written starts, says so, and keeps what they lack")
  func failing() throws {
    let (directory, lines) = try Self.killed()
    try Data().write(to: URL(fileURLWithPath: "\(directory.path)/log"))
    for _ in 1...2 {
      let log = LogRecord()
      let node = try Self.start(directory, log)
      try eventually("it is said") {
        log.all.contains { $0.hasPrefix("error cannot list log: Not a directory: ") }
      }
      Self.end(node)
      #expect(FileManager.default.fileExists(atPath: "\(directory.path)/journal.1"))
    }
    unlink("\(directory.path)/log")
    let node = try Self.start(directory)
    #expect(try directory.text(of: "log/lobby.log") == lines)
    Self.end(node)
    #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/journal.1"))
  }
}
