// New connections, and what to do where there is no room for one.

import Glibc
import LineChatCore
import LineProtocol

extension Loop where C: ~Copyable {
  func accept(from listener: Listener) {
    guard acceptsAgainAt == nil else { return }
    for _ in 0..<MachineLimits.acceptsPerRound {
      switch listener.accept() {
      case .connection(let number, let peer):
        admit(Descriptor(owning: number), listener.isOwners ? .owner : peer)
      case .nothing: return
      case .lost: continue
      case .exhausted(let cause): return turnAway(at: listener, cause)
      }
    }
  }

  private func admit(_ descriptor: consuming Descriptor, _ peer: PeerAddress) {
    let excess = excess(of: peer)
    if connectionCount - dialledCount >= bounds.connectionsMax + MachineLimits.refusals {
      noteRefusal(peer)
      // No room even for a polite end; this reaches whoever has not sent anything yet.
      _ = tooMany.withBytes { Transmission.send($0, to: descriptor.number) }
    } else if let excess, excess >= MachineLimits.refusalsPerAddress {
      noteQuotaRefusal(peer)
      _ = tooManyOfOne.withBytes { Transmission.send($0, to: descriptor.number) }
    } else if excess != nil {
      noteQuotaRefusal(peer)
      turnDown(descriptor, peer, tooManyOfOne)
    } else if sessionCount >= bounds.connectionsMax && peer != .owner {
      noteRefusal(peer)
      turnDown(descriptor, peer, tooMany)
    } else {
      open(descriptor, peer)
    }
  }

  /// Lets somebody go who has time to read why.
  private func turnDown(
    _ descriptor: consuming Descriptor, _ peer: PeerAddress, _ reason: String
  ) {
    let connection = add(descriptor, peer, session: nil)
    reason.withBytes { bytes in
      withUnsafePointer(to: bytes) {
        connection.keep(UnsafeBufferPointer(start: $0, count: 1), behind: 0)
      }
    }
    pendingBytes += connection.backlogBytes
    flush(connection)
  }

  /// How many more connections than its quota there are from that address; nil where one more is
  /// within it. Those that are being closed count: they take a descriptor, too.
  private func excess(of peer: PeerAddress) -> Int? {
    guard bounds.quotas.connections > 0, peer != .owner,
      let address = bounds.quotas.counted(peer.origin)
    else { return nil }
    let excess = comingFrom[address] - bounds.quotas.connections
    return excess >= 0 ? excess : nil
  }

  /// The address that the connection counts for; nil where it counts for none.
  func countedAddress(_ connection: Connection) -> IPAddress? {
    guard !connection.isDialled, connection.peer != .owner else { return nil }
    return bounds.quotas.counted(connection.peer.origin)
  }

  private func open(_ descriptor: consuming Descriptor, _ peer: PeerAddress) {
    let session = core.opened(peer.origin, identity: nil, now: now)
    newcomers.append(add(descriptor, peer, session: session).slot)
    sessionCount += 1
  }

  func add(
    _ descriptor: consuming Descriptor, _ peer: PeerAddress, session: SessionID?,
    isDialled: Bool = false
  ) -> Connection {
    let slot = poller.add(descriptor.number, isDialled ? .writing : .reading)
    let connection = Connection(
      descriptor, peer, slot: slot, session: session, lineBytesMax: bounds.lineBytesMax,
      isDialled: isDialled)
    while connections.count <= Int(slot) { connections.append(nil) }
    connections[Int(slot)] = connection
    connectionCount += 1
    if isDialled { dialledCount += 1 }
    comingFrom.add(countedAddress(connection))
    if let session {
      while sessions.count <= Int(session.index) { sessions.append(nil) }
      sessions[Int(session.index)] = Unmanaged.passUnretained(connection)
    }
    return connection
  }

  private var tooMany: String {
    let most = bounds.connectionsMax
    return Refusal(
      .tooManyConnections, nil,
      "this \(C.noun) takes \(most == 1 ? "1 connection" : "\(most) connections") at once; try again "
        + "later"
    ).description + "\n"
  }

  private var tooManyOfOne: String {
    let most = bounds.quotas.connections
    return Refusal(
      .tooManyConnections, nil,
      "this \(C.noun) takes \(counted(most, "connection")) from one address at once; end one of yours, "
        + "or try again later"
    ).description + "\n"
  }

  private func noteQuotaRefusal(_ peer: PeerAddress) {
    refusedConnections += 1
    quotaRefusals += 1
    if let times = refusedByQuota.note(now: now.monotonicMicroseconds) {
      log.warn(
        "refused \(peer): too-many-connections, its address has \(bounds.quotas.connections)"
          + RepeatedEvent.more(times))
    }
  }

  private func noteRefusal(_ peer: PeerAddress) {
    refusedConnections += 1
    if let times = refused.note(now: now.monotonicMicroseconds) {
      log.warn(
        "refused \(peer): too-many-connections, there are \(sessionCount)"
          + RepeatedEvent.more(times))
    }
  }

  /// There is no descriptor for the one who waits. With the spare one they are taken and let go, so
  /// that they know; then the listeners rest, for nothing else would end their being ready.
  private func turnAway(at listener: Listener, _ cause: SystemError) {
    if spare != nil {
      for _ in 0..<MachineLimits.acceptsPerRound {
        spare = nil
        guard case .connection(let number, _) = listener.accept() else { break }
        refusedConnections += 1
        let descriptor = Descriptor(owning: number)
        _ = tooMany.withBytes { Transmission.send($0, to: descriptor.number) }
      }
    }
    // Another thread may have been faster; then there is none until the next time.
    spare = Descriptor.placeholder()
    if let times = turnedAway.note(now: now.monotonicMicroseconds) {
      log.warn(
        "turned away a new connection (\(cause)); raise the limit of descriptors or lower that of "
          + "connections" + RepeatedEvent.more(times))
    }
    acceptsAgainAt = now.monotonicMicroseconds + MachineLimits.acceptPauseMicroseconds
    for (slot, _) in listeners { poller.ignore(slot) }
  }

  func acceptAgain() {
    acceptsAgainAt = nil
    if spare == nil { spare = Descriptor.placeholder() }
    for (slot, _) in listeners { poller.heed(slot) }
  }
}

/// Something that may happen thousands of times a second, and is said once in a while.
struct RepeatedEvent {
  private var saidAt: Int64?
  private var unsaid = 0

  /// Returns how often it happened without being said, where it is time to say it.
  mutating func note(now: Int64) -> Int? {
    if let saidAt, now - saidAt < MachineLimits.repeatedLogMicroseconds {
      unsaid += 1
      return nil
    }
    defer { unsaid = 0 }
    saidAt = now
    return unsaid
  }

  static func more(_ times: Int) -> String {
    times > 0 ? " (and \(times) more since last said)" : ""
  }
}

extension PeerAddress {
  var origin: Origin {
    switch self {
    case .tcp(let address, _): .tcp(address)
    case .unix: .unix
    case .owner: .owner
    }
  }
}

extension String {
  /// Lends the text as raw bytes.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    var text = self
    return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
  }
}
