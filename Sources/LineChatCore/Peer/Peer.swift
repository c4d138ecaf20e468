// A node's meaning: which groups it is in and who else is, what has been said and to whom it still has
// to get, who may say what to it. Pure, as the Directory is: no clock, no socket, no file, no
// randomness; the same events give the same bytes.
//
// Theory of operation. The owner tells what happens through the functions of `Core` and a few more
// (`perform`, `listens`, `woke`), each with the time. What is to be sent lies then in the FanOut, what
// is to be done in `takeEffects`, what the user should know in `takeNews`.
//
//   uplink    the session with the server, dialled by us, tried again for ever.
//   group     one that we are in, with a replica of its roster as the server numbers it.
//   contact   a member of such a group, or somebody we have something for: where it is reached, the
//             link to it if it listens for itself, what waits for it.
//   stream    what we say to one group or one person: messages numbered without a gap, each kept until
//             the last recipient has it.
//   lane      a stream on its way to one contact: what that one does not have yet, in order.
//   guest     anybody who connects to our listener; `owner`: to the socket in our directory.
//
// Rules kept here:
//   - What we say is in our journal before it is sent, what we hear before it is acknowledged and
//     shown. So nothing is lost by a crash, and no number is used for two messages.
//   - A lane takes one path at a time: a direct link, or the server. When the path changes, it goes on
//     from the oldest message that is not acknowledged.
//   - Nobody waits for a place that is known to be dead: a first dial may take two seconds, those
//     after a failure go on in the background.
//   - A roster changes by what the server says on the uplink, and by nothing else.
//   - What comes from a connection never traps: preconditions guard against our own faults only.

import DequeModule
import HeapModule
import LineProtocol

package struct Peer: ~Copyable, Core {
  // They speak of members by their names, which another may have by then.
  package static var carriesNotes: Bool { false }

  package struct Configuration: Sendable {
    package var program = "linechat"
    package var version = "0.0.0"
    /// What this node is called, where it is new.
    package var name: MemberName
    /// It is to be called so even where it has had another name.
    package var isNameWanted = false
    /// The server, for people ("chat.example:5463"); nil: there is none.
    package var server: String?
    /// Stream names are drawn from this.
    package var seed: UInt64 = 0
    package var lineBytesMax = WireLimits.lineBytes
    /// To be joined as soon as the server is there.
    package var groups: [GroupName] = []
    /// The memberships end with the connection to the server.
    package var isTransient = false

    package init(name: MemberName) { self.name = name }
  }

  /// What keeps a session from accepting lines.
  enum Activity: UInt8 {
    case ready
    /// A line waits for the roster that its sender has already.
    case holding
    /// In a WAIT.
    case waiting
    /// Ends when the replies that are outstanding have been given.
    case quitting
  }

  enum Kind: Hashable {
    case guest
    case owner
    case uplink
    /// Dialled by us, to a contact.
    case link(Int32)
  }

  struct Session {
    let id: SessionID
    let origin: Origin
    let kind: Kind
    var activity = Activity.ready
    var speaksTags = false
    var inputHasEnded = false
    /// Messages from here that are on their way to the disk.
    var unwritten = 0
    var heardAt: Int64
    /// The line in the `holding` of this session, and when it began.
    var held: [UInt8] = []
    var heldAt: Int64 = 0
  }

  let configuration: Configuration
  package let fanOut = FanOut()
  package var machine = MachineCounters()

  var sessions = Slab<Session>()
  var endedSessions: [UInt32] = []
  var generation: UInt32 = 0

  /// Who we are: as the server knows us, or would.
  var name: MemberName
  var place = Place.relay
  /// What the server has said of our place since we have it.
  var isReachable: Bool?
  /// What we want to be called when we have told the server who we are.
  var nextName: MemberName?
  /// What the server was asked to call us, and has not answered: it may do so already.
  var doubtfulName: MemberName?
  /// Until when that name is waited for, while somebody has it: that may be our own dead connection.
  var doubtEnds: Int64 = 0
  /// Where our listener stands; nil: nowhere.
  package internal(set) var listens: Endpoint?
  var isListenerExplicit = false

  var uplink = Uplink()
  var groups: [GroupName: Replica] = [:]
  /// Groups to be in: those of the configuration, and those that were joined.
  var wanted: Set<GroupName> = []
  /// Groups that were left, and the server does not know yet.
  var leaving: Set<GroupName> = []
  /// Joins that were asked for while the leave before them was on its way to the disk.
  var joinsAfterLeave: [(group: GroupName, mouth: Mouth)] = []

  var contacts = Slab<Contact>()
  var contactIndices: [MemberName: Int32] = [:]
  var streams = Slab<OutStream>()
  var streamIndices: [Conversation: Int32] = [:]
  var streamsByID: [UInt64: Int32] = [:]
  var lanes = Slab<PeerLane>()
  package internal(set) var outboxBytes = 0
  var outboxMessages = 0

  /// MEMBER lines of the journal, until the end of their listing.
  var replayed: [GroupName: [Roster.Entry]] = [:]
  /// What was on its way to the disk when the snapshot was taken, and who it is for.
  var unwritten: [MessageID: [MemberName]] = [:]
  /// Leaves that were found in the journal and not carried out there: they are at the start.
  var leavesAsked: Set<GroupName> = []
  /// What was found in the journal to have failed: told at the start.
  var untold: [Untold] = []

  /// What has been heard of each stream.
  var heard: [UInt64: HeardStream] = [:]
  var heardCount: UInt64 = 0

  /// Records are written in it before they are handed out.
  let scratch = ByteBuffer()
  var pending = PendingSteps()
  /// Bytes of messages heard that wait for the disk.
  var unwrittenBytes = 0
  var isInputPaused = false
  /// Messages of strangers in the present minute, and when it ends.
  var strangersHeard = 0
  var strangersUntil = Int64.min

  var claims: [UInt64: PeerClaim] = [:]
  var slots: [UInt32: Deque<ReplySlot>] = [:]
  var waits: [UInt32: PeerWait] = [:]
  /// Owners' sessions: they hear what we hear.
  var owners: [UInt32] = []

  // What a round collects for its end.
  /// Contacts with something to be sent, or another way to be sent.
  var dirty: [Int32] = []
  var dueAcks: [DueAck] = []
  var dueAckIndices: [DueAck.Key: Int] = [:]
  /// Contacts whose messages wait for room in the window of the server.
  var isHeldBack: Set<Int32> = []
  var dialQueue: Deque<Int32> = []
  var dialsUnderWay = 0

  var effects: [Effect] = []
  var news: [News] = []
  var clock = HybridClock()
  var random: SplitMix64
  var numbers: UInt64 = 0
  var deadlines = Heap<PeerDeadline>()
  var sweepAt = Int64.max

  var startedAt: Instant?
  var now = Instant(monotonicMicroseconds: 0, wallMicroseconds: 0)
  var counters = Counters()
  var isShuttingDown = false

  struct Counters {
    var heardDirectly = 0
    var heardRelayed = 0
    var sentDirectly = 0
    var sentRelayed = 0
    var acknowledged = 0
    var duplicates = 0
    var refusals = 0
    var dials = 0
    var failedDials = 0
  }

  package init(_ configuration: Configuration) {
    self.configuration = configuration
    random = SplitMix64(state: configuration.seed)
    name = configuration.name
    wanted = Set(configuration.groups)
  }
}

