// Who hears what: between the memberships of members and the channels of the FanOut.

import LineProtocol

extension Directory {
  /// The channel in which a member's session hears a group.
  private func channel(of member: Int32, _ group: Int32) -> Int32 {
    let session = members[member].session
    return sessions[session].speaksTags
      ? groups[group].tagged : groups[group].plain
  }

  private func membershipIndex(_ member: Int32, _ group: Int32) -> Int? {
    members[member].memberships.firstIndex { $0.group == group }
  }

  func membershipSlot(_ member: Int32, _ group: Int32) -> Int32 {
    guard let index = membershipIndex(member, group) else { return -1 }
    return members[member].memberships[index].slot
  }

  func membership(of member: Int32, in name: GroupName) -> Membership? {
    guard let group = groupIndices[name], let index = membershipIndex(member, group) else {
      return nil
    }
    return members[member].memberships[index]
  }

  /// The member's session hears the group from here on.
  mutating func subscribe(_ member: Int32, _ group: Int32) {
    guard let index = membershipIndex(member, group) else { return }
    let session = UInt32(members[member].session)
    let slot = fanOut.subscribe(session, to: channel(of: member, group))
    members[member].memberships[index].slot = slot
    groups[group].live += 1
    groups[group].away.removeAll { $0 == member }
  }

  /// The member's session hears the group no more; what was said so far it still gets.
  mutating func unsubscribe(_ member: Int32, _ group: Int32) {
    guard let index = membershipIndex(member, group) else { return }
    let slot = members[member].memberships[index].slot
    members[member].memberships[index].slot = -1
    groups[group].live -= 1
    groups[group].away.append(member)
    // Who is taken out of a group in the middle of its WAIT is not told what is said there.
    let session = UInt32(members[member].session)
    if waits[session] != nil { groups[group].waiting.removeAll { $0.session == session } }
    guard let moved = fanOut.unsubscribe(channel(of: member, group), slot) else { return }
    let other = sessions[moved].member
    if let index = membershipIndex(other, group) {
      members[other].memberships[index].slot = slot
    }
  }

  /// Publishes a line in a group, to those who speak tags or to those who do not; not to the
  /// member itself.
  func publish(
    to group: Int32, from member: Int32, isTagged: Bool, _ encode: (ByteBuffer) -> Void
  ) {
    let channel = isTagged ? groups[group].tagged : groups[group].plain
    let hearers = fanOut.subscriberCount(channel)
    guard hearers > 0 else { return }
    let session = members[member].session
    var own: Int32?
    if session >= 0 && sessions[session].speaksTags == isTagged {
      let slot = membershipSlot(member, group)
      if slot >= 0 { own = slot }
    }
    if let own, hearers == 1 { return fanOut.cut(channel, own) }
    fanOut.publish(to: channel, except: own, encode)
  }

  /// Tells a change of a group's roster to the others, and to the member's `own` session where that
  /// would not know of it otherwise: those who speak tags get its version.
  mutating func tellChange(
    of member: Int32, in group: Int32, own: UInt32? = nil, now: Instant,
    _ encode: (_ buffer: ByteBuffer, _ name: GroupName) -> Void
  ) {
    let name = groups[group].name
    let version = groups[group].roster.version
    let stamp = clock.stamp(now)
    func write(_ buffer: ByteBuffer, isTagged: Bool) {
      if isTagged {
        var tags = Tags()
        tags["version"] = version.description
        tags["time"] = Timestamp.text(stamp)
        tags.render(into: buffer)
      }
      encode(buffer, name)
      buffer.append("\n")
    }
    publish(to: group, from: member, isTagged: false) { write($0, isTagged: false) }
    publish(to: group, from: member, isTagged: true) { write($0, isTagged: true) }
    guard let own else { return }
    let isTagged = sessions[own].speaksTags
    tellOwn(own) { write($0, isTagged: isTagged) }
  }

