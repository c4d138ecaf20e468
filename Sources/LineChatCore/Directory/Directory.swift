// The server's meaning: who is connected, what they are called, which groups there are, who hears
// what. Pure: no clock, no socket, no file, no randomness; the same events give the same bytes.
//
// Theory of operation. The owner tells what happens through the few functions in this file
// (`opened`, `receive`, `inputEnded`, `closed`, `persisted`, `tick`, …), each with the time. What
// is to be sent lies then in the FanOut, what is to be done in `takeEffects`.
//
//   session   a live connection. It has a member at all times, at first under a guest name.
//   member    a name with a place, a host (or key) it belongs to, and memberships. It outlives its
//             session where a membership is durable or a change of it is on its way to the disk.
//   group     a roster with a version, two channels (for those who speak tags and for those who do
//             not), and the sessions that WAIT in it.
//
// Rules kept here:
//   - Every request gets exactly one final reply, in the order of the requests of its session. A
//     session that has to wait (for the disk, a WAIT, a long listing, room) accepts no lines.
//   - A durable change is made in two steps: names and room reserved and the change handed out as
//     `.persist`; numbered, applied, told and answered when `persisted` comes. If `persistFailed`
//     comes, nothing has happened.
//   - A name has one holder, whatever its case. A group exists as long as somebody is in it.
//   - A version of a group never comes twice: a group made anew goes on from a counter of the
//     whole server.
//   - Every change of a roster is told with its version to the programs that are in it, whoever made
//     it. Only who joins or leaves by its own request has that from the reply.
//   - What comes from a connection never traps: preconditions guard against our own faults only.

import DequeModule
import HeapModule
import LineProtocol

