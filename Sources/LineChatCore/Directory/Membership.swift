// Names, joining and leaving: what changes a roster, and who is told.

import LineProtocol

// MARK: - NICK

extension Directory {
  mutating func rename(to name: MemberName, _ request: Request) throws(Refusal) {
    let session = sessions[request.session]
    let member = session.member
    let old = members[member].name
    if let holder = names[name], holder != member {
      try takeUp(name, of: holder, request)
      replyToRename(request.session, request.label)
      return flushLane(of: holder)
    }
    if old.isWrittenLike(name), !members[member].isDoubtful {
      noteTags(member, request.isTagged)
      return replyToRename(request.session, request.label)
    }
    try checkNames(of: member, .nick, or: "you are still \(old), give up another first")
    if members[member].isDurable {
      names[name] = member
      try persist(.rename(name), member, request)
      members[member].nextName = name
      return
    }
    applyRename(
      member, to: name, by: session.identity, isTagged: request.isTagged, now: request.now)
    replyToRename(request.session, request.label)
  }

  func replyToRename(_ session: UInt32, _ label: String?) {
    let name = members[sessions[session].member].name
    reply(session, label) {
      $0.append("OK NICK ")
      $0.append(name)
    }
  }

  mutating func applyRename(
    _ member: Int32, to name: MemberName, by identity: Identity?, isTagged: Bool, now: Instant
  ) {
    let before = members[member].wire
    names[before.name] = nil
    names[name] = member
    members[member].name = name
    members[member].isGuest = false
    members[member].nextName = nil
    recount(member)
    if let identity { members[member].identity = identity }
    // It has the name already, and had to be sure that it is on the disk: nothing to tell.
    guard !before.name.isWrittenLike(name) else { return noteTags(member, isTagged) }
    for membership in members[member].memberships {
      changeEntry(of: member, called: before.name, in: membership.group)
    }
    tellRename(before, to: name, of: member, in: members[member].memberships, now: now)
    noteTags(member, isTagged)
    effects.append(.event(.renamed(before, to: name)))
  }

  /// Plain members hear it once, after what was said under the old name; those who speak tags hear
  /// it once for each group, with its version, and so does the member itself. Before it they hear
  /// what was said before it, and behind it what is said then, in whatever groups: who is called so
  /// depends on it.
  private mutating func tellRename(
    _ before: LineProtocol.Member, to name: MemberName, of member: Int32,
    in memberships: [Membership], now: Instant
  ) {
    guard !memberships.isEmpty else { return }
    let stamp = Timestamp.text(clock.stamp(now))
    let sweep = nextSweep()
    let own = members[member].session
    if own >= 0 { sessions[own].sweep = sweep }
    let program = program(of: member)
    let programs = Set(memberships.flatMap { fanOut.subscribers(groups[$0.group].tagged) })
      .sorted()
    for hearer in programs { cutShares(of: hearer) }
    defer { for hearer in programs { cutShares(of: hearer) } }
    for membership in memberships {
      let group = groups[membership.group]
      for hearer in fanOut.subscribers(group.plain) where sessions[hearer].sweep != sweep {
        sessions[hearer].sweep = sweep
        cutShares(of: hearer)
        fanOut.send(to: hearer, isReply: false) { appendRename($0, before, name) }
      }
      func write(_ buffer: ByteBuffer) {
        var tags = Tags()
        tags["version"] = group.roster.version.description
        tags["group"] = group.name.description
        tags["time"] = stamp
        tags.render(into: buffer)
        appendRename(buffer, before, name)
      }
      publish(to: membership.group, from: member, isTagged: true, write)
      if let program { tellOwn(program, write) }
    }
  }

  private func appendRename(
    _ buffer: ByteBuffer, _ before: LineProtocol.Member, _ name: MemberName
  ) {
    appendSource(buffer, before)
    buffer.append("NICK ")
    buffer.append(name)
    buffer.append("\n")
  }

