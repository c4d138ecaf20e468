// Every number that bounds what the machine does, with its reason. What a line may be is
// WireLimits; what the cores do is Limits.

import LineProtocol

package enum MachineLimits {
  /// Read from one connection in one round: a whole line of the longest kind, so that nobody needs
  /// a second round for it, and few enough bytes to be fair.
  static let readBytes = 65_536

  /// Read from all connections in one round. The lines said in a round are sent at its end, so this
  /// bounds how long the first of them waits, and what a round's buffers take.
  static let readBytesPerRound = 1 << 20

  /// Encoded for sending in one round before it is ended early: short requests can have long
  /// answers.
  static let roundBytes = 4 << 20

  /// A connection that leaves so much of its output lying is not read from: it would only ask for
  /// more. One large socket buffer.
  static let pausingBacklogBytes = 65_536

  /// So many wishes of the core are an ordinary round's: the memory of more is given back.
  static let effectsKept = 1_024

  /// Memory that pieces are gathered in where a connection's output is scattered.
  static let gatheringBytes = 65_536

  /// Pieces that are handed to the kernel as they are; from more of them on, copying them together
  /// costs less than the kernel's walk through the list.
  static let piecesPerCall = 16

  /// Connections accepted from one listener in one round, so that a storm of them does not keep the
  /// others waiting.
  static let acceptsPerRound = 64

  /// Connections waiting for `accept` in the kernel: its own default bound (net.core.somaxconn).
  static let listenBacklog: Int32 = 4_096

  /// While there is no descriptor for a new connection, the listeners rest so long between tries:
  /// short for a person, and next to nothing in CPU time.
  static let acceptPauseMicroseconds: Int64 = 100_000

  /// What keeps happening is said in the log once in this time.
  static let repeatedLogMicroseconds: Int64 = 10_000_000

  /// Where the kernel has no memory for a send, it is tried again after this time: asking whether
  /// the socket is writable would say yes at once.
  static let memoryPauseMicroseconds: Int64 = 10_000

  /// A member's address that is dialled answers within this time or counts as not reachable. Where
  /// a first packet is lost the kernel sends it again after one second.
  static let dialMicroseconds: Int64 = 2_000_000

  /// Reading on after the last byte was sent, so that unread input does not reset the connection
  /// and take the last lines with it.
  static let lingerMicroseconds: Int64 = 1_000_000

  /// For so long the loop is not woken by the end of a connection that lingers: long enough that something
  /// else happens meanwhile where much does, and nothing to a second of lingering.
  static let partingMicroseconds: Int64 = 10_000

  /// A slow consumer gets so long to take the line that says why it is dropped.
  static let slowConsumerMicroseconds: Int64 = 2_000_000

  /// A connection that is to be closed must take something of what is due to it within this time.
  static let closingStallMicroseconds: Int64 = 10_000_000

  /// A server that stops gives its connections so long; with what comes after, it stays under the
  /// five seconds that are promised.
  static let stoppingMicroseconds: Int64 = 4_500_000

  /// From then on the last snapshot may still be written so long.
  static let lastSnapshotMicroseconds: Int64 = 400_000

  /// Where more is kept for members than this, the snapshot at a graceful end is left out.
  static let lastSnapshotBytes = 16 << 20

  /// Keepalive: after so many seconds of silence the kernel asks, …
  static let keepaliveIdleSeconds: Int32 = 30
  /// … again in this interval, …
  static let keepaliveIntervalSeconds: Int32 = 10
  /// … so many times: a host that vanished is noticed after a minute.
  static let keepaliveProbes: Int32 = 3

  /// Records that wait for the disk, with what holds them. At the slowest disk worth the name (a sync
  /// of 200 ms, and as many megabytes a second as you like) that is well over a second's worth of
  /// everything that can come in; a queue any longer only makes the wait for an error longer.
  static let waitingRecordBytes = 16 << 20

  /// Notes that wait for a record to go to the disk with; from here on they go by themselves.
  static let waitingNoteBytes = 65_536

  /// After a snapshot that failed, the next is tried after this time: soon for a person who has made
  /// room on the disk, and rare enough not to wear it out.
  static let snapshotRetryMicroseconds: Int64 = 1_000_000

  /// Readable logs open for writing at once. Who is in more groups than that pays for opening a file
  /// now and then; descriptors are for connections.
  package static let openLogs = 64

  /// A readable log that has grown to this is put aside, and a new one begun: an editor still opens
  /// it.
  package static let logBytes = 64 << 20

  /// Journals that are kept because what is in them could not be written to the readable logs: a
  /// hundred thousand messages, and read in a second when it works again.
  package static let journalBytesForLogs = 16 << 20

  /// How long the readable logs rest after a failure, at first and at most, before they are caught up
  /// with from the journals: soon enough for a person who has made room, and rare enough for the
  /// thread that the journal waits for.
  package static let logRetryLeastMicroseconds: Int64 = 1_000_000
  package static let logRetryMostMicroseconds: Int64 = 60_000_000

  /// How far behind what the journals say a log's end is searched for their lines, where somebody
  /// may have changed it.
  package static let logSearchBytes = 1 << 20

  /// Read at a time from a log.
  package static let logBlockBytes = 65_536

  /// A line in a log with more bytes is none of ours: twice what a line may have with its tags.
  package static let logLineBytes = 2 * (WireLimits.lineBytes + WireLimits.prefixBytes)

  /// Connections over the limit that are told so in full at once; any more are closed at once.
  static let refusals = 64

  /// The same for one address that has its share: it must not fill the room for the refusals of all.
  static let refusalsPerAddress = 8

  /// Descriptors that are not connections: listeners, standard streams, pipes, files.
  static let reservedDescriptors = 64

  /// Bytes of texts in the events that a node's owner has not taken: some hundred thousand lines of a
  /// chat, or 256 of the longest that there are.
  static let eventTextBytes = 16 << 20

  /// Connections from others to a node: every member of a large group at once. It dials about as many.
  static let nodeConnections = 1_024

  /// Among them, from one address: everybody on a machine that many log in to.
  static let nodeConnectionsPerAddress = 256

  /// Bytes that may wait for one reader of a node, and for all of them.
  static let nodePendingBytes = 8 << 20
  static let nodePendingBytesTotal = 64 << 20

  /// Calls of other threads that wait for a node or for its answer, and the bytes of texts among those
  /// that it has not taken: a program that sends faster than a disk takes it is to notice.
  static let calls = 4_096
  static let callBytes = 8 << 20

  /// A name that is not found within this time is tried again later: a resolver's own patience (half a
  /// minute, often) is not a person's.
  static let lookUpMicroseconds: Int64 = 5_000_000

  /// Look-ups under way at once: the one that is waited for, and those before it that hang.
  static let lookUps = 4

  /// Addresses of a server that are dialled, at two seconds each.
  static let serverAddresses = 8

  /// Room kept for news of a node from one round to the next: those of a round under load.
  static let newsKept = 4_096

  /// How often a node looks whether its machine has other addresses. With the server to be dialled
  /// after it, a laptop that has come into another network is back within five seconds.
  static let addressLookMicroseconds: Int64 = 3_000_000

  /// The timer that wakes the loop with the machine is set so much later than its next look.
  static let bootTimerMarginMicroseconds: Int64 = 100_000

  /// A sleep that is worth a look at every connection. Shorter ones look like a busy machine, and no
  /// connection breaks by them.
  static let sleepLeastMicroseconds: Int64 = 2_000_000

  /// Waits without news after which a descriptor is parked.
  static let waitsBeforeParking: UInt32 = 64

  /// Parked descriptors whose news are taken in one wait.
  static let parkedNews = 256

  /// The loop looks up once in this time even where nothing is due.
  static let waitMicroseconds: Int64 = 3_600_000_000
}
