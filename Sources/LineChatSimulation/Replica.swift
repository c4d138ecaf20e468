// A program's replica of one group's roster, kept by the rule of the protocol and nothing else: a
// snapshot from OK JOIN or OK MEMBERS, then each change that is numbered one higher, whoever made
// it. Anything else is a gap, which must not happen as long as a connection lasts.

import LineProtocol

struct Replica {
  struct Entry: Equatable {
    var member: Member
    /// As a MEMBER line said them last; nil where none has yet.
    var attributes: [String]?
  }

  private(set) var version: RosterVersion
  private(set) var entries: [Entry]

  init(_ version: RosterVersion, _ entries: [Entry]) {
    self.version = version
    self.entries = entries
  }

  func contains(_ name: MemberName) -> Bool { index(name) != nil }

  mutating func apply(_ message: Message, _ version: RosterVersion) throws(Wrong) {
    guard version.start == self.version.start, version.number == self.version.number + 1 else {
      throw Wrong("gap: version \(version) came after \(self.version)")
    }
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
    guard self.version.description == version else {
      throw Wrong("its replica of \(group.name) has version \(self.version), not \(version)")
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
