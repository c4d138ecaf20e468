// What the loop sleeps on: one call of poll(2) for whoever has news often, with the others behind one
// of its entries.
//
// Theory of operation. poll looks at each of its entries in each call, so ten thousand silent
// connections would cost some milliseconds whenever one of them speaks. Whoever had no news for a
// number of waits is parked: moved to an epoll descriptor, which is itself an entry of poll's array
// and ready when one of its own is. With its next news it is back in the array.
//
//     poll [ epoll | busy … busy ]          no news for `waitsBeforeParking` waits ->
//             └ parked … parked             <- news, or another interest
//
// Parking and coming back cost about as much as some tens of looks at an entry in poll's array do. So
// that many looks are waited for: then whatever comes costs at most twice of what would have been best
// (the rule for renting skis; Karlin, Manasse, Rudolph and Sleator, "Competitive snoopy caching", 1988).
// It needs no clock, and nothing at all is done while nothing happens.
//
// The rules it keeps:
//   - Adding, changing and removing an entry costs the same however many there are. The loop knows
//     an entry by its slot; where the entry lies is the poller's own affair.
//   - A slot that was given back is not given out again before the next wait, so that news of its
//     former holder can't reach the new one.
//   - Who comes late in the array is not last for ever: the loop can say where to begin next.
//   - Where there is no epoll descriptor to be had (or no room in it), nothing is parked.
//
// Why exclusive access is not checked at run time is said in Loop.

