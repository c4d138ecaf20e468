// What we have said and somebody does not have yet: streams of messages, and the lanes in which they
// are on their way to each recipient.
//
// Rules:
//   - A message gets its number, its time and its recipients when it is handed to the disk, and is sent
//     when it is there. Its record stands in the journal behind the roster that it was said to.
//   - It stays, in memory and on disk, until the last of its recipients has it or will not get it.
//   - The outbox is bounded; a full one refuses.

import DequeModule
import LineProtocol

/// What we say in one conversation.
struct OutStream {
  var conversation: Conversation
  let id: UInt64
  /// The number of the latest message.
  var latest: UInt64 = 0
  /// Those that somebody does not have yet, and what lies between them: numbers without a gap.
  var messages: Deque<Outgoing> = []
  var lanes: [Int32] = []
}

struct Outgoing {
  let stamp: Int64
  /// Empty where nobody is to get it any more.
  var text: [UInt8]
  var isOnDisk = false
  /// Lanes it lies in.
  var holders = 0
  /// Who waits to hear what becomes of it; 0: nobody.
  var claim: UInt64 = 0
  /// Its line as it was encoded last.
  var line = EncodedLine()

  /// One recipient less. Returns the bytes of the text where that was the last one: between two that are
  /// waited for, only a message's number is needed.
  mutating func release() -> Int {
    holders -= 1
    guard holders == 0 else { return 0 }
    defer { text = [] }
    return text.count
  }

  /// The same for one that is on the disk, with who waits to hear of it; nil: it is not there yet.
  mutating func releaseIfOnDisk() -> (bytes: Int, claim: UInt64)? {
    isOnDisk ? (release(), claim) : nil
  }
}

/// Where a message's line lies in the buffer of a round, so that it is encoded once for all links on
/// which it is the same. All are sent at the round's end, when nothing that the line names (who we are,
/// the roster's version) changes any more.
struct EncodedLine {
  /// That of the FanOut; another one: it is not there any more.
  var round: UInt64 = 0
  /// The number that it names as the one before it; 0: none.
  var previous: UInt64 = 0
  var range = 0..<0
}

/// A stream on its way to one contact.
struct PeerLane {
  enum Path: UInt8 { case none, direct, relay }

  struct Entry {
    enum Told: UInt8 { case nothing, waiting, relayed }
    let sequence: UInt64
    /// What it took on the link that it was sent on last.
    var bytes = 0
    /// What its sender knows of it.
    var told = Told.nothing
  }

  let stream: Int32
  var contact: Int32
  /// What was asked of the server for an earlier attempt says nothing about this one.
  var attempt: UInt64
  var queue: Deque<Entry> = []
  /// How many at the head have been sent on the present path.
  var sent = 0
  /// What those take on the link.
  var sentBytes = 0
  var path = Path.none
  /// The receiver's own number, for which it was sent again from the head.
  var resentFor: UInt64?
  /// When something of it was last handed to the server, and how often that led to no receipt.
  var relayedAt: Int64 = 0
  var unanswered = 0

  /// Where a message is in the queue, in which numbers rise.
  func position(of sequence: UInt64) -> Int? {
    queue.index(of: sequence) { $0.sequence }
  }
}

// MARK: - Saying something

extension Peer {
  mutating func say(_ text: String, in group: GroupName, for mouth: Mouth) {
    guard let replica = groups[group], replica.isIn else {
      return refuse(
        Refusal(.notMember, .msg, "this node is not in \(group); JOIN \(group) first"), to: mouth)
    }
    let recipients = replica.roster.all.compactMap { $0.handle >= 0 ? $0.handle : nil }
    take(text, .group(replica.name), to: recipients, for: mouth)
  }

  mutating func tell(_ text: String, to recipient: Recipient, for mouth: Mouth) {
    do throws(Refusal) {
      let contact = try find(recipient)
      take(text, .person(contacts[contact].member.name), to: [contact], for: mouth)
      forgetIfUnused(contact)
    } catch {
      refuse(error, to: mouth)
    }
  }