// MARK: - What happens to the node

extension Peer {
  /// Goes to work, with what was restored.
  package mutating func start(now: Instant) {
    begin(now)
    startedAt = now
    replayed = [:]
    unwritten = [:]
    tellFailures()
    for group in leavesAsked.sorted() { hasLeft(group) }
    leavesAsked = []
    wanted.formUnion(configuration.groups)
    if configuration.isNameWanted && name != configuration.name { nextName = configuration.name }
    sweepSoon()
    tryServer()
    for contact in contacts.indices { markDirty(contact) }
  }

  /// Every event begins with this.
  mutating func begin(_ now: Instant) { self.now = now }

  /// The listener stands there; nil: there is none, and others reach us through the server.
  /// - Parameter isExplicit: the user has named that host, so the server is told it in full.
  package mutating func listens(at endpoint: Endpoint?, isExplicit: Bool, now: Instant) {
    begin(now)
    guard listens != endpoint || isListenerExplicit != isExplicit else { return }
    // Others know it: after a kill it is tried again.
    if let endpoint, endpoint != listens {
      effects.append(
        .note(
          Record { buffer in
            buffer.append("@listens=")
            buffer.append(endpoint.description)
            buffer.append(" INFO linechat")
          }))
    }
    listens = endpoint
    isListenerExplicit = isExplicit
    uplink.isRelayForced = false
    // Who is connected already has told the server another place.
    if uplink.stage == .up { joinAgain() }
  }

  /// The machine slept, or has other addresses: nothing that was known of connections holds.
  package mutating func woke(now: Instant) {
    begin(now)
    for contact in contacts.indices {
      contacts[contact].retryAt = 0
      probe(contact)
      markDirty(contact)
    }
    probeServer()
  }

  package mutating func opened(
    _ origin: Origin, identity: Identity? = nil, now: Instant
  ) -> SessionID {
    begin(now)
    let id = makeSession(origin, origin == .owner ? .owner : .guest)
    if origin == .owner { owners.append(id.index) }
    greet(id.index)
    news.append(.connected(id))
    return id
  }

