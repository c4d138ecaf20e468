// How sessions, members and groups come and go: the books of the directory, and the numbers it
// gives out.

import LineProtocol

extension Directory {
  func isLive(_ id: SessionID) -> Bool {
    sessions.holds(id.index) && sessions[id.index].id == id
  }

  func isReady(_ id: SessionID) -> Bool {
    isLive(id) && sessions[id.index].activity == .ready
  }

  /// The session accepts lines again.
  mutating func makeReady(_ session: UInt32) {
    guard sessions.holds(session), sessions[session].activity != .ending else { return }
    sessions[session].activity = .ready
    effects.append(.resume(sessions[session].id))
  }

  mutating func endThoseDone(now: Instant) {
    while let id = endingNext.popLast() {
      if isLive(id) { endIfInputEnded(id.index, now: now) }
    }
  }

  /// Ends a session that is ready where no more lines will come.
  mutating func endIfInputEnded(_ session: UInt32, now: Instant) {
    guard sessions.holds(session), sessions[session].inputHasEnded,
      sessions[session].activity == .ready
    else { return }
    end(session, reason: "connection closed", now: now)
  }

  /// Ends a session from this side: what is due to it is still written.
  mutating func end(_ session: UInt32, reason: String, now: Instant) {
    guard sessions.holds(session) else { return }
    let id = sessions[session].id
    sessions[session].activity = .ending
    fanOut.release(session)
    finish(session, reason: reason, now: now)
    effects.append(.close(id))
  }

  /// Takes a session out: its memberships that are not durable end with it.
  mutating func finish(_ session: UInt32, reason: String, now: Instant) {
    guard sessions.holds(session) else { return }
    guard sessions[session].link == nil else {
      return linkBroke(session, reason: reason, now: now)
    }
    let state = sessions[session]
    stopWaiting(session)
    listings[session] = nil
    fanOut.release(session)
    let name = members[state.member].name
    detach(state.member, reason: reason, now: now)
    removeSession(session)
    effects.append(.event(.closed(state.id, name, reason: reason)))
  }

  /// Its index is used again when what is due to it has been taken.
  mutating func removeSession(_ session: UInt32) {
    sessions.remove(Int32(session))
    endedSessions.append(session)
  }

  mutating func makeSession(
    _ origin: Origin, identity: Identity?, member: Int32, link: Link? = nil
  ) -> SessionID {
    generation &+= 1
    let id = SessionID(index: UInt32(sessions.nextIndex), generation: generation)
    _ = sessions.insert(
      Session(
        id: id, origin: origin, identity: identity, member: member, link: link, heardAt: 0))
    fanOut.open(id.index)
    return id
  }

  /// The first event of all sets the clocks going.
  mutating func begin(_ now: Instant) {
    guard startedAt == nil else { return }
    startedAt = now
    keepHouse(now: now)
  }

  /// A member loses its session.
  mutating func detach(_ member: Int32, reason: String, now: Instant) {
    let told = reason == "quit" ? "" : reason
    for membership in members[member].memberships {
      if membership.slot >= 0 { unsubscribe(member, membership.group) }
      if !membership.isDurable {
        removeMembership(
          member, membership.group, reason: told, isTold: !isShuttingDown, now: now)
      }
    }
    members[member].session = -1
    members[member].seenAt = now.wallMicroseconds
    if !isShuttingDown { tellPresence(of: member) }
    if members[member].isDurable {
      laneBroke(member)
      if lanes[member] != nil && !isShuttingDown { tryToReach(member, now: now) }
    } else {
      dropLane(of: member, reason: "left")
    }
    dropIfUnused(member)
  }

  /// A member without session, durable membership and change under way is forgotten.
  mutating func dropIfUnused(_ member: Int32) {
    guard members.holds(member) else { return }
    let state = members[member]
    guard state.session < 0, state.memberships.isEmpty, state.pendingChanges == 0 else { return }
    dropLane(of: member, reason: "no member any more")
    expiring.remove(member)
    names[state.name] = nil
    namesByAddress.remove(state.countedAt)
    noteListener(member, from: state.place, to: .relay)
    members.remove(member)
    members.reuse(member)
  }

  mutating func makeMember(_ member: Member) -> Int32 {
    let index = members.insert(member)
    names[member.name] = index
    recount(index)
    return index
  }

  mutating func makeGroup(_ name: GroupName, by member: Int32) -> Int32 {
    let index = groups.insert(
      Group(
        name: name, madeAt: countGroup(by: member), roster: Roster(version: version(changes)),
        plain: fanOut.makeChannel(),
        tagged: fanOut.makeChannel(), stream: random.next()))
    groupIndices[name] = index
    groupOrder.insert(index, at: orderPosition(of: name))
    return index
  }

  mutating func dropGroupIfEmpty(_ index: Int32) {
    guard groups.holds(index), groups[index].roster.count == 0 else { return }
    let group = groups[index]
    groupOrder.remove(at: orderPosition(of: group.name))
    groupIndices[group.name] = nil
    groupsByAddress.remove(group.madeAt)
    fanOut.removeChannel(group.plain)
    fanOut.removeChannel(group.tagged)
    groups.remove(index)
    groups.reuse(index)
  }

  /// The first position in `groupOrder` whose group's name is not before `name`.
  func orderPosition(of name: GroupName) -> Int {
    var (low, high) = (0, groupOrder.count)
    while low < high {
      let middle = (low + high) / 2
      if groups[groupOrder[middle]].name < name { low = middle + 1 } else { high = middle }
    }
    return low
  }

  mutating func guestName() -> MemberName {
    while true {
      guests += 1
      if let name = MemberName("guest\(guests)"), names[name] == nil { return name }
    }
  }

  /// The next version of a group's roster.
  mutating func nextVersion(of group: Int32) -> RosterVersion {
    changes += 1
    return version(groups[group].roster.version.number + 1)
  }

  private func version(_ number: UInt64) -> RosterVersion {
    RosterVersion(start: configuration.versionStart, number: number)
  }

  /// The message id of the next private message to a member that comes without one.
  mutating func nextPrivateID(to member: Int32) -> MessageID {
    if members[member].stream == 0 { members[member].stream = random.next() }
    members[member].sequence += 1
    return messageID(members[member].stream, members[member].sequence)
  }

  func messageID(_ stream: UInt64, _ sequence: UInt64) -> MessageID {
    guard let id = MessageID(stream: stream, sequence: sequence) else {
      preconditionFailure("sequence numbers begin with 1")
    }
    return id
  }

  mutating func nextTicket() -> Ticket {
    tickets += 1
    return Ticket(number: tickets)
  }

  mutating func draw() -> UInt64 { random.next() }

  mutating func nextSweep() -> UInt32 {
    sweep &+= 1
    return sweep
  }

  func greet(_ session: UInt32, _ name: MemberName) {
    fanOut.send(to: session, isReply: true) { buffer in
      greeting.before.withUnsafeBytes { buffer.append($0) }
      buffer.append(name)
      greeting.behind.withUnsafeBytes { buffer.append($0) }
    }
  }
}
