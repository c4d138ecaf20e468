// MSG, PM, ACK and WAIT: what people came for. `say` is the hot path (behind it, `receiveRun`); on it
// nothing is allocated per receiver, and nothing is made a String unless somebody in the group speaks
// tags.

import LineProtocol

/// A session in a WAIT.
struct Wait {
  let number: UInt64
  let label: String?
  let count: Int?
  var received = 0
}

/// A session's entry in the list of a group it waits in; stale where the session's WAIT has another
/// number by now.
struct Waiting {
  let session: UInt32
  let number: UInt64
}

// MARK: - MSG

extension Directory {
  mutating func say(_ line: LineView, _ request: Request) throws(Refusal) {
    var view = line
    guard let word = view.word() else {
      throw Refusal(
        code: .badSyntax, verb: .msg, text: "MSG takes a group and a text: MSG <group> <text>")
    }
    guard let name = GroupName(bytes: word) else { throw badGroup(.msg) }
    guard let group = groupIndices[name] else { throw noSuchGroup(name, .msg) }
    guard !view.textIsBlank() else {
      throw Refusal(
        code: .badSyntax, verb: .msg, text: "the text is missing: MSG \(name) <text>")
    }
    counters.messages += 1
    if request.isTagged { learnTime(request) }
    let text = view.text()
    let member = sessions[request.session].member
    if request.isTagged, let narrowed = request.tags["to"] {
      return try narrowcast(text, in: group, to: narrowed, from: member, request)
    }
    let (handed, others) = try broadcast(text, in: group, from: member, request)
    if configuration.isTracing {
      report(text, to: groups[group].name.description, from: member, handed)
    }
    // Whoever speaks tags keeps its own messages for those who are away.
    if !request.isTagged && groups[group].live < groups[group].roster.count
      && keepForAway(text, in: group, from: member, handed: handed, others: others, request)
    {
      return
    }
    counters.deliveries += handed
    replyToMessage(
      request.session, request.label, groups[group].name, handed: handed, others: others, kept: 0)
    if !request.isTagged {
      said = Said(
        line: counters.lines, session: request.session, group: group, headBytes: view.cursor + 1)
    }
  }

  /// To everybody in the group but the speaker. Returns how many got it, of how many others.
  private mutating func broadcast(
    _ text: UnsafeRawBufferPointer, in group: Int32, from member: Int32, _ request: Request
  ) throws(Refusal) -> (Int, Int) {
    let isMember = bringToFront(member, group)
    let wire = members[member].wire
    let name = groups[group].name
    let tags = try stampedTags(request, heardIn: group)
    publish(to: group, from: member, isTagged: false) { appendMessage($0, wire, name, text) }
    if let tags {
      publish(to: group, from: member, isTagged: true) { buffer in
        tags.render(into: buffer)
        appendMessage(buffer, wire, name, text)
      }
      if !request.isTagged { retainForTagged(text, in: group, from: member) }
    }
    let own = isMember ? 1 : 0
    let counts = (groups[group].live - own, groups[group].roster.count - own)
    if !groups[group].waiting.isEmpty { noteReceived(in: group) }
    return counts
  }

  /// The member's membership of the group becomes the first to be looked at: who says something
  /// in a group mostly goes on there. Returns whether there is one.
  private mutating func bringToFront(_ member: Int32, _ group: Int32) -> Bool {
    guard let index = members[member].memberships.firstIndex(where: { $0.group == group })
    else { return false }
    if index > 0 { members[member].memberships.swapAt(0, index) }
    return true
  }

  /// The tags a message in the group carries for those who speak them; nil where nobody does.
  mutating func stampedTags(_ request: Request, heardIn group: Int32) throws(Refusal)
    -> Tags?
  {
    guard fanOut.subscriberCount(groups[group].tagged) > 0 else { return nil }
    var tags = try passedOn(request, .msg)
    if tags["msgid"] == nil {
      tags["msgid"] = stampMessage(in: group, now: request.now).id.description
      tags["time"] = tags["time"] ?? Timestamp.text(groups[group].stamp)
    }
    if tags["time"] == nil { tags["time"] = Timestamp.text(clock.stamp(request.now)) }
    return tags
  }

