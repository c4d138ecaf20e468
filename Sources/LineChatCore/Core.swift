// What a core is to the loop that drives it: the server's Directory and a node's Peer are the same
// here. Everything that happens comes in through these functions, each with the time; what is to be
// sent lies in the FanOut, what is to be done in the effects.

import LineProtocol

package protocol Core: ~Copyable {
  var fanOut: FanOut { get }
  /// What only the owner of the sockets can count; kept up to date by it.
  var machine: MachineCounters { get set }
  /// Whether a note can be about a record that is in flight when a snapshot is taken, so that it must
  /// stand behind that record in the journal that follows. Otherwise the state has what it says.
  static var carriesNotes: Bool { get }

  // MARK: Connections

  /// Somebody connected.
  mutating func opened(_ origin: Origin, identity: Identity?, now: Instant) -> SessionID
  /// What the session's line reader found. The session must accept lines.
  mutating func receive(_ item: LineReader.Item, from id: SessionID, now: Instant)
  /// Goes on behind `line`, which was the last one handed in, with what needs no look at anything but its
  /// text; see Directory. `position` is moved behind what was taken.
  mutating func receiveRun(
    after line: UnsafeRawBufferPointer, _ reader: inout LineReader,
    _ chunk: UnsafeRawBufferPointer, _ position: inout Int, from id: SessionID)
  /// A byte came, or the other side took one: a sign of life.
  mutating func heard(_ id: SessionID, now: Instant)
  /// No more lines will come.
  mutating func inputEnded(_ id: SessionID, now: Instant)
  /// The connection is gone; nothing can be sent to it any more.
  mutating func closed(_ id: SessionID, reason: String, now: Instant)
  /// What was due to the session has been written, where `awaitsDrain`.
  mutating func drained(_ id: SessionID, now: Instant)
  /// It will never be written, as the other side is gone.
  mutating func drainedToNobody(_ id: SessionID, now: Instant)

  /// Whether the session's next line may be handed in.
  func accepts(_ id: SessionID) -> Bool
  func speaksTags(_ id: SessionID) -> Bool
  func awaitsDrain(_ id: SessionID) -> Bool
  /// The session waits for something that has no sense without its other side.
  func isWaiting(_ id: SessionID) -> Bool

  // MARK: What was asked for

  /// The connection that was asked for stands.
  mutating func dialled(_ id: SessionID, _ route: Route, now: Instant)
  mutating func dialFailed(_ id: SessionID, reason: String, now: Instant)
  /// What was due has been written, and the other side has ended or said nothing more.
  mutating func finished(_ id: SessionID, now: Instant)
  mutating func persisted(_ ticket: Ticket, now: Instant)
  /// What was handed out behind it, and before this is said, fails too.
  mutating func persistFailed(_ ticket: Ticket, reason: String, now: Instant)

  // MARK: Time and the end

  var nextDeadlineMicroseconds: Int64? { get }
  mutating func tick(now: Instant)
  mutating func shutDown(now: Instant)

  // MARK: What is to be done

  var hasEffects: Bool { get }
  /// Hands out what is to be done, in order. `list` must be empty; its memory is used for what comes
  /// next.
  mutating func takeEffects(into list: inout [Effect])
  mutating func endRound(
    _ body: (_ session: UInt32, _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Void)
}

extension Core where Self: ~Copyable {
  /// A core that does without hands every line in by itself.
  package mutating func receiveRun(
    after line: UnsafeRawBufferPointer, _ reader: inout LineReader,
    _ chunk: UnsafeRawBufferPointer, _ position: inout Int, from id: SessionID
  ) {}

  /// The same, one by one.
  package mutating func takeEffects(_ body: (Effect) -> Void) {
    var taken: [Effect] = []
    takeEffects(into: &taken)
    for effect in taken { body(effect) }
  }
}

/// The two ends of a connection that was dialled, where they have addresses.
package struct Route: Hashable, Sendable {
  /// Our own end.
  package let local: Endpoint?
  package let remote: Endpoint?

  package init(local: Endpoint? = nil, remote: Endpoint? = nil) {
    self.local = local
    self.remote = remote
  }
}
