// Who derives something from the journal's records, on the journal's thread: a node's readable logs.

import LineChatCore

/// Hears of each record when it is on the disk. All calls come from one thread, the journal's. None of
/// them fails: what a follower cannot do it reports, and does later.
package protocol JournalFollower: Sendable {
  /// At a start, before the thread runs, when the journals have been read and the first snapshot has
  /// not been taken: catches up with what they hold. `prepareForSnapshot` follows.
  mutating func mend(from disk: some Storage)

  /// The records are on the disk, in this order, in the journal of that number. Those who wait for
  /// them have been told already; the journal's next write waits until this returns.
  mutating func follow(_ lines: [JournalLine], in journal: UInt64, of disk: some Storage)

  /// A snapshot is about to be taken, and older journals removed. Returns the number of the oldest
  /// whose records are still needed; nil if none are.
  mutating func prepareForSnapshot(of disk: some Storage) -> UInt64?

  /// What its owner should know and has not been told.
  mutating func takeReports() -> [FollowerReport]
}

/// What a follower has to say, for the owner's log.
package struct FollowerReport: Hashable, Sendable {
  /// Something does not work, or is lost; otherwise it is mended, or works again.
  package let isFault: Bool
  package let text: String

  package init(isFault: Bool, _ text: String) {
    self.isFault = isFault
    self.text = text
  }
}
