// Reaching members who listen for themselves: the server dials the address they gave, one connection
// at a time to an address, a bounded number at a time in all, and leaves alone for a while what did
// not answer, so that a dead address costs nobody any waiting after the first time.
//
//   plain member    what is due is written, our side ended; when the other side has ended too, it
//                   has arrived. Some netcats serve one connection at a time, so none is kept open.
//   tag-speaker     nothing is said before its INFO has named the member: addresses and ports are
//                   given to others. Then what is due, until it is acknowledged.
//
// A connection that was dialled is a session like any other to the FanOut and to the owner; here it
// is told apart by its link.

import LineProtocol

/// What makes a session one that was dialled.
struct Link {
  enum Stage: UInt8 {
    case dialling
    /// Connected; the other side has yet to say who it is.
    case greeting
    /// It is who it should be: it is sent what waits, and acknowledges it.
    case open
    /// Our side has ended.
    case finishing
  }

  var stage = Stage.dialling
  /// Counts what happened, for deadlines.
  var step: UInt64 = 0
  /// When it has lived long enough, on the monotonic clock.
  var endsAt: Int64 = 0
}

extension Directory {
  // MARK: When to dial

  /// Sees to it that a member who is away is dialled, if it gave an address. Returns whether that is
  /// under way, or will be at once.
  @discardableResult
  mutating func tryToReach(_ member: Int32, now: Instant) -> Bool {
    guard members[member].session < 0, case .direct = members[member].place else { return false }
    var lane = lanes[member] ?? Lane(number: nextTicket().number)
    if lane.link != nil || lane.isQueuedForDial { return true }
    guard lane.retryAt <= now.monotonicMicroseconds else { return false }
    lane.isQueuedForDial = true
    lanes[member] = lane
    dialQueue.append(member)
    startDials()
    return true
  }

  /// Dials the address that a program gave, while it is connected, to tell it and the others whether
  /// it can be reached there.
  mutating func dialBack(_ member: Int32, now: Instant) {
    guard case .direct = members[member].place, members[member].speaksTags else { return }
    var lane = lanes[member] ?? Lane(number: nextTicket().number)
    guard !lane.isQueuedForDial else { return }
    // It may have begun to listen after the dial that is under way came there.
    guard lane.link == nil else {
      lanes[member]!.isDialWanted = true
      return
    }
    lane.isQueuedForDial = true
    lanes[member] = lane
    dialQueue.append(member)
    startDials()
  }

  /// The member says that it can be reached where it is known to be: what went wrong there is over,
  /// a program is dialled unless it was found there last time, and whoever is away and has something
  /// waiting. In this order: the dial back would take another's dial for one from before.
  mutating func confirmPlace(of member: Int32, now: Instant) {
    endPause(of: member)
    if !members[member].isReachable { dialBack(member, now: now) }
    if lanes[member]?.queue.isEmpty == false { tryToReach(member, now: now) }
  }

  /// Its address may be dialled at once.
  mutating func endPause(of member: Int32) {
    lanes[member]?.failures = 0
    lanes[member]?.retryAt = 0
    dropLaneIfEmpty(member)
  }

  /// Dials those whose turn it is.
  mutating func startDials() {
    guard !dialQueue.isEmpty, dialledPlaces.count < Limits.dials, !isShuttingDown else { return }
    let queue = dialQueue
    dialQueue = []
    for member in queue {
      guard lanes[member]?.isQueuedForDial == true,
        members[member].session < 0 || members[member].speaksTags,
        case .direct(let endpoint) = members[member].place
      else {
        lanes[member]?.isQueuedForDial = false
        continue
      }
      let isHostBusy =
        dialledPlaces.keys.count { $0.address == endpoint.address } >= Limits.dialsPerHost
      if dialledPlaces.count >= Limits.dials || dialledPlaces[endpoint] != nil || isHostBusy {
        dialQueue.append(member)
      } else {
        lanes[member]!.isQueuedForDial = false
        dial(member, endpoint)
      }
    }
  }

  private mutating func dial(_ member: Int32, _ endpoint: Endpoint) {
    let id = makeSession(.tcp(endpoint.address), identity: nil, member: member, link: Link())
    lanes[member]!.link = id.index
    dialledPlaces[endpoint] = id.index
    counters.dials += 1
    effects.append(.dial(id, endpoint))
  }

  // MARK: What comes of it

  /// The connection that was asked for stands.
  package mutating func dialled(
    _ id: SessionID, _ route: Route = Route(), now: Instant
  ) {
    guard isLive(id), sessions[id.index].link?.stage == .dialling else { return }
    let member = sessions[id.index].member
    sessions[id.index].heardAt = now.monotonicMicroseconds
    sessions[id.index].link!.endsAt = now.monotonicMicroseconds + Limits.linkMicroseconds
    if members[member].speaksTags {
      enter(.greeting, id, within: Limits.greetingMicroseconds, now: now)
    } else {
      wasReached(member, now: now)
      sendLane(of: member, to: id.index, isTagged: false)
      finishLink(id)
    }
  }

