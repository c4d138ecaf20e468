// The words in which a core and its owner speak: who a connection is, what the core wants done,
// and what it wants known.

import LineProtocol

/// A live connection, as the core and the loop both name it. The index is small and used again;
/// the generation tells a later holder of the same index apart.
package struct SessionID: Hashable, Sendable {
  package let index: UInt32
  package let generation: UInt32
}

/// Where a connection comes from, as the kernel says it.
package enum Origin: Hashable, Sendable {
  case tcp(IPAddress)
  case unix
  /// The socket in the server's own data directory: whoever can open it is the server's owner.
  case owner

  /// The host that names without a key belong to. This machine is one host, however it is reached:
  /// 127.0.0.1, ::1 and a Unix socket are the same.
  package var host: Origin {
    if case .tcp(let address) = self, !address.isThisMachine { return self }
    return .unix
  }

  /// Connected through this machine's own loopback (127.0.0.1 or ::1) or a Unix socket.
  package var isThisMachine: Bool { host == .unix }
}

extension IPAddress {
  /// 127.0.0.1 and ::1. The rest of 127/8 counts as other hosts, which is what tests use it for.
  fileprivate var isThisMachine: Bool {
    (high == 0 && low == 1) || (high == 0 && low == 0xffff_7f00_0001)
  }
}

/// A proven identity: a key's fingerprint. How a connection proves it is not the core's affair.
package struct Identity: Hashable, Sendable {
  package let fingerprint: String

  package init(fingerprint: String) { self.fingerprint = fingerprint }
}

/// A number that stands for one change on its way to the disk.
package struct Ticket: Hashable, Sendable {
  package let number: UInt64

  package init(number: UInt64) { self.number = number }
}

/// What goes to the journal: a wire line without its end.
package struct Record: Hashable, Sendable {
  package let line: [UInt8]

  package init(line: [UInt8]) { self.line = line }

  init(_ write: (ByteBuffer) -> Void) {
    let buffer = ByteBuffer()
    write(buffer)
    line = Array(buffer.bytes)
  }

  /// The same by way of a buffer that is there already.
  init(through buffer: ByteBuffer, _ write: (ByteBuffer) -> Void) {
    buffer.removeAll(keeping: WireLimits.lineBytes)
    write(buffer)
    line = Array(buffer.bytes)
  }
}

/// What a core asks its owner to do. What is to be sent is not here: it lies in the FanOut.
package enum Effect: Hashable, Sendable {
  /// Write what is due to it, then close. The core knows it no more at the end of this round.
  case close(SessionID)
  /// It did not take what is due to it: treat it as a slow consumer.
  case overrun(SessionID)
  /// It accepts lines again.
  case resume(SessionID)
  /// Put the record on disk, then say `persisted` or `persistFailed`.
  case persist(Record, Ticket)
  /// Put the record on disk with the next one; nobody waits for it.
  case note(Record)
  /// Connect to the address, then say `dialled` or `dialFailed`. The session is there already. With
  /// `from`, our end is to have that address if this machine has it: others know us by it.
  case dial(SessionID, Endpoint, from: IPAddress? = nil)
  /// A node: look the server up, connect to it, then as with `dial`.
  case dialServer(SessionID)
  /// Write what is due to it, end our side, read on until the other side ends or a second has
  /// passed, close, and say `finished`; or `closed` where it breaks on the way.
  case finish(SessionID)
  /// For the log.
  case event(Event)
}

/// What happened, for people to read. Message texts appear only where tracing is on.
package enum Event: Hashable, Sendable {
  case opened(SessionID, MemberName)
  case closed(SessionID, MemberName, reason: String)
  case joined(Member, GroupName, members: Int)
  case moved(Member, from: Place)
  case left(Member, GroupName, members: Int, reason: String)
  case renamed(Member, to: MemberName)
  case tookUp(SessionID, Member)
  case refused(SessionID, MemberName, Refusal)
  case said(Member, to: String, text: String, handed: Int)
  case kept(for: Member, waiting: Int)
  case delivered(to: Member, messages: Int, waiting: Int)
  case unreachable(Member, reason: String, retrySeconds: Int)
  case reachable(Member)
  case expired(Member)
  case dropped(for: Member, messages: Int, reason: String)
}

/// What only the owner of the sockets can count, handed in for STATS.
package struct MachineCounters: Sendable {
  package var connections = 0
  package var pendingBytes = 0
  package var bytesReceived = 0
  package var bytesSent = 0
  package var slowConsumers = 0
  package var refusedConnections = 0
  /// Among them: those whose address had its share.
  package var quotaRefusals = 0
  /// How often somebody who was over the rate was not read from.
  package var pauses = 0

  package init() {}
}