  /// Whom a PM is for.
  private mutating func find(_ recipient: Recipient) throws(Refusal) -> Int32 {
    switch recipient {
    case .name(let wanted):
      guard wanted != name else { throw Refusal(.noSuchPeer, .pm, "\(name) is you") }
      if let contact = contactIndices[wanted] { return contact }
      guard isServerUp else {
        throw Refusal(
          .noSuchPeer, .pm, "there is no \(wanted) in your groups, and the server can't be asked")
      }
      return stranger(wanted)
    case .member(let member):
      guard let contact = contactIndices[member.name], contacts[contact].member == member else {
        throw Refusal(
          .noSuchPeer, .pm, "there is no \(member) in your groups; MEMBERS <group> lists who is")
      }
      try checkOther(contact)
      return contact
    case .endpoint(let endpoint):
      let there = contacts.indices.filter {
        contacts[$0].member.place == .direct(endpoint) && contacts[$0].groups > 0
      }
      let first = there.first { contacts[$0].link == .open || contacts[$0].isOnline } ?? there.first
      guard let first else {
        throw Refusal(
          .noSuchPeer, .pm,
          "nobody in your groups listens at \(endpoint); MEMBERS <group> lists who is where")
      }
      try checkOther(first)
      return first
    }
  }

  /// In a roster that is behind somebody may have the name that is ours by now.
  private func checkOther(_ contact: Int32) throws(Refusal) {
    let member = contacts[contact].member
    guard member.name == name else { return }
    throw Refusal(
      .noSuchPeer, .pm,
      "\(name) is you now; the server has not said yet what \(member) is called instead")
  }

  /// First step: numbered, and handed to the disk.
  private mutating func take(
    _ text: String, _ conversation: Conversation, to recipients: [Int32], for mouth: Mouth
  ) {
    let verb: Verb = if case .group = conversation { .msg } else { .pm }
    let (said, text) = (text, Array(text.utf8))
    let body = conversation.requestBytes + text.count
    guard body < min(uplink.lineBytesMax, configuration.lineBytesMax) else {
      return refuse(
        Refusal(
          .lineTooLong, verb,
          "a line has at most \(min(uplink.lineBytesMax, configuration.lineBytesMax)) bytes; "
            + "send it in parts"), to: mouth)
    }
    guard !handsOver else {
      let time = clock.stamp(now)
      return handOver(
        ChatMessage(
          from: Member(name: name, place: place), conversation: conversation,
          text: said, timeMicroseconds: time, receivedMicroseconds: time, path: .own),
        Record { $0.append(conversation, text) }.line, to: recipients, for: mouth)
    }
    guard outboxBytes + cost(text.count, recipients.count) <= Limits.outboxBytes,
      outboxMessages < Limits.outboxMessages
    else {
      return refuse(
        Refusal(
          .rateLimited, verb,
          "\(outboxMessages) messages wait in the outbox, there is room for no more; "
            + "try again when some of them are gone"), to: mouth)
    }
    let stream = outStream(conversation)
    streams[stream].latest += 1
    let sequence = streams[stream].latest
    let stamp = clock.stamp(now)
    guard let id = MessageID(stream: streams[stream].id, sequence: sequence) else { return }
    let message = ChatMessage(
      id: id, from: Member(name: name, place: place), conversation: conversation,
      text: said, timeMicroseconds: stamp, receivedMicroseconds: stamp, path: .own)
    let claim = openClaim(message, recipients, for: mouth)
    add(Outgoing(stamp: stamp, text: text, claim: claim), sequence, to: stream, recipients)
    let (name, place) = (name, place)
    persist(
      Record(through: scratch) { buffer in
        buffer.append(messageTags: id, stamp)
        buffer.append(" ")
        appendSource(buffer, Member(name: name, place: place))
        buffer.append(conversation, text)
      }, .said(stream, sequence, message, mouth))
  }

