// What a node writes down, and takes up again.

import LineProtocol

// MARK: - Out

extension Peer {
  /// The state as it is; what waits for the disk at this moment is not in it, only who it is for.
  package func replicaState() -> ReplicaState {
    var state = ReplicaState(name: name.description)
    state.server = uplink.id.map(hexadecimal)
    state.serverAddress = uplink.address?.description
    state.listens = listens?.description
    state.place = place.description
    state.askedName = doubtfulName?.description
    state.leaving = leaving.sorted().map(\.description)
    if !leavesAsked.isEmpty { state.leavesAsked = leavesAsked.sorted().map(\.description) }
    if !untold.isEmpty { state.untold = untold.map { ReplicaState.Untold($0) } }
    state.time = Timestamp.text(clock.latest)
    for replica in groups.values.filter(\.isIn).sorted(by: { $0.name < $1.name }) {
      state.groups.append(
        ReplicaState.Group(
          name: replica.name.description, version: replica.roster.version.description,
          members: replica.roster.all.map { entry in
            var entry = entry
            // In a roster that is behind we have our name of before: at a start that would be another.
            if entry.handle < 0 { entry.member.name = name }
            // What was said of somebody in one group holds in the others, where it is not said yet.
            if entry.handle >= 0 { entry.speaksTags = contacts[entry.handle].speaksTags }
            let line = Record { appendMemberLine($0, replica.name, entry) }.line
            let head = "MEMBER \(replica.name) ".utf8.count
            let isDescribed = entry.handle < 0 || contacts[entry.handle].isDescribed
            return String(decoding: line[head...], as: UTF8.self)
              + (isDescribed ? "" : " \(ReplicaState.Group.notDescribed)")
          }))
    }
    for stream in streams.indices.sorted(by: { streams[$0].id < streams[$1].id }) {
      state.sent.append(
        ReplicaState.Sent(
          to: streams[stream].conversation.description,
          latest: "\(hexadecimal(streams[stream].id)).\(streams[stream].latest)"))
      noteWaiting(in: stream, &state)
    }
    state.heard = heard.filter { $0.value.durable > 0 }
      .sorted { ($0.value.order, $0.key) < ($1.value.order, $1.key) }
      .map { "\(hexadecimal($0.key)).\($0.value.durable)" }
    return state
  }

  private func noteWaiting(in stream: Int32, _ replica: inout ReplicaState) {
    let state = streams[stream]
    let first = state.latest - UInt64(state.messages.count) + 1
    var recipients = [[String]](repeating: [], count: state.messages.count)
    for lane in state.lanes {
      let name = contacts[lanes[lane].contact].member.name.description
      for entry in lanes[lane].queue { recipients[Int(entry.sequence - first)].append(name) }
    }
    for (index, message) in state.messages.enumerated() {
      guard let id = MessageID(stream: state.id, sequence: first + UInt64(index)) else { continue }
      let recipients = recipients[index].sorted()
      guard message.isOnDisk else {
        replica.unwritten = replica.unwritten ?? []
        replica.unwritten?.append(
          ReplicaState.Unwritten(message: id.description, recipients: recipients))
        continue
      }
      guard !recipients.isEmpty else { continue }
      let line = Record { buffer in
        buffer.append(messageTags: id, message.stamp)
        buffer.append(" ")
        appendSource(buffer, Member(name: name, place: place))
        buffer.append(state.conversation, message.text)
      }.line
      replica.outbox.append(
        ReplicaState.Waiting(
          message: String(decoding: line, as: UTF8.self), recipients: recipients))
    }
  }
}

// MARK: - In

