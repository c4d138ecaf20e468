// Every transcript of protocol.md, run against a real server on a real socket: each line must come
// exactly as it is written, and at the end nothing more may come to anybody.

import Foundation
import LineChat
import TestSupport
import Testing

/// The document, and what is read out of it.
enum ProtocolDocument {
  static let text: String = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    do {
      return try String(contentsOf: root.appendingPathComponent("protocol.md"), encoding: .utf8)
    } catch {
      preconditionFailure("protocol.md cannot be read: \(error)")
    }
  }()

  static let transcripts: [Transcript] = {
    do {
      return try Transcript.all(in: text)
    } catch {
      preconditionFailure("protocol.md has a mistake: \(error)")
    }
  }()
}

@Suite("protocol.md: the transcripts", .ownThread, .timeLimit(.minutes(20)))
struct TranscriptTests {
  @Test("a transcript is what happens", arguments: ProtocolDocument.transcripts)
  func transcript(_ transcript: Transcript) throws {
    let play = try Play(transcript)
    for step in transcript.steps {
      do {
        try play.perform(step)
      } catch {
        Issue.record("protocol.md:\(step.line): \(step.who): \(error)")
        return
      }
    }
    do {
      try play.checkSilence()
    } catch {
      Issue.record("protocol.md:\(transcript.line): after the transcript: \(error)")
    }
  }

  @Test("there are transcripts to run")
  func count() {
    #expect(ProtocolDocument.transcripts.count > 20)
  }
}

/// One transcript being played.
private final class Play {
  private struct Difference: Error, CustomStringConvertible {
    let description: String
  }

  private let transcript: Transcript
  private let directory: TemporaryDirectory
  private let disk = TestDisk()
  private var server: TestServer
  private var ears: [String: Ear] = [:]
  private var nodes: [String: NodePlayer] = [:]
  private var connections: [String: TestClient] = [:]
  private var order: [String] = []
  /// Those whose greeting has been read.
  private var greeted: Set<String> = []
  private var closed: Set<String> = []
  private var placeholders = Placeholders()
  /// Connections that will not read, so the kernel is not to read for them.
  private let slow: Set<String>
  private var isSkipping = false

  init(_ transcript: Transcript) throws {
    self.transcript = transcript
    directory = try TemporaryDirectory()
    server = try Play.server(transcript, directory, disk)
    slow = Set(transcript.steps.filter { $0.action == .stopsReading }.map(\.who))
  }

  private static func server(
    _ transcript: Transcript, _ directory: TemporaryDirectory, _ disk: TestDisk
  ) throws -> TestServer {
    try TestServer(disk: disk) { configuration in
      configuration.dataDirectory = directory.path
      for (option, value) in transcript.options {
        switch option {
        case "max-connections": configuration.connectionsMax = value
        case "max-connections-per-address": configuration.connectionsPerAddressMax = value
        case "max-names-per-address": configuration.namesPerAddressMax = value
        case "max-groups-per-address": configuration.groupsPerAddressMax = value
        case "quotas-on-loopback": configuration.quotasCountLoopback = value == 1
        case "max-rate": configuration.linesPerSecondMax = value
        case "max-line": configuration.lineBytesMax = value
        case "max-pending": configuration.pendingBytesMax = value
        case "member-ttl": configuration.memberTTLSeconds = value
        default: throw TranscriptMistake(description: "there is no option --\(option)")
        }
      }
    }
  }

  /// The connections go first: the server, in its end, waits for theirs.
  deinit {
    connections = [:]
    nodes = [:]
  }

  func perform(_ step: Transcript.Step) throws {
    switch step.action {
    case .sends(let text) where ears[step.who] != nil:
      try ear(step.who).send(try placeholders.bytes(of: text) + [0x0A])
    case .receives(let text) where ears[step.who] != nil:
      let line = try ear(step.who).line() ?? "<let go>"
      guard placeholders.match(text, line) else {
        throw Difference(description: "should have heard\n  \(text)\nbut heard\n  \(line)")
      }
    case .sends(let text):
      try greeting(of: step.who)
      try connection(step.who).send(try placeholders.bytes(of: text) + [0x0A])
    case .receives(let text): try receive(text, by: step.who)
    case .connects: _ = try connection(step.who)
    case .endsInput: try connection(step.who).shutDownOutput()
    case .hangsUp:
      connections[step.who] = nil
      closed.insert(step.who)
    case .isClosed:
      let connection = try connection(step.who)
      if let line = try connection.line() {
        throw Difference(description: "should have been closed, but received: \(line)")
      }
      guard connection.end == .inOrder, connection.unfinishedLine.isEmpty else {
        throw Difference(description: "was closed, but not in order")
      }
      closed.insert(step.who)
    case .stopsReading: break
    case .readsOn:
      isSkipping = true
      try connection(step.who).readFaster()
    case .joins(let groups): try join(groups, step.who)
    case .floods(let group, let bytes): try flood(group, bytes, step.who)
    case .listens(let name): try listen(at: name, step.who)
    case .stopsListening: try ear(step.who).close()
    case .isDialled: try ear(step.who).accept()
    case .isLetGo: try ear(step.who).beLetGo()
    case .connectsAsOwner:
      let path = "unix:\(directory.path)/linechatd.sock"
      add(step.who, try TestClient(ListenAddress(parsing: path)))
    case .isNode(let group, let host, let port):
      nodes[step.who] = try NodePlayer(
        step.who, in: group, at: host, port: placeholders[port].flatMap { UInt16($0) }, server)
      placeholders[port] = nodes[step.who].map { String($0.port) }
    case .knows(let other): try node(step.who).knows(other)
    case .nodeIsStopped: try node(step.who).stop()
    case .nodeIsStartedAgain: try node(step.who).start()
    case .connectsToNode(let name, let source):
      try add(step.who, node(name).connection(from: source))
    case .connectsToSocket(let name): try add(step.who, node(name).ownersConnection())
    case .serverIsStopped: server.stop()
    case .serverIsRestarted: try restart()
    case .serverHasFullDisk: disk.fill()
    }
  }

