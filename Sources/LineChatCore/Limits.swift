// Every number that bounds what the cores do, with its reason. The wire's own bounds are WireLimits.

package enum Limits {
  /// Groups one member may be in. A shell shows a dozen; a logging bot a few hundred. It also
  /// bounds what one NICK or one broken connection can make the server tell.
  package static let groupsPerMember = 1_024

  /// Groups on one server. Each costs well under a kilobyte, so this stays under 100 MB.
  package static let groups = 100_000

  /// A journal is followed by a snapshot when it has grown beyond this, and beyond twice the size of
  /// the snapshot before it: a start reads it in a few milliseconds, and in the long run each byte
  /// of a record makes for less than one byte of snapshots.
  package static let journalBytes = 1 << 20

  /// The highest number of a journal: one a microsecond would last for thirty years, and no sum
  /// overflows.
  package static let journalNumber: UInt64 = 1_000_000_000_000_000

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

  /// Deadlines kept for each session and each member that there has been room for. At most two of a
  /// session's are due, a silence and a WAIT, listing or claim; so half are stale when they are
  /// looked through.
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

  /// Changes, and messages to be kept, that may wait for the disk at once. A change belongs to a
  /// session that does nothing else; one message may be kept for everybody in a large group.
  package static let pendingChanges = 65_536
  /// What a node keeps of changes in rosters until the messages before them are on its disk; beyond,
  /// they are told at once.
  package static let heldNews = 1_000

  /// What a hint repeats of a line that is no request: a few lines of a terminal, so that most of what
  /// people type comes back whole.
  package static let hintBytes = 240

  /// What may wait for one member, with the room each message takes in memory.
  package static let keptBytes = 1 << 20

  /// What may wait for all members together: it lies in memory and in each snapshot.
  package static let keptBytesOfAll = 128 << 20

  /// Names that may be connected or in a roster for a further durable membership to be taken.
  package static let names = 200_000

  /// Connections to members at one host under way at once, so that one host with many addresses
  /// does not keep the others waiting.
  package static let dialsPerHost = 8

  /// How long a connection that was dialled may live, however much it acknowledges: others wait for
  /// their turn. What is left goes with the next one.
  package static let linkMicroseconds: Int64 = 30_000_000

  /// Connections to members under way at once. A member that does not answer holds one for the two
  /// seconds of a dial, so that sixteen members a second are tried even where nobody answers.
  package static let dials = 32

  /// How long a sender waits for members who are being dialled. A person does not notice less, and
  /// what takes longer is kept.
  package static let claimMicroseconds: Int64 = 1_000_000

  /// Who is dialled and speaks tags says who it is within this time.
  package static let greetingMicroseconds: Int64 = 2_000_000

  /// Who is dialled acknowledges something of what it was sent within this time.
  package static let acknowledgeMicroseconds: Int64 = 5_000_000

  /// The pause after the first failed dial, and the longest one.
  package static let retryLeastMicroseconds: Int64 = 1_000_000
  package static let retryMostMicroseconds: Int64 = 300_000_000

  // MARK: Nodes

  /// The highest number of a message of ours that a start takes up. Counting does not get there, and a
  /// damaged file leaves room to count on.
  package static let sequenceMax = UInt64(Int64.max)

  /// Bytes of messages that nobody has yet, or not everybody, and how many. A day of a busy group for
  /// somebody who is away; it lies in memory and in each snapshot.
  package static let outboxBytes = 64 << 20
  package static let outboxMessages = 262_144

  /// What waits for somebody for so long has failed: a week, so that a holiday's first half is covered.
  package static let outboxMicroseconds: Int64 = 7 * 86_400_000_000

  /// Conversations with numbers of our own kept for them; one that is not used goes for a new one.
  package static let streams = 16_384

  /// Streams of others whose latest number is known. The one heard least recently is forgotten first:
  /// a message of it that comes again would be shown again.
  package static let streamsHeard = 65_536

  /// Bytes of messages heard that may wait for the disk before nothing more is read.
  package static let unwrittenBytes = 8 << 20

  /// Bytes on a link that have not been acknowledged before nothing more is sent: what a disk syncs and
  /// a wire carries in a few round trips.
  package static let linkWindowBytes = 1 << 20

  /// Requests to the server, and messages of one lane handed to it, that have not been answered.
  package static let relayWindow = 256

  /// Messages handed over to the server by a node that keeps none, and not answered: what a pipe brings
  /// while the server's disk is slow.
  package static let handedOverMessages = 4_096

  /// Names in one request to the server, and in a tag of ours: they fit in the tags of a line.
  package static let relayNames = 32
  package static let namesInTag = 32

  /// Replies that one owner's connection may have outstanding.
  package static let outstandingReplies = 1_024

  /// Links being dialled at once.
  package static let nodeDials = 64

  /// A dial and the greeting behind it: what a dead place costs a message, once.
  package static let nodeDialMicroseconds: Int64 = 2_000_000

  /// A link over which nothing goes is closed; a chat has pauses of a minute.
  package static let idleLinkMicroseconds: Int64 = 60_000_000

  /// Who was asked for a sign of life gives one within this time.
  package static let probeMicroseconds: Int64 = 2_000_000

  /// A receipt through the server comes within this time, or the message is sent again.
  package static let receiptMicroseconds: Int64 = 30_000_000

  /// The pause after the server could not hand a message over, and nobody will say when it can.
  package static let relayRetryLeastMicroseconds: Int64 = 2_000_000

  /// The server's greeting, and its answer to our name, come within this time.
  package static let serverReplyMicroseconds: Int64 = 10_000_000

  /// The pauses between tries to reach the server: with a try that was under way when it came back, and
  /// its ten seconds, everybody knows it again within half a minute.
  package static let serverRetryLeastMicroseconds: Int64 = 500_000
  package static let serverRetryMostMicroseconds: Int64 = 15_000_000

  /// The pause after our name was refused: the connection that holds it may be our own, dead, and the
  /// server finds that out within a minute or so.
  package static let nameRetryMicroseconds: Int64 = 5_000_000

  /// A name that the server may have given us already is waited for so long while somebody has it: as
  /// long as a server takes to find a dead connection, and a bit.
  package static let doubtfulNameMicroseconds: Int64 = 100_000_000

  /// The pause after the server could not let us into a group, or out of it: its disk may have failed, or be full.
  package static let groupRetryMicroseconds: Int64 = 5_000_000

  /// A line of somebody whom our roster does not know yet waits so long for it.
  package static let holdMicroseconds: Int64 = 5_000_000

  /// Lines that wait for a roster at once, each on a connection of its own.
  package static let heldLines = 64

  /// Private messages of strangers that are taken in a minute, all together: each goes to the disk.
  package static let strangersPerMinute = 60

  /// A message that was under way for longer is marked as late.
  package static let lateMicroseconds: Int64 = 10_000_000

  /// Links, receipts and old messages are looked after so often, and where there are none.
  package static let sweepMicroseconds: Int64 = 1_000_000
  package static let idleSweepMicroseconds: Int64 = 15_000_000

  /// Deadlines kept before those that were overtaken are thrown out.
  package static let deadlinesLeast = 64

  // MARK: Places

  /// Members who may name the same address. A few share a machine's port in turn; a thousand would
  /// make the server dial one victim a thousand times.
  package static let membersPerPlace = 8
}