  /// The id and the time of a message that the server sends for a plain sender; asked for again while
  /// the same line is carried out, it is the same.
  private mutating func stampMessage(
    in group: Int32, now: Instant
  ) -> (id: MessageID, time: Int64) {
    if groups[group].stampedLine != counters.lines {
      groups[group].stampedLine = counters.lines
      groups[group].sequence += 1
      groups[group].stamp = clock.stamp(now)
    }
    return (messageID(groups[group].stream, groups[group].sequence), groups[group].stamp)
  }

  /// Durable members who speak tags acknowledge what they get; until then it is kept for them.
  private mutating func retainForTagged(
    _ text: UnsafeRawBufferPointer, in group: Int32, from member: Int32
  ) {
    let hearers = fanOut.subscribers(groups[group].tagged).map { sessions[$0].member }
    let durable = hearers.filter { hearer in
      hearer != member
        && members[hearer].memberships.contains { $0.group == group && $0.isDurable }
    }
    guard !durable.isEmpty else { return }
    let line = line(text, in: group, from: member)
    let word = Array(groups[group].name.description.utf8)
    let id = messageID(groups[group].stream, groups[group].sequence)
    for hearer in durable { retain(line, word, id, groups[group].stamp, by: hearer) }
  }

  /// Puts a message into the lanes of those who are away. Returns whether the reply has to wait.
  private mutating func keepForAway(
    _ text: UnsafeRawBufferPointer, in group: Int32, from member: Int32, handed: Int, others: Int,
    _ request: Request
  ) -> Bool {
    let (id, time) = stampMessage(in: group, now: request.now)
    return keepForAway(
      line(text, in: group, from: member), in: group, id: id, stamp: time, handed: handed,
      others: others, request)
  }

  /// A message as it is heard, without tags and end.
  private func line(
    _ text: UnsafeRawBufferPointer, in group: Int32, from member: Int32
  ) -> [UInt8] {
    let buffer = ByteBuffer()
    appendMessage(buffer, members[member].wire, groups[group].name, text)
    return Array(buffer.bytes.dropLast())
  }

  /// What goes on from a requester's tags: all but those that are for one hop.
  private func passedOn(_ request: Request, _ verb: Verb) throws(Refusal) -> Tags {
    var tags = request.tags
    tags["label"] = nil
    tags["to"] = nil
    let room = WireLimits.prefixBytes - Limits.addedPrefixBytes
    guard request.tagBytes <= room || tags.byteCount <= room, tags.count <= WireLimits.tags - 2
    else {
      throw Refusal(
        code: .lineTooLong, verb: verb,
        text: "your tags leave no room for the source; send fewer")
    }
    return tags
  }

  private mutating func learnTime(_ request: Request) {
    if let time = request.tags["time"], let stamp = Timestamp.microseconds(time) {
      clock.saw(stamp, request.now)
    }
  }

  func appendMessage(
    _ buffer: ByteBuffer, _ from: LineProtocol.Member, _ group: GroupName,
    _ text: UnsafeRawBufferPointer
  ) {
    appendMessageHead(buffer, from, group)
    buffer.append(text)
    buffer.append(byte: UInt8(ascii: "\n"))
  }

  /// What stands before a message's text.
  func appendMessageHead(_ buffer: ByteBuffer, _ from: LineProtocol.Member, _ group: GroupName) {
    appendSource(buffer, from)
    buffer.append("MSG ")
    buffer.append(group)
    buffer.append(byte: UInt8(ascii: " "))
  }

  mutating func report(
    _ text: UnsafeRawBufferPointer, to destination: String, from member: Int32, _ handed: Int
  ) {
    effects.append(
      .event(
        .said(
          members[member].wire, to: destination, text: String(decoding: text, as: UTF8.self),
          handed: handed)))
  }

  func badGroup(_ verb: Verb) -> Refusal {
    Refusal(
      code: .badGroup, verb: verb,
      text: "a group's name has 1 to 64 letters, digits, '_', '.' or '-'")
  }
}

