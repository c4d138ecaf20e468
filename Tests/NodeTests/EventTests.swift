// The queue between a node and whoever takes its events.

import Synchronization
import Testing

@testable import LineChat

@Suite("A node's events")
struct EventTests {
  private static func message(_ text: String) -> NodeEvent {
    .message(
      ChatMessage(
        from: Member(name: name("bob"), place: .relay), conversation: .group(group("lobby")),
        text: text, timeMicroseconds: 0, receivedMicroseconds: 0, path: .relayed))
  }

  private static func other(_ number: Int) -> NodeEvent {
    .entered(group("lobby"), members: number, isNew: false)
  }

  private static func all(_ queue: EventQueue) async -> [NodeEvent] {
    queue.end()
    var events: [NodeEvent] = []
    for await event in NodeEvents(queue: queue) { events.append(event) }
    return events
  }

  @Test("come in order, those from before the loop too, and end")
  func order() async {
    let queue = EventQueue(countMax: 10)
    let events = [Self.other(1), Self.message("a"), Self.other(2), Self.message("b")]
    for event in events { queue.offer(event) }
    #expect(await Self.all(queue) == events)
    queue.offer(Self.message("too late"))
    #expect(await Self.all(queue) == [])
  }

  @Test("when there are too many, the oldest that is no message is dropped, and that is said first")
  func bounded() async {
    let queue = EventQueue(countMax: 4)
    queue.offer(Self.message("a"))
    for number in 1...6 { queue.offer(Self.other(number)) }
    queue.offer(Self.message("b"))
    #expect(
      await Self.all(queue)
        == [.missed(4), Self.message("a"), Self.other(5), Self.other(6), Self.message("b")])
  }

  @Test(
    "where there are only messages, the oldest of them is dropped, and what is no message at once")
  func onlyMessages() async {
    let queue = EventQueue(countMax: 2)
    for text in ["a", "b", "c"] { queue.offer(Self.message(text)) }
    queue.offer(Self.other(1))
    #expect(await Self.all(queue) == [.missed(2), Self.message("b"), Self.message("c")])
  }

  @Test("their texts have a bound, too")
  func boundedTexts() async {
    let queue = EventQueue(countMax: 1_000)
    let long = String(repeating: "x", count: 1 << 16)
    for _ in 1...257 { queue.offer(Self.message(long)) }
    let events = await Self.all(queue)
    #expect(events.first == .missed(1))
    #expect(events.count == 257)
  }

  @Test("what was missed is counted anew after it was told")
  func missedTwice() async {
    let queue = EventQueue(countMax: 1)
    for text in ["a", "b", "c"] { queue.offer(Self.message(text)) }
    #expect(await queue.next() == .missed(2))
    #expect(await queue.next() == Self.message("c"))
    for text in ["d", "e"] { queue.offer(Self.message(text)) }
    #expect(await queue.next() == .missed(1))
    #expect(await queue.next() == Self.message("e"))
  }

  @Test("a task that waits gets the next one; one that is cancelled sees the end, and they go on")
  func cancelled() async throws {
    let queue = EventQueue(countMax: 10)
    let waiting = Task { await queue.next() }
    try await until("it waits") { queue.waitingCount == 1 }
    queue.offer(Self.other(1))
    #expect(await waiting.value == Self.other(1))

    let cancelled = Task { await queue.next() }
    try await until("it waits") { queue.waitingCount == 1 }
    cancelled.cancel()
    #expect(await cancelled.value == nil)
    queue.offer(Self.other(2))
    let late = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return await queue.next()
    }
    #expect(await late.value == nil)
    #expect(await queue.next() == Self.other(2))
  }

  @Test("each goes to one of several that wait")
  func several() async throws {
    let queue = EventQueue(countMax: 10)
    let tasks = (0..<8).map { _ in Task { await queue.next() } }
    try await until("they wait") { queue.waitingCount == 8 }
    for number in 0..<7 { queue.offer(Self.other(number)) }
    queue.end()
    var seen: [Int] = []
    var ends = 0
    for task in tasks {
      switch await task.value {
      case .entered(_, let number, _)?: seen.append(number)
      case nil: ends += 1
      default: Issue.record("something else")
      }
    }
    #expect(seen.sorted() == Array(0..<7))
    #expect(ends == 1)
  }

  @Test("a thread that offers and a task that takes lose nothing between them")
  func race() async {
    let queue = EventQueue(countMax: 1 << 20)
    let count = 20_000
    async let taken = {
      var numbers: [Int] = []
      for await case .entered(_, let number, _) in NodeEvents(queue: queue) {
        numbers.append(number)
      }
      return numbers
    }()
    await Task.detached {
      for number in 0..<count { queue.offer(Self.other(number)) }
      queue.end()
    }.value
    #expect(await taken == Array(0..<count))
  }
}
