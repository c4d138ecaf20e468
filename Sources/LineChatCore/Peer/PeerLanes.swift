// Lanes on a direct link: what is sent, what comes back, and what becomes of each message.

import LineProtocol

// MARK: - Out

extension Peer {
  /// Sends what has not been sent on the link, as far as the window allows.
  mutating func sendOnLink(_ contact: Int32) {
    guard let session = contacts[contact].session else { return }
    for lane in contacts[contact].lanes where !lanes[lane].queue.isEmpty {
      if lanes[lane].path != .direct {
        breakPath(of: lane)
        lanes[lane].path = .direct
      }
      while contacts[contact].unackedBytes < Limits.linkWindowBytes,
        let index = nextToSend(lane)
      {
        send(index, of: lane, to: session.index, contact)
      }
    }
  }

  /// The position in its stream of the lane's next message; nil where all is sent, or is not on the
  /// disk yet.
  func nextToSend(_ lane: Int32) -> Int? {
    guard lanes[lane].sent < lanes[lane].queue.count,
      let index = position(
        of: lanes[lane].queue[lanes[lane].sent].sequence, in: lanes[lane].stream),
      streams[lanes[lane].stream].messages[index].isOnDisk
    else { return nil }
    return index
  }

  /// The number before the lane's next message that the recipient has not acknowledged.
  func previous(_ lane: Int32) -> UInt64? {
    let sent = lanes[lane].sent
    return sent > 0 ? lanes[lane].queue[sent - 1].sequence : nil
  }

  private mutating func send(_ index: Int, of lane: Int32, to session: UInt32, _ contact: Int32) {
    let stream = lanes[lane].stream
    let sequence = lanes[lane].queue[lanes[lane].sent].sequence
    let (previous, isTagged) = (previous(lane), contacts[contact].speaksTags)
    let range: Range<Int>
    let line = streams[stream].messages[index].line
    if isTagged, line.round == fanOut.number, line.previous == previous ?? 0 {
      range = line.range
    } else {
      guard let id = MessageID(stream: streams[stream].id, sequence: sequence) else { return }
      range = encode(id, index, of: stream, previous, isTagged: isTagged, for: contact)
      if isTagged {
        streams[stream].messages[index].line = EncodedLine(
          round: fanOut.number, previous: previous ?? 0, range: range)
      }
    }
    fanOut.send(range, to: session)
    let bytes = range.count
    lanes[lane].queue[lanes[lane].sent].bytes = bytes
    lanes[lane].sent += 1
    lanes[lane].sentBytes += bytes
    if contacts[contact].unackedBytes == 0 { contacts[contact].movedAt = time }
    contacts[contact].unackedBytes += bytes
    contacts[contact].sentDirectly += 1
    counters.sentDirectly += 1
  }

  /// The same for everybody who is sent it behind the same one: what it names beside is the group's
  /// roster, and a stream to a person has one recipient.
  private func encode(
    _ id: MessageID, _ index: Int, of stream: Int32, _ previous: UInt64?, isTagged: Bool,
    for contact: Int32
  ) -> Range<Int> {
    let conversation = streams[stream].conversation
    return fanOut.encode { buffer in
      if isTagged {
        buffer.append(messageTags: id, streams[stream].messages[index].stamp)
        if let previous {
          buffer.append(";prev=")
          buffer.append(decimal: Int(clamping: previous))
        }
        if let known = sharedRoster(conversation, contact) {
          buffer.append(";version=")
          buffer.append(known.version)
          if case .person = conversation {
            buffer.append(";group=")
            buffer.append(known.group)
          }
        }
        buffer.append(" ")
      }
      appendSource(buffer, Member(name: name, place: place))
      buffer.append(conversation, streams[stream].messages[index].text)
      buffer.append("\n")
    }
  }

  /// The roster by which the other side may find us, should it not know us yet.
  private func sharedRoster(
    _ conversation: Conversation, _ contact: Int32
  ) -> (group: GroupName, version: RosterVersion)? {
    if case .group(let group) = conversation {
      return groups[group].map { ($0.name, $0.roster.version) }
    }
    let name = contacts[contact].member.name
    let shared = groups.values.filter { $0.roster.contains(name) }
    return shared.min { $0.name < $1.name }.map { ($0.name, $0.roster.version) }
  }