import CSystem
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
  @exclusivity(unchecked) private(set) var ready: [Readiness] = []

  /// poll's array, with the epoll descriptor in it.
  @exclusivity(unchecked) private var entries: [pollfd] = []
  /// Whose each of `entries` is.
  @exclusivity(unchecked) private var tenants: [Tenant] = []
  /// Where the entry of each slot lies, or `Place`.
  @exclusivity(unchecked) private var positions: [Int32] = []
  /// By their slots, as they lay in `entries`.
  @exclusivity(unchecked) private var parked: [pollfd] = []
  /// There from the beginning, so that how many descriptors are open tells how many connections are.
  /// -1: there was none to be had; it is tried again.
  @exclusivity(unchecked) private var epoll: Int32 = -1
  @exclusivity(unchecked) private var freeSlots: [Slot] = []
  @exclusivity(unchecked) private var returnedSlots: [Slot] = []
  @exclusivity(unchecked) private var firstServed = 0
  /// Waits so far. It may begin anew: only differences count.
  @exclusivity(unchecked) private var waits: UInt32 = 0

  private struct Tenant {
    let slot: Slot
    /// The number of the wait that had news of it, or before which it came.
    var newsAt: UInt32
  }

  /// What stands for a position where there is none.
  private enum Place {
    static let none: Int32 = -1
    static let parked: Int32 = -2
  }

  /// The epoll descriptor's own slot; nobody else is given one below 0.
  private static let epollSlot: Slot = -1

  init() { _ = openEpoll() }

  deinit { if epoll >= 0 { close(epoll) } }

  /// How many are not in poll's array.
  @exclusivity(unchecked) private(set) var parkedCount = 0

  func add(_ descriptor: Int32, _ interest: Interest) -> Slot {
    let slot = freeSlots.popLast() ?? Slot(positions.count)
    if Int(slot) == positions.count { positions.append(Place.none) }
    append(slot, pollfd(fd: descriptor, events: Poller.events(interest), revents: 0))
    return slot
  }

  func change(_ slot: Slot, to interest: Interest) {
    entries[position(of: slot)].events = Poller.events(interest)
  }

  /// No more news of this entry, not even of a hang-up, until `heed`.
  func ignore(_ slot: Slot) {
    let position = position(of: slot)
    // poll skips negative descriptors.
    if entries[position].fd >= 0 { entries[position].fd = ~entries[position].fd }
  }

  func heed(_ slot: Slot) {
    guard positions[Int(slot)] != Place.parked else { return }
    let position = position(of: slot)
    if entries[position].fd < 0 { entries[position].fd = ~entries[position].fd }
  }

  /// Before the descriptor is closed. The last entry moves to where this one lay.
  func remove(_ slot: Slot) {
    take(position(of: slot))
    positions[Int(slot)] = Place.none
    returnedSlots.append(slot)
  }

  /// Sleeps until there is news or the time is over, then fills `ready`. A signal, or the kernel
  /// being short of memory, counts as no news.
  func wait(_ microseconds: Int64) throws(SystemError) {
    freeSlots.append(contentsOf: returnedSlots)
    returnedSlots.removeAll(keepingCapacity: true)
    ready.removeAll(keepingCapacity: true)
    waits &+= 1
    if waits % MachineLimits.waitsBeforeParking == 0 { parkSilent() }
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

  // MARK: News

  private func collect(_ count: Int) {
    let first = firstServed < entries.count ? firstServed : 0
    firstServed = 0
    var left = count
    var hasParkedNews = false
    collect(first..<entries.count, &left, &hasParkedNews)
    collect(0..<first, &left, &hasParkedNews)
    if hasParkedNews { collectParked() }
  }

  private func collect(_ range: Range<Int>, _ left: inout Int, _ hasParkedNews: inout Bool) {
    entries.withUnsafeBufferPointer { entries in
      for position in range {
        guard left > 0 else { return }
        let events = entries[position].revents
        guard events != 0 else { continue }
        precondition(events & Int16(POLLNVAL) == 0, "polled after its close")
        left -= 1
        if tenants[position].slot == Poller.epollSlot {
          hasParkedNews = true
        } else {
          tenants[position].newsAt = waits
          ready.append(Readiness(slot: tenants[position].slot, events: events))
        }
      }
    }
  }

  /// Those that are more than fit are there in the next wait.
  private func collectParked() {
    let most = MachineLimits.parkedNews
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: most) { slots in
      withUnsafeTemporaryAllocation(of: Int16.self, capacity: most) { events in
        let count = csystem_epoll_take(
          epoll, slots.baseAddress, events.baseAddress, Int32(most))
        for index in 0..<max(0, Int(count)) {
          _ = position(of: slots[index])
          ready.append(Readiness(slot: slots[index], events: events[index]))
        }
      }
    }
  }

  // MARK: Parking

  /// Where the entry lies in poll's array, to which it is brought back if it is parked.
  private func position(of slot: Slot) -> Int {
    if positions[Int(slot)] == Place.parked {
      let entry = parked[Int(slot)]
      parkedCount -= 1
      csystem_epoll_remove(epoll, entry.fd)
      append(slot, entry)
    }
    precondition(positions[Int(slot)] >= 0, "a slot that is not in use")
    return Int(positions[Int(slot)])
  }

  private func parkSilent() {
    // From the end, as the last one comes to where one is taken away.
    for position in entries.indices.reversed() {
      let tenant = tenants[position]
      guard tenant.slot != Poller.epollSlot, entries[position].fd >= 0,
        waits &- tenant.newsAt > MachineLimits.waitsBeforeParking
      else { continue }
      guard park(position) else { return }
    }
  }

  /// False: nobody can be parked now.
  private func park(_ position: Int) -> Bool {
    guard epoll >= 0 || openEpoll() else { return false }
    let (entry, slot) = (entries[position], tenants[position].slot)
    guard csystem_epoll_add(epoll, entry.fd, entry.events, slot) == 0 else { return false }
    if Int(slot) >= parked.count {
      let free = pollfd(fd: -1, events: 0, revents: 0)
      parked += Array(repeating: free, count: positions.count - parked.count)
    }
    parked[Int(slot)] = entry
    take(position)
    positions[Int(slot)] = Place.parked
    parkedCount += 1
    return true
  }

  private func openEpoll() -> Bool {
    epoll = csystem_epoll()
    guard epoll >= 0 else { return false }
    append(Poller.epollSlot, pollfd(fd: epoll, events: Int16(POLLIN), revents: 0))
    return true
  }

  // MARK: poll's array

  private func append(_ slot: Slot, _ entry: pollfd) {
    if slot >= 0 { positions[Int(slot)] = Int32(entries.count) }
    entries.append(entry)
    tenants.append(Tenant(slot: slot, newsAt: waits))
  }

  private func take(_ position: Int) {
    let (lastEntry, lastTenant) = (entries.removeLast(), tenants.removeLast())
    guard position < entries.count else { return }
    entries[position] = lastEntry
    tenants[position] = lastTenant
    if lastTenant.slot >= 0 { positions[Int(lastTenant.slot)] = Int32(position) }
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