  /// It could not be made.
  package mutating func dialFailed(_ id: SessionID, reason: String, now: Instant) {
    closed(id, reason: reason, now: now)
  }

  /// What was due has been written, and the other side has ended or said nothing more.
  package mutating func finished(_ id: SessionID, now: Instant) {
    guard isLive(id), let link = sessions[id.index].link, link.stage == .finishing else { return }
    let member = sessions[id.index].member
    dropLink(id.index)
    if members[member].session < 0 {
      // Dialled as one without tags, it may be a program by now: that has only what it acknowledges.
      if members[member].speaksTags {
        lanes[member]?.sent = 0
      } else {
        laneArrived(member, now: now)
      }
    }
    endPause(of: member)
    goOn(with: member, now: now)
    endThoseDone(now: now)
  }

  /// The link broke, or is not to be used: what was sent is sent again, later.
  mutating func linkBroke(_ session: UInt32, reason: String, now: Instant) {
    let member = sessions[session].member
    counters.failedDials += 1
    let isDialWanted = lanes[member]?.isDialWanted == true
    dropLink(session)
    guard lanes[member] != nil else { return startDials() }
    // Counted first: a lane that has failed stays, even if nothing is left in it.
    lanes[member]!.failures += 1
    if members[member].session < 0 { laneBroke(member) }
    noteReachable(member, false)
    let pause = backoff(lanes[member]!.failures)
    lanes[member]!.retryAt = now.monotonicMicroseconds + pause
    schedule(
      Deadline(at: lanes[member]!.retryAt, kind: .retry(member, lanes[member]!.number)))
    effects.append(
      .event(
        .unreachable(
          members[member].wire, reason: reason, retrySeconds: Int((pause + 999_999) / 1_000_000))))
    if expiring.remove(member) != nil { expire(member, now: now) }
    if isDialWanted && members.holds(member) { dialBack(member, now: now) }
    startDials()
  }

  /// The member listens somewhere else now: what was begun at its old place says nothing.
  mutating func leavePlace(of member: Int32) {
    guard let lane = lanes[member] else { return }
    leaveDialQueue(member)
    if let link = lane.link { abandonLink(link) }
    defer { startDials() }
    guard members[member].session < 0 else { return dropLaneIfEmpty(member) }
    laneBroke(member)
  }

  private mutating func leaveDialQueue(_ member: Int32) {
    guard lanes[member]?.isQueuedForDial == true else { return }
    lanes[member]!.isQueuedForDial = false
    dialQueue.removeAll { $0 == member }
  }

  /// The link is of no use any more.
  mutating func abandonLink(_ session: UInt32) {
    effects.append(.close(sessions[session].id))
    dropLink(session)
  }

  /// The link's session is over; its address may be dialled again.
  private mutating func dropLink(_ session: UInt32) {
    let member = sessions[session].member
    if lanes[member]?.link == session {
      lanes[member]!.link = nil
      lanes[member]!.isLate = false
      lanes[member]!.isDialWanted = false
    }
    for (endpoint, holder) in dialledPlaces where holder == session {
      dialledPlaces[endpoint] = nil
    }
    removeSession(session)
  }

  private mutating func goOn(with member: Int32, now: Instant) {
    if let lane = lanes[member], !lane.queue.isEmpty {
      tryToReach(member, now: now)
    } else {
      dropLaneIfEmpty(member)
    }
    startDials()
  }

  /// Doubling from a second to five minutes, with up to a fifth of it off, so that many who were
  /// lost together are not dialled together.
  private mutating func backoff(_ failures: Int) -> Int64 {
    let doubled = Limits.retryLeastMicroseconds << Int64(min(failures - 1, 16))
    let full = min(Limits.retryMostMicroseconds, doubled)
    return full - Int64(draw() % UInt64(full / 5))
  }

  /// The time for another try has come.
  mutating func retry(_ member: Int32, _ number: UInt64, now: Instant) {
    guard let lane = lanes[member], lane.number == number else { return }
    if !lane.queue.isEmpty { tryToReach(member, now: now) }
  }

  // MARK: Talking to who answered

  private mutating func enter(
    _ stage: Link.Stage, _ id: SessionID, within microseconds: Int64, now: Instant
  ) {
    sessions[id.index].link!.stage = stage
    sessions[id.index].link!.step += 1
    schedule(
      Deadline(
        at: now.monotonicMicroseconds + microseconds,
        kind: .link(id, sessions[id.index].link!.step)))
  }