  /// Takes up a name that is held already: with the key it belongs to from anywhere, without one
  /// only from its host, and only while nobody is connected under it.
  private mutating func takeUp(
    _ name: MemberName, of holder: Int32, _ request: Request
  ) throws(Refusal) {
    let session = sessions[request.session]
    let own = members[session.member]
    let held = members[holder]
    let isByKey = held.identity != nil && held.identity == session.identity
    func refusal(_ why: String) -> Refusal {
      Refusal(
        code: .nameTaken, verb: .nick,
        text: "\(why); you are still \(own.name), choose another name")
    }
    // Messages on their way to the disk for it do not matter: they are its own.
    guard held.name == name, !isChanging(holder) else {
      throw refusal("\(name) is being taken by somebody else at this moment")
    }
    guard isByKey || held.session < 0 else { throw refusal("\(held.name) is in use") }
    guard isByKey || (held.identity == nil && held.host == session.origin.host) else {
      throw refusal("\(held.name) belongs to a member from another host")
    }
    guard !own.isDurable else {
      throw refusal("\(held.name) is another member of yours; connect anew to be it")
    }
    if held.session >= 0 { replaceSession(of: holder, now: request.now) }
    move(session.member, into: holder, request)
  }

  private func isChanging(_ member: Int32) -> Bool {
    guard members[member].pendingChanges > 0 else { return false }
    return pending.values.contains { waiting in
      if case .keep = waiting.step { false } else { waiting.member == member }
    }
  }

  private mutating func replaceSession(of member: Int32, now: Instant) {
    let older = UInt32(members[member].session)
    refuse(
      Refusal(
        code: .nameTaken, verb: nil,
        text: "\(members[member].name) was taken up from another connection with its key"),
      to: older, label: nil)
    // The member must outlive the session that is replaced.
    members[member].pendingChanges += 1
    end(older, reason: "replaced by a newer connection", now: now)
    members[member].pendingChanges -= 1
  }

  /// The session's present member, which has no durable membership, becomes the one it took up;
  /// it brings along the groups where that one is not, and leaves the others under its old name.
  private mutating func move(_ guest: Int32, into member: Int32, _ request: Request) {
    let session = request.session
    let before = members[guest].wire
    let name = members[member].name
    let brought = members[guest].memberships
    for membership in brought where membership.slot >= 0 { unsubscribe(guest, membership.group) }
    members[guest].session = -1
    sessions[session].member = member
    members[member].session = Int32(session)
    members[member].host = sessions[session].origin.host
    recount(member)
    if let identity = sessions[session].identity, identity != members[member].identity {
      members[member].identity = identity
      noteHabits(of: member)
    }
    var transferred: [Membership] = []
    for membership in brought {
      if groups[membership.group].roster.contains(name) {
        removeMembership(
          guest, membership.group, reason: "", isTold: true, own: program(of: member),
          now: request.now)
      } else {
        members[guest].memberships.removeAll { $0.group == membership.group }
        let bare = Membership(group: membership.group, slot: -1, isDurable: false)
        members[member].memberships.append(bare)
        groups[membership.group].away.removeAll { $0 == guest }
        groups[membership.group].away.append(member)
        changeEntry(of: member, called: before.name, in: membership.group)
        transferred.append(bare)
      }
    }
    tellRename(before, to: name, of: member, in: transferred, now: request.now)
    members[member].seenAt = request.now.wallMicroseconds
    if members[member].place != before.place {
      tellPlace(of: member, in: transferred, listed: nil, now: request.now)
    }
    for membership in members[member].memberships { subscribe(member, membership.group) }
    noteTags(member, request.isTagged, isPresenceNew: true)
    dropIfUnused(guest)
    effects.append(
      .event(.tookUp(sessions[session].id, members[member].wire)))
  }
}

// MARK: - JOIN

extension Directory {
  mutating func join(
    _ name: GroupName, _ placement: Placement?, _ request: Request
  ) throws(Refusal) {
    let session = sessions[request.session]
    let member = session.member
    let place = try placement.map { (placement) throws(Refusal) in
      try self.place(placement, of: session.origin)
    }
    let present = membership(of: member, in: name)
    if present == nil { try checkRoom(for: member, in: name) }
    if let place, place != members[member].place { try checkPlace(place) }
    if place != nil && !members[member].isDurable && names.count > Limits.names {
      throw Refusal(
        .rateLimited, .join, "this server keeps no more members; JOIN \(name) alone still works")
    }
    if place != nil {
      try checkNames(of: member, .join, or: "JOIN \(name) alone still works")
    }
    let isForDisk =
      present?.isDurable != true || place != members[member].place
      || members[member].isDoubtful
    if isForDisk, let place {
      // As it is written here, so that it is written so after a start, too.
      let written = groupIndices[name].map { groups[$0].name } ?? name
      return try persist(.join(written, place), member, request)
    }
    if present == nil {
      addMembership(member, name, isDurable: false, isTagged: request.isTagged, now: request.now)
    } else {
      noteTags(member, request.isTagged)
    }
    // Who names the address that it has already listens there again.
    if place != nil { confirmPlace(of: member, now: request.now) }
    try listMembers(of: name, request, as: .join)
  }

