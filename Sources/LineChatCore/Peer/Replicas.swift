// Rosters as the server numbers them. A change is applied where its version is the next one; anything
// else makes us ask for the whole list. What is applied is noted in the journal as the line it came
// in, so that a node that is started while the server is away knows what it knew.

import LineProtocol

/// One group that we are in, or have just asked for.
struct Replica {
  var name: GroupName
  var roster = Roster(version: RosterVersion(start: 0, number: 0))
  /// We are in: a listing with us in it was taken.
  var isIn = false
  /// The whole list was asked for, by MEMBERS or JOIN, and has not come.
  var isAsked = false

  init(_ name: GroupName) { self.name = name }
}

enum RosterChange {
  case join(Member)
  case leave(Member, String)
  case nick(Member, MemberName)
}

// MARK: - A whole listing

extension Peer {
  mutating func takeListing(
    of group: GroupName, _ entries: [Roster.Entry], _ version: RosterVersion?, for asked: Asked
  ) {
    listingIsAnswered(group)
    guard let own = entries.first(where: { $0.member.name == name }) else {
      // We are not in it, whatever we thought.
      exit(group, reason: "the server says so")
      if let mouth = asked.mouth { refuse(hasLeftMeanwhile(group), to: mouth) }
      return retryAllHeld()
    }
    guard !leaving.contains(group) else {
      if let mouth = asked.mouth { refuse(hasLeftMeanwhile(group), to: mouth) }
      return
    }
    take(place: own.member.place)
    if own.isReachable { isFound(true) }
    let isNew = groups[group]?.isIn != true
    wanted.insert(group)
    replace(group, entries, version ?? RosterVersion(start: 0, number: 0), isTold: !isNew)
    noteListing(of: group, for: asked.mouth, isNew: isNew)
    retryAllHeld()
  }

  /// One request for a roster is answered; another may be under way.
  mutating func listingIsAnswered(_ group: GroupName) {
    groups[group]?.isAsked = uplink.asked.contains { one in
      switch one.what {
      case .join(let other, _), .members(let other): other == group
      case .nick, .leave, .identity, .groups, .say, .handOver: false
      }
    }
    // Of one that we do not know to be in, nothing is kept without a question.
    if let replica = groups[group], !replica.isIn, !replica.isAsked { groups[group] = nil }
  }

  func hasLeftMeanwhile(_ group: GroupName) -> Refusal {
    Refusal(.notMember, .join, "you have left \(group) meanwhile")
  }

  /// Puts a new roster in the place of the old one.
  mutating func replace(
    _ group: GroupName, _ entries: [Roster.Entry], _ version: RosterVersion, isTold: Bool
  ) {
    let old = groups[group]?.roster.all ?? []
    // Those who are not found again. By contact: one may have another name in a roster that is behind.
    var gone = Set(old.map(\.handle).filter { $0 >= 0 })
    var replica = Replica(group)
    replica.isIn = true
    replica.isAsked = groups[group]?.isAsked == true
    var names: Set<MemberName> = []
    for entry in entries where names.insert(entry.member.name).inserted {
      var entry = entry
      entry.handle = -1
      if entry.member.name != name {
        let known = contactIndices[entry.member.name].flatMap { gone.remove($0) }
        let before = known.map { contacts[$0].member.place }
        entry.handle = meet(entry, isCounted: known == nil)
        if isTold { tellDifference(entry.member, from: before, in: group) }
      }
      replica.roster.append(entry, as: version)
    }
    groups[group] = replica
    for entry in old where gone.contains(entry.handle) {
      if isTold { tellBehindMessages(.left(entry.member, group, reason: "")) }
      leaves(entry.handle, group)
    }
  }

  private mutating func tellDifference(
    _ member: Member, from before: Place?, in group: GroupName
  ) {
    guard let before else { return tellBehindMessages(.joined(member, group)) }
    if before != member.place { tellBehindMessages(.moved(member, from: before)) }
  }

  /// The listing in the journal, as lines of the server. That we are in is told when it is there: a
  /// node that is killed then, and comes back without its server, is still in.
  private mutating func noteListing(of group: GroupName, for mouth: Mouth?, isNew: Bool) {
    guard let replica = groups[group] else { return }
    for entry in replica.roster.all {
      effects.append(.note(Record { appendMemberLine($0, replica.name, entry) }))
    }
    let last = Record { buffer in
      buffer.append("@version=")
      buffer.append(replica.roster.version)
      buffer.append(" OK MEMBERS ")
      buffer.append(replica.name)
      buffer.append(" ")
      buffer.append(decimal: replica.roster.count)
    }
    guard mouth != nil || isNew else {
      effects.append(.note(last))
      return tellBehindMessages(.entered(group, members: replica.roster.count, isNew: false))
    }
    persist(last, .entered(group, mouth, isNew: isNew))
  }

