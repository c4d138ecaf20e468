// What others say to us: believed or not, taken once and in order, written to the journal, and then
// acknowledged and shown.
//
// Of each stream one number is kept, that of the latest message taken. What is at or below it is a
// duplicate, acknowledged again and dropped. What says by `prev` that something before it is missing is
// not taken; the receipt names our own number, and what is missing, and the sender goes on from there.
// (Were a receipt that comes twice taken for one that says so, every message under way would be sent
// again, be acknowledged twice for that, and so on.)

import DequeModule
import LineProtocol

struct HeardStream {
  /// On the disk.
  var durable: UInt64
  /// Taken, and on their way to the disk, in order.
  var underWay: Deque<UnderWay> = []
  /// Connections on which one of those came again: the receipt is for them, too.
  var repeated: [Repeated] = []
  /// The order in which streams were heard last.
  var order: UInt64

  /// The latest message that was taken.
  var taken: UInt64 { underWay.last?.sequence ?? durable }

  mutating func takes(_ sequence: UInt64, order: UInt64) {
    underWay.append(UnderWay(sequence: sequence, attempt: order))
    self.order = order
  }

  /// One is on the disk. False: it is not the first of those on their way, so one before it has failed,
  /// and it has failed with that.
  mutating func isDurable(_ written: UnderWay?) -> Bool {
    guard let first = underWay.first, first == written else { return false }
    underWay.removeFirst()
    durable = first.sequence
    return true
  }
}

/// A message on its way to the disk. One that failed comes again while what was written with it may still
/// be under way: what becomes of that says nothing about the second time.
struct UnderWay: Equatable {
  let sequence: UInt64
  /// Another one each time that it is taken.
  let attempt: UInt64
}

/// A message that came on a second connection while it was on its way to the disk: the first may be dead.
struct Repeated {
  let sequence: UInt64
  let destination: Destination
  let source: Member
  let session: SessionID
}

/// A receipt that goes out at the end of the round.
struct DueAck {
  struct Key: Hashable {
    let session: SessionID
    let stream: UInt64
  }

  let key: Key
  /// The word behind the verb in what is acknowledged.
  let destination: Destination
  var sequence: UInt64
  /// Something was not taken: the number that is missing before it.
  var missing: UInt64?
  /// On the uplink: for whom it is.
  let sender: MemberName?
}

/// A message on its way to the journal.
struct Incoming {
  var message: ChatMessage
  let session: SessionID
  let destination: Destination
  let bytes: Int
  /// What it is among those of its stream that are on their way to the disk; nil without a number.
  let underWay: UnderWay?
  /// Who waits for a reply; nil where a receipt is what is waited for.
  let mouth: Mouth?
}

extension Peer {
  /// On the uplink the server vouches for the source.
  mutating func hearRelayed(_ view: LineView) {
    guard let session = uplink.session, let line = HeardLine(view), let source = line.source,
      source.name != name
    else { return }
    if case .group(let group) = line.target, groups[group]?.isIn != true {
      askAboutUnknown(group)
    }
    hear(line, from: source, on: session, .relayed)
  }

  /// Takes a message from a source that is believed.
  mutating func hear(
    _ line: HeardLine, from source: Member, on session: SessionID, _ path: ChatMessage.Path,
    unverifiedOrigin: Origin? = nil
  ) {
    // A stranger's numbers are nobody's: they could be those of somebody else.
    let id = unverifiedOrigin == nil ? line.id : nil
    var before: UInt64 = 0
    if let id {
      guard let taken = take(id, prev: line.prev) else {
        return acknowledgeAgain(id, line.prev, line.destination, source, session)
      }
      before = taken
    }
    var time = now.wallMicroseconds
    if let said = line.time, clock.saw(said, now) { time = said }
    var message = ChatMessage(
      id: id, from: source, conversation: conversation(of: line, source),
      text: String(decoding: line.text, as: UTF8.self), timeMicroseconds: time,
      receivedMicroseconds: now.wallMicroseconds, path: path)
    if case .tcp(let address) = unverifiedOrigin { message.unverifiedAddress = address }
    message.isUnverified = unverifiedOrigin != nil
    message.isFromBeforeStart = time < (startedAt?.wallMicroseconds ?? 0)
    message.isLate = now.wallMicroseconds - time > Limits.lateMicroseconds
    if path == .direct { counters.heardDirectly += 1 } else { counters.heardRelayed += 1 }
    write(message, line, session, before: before)
  }

  private func conversation(of line: HeardLine, _ source: Member) -> Conversation {
    switch line.target {
    case .group(let group): .group(groups[group]?.name ?? group)
    case .person: .person(source.name)
    }
  }

