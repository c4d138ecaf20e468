// Links: connections that we dial to members who listen for themselves.
//
//   program   says who it is first (`INFO … name=bob`): addresses and ports are given to others.
//             Only then it is sent anything, and acknowledges it. The link stays while it is used.
//   netcat    is written what is due, then our side ends; some serve one connection at a time.

import LineProtocol

extension Peer {
  // MARK: Dialling

  mutating func queueDial(_ contact: Int32, _ endpoint: Endpoint) {
    contacts[contact].link = .queued
    dialQueue.append(contact)
  }

  mutating func startDials() {
    while dialsUnderWay < Limits.nodeDials, let contact = dialQueue.popFirst() {
      guard contacts.holds(contact), contacts[contact].link == .queued else { continue }
      guard let endpoint = address(of: contact), !isShuttingDown else {
        contacts[contact].link = .none
        markDirty(contact)
        continue
      }
      dial(contact, endpoint)
    }
  }

  private mutating func dial(_ contact: Int32, _ endpoint: Endpoint) {
    let id = makeSession(.tcp(endpoint.address), .link(contact))
    contacts[contact].link = .dialling
    contacts[contact].session = id
    contacts[contact].linkNumber = nextNumber()
    contacts[contact].unackedBytes = 0
    contacts[contact].probedAt = 0
    dialsUnderWay += 1
    counters.dials += 1
    // The dial and the greeting together, so that a dead place costs no more than this.
    schedule(
      after: Limits.nodeDialMicroseconds, .link(contact, contacts[contact].linkNumber))
    var own: IPAddress?
    if case .direct(let ours) = place { own = ours.address }
    effects.append(.dial(id, endpoint, from: own))
  }

  mutating func linkStands(_ contact: Int32) {
    guard contacts[contact].link == .dialling, let session = contacts[contact].session else {
      return
    }
    contacts[contact].movedAt = time
    guard contacts[contact].speaksTags else {
      dialsUnderWay -= 1
      linkIsUp(contact)
      sendOnLink(contact)
      contacts[contact].link = .finishing
      return effects.append(.finish(session))
    }
    sessions[session.index].speaksTags = true
    contacts[contact].link = .greeting
  }

  private mutating func linkIsUp(_ contact: Int32) {
    contacts[contact].link = .open
    contacts[contact].failures = 0
    contacts[contact].retryAt = 0
    contacts[contact].lastFailure = nil
    for lane in contacts[contact].lanes { breakPath(of: lane) }
    news.append(.linkUp(contacts[contact].member))
    sweepSoon()
  }

  mutating func linkStalled(_ contact: Int32) {
    switch contacts[contact].link {
    case .dialling: linkBroke(contact, reason: "no answer within 2 s")
    case .greeting: linkBroke(contact, reason: "it does not say who it is")
    case .none, .queued, .open, .finishing: break
    }
  }

  // MARK: What the other side says

  mutating func hearLink(_ bytes: UnsafeRawBufferPointer, _ contact: Int32) {
    guard var view = try? LineView(bytes) else { return }
    switch view.verb {
    case .info where contacts[contact].link == .greeting:
      var answering: MemberName?
      while let word = view.word() {
        if let (key, value) = keyAndValue(word), key == "name" { answering = MemberName(value) }
      }
      guard answering == contacts[contact].member.name else {
        let who = answering.map { "\($0)" } ?? "somebody else"
        return linkBroke(contact, reason: "\(who) answers there")
      }
      dialsUnderWay -= 1
      linkIsUp(contact)
      markDirty(contact)
    case .ack where contacts[contact].link == .open:
      guard view.word() != nil, let id = view.word().flatMap({ MessageID(bytes: $0) }) else {
        return
      }
      acknowledged(id, by: contact, isLacking: isLacking(tags(of: view)))
    case .err where contacts[contact].link == .open: linkRefuses(view, contact)
    case .ping:
      guard let session = contacts[contact].session else { return }
      fanOut.send(to: session.index, isReply: true) { $0.append("PONG\n") }
    default: break
    }
  }

  /// It does not take a message from us here. Where it will never take it, that message has failed;
  /// else the rest of this way is tried later, and the server now. So it is, too, where it does not
  /// know us by our address, or has another name: the server knows who is who.
  private mutating func linkRefuses(_ line: LineView, _ contact: Int32) {
    guard let message = try? Message(line), case .err(let refusal) = message.content else { return }
    if refusal.code.isFinal, refusal.code != .forbidden, refusal.code != .noSuchPeer,
      let id = message.tags["msgid"].flatMap({ MessageID($0) }),
      let stream = streamsByID[id.stream], let lane = lane(of: contact, stream)
    {
      return fail(id.sequence, in: lane, reason: refusal.text)
    }
    linkBroke(
      contact, reason: "it refuses: \(refusal.text)",
      pause: refusal.code == .forbidden ? Limits.retryMostMicroseconds : nil)
  }

