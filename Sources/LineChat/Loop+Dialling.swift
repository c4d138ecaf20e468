// Connections that the core wants made: dialled without waiting, told when they stand or cannot be
// made, written to, heard to their end, closed.
//
// A connection that was dialled is served like any other. What differs: it counts in no limit of
// those that come, nothing of what is due to it is worth waiting for when the core gives it up (the
// core has it still), and a member that is neither reachable nor refusing costs this loop no more
// than an entry in the poller for two seconds.

import Glibc
import LineChatCore
import LineProtocol

extension Loop where C: ~Copyable {
  /// Begins to connect. The core's answer to what comes of it follows after its other wishes. Our
  /// own end is `source`, if this machine has that address.
  func dial(_ session: SessionID, _ endpoint: Endpoint, from source: IPAddress?) {
    do throws(SystemError) {
      let descriptor = try Descriptor.dial(endpoint, from: source)
      let peer = PeerAddress.tcp(endpoint.address, port: endpoint.port)
      let connection = add(descriptor, peer, session: session, isDialled: true)
      connection.deadline = dialling.add(connection.slot, now: now.monotonicMicroseconds)
    } catch {
      C.dialFailed(session, error.reasonForPeople, self)
    }
  }

  /// The dial is over, one way or the other.
  func connected(_ connection: Connection) {
    guard let session = connection.session else { return }
    let failure = connection.takeFailure()
    guard failure == 0 else {
      return fail(connection, SystemError("connect", failure).reasonForPeople)
    }
    let local = SocketAddress.local(of: connection.descriptor)
    // Where nobody listens on a port that the system gives to those who dial, it can happen that the
    // dialling socket gets just that port, and answers itself.
    guard local != connection.peer else { return fail(connection, "connection refused") }
    connection.deadline = 0
    connection.stage = .open
    refresh(connection)
    C.dialled(session, Route(local: local?.endpoint, remote: connection.peer.endpoint), self)
  }

  func dialTimedOut(_ connection: Connection) {
    let seconds = MachineLimits.dialMicroseconds / 1_000_000
    fail(connection, "no answer within \(seconds) s")
  }

  private func fail(_ connection: Connection, _ reason: String) {
    guard let session = connection.session, connection.stage == .dialling else { return }
    release(connection)
    C.dialFailed(session, reason, self)
  }

  // MARK: The end

  /// The core has nothing more to say. What this round still has for it is written first.
  func finish(_ session: SessionID) {
    guard let connection = connection(of: session), connection.stage == .open else { return }
    connection.stage = .finishing
    connection.isHeld = false
    connection.leftover = nil
    finishing.append(connection)
  }

  /// After the round's writes.
  func finishWriting(_ connection: Connection) {
    guard connection.stage == .finishing else { return }
    if connection.backlogBytes == 0 {
      hearOut(connection)
    } else {
      connection.hasProgressed = false
      connection.deadline = stalling.add(connection.slot, now: now.monotonicMicroseconds)
      refresh(connection)
    }
  }

  /// Everything due has been written: our side ends, and the other has a second to do the same.
  func hearOut(_ connection: Connection) {
    guard connection.shutDownOutput() else { return lose(connection, "connection reset") }
    if connection.inputHasEnded { return finished(connection) }
    connection.deadline = lingering.add(connection.slot, now: now.monotonicMicroseconds)
    refresh(connection)
  }

  /// The other side has ended too, or had its second.
  func finished(_ connection: Connection) {
    guard let session = connection.session, connection.stage == .finishing else { return }
    release(connection)
    core.finished(session, now: now)
  }
}

extension Descriptor {
  /// A socket on its way to `endpoint`, or there already.
  static func dial(
    _ endpoint: Endpoint, from source: IPAddress?
  ) throws(SystemError) -> Descriptor {
    let descriptor = try Descriptor.socket(SocketAddress.family(of: endpoint.address))
    try descriptor.set(TCP_NODELAY, of: Int32(IPPROTO_TCP), to: 1)
    try descriptor.setKeepalive()
    if let source { descriptor.bindIfPossible(to: source) }
    let number = descriptor.number
    let result = SocketAddress.with(endpoint.address, port: endpoint.port) {
      connect(number, $0, $1)
    }
    guard result == 0 || errno == EINPROGRESS || errno == EINTR else {
      let failure = SystemError("connect")
      // It may be reached from another address than that one.
      if source != nil { return try dial(endpoint, from: nil) }
      throw failure
    }
    return descriptor
  }

  /// The address may have gone from this machine, or be of the other family: then the system chooses
  /// one, as it does for everybody else.
  private func bindIfPossible(to source: IPAddress) {
    let number = number
    // The port is chosen when the destination is known: so each destination can have all of them.
    try? set(IP_BIND_ADDRESS_NO_PORT, of: Int32(IPPROTO_IP), to: 1)
    _ = SocketAddress.with(source, port: 0) { bind(number, $0, $1) }
  }
}

extension SystemError {
  /// Why somebody can't be reached, in a few words.
  var reasonForPeople: String {
    switch code {
    case ETIMEDOUT: return "no answer"
    // By whoever accepted it, before we came to look.
    case ECONNRESET, EPIPE: return "connection reset"
    default:
      let text = reason
      return text.prefix(1).lowercased() + text.dropFirst()
    }
  }
}