package struct Directory: ~Copyable, Core {
  // A message can be delivered before it is on the disk.
  package static var carriesNotes: Bool { true }

  package struct Configuration: Sendable {
    package var program = "linechatd"
    package var version = "0.0.0"
    package var serverID: UInt64 = 0
    /// First half of every roster's version; the owner makes sure that it only grows.
    package var versionStart: UInt64 = 1
    /// Stream names are drawn from this.
    package var seed: UInt64 = 0
    package var lineBytesMax = WireLimits.lineBytes
    package var listingPieceBytes = Limits.listingPieceBytes
    /// Addresses of this machine: those that a connection over loopback may name as its place.
    package var localAddresses: Set<IPAddress> = []
    /// Where the server itself listens: nobody's place.
    package var listenEndpoints: Set<Endpoint> = []
    /// The address a loopback `:port` gets where the server is reached from other hosts too.
    package var loopbackSubstitute: IPAddress?
    /// A durable member that was not seen for so long is dropped.
    package var memberTTLMicroseconds: Int64 = 30 * 86_400_000_000
    /// Message texts are reported as events.
    package var isTracing = false
    /// What one address may have; that of connections is for the owner of the sockets.
    package var quotas = Quotas()
    /// What STATS says of the other limits: connections, and lines a second of one of them.
    package var connectionsMax = 0
    package var linesPerSecondMax = 0

    package init() {}

    fileprivate var greeting: (before: [UInt8], behind: [UInt8]) {
      let id = hexadecimal(serverID)
      return (
        Array("INFO \(program) \(version) protocol=1 server=\(id) you=".utf8),
        Array(" max-line=\(lineBytesMax) help=HELP\n".utf8)
      )
    }
  }

  /// What keeps a session from accepting lines.
  enum Activity: UInt8 { case ready, waiting, listing, persisting, claiming, flushing, ending }

  // Sessions and members are in an order that leaves no gaps, and what few of them have takes one word
  // in the others (`rare`, an array of one or none): there may be ten thousand, most of them silent.

  struct Session {
    let id: SessionID
    /// Who it is; where it was dialled, whom it was dialled for.
    var member: Int32
    /// Marks sessions already told in the present sweep over several groups.
    var sweep: UInt32 = 0
    var heardAt: Int64
    let origin: Origin
    var activity = Activity.ready
    var speaksTags = false
    var inputHasEnded = false
    var missedPings: UInt8 = 0
    private var rare: [Rare] = []

    private struct Rare {
      let identity: Identity?
      var link: Link?
    }

    init(
      id: SessionID, origin: Origin, identity: Identity?, member: Int32, link: Link?, heardAt: Int64
    ) {
      (self.id, self.origin, self.member, self.heardAt) = (id, origin, member, heardAt)
      if identity != nil || link != nil { rare = [Rare(identity: identity, link: link)] }
    }

    var identity: Identity? { rare.first?.identity }

    /// Set where the server dialled it.
    var link: Link? {
      get { rare.first?.link }
      set {
        if !rare.isEmpty {
          rare[0].link = newValue
        } else if newValue != nil {
          rare = [Rare(identity: nil, link: newValue)]
        }
      }
    }
  }

  struct Membership {
    let group: Int32
    /// The session's place in the group's channel; -1 while there is no session.
    var slot: Int32
    var isDurable: Bool
  }

  struct Member {
    var name: MemberName
    var place = Place.relay
    /// As the latest NICK or JOIN said it.
    var speaksTags = false
    /// The last dial of its address found it there.
    var isReachable = false
    /// The name is the one that it was given when it came.
    var isGuest = false
    /// Whom the name belongs to: the key if there is one, else the host.
    var host: Origin
    var session: Int32
    /// The address that has one name less for it; nil where none has.
    var countedAt: IPAddress?
    var pendingChanges: Int32 = 0
    /// When it was last connected or reached, microseconds since 1970 UTC.
    var seenAt: Int64
    var memberships: [Membership] = []
    private var rare: [Rare] = []

    private struct Rare {
      var identity: Identity?
      var nextName: MemberName?
      var isDoubtful = false
      var stream: UInt64 = 0
      var sequence: UInt64 = 0
    }

    init(name: MemberName, isGuest: Bool = false, host: Origin, session: Int32, seenAt: Int64) {
      (self.name, self.isGuest, self.host) = (name, isGuest, host)
      (self.session, self.seenAt) = (session, seenAt)
    }

    /// The key that the name belongs to.
    var identity: Identity? {
      get { rare.first?.identity }
      set { if newValue != nil || !rare.isEmpty { withRare { $0.identity = newValue } } }
    }

    /// The name that is on its way to the disk.
    var nextName: MemberName? {
      get { rare.first?.nextName }
      set { if newValue != nil || !rare.isEmpty { withRare { $0.nextName = newValue } } }
    }

    /// The disk failed with a change of it, and may have that all the same until the next record is
    /// written: what is confirmed meanwhile must be on the disk behind it, even if it changes nothing.
    var isDoubtful: Bool {
      get { rare.first?.isDoubtful ?? false }
      set { if newValue || !rare.isEmpty { withRare { $0.isDoubtful = newValue } } }
    }

    /// The stream of what the server sends to it for plain senders; 0 until there is something.
    var stream: UInt64 {
      get { rare.first?.stream ?? 0 }
      set { withRare { $0.stream = newValue } }
    }

    /// The number of the latest of that.
    var sequence: UInt64 {
      get { rare.first?.sequence ?? 0 }
      set { withRare { $0.sequence = newValue } }
    }

    private mutating func withRare(_ change: (inout Rare) -> Void) {
      if rare.isEmpty { rare.append(Rare()) }
      change(&rare[0])
    }

    var wire: LineProtocol.Member { LineProtocol.Member(name: name, place: place) }
    var isDurable: Bool { memberships.contains(where: \.isDurable) }
  }

  struct Group {
    var name: GroupName
    /// The address that has one group less for it; nil where none has.
    let madeAt: IPAddress?
    var roster: Roster
    /// Members with a session.
    var live = 0
    /// Members without one.
    var away: [Int32] = []
    let plain: Int32
    let tagged: Int32
    /// Sessions in a WAIT, and some whose WAIT has ended.
    var waiting: [Waiting] = []
    /// The ids of what the server sends in it for plain senders.
    let stream: UInt64
    var sequence: UInt64 = 0
    /// The time of the latest of them, and the line (by its number) that it was given to.
    var stamp: Int64 = 0
    var stampedLine = 0
  }

  let configuration: Configuration
  /// What everybody is told first, around the name that they get.
  let greeting: (before: [UInt8], behind: [UInt8])
  package let fanOut = FanOut()
  package var machine = MachineCounters()

  var sessions = Slab<Session>()
  var members = Slab<Member>()
  var groups = Slab<Group>()
  /// Indices of sessions that ended in this round: free when what is due to them has been taken.
  var endedSessions: [UInt32] = []
  var generation: UInt32 = 0

  /// Who has a name, or has reserved it.
  var names: [MemberName: Int32] = [:]
  /// Who listens at an address.
  var listeners: [Endpoint: [Int32]] = [:]
  /// How many will, when it is on the disk.
  var arriving: [Endpoint: Int] = [:]
  var groupIndices: [GroupName: Int32] = [:]
  /// The groups in the order of their names.
  var groupOrder: [Int32] = []

  var effects: [Effect] = []
  var clock = HybridClock()
  var random: SplitMix64
  /// Changes of all rosters so far.
  var changes: UInt64 = 0
  var guests = 0
  var sweep: UInt32 = 0

  var waits: [UInt32: Wait] = [:]
  var listings: [UInt32: Listing] = [:]
  var pending: [Ticket: Pending] = [:]
  /// What waits for members, by member.
  var lanes: [Int32: Lane] = [:]
  /// What all lanes hold.
  package internal(set) var keptBytes = 0
  var claims: [UInt64: Claim] = [:]
  /// What each address has.
  var namesByAddress = AddressCounts()
  var groupsByAddress = AddressCounts()
  /// Members to be dialled, in order.
  var dialQueue: Deque<Int32> = []
  /// Addresses with a connection that was dialled.
  var dialledPlaces: [Endpoint: UInt32] = [:]
  /// Members who are dropped if the present dial fails.
  var expiring: Set<Int32> = []
  var forgettings: [UInt64: Forgetting] = [:]
  var tickets: UInt64 = 0
  var deadlines = Heap<Deadline>()
  /// The latest message, and what a run of them says again and again.
  var said = Said()
  let runSource = ByteBuffer()
  let runReply = ByteBuffer()

  var startedAt: Instant?
  var counters = Counters()
  var isShuttingDown = false
  /// Sessions that became ready after their input had ended, while another's line was carried out:
  /// they end when that is done, so that no group goes away under it.
  var endingNext: [SessionID] = []

  struct Counters {
    var opened = 0
    var lines = 0
    var messages = 0
    var deliveries = 0
    var kept = 0
    var dials = 0
    var failedDials = 0
    var refusals = 0
    var quotaRefusals = 0
  }

  package init(_ configuration: Configuration) {
    self.configuration = configuration
    greeting = configuration.greeting
    random = SplitMix64(state: configuration.seed)
  }
}

