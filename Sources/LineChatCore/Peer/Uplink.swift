// The session with the server: dialled, greeted, named, joined, and tried again for ever, with growing
// pauses, when it is lost.
//
//   INFO … server=<id>          it is a server; another id than before is another server
//   @label=1 NICK alice         our name; refused: tried again later, for the older connection that
//                               still holds it may be dead without the server knowing
//   @label=2 LEAVE attic        what was left while it was away
//   @label=3 JOIN lobby :5001   each group anew, and its roster with it
//
// Replies come in the order of the requests, so a queue of what was asked is all that is needed. The
// label tells the data lines of a listing from those that come unasked.

import DequeModule
import LineProtocol

struct Uplink {
  enum Stage: UInt8 {
    /// No connection; the next try has its deadline.
    case away
    /// The server is looked up and connected to.
    case dialling
    /// Connected; it has yet to say that it is a server.
    case greeting
    /// The name is asked for.
    case naming
    /// The session stands.
    case up
  }

  var stage = Stage.away
  var session: SessionID?
  /// The name was had on this connection.
  var isNamed = false
  /// Counts what happened, for deadlines.
  var step: UInt64 = 0
  var asked: Deque<Asked> = []
  /// The members of the listing under way.
  var listing: [Roster.Entry] = []
  var labels: UInt64 = 0
  var failures = 0
  /// Why it is away.
  var failure: String?
  /// The server that was last seen.
  var id: UInt64?
  var address: IPAddress?
  /// It is not the one that was known before.
  var isAnother = false
  /// The longest line that it takes, its end included.
  var lineBytesMax = WireLimits.lineBytes
  /// To be joined, or left, when the server had its pause.
  var groupsDue: Set<GroupName> = []
  /// Our address was refused: others reach us through the server.
  var isRelayForced = false
  /// When a sign of life was asked for; 0: it was not.
  var probedAt: Int64 = 0
}

/// A request whose reply has not come.
struct Asked {
  /// What a JOIN says about our place.
  enum Joining {
    /// Nothing, or that there is none.
    case plain
    case address
    /// That there is none, as our address was refused.
    case insteadOfAddress
  }

  enum What {
    case nick(MemberName)
    case leave(GroupName)
    case join(GroupName, Joining)
    case members(GroupName)
    /// The same, to find out what we are called.
    case identity(GroupName)
    case groups
    /// A message for these lanes.
    case say(Conversation, sequence: UInt64, [Handed])
    /// A message that the server is to deliver, and for whom.
    case handOver(ChatMessage, [MemberName])
  }

  let label: UInt64
  let what: What
  /// Who waits for it; 0: nobody.
  var mouth: Mouth?
  var groups: [GroupCount] = []
}

// MARK: - Getting there

extension Peer {
  var isServerUp: Bool { uplink.stage == .up }

  mutating func tryServer() {
    guard configuration.server != nil, uplink.stage == .away, !isShuttingDown else { return }
    let id = makeSession(.unix, .uplink)
    uplink.session = id
    uplink.stage = .dialling
    uplink.step += 1
    effects.append(.dialServer(id))
    news.append(.serverIsTried)
  }

  /// The connection stands.
  mutating func serverAnswers(_ route: Route) {
    guard uplink.stage == .dialling, let session = uplink.session else { return }
    uplink.address = route.remote?.address ?? uplink.address
    sessions[session.index].speaksTags = true
    enter(.greeting)
  }

  private mutating func enter(_ stage: Uplink.Stage) {
    uplink.stage = stage
    uplink.step += 1
    schedule(after: Limits.serverReplyMicroseconds, .uplink(uplink.step))
  }

  /// It is time to try again, or it took too long.
  mutating func uplinkIsDue() {
    switch uplink.stage {
    case .away: tryServer()
    case .greeting: loseServer("it does not say what it is")
    case .naming: loseServer("it does not answer")
    case .dialling, .up: break
    }
  }

  // MARK: Losing it