  /// It took too long over what it had to do.
  mutating func linkStalled(_ id: SessionID, _ step: UInt64, now: Instant) {
    guard isLive(id), let link = sessions[id.index].link, link.step == step else { return }
    guard link.stage == .greeting || link.stage == .open else { return }
    let reason = link.stage == .greeting ? "no INFO came" : "it does not acknowledge"
    giveUp(id, reason: reason, now: now)
  }

  private mutating func giveUp(_ id: SessionID, reason: String, now: Instant) {
    effects.append(.close(id))
    linkBroke(id.index, reason: reason, now: now)
  }

  /// A line from the other side of a link.
  mutating func hearLink(_ bytes: UnsafeRawBufferPointer, _ id: SessionID, now: Instant) {
    guard let link = sessions[id.index].link, var view = try? LineView(bytes) else { return }
    let member = sessions[id.index].member
    switch view.verb {
    case .info where link.stage == .greeting:
      let name = LinkGreeting.name(in: &view)
      guard name == members[member].name else {
        let who = name.map { "\($0)" } ?? "somebody else"
        return giveUp(id, reason: "\(who) answers there", now: now)
      }
      wasReached(member, now: now)
      noteReachable(member, true)
      // A member that is connected gets what waits there; this dial only asked whether it answers.
      guard members[member].session < 0, lanes[member]?.queue.isEmpty == false else {
        return finishLink(id)
      }
      sendLane(of: member, to: id.index, isTagged: true)
      enter(.open, id, within: Limits.acknowledgeMicroseconds, now: now)
    case .ack where link.stage == .open:
      guard view.word() != nil, let word = view.word(), let acknowledgedID = MessageID(bytes: word)
      else { return }
      let waitingBefore = lanes[member]?.queue.count ?? 0
      acknowledged(acknowledgedID, by: member, now: now)
      guard let lane = lanes[member], !lane.queue.isEmpty else { return finishLink(id) }
      let isProgress = lane.queue.count < waitingBefore
      if isProgress && now.monotonicMicroseconds >= link.endsAt {
        return giveUp(id, reason: "it takes long", now: now)
      }
      if lane.sent < lane.queue.count { sendLane(of: member, to: id.index, isTagged: true) }
      // An acknowledgement of nothing buys no time.
      guard isProgress else { return }
      lanes[member]!.failures = 0
      enter(.open, id, within: Limits.acknowledgeMicroseconds, now: now)
    case .ping where link.stage == .greeting || link.stage == .open:
      fanOut.send(to: id.index, isReply: true) { $0.append("PONG\n") }
    default: break
    }
  }

  private mutating func finishLink(_ id: SessionID) {
    sessions[id.index].link!.stage = .finishing
    effects.append(.finish(id))
  }

  private mutating func wasReached(_ member: Int32, now: Instant) {
    members[member].seenAt = now.wallMicroseconds
    expiring.remove(member)
    effects.append(.event(.reachable(members[member].wire)))
  }

  private mutating func noteReachable(_ member: Int32, _ isReachable: Bool) {
    if members[member].isReachable != isReachable {
      members[member].isReachable = isReachable
      tellPresence(of: member)
    }
    tellItself(member)
  }

  /// A program that is connected learns what came of the dial to its own address.
  private mutating func tellItself(_ member: Int32) {
    guard members[member].session >= 0, sessions[members[member].session].speaksTags else { return }
    let session = UInt32(members[member].session)
    for membership in members[member].memberships where membership.isDurable {
      let group = membership.group
      guard let entry = groups[group].roster[members[member].name] else { continue }
      fanOut.send(to: session, isReply: false) { buffer in
        appendMemberLine(buffer, groups[group].name, entry)
        buffer.append("\n")
      }
    }
  }

  // MARK: A member is back

  /// What waited for a member goes over its live connection, before anything newer.
  mutating func flushLane(of member: Int32) {
    guard let lane = lanes[member] else { return }
    let session = UInt32(members[member].session)
    if let link = lane.link {
      abandonLink(link)
      lanes[member]!.sent = 0
      startDials()
    }
    leaveDialQueue(member)
    lanes[member]!.failures = 0
    guard !lane.queue.isEmpty else { return dropLaneIfEmpty(member) }
    let isTagged = sessions[session].speaksTags
    sendLane(of: member, to: session, isTagged: isTagged)
    // For one without tags, written is delivered; so it waits until it is.
    if !isTagged { sessions[session].activity = .flushing }
  }
}

/// The greeting of a node: `INFO <program> <version> key=value …`, one of them `name=`.
private enum LinkGreeting {
  static func name(in view: inout LineView) -> MemberName? {
    while let word = view.word() {
      guard word.count > 5, word.prefix(5).elementsEqual("name=".utf8) else { continue }
      return MemberName(bytes: UnsafeRawBufferPointer(rebasing: word[5...]))
    }
    return nil
  }
}
