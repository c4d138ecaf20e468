// The two steps to the disk: what must be written before it is true is handed out as a record, with
// a ticket; when the ticket comes back, it is carried out. Records are wire lines, as their effect
// would be told:
//
//   @host=10.0.0.3;time=… :carol@relay JOIN lobby       a durable membership; host, or key
//   :carol@relay LEAVE lobby
//   :carol@relay NICK zoe                              or its own name, with key and tags
//   @for=carol;msgid=…;time=… :alice@relay MSG lobby …   a message kept for carol
//   :carol@relay ACK lobby <msgid>                       carol has what was kept, up to this

import LineProtocol

/// Something that waits for the disk, and what to do with it then.
struct Pending {
  enum Step {
    case join(GroupName, Place)
    case leave(GroupName)
    case rename(MemberName)
    /// A message in the member's lane is to be kept.
    case keep(UInt64)
    /// The member is to leave a group, by the owner's word or because it was not seen for long.
    case drop(GroupName, reason: String)

    var verb: Verb? {
      switch self {
      case .join: .join
      case .leave: .leave
      case .rename: .nick
      case .keep, .drop: nil
      }
    }
  }

  let step: Step
  let member: Int32
  let session: SessionID?
  /// The key of who asked: the name will be its own, though the connection may be gone by then.
  var identity: Identity?
  let label: String?
  let speaksTags: Bool
  /// The word of the owner that this is a part of.
  var forgetting: UInt64?
  /// The address that has one group less for it, where it makes one.
  var groupAt: IPAddress?
  /// Where the member will listen when it is on the disk, if that is elsewhere than now.
  var newPlace: Endpoint?
}

extension Directory {
  /// First step of a request: the change is handed out, the session's further lines wait.
  mutating func persist(
    _ step: Pending.Step, _ member: Int32, _ request: Request
  ) throws(Refusal) {
    guard pending.count < Limits.pendingChanges else {
      giveBackName(of: step, member)
      throw Refusal(
        .internalError, step.verb, "the disk does not keep up; try again in a moment")
    }
    sessions[request.session].activity = .persisting
    handOut(
      Pending(
        step: step, member: member, session: sessions[request.session].id,
        identity: sessions[request.session].identity, label: request.label,
        speaksTags: request.isTagged, groupAt: reserveGroup(for: step, member),
        newPlace: reservePlace(for: step, member)),
      record(
        of: step, member, by: sessions[request.session].identity, isTagged: request.isTagged,
        now: request.now))
  }

  /// Of those who may listen at an address the next is taken, until the change is made or not.
  private mutating func reservePlace(for step: Pending.Step, _ member: Int32) -> Endpoint? {
    guard case .join(_, .direct(let endpoint)) = step,
      members[member].place != .direct(endpoint)
    else { return nil }
    arriving[endpoint, default: 0] += 1
    return endpoint
  }

  /// What was reserved for a change is free again, or taken for good by what follows.
  private mutating func giveBack(_ change: Pending) {
    groupsByAddress.remove(change.groupAt)
    if let place = change.newPlace {
      arriving[place, default: 1] -= 1
      if arriving[place] == 0 { arriving[place] = nil }
    }
  }

  mutating func handOut(_ change: Pending, _ record: Record) {
    let ticket = nextTicket()
    members[change.member].pendingChanges += 1
    recount(change.member)
    pending[ticket] = change
    effects.append(.persist(record, ticket))
  }

  /// The line that says in the journal what a step does.
  private mutating func record(
    of step: Pending.Step, _ member: Int32, by identity: Identity?, isTagged: Bool, now: Instant
  ) -> Record {
    let state = members[member]
    let stamp = Timestamp.text(clock.stamp(now))
    switch step {
    case .join(let name, let place):
      var tags = hostTags(of: member)
      tags["time"] = stamp
      if isTagged { tags["tags"] = "1" }
      return Record { buffer in
        tags.render(into: buffer)
        appendSource(buffer, LineProtocol.Member(name: state.name, place: place))
        buffer.append("JOIN ")
        buffer.append(name)
      }
    case .leave(let name), .drop(let name, _):
      let tags = aliasTags(of: member)
      return Record { buffer in
        tags.render(into: buffer)
        appendSource(buffer, state.wire)
        buffer.append("LEAVE ")
        buffer.append(name)
      }
    case .rename(let name):
      var tags = Tags()
      tags["key"] = identity?.fingerprint
      if isTagged { tags["tags"] = "1" }
      return Record { buffer in
        tags.render(into: buffer)
        appendSource(buffer, state.wire)
        buffer.append("NICK ")
        buffer.append(name)
      }
    case .keep: preconditionFailure("a kept message has its own record")
    }
  }