  /// What a message takes in memory, about.
  func cost(_ text: Int, _ recipients: Int) -> Int { text + 96 + 24 * recipients }

  mutating func add(
    _ message: Outgoing, _ sequence: UInt64, to stream: Int32, _ recipients: [Int32]
  ) {
    var message = message
    message.holders = recipients.count
    streams[stream].messages.append(message)
    outboxBytes += cost(message.text.count, 0)
    outboxMessages += 1
    for contact in recipients {
      let lane = lane(of: contact, stream) ?? makeLane(contact, stream)
      lanes[lane].queue.append(PeerLane.Entry(sequence: sequence))
      contacts[contact].waiting += 1
      outboxBytes += 24
    }
  }

  /// Second step: it is on the disk, and goes out.
  mutating func isSaid(_ stream: Int32, _ sequence: UInt64, _ message: ChatMessage) {
    guard let index = position(of: sequence, in: stream) else { return }
    streams[stream].messages[index].isOnDisk = true
    for lane in streams[stream].lanes { markDirty(lanes[lane].contact) }
    news.append(.message(message))
    let claim = streams[stream].messages[index].claim
    if claim != 0 { settle(claim) }
    dropDone(stream)
  }

  /// It could not be written: it was never said.
  mutating func isNotSaid(_ stream: Int32, _ sequence: UInt64) {
    for lane in streams[stream].lanes {
      guard let index = lanes[lane].position(of: sequence) else { continue }
      lanes[lane].queue.remove(at: index)
      release(sequence, of: stream, from: lanes[lane].contact)
      // It may be the last thing that a stranger was kept for.
      markDirty(lanes[lane].contact)
    }
    if let index = position(of: sequence, in: stream) {
      streams[stream].messages[index].isOnDisk = true
      claims[streams[stream].messages[index].claim] = nil
    }
    dropDone(stream)
  }

  // MARK: Books

  mutating func outStream(_ conversation: Conversation, id: UInt64? = nil) -> Int32 {
    if let stream = streamIndices[conversation] { return stream }
    if streams.count - streams.freeCount >= Limits.streams { dropOneUnusedStream() }
    let id = id ?? random.next()
    let stream = streams.insert(OutStream(conversation: conversation, id: id))
    streamIndices[conversation] = stream
    streamsByID[id] = stream
    return stream
  }

  /// One that nobody waits for is forgotten: what is said there later is a new stream.
  private mutating func dropOneUnusedStream() {
    guard let stream = streams.indices.first(where: { streams[$0].messages.isEmpty }) else {
      return
    }
    streamIndices[streams[stream].conversation] = nil
    removeStream(stream)
  }

  /// Those that are not gone on with, once nobody waits for anything of them.
  mutating func dropFinishedStreams() {
    for stream in streams.indices
    where streams[stream].messages.isEmpty
      && streamIndices[streams[stream].conversation] != stream
    {
      removeStream(stream)
    }
  }

  private mutating func removeStream(_ stream: Int32) {
    for lane in streams[stream].lanes { removeLane(lane) }
    streamsByID[streams[stream].id] = nil
    streams.remove(stream)
    streams.reuse(stream)
  }

  /// The other one of the two has another name; the numbers go on. Where there is a stream under that
  /// name already, the one of before is finished under its own number and not used again.
  mutating func isCalled(_ contact: Int32, from old: MemberName, to new: MemberName) {
    if let stream = streamIndices[.person(old)] { goOn(stream, with: new) }
    for lane in contacts[contact].lanes { goOn(lanes[lane].stream, with: new) }
  }