  mutating func loseServer(_ reason: String, isClosed: Bool = false, pause: Int64? = nil) {
    guard let session = uplink.session else { return }
    if !isClosed { effects.append(.close(session)) }
    removeSession(session.index)
    uplink.session = nil
    uplink.stage = .away
    uplink.step += 1
    uplink.failures += 1
    uplink.failure = reason
    uplink.listing = []
    uplink.groupsDue = []
    uplink.probedAt = 0
    let asked = uplink.asked
    uplink.asked = []
    isHeldBack.removeAll()
    for one in asked { serverWillNotAnswer(one) }
    // Of those that we do not know to be in, nothing is kept.
    groups = groups.filter { $0.value.isIn }
    for group in groups.keys { groups[group]?.isAsked = false }
    for lane in lanes.indices where lanes[lane].path == .relay { breakPath(of: lane) }
    for contact in contacts.indices { markDirty(contact) }
    for session in sessionsHolding() { retryHeld(session) }
    guard !isShuttingDown else { return }
    let doubled = Limits.serverRetryLeastMicroseconds << Int64(min(uplink.failures - 1, 16))
    let wait = pause ?? jittered(min(Limits.serverRetryMostMicroseconds, doubled))
    schedule(after: wait, .uplink(uplink.step))
    news.append(
      .serverIsAway(reason: reason, retrySeconds: Int((wait + 999_999) / 1_000_000)))
  }

  private mutating func serverWillNotAnswer(_ asked: Asked) {
    guard let mouth = asked.mouth else { return }
    if case .join(let group, _) = asked.what { isNotJoined(group) }
    if case .handOver = asked.what {
      return refuse(
        Refusal(
          .unreachable, asked.what.verb,
          "the server was lost before it answered, so it may have the message or not"), to: mouth)
    }
    refuse(
      Refusal(.unreachable, asked.what.verb, "the server was lost before it answered; try again"),
      to: mouth)
  }

  /// At the end: what is due is still written.
  mutating func leaveServer() {
    guard let session = uplink.session else { return }
    effects.append(uplink.stage == .dialling ? .close(session) : .finish(session))
    for one in uplink.asked { serverWillNotAnswer(one) }
    uplink.asked = []
    if uplink.stage == .dialling { removeSession(session.index) }
    uplink.stage = .away
    uplink.session = nil
  }

  // MARK: Signs of life

  mutating func probeServer() {
    guard isServerUp else {
      // A pause that was begun in another network says nothing about this one.
      if uplink.stage == .away { tryServer() }
      return
    }
    guard let session = uplink.session,
      uplink.probedAt == 0 || sessions[session.index].heardAt > uplink.probedAt
    else { return }
    uplink.probedAt = time
    sweepSoon()
    tellServer { $0.append("PING\n") }
  }

  mutating func lookAfterServer() {
    guard isServerUp, let session = uplink.session else { return }
    let heardAt = sessions[session.index].heardAt
    if uplink.probedAt != 0 {
      if heardAt > uplink.probedAt {
        uplink.probedAt = 0
      } else if time - uplink.probedAt >= Limits.probeMicroseconds {
        return loseServer("it gives no sign of life")
      }
    } else if time - heardAt >= Limits.silenceMicroseconds {
      probeServer()
    }
    if uplink.probedAt != 0 { sweepSoon() }
  }

  // MARK: Asking

  func tellServer(_ encode: (ByteBuffer) -> Void) {
    guard let session = uplink.session else { return }
    fanOut.send(to: session.index, isReply: true, encode)
  }

  /// Sends a request; `encode` writes what stands behind the tags, without the end of line.
  mutating func ask(
    _ what: Asked.What, for mouth: Mouth? = nil, tags: (ByteBuffer) -> Void = { _ in },
    _ encode: (ByteBuffer) -> Void
  ) {
    uplink.labels += 1
    uplink.asked.append(Asked(label: uplink.labels, what: what, mouth: mouth))
    let label = uplink.labels
    tellServer { buffer in
      buffer.append("@label=")
      buffer.append(decimal: Int(label))
      tags(buffer)
      buffer.append(" ")
      encode(buffer)
      buffer.append("\n")
    }
  }

  private mutating func askName(_ name: MemberName, for mouth: Mouth? = nil) {
    ask(.nick(name), for: mouth) {
      $0.append("NICK ")
      $0.append(name)
    }
  }