// MARK: - What happens to the directory

extension Directory {
  /// Somebody connected: gets a guest name and the greeting.
  package mutating func opened(
    _ origin: Origin, identity: Identity? = nil, now: Instant
  ) -> SessionID {
    begin(now)
    let member = makeMember(
      Member(
        name: guestName(), isGuest: true, host: origin.host, session: -1,
        seenAt: now.wallMicroseconds))
    let id = makeSession(origin, identity: identity, member: member)
    members[member].session = Int32(id.index)
    sessions[id.index].heardAt = now.monotonicMicroseconds
    counters.opened += 1
    let name = members[member].name
    greet(id.index, name)
    effects.append(.event(.opened(id, name)))
    return id
  }

  /// What the session's line reader found. The session must accept lines.
  package mutating func receive(_ item: LineReader.Item, from id: SessionID, now: Instant) {
    guard isReady(id) else { return }
    if sessions[id.index].link != nil {
      if case .line(let bytes) = item { hearLink(bytes, id, now: now) }
      return endThoseDone(now: now)
    }
    switch item {
    case .line(let bytes):
      counters.lines += 1
      perform(bytes, from: id.index, now: now)
    case .refused(let refusal):
      counters.lines += 1
      refuse(refusal, to: id.index, label: nil)
    case .http:
      counters.lines += 1
      refuse(
        Refusal(
          code: .forbidden, verb: nil,
          text: "this is a chat, not a web server; type HELP in nc or telnet"),
        to: id.index, label: nil)
      end(id.index, reason: "spoke HTTP", now: now)
    case .timingMark:
      fanOut.send(to: id.index, isReply: true) { buffer in
        for byte in Telnet.timingMarkRefused { buffer.append(byte: byte) }
      }
    }
    endThoseDone(now: now)
  }

  /// A byte came, or the other side took one: a sign of life.
  package mutating func heard(_ id: SessionID, now: Instant) {
    guard isLive(id) else { return }
    sessions[id.index].heardAt = now.monotonicMicroseconds
    sessions[id.index].missedPings = 0
  }

  /// Whether the session's next line may be handed in. False while it waits for something, and
  /// where it has collected enough replies for one round.
  package func accepts(_ id: SessionID) -> Bool {
    isReady(id) && fanOut.replyRoom(id.index) > 0
  }

