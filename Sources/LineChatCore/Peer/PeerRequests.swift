// From a line at our own port, or on the owner's socket, to what is done; and from there to the reply.
// Here is the one switch over the verbs: the compiler leads a new verb to it.
//
// A guest may say something to us and ask who is where. The owner speaks as we do ourselves.

import DequeModule
import LineProtocol

/// Who asked for something.
enum Mouth: Hashable {
  /// A line of the owner's socket; the number is that of its place among the replies.
  case session(SessionID, label: String?, slot: UInt64)
  /// A call of the library; 0: nobody waits for the answer.
  case call(UInt64)
}

/// A reply that has its place among others and is not there yet.
struct ReplySlot {
  let number: UInt64
  var bytes: [UInt8] = []
  var isDone = false
}

struct PeerWait {
  let number: UInt64
  let label: String?
  let count: Int?
  var received = 0
}

extension Peer {
  // MARK: Lines

  mutating func perform(_ bytes: UnsafeRawBufferPointer, from session: UInt32) {
    var label: String?
    var about: String?
    do throws(Refusal) {
      let view = try LineView(bytes)
      if performAsMessage(view, from: session) { return }
      var tags = Tags()
      if !view.tags.isEmpty {
        tags = try Tags.parse(UnsafeRawBufferPointer(rebasing: bytes[view.tags]))
        label = tags["label"]
        about = tags["msgid"]
        sessions[session].speaksTags = true
      }
      guard let verb = view.verb else { throw unknownVerb(view) }
      switch verb {
      case .ok, .err, .pong, .ack: return
      case .info, .member, .group, .stat:
        throw Refusal(
          .unknownVerb, verb,
          "that is what a node says, not what it is told; HELP lists the requests")
      case .msg, .pm, .nick, .join, .leave, .members, .groups, .ping, .help, .stats, .wait, .quit,
        .forget:
        break
      }
      let message = try Message(view)
      if sessions[session].kind == .owner {
        try performAsOwner(message, session, label)
      } else {
        try performAsGuest(message, session, label)
      }
    } catch {
      refuse(error, to: session, label: label, about: about)
    }
  }

  /// A message from a guest. Returns false where the line is none that can be taken, and has to be
  /// looked at for what is wrong with it.
  private mutating func performAsMessage(
    _ view: LineView, from session: UInt32
  ) -> Bool {
    guard sessions[session].kind == .guest, let line = HeardLine(view) else { return false }
    if !view.tags.isEmpty { sessions[session].speaksTags = true }
    do throws(Refusal) {
      if let source = line.source {
        switch hearGuest(line, source, session) {
        case .believed: break
        case .held(let group): hold(view.bytes, session, for: group)
        case .refused(let refusal): throw refusal
        }
      } else {
        try hearStranger(line, session)
      }
    } catch {
      let tags = tags(of: view)
      refuse(error, to: session, label: tags["label"], about: tags["msgid"])
    }
    return true
  }

  private mutating func hearStranger(_ line: HeardLine, _ session: UInt32) throws(Refusal) {
    switch line.target {
    case .person(let recipient):
      if let refusal = refuseIfNotForUs(recipient) ?? refuseIfTooMany() { throw refusal }
      hear(
        line, from: unverified, on: sessions[session].id, .direct,
        unverifiedOrigin: sessions[session].origin)
    case .group(let group):
      throw Refusal(
        .forbidden, .msg,
        "only its members speak in \(group) here; PM \(name) <text> reaches me, and the server "
          + "takes MSG")
    }
  }

  private mutating func performAsGuest(
    _ message: Message, _ session: UInt32, _ label: String?
  ) throws(Refusal) {
    guard message.source == nil else { throw notAServer(message.content.verb) }
    switch message.content {
    case .members(let group): try listMembers(group, session, label)
    case .groups: listGroups(session, label)
    case .ping(let token): pong(token, session, label)
    case .help(let word): try help(word, session, label, verbs: Help.ofNode)
    case .quit: quit(session, label)
    default: throw notAServer(message.content.verb)
    }
  }

