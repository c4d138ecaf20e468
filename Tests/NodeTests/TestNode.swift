// A node for tests, in this process, with everything that it has told; and ways to wait for it. Each test
// has a thread of its own, so waiting takes none from the others.

import LineChat
import Logging
import Synchronization
import TestSupport

/// Runs `body` again and again until it gives something.
func found<Value>(
  within seconds: Double = 40, _ what: String, _ body: () async throws -> Value?
) async throws -> Value {
  let deadline = Deadline(seconds: seconds)
  while true {
    if let value = try await body() { return value }
    if deadline.hasPassed {
      throw TestFailure("it did not happen within \(seconds) s: \(what)")
    }
    pauseBriefly()
    // What is awaited may need this thread.
    await Task.yield()
  }
}

/// Runs `body` again and again until it is true.
func until(
  within seconds: Double = 40, _ what: String, _ body: () async throws -> Bool
) async throws {
  _ = try await found(within: seconds, what) { try await body() ? true : nil }
}

func name(_ text: String) -> MemberName {
  guard let name = MemberName(text) else { preconditionFailure("\(text) is no name") }
  return name
}

func group(_ text: String) -> GroupName {
  guard let name = GroupName(text) else { preconditionFailure("\(text) is no group") }
  return name
}

final class TestNode: Sendable {
  let node: PeerNode
  let log: LogRecord
  private let told: Told

  private final class Told: Sendable {
    let events = Mutex<[NodeEvent]>([])
  }

  /// A node that joins the lobby, unless told otherwise; it runs, and may not be there yet.
  init(
    _ name: String, _ server: TestServer?, logLevel: Logger.Level = .info,
    _ change: (inout PeerNode.Configuration) throws -> Void = { _ in }
  ) throws {
    var configuration = PeerNode.Configuration(name: NodeTests.name(name))
    configuration.server = try server.map { try ServerAddress(parsing: "\($0.address)") }
    if server != nil { configuration.groups = [group("lobby")] }
    try change(&configuration)
    let told = Told()
    self.told = told
    log = LogRecord()
    node = try PeerNode.launch(configuration, logger: log.logger(logLevel)) { event in
      told.events.withLock { $0.append(event) }
    }
  }

  /// A node that is in the lobby with all of `others`.
  static func member(
    _ name: String, _ server: TestServer, with others: [String] = [],
    logLevel: Logger.Level = .info,
    _ change: (inout PeerNode.Configuration) throws -> Void = { _ in }
  ) async throws -> TestNode {
    let node = try TestNode(name, server, logLevel: logLevel, change)
    try await node.meets(others)
    return node
  }

  deinit { node.stop() }

  func stop() {
    node.stop()
    node.waitUntilStopped()
  }

  /// Waits until it is in the lobby, with those others that can be named; the others may not know yet.
  func meets(_ others: [String]) async throws {
    try await until("\(others) are in the lobby") {
      let members = try? await self.node.members(of: group("lobby"))
      let names = members?.map(\.member.name)
      return names.map { names in others.allSatisfy { names.contains(NodeTests.name($0)) } }
        ?? false
    }
  }

  // MARK: What it has told

  var events: [NodeEvent] { told.events.withLock { $0 } }

  /// The first event, of those told or to come, that is wanted.
  @discardableResult
  func event(
    _ what: String, where isWanted: (NodeEvent) -> Bool
  ) async throws -> NodeEvent {
    do {
      return try await found(what) { events.first(where: isWanted) }
    } catch {
      throw TestFailure("\(error); it told \(events), and its log says \(log.all)")
    }
  }

  /// Waits until it has a direct link to each of them. A busy machine may not make one within the two
  /// seconds for which a message waits, and the next is tried only when there is something to be sent.
  func isLinked(to others: [String]) async throws {
    let names = Set(others.map { NodeTests.name($0) })
    do {
      try await until("there are links to \(others)") {
        let contacts = try await self.node.status().contacts
        let linked = Set(contacts.filter(\.isLinked).map(\.member.name))
        for name in names.subtracting(linked).sorted() {
          try await self.node.send(TestNode.knock, to: .name(name))
        }
        return names.isSubset(of: linked)
      }
    } catch {
      throw TestFailure("\(error); \(try await node.status()); \(log.all)")
    }
  }

  private static let knock = "knock, knock"

  /// What it has heard, in order: its own left out, and what was only to make a link.
  var heard: [ChatMessage] {
    events.compactMap { event in
      guard case .message(let message) = event, message.path != .own,
        message.text != TestNode.knock
      else { return nil }
      return message
    }
  }

  /// Waits until it has heard so many messages.
  @discardableResult
  func hears(_ count: Int) async throws -> [ChatMessage] {
    do {
      try await until("\(count) messages are heard") { heard.count >= count }
    } catch {
      throw TestFailure("\(error); heard: \(heard.map(\.text)), log: \(log.all)")
    }
    return heard
  }

  /// Waits until it knows what has become of a message for somebody, told in a receipt or later.
  func delivery(
    of receipt: Receipt, to recipient: String, is wanted: (DeliveryState) -> Bool
  ) async throws {
    let name = NodeTests.name(recipient)
    if let entry = receipt.entries.first(where: { $0.recipient == name }), wanted(entry.state) {
      return
    }
    try await event("a message to \(recipient) gets there") { event in
      guard case .delivery(receipt.message.id, _, name, let state) = event else { return false }
      return wanted(state)
    }
  }
}