  package func speaksTags(_ id: SessionID) -> Bool {
    isLive(id) && sessions[id.index].speaksTags
  }

  /// `drained` is wanted when the session's output is written: a long listing is under way, or what
  /// was kept for a member is.
  package func awaitsDrain(_ id: SessionID) -> Bool {
    isLive(id)
      && (sessions[id.index].activity == .listing || sessions[id.index].activity == .flushing)
  }

  /// No more lines will come, all that came have been carried out or wait for the session to be
  /// ready. What is outstanding is still done, then it ends.
  package mutating func inputEnded(_ id: SessionID, now: Instant) {
    guard isLive(id) else { return }
    sessions[id.index].inputHasEnded = true
    endIfInputEnded(id.index, now: now)
  }

  /// The connection is gone; nothing can be sent to it any more.
  package mutating func closed(_ id: SessionID, reason: String, now: Instant) {
    guard isLive(id) else { return }
    finish(id.index, reason: reason, now: now)
  }

  /// What was due to the session has been written.
  package mutating func drained(_ id: SessionID, now: Instant) {
    guard awaitsDrain(id) else { return }
    if sessions[id.index].activity == .listing {
      goOnListing(id.index, now: now)
    } else {
      laneArrived(sessions[id.index].member, now: now)
      makeReady(id.index)
      endIfInputEnded(id.index, now: now)
      endThoseDone(now: now)
    }
  }

  /// Where it will never be written, as the other side is gone: a listing goes on to its end, for the
  /// lines behind it, and what was kept stays kept.
  package mutating func drainedToNobody(_ id: SessionID, now: Instant) {
    guard awaitsDrain(id) else { return }
    guard sessions[id.index].activity == .flushing else { return drained(id, now: now) }
    lanes[sessions[id.index].member]?.sent = 0
    makeReady(id.index)
    endIfInputEnded(id.index, now: now)
    endThoseDone(now: now)
  }

  /// The session is in a WAIT: it has nobody to go on for when its other side is gone.
  package func isWaiting(_ id: SessionID) -> Bool {
    isLive(id) && sessions[id.index].activity == .waiting
  }

  /// The time has come.
  package mutating func tick(now: Instant) {
    while let next = deadlines.min, next.at <= now.monotonicMicroseconds {
      deadlines.removeMin()
      switch next.kind {
      case .silence(let id): if isLive(id) { checkSilence(id.index, now: now) }
      case .wait(let id, let number): if isLive(id) { waitTimedOut(id.index, number) }
      case .listing(let id, let piece): if isLive(id) { listingStalled(id.index, piece) }
      case .link(let id, let step): linkStalled(id, step, now: now)
      case .retry(let member, let number): retry(member, number, now: now)
      case .claim(let number): claimTimedOut(number)
      case .housekeeping: keepHouse(now: now)
      }
    }
    endThoseDone(now: now)
  }

  /// When `tick` is due, on the monotonic clock.
  package var nextDeadlineMicroseconds: Int64? { deadlines.min?.at }

  /// The server ends: everybody is told, and every session closed.
  package mutating func shutDown(now: Instant) {
    isShuttingDown = true
    for session in sessions.indices.map({ UInt32($0) }) {
      if let link = sessions[session].link {
        // One that is being heard to its end goes on: what was written there must not come again.
        if link.stage != .finishing { abandonLink(session) }
        continue
      }
      fanOut.release(session)
      fanOut.send(to: session, isReply: true) {
        $0.append("INFO shutting-down the server is stopping; connect again later\n")
      }
      end(session, reason: "server stopped", now: now)
    }
  }

  package mutating func takeEffects(into list: inout [Effect]) { swap(&effects, &list) }

  package var hasEffects: Bool { !effects.isEmpty }

  /// Hands out what is to be sent, once per session that has something; see `FanOut.endRound`.
  /// Afterwards the indices of sessions that have ended may be given to others.
  package mutating func endRound(
    _ body: (_ session: UInt32, _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Void
  ) {
    fanOut.endRound(body)
    for session in fanOut.takeOverrun() {
      if sessions.holds(session), sessions[session].activity == .listing {
        effects.append(.overrun(sessions[session].id))
      }
    }
    for session in endedSessions { sessions.reuse(Int32(session)) }
    endedSessions.removeAll(keepingCapacity: true)
  }
}