  /// The place that a JOIN names, where the connection may claim it.
  private func place(_ placement: Placement, of origin: Origin) throws(Refusal) -> Place {
    func refusal(_ code: ErrorCode, _ text: String) -> Refusal {
      Refusal(code: code, verb: .join, text: text)
    }
    let endpoint: Endpoint
    switch placement {
    case .relay: return .relay
    case .port(let port):
      guard let made = Endpoint(address: portHost(origin), port: port) else {
        throw refusal(.badAddress, "a port is a number from 1 to 65535")
      }
      endpoint = made
    case .endpoint(let named): endpoint = named
    }
    let address = endpoint.address
    guard !address.isUnspecified && !address.isMulticast else {
      throw refusal(.badAddress, "nobody can be reached at \(endpoint)")
    }
    guard !isOwnAddress(endpoint) else {
      throw refusal(
        .badAddress, "\(endpoint) is this server's own address; name the one you listen at")
    }
    let isOwn =
      switch origin {
      case .tcp(let source) where !origin.isThisMachine: source == address
      default: address.isLoopback || configuration.localAddresses.contains(address)
      }
    guard isOwn else {
      throw refusal(
        .forbidden,
        "\(address) is not where you connect from; JOIN <group> :\(endpoint.port) means your own")
    }
    return .direct(endpoint)
  }

  /// Whether the server itself listens there: by that very address, or by all of this machine's.
  private func isOwnAddress(_ endpoint: Endpoint) -> Bool {
    configuration.listenEndpoints.contains { own in
      own == endpoint
        || own.port == endpoint.port && own.address.isUnspecified
          && (endpoint.address.isLoopback
            || configuration.localAddresses.contains(endpoint.address))
    }
  }

  private func checkPlace(_ place: Place) throws(Refusal) {
    guard case .direct(let endpoint) = place,
      listeners[endpoint, default: []].count + arriving[endpoint, default: 0]
        >= Limits.membersPerPlace
    else { return }
    throw Refusal(
      .rateLimited, .join,
      "\(Limits.membersPerPlace) members listen at \(endpoint) already; name another port")
  }

  /// The host that `:port` stands for.
  private func portHost(_ origin: Origin) -> IPAddress {
    switch origin {
    case .tcp(let address) where !origin.isThisMachine: address
    case .tcp(let address): configuration.loopbackSubstitute ?? address
    case .unix, .owner: configuration.loopbackSubstitute ?? IPAddress(v4: 0x7f00_0001)
    }
  }

  private mutating func checkRoom(for member: Int32, in name: GroupName) throws(Refusal) {
    guard members[member].memberships.count < Limits.groupsPerMember else {
      throw Refusal(
        code: .rateLimited, verb: .join,
        text: "you are in \(Limits.groupsPerMember) groups, no more are allowed; LEAVE one first")
    }
    guard groupIndices[name] == nil else { return }
    try checkGroups(of: member)
    guard groupIndices.count < Limits.groups else {
      throw Refusal(
        code: .rateLimited, verb: .join,
        text: "there are \(Limits.groups) groups here, no more are allowed; GROUPS lists them")
    }
  }

  mutating func applyJoin(
    _ member: Int32, _ name: GroupName, _ place: Place, isTagged: Bool, now: Instant
  ) {
    let before = members[member].place
    let present = membership(of: member, in: name)
    endPause(of: member)
    defer { confirmPlace(of: member, now: now) }
    writeAsRecorded(name)
    if place != before {
      noteListener(member, from: before, to: place)
      members[member].place = place
      let wasReachable = members[member].isReachable
      members[member].isReachable = false
      tellPlace(
        of: member, in: members[member].memberships, listed: present?.group, now: now)
      if wasReachable { tellPresence(of: member) }
      leavePlace(of: member)
      effects.append(.event(.moved(members[member].wire, from: before)))
    }
    if let present {
      let index = members[member].memberships.firstIndex { $0.group == present.group }
      if let index {
        let slot = members[member].memberships[index].slot
        members[member].memberships[index] =
          Membership(group: present.group, slot: slot, isDurable: true)
      }
      noteTags(member, isTagged)
      // The others have not been told of it as long as it was passing.
      if !present.isDurable { tellPresence(of: member, in: present.group) }
    } else {
      addMembership(member, name, isDurable: true, isTagged: isTagged, now: now)
    }
  }

