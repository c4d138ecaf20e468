// A program's replica of one group's roster, kept by the rule of the protocol and nothing else: a
// snapshot from OK JOIN or OK MEMBERS, then each change that is numbered one higher. The program's
// own changes are not told to it; it has made them itself and counts them in. Anything else is a
// gap, which must not happen as long as a connection lasts.

import LineProtocol

struct Replica {
  struct Entry: Equatable {
    var member: Member
    /// As a MEMBER line said them last; nil where none has yet.
    var attributes: [String]?
  }

  private(set) var version: RosterVersion
  private(set) var entries: [Entry]
  /// Changes of its own that came after `version`.
  private(set) var ownChanges: UInt64 = 0

  init(_ version: RosterVersion, _ entries: [Entry]) {
    self.version = version
    self.entries = entries
  }

  /// The version that the server must have when all is quiet.
  var present: RosterVersion {
    RosterVersion(start: version.start, number: version.number + ownChanges)
  }

  /// The program itself has another name or place.
  mutating func changeOwn(_ before: MemberName, to member: Member) throws(Wrong) {
    guard let at = index(before) else { throw Wrong("\(before) is not in its own replica") }
    entries[at].member = member
    ownChanges += 1
  }

  mutating func apply(_ message: Message, _ version: RosterVersion) throws(Wrong) {
    let number = self.version.number
    guard version.start == self.version.start, version.number > number,
      version.number <= number + 1 + ownChanges
    else { throw Wrong("gap: version \(version) came after \(present)") }
    ownChanges -= version.number - number - 1
    self.version = version
    guard let source = message.source else { throw Wrong("a change without a source") }
    switch message.content {
    case .join:
      if let at = index(source.name) {
        entries[at].member = source
      } else {
        entries.append(Entry(member: source, attributes: nil))
      }
    case .leave:
      guard let at = index(source.name) else { throw Wrong("\(source) left and was not there") }
      entries.remove(at: at)
    case .nick(let name):
      guard let at = index(source.name) else { throw Wrong("\(source) is unknown") }
      entries[at].member.name = name
    default: throw Wrong("a version on what is no change")
    }
  }

  mutating func note(_ member: Member, _ attributes: [String]) throws(Wrong) {
    guard let at = index(member.name), entries[at].member == member else {
      throw Wrong("\(member) is told of and was not there")
    }
    entries[at].attributes = attributes
  }

  private func index(_ name: MemberName) -> Int? {
    entries.firstIndex { $0.member.name == name }
  }

  /// Holds the replica against the group as it is.
  func compare(with group: Group, version: String, but own: Person) throws(Wrong) {
    guard present.description == version else {
      throw Wrong("its replica of \(group.name) has version \(present), the server \(version)")
    }
    let members = group.seats.map { $0.person.wire.description }
    guard entries.map(\.member.description) == members else {
      throw Wrong("its replica of \(group.name) is \(entries.map(\.member)), not \(members)")
    }
    for (entry, seat) in zip(entries, group.seats) where seat.isDurable && seat.person !== own {
      let due = seat.person.attributes.split(separator: " ").map(String.init)
      guard entry.attributes == due else {
        throw Wrong(
          "its replica of \(group.name) has \(entry.member) \(entry.attributes ?? []), not \(due)")
      }
    }
  }
}
