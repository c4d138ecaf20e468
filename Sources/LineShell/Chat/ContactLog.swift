// What was tried to reach the others, and when: for /why. Bounded, so that a shell may run for months.

import LineProtocol

struct ContactLog {
  struct Entry: Hashable {
    /// Microseconds since 1970 UTC.
    let time: Int64
    let text: String
  }

  /// Enough to see a pattern in, and to fit on a screen.
  private static let entriesMax = 12
  private static let membersMax = 512

  private var entries: [MemberName: [Entry]] = [:]
  /// Those heard of least lately first.
  private var order: [MemberName] = []

  func entries(of name: MemberName) -> [Entry] { entries[name] ?? [] }

  mutating func note(_ name: MemberName, _ text: String, at time: Int64) {
    var list = entries[name] ?? []
    list.append(Entry(time: time, text: text))
    if list.count > ContactLog.entriesMax { list.removeFirst() }
    entries[name] = list
    order.removeAll { $0 == name }
    order.append(name)
    if order.count > ContactLog.membersMax { entries[order.removeFirst()] = nil }
  }

  mutating func renamed(_ old: MemberName, to new: MemberName) {
    guard let list = entries.removeValue(forKey: old) else { return }
    order.removeAll { $0 == old || $0 == new }
    order.append(new)
    entries[new] = list
  }
}
