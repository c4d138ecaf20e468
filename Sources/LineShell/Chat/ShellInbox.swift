// What the node's thread has for the shell's: events and answers, in order, in a bounded queue that
// never makes the node wait.

import DequeModule
import LineChat
import LineChatCore
import Synchronization

final class ShellInbox: Sendable {
  enum Item: Sendable {
    case event(NodeEvent)
    case answer(UInt64, ShellAnswer)
    /// The node has ended by itself; why.
    case ended(String)
  }

  /// Events that may wait while the terminal takes nothing: some tens of megabytes of short messages.
  private static let eventsMax = 65_536
  /// Taken at a time, so that what is typed meanwhile is not kept waiting.
  private static let piece = 128

  private struct State {
    var items: Deque<Item> = []
    var missed = 0
  }

  private let state = Mutex(State())
  private let pipe: WakePipe

  init() throws(SystemError) { pipe = try WakePipe.make() }

  /// What the shell's loop polls for reading.
  var number: Int32 { pipe.number }

  /// From any thread; never waits. Answers are never dropped: there is one for each call.
  func offer(_ item: Item) {
    let isFirst = state.withLock { state in
      if state.items.count >= Self.eventsMax {
        if let oldest = state.items.firstIndex(where: { $0.isEvent }) {
          state.items.remove(at: oldest)
          state.missed += 1
        }
      }
      state.items.append(item)
      return state.items.count == 1
    }
    if isFirst { pipe.wake() }
  }

  /// The next few; empty where there is nothing.
  func take() -> [Item] {
    let (items, isEmpty) = state.withLock { state -> ([Item], Bool) in
      var items: [Item] = []
      if state.missed > 0 {
        items.append(.event(.missed(state.missed)))
        state.missed = 0
      }
      let count = min(Self.piece, state.items.count)
      items += state.items.prefix(count)
      state.items.removeFirst(count)
      // Under the lock, so that no wake between this and the next item is lost.
      if state.items.isEmpty { pipe.drain() }
      return (items, state.items.isEmpty)
    }
    if !isEmpty { pipe.wake() }
    return items
  }
}

extension ShellInbox.Item {
  fileprivate var isEvent: Bool { if case .event = self { true } else { false } }
}
