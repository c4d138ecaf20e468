// Holds the directory's books against each other: whatever is noted in two places must agree. For
// the simulator and the tests, between two events; it looks at everything, so it is not for a
// server at work.

import LineProtocol

/// What a directory holds, and what is wrong with it.
package struct Audit: Sendable, CustomStringConvertible {
  package var sessions = 0
  package var members = 0
  package var groups = 0
  package var names = 0
  package var listeners = 0
  package var channels = 0
  /// Deadlines of live sessions; those of others are forgotten when they come up.
  package var deadlines = 0
  /// WAITs, long listings and changes on their way to the disk.
  package var underWay = 0
  /// Members with something waiting, or with a dial that failed.
  package var lanes = 0
  package var problems: [String] = []

  package var isEmpty: Bool {
    sessions + members + groups + names + listeners + channels + deadlines + underWay
      + lanes == 0
      && problems.isEmpty
  }

  package var description: String {
    "sessions \(sessions), members \(members), groups \(groups), names \(names), "
      + "listeners \(listeners), channels \(channels), deadlines \(deadlines), "
      + "under way \(underWay) \(problems)"
  }

  fileprivate mutating func hold(_ isRight: Bool, _ problem: @autoclosure () -> String) {
    if !isRight { problems.append(problem()) }
  }
}

extension Directory {
  package func audit() -> Audit {
    var audit = Audit()
    auditSessions(&audit)
    auditMembers(&audit)
    auditGroups(&audit)
    auditNames(&audit)
    auditWork(&audit)
    auditLanes(&audit)
    auditLimits(&audit)
    let channels = fanOut.channelsInUse
    audit.channels = channels
    audit.hold(channels == 2 * audit.groups, "\(channels) channels are in use")
    audit.problems += fanOut.auditProblems() + auditQuotas()
    return audit
  }

  /// How far the numbers of rosters have come: of all changes, and of each group's.
  package var rosterNumbers: (changes: UInt64, groups: [GroupName: UInt64]) {
    (changes, groupIndices.mapValues { groups[$0].roster.version.number })
  }

  /// Who listens at an address, the first that is meant first.
  package func listening(at endpoint: Endpoint) -> [MemberName] {
    (listeners[endpoint] ?? []).map { members[$0].name }
  }

  /// For whom a connection is dialled; nil where it is none, or over.
  package func memberDialled(_ id: SessionID) -> MemberName? {
    guard isLive(id), sessions[id.index].link != nil else { return nil }
    return members[sessions[id.index].member].name
  }

  private func auditSessions(_ audit: inout Audit) {
    for index in sessions.indices {
      let session = sessions[index]
      audit.sessions += 1
      audit.hold(session.id.index == UInt32(index), "session \(index) has another's index")
      guard session.link == nil else {
        audit.hold(
          lanes[session.member]?.link == UInt32(index)
            && dialledPlaces.values.contains(UInt32(index)), "link \(index) is nobody's")
        continue
      }
      audit.hold(
        members.holds(session.member) && members[session.member].session == index,
        "session \(index)'s member is not its own")
      audit.hold(session.activity != .ending, "session \(index) has not ended")
      audit.hold(
        (session.activity == .waiting) == (waits[UInt32(index)] != nil), "session \(index): WAIT")
      audit.hold(
        (session.activity == .listing) == (listings[UInt32(index)] != nil),
        "session \(index): listing")
      audit.hold(
        (session.activity == .listing) == fanOut.isHeld(UInt32(index)), "session \(index): held")
      audit.hold(
        (session.activity == .persisting)
          == (pending.values.contains { $0.session == session.id }
            || forgettings.values.contains { $0.session == session.id }),
        "session \(index): a change on its way to the disk")
      audit.hold(
        (session.activity == .claiming) == claims.values.contains { $0.session == session.id },
        "session \(index): a message for somebody who is away")
    }
    audit.hold(
      audit.sessions + endedSessions.count + sessions.freeCount == sessions.count, "free sessions")
  }