  /// Tells a session of a change in a group that it has made itself, or that was made of it; the
  /// others have been told, so its share of what was said there before is cut. It counts as a reply:
  /// who takes another name in a thousand groups, again and again, is listened to again in the next
  /// round. Behind a long listing it waits for that.
  func tellOwn(_ session: UInt32, _ encode: (ByteBuffer) -> Void) {
    fanOut.send(to: session, isReply: !fanOut.isHeld(session), encode)
  }

  /// The member's session, if that speaks tags: a program's copies of rosters must not miss what the
  /// member itself has changed.
  func program(of member: Int32) -> UInt32? {
    let session = members[member].session
    return session >= 0 && sessions[session].speaksTags ? UInt32(session) : nil
  }

  /// Everything said to the session so far comes before what is sent to it next.
  func cutShares(of session: UInt32) {
    let member = sessions[session].member
    for membership in members[member].memberships where membership.slot >= 0 {
      fanOut.cut(channel(of: member, membership.group), membership.slot)
    }
  }

  /// Writes a member's present name and place into a group's roster, as a change of it.
  mutating func changeEntry(of member: Int32, called name: MemberName, in group: Int32) {
    guard var entry = groups[group].roster[name] else { return }
    entry.member = members[member].wire
    entry.handle = member
    let version = nextVersion(of: group)
    groups[group].roster.change(name, to: entry, as: version)
  }

  // MARK: Presence

  /// Notes whether the member speaks tags, as its latest NICK or JOIN shows.
  mutating func noteTags(_ member: Int32, _ speaksTags: Bool, isPresenceNew: Bool = false) {
    guard members[member].speaksTags != speaksTags || isPresenceNew else { return }
    let isNew = members[member].speaksTags != speaksTags
    members[member].speaksTags = speaksTags
    if isNew { noteHabits(of: member) }
    tellPresence(of: member)
  }

  /// Notes in all rosters whether the member is there and what it can do; where it is a durable
  /// member, those who speak tags are told, so that what waits for it is sent at once.
  mutating func tellPresence(of member: Int32) {
    for membership in members[member].memberships {
      let state = members[member]
      groups[membership.group].roster.note(
        state.name, isOnline: state.session >= 0, speaksTags: state.speaksTags,
        isReachable: state.isReachable)
      if membership.isDurable { tellPresence(of: member, in: membership.group) }
    }
  }

  func tellPresence(of member: Int32, in group: Int32) {
    guard let entry = groups[group].roster[members[member].name] else { return }
    publish(to: group, from: member, isTagged: true) { buffer in
      appendMemberLine(buffer, groups[group].name, entry)
      buffer.append("\n")
    }
  }

  // MARK: Places

  /// Keeps the book of who listens where.
  mutating func noteListener(_ member: Int32, from old: Place, to new: Place) {
    if case .direct(let endpoint) = old {
      listeners[endpoint]?.removeAll { $0 == member }
      if listeners[endpoint]?.isEmpty == true { listeners[endpoint] = nil }
    }
    if case .direct(let endpoint) = new { listeners[endpoint, default: []].append(member) }
  }
}

/// `:name@place `, the source of what a member says.
func appendSource(_ buffer: ByteBuffer, _ member: LineProtocol.Member) {
  buffer.append(byte: UInt8(ascii: ":"))
  appendMember(buffer, member)
  buffer.append(byte: UInt8(ascii: " "))
}

func appendMember(_ buffer: ByteBuffer, _ member: LineProtocol.Member) {
  buffer.append(member.name)
  switch member.place {
  case .relay: buffer.append("@relay")
  case .direct(let endpoint):
    buffer.append(byte: UInt8(ascii: "@"))
    buffer.append(endpoint)
  }
}

/// `MEMBER <group> <member> <attributes>`, without the end of line.
func appendMemberLine(_ buffer: ByteBuffer, _ group: GroupName, _ entry: Roster.Entry) {
  buffer.append("MEMBER ")
  buffer.append(group)
  buffer.append(byte: UInt8(ascii: " "))
  appendMember(buffer, entry.member)
  entry.appendAttributes(to: buffer)
}
