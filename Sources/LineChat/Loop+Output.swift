// What goes out: at a round's end each connection gets one call with all that the round has for it,
// straight from the core's buffers. What the kernel does not take is copied and waits for the socket
// to be writable; whoever lets too much wait is dropped, and nobody else waits for them.

import Glibc
import LineChatCore
import LineProtocol

extension Loop where C: ~Copyable {
  /// Nothing on the way from here may call the core, whose buffers are being read.
  func write() {
    core.endRound { session, pieces in
      guard Int(session) < sessions.count, let connection = sessions[Int(session)] else { return }
      connection._withUnsafeGuaranteedRef { deliver(pieces, to: $0) }
    }
  }

  private func deliver(
    _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>, to connection: Connection
  ) {
    switch connection.stage {
    case .open, .finishing, .closing: if connection.isSlow { return }
    case .dialling, .lingering, .gone: return
    }
    if connection.isDeaf {
      if connection.isHeld { noteDrained(connection) }
      return
    }
    var total = 0
    for piece in pieces { total += piece.count }
    var sent = Transmission()
    if connection.backlogBytes == 0 {
      // Whose session has ended is shut behind this, in `close`.
      sent = gatherer.send(
        pieces, to: connection.descriptor.number, endFollows: connection.stage == .closing)
      bytesSent += sent.bytes
      if sent.bytes == total {
        if connection.isHeld { noteDrained(connection) }
        return
      }
      if sent.failure != 0 { return becomeDeaf(connection, sent.failure) }
    }
    connection.keep(pieces, behind: sent.bytes)
    pendingBytes += total - sent.bytes
    if sent.lacksMemory { rest(connection) }
    refresh(connection)
    if connection.backlogBytes > bounds.pendingBytesMax { dropAsSlow(connection) }
    while pendingBytes > bounds.pendingBytesTotalMax, dropSlowest() {}
  }

  /// Sends what has been waiting.
  func flush(_ connection: Connection) {
    let sent = connection.sendBacklog()
    bytesSent += sent.bytes
    pendingBytes -= sent.bytes
    if sent.failure != 0 { return becomeDeaf(connection, sent.failure) }
    if sent.lacksMemory { rest(connection) }
    if sent.bytes > 0 {
      connection.hasProgressed = true
      if connection.hasSession, let session = connection.session {
        core.heard(session, now: now)
      }
    }
    guard connection.backlogBytes == 0 else { return refresh(connection) }
    if connection.stage == .closing { return shutDown(connection) }
    if connection.stage == .finishing { return hearOut(connection) }
    if connection.isHeld { noteDrained(connection) }
    advance(connection)
  }

  /// Asks the poller for what this connection is ready for, and no more.
  func refresh(_ connection: Connection) {
    var interest: Poller.Interest = []
    switch connection.stage {
    case .open:
      if !connection.isHeld && !connection.isPaced && !connection.inputHasEnded
        && connection.leftover == nil
        && connection.backlogBytes <= MachineLimits.pausingBacklogBytes
      {
        interest = .reading
      }
    case .finishing, .closing, .lingering: if !connection.inputHasEnded { interest = .reading }
    case .dialling, .gone: return
    }
    if connection.backlogBytes > 0 && !connection.isResting { interest.insert(.writing) }
    guard interest != connection.interest else { return }
    connection.interest = interest
    poller.change(connection.slot, to: interest)
  }

  // MARK: Slow consumers

  /// The backlog goes, but for the line that has been begun; the reason is appended; then it has two
  /// seconds to take that.
  func dropAsSlow(_ connection: Connection) {
    guard !connection.isSlow, connection.stage != .gone else { return }
    // What was sent to a member that was dialled is kept and goes to it later.
    if connection.isDialled { return lose(connection, "it does not read") }
    connection.isSlow = true
    slowConsumers += 1
    if connection.stage == .open, let session = connection.session {
      lost.append((session, "slow consumer"))
      connection.stage = .closing
      connection.isHeld = false
      connection.leftover = nil
      ending.append(connection)
    }
    let refusal = Refusal(
      .slowConsumer, nil,
      "what was sent to you was not read, and it has been dropped; connect again and read faster")
    pendingBytes -= connection.backlogBytes
    connection.replaceBacklog(with: refusal.description + "\n")
    pendingBytes += connection.backlogBytes
    connection.deadline = slow.add(connection.slot, now: now.monotonicMicroseconds)
    log.warn("dropped \(connection.peer): slow-consumer")
    refresh(connection)
  }

  /// Drops the one with the most to take. False where everybody who can be has been.
  private func dropSlowest() -> Bool {
    var worst: Connection?
    for case .some(let connection) in connections where !connection.isSlow {
      if connection.backlogBytes > worst?.backlogBytes ?? 0 { worst = connection }
    }
    guard let worst else { return false }
    dropAsSlow(worst)
    return true
  }

  // MARK: Without memory in the kernel

  private func rest(_ connection: Connection) {
    guard !connection.isResting else { return }
    connection.isResting = true
    resting.append(connection.slot)
    if restingUntil == nil {
      restingUntil = now.monotonicMicroseconds + MachineLimits.memoryPauseMicroseconds
    }
  }

  func goOnWithResting() {
    restingUntil = nil
    let slots = resting
    resting.removeAll(keepingCapacity: true)
    for slot in slots {
      guard let connection = connection(at: slot), connection.isResting else { continue }
      connection.isResting = false
      flush(connection)
    }
  }
}