  /// Whose a durable member's name is, and whether it speaks tags, has changed without a change of
  /// its name: the next server must know it, or it would dial a program as if it were a netcat.
  mutating func noteHabits(of member: Int32) {
    let state = members[member]
    guard state.isDurable else { return }
    var tags = aliasTags(of: member)
    tags["key"] = state.identity?.fingerprint
    if state.speaksTags { tags["tags"] = "1" }
    effects.append(
      .note(
        Record { buffer in
          tags.render(into: buffer)
          appendSource(buffer, state.wire)
          buffer.append("NICK ")
          buffer.append(state.name)
        }))
  }

  /// While a new name is on its way to the disk, what is handed out after it goes by both: when it is
  /// read again, the member has the new name, or the old one where that could not be written.
  func aliasTags(of member: Int32) -> Tags {
    var tags = Tags()
    tags["or"] = members[member].nextName?.description
    return tags
  }

  /// Whom a name belongs to, as tags of a record.
  private func hostTags(of member: Int32) -> Tags {
    var tags = Tags()
    if case .tcp(let address) = members[member].host { tags["host"] = address.description }
    if let identity = members[member].identity { tags["key"] = identity.fingerprint }
    return tags
  }

  /// A name reserved for a rename that will not be is free again.
  private mutating func giveBackName(of step: Pending.Step, _ member: Int32) {
    guard case .rename(let name) = step else { return }
    members[member].nextName = nil
    if name != members[member].name { names[name] = nil }
  }

  /// Second step: the record is on disk. Now it is numbered, applied, told and answered.
  package mutating func persisted(_ ticket: Ticket, now: Instant) {
    guard let waiting = pending.removeValue(forKey: ticket) else { return }
    let member = waiting.member
    members[member].pendingChanges -= 1
    members[member].isDoubtful = false
    giveBack(waiting)
    let session = waiting.session.flatMap { isLive($0) ? $0.index : nil }
    if let session { makeReady(session) }
    switch waiting.step {
    case .join(let name, let place):
      applyJoin(member, name, place, isTagged: waiting.speaksTags, now: now)
      if let session { replyToJoin(session, name, waiting.label, now: now) }
    case .leave(let name):
      let written = groupIndices[name].map { groups[$0].name } ?? name
      applyLeave(member, name, now: now)
      if let session { replyToLeave(session, waiting.label, written) }
    case .rename(let name):
      applyRename(
        member, to: name, by: waiting.identity, isTagged: waiting.speaksTags, now: now)
      if let session { replyToRename(session, waiting.label) }
    case .keep(let number): isKept(number, member, now: now)
    case .drop(let name, let reason): applyDrop(member, name, reason: reason, now: now)
    }
    if let forgetting = waiting.forgetting { forgot(forgetting, failure: nil, now: now) }
    recount(member)
    dropIfUnused(member)
    if let session { endIfInputEnded(session, now: now) }
    endThoseDone(now: now)
  }

  private mutating func applyLeave(
    _ member: Int32, _ name: GroupName, reason: String = "", own: UInt32? = nil, now: Instant
  ) {
    guard let group = groupIndices[name], membership(of: member, in: name) != nil else { return }
    removeMembership(member, group, reason: reason, isTold: true, own: own, now: now)
    if !members[member].isDurable { dropLane(of: member, reason: "left") }
  }

  /// Who is taken out of a group by others is told so: a program, because its copy of the roster
  /// would be wrong; a person, because the silence would be taken for a quiet group.
  private mutating func applyDrop(
    _ member: Int32, _ name: GroupName, reason: String, now: Instant
  ) {
    let session = members[member].session
    applyLeave(member, name, reason: reason, own: session >= 0 ? UInt32(session) : nil, now: now)
  }

  private mutating func replyToJoin(
    _ session: UInt32, _ name: GroupName, _ label: String?, now: Instant
  ) {
    let request = Request(session: session, label: label, now: now)
    do throws(Refusal) {
      try listMembers(of: name, request, as: .join)
    } catch {
      refuse(error, to: session, label: label)
    }
  }

  /// Second step, where the disk failed: nothing has happened.
  package mutating func persistFailed(_ ticket: Ticket, reason: String, now: Instant) {
    guard let waiting = pending.removeValue(forKey: ticket) else { return }
    let member = waiting.member
    members[member].pendingChanges -= 1
    giveBack(waiting)
    giveBackName(of: waiting.step, member)
    if case .keep(let number) = waiting.step {
      isNotKept(number, member, reason)
    } else if members[member].isDurable {
      members[member].isDoubtful = true
    }
    if let forgetting = waiting.forgetting { forgot(forgetting, failure: reason, now: now) }
    recount(member)
    dropIfUnused(member)
    if let id = waiting.session, isLive(id) {
      makeReady(id.index)
      refuse(
        Refusal(
          .internalError, waiting.step.verb,
          "the change could not be written to disk (\(reason)); nothing has changed"),
        to: id.index, label: waiting.label)
      endIfInputEnded(id.index, now: now)
    }
    endThoseDone(now: now)
  }
}
