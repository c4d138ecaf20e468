// A group as the shell sees it: who is in it, who spoke last, what is unread.

import LineProtocol

struct Room {
  var name: GroupName
  /// By name; the roster's own order is the node's.
  var members: [MemberName: ShellMember] = [:]
  /// A listing has come.
  var isListed = false
  /// Who is there is to be said with the next listing.
  var isToBeAnnounced = false
  /// Messages since it was last the current one, and how many of them mention us.
  var unread = 0
  var mentions = 0
  /// The latest one first.
  private(set) var speakers: [MemberName] = []

  /// That nobody else was in the group has been said and is still so.
  var isAloneTold = false

  /// Speakers that are remembered for TAB.
  private static let speakersMax = 64

  init(_ name: GroupName) { self.name = name }

  mutating func spoke(_ member: MemberName) {
    if speakers.first == member { return }
    speakers.removeAll { $0 == member }
    speakers.insert(member, at: 0)
    if speakers.count > Room.speakersMax { speakers.removeLast() }
  }

  mutating func renamed(_ old: MemberName, to new: MemberName) {
    if var member = members.removeValue(forKey: old) {
      member.member.name = new
      members[new] = member
    }
    if let index = speakers.firstIndex(of: old) { speakers[index] = new }
  }

  /// Names for TAB: who spoke last first, then the others in the order of their names.
  func names(without own: MemberName) -> [MemberName] {
    let here = speakers.filter { members[$0] != nil && $0 != own }
    let spoke = Set(here)
    return here + members.keys.filter { $0 != own && !spoke.contains($0) }.sorted()
  }
}