  mutating func askJoin(
    _ group: GroupName, for mouth: Mouth? = nil, isAddressRefused: Bool = false
  ) {
    var placement: Placement?
    var joining = Asked.Joining.plain
    if !configuration.isTransient {
      placement = .relay
      if isAddressRefused {
        joining = .insteadOfAddress
      } else if let listens, !uplink.isRelayForced {
        placement = isListenerExplicit ? .endpoint(listens) : .port(listens.port)
        joining = .address
      }
    }
    // The answer is a whole roster: what is missing until then is in it.
    groups[group]?.isAsked = true
    ask(.join(group, joining), for: mouth) {
      $0.append("JOIN ")
      $0.append(group)
      if let placement {
        $0.append(" ")
        $0.append(placement)
      }
    }
  }

  mutating func askMembers(_ group: GroupName) {
    guard isServerUp, groups[group]?.isAsked != true else { return }
    groups[group, default: Replica(group)].isAsked = true
    ask(.members(group)) {
      $0.append("MEMBERS ")
      $0.append(group)
    }
  }

  mutating func askLeave(_ group: GroupName) {
    ask(.leave(group)) {
      $0.append("LEAVE ")
      $0.append(group)
    }
  }

  /// Our place is another one: the server is told with the next group, and that decides for all.
  mutating func joinAgain() {
    for group in wanted.sorted() { askJoin(group) }
  }

  // MARK: What it is

  /// `INFO <program> <version> key=value …`
  mutating func hearGreeting(_ line: LineView) {
    guard uplink.stage == .greeting else { return }
    var view = line
    var id: UInt64?
    var lineBytesMax = WireLimits.lineBytes
    while let word = view.word() {
      guard let (key, value) = keyAndValue(word) else { continue }
      if key == "server", value.utf8.count == 16 { id = UInt64(value, radix: 16) }
      if key == "max-line", let bytes = Int(value) {
        lineBytesMax = min(max(bytes, WireLimits.lineBytesLeast), WireLimits.lineBytes)
      }
    }
    guard let id else { return loseServer("what answers there is no LineChat server") }
    uplink.lineBytesMax = lineBytesMax
    enter(.naming)
    uplink.isNamed = false
    seen(server: id)
    askName(name)
  }

  private mutating func seen(server id: UInt64) {
    let isAnother = uplink.id != nil && uplink.id != id
    uplink.id = id
    uplink.isAnother = isAnother
    guard let address = uplink.address else { return }
    effects.append(
      .note(
        Record { buffer in
          buffer.append("@at=")
          buffer.append(address)
          buffer.append(" INFO linechatd server=")
          buffer.append(hexadecimal(id))
        }))
  }

  /// The name is ours. At first the session stands with it, unless the server may know us by another.
  mutating func nameIsOurs(_ written: MemberName) {
    take(name: written)
    if doubtfulName == written { wants(written) }
    guard uplink.stage == .naming else { return }
    uplink.isNamed = true
    guard let doubtfulName else { return sessionStands() }
    // Of somebody whose memberships end with the connection nothing stays with the server.
    guard !configuration.isTransient else {
      wants(name)
      return sessionStands()
    }
    // Where no group is known to have us, a join or a leave may have been carried out whose answer was
    // lost: then no list says which name is ours, and only by asking for it it is.
    guard let group = groups.values.filter(\.isIn).map(\.name).min() else {
      return askName(doubtfulName)
    }
    ask(.identity(group)) {
      $0.append("MEMBERS ")
      $0.append(group)
    }
  }

  private mutating func sessionStands() {
    uplink.stage = .up
    uplink.step += 1
    uplink.failures = 0
    uplink.failure = nil
    news.append(.serverIsThere(id: uplink.id ?? 0, isAnother: uplink.isAnother))
    sweepSoon()
    if let nextName {
      wants(nextName)
      askName(nextName)
    }
    nextName = nil
    for group in leaving.sorted() { askLeave(group) }
    joinAgain()
    for contact in contacts.indices { markDirty(contact) }
  }

  mutating func nameIsRefused(_ wantedName: MemberName, _ refusal: Refusal, for mouth: Mouth?) {
    if doubtfulName == wantedName && uplink.stage == .up { wants(name) }
    if let mouth { return refuse(refusal, to: mouth) }
    news.append(.nameIsTaken(wantedName, reason: refusal.text))
    // The name of before is ours all the same, and what is new about it can be tried at another time.
    guard uplink.stage == .naming else { return }
    if let doubtfulName, wantedName != doubtfulName {
      // Somebody else can have our name because the server had given us the other one before.
      return askName(doubtfulName)
    }
    if wantedName == doubtfulName && uplink.isNamed {
      if doubtEnds == 0 { doubtEnds = time + Limits.doubtfulNameMicroseconds }
      // It is worth waiting for where a list has shown that it is ours: a dead connection of ours has it.
      guard time < doubtEnds, groups.values.contains(where: \.isIn) else {
        wants(name)
        return sessionStands()
      }
    }
    loseServer(
      "the name \(wantedName) is not to be had: \(refusal.text)",
      pause: jittered(Limits.nameRetryMicroseconds))
  }

