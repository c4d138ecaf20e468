// What the server has said to anybody, held against what it says later, over its restarts:
//
//   - A version of a group stands for one change and one roster, for ever, within one server id; on one
//     connection versions only rise.
//   - Who was told that it joined for good, left, or has another name, is in every later roster like
//     that until it asks for something else; also after a crash.
//   - A name is in a roster once.

import LineChatCore
import LineProtocol

struct Register {
  /// What the memberships of before are worth: another directory has others.
  private struct Version: Hashable {
    let server: UInt64
    let group: GroupName
    let version: RosterVersion
  }

  private enum Asked: Equatable {
    case nick(MemberName)
    case join(GroupName)
    case leave(GroupName)

    var verb: Verb {
      switch self {
      case .nick: .nick
      case .join: .join
      case .leave: .leave
      }
    }

    var isNick: Bool { verb == .nick }
  }

  private var changes: [Version: String] = [:]
  private var rosters: [Version: [String]] = [:]
  typealias Members = [GroupName: [MemberName: RosterVersion]]
  /// Names that were told they are in for good, and the version that the roster had then.
  private var members: Members = [:]
  /// Names that were told they have left, or are called otherwise, and the version that the roster had.
  private var left: Members = [:]
  /// Who a connection is, by its number.
  private var names: [Int: MemberName] = [:]
  /// What was asked on a connection and not answered: it may be so already.
  private var underWay: [Int: [Asked]] = [:]
  private var latest: [Int: [GroupName: RosterVersion]] = [:]
  private var listing: [Int: [String]] = [:]

  /// Only lines with tags have versions, and only replies say who somebody is.
  static func matters(_ line: ArraySlice<UInt8>) -> Bool { line.first != 0x3A }

  // MARK: What is asked

  mutating func asked(_ line: Message, on link: Int) {
    switch line.content {
    case .leave(let group, _): underWay[link, default: []].append(.leave(group))
    case .join(let group, _, _): underWay[link, default: []].append(.join(group))
    case .nick(let name): underWay[link, default: []].append(.nick(name))
    default: break
    }
  }

  /// It has asked for something else, and may have it already.
  private func isUnsure(_ name: MemberName, _ group: GroupName) -> Bool {
    underWay.contains { link, asked in
      names[link] == name
        && (asked.contains(where: \.isNick) || asked.contains(.leave(group)))
    }
  }

  /// It has asked to be in again, or somebody has asked for its name.
  private func mayBeBack(_ name: MemberName, _ group: GroupName) -> Bool {
    underWay.contains { link, asked in
      asked.contains(.nick(name)) || names[link] == name && asked.contains(.join(group))
    }
  }

  private mutating func isBack(_ name: MemberName) {
    for group in left.keys.sorted() { left[group]?[name] = nil }
  }

  /// - Parameter isOver: where it was a leave, it is in that group no more.
  /// - Parameter hasFailed: a disk that fails may have it all the same, and a start find it.
  private mutating func answered(
    _ verb: Verb?, on link: Int, isOver: Bool = false, hasFailed: Bool = false
  ) {
    guard
      let index = underWay[link]?.firstIndex(where: { $0.verb == verb })
    else { return }
    let asked = underWay[link]?.remove(at: index)
    guard let asked, isOver || hasFailed, let name = names[link] else { return }
    switch asked {
    case .leave(let group): members[group]?[name] = nil
    case .join(let group): left[group]?[name] = nil
    case .nick(let new):
      for group in members.keys.sorted() { members[group]?[name] = nil }
      isBack(new)
    }
  }

  // MARK: What is said

  /// - Parameter durable: the connections of those whose joins are for good.
  mutating func said(
    _ lines: [(link: Int, isDurable: Bool, line: Message)], server: UInt64,
    present: (GroupName) -> RosterVersion
  ) throws(Wrong) {
    for (link, isDurable, line) in lines { note(line, link, isDurable, present) }
    for (link, _, line) in lines { try check(line, link, server) }
  }

  private mutating func note(
    _ line: Message, _ link: Int, _ isDurable: Bool, _ present: (GroupName) -> RosterVersion
  ) {
    switch line.content {
    case .ok(.nick, let text):
      answered(.nick, on: link)
      guard let name = MemberName(text) else { return }
      let old = names.updateValue(name, forKey: link)
      guard let old, old != name else { return isBack(name) }
      for group in members.keys.sorted() where members[group]?.removeValue(forKey: old) != nil {
        // An older connection may have given the memberships of that name to another.
        if isUnsure(old, group) { continue }
        members[group]?[name] = present(group)
        left[group, default: [:]][old] = present(group)
      }
      isBack(name)
    case .ok(.join, let text):
      answered(.join, on: link)
      guard let name = names[link], let group = group(text) else { return }
      left[group]?[name] = nil
      guard isDurable else { return }
      members[group, default: [:]][name] = present(group)
      // Whatever an older connection of its asked for, this came later.
      for other in underWay.keys.sorted() where other != link && names[other] == name {
        underWay[other]?.removeAll { $0 == .leave(group) }
      }
    case .ok(.leave, let text):
      answered(.leave, on: link, isOver: true)
      guard let name = names[link], let group = group(text) else { return }
      left[group, default: [:]][name] = present(group)
    case .err(let refusal):
      answered(
        refusal.verb, on: link, isOver: refusal.code == .notMember,
        hasFailed: refusal.code == .internalError)
    default: break
    }
  }

