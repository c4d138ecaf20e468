// What a core is to its loop beyond `Core`: the few things in which the machine of a server differs
// from that of a node. Each kind of core has them in one file of its own (ServerSide, NodeSide); the
// loop is generic and specialised for each, so that nothing here costs a message anything.

import LineChatCore
import LineProtocol

protocol DrivenCore: Core, ~Copyable {
  /// What the loop keeps for this kind of machine alone.
  associatedtype Side
  /// What is written down of the core, as one snapshot.
  associatedtype Stored: StoredContent

  /// What such a machine is called: "server", "node".
  static var noun: String { get }
  /// What the disk's failing means for people, behind a colon.
  static var withoutDisk: String { get }

  // MARK: The disk

  /// Before it starts. Returns what could not be used, each a text for people.
  mutating func restore(_ stored: Stored, now: Instant) -> [String]
  mutating func replay(_ record: Record, now: Instant) throws(Refusal)
  /// Its whole state as it is now.
  func stored(_ side: Side) -> Stored
  /// Roughly what a snapshot would be long, where that may be much.
  var storedBytes: Int { get }

  /// Who is to hear of each record in the directory when it is on the disk.
  static func follower(in directory: StateDirectory) throws(StorageError) -> (any JournalFollower)?

  // MARK: The loop

  /// The loop has woken up, before anything is served.
  static func roundBegan(_ loop: Loop<Self>)
  /// When a round is due for its sake, on the monotonic clock.
  static func deadline(_ loop: Loop<Self>) -> Int64?
  /// Another thread has something for it.
  static func woken(_ loop: Loop<Self>)
  /// Everything that the core wanted done and said has been, for this time. Returns whether the core
  /// has been told something now, so that it may want more.
  static func settled(_ loop: Loop<Self>) -> Bool

  // MARK: Dials

  static func dialServer(_ session: SessionID, _ loop: Loop<Self>)
  /// Tells the core that the connection it asked for stands.
  static func dialled(_ session: SessionID, _ route: Route, _ loop: Loop<Self>)
  /// Tells the core that it cannot be made, unless there is another way to be tried.
  static func dialFailed(_ session: SessionID, _ reason: String, _ loop: Loop<Self>)
  /// The core has given up a session that has no connection.
  static func abandoned(_ session: SessionID, _ loop: Loop<Self>)
}

// Where there is nothing special to do.
extension DrivenCore where Self: ~Copyable {
  var storedBytes: Int { 0 }

  static func follower(in directory: StateDirectory) throws(StorageError) -> (any JournalFollower)?
  {
    nil
  }

  static func roundBegan(_ loop: Loop<Self>) {}
  static func deadline(_ loop: Loop<Self>) -> Int64? { nil }
  static func woken(_ loop: Loop<Self>) {}
  static func settled(_ loop: Loop<Self>) -> Bool { false }

  static func dialled(_ session: SessionID, _ route: Route, _ loop: Loop<Self>) {
    loop.core.dialled(session, route, now: loop.now)
  }
  static func dialFailed(_ session: SessionID, _ reason: String, _ loop: Loop<Self>) {
    loop.core.dialFailed(session, reason: reason, now: loop.now)
  }
  static func abandoned(_ session: SessionID, _ loop: Loop<Self>) {}
}