  private mutating func performAsOwner(
    _ message: Message, _ session: UInt32, _ label: String?
  ) throws(Refusal) {
    if let source = message.source, source.name != name {
      throw Refusal(.forbidden, message.content.verb, "you are \(name) here; leave the source away")
    }
    switch message.content {
    case .msg(let group, let text): say(text, in: group, for: mouth(session, label))
    case .pm(let recipient, let text): tell(text, to: recipient, for: mouth(session, label))
    case .join(let group, let placement, _):
      guard placement == nil else {
        throw Refusal(
          .badSyntax, .join, "this node has its place already (\(place)): JOIN \(group)")
      }
      join(group, for: mouth(session, label))
    case .leave(let group, _): leave(group, for: mouth(session, label))
    case .nick(let new): rename(to: new, for: mouth(session, label))
    case .members(let group): try listMembers(group, session, label)
    case .groups: listGroups(session, label)
    case .stats: stats(session, label)
    case .wait(let seconds, let count): wait(seconds, count, session, label)
    case .ping(let token): pong(token, session, label)
    case .help(let word): try help(word, session, label, verbs: Help.ofOwner)
    case .quit: quit(session, label)
    case .forget:
      throw Refusal(.notAServer, .forget, "only a server forgets its members")
    case .ack, .ok, .err, .pong, .info, .member, .group, .stat: break
    }
  }

  /// A private message of somebody unknown is shown under this name.
  private var unverified: Member {
    guard let name = MemberName("unverified") else { preconditionFailure("that is a name") }
    return Member(name: name, place: .relay)
  }

  func notAServer(_ verb: Verb) -> Refusal {
    let server = configuration.server.map { "; the server is at \($0)" } ?? ""
    return Refusal(.notAServer, verb, "I am \(name)'s node and no server\(server)")
  }

  private func unknownVerb(_ view: LineView) -> Refusal {
    Refusal(
      .unknownVerb, nil,
      "no such request; PM \(name) <text> says something to me, HELP lists what I answer")
  }

  // MARK: What is asked

  private mutating func listMembers(
    _ group: GroupName, _ session: UInt32, _ label: String?
  ) throws(Refusal) {
    guard let replica = groups[group], replica.isIn else {
      throw Refusal(.noSuchGroup, .members, "I am not in a group \(group); GROUPS lists mine")
    }
    let isShown =
      sessions[session].kind == .owner || isHome(sessions[session].origin, of: group)
    var tags = Tags()
    tags["version"] = replica.roster.version.description
    reply(session, label, tags: tags) { buffer, begin in
      if isShown {
        for entry in replica.roster.all {
          begin(Tags())
          appendMemberLine(buffer, replica.name, entry)
          buffer.append("\n")
        }
      }
      begin(tags)
      buffer.append("OK MEMBERS ")
      buffer.append(replica.name)
      buffer.append(" ")
      buffer.append(decimal: replica.roster.count)
      buffer.append("\n")
    }
  }

  private mutating func listGroups(_ session: UInt32, _ label: String?) {
    let own = groups.values.filter(\.isIn).sorted { $0.name < $1.name }
    replyLines(
      session, label,
      own.map { "GROUP \($0.name) \($0.roster.count)" } + ["OK GROUPS \(own.count)"])
  }

  private mutating func pong(_ token: String?, _ session: UInt32, _ label: String?) {
    replyLines(session, label, [token.map { "PONG \($0)" } ?? "PONG"])
  }

  private mutating func help(
    _ word: String?, _ session: UInt32, _ label: String?, verbs: [Help]
  ) throws(Refusal) {
    var lines = ["one request a line; HELP <verb> says more"] + verbs.map(\.overviewLine)
    if let word {
      guard let verb = Verb(word), let help = verbs.first(where: { $0.verb == verb }) else {
        throw Refusal(.unknownVerb, .help, "I do not answer to that; HELP lists what I do")
      }
      lines = [help.syntax] + help.details
    }
    replyLines(session, label, lines.map { "HELP \($0)" } + ["OK HELP"])
  }

  private mutating func quit(_ session: UInt32, _ label: String?) {
    replyLines(session, label, ["OK QUIT"])
    sessions[session].activity = .quitting
    endIfDone(session)
  }

  private mutating func stats(_ session: UInt32, _ label: String?) {
    let started = (startedAt ?? now).monotonicMicroseconds
    let links = contacts.indices.filter { contacts[$0].link == .open }.count
    let lines: [(String, Int)] = [
      ("uptime-seconds", Int((time - started) / 1_000_000)),
      ("server-there", isServerUp ? 1 : 0),
      ("groups", groups.values.count { $0.isIn }),
      ("contacts", contacts.indices.count),
      ("links", links),
      ("connections", machine.connections),
      ("sent-direct", counters.sentDirectly),
      ("sent-relayed", counters.sentRelayed),
      ("acknowledged", counters.acknowledged),
      ("heard-direct", counters.heardDirectly),
      ("heard-relayed", counters.heardRelayed),
      ("duplicates", counters.duplicates),
      ("outbox-messages", outboxMessages),
      ("outbox-bytes", outboxBytes),
      ("dials", counters.dials),
      ("dials-failed", counters.failedDials),
      ("errors", counters.refusals),
      ("bytes-received", machine.bytesReceived),
      ("bytes-sent", machine.bytesSent),
      ("bytes-pending", machine.pendingBytes),
    ]
    replyLines(
      session, label,
      (lines + linked + waitingFor).map { "STAT \($0.0) \($0.1)" } + ["OK STATS"])
  }