  /// What is found under the name of before is found under the new one. A damaged snapshot may have it
  /// under another name than that of the member who waits for it.
  private mutating func goOn(_ stream: Int32, with new: MemberName) {
    let conversation = streams[stream].conversation
    guard case .person = conversation else { return }
    let isGoneOnWith = streamIndices[conversation] == stream
    if isGoneOnWith { streamIndices[conversation] = nil }
    streams[stream].conversation = .person(new)
    if isGoneOnWith, streamIndices[.person(new)] == nil { streamIndices[.person(new)] = stream }
  }

  /// Where a message lies, if it still does.
  func position(of sequence: UInt64, in stream: Int32) -> Int? {
    let first = streams[stream].latest - UInt64(streams[stream].messages.count) + 1
    guard sequence >= first, sequence <= streams[stream].latest else { return nil }
    return Int(sequence - first)
  }

  /// One recipient less.
  mutating func release(_ sequence: UInt64, of stream: Int32, from contact: Int32) {
    contacts[contact].waiting -= 1
    outboxBytes -= 24
    guard let index = position(of: sequence, in: stream) else { return }
    outboxBytes -= streams[stream].messages[index].release()
  }

  /// Messages that nobody waits for go, the oldest first.
  mutating func dropDone(_ stream: Int32) {
    while let first = streams[stream].messages.first, first.holders == 0, first.isOnDisk {
      streams[stream].messages.removeFirst()
      outboxBytes -= cost(first.text.count, 0)
      outboxMessages -= 1
    }
  }

  // MARK: Lanes

  func lane(of contact: Int32, _ stream: Int32) -> Int32? {
    contacts[contact].lanes.first { lanes[$0].stream == stream }
  }

  mutating func makeLane(_ contact: Int32, _ stream: Int32) -> Int32 {
    let lane = lanes.insert(PeerLane(stream: stream, contact: contact, attempt: nextNumber()))
    contacts[contact].lanes.append(lane)
    streams[stream].lanes.append(lane)
    return lane
  }

  /// An empty one.
  mutating func removeLane(_ lane: Int32) {
    let (stream, contact) = (lanes[lane].stream, lanes[lane].contact)
    streams[stream].lanes.removeAll { $0 == lane }
    contacts[contact].lanes.removeAll { $0 == lane }
    lanes.remove(lane)
    lanes.reuse(lane)
  }

  /// What is for one goes to the other: they are the same member.
  mutating func merge(_ other: Int32, into contact: Int32) {
    closeLink(other)
    contacts[contact].waiting += contacts[other].waiting
    contacts[contact].groups += contacts[other].groups
    for lane in contacts[other].lanes {
      lanes[lane].contact = contact
      breakPath(of: lane)
      contacts[contact].lanes.append(lane)
    }
    renumber(other, as: contact)
    contacts[other].lanes = []
    contacts[other].waiting = 0
    contacts[other].groups = 0
    contactIndices[contacts[other].member.name] = nil
    dirty.removeAll { $0 == other }
    dialQueue.removeAll { $0 == other }
    isHeldBack.remove(other)
    contacts.remove(other)
    contacts.reuse(other)
  }
}

extension Conversation {
  /// Bytes of a request to say something there, but for the text: of `MSG lobby ` or `PM bob `.
  var requestBytes: Int {
    switch self {
    case .group(let group): 5 + group.byteCount
    case .person(let name): 4 + name.byteCount
    }
  }
}

extension ByteBuffer {
  /// `MSG lobby hi` or `PM bob hi`.
  func append(_ conversation: Conversation, _ text: [UInt8]) {
    append(conversation)
    append(" ")
    text.withUnsafeBytes { append($0) }
  }

  /// `MSG lobby` or `PM bob`.
  func append(_ conversation: Conversation) {
    switch conversation {
    case .group(let group):
      append("MSG ")
      append(group)
    case .person(let name):
      append("PM ")
      append(name)
    }
  }

  /// `@msgid=…;time=…`
  func append(messageTags id: MessageID, _ stamp: Int64) {
    append("@msgid=")
    append(id)
    append(";time=")
    append(time: stamp)
  }
}
