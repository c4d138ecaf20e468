// The events of a node on their way to whoever takes them: a bounded queue between the node's thread,
// which never waits, and a task, which may be slow.
//
// Rules: what is dropped is the oldest, and messages only where there is nothing else; what was dropped
// is told as a number, before anything that is left; each event is taken once.

import DequeModule
import Synchronization

/// The events of a node, from its making on, in order:
///
/// ```swift
/// for await event in node.events { … }
/// ```
///
/// They wait in a bounded queue until they are taken, so the node never waits for its owner. When there
/// are too many (`PeerNode.Configuration.eventsMax`, or 16 MiB of texts), the oldest is dropped that is
/// not a message, and where there are only messages, the oldest of them. Then the next event taken is
/// `.missed`, with their number. Nothing is lost for good: messages are in the node's journal, and who
/// is where is told by `members` and `status`.
///
/// For one consumer: where several tasks take events, each event goes to one of them. The end comes
/// when the node has been stopped and everything left has been taken. A task that is cancelled sees the
/// end at once; the events stay, and a later loop goes on with them.
public struct NodeEvents: AsyncSequence, Sendable {
  public typealias Element = NodeEvent
  public typealias Failure = Never

  let queue: EventQueue

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }

  public struct AsyncIterator: AsyncIteratorProtocol {
    let queue: EventQueue

    /// The next event; nil at the end.
    public mutating func next() async -> NodeEvent? { await queue.next() }

    /// The next event; nil at the end.
    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(Never) -> NodeEvent? {
      await queue.next()
    }
  }
}

final class EventQueue: Sendable {
  private struct Entry {
    let number: UInt64
    let event: NodeEvent
    let textBytes: Int
  }

  private struct State {
    var messages: Deque<Entry> = []
    var others: Deque<Entry> = []
    var textBytes = 0
    var lastNumber: UInt64 = 0
    var missed = 0
    var hasEnded = false
    var waiting: Deque<(number: UInt64, continuation: CheckedContinuation<NodeEvent?, Never>)> = []

    var count: Int { messages.count + others.count }

    mutating func append(_ event: NodeEvent) {
      lastNumber += 1
      let entry = Entry(number: lastNumber, event: event, textBytes: event.textBytes)
      textBytes += entry.textBytes
      if case .message = event { messages.append(entry) } else { others.append(entry) }
    }

    mutating func dropOldest() {
      guard let entry = others.popFirst() ?? messages.popFirst() else { return }
      textBytes -= entry.textBytes
      missed += 1
    }

    mutating func take() -> NodeEvent? {
      if missed > 0 {
        defer { missed = 0 }
        return .missed(missed)
      }
      let isMessageFirst =
        (messages.first?.number ?? .max) < (others.first?.number ?? .max)
      guard let entry = isMessageFirst ? messages.popFirst() : others.popFirst() else { return nil }
      textBytes -= entry.textBytes
      return entry.event
    }
  }

  private let countMax: Int
  private let state = Mutex(State())

  init(countMax: Int) { self.countMax = max(1, countMax) }

  /// Never waits.
  func offer(_ event: NodeEvent) {
    let waiter = state.withLock { state -> CheckedContinuation<NodeEvent?, Never>? in
      if state.hasEnded { return nil }
      // Whoever waits has taken everything before.
      if let waiter = state.waiting.popFirst() { return waiter.continuation }
      state.append(event)
      while state.count > countMax || state.textBytes > MachineLimits.eventTextBytes {
        state.dropOldest()
      }
      return nil
    }
    waiter?.resume(returning: event)
  }

  /// Tasks that wait for the next event.
  var waitingCount: Int { state.withLock { $0.waiting.count } }

  /// Nothing more will come.
  func end() {
    let waiting = state.withLock { state in
      state.hasEnded = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for waiter in waiting { waiter.continuation.resume(returning: nil) }
  }

  func next() async -> NodeEvent? {
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (isReady, event) = state.withLock { state -> (Bool, NodeEvent?) in
          // Asked under the lock: whoever is cancelled after that is found among the waiting.
          if Task.isCancelled { return (true, nil) }
          if let event = state.take() { return (true, event) }
          if state.hasEnded { return (true, nil) }
          state.waiting.append((number, continuation))
          return (false, nil)
        }
        if isReady { continuation.resume(returning: event) }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
      }
      waiter?.continuation.resume(returning: nil)
    }
  }
}

extension NodeEvent {
  /// What it takes in memory that others may have chosen the size of.
  fileprivate var textBytes: Int {
    switch self {
    case .message(let message): message.text.utf8.count
    case .posted(let receipt): receipt.message.text.utf8.count
    case .notPosted(let text, _, _): text.utf8.count
    default: 0
    }
  }
}