  // MARK: Paths

  /// What was sent and not acknowledged is to be sent again.
  mutating func breakPath(of lane: Int32) {
    lanes[lane].path = .none
    lanes[lane].attempt = nextNumber()
    lanes[lane].sent = 0
    lanes[lane].sentBytes = 0
    lanes[lane].resentFor = nil
  }

  /// The connection to the server that it was handed to is another one now, or gone.
  mutating func breakRelays(to contact: Int32) {
    for lane in contacts[contact].lanes where lanes[lane].path == .relay { breakPath(of: lane) }
  }

  // MARK: - Back

  /// A contact has a message of ours, and all before it in its stream. `isLacking`: it did not take
  /// what came behind, as something is missing before that.
  mutating func acknowledged(_ id: MessageID, by contact: Int32, isLacking: Bool) {
    guard let stream = streamsByID[id.stream], let lane = lane(of: contact, stream) else { return }
    contacts[contact].movedAt = time
    contacts[contact].relayFailures = 0
    lanes[lane].unanswered = 0
    let last = takeDelivered(of: lane, through: id.sequence)
    if last > 0 {
      noteDone(contact, stream, through: last, failure: nil)
      lanes[lane].resentFor = nil
      noteProgress(contact)
      dropDone(stream)
      markDirty(contact)
    }
    if isLacking { sendAgain(lane, contact, for: id.sequence) }
  }

  /// Takes the messages up to that number from the head of a lane: the recipient has them. Returns the
  /// number of the last of them, or 0. Each is touched once, as every message comes through here once for
  /// each of its recipients.
  private mutating func takeDelivered(of lane: Int32, through number: UInt64) -> UInt64 {
    let (stream, contact) = (lanes[lane].stream, lanes[lane].contact)
    var (last, count, bytes) = (UInt64(0), 0, 0)
    while let entry = lanes[lane].queue.first, entry.sequence <= number,
      let index = position(of: entry.sequence, in: stream),
      let released = streams[stream].messages[index].releaseIfOnDisk()
    {
      lanes[lane].queue.removeFirst()
      outboxBytes -= released.bytes + 24
      last = entry.sequence
      if count < lanes[lane].sent { bytes += entry.bytes }
      count += 1
      tell(entry.sequence, of: stream, contact, .delivered, claim: released.claim)
    }
    contacts[contact].waiting -= count
    counters.acknowledged += count
    lanes[lane].sent = max(0, lanes[lane].sent - count)
    if lanes[lane].path == .direct { lanes[lane].sentBytes -= bytes }
    return last
  }

  /// What it was sent does not follow on its own number. Once for each such number, as everything under
  /// way behind it is answered like this.
  private mutating func sendAgain(_ lane: Int32, _ contact: Int32, for number: UInt64) {
    guard lanes[lane].sent > 0, lanes[lane].resentFor != number else { return }
    let path = lanes[lane].path
    breakPath(of: lane)
    lanes[lane].path = path
    lanes[lane].resentFor = number
    noteProgress(contact)
    markDirty(contact)
  }

  /// What is under way on the link is counted anew.
  private mutating func noteProgress(_ contact: Int32) {
    guard contacts[contact].link == .open else { return }
    contacts[contact].unackedBytes = contacts[contact].lanes.reduce(0) { sum, lane in
      sum + lanes[lane].sentBytes
    }
  }

  /// A netcat was written all that was sent, and has ended its side: that is all that can be known.
  mutating func sentIsAll(_ lane: Int32) {
    guard lanes[lane].path == .direct, lanes[lane].sent > 0 else { return }
    let (contact, stream) = (lanes[lane].contact, lanes[lane].stream)
    let last = lanes[lane].queue[lanes[lane].sent - 1].sequence
    for _ in 0..<lanes[lane].sent { takeFirst(of: lane, .sent) }
    noteDone(contact, stream, through: last, failure: nil)
    dropDone(stream)
  }

  /// The first message of a lane is done with.
  mutating func takeFirst(of lane: Int32, _ state: DeliveryState) {
    guard let entry = lanes[lane].queue.popFirst() else { return }
    if lanes[lane].sent > 0 {
      lanes[lane].sent -= 1
      if lanes[lane].path == .direct { lanes[lane].sentBytes -= entry.bytes }
    }
    tell(entry.sequence, of: lane, state)
    release(entry.sequence, of: lanes[lane].stream, from: lanes[lane].contact)
  }

