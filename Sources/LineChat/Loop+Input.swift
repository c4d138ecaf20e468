// What comes in: bytes to lines to the core, and the ways in which input can end.
//
// Input that had arrived is carried out, also where its sender has gone meanwhile: a connection
// whose other side is gone becomes deaf (what is due to it is thrown away) and is read to its end.
// Only a WAIT ends with a hang-up; what stands behind it has nobody to be done for.

import Glibc
import LineChatCore
import LineProtocol

extension Loop where C: ~Copyable {
  /// Returns the number of bytes read.
  func serve(_ connection: Connection, _ entry: Poller.Readiness) -> Int {
    if connection.stage == .dialling {
      if entry.canWrite || entry.isHangUp { connected(connection) }
      return 0
    }
    if entry.canWrite { flush(connection) }
    guard entry.canRead || entry.isHangUp else { return 0 }
    switch connection.stage {
    case .open:
      if connection.interest.contains(.reading) { return read(connection) }
      if entry.isHangUp { hungUp(connection) }
      return 0
    case .finishing: return hear(connection)
    case .closing, .lingering: return discard(connection, isHangUp: entry.isHangUp)
    case .dialling, .gone: return 0
    }
  }

  private func read(_ connection: Connection) -> Int {
    guard let session = connection.session else { return 0 }
    let count = receive(connection)
    if count > 0 {
      core.heard(session, now: now)
      let chunk = UnsafeRawBufferPointer(rebasing: readBuffer[..<count])
      let used = process(chunk, from: session, connection, &connection.reader)
      if used < count {
        let rest = ByteBuffer()
        rest.append(UnsafeRawBufferPointer(rebasing: chunk[used...]))
        connection.leftover = rest
      }
      refresh(connection)
    } else if count == 0 {
      connection.inputHasEnded = true
      if connection.wasReset { lose(connection, "connection reset") } else { advance(connection) }
    } else if errno != EAGAIN && errno != EINTR {
      lose(connection, SystemError("recv").reasonForOthers)
    }
    return max(0, count)
  }

  /// Who connects mostly says something at once. Where it is there already, the greeting and the first
  /// replies go out together, and a round is saved.
  func hearNewcomers(_ budget: inout Int) {
    // Whoever asks for the figures is among those who are there.
    if !newcomers.isEmpty { core.machine = counters }
    for slot in newcomers where budget > 0 {
      guard let connection = connection(at: slot), connection.stage == .open else { continue }
      budget -= read(connection)
      if core.fanOut.roundBytes > MachineLimits.roundBytes { settle() }
    }
  }

  /// A connection that was dialled, and that the core has nothing more to say to, may still say
  /// something. The lines of one read are few enough to be taken all at once.
  private func hear(_ connection: Connection) -> Int {
    guard let session = connection.session, !connection.inputHasEnded else { return 0 }
    let count = receive(connection)
    if count > 0 {
      core.heard(session, now: now)
      var position = 0
      let chunk = UnsafeRawBufferPointer(rebasing: readBuffer[..<count])
      while let item = connection.reader.next(chunk, &position) {
        core.receive(item, from: session, now: now)
      }
    } else if count == 0 {
      connection.inputHasEnded = true
      if connection.backlogBytes == 0 { finished(connection) } else { refresh(connection) }
    } else if errno != EAGAIN && errno != EINTR {
      lose(connection, SystemError("recv").reasonForOthers)
    }
    return max(0, count)
  }

  /// One read into the buffer that all share; what it returns is recv's own.
  private func receive(_ connection: Connection) -> Int {
    let count = recv(connection.descriptor.number, readBuffer.baseAddress, readBuffer.count, 0)
    if count > 0 { bytesReceived += count }
    return count
  }

  /// Hands lines to the core as long as it takes them. Returns the number of bytes used.
  private func process(
    _ chunk: UnsafeRawBufferPointer, from session: SessionID, _ connection: Connection,
    _ reader: inout LineReader
  ) -> Int {
    var position = 0
    while let item = reader.next(chunk, &position) {
      core.receive(item, from: session, now: now)
      if bounds.pace.isLimited {
        pay(connection)
      } else if case .line(let line) = item {
        core.receiveRun(after: line, &reader, chunk, &position, from: session)
      }
      if !core.accepts(session) {
        connection.isHeld = true
        break
      }
      if connection.isPaced { break }
    }
    return position
  }

  // MARK: The rate

  /// A line has been taken. Who has had all that it may is not read from for a moment. The owner's
  /// socket, and connections that were dialled, whose receipts come as they are asked for, have none.
  private func pay(_ connection: Connection) {
    guard !connection.isDialled, connection.peer != .owner,
      !bounds.pace.take(from: &connection.account, now: now), !connection.isPaced
    else { return }
    pause(connection)
    pauses += 1
  }

  private func pause(_ connection: Connection) {
    connection.isPaced = true
    _ = pacing.add(connection.slot, now: now.monotonicMicroseconds)
  }

  /// Another's pause in the same slot may end early by this: then it is begun again.
  func endPause(of connection: Connection) {
    guard connection.isPaced else { return }
    connection.isPaced = false
    guard connection.stage == .open, let session = connection.session else { return }
    guard bounds.pace.mayTake(from: connection.account, now: now) else { return pause(connection) }
    // It has not been listened to: its silence says nothing.
    core.heard(session, now: now)
    poller.heed(connection.slot)
    advance(connection)
  }