  mutating func take(place new: Place) {
    guard new != place else { return }
    place = new
    isReachable = nil
    news.append(.placed(new))
  }

  /// The server has dialled our place.
  private mutating func isFound(_ isReachable: Bool) {
    guard self.isReachable != isReachable else { return }
    self.isReachable = isReachable
    news.append(.reachable(isReachable))
  }

  mutating func retryAllHeld() {
    for session in sessionsHolding() { retryHeld(session) }
  }
}

// MARK: - One change

extension Peer {
  mutating func change(
    _ group: GroupName, _ tags: Tags, _ change: RosterChange, _ line: Message
  ) {
    guard let version = tags["version"].flatMap({ RosterVersion($0) }) else { return }
    guard let replica = groups[group], replica.isIn else {
      return askAboutUnknown(group)
    }
    let known = replica.roster.version
    if version == known || version.isBehind(known) { return }
    let audience = owners(for: line, replica)
    guard version.follows(known), apply(change, to: group, version) else {
      return askMembers(group)
    }
    noteChange(line, group, version)
    tellOwners(line, audience)
    retryAllHeld()
  }

  /// A group that the server has us in, and we do not know of.
  mutating func askAboutUnknown(_ group: GroupName) {
    guard !leaving.contains(group), groups.count < Limits.groupsPerMember else { return }
    askMembers(group)
  }

  /// Returns false where it does not fit what is there.
  mutating func apply(_ change: RosterChange, to group: GroupName, _ version: RosterVersion) -> Bool
  {
    switch change {
    case .join(let member): applyJoin(member, group, version)
    case .leave(let member, let reason): applyLeave(member, group, reason, version)
    case .nick(let member, let new): applyNick(member, new, group, version)
    }
  }

  private mutating func applyJoin(
    _ member: Member, _ group: GroupName, _ version: RosterVersion
  ) -> Bool {
    if var entry = groups[group]?.roster[member.name] {
      entry.member = member
      groups[group]?.roster.change(member.name, to: entry, as: version)
      guard entry.handle >= 0 else {
        take(place: member.place)
        return true
      }
      // Told for each group that we share.
      let before = contacts[entry.handle].member.place
      moves(entry.handle, to: member.place)
      if before != member.place { tellBehindMessages(.moved(member, from: before)) }
      if !contacts[entry.handle].isDescribed { askMembers(group) }
      return true
    }
    guard let count = groups[group]?.roster.count, count < Limits.names else { return false }
    var entry = Roster.Entry(
      member: member, isOnline: true, speaksTags: false, isReachable: false, handle: -1)
    if member.name != name {
      entry.handle = meet(entry, isCounted: true, isDescribed: false)
      entry.speaksTags = contacts[entry.handle].speaksTags
    }
    groups[group]?.roster.append(entry, as: version)
    tellBehindMessages(.joined(member, group))
    return true
  }

  private mutating func applyLeave(
    _ member: Member, _ group: GroupName, _ reason: String, _ version: RosterVersion
  ) -> Bool {
    guard let entry = groups[group]?.roster[member.name] else { return false }
    groups[group]?.roster.remove(member.name, as: version)
    if entry.handle < 0 {
      exit(group, reason: reason.isEmpty ? "the server took us out" : reason)
    } else {
      tellBehindMessages(.left(member, group, reason: reason))
      leaves(entry.handle, group)
    }
    return true
  }

  private mutating func applyNick(
    _ member: Member, _ new: MemberName, _ group: GroupName, _ version: RosterVersion
  ) -> Bool {
    if groups[group]?.roster.contains(member.name) == false, let own = groups[group]?.roster[new],
      own.handle < 0
    {
      // The snapshot that we began with has us under that name already.
      groups[group]?.roster.change(new, to: own, as: version)
      return true
    }
    guard var entry = groups[group]?.roster[member.name],
      new == member.name || groups[group]?.roster.contains(new) == false
    else { return false }
    entry.member.name = new
    groups[group]?.roster.change(member.name, to: entry, as: version)
    if entry.handle < 0 {
      take(name: new)
    } else if !contacts[entry.handle].member.name.isWrittenLike(new) {
      tellBehindMessages(.renamed(contacts[entry.handle].member, to: new))
      isCalled(entry.handle, new)
    }
    return true
  }

  private mutating func noteChange(_ line: Message, _ group: GroupName, _ version: RosterVersion) {
    var tags = Tags()
    tags["version"] = version.description
    if case .nick = line.content { tags["group"] = group.description }
    tags["time"] = line.tags["time"]
    guard let record = try? Message(tags: tags, source: line.source, content: line.content) else {
      return
    }
    effects.append(.note(Record(line: JournalLine(record).bytes)))
  }

