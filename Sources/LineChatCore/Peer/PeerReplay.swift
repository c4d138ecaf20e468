// The journal's records, carried out on top of the snapshot:
//
//   @msgid=…;time=… :alice@… MSG lobby hi       said by us; its recipients are the roster as it is here,
//                                                or, from before the snapshot, as it says there
//   @heard=…;msgid=…;time=… :bob@… MSG lobby hi  heard; `prev` is what was heard of the stream before
//   :bob@… ACK lobby <msgid>                     he has it, and all before it (`only`: it alone)
//   @version=…;time=… :carol@… JOIN lobby        a change of a roster; also LEAVE and NICK
//   MEMBER lobby carol@… online                  a listing, or what a member can do
//   @version=… OK MEMBERS lobby 3                the end of a listing: the last 3 of them are the roster
//   @asked=1 :alice@… LEAVE lobby                our own, without a version: it is to be left
//   :alice@… LEAVE lobby                         it is left, and the server is to be told
//   @asked=0 :alice@… LEAVE lobby                the same, and we were not in it any more
//   @taken=1 :alice@… LEAVE lobby                the server took us out
//   OK LEAVE lobby                               it knows
//   :alice@… NICK zoe                            our own, without a version
//   @asked=1 :alice@… NICK zoe                   the server is asked for that name
//   @at=10.0.0.1 INFO linechatd server=…         the server that was reached
//   @listens=10.0.0.2:5001 INFO linechat         where we listen

import LineProtocol

/// A message that somebody will not get, and who said it was not told.
struct Untold {
  let id: MessageID
  let conversation: Conversation
  let recipient: MemberName
  let reason: String
}

extension Peer {
  /// Carries out one record, before `start`. One that does not fit what is there changes nothing.
  package mutating func replay(_ record: Record, now: Instant) throws(Refusal) {
    begin(now)
    let line = try Message(parsing: String(decoding: record.line, as: UTF8.self))
    if let time = line.tags["time"].flatMap({ Timestamp.microseconds($0) }) {
      clock = HybridClock(last: max(clock.latest, time))
    }
    switch line.content {
    case .msg, .pm: replayMessage(line)
    case .ack(_, let id): replayDone(line, id)
    case .join(let group, _, _): if let source = line.source { replay(line, group, .join(source)) }
    case .leave(let group, _): replayLeave(line, group)
    case .nick(let new): replayNick(line, new)
    case .member(let group, let member, let attributes):
      replayed[group, default: []].append(Roster.Entry(member, attributes))
      describe(Roster.Entry(member, attributes), in: group)
    case .ok(.members, let text): replayListing(line, text)
    case .ok(.leave, let text): GroupName(text).map { _ = leaving.remove($0) }
    case .info(let text): replayServer(line, text)
    default:
      throw Refusal(.badSyntax, line.content.verb, "no record of a node begins like this")
    }
    effects = []
    noteFailures()
  }

  /// A leave of ours can be the last thing on the disk: what it ended has failed, and nobody was told.
  private mutating func noteFailures() {
    for one in news {
      guard case .delivery(let id, let conversation, let recipient, let state) = one,
        case .failed(let reason) = state
      else { continue }
      untold.append(
        Untold(id: id, conversation: conversation, recipient: recipient, reason: reason))
    }
    news = []
  }

  /// It was told when this was written.
  private mutating func wasTold(_ line: Message, _ id: MessageID) {
    guard line.tags["failed"] != nil, let name = line.source?.name else { return }
    untold.removeAll { one in
      guard one.recipient == name, one.id.stream == id.stream else { return false }
      return line.tags["only"] == nil
        ? one.id.sequence <= id.sequence : one.id.sequence == id.sequence
    }
  }

  private mutating func replayMessage(_ line: Message) {
    guard line.tags["heard"] != nil else {
      let id = line.tags["msgid"].flatMap { MessageID($0) }
      _ = replaySaid(line, to: id.flatMap { unwritten.removeValue(forKey: $0) })
      return
    }
    guard let id = line.tags["msgid"].flatMap({ MessageID($0) }), id.sequence > 0 else { return }
    heardCount += 1
    // What stood before it is lost, and so nobody was told that this one is here: it comes again.
    let prev = line.tags["prev"].flatMap { UInt64($0) } ?? 0
    guard prev <= heard[id.stream]?.durable ?? 0 else { return }
    let durable = max(heard[id.stream]?.durable ?? 0, id.sequence)
    heard[id.stream] = HeardStream(durable: durable, order: heardCount)
  }

  /// A message of ours goes into the outbox again. Returns false where it is none.
  mutating func replaySaid(_ line: Message, to names: [MemberName]?) -> Bool {
    guard let id = line.tags["msgid"].flatMap({ MessageID($0) }), id.sequence > 0,
      id.sequence <= Limits.sequenceMax
    else { return false }
    let conversation: Conversation
    let text: String
    var recipients: [Int32] = []
    switch line.content {
    case .msg(let group, let said):
      (conversation, text) = (.group(groups[group]?.name ?? group), said)
      recipients = groups[group]?.roster.all.map(\.handle).filter { $0 >= 0 } ?? []
    case .pm(let recipient, let said):
      guard case .name(let name) = recipient else { return false }
      (conversation, text) = (.person(name), said)
      // As it is written in the list, where there is one.
      if names == nil { recipients = [stranger(name)] }
    default: return false
    }
    if let names { recipients = names.map { stranger($0) } }
    let stream = restoreStream(conversation, id.stream)
    makeRoom(for: id.sequence, in: stream)
    guard let index = position(of: id.sequence, in: stream),
      streams[stream].messages[index].holders == 0
    else {
      // A stranger may have been made for it.
      for contact in recipients { forgetIfUnused(contact) }
      return false
    }
    let stamp = line.tags["time"].flatMap { Timestamp.microseconds($0) } ?? now.wallMicroseconds
    put(
      Outgoing(stamp: stamp, text: Array(text.utf8), isOnDisk: true), at: index, id.sequence,
      in: stream, recipients)
    dropDone(stream)
    return true
  }

