// Holds the node's books against each other: whatever is noted in two places must agree. For the
// simulator and the tests, between two rounds; it looks at everything, so it is not for a node at
// work.

import LineProtocol

/// What a node holds, and what is wrong with it.
package struct PeerAudit: Sendable, CustomStringConvertible {
  package var sessions = 0
  package var contacts = 0
  package var streams = 0
  package var lanes = 0
  /// Messages that somebody does not have yet, and numbers kept between them.
  package var messages = 0
  /// Senders who wait for an answer.
  package var claims = 0
  /// Records on their way to the disk.
  package var pending = 0
  package var problems: [String] = []

  package var description: String {
    "sessions \(sessions), contacts \(contacts), streams \(streams), lanes \(lanes), "
      + "messages \(messages), claims \(claims), pending \(pending) \(problems)"
  }

  fileprivate mutating func hold(_ isRight: Bool, _ problem: @autoclosure () -> String) {
    if !isRight { problems.append(problem()) }
  }
}

extension Peer {
  package func audit() -> PeerAudit {
    var audit = PeerAudit()
    auditSessions(&audit)
    auditContacts(&audit)
    auditLinks(&audit)
    auditStreams(&audit)
    auditLanes(&audit)
    auditGroups(&audit)
    auditHeard(&audit)
    auditUplink(&audit)
    auditWork(&audit)
    auditLimits(&audit)
    return audit
  }

  // MARK: Sessions

  private func auditSessions(_ audit: inout PeerAudit) {
    for index in sessions.indices {
      let session = sessions[index]
      audit.sessions += 1
      audit.hold(session.id.index == UInt32(index), "session \(index) has another's index")
      switch session.kind {
      case .link(let contact):
        audit.hold(
          contacts.holds(contact) && contacts[contact].session == session.id,
          "link \(index) is nobody's")
      case .guest, .owner, .uplink: break
      }
      audit.hold(
        (session.kind == .owner) == owners.contains(UInt32(index)), "session \(index): owner")
      audit.hold(
        (session.activity == .waiting) == (waits[UInt32(index)] != nil), "session \(index): WAIT")
      audit.hold(
        (session.activity == .holding) == (session.heldAt != 0 && !session.held.isEmpty),
        "session \(index): a line that waits for a roster")
      audit.hold(
        session.activity != .quitting || slots[UInt32(index)]?.isEmpty == false
          || session.unwritten > 0,
        "session \(index) has not ended")
    }
    audit.hold(
      audit.sessions + endedSessions.count + sessions.freeCount == sessions.count, "free sessions")
    audit.hold(Set(owners).count == owners.count, "an owner is there twice")
    for session in waits.keys { audit.hold(sessions.holds(session), "a WAIT of nobody") }
    for (session, kept) in slots {
      audit.hold(sessions.holds(session), "replies for nobody")
      audit.hold(kept.first?.isDone == false, "session \(session): a reply that could be written")
    }
  }

  // MARK: Contacts

  private func auditContacts(_ audit: inout PeerAudit) {
    var shared: [Int32: Int] = [:]
    for group in groups.values {
      for entry in group.roster.all { shared[entry.handle, default: 0] += 1 }
    }
    for index in contacts.indices {
      let contact = contacts[index]
      let name = contact.member.name
      audit.contacts += 1
      audit.hold(contactIndices[name] == index, "\(name) is not found by its name")
      audit.hold(
        contact.groups == shared[index] ?? 0,
        "\(name) is in \(shared[index] ?? 0) groups with us, not \(contact.groups)")
      audit.hold(
        contact.waiting == contact.lanes.reduce(0) { $0 + lanes[$1].queue.count },
        "\(name): what waits")
      audit.hold(
        contact.groups > 0 || contact.waiting > 0 || contact.link != .none,
        "\(name) is kept for nothing")
      audit.hold(!contact.isDirty, "\(name) has not been served")
    }
    audit.hold(dirty.isEmpty, "contacts have not been served")
    audit.hold(contactIndices.count == audit.contacts, "names of nobody")
    audit.hold(audit.contacts + contacts.freeCount == contacts.count, "free contacts")
  }