  private func group(_ text: String) -> GroupName? {
    text.split(separator: " ").first.flatMap { GroupName($0) }
  }

  private mutating func check(_ line: Message, _ link: Int, _ server: UInt64) throws(Wrong) {
    let version = line.tags["version"].flatMap { RosterVersion($0) }
    switch (line.content, line.source) {
    case (.member(_, let member, _), nil):
      if line.tags["label"] != nil { listing[link, default: []].append("\(member)") }
    case (.ok(.join, let text), nil), (.ok(.members, let text), nil):
      let listed = listing.removeValue(forKey: link) ?? []
      guard let version, let group = group(text) else { return }
      try rises(version, group, link, isChange: false)
      try check(listed, Version(server: server, group: group, version: version))
    case (.join(let group, _, _), let source?):
      try check("\(source) joins", version, group, link, server)
    case (.leave(let group, _), let source?):
      try check("\(source) leaves", version, group, link, server)
    case (.nick(let new), let source?):
      guard let group = line.tags["group"].flatMap({ GroupName($0) }) else { return }
      try check("\(source) is \(new)", version, group, link, server)
    case (.err, nil): listing[link] = nil
    default: break
    }
  }

  private mutating func check(
    _ change: String, _ version: RosterVersion?, _ group: GroupName, _ link: Int, _ server: UInt64
  ) throws(Wrong) {
    guard let version else { return }
    try rises(version, group, link, isChange: true)
    let key = Version(server: server, group: group, version: version)
    if let before = changes.updateValue(change, forKey: key), before != change {
      throw Wrong("version \(version) of \(group) is \(change), and was \(before)")
    }
  }

  private mutating func check(_ listed: [String], _ version: Version) throws(Wrong) {
    if let before = rosters.updateValue(listed, forKey: version), before != listed {
      throw Wrong("version \(version.version) of \(version.group) is \(listed), and was \(before)")
    }
    let names = Set(listed.compactMap { Member($0)?.name })
    guard names.count == listed.count else { throw Wrong("a name is twice in \(listed)") }
    let gone = (left[version.group] ?? [:]).filter { $0.value <= version.version }
    for name in gone.keys.sorted() where names.contains(name) && !mayBeBack(name, version.group) {
      throw Wrong("\(name) was told that it has left \(version.group), and is in \(listed)")
    }
    let due = (members[version.group] ?? [:]).filter { $0.value <= version.version }
    for name in due.keys.sorted() where !names.contains(name) && !isUnsure(name, version.group) {
      throw Wrong("\(name) was told that it is in \(version.group), and is not in \(listed)")
    }
  }

  private mutating func rises(
    _ version: RosterVersion, _ group: GroupName, _ link: Int, isChange: Bool
  ) throws(Wrong) {
    if let before = latest[link]?[group], isChange ? version <= before : version < before {
      throw Wrong("version \(version) of \(group) comes after \(before)")
    }
    latest[link, default: [:]][group] = version
  }

  // MARK: Restarts

  /// Who is surely in for good in a copy of the disk: what is asked for may be on it already.
  var sureMembers: Members {
    var sure = members
    for group in members.keys.sorted() {
      sure[group] = members[group]?.filter { !isUnsure($0.key, group) }
    }
    return sure
  }

  /// All connections are gone.
  mutating func stopped() {
    members = sureMembers
    for group in left.keys.sorted() {
      left[group] = left[group]?.filter { !mayBeBack($0.key, group) }
    }
    (names, underWay, latest, listing) = ([:], [:], [:], [:])
  }

  mutating func forgetMembers() { (members, left) = ([:], [:]) }

  /// Loosened: what has been said since then does not count, as the copy does not know of it.
  mutating func putBack(_ earlier: Members) { (members, left) = (earlier, [:]) }

  func check(_ state: DurableState) throws(Wrong) {
    for saved in state.groups {
      guard let group = GroupName(saved.name) else { continue }
      for name in saved.members.compactMap({ MemberName($0) }) where left[group]?[name] != nil {
        throw Wrong("\(name) was told that it has left \(group), and is in it after a restart")
      }
    }
    for group in members.keys.sorted() {
      let listed = state.groups.first { GroupName($0.name) == group }?.members ?? []
      let names = Set(listed.compactMap { MemberName($0) })
      for name in (members[group] ?? [:]).keys.sorted() where !names.contains(name) {
        throw Wrong(
          "\(name) was told that it is in \(group), and is not after a restart: \(listed)")
      }
    }
  }
}