  /// Every connection is gone with it; those who listen stay.
  private func restart() throws {
    connections = [:]
    order = []
    greeted = []
    closed = []
    server.stop()
    server = try Play.server(transcript, directory, disk)
  }

  private func add(_ who: String, _ connection: TestClient) {
    connections[who] = connection
    order.append(who)
  }

  private func node(_ name: String) throws -> NodePlayer {
    guard let node = nodes[name] else { throw Difference(description: "there is no node \(name)") }
    return node
  }

  private func ear(_ who: String) throws -> Ear {
    guard let ear = ears[who] else { throw Difference(description: "does not listen") }
    return ear
  }

  private func listen(at name: String, _ who: String) throws {
    let ear = try Ear(port: placeholders[name].flatMap { UInt16($0) })
    placeholders[name] = String(ear.port)
    ears[who] = ear
  }

  private func connection(_ who: String) throws -> TestClient {
    if let connection = connections[who] { return connection }
    guard !closed.contains(who) else {
      throw Difference(description: "is closed, and does something all the same")
    }
    let connection = try TestClient(
      server.address, receiveBuffer: slow.contains(who) ? 4_096 : nil)
    connections[who] = connection
    order.append(who)
    return connection
  }

  /// Reads the greeting of a connection that shows none.
  private func greeting(of who: String) throws {
    let connection = try connection(who)
    guard greeted.insert(who).inserted else { return }
    guard let line = try connection.line(), line.hasPrefix("INFO linechat") else {
      throw Difference(description: "was not greeted")
    }
  }

  private func receive(_ text: String, by who: String) throws {
    // What comes first on a connection is its greeting, or the word that there is no room.
    if !greeted.contains(who) {
      if text.hasPrefix("INFO ") || text.hasPrefix("ERR too-many-connections") {
        _ = try connection(who)
        greeted.insert(who)
      } else {
        try greeting(of: who)
      }
    }
    while true {
      guard let line = try connection(who).line() else {
        throw Difference(description: "should have received '\(text)', but was closed")
      }
      if placeholders.match(text, line) { break }
      guard isSkipping else {
        throw Difference(description: "should have received\n  \(text)\nbut received\n  \(line)")
      }
    }
    isSkipping = false
  }

  private func join(_ groups: Int, _ who: String) throws {
    try greeting(of: who)
    let connection = try connection(who)
    for number in 1...groups {
      try connection.send("JOIN group\(number)\n")
      while let line = try connection.line() {
        if line == "OK JOIN group\(number) 1" { break }
        guard line.hasPrefix("MEMBER ") else { throw Difference(description: line) }
      }
    }
  }

  /// What the kernel takes on its way to somebody who does not read is a few megabytes; a
  /// thousand lines are far more.
  private func flood(_ group: String, _ bytes: Int, _ who: String) throws {
    try greeting(of: who)
    let connection = try connection(who)
    let text = String(repeating: "x", count: bytes)
    for _ in 1...1_000 {
      try connection.send("MSG \(group) \(text)\n")
      let line = try connection.line() ?? "<closed>"
      if line.hasPrefix("ERR no-such-group MSG ") { return }
      guard line.hasPrefix("OK MSG \(group) ") else { throw Difference(description: line) }
    }
    throw Difference(description: "nobody was dropped")
  }

  /// Everybody asks for a sign of life, twice: a reply that is the very next line shows that
  /// nothing else was under way. The second time is for what the first made happen.
  func checkSilence() throws {
    for token in ["first", "second"] {
      for who in order where !closed.contains(who) {
        guard let connection = connections[who] else { continue }
        try connection.send("PING \(token)\n")
        let line = try connection.line() ?? "<closed>"
        // The label is not asked for, so a tagged connection answers without tags.
        guard line == "PONG \(token)" else {
          throw Difference(description: "\(who) received more: \(line)")
        }
      }
    }
    for who in ears.keys.sorted() {
      guard let line = try ear(who).more() else { continue }
      throw Difference(description: "\(who) heard more: \(line)")
    }
  }
}