  /// Takes a message that is new and follows on what was taken, and returns the number of that; nil:
  /// it is not taken.
  private mutating func take(_ id: MessageID, prev: UInt64?) -> UInt64? {
    heardCount += 1
    let order = heardCount
    let taken = heard[id.stream]?.taken ?? 0
    guard id.sequence > taken, (prev ?? 0) <= taken else { return nil }
    if taken == 0 && heard.count >= Limits.streamsHeard { forgetOldestStreams() }
    // In its place: a copy would be one of everything that is under way.
    heard[id.stream, default: HeardStream(durable: 0, order: order)]
      .takes(id.sequence, order: order)
    return taken
  }

  /// A fourth of them, so that it is not done each time.
  private mutating func forgetOldestStreams() {
    let orders = heard.values.map(\.order).sorted()
    let limit = orders[orders.count / 4]
    heard = heard.filter { $0.value.order > limit || !$0.value.underWay.isEmpty }
  }

  private mutating func acknowledgeAgain(
    _ id: MessageID, _ prev: UInt64?, _ destination: Destination, _ source: Member,
    _ session: SessionID
  ) {
    let stream = heard[id.stream] ?? HeardStream(durable: 0, order: 0)
    let isDuplicate = id.sequence <= stream.taken
    if isDuplicate { counters.duplicates += 1 }
    // One on its way to the disk has its receipt when it is there.
    guard !isDuplicate || id.sequence <= stream.durable else {
      heard[id.stream]?.repeated.removeAll { $0.session == session }
      heard[id.stream]?.repeated.append(
        Repeated(
          sequence: id.sequence, destination: destination, source: source, session: session))
      return
    }
    acknowledge(
      id.stream, stream.durable, destination, source, session, missing: isDuplicate ? nil : prev)
  }

  private mutating func acknowledgeRepeated(_ id: MessageID) {
    guard let repeated = heard[id.stream]?.repeated, !repeated.isEmpty else { return }
    let due = repeated.filter { $0.sequence <= id.sequence }
    heard[id.stream]!.repeated.removeAll { $0.sequence <= id.sequence }
    for one in due { acknowledge(id.stream, id.sequence, one.destination, one.source, one.session) }
  }

  /// - Parameter before: the number of what was taken before it. A crash can leave this one and not
  ///   what was written with it: then it was not heard, either.
  private mutating func write(
    _ message: ChatMessage, _ line: HeardLine, _ session: SessionID, before: UInt64
  ) {
    let record = Record(through: scratch) { buffer in
      buffer.append("@heard=")
      buffer.append(time: message.receivedMicroseconds)
      if let id = message.id {
        buffer.append(";msgid=")
        buffer.append(id)
        if before > 0 {
          buffer.append(";prev=")
          buffer.append(decimal: Int(clamping: before))
        }
      }
      buffer.append(";time=")
      buffer.append(time: message.timeMicroseconds)
      if message.isUnverified {
        buffer.append(";unverified=")
        if let address = message.unverifiedAddress {
          buffer.append(address)
        } else {
          buffer.append("unix")
        }
      }
      buffer.append(" ")
      appendSource(buffer, message.from)
      line.append(to: buffer)
    }
    let bytes = line.text.count + 256
    unwrittenBytes += bytes
    sessions[session.index].unwritten += 1
    if unwrittenBytes > Limits.unwrittenBytes { isInputPaused = true }
    // Who sends no number waits for an answer, not for a receipt.
    let isAnswered = message.id == nil && sessions[session.index].kind == .guest
    let mouth = isAnswered ? self.mouth(session.index, line.labelText) : nil
    persist(
      record,
      .heard(
        Incoming(
          message: message, session: session, destination: line.destination, bytes: bytes,
          underWay: message.id.flatMap { heard[$0.stream]?.underWay.last }, mouth: mouth)))
  }

  /// It is in the journal: it is acknowledged and shown.
  mutating func isHeard(_ incoming: Incoming) {
    written(incoming)
    let message = incoming.message
    if let id = message.id {
      guard heard[id.stream]?.isDurable(incoming.underWay) == true else {
        return isAnswered(incoming)
      }
      acknowledge(id.stream, id.sequence, incoming.destination, message.from, incoming.session)
      acknowledgeRepeated(id)
    } else if let mouth = incoming.mouth {
      let name = name
      switch message.conversation {
      case .group(let group): answer(mouth, verb: .msg) { $0.append("\(group) 1/1") }
      case .person: answer(mouth, verb: .pm) { $0.append(name) }
      }
    }
    news.append(.message(message))
    tellOwners(message)
    // Who speaks to us can be reached.
    if message.path == .direct, let contact = contactIndices[message.from.name],
      contacts[contact].retryAt > time
    {
      contacts[contact].retryAt = 0
      markDirty(contact)
    }
    isAnswered(incoming)
  }