  private func auditMembers(_ audit: inout Audit) {
    for index in members.indices {
      let member = members[index]
      audit.members += 1
      let name = member.name
      audit.hold(names[name] == index, "\(name) is not found by its name")
      audit.hold(
        member.session < 0
          || sessions.holds(member.session) && sessions[member.session].member == index,
        "\(name)'s session is another's")
      audit.hold(
        member.session >= 0 || member.pendingChanges > 0 || !member.memberships.isEmpty,
        "\(name) is kept for nothing")
      audit.hold(
        Int(member.pendingChanges) == pending.values.count { $0.member == index },
        "\(name)'s changes on their way to the disk")
      if case .direct(let endpoint) = member.place {
        audit.hold(
          listeners[endpoint]?.count { $0 == index } == 1, "\(name) is not at its place")
      }
      for membership in member.memberships { auditMembership(membership, of: index, &audit) }
      audit.hold(
        Set(member.memberships.map(\.group)).count == member.memberships.count,
        "\(name) is in a group twice")
    }
    audit.hold(audit.members + members.freeCount == members.count, "free members")
  }

  private func auditMembership(_ membership: Membership, of index: Int32, _ audit: inout Audit) {
    guard groups.holds(membership.group) else {
      return audit.hold(false, "member \(index) is in a group that is gone")
    }
    let (member, group) = (members[index], groups[membership.group])
    let entry = group.roster[member.name]
    audit.hold(entry?.handle == index, "\(member.name) is not in \(group.name)'s roster")
    audit.hold(entry?.member == member.wire, "\(group.name) knows \(member.name) by another place")
    audit.hold(
      entry?.member.name.isWrittenLike(member.name) == true,
      "\(group.name) writes \(member.name) in another way")
    audit.hold(
      entry?.isOnline == (member.session >= 0) && entry?.speaksTags == member.speaksTags,
      "\(group.name) knows \(member.name) by other attributes")
    audit.hold(
      membership.isDurable || member.session >= 0, "\(member.name) has left \(group.name)")
    audit.hold(
      (membership.slot >= 0) == (member.session >= 0), "\(member.name)'s place in \(group.name)")
    guard membership.slot >= 0, sessions.holds(member.session) else { return }
    let isTagged = sessions[member.session].speaksTags
    let hearers = fanOut.subscribers(isTagged ? group.tagged : group.plain)
    audit.hold(
      Int(membership.slot) < hearers.count
        && hearers[Int(membership.slot)] == UInt32(member.session),
      "\(member.name) hears \(group.name) in another's place")
  }

  private func auditGroups(_ audit: inout Audit) {
    for index in groups.indices {
      let group = groups[index]
      audit.groups += 1
      audit.hold(groupIndices[group.name] == index, "\(group.name) is not found")
      audit.hold(group.roster.count > 0, "\(group.name) is empty")
      let entries = group.roster.all
      audit.hold(entries.count == group.roster.count, "\(group.name)'s count")
      audit.hold(
        entries.allSatisfy { entry in
          members.holds(entry.handle)
            && members[entry.handle].memberships.contains { $0.group == index }
        }, "\(group.name) has somebody who is not in it")
      let live = entries.count { members.holds($0.handle) && members[$0.handle].session >= 0 }
      let hearers = fanOut.subscriberCount(group.plain) + fanOut.subscriberCount(group.tagged)
      audit.hold(group.live == live && hearers == live, "\(group.name)'s hearers")
      let away = entries.map(\.handle).filter { members.holds($0) && members[$0].session < 0 }
      audit.hold(
        Set(group.away) == Set(away) && group.away.count == away.count, "\(group.name)'s away")
      audit.hold(
        group.waiting.count <= 2 * sessions.count + 17, "\(group.name) keeps ended WAITs")
    }
    let order = groupOrder.filter { groups.holds($0) }.map { groups[$0].name }
    audit.hold(order.count == audit.groups && order == order.sorted(), "the order of groups")
    audit.hold(
      groupIndices.count == audit.groups && audit.groups + groups.freeCount == groups.count,
      "free groups")
  }

  private func auditNames(_ audit: inout Audit) {
    audit.names = names.count
    for (name, index) in names {
      let isReserved = pending.values.contains { waiting in
        if case .rename(name) = waiting.step { waiting.member == index } else { false }
      }
      audit.hold(
        members.holds(index) && members[index].name == name || isReserved,
        "\(name) is kept for somebody else")
    }
    for (endpoint, there) in listeners {
      audit.listeners += there.count
      audit.hold(
        !there.isEmpty
          && there.allSatisfy { members.holds($0) && members[$0].place == .direct(endpoint) },
        "\(endpoint) is somebody else's place")
    }
  }