  package mutating func receive(_ item: LineReader.Item, from id: SessionID, now: Instant) {
    begin(now)
    guard isLive(id) else { return }
    let session = id.index
    sessions[session].heardAt = now.monotonicMicroseconds
    switch (sessions[session].kind, item) {
    case (.uplink, .line(let bytes)): hearServer(bytes)
    case (.link(let contact), .line(let bytes)): hearLink(bytes, contact)
    case (.uplink, _), (.link, _): break
    case (.guest, .line(let bytes)), (.owner, .line(let bytes)): perform(bytes, from: session)
    case (_, .refused(let refusal)): refuse(refusal, to: session, label: nil)
    case (_, .http):
      refuse(
        Refusal(.forbidden, nil, "this is a chat, not a web server; type HELP in nc or telnet"),
        to: session, label: nil)
      end(session, reason: "spoke HTTP")
    case (_, .timingMark):
      fanOut.send(to: session, isReply: true) { buffer in
        for byte in Telnet.timingMarkRefused { buffer.append(byte: byte) }
      }
    }
  }

  package mutating func heard(_ id: SessionID, now: Instant) {
    begin(now)
    guard isLive(id) else { return }
    sessions[id.index].heardAt = now.monotonicMicroseconds
  }

  package func accepts(_ id: SessionID) -> Bool {
    guard isLive(id), sessions[id.index].activity == .ready else { return false }
    switch sessions[id.index].kind {
    case .link: return true
    case .uplink: return !isInputPaused
    case .guest, .owner:
      return !isInputPaused && fanOut.replyBytes(id.index) < Limits.repliesPerRoundBytes
        && (slots[id.index]?.count ?? 0) < Limits.outstandingReplies
    }
  }

  package func speaksTags(_ id: SessionID) -> Bool { isLive(id) && sessions[id.index].speaksTags }

  package func awaitsDrain(_ id: SessionID) -> Bool { false }

  package func isWaiting(_ id: SessionID) -> Bool {
    isLive(id) && sessions[id.index].activity == .waiting
  }

  package mutating func inputEnded(_ id: SessionID, now: Instant) {
    begin(now)
    guard isLive(id) else { return }
    switch sessions[id.index].kind {
    case .uplink: if uplink.session == id { loseServer("the server closed the connection") }
    case .link(let contact): linkBroke(contact, reason: "it closed the connection")
    case .guest, .owner:
      sessions[id.index].inputHasEnded = true
      endIfDone(id.index)
    }
  }

  package mutating func closed(_ id: SessionID, reason: String, now: Instant) {
    begin(now)
    guard isLive(id) else { return }
    switch sessions[id.index].kind {
    case .uplink:
      // One that we have let go of is only heard to its end.
      guard uplink.session == id else { return removeSession(id.index) }
      loseServer(reason, isClosed: true)
    case .link(let contact): linkBroke(contact, reason: reason, isClosed: true)
    case .guest, .owner: forget(id.index, reason: reason)
    }
  }

  package mutating func drained(_ id: SessionID, now: Instant) {}
  package mutating func drainedToNobody(_ id: SessionID, now: Instant) {}

  package mutating func dialled(_ id: SessionID, _ route: Route, now: Instant) {
    begin(now)
    guard isLive(id) else { return }
    sessions[id.index].heardAt = now.monotonicMicroseconds
    switch sessions[id.index].kind {
    case .uplink: serverAnswers(route)
    case .link(let contact): linkStands(contact)
    case .guest, .owner: break
    }
  }

  package mutating func dialFailed(_ id: SessionID, reason: String, now: Instant) {
    closed(id, reason: reason, now: now)
  }

  package mutating func finished(_ id: SessionID, now: Instant) {
    begin(now)
    guard isLive(id) else { return }
    if case .link(let contact) = sessions[id.index].kind {
      linkFinished(contact)
    } else {
      removeSession(id.index)
    }
  }

  package mutating func shutDown(now: Instant) {
    begin(now)
    guard !isShuttingDown else { return }
    isShuttingDown = true
    for claim in claims.keys.sorted() { settleAll(claim) }
    for contact in contacts.indices { closeLink(contact) }
    leaveServer()
    for index in 0..<UInt32(sessions.count) where sessions.holds(index) {
      let session = sessions[index]
      guard session.kind == .guest || session.kind == .owner else { continue }
      fanOut.send(to: index, isReply: true) {
        $0.append("INFO shutting-down the node is stopping; connect again later\n")
      }
      end(index, reason: "node stopped")
    }
  }

  package var hasEffects: Bool { !effects.isEmpty }

  package mutating func takeEffects(into list: inout [Effect]) { swap(&effects, &list) }

  package var hasNews: Bool { !news.isEmpty }

  /// Hands out what the owner should know, in order. `list` must be empty; its memory is used for what
  /// comes next.
  package mutating func takeNews(into list: inout [News]) { swap(&news, &list) }

  /// The same, one by one.
  package mutating func takeNews(_ body: (News) -> Void) {
    var taken: [News] = []
    takeNews(into: &taken)
    for one in taken { body(one) }
  }

  package mutating func endRound(
    _ body: (_ session: UInt32, _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Void
  ) {
    sendWhatIsDue()
    writeAcks()
    fanOut.endRound(body)
    for session in endedSessions { sessions.reuse(Int32(session)) }
    endedSessions.removeAll(keepingCapacity: true)
  }
}
