// Every number that bounds what the cores do, with its reason. The wire's own bounds are WireLimits.

package enum Limits {
  /// Groups one member may be in. A shell shows a dozen; a logging bot a few hundred. It also
  /// bounds what one NICK or one broken connection can make the server tell.
  package static let groupsPerMember = 1_024

  /// Groups on one server. Each costs well under a kilobyte, so this stays under 100 MB.
  package static let groups = 100_000

  /// Bytes of replies that one session may collect in one round before its further lines wait.
  /// One large socket buffer: more would only be copied once more.
  package static let repliesPerRoundBytes = 65_536

  /// Bytes of a listing that are produced at a time; the next piece when the reader took this one.
  /// A group of a thousand fits into one piece.
  package static let listingPieceBytes = 65_536

  /// Long listings under way at once, each of which may hold a copy of a large roster. Beyond that
  /// a listing is written at once, and its bytes count as pending like any others.
  package static let listings = 64

  /// How long the reader of a long listing may take over one piece before it counts as gone.
  package static let listingStallMicroseconds: Int64 = 60_000_000

  /// Bytes of deliveries kept back for one session behind its own long listing. With `listings` of
  /// them at most, all together stay under 64 MiB.
  package static let heldBytes = 1 << 20

  /// Deadlines kept for each session that there has been room for. At most two of them are due, a
  /// silence and a WAIT or listing; so half are stale when they are looked through.
  package static let deadlinesPerSession = 4

  /// A program that speaks tags is asked for a sign of life after this silence…
  package static let silenceMicroseconds: Int64 = 30_000_000

  /// …and is gone when it did not answer so many times. Never asked of a plain netcat.
  package static let missedPings = 2

  /// How far ahead of our own clock another's may be to be learnt from: two minutes are plenty
  /// between machines that keep time at all, and a clock set to next year must not spread.
  package static let clockSkewMicroseconds: Int64 = 120_000_000

  /// What the server itself adds before a line it passes on: source, msgid and time.
  package static let addedPrefixBytes = 256

  /// Changes that may wait for the disk at once. Each belongs to a session that does nothing else.
  package static let pendingChanges = 65_536
}