  /// The member has another place in groups where it is already. It is told so itself but for the
  /// one that is listed to it anyhow.
  private mutating func tellPlace(
    of member: Int32, in memberships: [Membership], listed: Int32?, now: Instant
  ) {
    let program = program(of: member)
    for membership in memberships {
      let group = membership.group
      changeEntry(of: member, called: members[member].name, in: group)
      tellJoin(of: member, in: group, own: group == listed ? nil : program, now: now)
    }
  }

  /// A group without a durable member is nowhere on the disk: it is written as the record has it
  /// that brings the first. It was written so here, too, unless it was made, or made again, while
  /// the record was on its way.
  private mutating func writeAsRecorded(_ name: GroupName) {
    guard let group = groupIndices[name], !groups[group].name.isWrittenLike(name),
      !groups[group].roster.all.contains(where: { entry in
        members[entry.handle].memberships.contains { $0.group == group && $0.isDurable }
      })
    else { return }
    groups[group].name = name
  }

  /// Takes a member into a group, which is made where there is none.
  mutating func addMembership(
    _ member: Int32, _ name: GroupName, isDurable: Bool, isTagged: Bool, now: Instant
  ) {
    noteTags(member, isTagged)
    let group = groupIndices[name] ?? makeGroup(name, by: member)
    let state = members[member]
    groups[group].roster.append(
      Roster.Entry(
        member: state.wire, isOnline: state.session >= 0, speaksTags: state.speaksTags,
        isReachable: state.isReachable, handle: member),
      as: nextVersion(of: group))
    members[member].memberships.append(
      Membership(group: group, slot: -1, isDurable: isDurable))
    groups[group].away.append(member)
    if state.session >= 0 { subscribe(member, group) }
    tellJoin(of: member, in: group, now: now)
    if isDurable { tellPresence(of: member, in: group) }
    effects.append(
      .event(
        .joined(
          state.wire, groups[group].name, members: groups[group].roster.count)))
  }

  private mutating func tellJoin(
    of member: Int32, in group: Int32, own: UInt32? = nil, now: Instant
  ) {
    let wire = members[member].wire
    tellChange(of: member, in: group, own: own, now: now) { buffer, name in
      appendSource(buffer, wire)
      buffer.append("JOIN ")
      buffer.append(name)
    }
  }
}

// MARK: - LEAVE

extension Directory {
  mutating func leave(_ name: GroupName, _ request: Request) throws(Refusal) {
    let member = sessions[request.session].member
    guard let group = groupIndices[name] else { throw noSuchGroup(name, .leave) }
    guard let membership = membership(of: member, in: name) else {
      throw Refusal(
        code: .notMember, verb: .leave,
        text: "you are not in \(groups[group].name); nothing to leave")
    }
    if membership.isDurable {
      return try persist(.leave(name), member, request)
    }
    let written = groups[group].name
    removeMembership(member, group, reason: "", isTold: true, now: request.now)
    replyToLeave(request.session, request.label, written)
  }

  func replyToLeave(_ session: UInt32, _ label: String?, _ name: GroupName) {
    reply(session, label) {
      $0.append("OK LEAVE ")
      $0.append(name)
    }
  }

  func noSuchGroup(_ name: GroupName, _ verb: Verb) -> Refusal {
    Refusal(
      code: .noSuchGroup, verb: verb,
      text: "there is no group \(name); JOIN \(name) makes it, GROUPS lists those there are")
  }

  /// Takes a member out of a group, tells the others (and its `own` session), and drops the group
  /// where it was the last.
  mutating func removeMembership(
    _ member: Int32, _ group: Int32, reason: String, isTold: Bool, own: UInt32? = nil,
    now: Instant
  ) {
    let wire = members[member].wire
    if membershipSlot(member, group) >= 0 { unsubscribe(member, group) }
    members[member].memberships.removeAll { $0.group == group }
    groups[group].away.removeAll { $0 == member }
    groups[group].roster.remove(wire.name, as: nextVersion(of: group))
    if isTold {
      tellChange(of: member, in: group, own: own, now: now) { buffer, name in
        appendSource(buffer, wire)
        buffer.append("LEAVE ")
        buffer.append(name)
        if !reason.isEmpty {
          buffer.append(" ")
          buffer.append(reason)
        }
      }
    }
    effects.append(
      .event(
        .left(
          wire, groups[group].name, members: groups[group].roster.count,
          reason: reason)))
    recount(member)
    dropGroupIfEmpty(group)
  }
}