// MARK: - PM

extension Directory {
  mutating func tell(_ line: LineView, _ request: Request) throws(Refusal) {
    var view = line
    guard let word = view.word() else {
      throw Refusal(
        code: .badSyntax, verb: .pm, text: "PM takes a member and a text: PM <member> <text>")
    }
    guard let recipient = Recipient(bytes: word) else {
      throw Refusal(
        code: word.contains(UInt8(ascii: ":")) ? .badAddress : .badName, verb: .pm,
        text: "PM goes to a name (bob), an address (10.0.0.2:5001) or both (bob@10.0.0.2:5001)")
    }
    guard !view.textIsBlank() else {
      throw Refusal(
        code: .badSyntax, verb: .pm, text: "the text is missing: PM \(recipient) <text>")
    }
    guard let receiver = find(recipient) else {
      throw Refusal(
        code: .noSuchPeer, verb: .pm,
        text: "there is no \(recipient) here; MEMBERS <group> lists who is in a group")
    }
    if request.isTagged { learnTime(request) }
    let session = members[receiver].session
    let name = members[receiver].name
    let text = view.text()
    let member = sessions[request.session].member
    let wire = members[member].wire
    guard session >= 0 else {
      guard !request.isTagged, members[receiver].isDurable else {
        throw Refusal(
          code: .unreachable, verb: .pm,
          text: "\(name) is a member but not connected now; try again later")
      }
      counters.messages += 1
      if configuration.isTracing { report(text, to: name.description, from: member, 0) }
      return keepPrivately(
        privateLine(text, from: wire, to: name), for: receiver, id: nextPrivateID(to: receiver),
        stamp: clock.stamp(request.now), request)
    }
    counters.messages += 1
    counters.deliveries += 1
    var tags: Tags?
    if sessions[session].speaksTags { tags = try privateTags(request, to: receiver) }
    let line = privateLine(text, from: wire, to: name)
    fanOut.send(to: UInt32(session), isReply: false) { buffer in
      tags?.render(into: buffer)
      line.withUnsafeBytes { buffer.append($0) }
      buffer.append(byte: UInt8(ascii: "\n"))
    }
    if !request.isTagged, members[receiver].isDurable, let tags,
      let id = tags["msgid"].flatMap({ MessageID($0) }),
      let stamp = tags["time"].flatMap({ Timestamp.microseconds($0) })
    {
      retain(line, Array(name.description.utf8), id, stamp, by: receiver)
    }
    // Who kept its message until it is acknowledged learns that this one never will be.
    var more = Tags()
    if request.isTagged && !sessions[session].speaksTags { more["plain"] = name.description }
    reply(request.session, request.label, and: more) { buffer in
      buffer.append("OK PM ")
      buffer.append(name)
    }
    if configuration.isTracing { report(text, to: name.description, from: member, 1) }
    noteReceived(UInt32(session))
  }

  private func privateLine(
    _ text: UnsafeRawBufferPointer, from wire: LineProtocol.Member, to name: MemberName
  ) -> [UInt8] {
    let buffer = ByteBuffer()
    appendSource(buffer, wire)
    buffer.append("PM ")
    buffer.append(name)
    buffer.append(byte: UInt8(ascii: " "))
    buffer.append(text)
    return Array(buffer.bytes)
  }

  private mutating func privateTags(_ request: Request, to member: Int32) throws(Refusal) -> Tags {
    var tags = try passedOn(request, .pm)
    if tags["msgid"] == nil { tags["msgid"] = nextPrivateID(to: member).description }
    if tags["time"] == nil { tags["time"] = Timestamp.text(clock.stamp(request.now)) }
    return tags
  }

  /// Whom a PM is for: a name that is connected or in a roster, or the address of somebody who is
  /// in one; where several gave the same address, one who is there.
  private func find(_ recipient: Recipient) -> Int32? {
    switch recipient {
    case .name(let name):
      guard let member = names[name], members[member].name == name else { return nil }
      return member
    case .member(let wire):
      guard let member = names[wire.name], members[member].wire == wire else { return nil }
      return member
    case .endpoint(let endpoint):
      let there = (listeners[endpoint] ?? []).filter { !members[$0].memberships.isEmpty }
      return there.first { members[$0].session >= 0 } ?? there.first
    }
  }
}

