// From a line to the function that carries it out, and from a refusal to the ERR line. Here is the
// one switch over the verbs: the compiler leads a new verb to it.

import HeapModule
import LineProtocol

extension Directory {
  /// What a request came with, needed for its reply.
  struct Request {
    let session: UInt32
    /// What the requester chose to know the reply by.
    var label: String?
    var tags = Tags()
    /// What the tags took on the wire.
    var tagBytes = 0
    var isTagged: Bool { !tags.isEmpty }
    let now: Instant
  }

  /// Carries out one line of a session that is ready.
  mutating func perform(_ bytes: UnsafeRawBufferPointer, from session: UInt32, now: Instant) {
    var request = Request(session: session, now: now)
    do throws(Refusal) {
      let view = try LineView(bytes)
      if !view.tags.isEmpty { try takeTags(of: view, into: &request) }
      if !view.source.isEmpty { try checkSource(of: view, session) }
      try carryOut(view, request)
    } catch {
      refuse(error, to: session, label: request.label)
    }
  }

  private mutating func carryOut(_ view: LineView, _ request: Request) throws(Refusal) {
    switch view.verb {
    case .msg: try say(view, request)
    case .pm: try tell(view, request)
    case .ack: acknowledge(view, request)
    case .nick, .join, .leave, .members, .groups, .ping, .help, .stats, .wait, .quit, .forget:
      try carryOut(Message.Content(request: view), request)
    case .ok, .err, .pong: break
    case .info, .member, .group, .stat:
      throw Refusal(
        code: .unknownVerb, verb: view.verb,
        text: "that is what a server says, not what it is told; HELP lists the requests")
    case nil: throw unknownVerb(view, request.session)
    }
  }

  private mutating func carryOut(_ content: Message.Content, _ request: Request) throws(Refusal) {
    switch content {
    case .nick(let name): try rename(to: name, request)
    case .join(let group, let placement, _): try join(group, placement, request)
    case .leave(let group, _): try leave(group, request)
    case .members(let group): try listMembers(of: group, request)
    case .groups: listGroups(request)
    case .ping(let token): pong(token, request)
    case .help(let word): try help(word, request)
    case .stats: stats(request)
    case .wait(let seconds, let count): wait(seconds, count, request)
    case .quit: quit(request)
    case .forget(let name, let group): try forget(name, group, request)
    case .msg, .pm, .ack, .ok, .err, .pong, .info, .member, .group, .stat:
      preconditionFailure("these verbs are carried out from the line itself, or not at all")
    }
  }

  private mutating func takeTags(of view: LineView, into request: inout Request) throws(Refusal) {
    let tags = try Tags.parse(UnsafeRawBufferPointer(rebasing: view.bytes[view.tags]))
    request.label = tags["label"]
    request.tags = tags
    request.tagBytes = view.tags.count
    if !sessions[request.session].speaksTags {
      startTags(request.session, now: request.now)
    }
  }

  /// A source is believed where it is the speaker's own; anything else would be another's word.
  private func checkSource(of view: LineView, _ session: UInt32) throws(Refusal) {
    let bytes = UnsafeRawBufferPointer(rebasing: view.bytes[view.source])
    let own = members[sessions[session].member].wire
    guard let source = LineProtocol.Member(bytes: bytes), source == own else {
      throw Refusal(
        code: .forbidden, verb: view.verb, text: "you are \(own) here; leave the source away")
    }
  }

  /// The session's first tagged line: from here on it gets tagged lines.
  private mutating func startTags(_ session: UInt32, now: Instant) {
    let member = sessions[session].member
    let subscribed = members[member].memberships.filter { $0.slot >= 0 }
    for membership in subscribed { unsubscribe(member, membership.group) }
    sessions[session].speaksTags = true
    for membership in subscribed { subscribe(member, membership.group) }
    schedule(
      Deadline(
        at: now.monotonicMicroseconds + Limits.silenceMicroseconds,
        kind: .silence(sessions[session].id)))
  }
}

// MARK: - Replies

extension Directory {
  /// Sends a reply, or a data line of one. The tags are for those who speak them.
  func reply(
    _ session: UInt32, _ label: String?, version: RosterVersion? = nil, and more: Tags = Tags(),
    _ encode: (ByteBuffer) -> Void
  ) {
    fanOut.send(to: session, isReply: true) { buffer in
      if label != nil || version != nil || !more.isEmpty {
        appendTags(label, version, more, session, to: buffer)
      }
      encode(buffer)
      buffer.append(byte: UInt8(ascii: "\n"))
    }
  }

