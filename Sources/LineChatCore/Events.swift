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

/// What must be on disk before it is true: a change to a durable membership.
package enum Change: Hashable, Sendable {
  case joined(Member, GroupName)
  case left(Member, GroupName)
  case renamed(Member, MemberName)
}

/// What a core asks its owner to do. What is to be sent is not here: it lies in the FanOut.
package enum Effect: Hashable, Sendable {
  /// Write what is due to it, then close. The core knows it no more at the end of this round.
  case close(SessionID)
  /// It did not take what is due to it: treat it as a slow consumer.
  case overrun(SessionID)
  /// It accepts lines again.
  case resume(SessionID)
  /// Put the change on disk, then say `persisted` or `persistFailed`.
  case persist(Change, Ticket)
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
}

/// What only the owner of the sockets can count, handed in for STATS.
package struct MachineCounters: Sendable {
  package var connections = 0
  package var pendingBytes = 0
  package var bytesReceived = 0
  package var bytesSent = 0
  package var slowConsumers = 0
  package var refusedConnections = 0

  package init() {}
}