// MARK: - ACK

extension Directory {
  /// A receipt for what the server itself keeps is the server's, whomever `to` names: a node need
  /// not know who sent it a message, the server or the member whose name is on it. Any other goes to
  /// whom `to` names, if it is there and speaks tags. Never answered, whatever is wrong with it:
  /// receipts about receipts would not end.
  mutating func acknowledge(_ line: LineView, _ request: Request) {
    var view = line
    guard let first = view.word(), let destination = GroupName(bytes: first),
      let word = view.word(), let id = MessageID(bytes: word)
    else { return }
    let own = sessions[request.session].member
    guard let to = request.tags["to"], !keepsStream(id.stream, for: own) else {
      return acknowledged(id, by: own, now: request.now)
    }
    guard let name = MemberName(to), let member = find(.name(name)) else { return }
    let session = members[member].session
    guard session >= 0, sessions[session].speaksTags,
      let tags = try? passedOn(request, .ack)
    else { return }
    let wire = members[sessions[request.session].member].wire
    fanOut.send(to: UInt32(session), isReply: false) { buffer in
      tags.render(into: buffer)
      appendSource(buffer, wire)
      buffer.append("ACK ")
      buffer.append(destination)
      buffer.append(byte: UInt8(ascii: " "))
      buffer.append(word)
      buffer.append(byte: UInt8(ascii: "\n"))
    }
  }
}

// MARK: - WAIT

extension Directory {
  mutating func wait(_ seconds: Int, _ count: Int?, _ request: Request) {
    let session = request.session
    let number = nextTicket().number
    waits[session] = Wait(number: number, label: request.label, count: count)
    sessions[session].activity = .waiting
    let member = sessions[session].member
    for membership in members[member].memberships {
      addWaiting(Waiting(session: session, number: number), in: membership.group)
    }
    schedule(
      Deadline(
        at: request.now.monotonicMicroseconds + Int64(seconds) * 1_000_000,
        kind: .wait(sessions[session].id, number)))
  }

  /// Those whose WAIT has ended are left in a group's list until it is looked through: taking each
  /// out by itself would cost the square of their number where all end with one message.
  private mutating func addWaiting(_ waiting: Waiting, in group: Int32) {
    if groups[group].waiting.count > 2 * groups[group].live + 16 {
      groups[group].waiting.removeAll { waits[$0.session]?.number != $0.number }
    }
    groups[group].waiting.append(waiting)
  }

  private mutating func noteReceived(in group: Int32) {
    let waiting = groups[group].waiting
    for one in waiting where waits[one.session]?.number == one.number {
      noteReceived(one.session)
    }
    // Nobody starts a WAIT while another's message is carried out: nothing was added meanwhile.
    groups[group].waiting = waiting.filter { waits[$0.session]?.number == $0.number }
  }

  /// A message came for a session that may be in a WAIT.
  mutating func noteReceived(_ session: UInt32) {
    guard waits[session] != nil else { return }
    waits[session]!.received += 1
    if let count = waits[session]!.count, waits[session]!.received >= count {
      endWait(session)
    }
  }

  mutating func waitTimedOut(_ session: UInt32, _ number: UInt64) {
    guard waits[session]?.number == number else { return }
    endWait(session)
  }

  private mutating func endWait(_ session: UInt32) {
    guard let wait = waits[session] else { return }
    stopWaiting(session)
    // The messages it waited for are read before the word that they came.
    cutShares(of: session)
    reply(session, wait.label) {
      $0.append("OK WAIT ")
      $0.append(decimal: wait.received)
    }
    makeReady(session)
    endingNext.append(sessions[session].id)
  }

  /// Takes a session out of its WAIT without a word.
  mutating func stopWaiting(_ session: UInt32) {
    waits[session] = nil
  }
}