extension Peer {
  /// Takes up a snapshot, before anything else happens. What cannot be read in it is left out, and
  /// returned as texts for the log.
  package mutating func restore(_ state: ReplicaState, now: Instant) -> [String] {
    begin(now)
    var faults: [String] = []
    if let saved = MemberName(state.name) {
      name = saved
    } else {
      faults.append("name \(state.name)")
    }
    uplink.id = state.server.flatMap { UInt64($0, radix: 16) }
    uplink.address = state.serverAddress.flatMap { IPAddress($0) }
    listens = state.listens.flatMap { Endpoint($0) }
    place = state.place.flatMap { Place($0) } ?? .relay
    clock = HybridClock(last: Timestamp.microseconds(state.time) ?? 0)
    doubtfulName = state.askedName.flatMap { MemberName($0) }
    leaving = Set(state.leaving.compactMap { GroupName($0) })
    leavesAsked = Set((state.leavesAsked ?? []).compactMap { GroupName($0) })
    for one in state.untold ?? [] {
      guard let failure = Untold(one) else {
        faults.append("untold message \(one.message)")
        continue
      }
      untold.append(failure)
    }
    for group in state.groups { restore(group, &faults) }
    for sent in state.sent { restore(sent, &faults) }
    for waiting in state.outbox {
      let names = waiting.recipients.compactMap { MemberName($0) }
      guard let message = try? Message(parsing: waiting.message), replaySaid(message, to: names)
      else {
        faults.append("waiting message \(waiting.message.prefix(80))")
        continue
      }
    }
    for one in state.unwritten ?? [] {
      guard let id = MessageID(one.message) else {
        faults.append("unwritten message \(one.message)")
        continue
      }
      unwritten[id] = one.recipients.compactMap { MemberName($0) }
    }
    for text in state.heard {
      guard let id = MessageID(text), id.sequence > 0 else {
        faults.append("heard stream \(text)")
        continue
      }
      heardCount += 1
      heard[id.stream] = HeardStream(durable: id.sequence, order: heardCount)
    }
    effects = []
    news = []
    return faults
  }

  private mutating func restore(_ saved: ReplicaState.Group, _ faults: inout [String]) {
    guard let group = GroupName(saved.name), let version = RosterVersion(saved.version) else {
      return faults.append("group \(saved.name)")
    }
    var entries: [Roster.Entry] = []
    var notDescribed: [MemberName] = []
    for text in saved.members {
      let words = text.split(separator: " ").map(String.init)
      guard let member = words.first.flatMap({ Member($0) }) else {
        faults.append("member \(text) of \(saved.name)")
        continue
      }
      if words.contains(ReplicaState.Group.notDescribed) { notDescribed.append(member.name) }
      entries.append(Roster.Entry(member, Array(words.dropFirst())))
    }
    replace(group, entries, version, isTold: false)
    for name in notDescribed {
      guard let contact = contactIndices[name], contacts[contact].member.place != .relay else {
        continue
      }
      contacts[contact].isDescribed = false
    }
    wanted.insert(group)
  }

  private mutating func restore(_ saved: ReplicaState.Sent, _ faults: inout [String]) {
    let parts = saved.latest.split(separator: ".")
    guard let conversation = Conversation(saved.to), parts.count == 2, parts[0].utf8.count == 16,
      let id = UInt64(parts[0], radix: 16), let latest = UInt64(parts[1]),
      latest <= Limits.sequenceMax
    else { return faults.append("stream \(saved.latest) to \(saved.to)") }
    let stream = restoreStream(conversation, id)
    streams[stream].latest = max(streams[stream].latest, latest)
  }

  /// The stream with that id; the first one of a conversation goes on being used.
  mutating func restoreStream(_ conversation: Conversation, _ id: UInt64) -> Int32 {
    if let stream = streamsByID[id] { return stream }
    guard streamIndices[conversation] != nil else { return outStream(conversation, id: id) }
    let stream = streams.insert(OutStream(conversation: conversation, id: id))
    streamsByID[id] = stream
    return stream
  }
}

extension ReplicaState.Untold {
  init(_ one: Untold) {
    message = one.id.description
    to = one.conversation.description
    recipient = one.recipient.description
    reason = one.reason
  }
}

extension Untold {
  /// Nil where something in it cannot be read.
  init?(_ one: ReplicaState.Untold) {
    guard let id = MessageID(one.message), let conversation = Conversation(one.to),
      let recipient = MemberName(one.recipient)
    else { return nil }
    self.init(id: id, conversation: conversation, recipient: recipient, reason: one.reason)
  }
}

extension Conversation {
  /// `lobby` or `@alice`, or nil.
  init?(_ text: String) {
    if text.hasPrefix("@") {
      guard let name = MemberName(text.dropFirst()) else { return nil }
      self = .person(name)
    } else {
      guard let group = GroupName(text) else { return nil }
      self = .group(group)
    }
  }
}
