// The two steps to the disk: what must be written before it is true is handed out as a record, with a
// ticket; when the ticket comes back, it is carried out. And the calls of the library.

import DequeModule
import LineProtocol

/// Something that waits for the disk, and what to do with it then.
enum PeerPending {
  case said(Int32, UInt64, ChatMessage, Mouth)
  case heard(Incoming)
  case left(GroupName, Mouth)
  /// Is going to ask for that name, on that connection to the server.
  case wanted(MemberName, Mouth, SessionID?)
  /// In a group, by a request or by itself, and the roster is noted.
  case entered(GroupName, Mouth?, isNew: Bool)

  func isLeave(of group: GroupName) -> Bool {
    if case .left(let left, _) = self { left == group } else { false }
  }

  var isWanted: Bool { if case .wanted = self { true } else { false } }
}

/// What waits for the disk, in the order in which it was handed out. The disk answers in that order, so
/// the one that is asked for is nearly always the first. And what is to be told behind them.
struct PendingSteps {
  private var steps: Deque<(ticket: Ticket, step: PeerPending)> = []
  private var heldNews: Deque<(behind: Ticket, news: News)> = []

  var count: Int { steps.count }
  var heldCount: Int { heldNews.count }
  var values: some Sequence<PeerPending> { steps.lazy.map(\.step) }

  mutating func append(_ step: PeerPending, _ ticket: Ticket) { steps.append((ticket, step)) }

  /// Takes out the one with that ticket; nil where there is none.
  mutating func take(_ ticket: Ticket) -> PeerPending? {
    if steps.first?.ticket == ticket { return steps.removeFirst().step }
    guard let index = steps.index(of: ticket.number, in: { $0.ticket.number }) else { return nil }
    return steps.remove(at: index).step
  }

  /// Keeps news until everything that waits now has its answer. False: nothing waits, or too much is
  /// kept already.
  mutating func hold(_ news: News) -> Bool {
    guard let last = steps.last, heldNews.count < Limits.heldNews else { return false }
    heldNews.append((last.ticket, news))
    return true
  }

  /// The next that nothing before it waits for any more.
  mutating func takeHeld() -> News? {
    guard let held = heldNews.first else { return nil }
    if let first = steps.first, first.ticket.number <= held.behind.number { return nil }
    return heldNews.removeFirst().news
  }
}

extension Peer {
  mutating func persist(_ record: Record, _ step: PeerPending) {
    let ticket = nextTicket()
    pending.append(step, ticket)
    effects.append(.persist(record, ticket))
  }

  /// Tells the user of a change in a roster: behind the messages that came before it and are still on
  /// their way to the disk, so that nobody is seen to speak who was seen to leave.
  mutating func tellBehindMessages(_ change: News) {
    if !pending.hold(change) { news.append(change) }
  }

  private mutating func tellHeld() {
    while let change = pending.takeHeld() { news.append(change) }
  }

  package mutating func persisted(_ ticket: Ticket, now: Instant) {
    begin(now)
    defer { tellHeld() }
    guard let step = pending.take(ticket) else { return }
    switch step {
    case .said(let stream, let sequence, let message, _): isSaid(stream, sequence, message)
    case .heard(let incoming): isHeard(incoming)
    case .left(let group, let mouth):
      hasLeft(group)
      answer(mouth, verb: .leave) { $0.append(group) }
      if case .call(let call) = mouth { news.append(.answer(call: call, .done)) }
    case .wanted(let new, let mouth, let session): isWanted(new, mouth, session)
    case .entered(let group, let mouth, let isNew): hasEntered(group, mouth, isNew: isNew)
    }
  }

  package mutating func persistFailed(_ ticket: Ticket, reason: String, now: Instant) {
    begin(now)
    defer { tellHeld() }
    guard let step = pending.take(ticket) else { return }
    func refusal(_ verb: Verb, _ text: String) -> Refusal {
      Refusal(.internalError, verb, "\(text) could not be written to disk (\(reason))")
    }
    switch step {
    case .said(let stream, let sequence, let message, let mouth):
      isNotSaid(stream, sequence)
      let verb: Verb = if case .group = message.conversation { .msg } else { .pm }
      refuse(refusal(verb, "the message"), to: mouth)
    case .heard(let incoming): isNotHeard(incoming, reason)
    case .left(let group, let mouth):
      refuse(refusal(.leave, "the change"), to: mouth)
      leaveIsOver(group)
    case .wanted(_, let mouth, _):
      refuse(refusal(.nick, "the change"), to: mouth)
      isNotWanted()
    case .entered(let group, let mouth, let isNew):
      // The server has it on its disk, and tells us again after a restart.
      hasEntered(group, mouth, isNew: isNew)
    }
  }