  private func appendTags(
    _ label: String?, _ version: RosterVersion?, _ more: Tags, _ session: UInt32,
    to buffer: ByteBuffer
  ) {
    guard sessions[session].speaksTags else { return }
    var tags = Tags()
    tags["label"] = label
    if let version { tags["version"] = version.description }
    for tag in more { tags[tag.key] = tag.value }
    tags.render(into: buffer)
  }

  mutating func refuse(_ refusal: Refusal, to session: UInt32, label: String?) {
    counters.refusals += 1
    reply(session, label) { refusal.appendLine(to: $0) }
    let state = sessions[session]
    effects.append(.event(.refused(state.id, members[state.member].name, refusal)))
  }

  mutating func quit(_ request: Request) {
    reply(request.session, request.label) { $0.append("OK QUIT") }
    end(request.session, reason: "quit", now: request.now)
  }

  func pong(_ token: String?, _ request: Request) {
    reply(request.session, request.label) {
      $0.append("PONG")
      if let token {
        $0.append(" ")
        $0.append(token)
      }
    }
  }
}

extension Refusal {
  /// `ERR <code> <VERB> <text>`, without the end of line.
  fileprivate func appendLine(to buffer: ByteBuffer) {
    buffer.append("ERR ")
    buffer.append(code.rawValue)
    buffer.append(" ")
    if let verb { buffer.append(verb.word) } else { buffer.append("-") }
    buffer.append(" ")
    buffer.append(text)
  }
}

// MARK: - Signs of life

/// A moment at which something is due.
struct Deadline: Comparable {
  enum Kind {
    /// Ask a silent program whether it is still there.
    case silence(SessionID)
    /// A WAIT runs out; the number tells it from a later one.
    case wait(SessionID, UInt64)
    /// The reader of a long listing has not moved; the number tells one piece from another.
    case listing(SessionID, UInt64)
    /// Who was dialled has not done what it should; the number counts its steps.
    case link(SessionID, UInt64)
    /// A member's address may be tried again; the number is its lane's.
    case retry(Int32, UInt64)
    /// A sender has waited long enough.
    case claim(UInt64)
    /// Look for members who were not seen for long.
    case housekeeping
  }

  let at: Int64
  let kind: Kind

  static func < (one: Deadline, other: Deadline) -> Bool { one.at < other.at }
  static func == (one: Deadline, other: Deadline) -> Bool { one.at == other.at }
}

extension Directory {
  /// Notes a moment. Those that were overtaken by events stay until they come up, and a WAIT may
  /// be set for a day: when most are such, they are thrown out.
  mutating func schedule(_ deadline: Deadline) {
    if deadlines.count >= deadlinesMax {
      var due: [Deadline] = []
      for one in deadlines.unordered where isDue(one) { due.append(one) }
      deadlines = Heap(due)
    }
    deadlines.insert(deadline)
  }

  /// How many deadlines are kept before those that events have overtaken are thrown out.
  var deadlinesMax: Int {
    Limits.deadlinesPerSession * (sessions.count + members.count) + 64
  }

  /// Whether events have not overtaken it.
  func isDue(_ deadline: Deadline) -> Bool {
    switch deadline.kind {
    case .silence(let id): isLive(id)
    case .wait(let id, let number): isLive(id) && waits[id.index]?.number == number
    case .listing(let id, let piece): isLive(id) && listings[id.index]?.piece == piece
    case .link(let id, let step): isLive(id) && sessions[id.index].link?.step == step
    case .retry(let member, let number):
      lanes[member].map { $0.number == number && $0.retryAt == deadline.at } ?? false
    case .claim(let number): claims[number] != nil
    case .housekeeping: true
    }
  }

  /// Asks a program that speaks tags for a sign of life; gives it up after `Limits.missedPings`.
  mutating func checkSilence(_ session: UInt32, now: Instant) {
    let state = sessions[session]
    var next = state.heardAt + Limits.silenceMicroseconds
    if next <= now.monotonicMicroseconds || state.missedPings > 0 {
      next = now.monotonicMicroseconds + Limits.silenceMicroseconds
      // While it is not listened to, its silence says nothing.
      if state.activity == .ready {
        guard state.missedPings < Limits.missedPings else {
          return end(session, reason: "no sign of life", now: now)
        }
        sessions[session].missedPings += 1
        fanOut.send(to: session, isReply: false) { $0.append("PING\n") }
      }
    }
    schedule(Deadline(at: next, kind: .silence(state.id)))
  }
}