  // MARK: Names in doubt

  /// A group of ours, as the server has it: are we in it under our name, or under the one that it was
  /// asked for when it was lost?
  mutating func resolveDoubt(_ entries: [Roster.Entry]) {
    guard uplink.stage == .naming, let doubtfulName else { return }
    let names = entries.map(\.member.name)
    if !names.contains(name) && names.contains(doubtfulName) { return askName(doubtfulName) }
    wants(name)
    sessionStands()
  }

  /// From here on we are called so.
  mutating func take(name new: MemberName) {
    guard !new.isWrittenLike(name) else { return }
    let (before, place) = (name, place)
    name = new
    if let other = contactIndices[new] { isUs(other) }
    effects.append(
      .note(
        Record { buffer in
          appendSource(buffer, Member(name: before, place: place))
          buffer.append("NICK ")
          buffer.append(new)
        }))
    news.append(.named(new))
  }

  mutating func rename(to new: MemberName, for mouth: Mouth) {
    guard isServerUp else { return refuse(serverIsAway(.nick), to: mouth) }
    guard doubtfulName == nil, !pending.values.contains(where: \.isWanted) else {
      return refuse(
        Refusal(.rateLimited, .nick, "another name is being asked for; try again when it is there"),
        to: mouth)
    }
    persist(askedRecord(new), .wanted(new, mouth, uplink.session))
  }

  /// That the name is asked for is on the disk: a start after a crash will ask what has come of it.
  mutating func isWanted(_ new: MemberName, _ mouth: Mouth, _ session: SessionID?) {
    guard isServerUp, uplink.session == session else {
      isNotWanted()
      return refuse(
        Refusal(
          .unreachable, .nick, "the server was lost before it was asked; say it again"),
        to: mouth)
    }
    doubts(new)
    askName(new, for: mouth)
  }

  /// It is not asked for, whatever the disk says.
  mutating func isNotWanted() {
    effects.append(.note(askedRecord(doubtfulName ?? name)))
  }

  /// The server may have given us the name when we have not heard of it yet. Whatever happens until
  /// then, it is asked for again: else somebody of that name would stay in the rosters whom nobody
  /// answers for. Our own name: there is no doubt any more.
  private mutating func wants(_ new: MemberName) {
    doubts(new)
    effects.append(.note(askedRecord(new)))
  }

  private mutating func doubts(_ new: MemberName) {
    doubtfulName = new == name ? nil : new
    doubtEnds = 0
  }

  private func askedRecord(_ new: MemberName) -> Record {
    let (name, place) = (name, place)
    return Record { buffer in
      buffer.append("@asked=1 ")
      appendSource(buffer, Member(name: name, place: place))
      buffer.append("NICK ")
      buffer.append(new)
    }
  }

  func serverIsAway(_ verb: Verb) -> Refusal {
    guard let server = configuration.server else {
      return Refusal(.unreachable, verb, "this node was started without a server")
    }
    let reason = uplink.failure.map { " (\($0))" } ?? ""
    return Refusal(
      .unreachable, verb, "the server at \(server) is away\(reason); it is tried again by itself")
  }
}

extension Asked.What {
  var verb: Verb {
    switch self {
    case .nick: .nick
    case .leave: .leave
    case .join: .join
    case .members, .identity: .members
    case .groups: .groups
    case .say(.group, _, _): .msg
    case .say(.person, _, _): .pm
    case .handOver(let message, _): if case .group = message.conversation { .msg } else { .pm }
    }
  }
}

/// `key=value`
func keyAndValue(_ word: UnsafeRawBufferPointer) -> (key: String, value: String)? {
  guard let equals = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
  return (
    String(decoding: word[..<equals], as: UTF8.self),
    String(decoding: word[(equals + 1)...], as: UTF8.self)
  )
}
