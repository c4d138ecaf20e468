// A node for tests, in this process: it keeps its log and its news for the test to look at, and ends
// with it.

import Glibc
import LineChat
import LineChatCore
import LineProtocol
import Logging
import Synchronization

package final class TestNode {
  package let machine: NodeMachine
  package let log = LogRecord()
  private let heard = Heard()

  private final class Heard: Sendable {
    let news = Mutex<[News]>([])
  }

  package init(
    _ name: String, server: ServerAddress? = nil, in directory: TemporaryDirectory? = nil,
    groups: [String] = [], logLevel: Logger.Level = .trace,
    surroundings: Surroundings = Surroundings(),
    _ change: (inout NodeMachine.Configuration) throws -> Void = { _ in }
  ) throws {
    guard let name = MemberName(name) else { throw TestFailure("\(name) is no name") }
    var configuration = NodeMachine.Configuration(name: name)
    configuration.server = server
    configuration.directory = directory?.path
    configuration.groups = groups.compactMap { GroupName($0) }
    try change(&configuration)
    machine = NodeMachine(
      configuration, logger: log.logger(logLevel), surroundings: surroundings
    ) { [heard] news in heard.news.withLock { $0.append(news) } }
    try machine.start()
    try machine.runOnOwnThread()
  }

  deinit { stop() }

  package func stop() {
    machine.stop()
    machine.waitUntilStopped()
  }

  // MARK: Calls

  /// Waits for the answer; throws what the node refuses with.
  @discardableResult
  package func ask(_ command: Command, within seconds: Double = 30) throws -> News.Answer {
    try TestNode.answer(within: seconds, "\(command)") { machine.perform(command, $0) }
  }

  package func status() throws -> NodeStatus {
    try TestNode.answer(within: 30, "the status") { machine.status($0) }
  }

  @discardableResult
  package func join(_ group: String) throws -> News.Answer { try ask(.join(try name(group))) }

  @discardableResult
  package func say(_ text: String, in group: String) throws -> News.Answer {
    try ask(.say(try name(group), text))
  }

  private func name(_ group: String) throws -> GroupName {
    guard let name = GroupName(group) else { throw TestFailure("\(group) is no group") }
    return name
  }

  private static func answer<Value: Sendable>(
    within seconds: Double, _ what: String,
    _ call: (@escaping @Sendable (Result<Value, NodeError>) -> Void) -> Void
  ) throws -> Value {
    let box = Box<Value>()
    call { result in box.content.withLock { $0 = result } }
    try eventually(within: seconds, "\(what) is answered") {
      box.content.withLock { $0 } != nil
    }
    guard let result = box.content.withLock({ $0 }) else { throw TestFailure("no answer") }
    return try result.get()
  }

  private final class Box<Value: Sendable>: Sendable {
    let content = Mutex<Result<Value, NodeError>?>(nil)
  }

  // MARK: News

  package var news: [News] { heard.news.withLock { $0 } }

  /// The texts that others have said, in the order in which they were heard.
  package var texts: [String] {
    news.compactMap {
      guard case .message(let message) = $0, message.path != .own else { return nil }
      return message.text
    }
  }

  /// Waits for news that satisfy `isWanted`, also among those that have come already.
  @discardableResult
  package func wait(
    within seconds: Double = 30, for what: String, _ isWanted: (News) -> Bool
  ) throws -> News {
    var found: News?
    do {
      try eventually(within: seconds, what) {
        found = news.first(where: isWanted)
        return found != nil
      }
    } catch {
      throw TestFailure("\(error); the log: \(log.all.suffix(20))")
    }
    guard let found else { throw TestFailure(what) }
    return found
  }

  /// The address at which it listens, when it does.
  package func address(within seconds: Double = 30) throws -> ListenAddress {
    var found: ListenAddress?
    try eventually(within: seconds, "it listens; the log: \(log.all.suffix(20))") {
      found = machine.address
      return found != nil
    }
    guard let found else { throw TestFailure("it does not listen") }
    return found
  }

  /// Waits for a line of the log that holds `text`, also among those that are there already.
  @discardableResult
  package func waitForLog(_ text: String, within seconds: Double = 30) throws -> String {
    var found: String?
    do {
      try eventually(within: seconds, "the log says \(text)") {
        found = log.all.first { $0.contains(text) }
        return found != nil
      }
    } catch {
      throw TestFailure("\(error); it says: \(log.all.suffix(20))")
    }
    return found ?? ""
  }

  /// Waits until the server is there, and a group has been entered.
  package func waitUntilIn(_ group: String) throws {
    try wait(for: "in \(group)") {
      guard case .entered(let name, _, _) = $0 else { return false }
      return name.description == group
    }
  }
}

extension TestServer {
  /// As a node is told it.
  package var serverAddress: ServerAddress {
    get throws { try ServerAddress(parsing: address.description) }
  }
}

/// A value that a test and the threads of what it tests share.
package final class Shared<Value: Sendable>: Sendable {
  private let content: Mutex<Value>

  package init(_ value: Value) { content = Mutex(value) }

  package var value: Value {
    get { content.withLock { $0 } }
    set { content.withLock { $0 = newValue } }
  }

  /// Changes it in one step, and returns what `body` does.
  package func update<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    content.withLock { body(&$0) }
  }
}
