// What the loop sleeps on: one call of poll(2) for every descriptor there is.
//
// The rules it keeps:
//   - Adding, changing and removing an entry costs the same however many there are. The loop knows
//     an entry by its slot; where the entry lies in poll's array is the poller's own affair, so
//     that entries can lie elsewhere (parked in an epoll descriptor, say) without anybody noticing.
//   - A slot that was given back is not given out again before the next wait, so that news of its
//     former holder can't reach the new one.
//   - Who comes late in the array is not last for ever: the loop can say where to begin next.

import Glibc

final class Poller {
  typealias Slot = Int32

  /// What an entry is asked about. Hang-ups and errors are told in any case.
  struct Interest: OptionSet {
    let rawValue: UInt8
    static let reading = Interest(rawValue: 1)
    static let writing = Interest(rawValue: 2)
  }

  struct Readiness {
    let slot: Slot
    fileprivate let events: Int16

    var canWrite: Bool { events & Int16(POLLOUT) != 0 }
    var canRead: Bool { events & Int16(POLLIN) != 0 }
    /// Both directions are shut, or the connection failed. There may still be input to read.
    var isHangUp: Bool { events & Int16(POLLHUP | POLLERR) != 0 }
  }

  /// What the last wait found, in the order in which it is to be served.
  private(set) var ready: [Readiness] = []

  private var entries: [pollfd] = []
  /// Which slot each of `entries` belongs to.
  private var slots: [Slot] = []
  /// Where the entry of each slot lies; -1 for a slot that is free.
  private var positions: [Int32] = []
  private var freeSlots: [Slot] = []
  private var returnedSlots: [Slot] = []
  private var firstServed = 0

  func add(_ descriptor: Int32, _ interest: Interest) -> Slot {
    let slot = freeSlots.popLast() ?? Slot(positions.count)
    if Int(slot) == positions.count { positions.append(-1) }
    positions[Int(slot)] = Int32(entries.count)
    entries.append(pollfd(fd: descriptor, events: Poller.events(interest), revents: 0))
    slots.append(slot)
    return slot
  }

  func change(_ slot: Slot, to interest: Interest) {
    entries[Int(positions[Int(slot)])].events = Poller.events(interest)
  }

  /// No more news of this entry, not even of a hang-up, until `heed`.
  func ignore(_ slot: Slot) {
    let position = Int(positions[Int(slot)])
    // poll skips negative descriptors.
    if entries[position].fd >= 0 { entries[position].fd = ~entries[position].fd }
  }

  func heed(_ slot: Slot) {
    let position = Int(positions[Int(slot)])
    if entries[position].fd < 0 { entries[position].fd = ~entries[position].fd }
  }

  /// Before the descriptor is closed. The last entry moves to where this one lay.
  func remove(_ slot: Slot) {
    let position = positions[Int(slot)]
    precondition(position >= 0, "a slot that is not in use")
    let lastEntry = entries.removeLast()
    let lastSlot = slots.removeLast()
    if Int(position) < entries.count {
      entries[Int(position)] = lastEntry
      slots[Int(position)] = lastSlot
      positions[Int(lastSlot)] = position
    }
    positions[Int(slot)] = -1
    returnedSlots.append(slot)
  }

  /// Sleeps until there is news or the time is over, then fills `ready`. A signal, or the kernel
  /// being short of memory, counts as no news.
  func wait(_ microseconds: Int64) throws(SystemError) {
    freeSlots.append(contentsOf: returnedSlots)
    returnedSlots.removeAll(keepingCapacity: true)
    ready.removeAll(keepingCapacity: true)
    let milliseconds = Poller.milliseconds(microseconds)
    let count = entries.withUnsafeMutableBufferPointer {
      poll($0.baseAddress, nfds_t($0.count), milliseconds)
    }
    if count < 0 {
      guard errno == EINTR || errno == EAGAIN || errno == ENOMEM else { throw SystemError("poll") }
      return
    }
    if count > 0 { collect(Int(count)) }
  }

  /// The next wait begins with this entry: the loop had no room for it in this round.
  func begin(with slot: Slot) {
    firstServed = max(0, Int(positions[Int(slot)]))
  }

  private func collect(_ count: Int) {
    let first = firstServed < entries.count ? firstServed : 0
    firstServed = 0
    collect(first..<entries.count, upTo: count)
    collect(0..<first, upTo: count)
  }

  private func collect(_ range: Range<Int>, upTo count: Int) {
    entries.withUnsafeBufferPointer { entries in
      for position in range where entries[position].revents != 0 {
        precondition(entries[position].revents & Int16(POLLNVAL) == 0, "polled after its close")
        ready.append(Readiness(slot: slots[position], events: entries[position].revents))
        if ready.count == count { return }
      }
    }
  }

  private static func events(_ interest: Interest) -> Int16 {
    (interest.contains(.reading) ? Int16(POLLIN) : 0)
      | (interest.contains(.writing) ? Int16(POLLOUT) : 0)
  }

  /// How long to wait for a deadline, in microseconds; any number is one, and the least means now.
  static func wait(until deadline: Int64, now: Int64) -> Int64 {
    guard deadline > now else { return 0 }
    return min(deadline, now + MachineLimits.waitMicroseconds) - now
  }

  /// Rounded up: to wake too early is to spin until the time has come.
  private static func milliseconds(_ microseconds: Int64) -> Int32 {
    guard microseconds > 0 else { return 0 }
    return Int32(clamping: (microseconds - 1) / 1_000 + 1)
  }
}