  private func auditLinks(_ audit: inout PeerAudit) {
    var underWay = 0
    for index in contacts.indices {
      let contact = contacts[index]
      let name = contact.member.name
      if contact.link == .dialling || contact.link == .greeting { underWay += 1 }
      audit.hold(
        (contact.link == .queued) == dialQueue.contains(index), "\(name)'s turn to be dialled")
      let hasSession = contact.link != .none && contact.link != .queued
      audit.hold((contact.session != nil) == hasSession, "\(name)'s link has no session")
      if let session = contact.session {
        audit.hold(
          isLive(session) && sessions[session.index].kind == .link(index), "\(name)'s link is gone")
      }
      audit.hold(
        contact.unackedBytes == 0 || contact.link == .open || contact.link == .finishing,
        "\(name)'s link is closed and has \(contact.unackedBytes) bytes under way")
      if contact.link == .dialling || contact.link == .greeting {
        audit.hold(
          hasDeadline(.link(index, contact.linkNumber)), "nobody looks after the dial to \(name)")
      }
      if contact.retryAt > time && contact.waiting > 0 && address(of: index) != nil
        && contact.link == .none
      {
        audit.hold(
          hasDeadline(.retry(index, contact.retryNumber)), "nobody will dial \(name) again")
      }
    }
    audit.hold(underWay == dialsUnderWay, "\(underWay) dials, not \(dialsUnderWay)")
    audit.hold(underWay <= Limits.nodeDials, "too many dials")
    audit.hold(Set(dialQueue).count == dialQueue.count, "somebody is to be dialled twice")
    audit.hold(
      dialQueue.isEmpty || underWay == Limits.nodeDials || isShuttingDown, "nobody begins to dial")
  }

  // MARK: Messages

  private func auditStreams(_ audit: inout PeerAudit) {
    let unwritten = Set(
      pending.values.compactMap { step -> MessageID? in
        guard case .said(let stream, let sequence, _, _) = step else { return nil }
        return MessageID(stream: streams[stream].id, sequence: sequence)
      })
    var (bytes, messages) = (0, 0)
    for index in streams.indices {
      let stream = streams[index]
      audit.streams += 1
      audit.hold(streamsByID[stream.id] == index, "\(stream.conversation) is not found by its id")
      audit.hold(stream.latest >= UInt64(stream.messages.count), "\(stream.conversation): numbers")
      let first = stream.latest - UInt64(stream.messages.count) + 1
      var holders = [Int](repeating: 0, count: stream.messages.count)
      for lane in stream.lanes {
        for entry in lanes[lane].queue {
          guard entry.sequence >= first, entry.sequence <= stream.latest else {
            audit.hold(false, "\(stream.conversation): \(entry.sequence) is not there")
            continue
          }
          holders[Int(entry.sequence - first)] += 1
        }
      }
      for (offset, message) in stream.messages.enumerated() {
        let number = first + UInt64(offset)
        audit.hold(
          message.holders == holders[offset],
          "\(stream.conversation) \(number): \(message.holders) wait for it, not \(holders[offset])"
        )
        audit.hold(
          message.isOnDisk
            == (MessageID(stream: stream.id, sequence: number).map { !unwritten.contains($0) }
              ?? false),
          "\(stream.conversation) \(number): on disk")
        audit.hold(
          message.isOnDisk || !message.text.isEmpty || message.holders == 0,
          "\(stream.conversation) \(number): no text")
        bytes += cost(message.text.count, message.holders)
        messages += 1
      }
      audit.hold(
        stream.messages.first.map { $0.holders > 0 || !$0.isOnDisk } ?? true,
        "\(stream.conversation) keeps what everybody has")
    }
    audit.messages = messages
    audit.hold(bytes == outboxBytes, "\(bytes) bytes wait, not \(outboxBytes)")
    audit.hold(messages == outboxMessages, "\(messages) messages wait, not \(outboxMessages)")
    audit.hold(streamsByID.count == audit.streams, "ids of no stream")
    for (conversation, index) in streamIndices {
      audit.hold(
        streams.holds(index) && streams[index].conversation == conversation,
        "\(conversation)'s stream is another's")
    }
    audit.hold(audit.streams + streams.freeCount == streams.count, "free streams")
  }

