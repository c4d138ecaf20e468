// Deadlines of one kind, all the same time ahead: who comes first is due first, so a queue will do.
// Nothing is taken out when a deadline is lifted or moved; the owner sees that when it comes.

struct Deadlines {
  struct Entry {
    let microseconds: Int64
    let slot: Poller.Slot
  }

  let delayMicroseconds: Int64
  private var entries: [Entry] = []
  private var first = 0

  init(delayMicroseconds: Int64) { self.delayMicroseconds = delayMicroseconds }

  var next: Int64? { first < entries.count ? entries[first].microseconds : nil }

  /// Returns when it is due.
  mutating func add(_ slot: Poller.Slot, now: Int64) -> Int64 {
    entries.append(Entry(microseconds: now + delayMicroseconds, slot: slot))
    return now + delayMicroseconds
  }

  /// The next entry that is due, taken out.
  mutating func takeDue(now: Int64) -> Entry? {
    guard first < entries.count, entries[first].microseconds <= now else { return nil }
    let entry = entries[first]
    first += 1
    if first == entries.count || first >= 1_024 {
      entries.removeFirst(first)
      first = 0
    }
    return entry
  }
}
