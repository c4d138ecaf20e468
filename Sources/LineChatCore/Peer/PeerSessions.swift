// The books of the sessions, the numbers, the deadlines.

import LineProtocol

/// A moment at which something is due.
struct PeerDeadline: Comparable {
  enum Kind: Hashable {
    /// The uplink has not come so far in time, or is to be tried again; the number counts its steps.
    case uplink(UInt64)
    /// Groups that the server could not let us into, or out of, are to be asked for again; the uplink's step.
    case groups(UInt64)
    /// A contact has not said who it is in time; the number is its link's.
    case link(Int32, UInt64)
    /// A contact may be dialled again; the number is that of its failure.
    case retry(Int32, UInt64)
    /// A line has been held for long enough.
    case hold(SessionID, Int64)
    /// A sender has waited long enough.
    case claim(UInt64)
    /// A WAIT runs out.
    case wait(SessionID, UInt64)
    /// Look after links, receipts and old messages.
    case sweep
  }

  let at: Int64
  /// Rises with each: of those at the same moment the earlier one comes first, as senders are answered in
  /// the order in which they spoke.
  let number: UInt64
  let kind: Kind

  static func < (one: PeerDeadline, other: PeerDeadline) -> Bool {
    (one.at, one.number) < (other.at, other.number)
  }
}

extension Peer {
  func isLive(_ id: SessionID) -> Bool {
    sessions.holds(id.index) && sessions[id.index].id == id
  }

  mutating func makeSession(_ origin: Origin, _ kind: Kind) -> SessionID {
    generation &+= 1
    let id = SessionID(index: UInt32(sessions.nextIndex), generation: generation)
    _ = sessions.insert(
      Session(id: id, origin: origin, kind: kind, heardAt: now.monotonicMicroseconds))
    fanOut.open(id.index)
    return id
  }

  /// Its index is used again when what is due to it has been taken.
  mutating func removeSession(_ session: UInt32) {
    sessions.remove(Int32(session))
    endedSessions.append(session)
  }

  /// Ends a guest's or an owner's session: what is due to it is still written.
  mutating func end(_ session: UInt32, reason: String) {
    writeAcks(to: sessions[session].id)
    effects.append(.close(sessions[session].id))
    forget(session, reason: reason)
  }

  mutating func forget(_ session: UInt32, reason: String) {
    let id = sessions[session].id
    slots[session] = nil
    waits[session] = nil
    owners.removeAll { $0 == session }
    removeSession(session)
    news.append(.disconnected(id, reason: reason))
  }

  /// Ends a session from which nothing more comes, when everything outstanding has been answered.
  mutating func endIfDone(_ session: UInt32) {
    guard sessions.holds(session), slots[session]?.isEmpty != false,
      sessions[session].unwritten == 0
    else { return }
    switch sessions[session].activity {
    case .quitting: end(session, reason: "quit")
    case .ready where sessions[session].inputHasEnded: end(session, reason: "connection closed")
    case .ready, .holding, .waiting: break
    }
  }

  mutating func makeReady(_ session: UInt32) {
    guard sessions[session].activity != .quitting else { return }
    sessions[session].activity = .ready
    effects.append(.resume(sessions[session].id))
    endIfDone(session)
  }

  func greet(_ session: UInt32) {
    fanOut.send(to: session, isReply: true) {
      $0.append("INFO ")
      $0.append(configuration.program)
      $0.append(" ")
      $0.append(configuration.version)
      $0.append(" protocol=1 name=")
      $0.append(name)
      $0.append(" max-line=")
      $0.append(decimal: configuration.lineBytesMax)
      $0.append(" help=HELP\n")
    }
  }

  mutating func nextNumber() -> UInt64 {
    numbers += 1
    return numbers
  }

  mutating func nextTicket() -> Ticket { Ticket(number: nextNumber()) }

  var time: Int64 { now.monotonicMicroseconds }

  /// `full` with up to a fifth of it off, so that many who lost something together do not come back
  /// together.
  mutating func jittered(_ full: Int64) -> Int64 {
    full - Int64(random.next() % UInt64(full / 5 + 1))
  }

  // MARK: Deadlines

  package var nextDeadlineMicroseconds: Int64? { deadlines.min?.at }

  mutating func schedule(after microseconds: Int64, _ kind: PeerDeadline.Kind) {
    // Where it is full of those that are still due, throwing out the others frees nothing.
    let alive = sessions.count + contacts.count
    if deadlines.count >= Limits.deadlinesLeast + 4 * alive + 2 * claims.count {
      deadlines = .init(deadlines.unordered.filter { isDue($0.kind) })
    }
    deadlines.insert(PeerDeadline(at: time + microseconds, number: nextNumber(), kind: kind))
  }

  /// Whether it was not overtaken by events.
  private func isDue(_ kind: PeerDeadline.Kind) -> Bool {
    switch kind {
    case .uplink(let step), .groups(let step): uplink.step == step
    case .link(let contact, let number):
      contacts.holds(contact) && contacts[contact].linkNumber == number
    case .retry(let contact, let number):
      contacts.holds(contact) && contacts[contact].retryNumber == number
    case .hold(let id, let since): isLive(id) && sessions[id.index].heldAt == since
    case .claim(let number): claims[number] != nil
    case .wait(let id, let number): isLive(id) && waits[id.index]?.number == number
    case .sweep: true
    }
  }

  package mutating func tick(now: Instant) {
    begin(now)
    while let next = deadlines.min, next.at <= time {
      deadlines.removeMin()
      guard isDue(next.kind) else { continue }
      switch next.kind {
      case .uplink: uplinkIsDue()
      case .groups: askForThoseDue()
      case .link(let contact, _): linkStalled(contact)
      case .retry(let contact, _): markDirty(contact)
      case .hold(let id, _): holdTimedOut(id.index)
      case .claim(let number): settleAll(number)
      case .wait(let id, _): endWait(id.index)
      case .sweep: if next.at == sweepAt { sweep() }
      }
    }
  }

  /// The next look at what nobody else looks at comes within a second.
  mutating func sweepSoon() {
    let soon = time + Limits.sweepMicroseconds
    guard sweepAt > soon else { return }
    sweepAt = soon
    schedule(after: Limits.sweepMicroseconds, .sweep)
  }

  private mutating func sweep() {
    sweepAt = .max
    var isBusy = false
    for contact in contacts.indices where lookAfter(contact) { isBusy = true }
    lookAfterServer()
    expireMessages()
    dropFinishedStreams()
    guard !isShuttingDown else { return }
    if isBusy { sweepSoon() }
    // Somebody who was just asked for a sign of life may have seen to it already.
    if sweepAt == .max {
      sweepAt = time + Limits.idleSweepMicroseconds
      schedule(after: Limits.idleSweepMicroseconds, .sweep)
    }
  }
}
