// Who may say what at our own port.
//
//   - A source is believed where the connection shows it: it comes from the host that the roster has
//     for that member. From the server's host everything is believed that the server passes on.
//   - A sender that our roster does not have yet may know more than we do: where the version it names
//     is ahead of ours, its line is held until the roster has come.
//   - A private message of somebody unknown is taken and marked. Rosters are never changed here.

import LineProtocol

enum Belief {
  case believed
  /// The line waits for a newer roster of that group.
  case held(GroupName)
  case refused(Refusal)
}

extension Peer {
  /// A message with a source from a guest.
  mutating func hearGuest(_ line: HeardLine, _ source: Member, _ session: UInt32) -> Belief {
    let id = sessions[session].id
    let belief: Belief
    switch line.target {
    case .group(let group):
      belief = believes(source, group, line, sessions[session].origin, .msg)
    case .person(let recipient):
      if let refusal = refuseIfNotForUs(recipient) { return .refused(refusal) }
      belief = believes(source, line.group, line, sessions[session].origin, .pm)
    }
    if case .believed = belief { hear(line, from: source, on: id, .direct) }
    return belief
  }

  func refuseIfNotForUs(_ recipient: Recipient) -> Refusal? {
    let isForUs =
      switch recipient {
      case .name(let wanted): wanted == name
      case .endpoint(let endpoint): place == .direct(endpoint) || listens == endpoint
      case .member(let member): member.name == name
      }
    return isForUs ? nil : Refusal(.noSuchPeer, .pm, "I am \(name), not \(recipient)")
  }

  /// Anybody can say something to us, and it goes to the disk: so many a minute, from all strangers
  /// together.
  mutating func refuseIfTooMany() -> Refusal? {
    if time >= strangersUntil {
      strangersUntil = time + 60_000_000
      strangersHeard = 0
    }
    strangersHeard += 1
    guard strangersHeard > Limits.strangersPerMinute else { return nil }
    return Refusal(
      .rateLimited, .pm,
      "strangers have said enough to me in this minute; try again later, or through the server")
  }

  private func believes(
    _ source: Member, _ group: GroupName?, _ line: HeardLine, _ origin: Origin, _ verb: Verb
  ) -> Belief {
    guard source.name != name else {
      return .refused(Refusal(.forbidden, verb, "\(name) is my own name"))
    }
    if verb == .msg, let group, groups[group]?.isIn != true {
      guard wanted.contains(group) else {
        return .refused(Refusal(.notMember, .msg, "I am not in \(group)"))
      }
      // We may be about to be in it.
      guard isServerUp && mayHold else {
        return .refused(
          Refusal(.unreachable, .msg, "I am not in \(group) yet; try again later"))
      }
      return .held(group)
    }
    if isServersHost(origin)
      || isKnown(source, verb == .msg ? group : nil) && proves(origin, source.place)
    {
      return .believed
    }
    guard proves(origin, source.place) else {
      return .refused(
        Refusal(
          .forbidden, verb,
          "\(source) is not where you connect from; leave the source away, or send it through the "
            + "server"))
    }
    // It may be so, and we have not heard of it.
    guard let group, let version = line.version,
      let roster = groups[group]?.roster, version > roster.version
    else {
      return .refused(
        Refusal(
          .unreachable, verb, "I do not know \(source) (yet); send it through the server"))
    }
    guard isServerUp, mayHold else {
      return .refused(
        Refusal(
          .unreachable, verb,
          "I do not know \(source) yet, and my server is away; try again later"))
    }
    return .held(group)
  }

  /// Whether it is in that group's roster, or in any, with that place.
  private func isKnown(_ source: Member, _ group: GroupName?) -> Bool {
    guard let group else {
      return groups.values.contains { $0.roster[source.name]?.member == source }
    }
    return groups[group]?.roster[source.name]?.member == source
  }

  /// Whether a connection from there can be that of somebody who listens at `place`.
  private func proves(_ origin: Origin, _ place: Place) -> Bool {
    guard case .direct(let endpoint) = place else { return false }
    return Origin.tcp(endpoint.address).host == origin.host
  }

  private func isServersHost(_ origin: Origin) -> Bool {
    guard let address = uplink.address else { return false }
    return Origin.tcp(address).host == origin.host
  }

  /// Whether somebody at that host is in the group, as far as we know.
  func isHome(_ origin: Origin, of group: GroupName) -> Bool {
    guard let roster = groups[group]?.roster else { return false }
    return roster.all.contains { proves(origin, $0.member.place) }
  }

  // MARK: Lines that wait

  mutating func hold(_ bytes: UnsafeRawBufferPointer, _ session: UInt32, for group: GroupName) {
    sessions[session].activity = .holding
    sessions[session].held = Array(bytes)
    if sessions[session].heldAt == 0 {
      sessions[session].heldAt = max(1, time)
      schedule(
        after: Limits.holdMicroseconds, .hold(sessions[session].id, sessions[session].heldAt))
      if groups[group]?.isIn == true { askMembers(group) }
    }
  }

  private var mayHold: Bool { sessionsHolding().count < Limits.heldLines }

  func sessionsHolding() -> [UInt32] {
    sessions.indices.map { UInt32($0) }.filter { sessions[$0].activity == .holding }
  }

  /// A roster has changed: the line is looked at again.
  mutating func retryHeld(_ session: UInt32) {
    guard sessions.holds(session), sessions[session].activity == .holding else { return }
    let line = sessions[session].held
    sessions[session].activity = .ready
    sessions[session].held = []
    line.withUnsafeBytes { perform($0, from: session) }
    guard sessions.holds(session), sessions[session].activity != .holding else { return }
    sessions[session].heldAt = 0
    if sessions[session].activity == .ready { makeReady(session) }
  }

  /// The roster has not come in time.
  mutating func holdTimedOut(_ session: UInt32) {
    guard sessions[session].activity == .holding else { return }
    let line = sessions[session].held
    sessions[session].held = []
    sessions[session].heldAt = 0
    sessions[session].activity = .ready
    line.withUnsafeBytes { bytes in
      let message = (try? LineView(bytes)).flatMap { try? Message($0) }
      refuse(
        Refusal(.unreachable, message?.content.verb, "I do not know you yet; try again later"),
        to: session, label: message?.tags["label"], about: message?.tags["msgid"])
    }
    makeReady(session)
  }
}