  // MARK: The end

  /// It could not be made, or broke: what was not acknowledged goes another way, or later.
  mutating func linkBroke(
    _ contact: Int32, reason: String, isClosed: Bool = false, pause: Int64? = nil
  ) {
    // One that we had ended for want of use may end as it likes.
    if contacts[contact].link == .finishing && contacts[contact].speaksTags {
      return linkFinished(contact)
    }
    guard dropLink(contact, isClosed: isClosed) else { return }
    counters.failedDials += 1
    contacts[contact].failures += 1
    contacts[contact].lastFailure = reason
    let doubled = Limits.retryLeastMicroseconds << Int64(min(contacts[contact].failures - 1, 16))
    let wait = pause ?? jittered(min(Limits.retryMostMicroseconds, doubled))
    contacts[contact].retryAt = time + wait
    contacts[contact].retryNumber = nextNumber()
    schedule(after: wait, .retry(contact, contacts[contact].retryNumber))
    news.append(
      .linkDown(
        contacts[contact].member, reason: reason, retrySeconds: Int((wait + 999_999) / 1_000_000)))
    markDirty(contact)
  }

  /// What was written to a netcat has arrived, as far as can be known; an idle link is closed.
  mutating func linkFinished(_ contact: Int32) {
    let member = contacts[contact].member
    if !contacts[contact].speaksTags {
      for lane in contacts[contact].lanes { sentIsAll(lane) }
    }
    guard dropLink(contact, isClosed: true) else { return }
    news.append(.linkIdle(member))
    markDirty(contact)
  }

  /// Ends a link without a reason of the other side's: it moved, left, or we do.
  mutating func closeLink(_ contact: Int32) { _ = dropLink(contact, isClosed: false) }

  /// Returns whether there was one.
  private mutating func dropLink(_ contact: Int32, isClosed: Bool) -> Bool {
    let link = contacts[contact].link
    guard link != .none else { return false }
    if link == .dialling || link == .greeting { dialsUnderWay -= 1 }
    if let session = contacts[contact].session {
      if !isClosed { effects.append(.close(session)) }
      removeSession(session.index)
    }
    contacts[contact].link = .none
    contacts[contact].session = nil
    contacts[contact].linkNumber = 0
    contacts[contact].unackedBytes = 0
    for lane in contacts[contact].lanes where lanes[lane].path == .direct { breakPath(of: lane) }
    startDialsLater()
    return true
  }

  /// There is room for another dial at the end of this round.
  private mutating func startDialsLater() {
    guard let next = dialQueue.first, contacts.holds(next) else { return }
    markDirty(next)
  }

  // MARK: Looking after them

  /// Asks whether a link still stands.
  mutating func probe(_ contact: Int32) {
    guard contacts[contact].link == .open, let session = contacts[contact].session,
      contacts[contact].probedAt == 0
        || sessions[session.index].heardAt > contacts[contact].probedAt
    else { return }
    contacts[contact].probedAt = time
    fanOut.send(to: session.index, isReply: true) { $0.append("PING\n") }
    sweepSoon()
  }

  /// Once in a while. Returns whether it has to be looked after again soon.
  mutating func lookAfter(_ contact: Int32) -> Bool {
    let state = contacts[contact]
    if let session = state.session, state.link == .open {
      let heardAt = sessions[session.index].heardAt
      if state.probedAt != 0 && heardAt > state.probedAt { contacts[contact].probedAt = 0 }
      if state.probedAt != 0 && heardAt <= state.probedAt
        && time - state.probedAt >= Limits.probeMicroseconds
      {
        linkBroke(contact, reason: "it gives no sign of life")
      } else if state.unackedBytes > 0
        && time - state.movedAt >= Limits.acknowledgeMicroseconds
      {
        linkBroke(contact, reason: "it does not acknowledge")
      } else if state.unackedBytes == 0 && time - state.movedAt >= Limits.idleLinkMicroseconds {
        contacts[contact].link = .finishing
        effects.append(.finish(session))
      }
    }
    resendRelayed(to: contact)
    return contacts[contact].link == .open || contacts[contact].waiting > 0
  }
}
