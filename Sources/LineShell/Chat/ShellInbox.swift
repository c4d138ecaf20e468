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
  /// The texts in them, in bytes: long ones must not make more of it than many.
  private static let bytesMax = 32 << 20
  /// Taken at a time, so that what is typed meanwhile is not kept waiting; and after so many bytes no
  /// more.
  private static let piece = 128
  private static let pieceBytes = 65_536

  private struct State {
    var items: Deque<Item> = []
    var bytes = 0
    var missed = 0

    /// The oldest event goes. False: there is none.
    mutating func drop() -> Bool {
      guard let oldest = items.firstIndex(where: { $0.isEvent }) else { return false }
      bytes -= items.remove(at: oldest).bytes
      missed += 1
      return true
    }
  }

  private let state = Mutex(State())
  private let pipe: WakePipe

  init() throws(SystemError) { pipe = try WakePipe.make() }

  /// What the shell's loop polls for reading.
  var number: Int32 { pipe.number }

  /// From any thread; never waits. Answers are never dropped: there is one for each call.
  func offer(_ item: Item) {
    let isFirst = state.withLock { state in
      state.bytes += item.bytes
      while state.items.count >= Self.eventsMax || state.bytes > Self.bytesMax {
        guard state.drop() else { break }
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
      var bytes = 0
      for _ in 0..<Self.piece where bytes < Self.pieceBytes {
        guard let item = state.items.popFirst() else { break }
        bytes += item.bytes
        items.append(item)
      }
      state.bytes -= bytes
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

  /// Of the text in it.
  fileprivate var bytes: Int {
    switch self {
    case .event(.message(let message)): message.text.utf8.count
    case .event(.posted(let receipt)): receipt.message.text.utf8.count
    case .event(.notPosted(let text, _, _)): text.utf8.count
    case .event, .answer, .ended: 0
    }
  }
}