  /// Numbers without a message, so that this one lies where it should: others may have been burnt, or
  /// are done with, or follow in the journal.
  private mutating func makeRoom(for sequence: UInt64, in stream: Int32) {
    let gap = Outgoing(stamp: 0, text: [], isOnDisk: true)
    let latest = streams[stream].latest
    let count = UInt64(streams[stream].messages.count)
    func note() {
      outboxBytes += cost(0, 0)
      outboxMessages += 1
    }
    if count == 0 {
      // What lies between it and the latest is done with, or comes yet.
      guard latest < sequence || latest - sequence < UInt64(Limits.outboxMessages) else { return }
      streams[stream].latest = sequence - 1
      while streams[stream].latest < max(sequence, latest) {
        streams[stream].latest += 1
        streams[stream].messages.append(gap)
        note()
      }
    } else if sequence > latest {
      guard sequence - latest < UInt64(Limits.outboxMessages) else { return }
      while streams[stream].latest < sequence {
        streams[stream].latest += 1
        streams[stream].messages.append(gap)
        note()
      }
    } else {
      var first = latest - count + 1
      guard sequence >= first || first - sequence < UInt64(Limits.outboxMessages) else { return }
      while sequence < first {
        streams[stream].messages.prepend(gap)
        first -= 1
        note()
      }
    }
  }

  /// A message takes a place that was kept for it.
  private mutating func put(
    _ message: Outgoing, at index: Int, _ sequence: UInt64, in stream: Int32, _ recipients: [Int32]
  ) {
    // One that nobody is to have any more may be there already; its text is replaced.
    outboxBytes += message.text.count - streams[stream].messages[index].text.count
    streams[stream].messages[index] = message
    streams[stream].messages[index].holders = recipients.count
    for contact in recipients {
      let lane = lane(of: contact, stream) ?? makeLane(contact, stream)
      let after = lanes[lane].queue.firstIndex { $0.sequence > sequence }
      lanes[lane].queue.insert(
        PeerLane.Entry(sequence: sequence), at: after ?? lanes[lane].queue.count)
      contacts[contact].waiting += 1
      outboxBytes += 24
    }
  }

  private mutating func replayDone(_ line: Message, _ id: MessageID) {
    wasTold(line, id)
    guard let source = line.source, let contact = contactIndices[source.name],
      let stream = streamsByID[id.stream], let lane = lane(of: contact, stream)
    else { return }
    if line.tags["only"] != nil {
      if let index = lanes[lane].position(of: id.sequence) {
        lanes[lane].queue.remove(at: index)
        release(id.sequence, of: stream, from: contact)
      }
    } else {
      while let first = lanes[lane].queue.first, first.sequence <= id.sequence {
        lanes[lane].queue.removeFirst()
        release(first.sequence, of: stream, from: contact)
      }
    }
    dropDone(stream)
    forgetIfUnused(contact)
  }

  // MARK: Rosters

  private mutating func replay(_ line: Message, _ group: GroupName, _ change: RosterChange) {
    guard let version = line.tags["version"].flatMap({ RosterVersion($0) }),
      let known = groups[group]?.roster.version, version.follows(known)
    else { return }
    _ = apply(change, to: group, version)
  }

  private mutating func replayLeave(_ line: Message, _ group: GroupName) {
    guard let source = line.source else { return }
    if line.tags["version"] != nil { return replay(line, group, .leave(source, "")) }
    if line.tags["asked"] == "1" {
      leavesAsked.insert(group)
      return
    }
    if line.tags["taken"] == nil { leavesAsked.remove(group) }
    leaving.insert(group)
    exit(group, reason: "")
  }

  private mutating func replayNick(_ line: Message, _ new: MemberName) {
    guard let source = line.source else { return }
    if let group = line.tags["group"].flatMap({ GroupName($0) }) {
      return replay(line, group, .nick(source, new))
    }
    if line.tags["asked"] == nil {
      name = new
      // Another that was asked for meanwhile is in doubt still.
      if doubtfulName == name { doubtfulName = nil }
    } else {
      doubtfulName = new == name ? nil : new
    }
  }

  private mutating func replayListing(_ line: Message, _ text: String) {
    let words = text.split(separator: " ")
    guard words.count == 2, let group = GroupName(words[0]), let count = Int(words[1]), count >= 0,
      let version = line.tags["version"].flatMap({ RosterVersion($0) }),
      // One that was under way when the snapshot was taken is carried over, and may be older than that.
      groups[group].map({ version.isBehind($0.roster.version) }) != true,
      let entries = replayed.removeValue(forKey: group)?.suffix(count),
      // A crash can leave the end of a list, and not all of it.
      Set(entries.map(\.member.name)).count == count
    else { return }
    replace(group, Array(entries), version, isTold: false)
    wanted.insert(group)
    leaving.remove(group)
    if let own = groups[group]?.roster[name] { place = own.member.place }
  }

  private mutating func replayServer(_ line: Message, _ text: String) {
    listens = line.tags["listens"].flatMap { Endpoint($0) } ?? listens
    uplink.address = line.tags["at"].flatMap { IPAddress($0) } ?? uplink.address
    for word in text.split(separator: " ") where word.hasPrefix("server=") {
      uplink.id = UInt64(word.dropFirst(7), radix: 16) ?? uplink.id
    }
  }
}