  /// What a member can do, told unasked.
  mutating func describe(_ entry: Roster.Entry, in group: GroupName) {
    guard let known = groups[group]?.roster[entry.member.name], groups[group]?.isIn == true else {
      return
    }
    groups[group]?.roster.note(
      entry.member.name, isOnline: entry.isOnline, speaksTags: entry.speaksTags,
      isReachable: entry.isReachable)
    if known.handle >= 0 { describe(known.handle, entry) } else { isFound(entry.isReachable) }
    guard
      known.isOnline != entry.isOnline || known.speaksTags != entry.speaksTags
        || known.isReachable != entry.isReachable
    else { return }
    effects.append(.note(Record { appendMemberLine($0, group, entry) }))
  }
}

// MARK: - Joining and leaving

extension Peer {
  mutating func join(_ group: GroupName, for mouth: Mouth) {
    guard isServerUp else { return refuse(serverIsAway(.join), to: mouth) }
    guard wanted.count < Limits.groupsPerMember || wanted.contains(group) else {
      return refuse(
        Refusal(.rateLimited, .join, "you are in \(wanted.count) groups; LEAVE one first"),
        to: mouth)
    }
    // A leave that is on its way to our disk comes first.
    if pending.values.contains(where: { $0.isLeave(of: group) }) {
      return joinsAfterLeave.append((group, mouth))
    }
    // One that is on its way to the server comes before this on the same connection.
    if leaving.contains(group) { serverKnowsWeLeft(group) }
    wanted.insert(group)
    askJoin(group, for: mouth)
  }

  /// At once here, and at the server as soon as it can be told.
  mutating func leave(_ group: GroupName, for mouth: Mouth) {
    guard let replica = groups[group], replica.isIn else {
      return refuse(
        Refusal(.notMember, .leave, "you are not in \(group); GROUPS lists where you are"),
        to: mouth)
    }
    // Joins that wait for a leave before this one are not carried out behind it.
    for join in takeJoinsAfterLeave(of: group) {
      refuse(hasLeftMeanwhile(group), to: join.mouth)
    }
    persist(leaveRecord(replica.name, "asked=1"), .left(replica.name, mouth))
  }

  /// `asked=1`: it is to be left; `asked=0`: it is, and was not ours any more; `taken=1`: the server took
  /// us out; without: it is left. With the time, as the logs tell lines that are the same apart by it.
  private mutating func leaveRecord(_ group: GroupName, _ tag: String? = nil) -> Record {
    let (name, place, time) = (name, place, clock.stamp(now))
    return Record { buffer in
      buffer.append("@")
      if let tag { buffer.append("\(tag);") }
      buffer.append("time=")
      buffer.append(Timestamp.text(time))
      buffer.append(" ")
      appendSource(buffer, Member(name: name, place: place))
      buffer.append("LEAVE ")
      buffer.append(group)
    }
  }

  /// That it is to be left is on disk. What happened in the group until now was still for us, and a
  /// start must find it in this order.
  mutating func hasLeft(_ group: GroupName) {
    let replica = groups[group]
    effects.append(.note(leaveRecord(replica?.name ?? group, replica == nil ? "asked=0" : nil)))
    leaving.insert(group)
    exit(group, reason: "")
    if isServerUp { askLeave(group) }
    leaveIsOver(group)
  }

  /// It is done, or could not be written.
  mutating func leaveIsOver(_ group: GroupName) {
    for join in takeJoinsAfterLeave(of: group) { self.join(join.group, for: join.mouth) }
  }

  private mutating func takeJoinsAfterLeave(
    of group: GroupName
  ) -> [(group: GroupName, mouth: Mouth)] {
    defer { joinsAfterLeave.removeAll { $0.group == group } }
    return joinsAfterLeave.filter { $0.group == group }
  }

  mutating func serverKnowsWeLeft(_ group: GroupName) {
    leaving.remove(group)
    effects.append(
      .note(
        Record {
          $0.append("OK LEAVE ")
          $0.append(group)
        }))
  }

  /// We are not in the group any more.
  mutating func exit(_ group: GroupName, reason: String) {
    wanted.remove(group)
    guard let replica = groups.removeValue(forKey: group) else { return }
    for entry in replica.roster.all where entry.handle >= 0 { leaves(entry.handle, group) }
    guard replica.isIn else { return }
    // Our own leave is in the journal already; of what the server did it need not be told.
    if !reason.isEmpty {
      effects.append(.note(leaveRecord(replica.name, "taken=1")))
      serverKnowsWeLeft(replica.name)
    }
    tellBehindMessages(.exited(replica.name, reason: reason))
  }
}