  private func auditLanes(_ audit: inout PeerAudit) {
    for index in lanes.indices {
      let lane = lanes[index]
      audit.lanes += 1
      guard contacts.holds(lane.contact), streams.holds(lane.stream) else {
        audit.hold(false, "a lane of nobody")
        continue
      }
      let contact = contacts[lane.contact]
      let what = "\(contact.member.name)'s lane in \(streams[lane.stream].conversation)"
      audit.hold(
        contact.lanes.count { $0 == index } == 1, "\(what) is not \(contact.member.name)'s")
      audit.hold(streams[lane.stream].lanes.count { $0 == index } == 1, "\(what) is not found")
      audit.hold(
        contact.lanes.count { lanes[$0].stream == lane.stream } == 1, "\(what) is there twice")
      audit.hold(lane.sent <= lane.queue.count, "\(what) has sent more than it had")
      audit.hold(
        zip(lane.queue, lane.queue.dropFirst()).allSatisfy { $0.sequence < $1.sequence },
        "\(what) is out of order")
      audit.hold(
        lane.sentBytes
          == (lane.path == .direct ? lane.queue.prefix(lane.sent).reduce(0) { $0 + $1.bytes } : 0),
        "\(what): \(lane.sentBytes) bytes under way")
      switch lane.path {
      case .none: audit.hold(lane.sent == 0, "\(what) has sent on no path")
      case .direct:
        audit.hold(
          contact.link == .open || contact.link == .finishing, "\(what) is on a link that is closed"
        )
      case .relay: audit.hold(isServerUp, "\(what) is on its way through a server that is away")
      }
    }
    audit.hold(audit.lanes + lanes.freeCount == lanes.count, "free lanes")
  }

  // MARK: Groups

  private func auditGroups(_ audit: inout PeerAudit) {
    for (name, replica) in groups {
      audit.hold(replica.name == name, "\(name) is another group")
      audit.hold(replica.isIn || replica.isAsked, "\(name) is kept for nothing")
      audit.hold(!replica.isAsked || isServerUp, "\(name)'s roster will not come")
      guard replica.isIn else { continue }
      audit.hold(wanted.contains(name), "\(name) will not be joined again")
      audit.hold(!leaving.contains(name), "\(name) is left and not left")
      let entries = replica.roster.all
      audit.hold(entries.count == replica.roster.count, "\(name)'s count")
      audit.hold(entries.count { $0.handle < 0 } == 1, "we are not in \(name) once")
      audit.hold(
        entries.allSatisfy { $0.handle < 0 || contacts.holds($0.handle) },
        "\(name) has somebody whom we do not know")
      let handles = entries.map(\.handle)
      audit.hold(Set(handles).count == handles.count, "\(name) has somebody twice")
    }
  }

  // MARK: What is heard

  private func auditHeard(_ audit: inout PeerAudit) {
    var bytes = 0
    var attempts: Set<UInt64> = []
    var bySession: [SessionID: Int] = [:]
    for case .heard(let incoming) in pending.values {
      bytes += incoming.bytes
      bySession[incoming.session, default: 0] += 1
      if let underWay = incoming.underWay { attempts.insert(underWay.attempt) }
    }
    audit.hold(bytes == unwrittenBytes, "\(bytes) bytes wait for the disk, not \(unwrittenBytes)")
    audit.hold(
      !isInputPaused || unwrittenBytes > Limits.unwrittenBytes / 2, "the input is not resumed")
    for (id, stream) in heard {
      let what = hexadecimal(id)
      let numbers = stream.underWay.map(\.sequence)
      audit.hold(stream.taken > 0, "\(what): nothing was taken")
      audit.hold(
        zip([stream.durable] + numbers, numbers).allSatisfy { $0 < $1 },
        "\(what) is out of order")
      audit.hold(
        stream.underWay.allSatisfy { attempts.contains($0.attempt) },
        "\(what): nothing is on its way to the disk")
    }
    for index in sessions.indices {
      let session = sessions[index]
      audit.hold(
        session.unwritten == bySession[session.id] ?? 0,
        "session \(index): messages on their way to the disk")
    }
    audit.hold(dueAcks.isEmpty && dueAckIndices.isEmpty, "receipts have not been written")
  }

  // MARK: The server, and what is to be done

