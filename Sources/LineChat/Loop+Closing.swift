// How connections end. From our side: what is due is written, our side is shut, the other side is
// read to its end for at most a second, then the descriptor is closed; a plain close with unread
// input would reset the connection and take the last lines with it. A connection whose other side
// is gone already is closed at once. Nothing here trusts that a call on such a socket succeeds.

import Glibc
import LineChatCore

extension Loop where C: ~Copyable {
  /// The core has ended the session. What this round still has for it is written first.
  func end(_ session: SessionID) {
    guard let connection = connection(of: session) else { return C.abandoned(session, self) }
    guard connection.hasSession else { return }
    // Whatever was on its way there is sent again by the core, on another way.
    if connection.isDialled { return release(connection) }
    connection.stage = .closing
    connection.isHeld = false
    connection.leftover = nil
    ending.append(connection)
  }

  /// After the round's writes: the session is over.
  func close(_ connection: Connection) {
    guard connection.stage == .closing else { return }
    forget(connection)
    // A slow consumer has its own deadline already.
    guard !connection.isSlow else { return }
    if connection.backlogBytes == 0 {
      shutDown(connection)
    } else {
      connection.hasProgressed = false
      connection.deadline = stalling.add(connection.slot, now: now.monotonicMicroseconds)
      refresh(connection)
    }
  }

  /// Everything due has been written.
  func shutDown(_ connection: Connection) {
    // Where the other side has ended, nothing unread is left that could reset the connection.
    guard !connection.inputHasEnded, !connection.isDeaf, connection.shutDownOutput() else {
      return release(connection)
    }
    connection.stage = .lingering
    connection.deadline = lingering.add(connection.slot, now: now.monotonicMicroseconds)
    poller.heed(connection.slot)
    refresh(connection)
    lookLater(at: connection)
  }

  /// The other side's end mostly comes at once, and nothing hangs on when it is seen: the loop is not
  /// woken for it, but looks in its next round, a moment from now at the latest. Where people come and
  /// go, that is a round less for each.
  private func lookLater(at connection: Connection) {
    poller.ignore(connection.slot)
    parting.append(connection.slot)
    partingUntil =
      partingUntil ?? now.monotonicMicroseconds + MachineLimits.partingMicroseconds
  }

  /// Looks once whether those that are lingering have come to their end; the others are waited for.
  func lookAtParting() {
    guard !parting.isEmpty else { return }
    partingUntil = nil
    for slot in parting {
      guard let connection = connection(at: slot), connection.stage == .lingering else { continue }
      poller.heed(slot)
      _ = discard(connection, isHangUp: false)
    }
    parting.removeAll(keepingCapacity: true)
  }

  /// Takes the connection out of the loop; it is closed at the end of the round.
  func release(_ connection: Connection) {
    guard connection.stage != .gone else { return }
    // First of all: while a round is written, `connections` may be all that keeps it alive.
    leaving.append(connection)
    connection.stage = .gone
    pendingBytes -= connection.backlogBytes
    connection.dropBacklog()
    poller.remove(connection.slot)
    connections[Int(connection.slot)] = nil
    connectionCount -= 1
    comingFrom.remove(countedAddress(connection))
    if connection.isDialled { dialledCount -= 1 }
  }

  /// The index of its session may be another's from now on.
  private func forget(_ connection: Connection) {
    guard let session = connection.session, self.connection(of: session) === connection else {
      return
    }
    sessions[Int(session.index)] = nil
    if !connection.isDialled { sessionCount -= 1 }
  }

  /// Lets go of the connections that left, and with them of their descriptors.
  func leave() {
    for connection in leaving { forget(connection) }
    leaving.removeAll(keepingCapacity: true)
  }

  func expireConnections(_ time: Int64) {
    while let entry = dialling.takeDue(now: time) {
      if let connection = whose(entry) { dialTimedOut(connection) }
    }
    while let entry = lingering.takeDue(now: time) {
      guard let connection = whose(entry) else { continue }
      if connection.stage == .finishing { finished(connection) } else { release(connection) }
    }
    while let entry = pacing.takeDue(now: time) {
      if let connection = connection(at: entry.slot) { endPause(of: connection) }
    }
    while let entry = slow.takeDue(now: time) {
      if let connection = whose(entry) { reset(connection) }
    }
    while let entry = stalling.takeDue(now: time) {
      guard let connection = whose(entry) else { continue }
      if connection.hasProgressed {
        connection.hasProgressed = false
        connection.deadline = stalling.add(connection.slot, now: time)
      } else {
        reset(connection)
      }
    }
  }

  /// The connection that the deadline is for, if it still has it. Another's in the same slot with
  /// the same deadline to the microsecond would be due just as well.
  private func whose(_ entry: Deadlines.Entry) -> Connection? {
    guard let connection = connection(at: entry.slot), connection.deadline == entry.microseconds
    else { return nil }
    return connection
  }

  private func reset(_ connection: Connection) {
    connection.resetOnClose()
    if connection.hasSession { lose(connection, "it does not read") } else { release(connection) }
  }
}