  /// One message will not be delivered.
  mutating func fail(_ sequence: UInt64, in lane: Int32, reason: String) {
    guard let index = lanes[lane].position(of: sequence) else { return }
    let (contact, stream) = (lanes[lane].contact, lanes[lane].stream)
    let entry = lanes[lane].queue.remove(at: index)
    if index < lanes[lane].sent {
      lanes[lane].sent -= 1
      if lanes[lane].path == .direct { lanes[lane].sentBytes -= entry.bytes }
    }
    tell(sequence, of: lane, .failed(reason: reason))
    release(sequence, of: stream, from: contact)
    noteDone(contact, stream, only: sequence, failure: reason)
    noteProgress(contact)
    dropDone(stream)
    markDirty(contact)
  }

  /// Nothing in the lane will be delivered.
  mutating func failLane(_ lane: Int32, reason: String) {
    let (contact, stream) = (lanes[lane].contact, lanes[lane].stream)
    guard let last = lanes[lane].queue.last?.sequence else { return }
    lanes[lane].sent = 0
    lanes[lane].sentBytes = 0
    while !lanes[lane].queue.isEmpty { takeFirst(of: lane, .failed(reason: reason)) }
    noteDone(contact, stream, through: last, failure: reason)
    dropDone(stream)
  }

  // MARK: What waits

  /// Who sent them is told that they wait, once.
  mutating func tellWaiting(_ contact: Int32, _ reason: String) {
    for lane in contacts[contact].lanes {
      // From the end: what was told already is before it.
      for index in lanes[lane].queue.indices.reversed() {
        let entry = lanes[lane].queue[index]
        guard entry.told == .nothing || entry.told == .relayed,
          let position = position(of: entry.sequence, in: lanes[lane].stream),
          streams[lanes[lane].stream].messages[position].isOnDisk
        else {
          if entry.told == .waiting { break }
          continue
        }
        lanes[lane].queue[index].told = .waiting
        tell(entry.sequence, of: lane, .waiting(reason: reason))
      }
    }
  }

  /// What has waited for too long has failed.
  mutating func expireMessages() {
    let oldest = now.wallMicroseconds - Limits.outboxMicroseconds
    for stream in streams.indices {
      guard let first = streams[stream].messages.first, first.stamp < oldest else { continue }
      for lane in streams[stream].lanes {
        while let entry = lanes[lane].queue.first,
          let index = position(of: entry.sequence, in: stream),
          streams[stream].messages[index].stamp < oldest
        {
          fail(entry.sequence, in: lane, reason: "it waited for seven days")
        }
      }
    }
  }

  // MARK: In the journal

  /// `:bob@… ACK lobby <msgid>`: that recipient has it, and all before it; or will not get it.
  mutating func noteDone(
    _ contact: Int32, _ stream: Int32, through last: UInt64 = 0, only: UInt64 = 0, failure: String?
  ) {
    guard let id = MessageID(stream: streams[stream].id, sequence: max(last, only)) else { return }
    noteDone(
      id, streams[stream].conversation, contacts[contact].member, isOnly: only != 0,
      hasFailed: failure != nil)
  }

  private mutating func noteDone(
    _ id: MessageID, _ conversation: Conversation, _ member: Member, isOnly: Bool, hasFailed: Bool
  ) {
    var tags = Tags()
    if hasFailed { tags["failed"] = "1" }
    if isOnly { tags["only"] = "1" }
    effects.append(
      .note(
        Record(through: scratch) { buffer in
          tags.render(into: buffer)
          appendSource(buffer, member)
          buffer.append("ACK ")
          switch conversation {
          case .group(let group): buffer.append(group)
          case .person(let name): buffer.append(name)
          }
          buffer.append(" ")
          buffer.append(id)
        }))
  }

  /// What was found in the journal to have failed, and nobody was told.
  mutating func tellFailures() {
    for one in untold {
      news.append(.delivery(one.id, one.conversation, one.recipient, .failed(reason: one.reason)))
      noteDone(
        one.id, one.conversation, Member(name: one.recipient, place: .relay), isOnly: true,
        hasFailed: true)
    }
    untold = []
  }
}