  private func auditUplink(_ audit: inout PeerAudit) {
    let isAway = uplink.stage == .away
    audit.hold(isAway == (uplink.session == nil), "the uplink's session")
    if let session = uplink.session {
      audit.hold(
        isLive(session) && sessions[session.index].kind == .uplink, "the uplink's session is gone")
    }
    audit.hold(uplink.asked.isEmpty || uplink.stage == .naming || isServerUp, "what was asked")
    audit.hold(
      zip(uplink.asked, uplink.asked.dropFirst()).allSatisfy { $0.label < $1.label },
      "what was asked is out of order")
    let needsDeadline = uplink.stage == .greeting || uplink.stage == .naming || isAway
    audit.hold(
      !needsDeadline || configuration.server == nil || isShuttingDown || startedAt == nil
        || hasDeadline(.uplink(uplink.step)), "nobody looks after the server")
    audit.hold(
      isHeldBack.allSatisfy { contacts.holds($0) }, "somebody who is gone is held back")
    audit.hold(
      isHeldBack.isEmpty || !uplink.asked.isEmpty, "nobody is asked, and some are held back")
  }

  private func auditWork(_ audit: inout PeerAudit) {
    audit.claims = claims.count
    audit.pending = pending.count
    audit.hold(
      pending.heldCount <= (pending.count > 0 ? Limits.heldNews : 0),
      "\(pending.heldCount) news are held back")
    audit.hold(effects.isEmpty, "effects have not been taken")
    for (number, claim) in claims {
      audit.hold(hasDeadline(.claim(number)), "a sender waits for ever")
      audit.hold(
        claim.exceptions.keys.allSatisfy { state in
          claim.recipients.contains { $0.contact == state }
        },
        "a sender is told of somebody else")
      let known = claim.recipients.count { contact, _ in
        claim.exceptions[contact] != nil
          || claim.message.id.map { isWaiting($0, for: contact) } != true
      }
      audit.hold(known == claim.known, "\(known) recipients are known of, not \(claim.known)")
    }
    audit.hold(
      startedAt == nil || isShuttingDown
        || deadlines.unordered.contains { $0.kind == .sweep && $0.at == sweepAt },
      "nobody looks after what nobody looks after")
    let isBusy = contacts.indices.contains {
      contacts[$0].waiting > 0 || contacts[$0].link == .open
    }
    audit.hold(
      !isBusy || startedAt == nil || isShuttingDown
        || sweepAt <= time + Limits.idleSweepMicroseconds, "messages are not looked after")
  }

  /// Nothing grows beyond its limit.
  private func auditLimits(_ audit: inout PeerAudit) {
    audit.hold(outboxBytes <= Limits.outboxBytes, "\(outboxBytes) bytes wait")
    audit.hold(outboxMessages <= Limits.outboxMessages, "\(outboxMessages) messages wait")
    audit.hold(heard.count <= Limits.streamsHeard + 1, "\(heard.count) streams are known")
    audit.hold(wanted.count <= Limits.groupsPerMember, "\(wanted.count) groups are wanted")
    audit.hold(groups.count <= Limits.groupsPerMember + 1, "\(groups.count) groups are known")
    audit.hold(sessionsHolding().count <= Limits.heldLines, "too many lines wait for a roster")
    audit.hold(uplink.listing.count <= Limits.names, "a listing has no end")
    audit.hold(
      slots.values.allSatisfy { $0.count <= Limits.outstandingReplies + 1 },
      "too many replies wait for one another")
    let requests = uplink.asked.count { if case .say = $0.what { true } else { false } }
    audit.hold(requests <= Limits.relayWindow, "\(requests) messages are with the server")
    for index in contacts.indices {
      // The last message goes out whole.
      audit.hold(
        contacts[index].unackedBytes <= Limits.linkWindowBytes + WireLimits.lineBytes,
        "\(contacts[index].member.name)'s link has \(contacts[index].unackedBytes) bytes under way")
    }
    audit.hold(
      unwrittenBytes <= Limits.unwrittenBytes + 2 * WireLimits.lineBytes,
      "\(unwrittenBytes) bytes wait for the disk")
  }

  private func hasDeadline(_ kind: PeerDeadline.Kind) -> Bool {
    deadlines.unordered.contains { $0.kind == kind }
  }
}