  /// Told, and answered with `MEMBER` lines and `OK JOIN` as from the server where somebody asked.
  private mutating func hasEntered(_ group: GroupName, _ mouth: Mouth?, isNew: Bool) {
    guard let replica = groups[group], replica.isIn else {
      if let mouth { refuse(hasLeftMeanwhile(group), to: mouth) }
      return
    }
    news.append(.entered(replica.name, members: replica.roster.count, isNew: isNew))
    guard let mouth else { return }
    switch mouth {
    case .call(let call):
      news.append(.answer(call: call, .members(replica.name, replica.roster.all)))
    case .session(let id, let label, let slot):
      guard isLive(id) else { return }
      let isTagged = sessions[id.index].speaksTags
      fill(id.index, slot) { buffer in
        func begin(_ version: RosterVersion?) {
          guard isTagged else { return }
          var tags = Tags()
          tags["label"] = label
          tags["version"] = version?.description
          tags.render(into: buffer)
        }
        for entry in replica.roster.all {
          begin(nil)
          appendMemberLine(buffer, replica.name, entry)
          buffer.append("\n")
        }
        begin(replica.roster.version)
        buffer.append("OK JOIN ")
        buffer.append(replica.name)
        buffer.append(" ")
        buffer.append(decimal: replica.roster.count)
        buffer.append("\n")
      }
    }
  }

  // MARK: Calls of the library

  /// The answer comes as `News.answer` with the call's number, unless that is 0.
  package mutating func perform(_ command: Command, call: UInt64, now: Instant) {
    begin(now)
    let mouth = Mouth.call(call)
    switch command {
    case .join(let group): join(group, for: mouth)
    case .leave(let group): leave(group, for: mouth)
    case .rename(let new): rename(to: new, for: mouth)
    case .say(let group, let text):
      if let refusal = fault(in: text, .msg) { return refuse(refusal, to: mouth) }
      say(text, in: group, for: mouth)
    case .tell(let recipient, let text):
      if let refusal = fault(in: text, .pm) { return refuse(refusal, to: mouth) }
      tell(text, to: recipient, for: mouth)
    case .members(let group):
      guard let replica = groups[group], replica.isIn else {
        return refuse(
          Refusal(.noSuchGroup, .members, "this node is not in a group \(group)"), to: mouth)
      }
      news.append(.answer(call: call, .members(replica.name, replica.roster.all)))
    case .groups:
      if isServerUp {
        return ask(.groups, for: mouth) { $0.append("GROUPS") }
      }
      let own = groups.values.filter(\.isIn).sorted { $0.name < $1.name }
      news.append(
        .answer(
          call: call,
          .groups(own.map { GroupCount(name: $0.name, members: $0.roster.count) })))
    }
  }

  /// What keeps a text from being sent in one line.
  private func fault(in text: String, _ verb: Verb) -> Refusal? {
    do throws(Refusal) {
      guard let group = GroupName("x") else { return nil }
      _ = try Message(content: .msg(group, text))
      return nil
    } catch {
      return Refusal(error.code, verb, error.text)
    }
  }

  package func status(now: Instant) -> NodeStatus {
    NodeStatus(
      name: name, place: place, serverID: uplink.id, isServerThere: isServerUp,
      serverFailure: uplink.failure,
      groups: groups.values.filter(\.isIn).sorted { $0.name < $1.name }
        .map { GroupCount(name: $0.name, members: $0.roster.count) },
      contacts: contacts.indices.map { contacts[$0] }
        .sorted { $0.member.name < $1.member.name }.map { contact in
          let wait = contact.retryAt - now.monotonicMicroseconds
          return NodeStatus.Contact(
            member: contact.member, isOnline: contact.isOnline, speaksTags: contact.speaksTags,
            isLinked: contact.link == .open, waiting: contact.waiting,
            lastFailure: contact.lastFailure,
            retrySeconds: wait > 0 ? Int((wait + 999_999) / 1_000_000) : nil,
            sentDirectly: contact.sentDirectly, sentRelayed: contact.sentRelayed)
        },
      outboxMessages: outboxMessages, outboxBytes: outboxBytes,
      heardDirectly: counters.heardDirectly, heardRelayed: counters.heardRelayed)
  }
}