  /// It could not be written: it was never taken, nor was what came behind it. The connection is given
  /// up, so that it comes again.
  mutating func isNotHeard(_ incoming: Incoming, _ reason: String) {
    written(incoming)
    let repeated = wasNotTaken(incoming)
    for session in [incoming.session] + repeated { giveUp(session, incoming, reason) }
  }

  private mutating func giveUp(_ id: SessionID, _ incoming: Incoming, _ reason: String) {
    guard isLive(id) else { return }
    let session = id.index
    switch sessions[session].kind {
    case .uplink: loseServer("what it says can't be written to disk (\(reason))")
    case .guest, .owner, .link:
      let verb: Verb = if case .group = incoming.message.conversation { .msg } else { .pm }
      let refusal = Refusal(
        .internalError, verb, "it could not be written to disk (\(reason)); say it again")
      if let mouth = incoming.mouth {
        refuse(refusal, to: mouth)
        return isAnswered(incoming)
      }
      refuse(refusal, to: session, label: nil, about: incoming.message.id?.description)
      end(session, reason: "the disk failed")
    }
  }

  /// Returns the other connections on which it, or what came behind it, has come again.
  private mutating func wasNotTaken(_ incoming: Incoming) -> [SessionID] {
    guard let id = incoming.message.id, let failed = incoming.underWay,
      var stream = heard[id.stream], let index = stream.underWay.firstIndex(of: failed)
    else { return [] }
    stream.underWay.removeSubrange(index...)
    let lost = stream.repeated.filter { $0.sequence >= id.sequence }.map(\.session)
    stream.repeated.removeAll { $0.sequence >= id.sequence }
    heard[id.stream] = stream.taken == 0 ? nil : stream
    return lost
  }

  /// Whoever said it may have waited for nothing else.
  private mutating func isAnswered(_ incoming: Incoming) {
    if isLive(incoming.session) { endIfDone(incoming.session.index) }
  }

  private mutating func written(_ incoming: Incoming) {
    unwrittenBytes -= incoming.bytes
    if isLive(incoming.session) { sessions[incoming.session.index].unwritten -= 1 }
    guard isInputPaused, unwrittenBytes <= Limits.unwrittenBytes / 2 else { return }
    isInputPaused = false
    for index in 0..<UInt32(sessions.count) where sessions.holds(index) {
      if sessions[index].activity == .ready { effects.append(.resume(sessions[index].id)) }
    }
  }

  // MARK: Receipts

  private mutating func acknowledge(
    _ stream: UInt64, _ sequence: UInt64, _ destination: Destination, _ source: Member,
    _ session: SessionID, missing: UInt64? = nil
  ) {
    guard isLive(session) else { return }
    let key = DueAck.Key(session: session, stream: stream)
    // Messages of one stream mostly come together.
    let latest = dueAcks.count - 1
    let isLatest = latest >= 0 && dueAcks[latest].key == key
    if let index = isLatest ? latest : dueAckIndices[key] {
      dueAcks[index].sequence = max(dueAcks[index].sequence, sequence)
      dueAcks[index].missing = missing ?? dueAcks[index].missing
      return
    }
    dueAckIndices[key] = dueAcks.count
    let isRelayed = sessions[session.index].kind == .uplink
    dueAcks.append(
      DueAck(
        key: key, destination: destination, sequence: sequence, missing: missing,
        sender: isRelayed ? source.name : nil))
  }

  /// One receipt a round for all that came of a stream.
  mutating func writeAcks() {
    guard !dueAcks.isEmpty else { return }
    for due in dueAcks where isLive(due.key.session) {
      let id =
        MessageID(stream: due.key.stream, sequence: due.sequence)
        ?? .nothing(of: due.key.stream)
      fanOut.send(to: due.key.session.index, isReply: true) { buffer in
        var tags = Tags()
        tags["to"] = due.sender?.description
        tags["prev"] = due.missing.map(String.init)
        tags.render(into: buffer)
        buffer.append("ACK ")
        buffer.append(due.destination)
        buffer.append(" ")
        buffer.append(id)
        buffer.append("\n")
      }
    }
    dueAcks.removeAll(keepingCapacity: true)
    dueAckIndices.removeAll(keepingCapacity: true)
  }

  /// Before the end of a session.
  mutating func writeAcks(to session: SessionID) {
    let others = dueAcks.filter { $0.key.session != session }
    guard others.count < dueAcks.count else { return }
    dueAcks.removeAll { $0.key.session != session }
    writeAcks()
    dueAcks = others
    for (index, due) in others.enumerated() { dueAckIndices[due.key] = index }
  }
}