  private func auditWork(_ audit: inout Audit) {
    audit.underWay =
      waits.count + listings.count + pending.count + claims.count + forgettings.count
    audit.hold(effects.isEmpty, "effects have not been taken")
    audit.hold(endingNext.isEmpty, "sessions have not been ended")
    for session in waits.keys { audit.hold(sessions.holds(session), "a WAIT of nobody") }
    for session in listings.keys {
      audit.hold(sessions.holds(session), "a listing for nobody")
    }
    audit.deadlines = deadlines.unordered.count { isDue($0) && !$0.kind.isHousekeeping }
    audit.hold(
      deadlines.count <= deadlinesMax,
      "\(deadlines.count) deadlines are kept")
    for index in sessions.indices where sessions[index].speaksTags {
      let session = sessions[index]
      audit.hold(
        deadlines.unordered.contains { $0.kind.isSilence(of: session.id) },
        "nobody looks after session \(session.id.index)")
    }
  }
}

extension Directory {
  private func auditLanes(_ audit: inout Audit) {
    audit.lanes = lanes.count
    var claimed: [UInt64: Int] = [:]
    for (member, lane) in lanes {
      guard members.holds(member) else {
        audit.hold(false, "a lane of nobody")
        continue
      }
      let name = members[member].name
      audit.hold(lane.bytes == lane.queue.reduce(0) { $0 + $1.bytes }, "\(name)'s lane's bytes")
      audit.hold(lane.bytes <= Limits.keptBytes, "\(name)'s lane holds too much")
      audit.hold(lane.sent <= lane.queue.count, "\(name)'s lane has sent more than it had")
      audit.hold(
        lane.isQueuedForDial == dialQueue.contains(member), "\(name)'s turn to be dialled")
      if let link = lane.link {
        audit.hold(sessions.holds(link) && sessions[link].link != nil, "\(name)'s link is gone")
      }
      for kept in lane.queue where kept.claim != 0 { claimed[kept.claim, default: 0] += 1 }
    }
    audit.hold(dialledPlaces.count <= Limits.dials, "too many dials")
    audit.hold(keptBytes == lanes.values.reduce(0) { $0 + $1.bytes }, "what all lanes hold")
    for (number, claim) in claims {
      audit.hold(claim.waiting == claimed[number], "a sender waits for \(claim.waiting)")
    }
  }
}

extension Directory {
  /// Every queue and buffer is within its bounds.
  private func auditLimits(_ audit: inout Audit) {
    let (waiting, listed) = (pending.count, listings.count)
    audit.hold(waiting <= Limits.pendingChanges, "\(waiting) changes wait for the disk")
    audit.hold(listed <= Limits.listings, "\(listed) listings are under way")
    audit.hold(keptBytes <= Limits.keptBytesOfAll, "what all lanes hold is too much")
    let many = audit.groups
    audit.hold(many <= Limits.groups, "\(many) groups")
    for index in members.indices {
      let count = members[index].memberships.count
      audit.hold(count <= Limits.groupsPerMember, "a member is in \(count) groups")
    }
    let queued = Set(dialQueue).count
    audit.hold(queued == dialQueue.count, "a member stands in the queue of dials twice")
    audit.hold(
      arriving.values.reduce(0, +) == pending.values.count { $0.newPlace != nil },
      "who is to listen, and is not on the disk yet")
    for there in listeners.values {
      audit.hold(there.count <= Limits.membersPerPlace, "\(there.count) members are at one place")
    }
    var byHost: [IPAddress: Int] = [:]
    for endpoint in dialledPlaces.keys { byHost[endpoint.address, default: 0] += 1 }
    audit.hold(
      byHost.values.allSatisfy { $0 <= Limits.dialsPerHost }, "a host is dialled too often at once")
  }
}

extension Deadline.Kind {
  fileprivate func isSilence(of id: SessionID) -> Bool {
    if case .silence(id) = self { true } else { false }
  }

  fileprivate var isHousekeeping: Bool { if case .housekeeping = self { true } else { false } }
}

extension FanOut {
  var channelsInUse: Int { channels.count - freeChannels.count }

  /// What is wrong between two rounds.
  func auditProblems() -> [String] {
    var audit = Audit()
    audit.hold(Set(freeChannels).count == freeChannels.count, "a channel is free twice")
    audit.hold(
      freeChannels.allSatisfy { channels[Int($0)].subscribers.isEmpty }, "a free channel is heard")
    for (index, outlet) in outlets.elements.enumerated() {
      audit.hold(
        outlet.isHeld == (heldBuffers[UInt32(index)] != nil), "what is kept back for \(index)")
    }
    audit.hold(heldBuffers.count <= outlets.count, "something is kept back for nobody")
    return audit.problems
  }
}