  /// With whom a direct connection stands: as many as a person reads.
  private var linked: [(String, Int)] {
    let open = contacts.indices.filter { contacts[$0].link == .open }
    let names = open.map { contacts[$0].member.name }.sorted()
    return names.prefix(Limits.namesInTag).map { ("linked-with-\($0)", 1) }
  }

  /// For whom messages wait, and how many: those with the most of them.
  private var waitingFor: [(String, Int)] {
    var waiting: [(name: MemberName, count: Int)] = []
    for contact in contacts.indices where contacts[contact].waiting > 0 {
      waiting.append((contacts[contact].member.name, contacts[contact].waiting))
    }
    waiting.sort { $0.count == $1.count ? $0.name < $1.name : $0.count > $1.count }
    return waiting.prefix(Limits.namesInTag).map { ("waiting-for-\($0.name)", $0.count) }
  }

  private mutating func wait(_ seconds: Int, _ count: Int?, _ session: UInt32, _ label: String?) {
    let number = nextNumber()
    waits[session] = PeerWait(number: number, label: label, count: count)
    sessions[session].activity = .waiting
    schedule(after: Int64(seconds) * 1_000_000, .wait(sessions[session].id, number))
  }

  mutating func endWait(_ session: UInt32) {
    guard let wait = waits.removeValue(forKey: session) else { return }
    replyLines(session, wait.label, ["OK WAIT \(wait.received)"])
    makeReady(session)
  }

  // MARK: The owner hears what we hear

  mutating func tellOwners(_ message: ChatMessage) {
    guard !owners.isEmpty else { return }
    let own = name
    for owner in owners {
      let isTagged = sessions[owner].speaksTags
      fanOut.send(to: owner, isReply: false) { buffer in
        if isTagged { ownersTags(message).render(into: buffer) }
        appendSource(buffer, message.from)
        switch message.conversation {
        case .group: buffer.append(message.conversation)
        // Heard by us, a private message is for us.
        case .person: buffer.append(.person(own))
        }
        buffer.append(" ")
        buffer.append(message.text)
        buffer.append("\n")
      }
    }
    for owner in owners where waits[owner] != nil {
      waits[owner]!.received += 1
      if let count = waits[owner]!.count, waits[owner]!.received >= count { endWait(owner) }
    }
  }

  private func ownersTags(_ message: ChatMessage) -> Tags {
    var tags = Tags()
    tags["msgid"] = message.id?.description
    tags["time"] = Timestamp.text(message.timeMicroseconds)
    if message.isUnverified {
      tags["unverified"] = message.unverifiedAddress?.description ?? "unix"
    }
    if message.isLate { tags["late"] = "1" }
    return tags
  }

  /// Who is to hear of a change of a roster that is about to be applied.
  enum Audience { case nobody, programs, all }

  /// Of our own changes, they hear that we were taken out. A rename comes for each group that we share;
  /// those who read plain lines hear it once.
  func owners(for line: Message, _ replica: Replica) -> Audience {
    guard !owners.isEmpty, let source = line.source, let entry = replica.roster[source.name] else {
      return owners.isEmpty ? .nobody : .all
    }
    guard entry.handle >= 0 else {
      if case .leave = line.content { return .all }
      return .nobody
    }
    guard case .nick(let new) = line.content else { return .all }
    return contacts[entry.handle].member.name.isWrittenLike(new) ? .programs : .all
  }

  mutating func tellOwners(_ line: Message, _ audience: Audience) {
    guard audience != .nobody else { return }
    let plain = (try? Message(source: line.source, content: line.content)) ?? line
    for owner in owners where audience == .all || sessions[owner].speaksTags {
      let shown = sessions[owner].speaksTags ? line : plain
      fanOut.send(to: owner, isReply: false) { shown.render(into: $0) }
    }
  }
}
