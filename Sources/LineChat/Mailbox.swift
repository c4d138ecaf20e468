// How other threads ask the node for something: their calls wait here for the loop, and here the
// answers find them again. Bounded: a call too many is refused at once, and nobody waits for a lock
// that is held for longer than it takes to append to an array.

import LineChatCore
import LineProtocol
import Synchronization

final class Mailbox: Sendable {
  typealias Completion<Value> = @Sendable (Result<Value, NodeError>) -> Void

  enum Letter: Sendable {
    /// The number is 0 where nobody waits for an answer.
    case perform(Command, call: UInt64)
    case status(call: UInt64)
  }

  private enum Waiting: Sendable {
    case answer(Completion<News.Answer>)
    case status(Completion<NodeStatus>)

    func fail(_ error: NodeError) {
      switch self {
      case .answer(let completion): completion(.failure(error))
      case .status(let completion): completion(.failure(error))
      }
    }
  }

  private struct State {
    var letters: [Letter] = []
    /// Those among them whose answer nobody waits for.
    var posts = 0
    /// The texts in them.
    var bytes = 0
    /// Who waits for an answer, by the number of the call.
    var waiting: [UInt64: Waiting] = [:]
    var lastCall: UInt64 = 0
    var wake: WakePipe?
    var isClosed = false

    func refusal(of command: Command?) -> NodeError? {
      if isClosed { return NodeError(.stopped, "the node has been stopped") }
      if posts + waiting.count < MachineLimits.calls
        && bytes + (command?.cost ?? 0) <= MachineLimits.callBytes
      {
        return nil
      }
      return NodeError(
        .tooManyCalls,
        "\(posts + waiting.count) calls wait for this node already; wait for their answers")
    }

    mutating func append(_ letter: Letter, _ command: Command?) {
      letters.append(letter)
      bytes += command?.cost ?? 0
      // The loop takes all letters at once, so one wake is enough for all of them.
      if letters.count == 1 { wake?.wake() }
    }

    mutating func expect(_ waiting: Waiting) -> UInt64 {
      lastCall += 1
      self.waiting[lastCall] = waiting
      return lastCall
    }
  }

  private let state = Mutex(State())

  deinit { close() }

  // MARK: Any thread

  func perform(_ command: Command, _ completion: @escaping Completion<News.Answer>) {
    let refusal = state.withLock { state -> NodeError? in
      if let refusal = state.refusal(of: command) { return refusal }
      state.append(.perform(command, call: state.expect(.answer(completion))), command)
      return nil
    }
    if let refusal { completion(.failure(refusal)) }
  }

  func post(_ command: Command) throws(NodeError) {
    let refusal = state.withLock { state -> NodeError? in
      if let refusal = state.refusal(of: command) { return refusal }
      state.posts += 1
      state.append(.perform(command, call: 0), command)
      return nil
    }
    if let refusal { throw refusal }
  }

  func status(_ completion: @escaping Completion<NodeStatus>) {
    let refusal = state.withLock { state -> NodeError? in
      if let refusal = state.refusal(of: nil) { return refusal }
      state.append(.status(call: state.expect(.status(completion))), nil)
      return nil
    }
    if let refusal { completion(.failure(refusal)) }
  }

  // MARK: The loop's side

  /// From now on `wake` tells the loop about letters. Those that came before are there.
  func open(_ wake: WakePipe) { state.withLock { $0.wake = wake } }

  /// The letters that have come, in order.
  func take() -> [Letter] {
    state.withLock { state in
      defer { state.letters = [] }
      state.posts = 0
      state.bytes = 0
      return state.letters
    }
  }

  func answer(_ call: UInt64, _ answer: News.Answer) {
    // Nobody waits for what was said on the owner's socket.
    guard call != 0 else { return }
    guard case .answer(let completion) = taken(call) else { return }
    if case .refused(let refusal) = answer {
      completion(.failure(NodeError(refusal)))
    } else {
      completion(.success(answer))
    }
  }

  func answer(_ call: UInt64, _ status: NodeStatus) {
    guard case .status(let completion) = taken(call) else { return }
    completion(.success(status))
  }

  private func taken(_ call: UInt64) -> Waiting? {
    state.withLock { $0.waiting.removeValue(forKey: call) }
  }

  /// Nobody answers any more.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      state.wake = nil
      state.letters = []
      defer { state.waiting = [:] }
      return state.waiting
    }
    let error = NodeError(.stopped, "the node was stopped before it answered")
    for call in waiting.keys.sorted() { waiting[call]?.fail(error) }
  }
}

extension Command {
  /// What it takes in memory beside itself.
  fileprivate var cost: Int {
    switch self {
    case .say(_, let text), .tell(_, let text): text.utf8.count
    case .join, .leave, .rename, .members, .groups: 0
    }
  }
}
