// Who is in one group, in order of joining: the server's own list, and a node's replica of it.
//
// Rules: a name is in it once, whatever its case; the version names this very content; entries
// keep their order for good. It is a value: a long listing holds a copy, and only a change made
// meanwhile pays for it. Removal leaves a gap, closed when half of the list is gaps, so joining and
// leaving cost the same however many there are.

import LineProtocol

package struct Roster: Sendable {
  package struct Entry: Sendable, Hashable {
    package var member: Member
    package var isOnline: Bool
    package var speaksTags: Bool
    package var isReachable: Bool
    /// The owner's own index of the member.
    var handle: Int32

    /// The words behind the member in a `MEMBER` line.
    func appendAttributes(to buffer: ByteBuffer) {
      buffer.append(isOnline ? " online" : " away")
      if speaksTags { buffer.append(" tags") }
      if isReachable { buffer.append(" reachable") }
    }
  }

  package private(set) var version: RosterVersion
  package private(set) var count = 0
  private var entries: [Entry?] = []
  private var places: [MemberName: Int32] = [:]

  package init(version: RosterVersion) { self.version = version }

  package func contains(_ name: MemberName) -> Bool { places[name] != nil }

  package subscript(_ name: MemberName) -> Entry? {
    guard let place = places[name] else { return nil }
    return entries[Int(place)]
  }

  /// The entries from position `start` on, each with the position behind it.
  func entries(from start: Int) -> some Sequence<(next: Int, entry: Entry)> {
    entries.indices[min(start, entries.count)...].lazy.compactMap { index in
      self.entries[index].map { (index + 1, $0) }
    }
  }

  package var all: [Entry] { entries.compactMap { $0 } }

  /// Adds a member at the end; the name must not be there yet.
  mutating func append(_ entry: Entry, as version: RosterVersion) {
    precondition(places[entry.member.name] == nil, "a name is in a roster once")
    places[entry.member.name] = Int32(entries.count)
    entries.append(entry)
    count += 1
    self.version = version
  }

  /// Takes a member out; the name must be there.
  mutating func remove(_ name: MemberName, as version: RosterVersion) {
    guard let place = places.removeValue(forKey: name) else {
      preconditionFailure("only a member can be taken out of a roster")
    }
    entries[Int(place)] = nil
    count -= 1
    self.version = version
    if entries.count > 32 && count < entries.count / 2 { closeGaps() }
  }

  /// Gives a member another name or place, at its old position; the name must be there.
  mutating func change(_ name: MemberName, to entry: Entry, as version: RosterVersion) {
    guard let place = places.removeValue(forKey: name) else {
      preconditionFailure("only a member can change in a roster")
    }
    places[entry.member.name] = place
    entries[Int(place)] = entry
    self.version = version
  }

  /// Notes what is no change of the roster: whether a member is there and what it can do.
  mutating func note(
    _ name: MemberName, isOnline: Bool, speaksTags: Bool, isReachable: Bool
  ) {
    guard let place = places[name] else { return }
    entries[Int(place)]?.isOnline = isOnline
    entries[Int(place)]?.speaksTags = speaksTags
    entries[Int(place)]?.isReachable = isReachable
  }

  private mutating func closeGaps() {
    entries = entries.filter { $0 != nil }
    for (index, entry) in entries.enumerated() {
      if let entry { places[entry.member.name] = Int32(index) }
    }
  }
}