  // MARK: Going on

  /// Goes on with input that has arrived, and with its end, as far as the core takes it.
  func advance(_ connection: Connection) {
    guard connection.stage == .open, let session = connection.session else { return }
    if let kept = connection.leftover, takesInput(connection) {
      connection.leftover = nil
      let used = process(kept.bytes, from: session, connection, &connection.reader)
      if used < kept.count {
        kept.removeFirst(used)
        connection.leftover = kept
      }
    }
    if connection.inputHasEnded && !connection.endIsTold && connection.leftover == nil
      && !connection.isHeld
    {
      tellEnd(of: connection, session)
    }
    refresh(connection)
  }

  private func takesInput(_ connection: Connection) -> Bool {
    !connection.isHeld && !connection.isPaced
      && connection.backlogBytes <= MachineLimits.pausingBacklogBytes
  }

  /// The last line may have come without its EOL.
  private func tellEnd(of connection: Connection, _ session: SessionID) {
    connection.endIsTold = true
    let isPlain = !core.speaksTags(session)
    if let item = connection.reader.finish(isPlain: isPlain) {
      core.receive(item, from: session, now: now)
      connection.isHeld = !core.accepts(session)
    }
    core.inputEnded(session, now: now)
    if connection.isDeaf { giveUpIfWaiting(connection, session) }
  }

  /// The core takes lines again.
  func resume(_ session: SessionID) {
    guard let connection = connection(of: session), connection.stage == .open else { return }
    connection.isHeld = false
    poller.heed(connection.slot)
    advance(connection)
  }

  /// Those whose output has been written: their listings go on, and their further lines may come.
  /// Once in a round, so that a long listing to a quick reader leaves room for the others.
  func goOnWithDrained() {
    guard !drained.isEmpty else { return }
    let slots = drained
    drained.removeAll(keepingCapacity: true)
    for slot in slots {
      guard let connection = connection(at: slot), connection.isListedAsDrained else { continue }
      connection.isListedAsDrained = false
      guard connection.stage == .open, let session = connection.session else { continue }
      if connection.isDeaf {
        core.drainedToNobody(session, now: now)
      } else {
        core.drained(session, now: now)
      }
      if core.accepts(session) {
        resume(session)
      } else if connection.isDeaf {
        giveUpIfWaiting(connection, session)
      }
    }
  }

  /// The core holds this connection's lines, and what is due to it has been written or thrown away.
  func noteDrained(_ connection: Connection) {
    guard !connection.isListedAsDrained else { return }
    connection.isListedAsDrained = true
    drained.append(connection.slot)
  }

  /// Leaves out those whom the core holds for something else than their output.
  func sortOutDrained() {
    drained.removeAll { slot in
      guard let connection = connection(at: slot), let session = connection.session else {
        return true
      }
      if connection.isDeaf || core.awaitsDrain(session) || core.accepts(session) {
        return false
      }
      connection.isListedAsDrained = false
      return true
    }
  }

  // MARK: Hang-ups

  /// Both directions are shut, while nothing is read from here.
  private func hungUp(_ connection: Connection) {
    becomeDeaf(connection, connection.takeFailure())
    // It would be told again and again.
    if connection.stage == .open, !connection.interest.contains(.reading) {
      poller.ignore(connection.slot)
    }
  }

  /// What is due to the other side is thrown away; what came from it is still carried out.
  func becomeDeaf(_ connection: Connection, _ failure: Int32) {
    guard !connection.isDeaf else { return }
    if connection.isDialled {
      return lose(connection, SystemError("send", failure == 0 ? EPIPE : failure).reasonForOthers)
    }
    connection.isDeaf = true
    // EPIPE: an orderly end came before the reset that our own bytes brought about.
    connection.wasReset = failure != 0 && failure != EPIPE
    pendingBytes -= connection.backlogBytes
    connection.dropBacklog()
    guard connection.stage == .open else { return release(connection) }
    // The core may be in the middle of a round's writes: it is told in the next round.
    noteDrained(connection)
    refresh(connection)
  }

  /// A WAIT has nobody left who waits. Everything else that a session can be busy with (a listing,
  /// the disk, a dial) goes on to its end, for the lines behind it.
  private func giveUpIfWaiting(_ connection: Connection, _ session: SessionID) {
    guard connection.stage == .open, core.isWaiting(session) else { return }
    lose(connection, "connection closed")
  }

  /// The connection is gone: the core is told at the end of the round.
  func lose(_ connection: Connection, _ reason: String) {
    guard connection.hasSession, let session = connection.session else { return }
    lost.append((session, reason))
    release(connection)
  }

  /// After the session's end: reads on so that the other side is not reset, and forgets it.
  func discard(_ connection: Connection, isHangUp: Bool) -> Int {
    let count = connection.inputHasEnded ? 0 : receive(connection)
    if count == 0 {
      connection.inputHasEnded = true
      if connection.stage == .lingering || isHangUp {
        release(connection)
      } else {
        refresh(connection)
      }
    } else if count < 0 && errno != EAGAIN && errno != EINTR {
      release(connection)
    }
    return max(0, count)
  }
}

extension SystemError {
  /// As the members of a group are told why somebody left.
  fileprivate var reasonForOthers: String {
    switch code {
    case ECONNRESET, EPIPE: "connection reset"
    case ETIMEDOUT: "connection timed out"
    default: "connection lost"
    }
  }
}
