// Through the server: `@msgid=…;to=bob,carol MSG lobby hi`. One request for all who are to get the same
// message; the reply says who was not there (`missed`) and who will not acknowledge (`plain`). The
// others acknowledge through the server, too.

import LineProtocol

/// A lane whose message was handed to the server, in one of its attempts.
struct Handed {
  let lane: Int32
  let attempt: UInt64
}

extension Peer {
  /// Sends what these contacts have to get through the server, as far as the window allows.
  mutating func sendRelayed(to candidates: [Int32]) {
    var ready: [Int32: [Int32]] = [:]
    for contact in candidates where contacts.holds(contact) && hasSomethingToSend(contact) {
      guard way(to: contact) == .relay else { continue }
      for lane in contacts[contact].lanes where !lanes[lane].queue.isEmpty {
        if lanes[lane].path != .relay {
          breakPath(of: lane)
          lanes[lane].path = .relay
        }
        if nextToSend(lane) != nil { ready[lanes[lane].stream, default: []].append(lane) }
      }
    }
    for stream in ready.keys.sorted() { sendRelayed(stream, ready[stream] ?? []) }
  }

  /// The messages of one stream, in order; lanes that stand at the same message go together.
  private mutating func sendRelayed(_ stream: Int32, _ waiting: [Int32]) {
    var waiting = waiting
    while uplink.asked.count < Limits.relayWindow {
      waiting.removeAll { nextToSend($0) == nil || isBeyondWindow($0) }
      guard let least = waiting.map({ sequenceToSend($0) }).min() else { return }
      let together = waiting.filter { sequenceToSend($0) == least }
      if let reason = tooLong(least, of: stream) {
        for lane in together { fail(least, in: lane, reason: reason) }
        continue
      }
      for group in split(together) where uplink.asked.count < Limits.relayWindow {
        relay(least, of: stream, group)
      }
    }
    // The rest goes when replies have come.
    for lane in waiting { isHeldBack.insert(lanes[lane].contact) }
  }

  /// It was said when nobody knew how long a line this server takes. The server would answer it without
  /// saying which it was, and what is behind it would wait for ever.
  private func tooLong(_ sequence: UInt64, of stream: Int32) -> String? {
    guard let index = position(of: sequence, in: stream) else { return nil }
    let bytes =
      streams[stream].conversation.requestBytes + streams[stream].messages[index].text.count
    guard bytes >= uplink.lineBytesMax else { return nil }
    return "the server takes lines of at most \(uplink.lineBytesMax) bytes"
  }

  private func sequenceToSend(_ lane: Int32) -> UInt64 {
    lanes[lane].queue[lanes[lane].sent].sequence
  }

  private func isBeyondWindow(_ lane: Int32) -> Bool { lanes[lane].sent >= Limits.relayWindow }

  /// Those with the same message before it, as the `prev` tag must be true for each; and no more at a
  /// time than fit in a line.
  private func split(_ lanes: [Int32]) -> [[Int32]] {
    if case .person = streams[self.lanes[lanes[0]].stream].conversation {
      return lanes.map { [$0] }
    }
    var sets: [UInt64: [Int32]] = [:]
    for lane in lanes { sets[previous(lane) ?? 0, default: []].append(lane) }
    return sets.keys.sorted().flatMap { key -> [[Int32]] in
      let all = sets[key] ?? []
      return stride(from: 0, to: all.count, by: Limits.relayNames).map {
        Array(all[$0..<min($0 + Limits.relayNames, all.count)])
      }
    }
  }

  private mutating func relay(_ sequence: UInt64, of stream: Int32, _ together: [Int32]) {
    guard let index = position(of: sequence, in: stream),
      let id = MessageID(stream: streams[stream].id, sequence: sequence)
    else { return }
    let before = previous(together[0])
    let stamp = streams[stream].messages[index].stamp
    let text = streams[stream].messages[index].text
    let conversation = streams[stream].conversation
    let names = together.map { contacts[lanes[$0].contact].member.name }
    for lane in together {
      lanes[lane].sent += 1
      lanes[lane].relayedAt = time
      contacts[lanes[lane].contact].sentRelayed += 1
    }
    counters.sentRelayed += together.count
    sweepSoon()
    let handed = together.map { Handed(lane: $0, attempt: lanes[$0].attempt) }
    ask(.say(conversation, sequence: sequence, handed)) { buffer in
      buffer.append(";msgid=")
      buffer.append(id)
      buffer.append(";time=")
      buffer.append(Timestamp.text(stamp))
      if let before {
        buffer.append(";prev=")
        buffer.append(decimal: Int(clamping: before))
      }
      guard case .group = conversation else { return }
      buffer.append(";to=")
      for (index, name) in names.enumerated() {
        if index > 0 { buffer.append(",") }
        buffer.append(name)
      }
    } _: { buffer in
      buffer.append(conversation, text)
    }
  }

  // MARK: What the server says to it

  /// It was handed over to all but those who were missed.
  mutating func wasRelayed(
    _ sequence: UInt64, _ handed: [Handed], missed: Set<MemberName>, plain: Set<MemberName>
  ) {
    for lane in lanesUnderWay(sequence, handed) {
      let contact = lanes[lane].contact
      let name = contacts[contact].member.name
      if missed.contains(name) {
        // Until the server says that it is back, or that it had only left the group; of a stranger it
        // says neither.
        if contacts[contact].groups == 0 {
          contacts[contact].presence = .online
        } else if contacts[contact].isOnline {
          contacts[contact].presence = .missed
        }
        relayPauses(contact)
      } else if plain.contains(name) {
        wasSent(sequence, lane)
      } else if let index = lanes[lane].position(of: sequence),
        lanes[lane].queue[index].told != .relayed
      {
        lanes[lane].queue[index].told = .relayed
        tell(sequence, of: lane, .relayed)
      }
      markDirty(contact)
    }
  }

  mutating func relayIsRefused(_ sequence: UInt64, _ handed: [Handed], _ refusal: Refusal) {
    for lane in lanesUnderWay(sequence, handed) {
      let contact = lanes[lane].contact
      if refusal.code.isFinal {
        fail(sequence, in: lane, reason: refusal.text)
      } else {
        relayPauses(contact)
      }
      markDirty(contact)
    }
  }

  /// Those for which it still is what was said: a lane may have another path since it was sent, or its
  /// member another name, or there may be another in its place.
  private func lanesUnderWay(_ sequence: UInt64, _ handed: [Handed]) -> [Int32] {
    handed.filter { one in
      guard lanes.holds(one.lane), lanes[one.lane].attempt == one.attempt else { return false }
      guard lanes[one.lane].path == .relay else { return false }
      return lanes[one.lane].position(of: sequence).map { $0 < lanes[one.lane].sent } ?? false
    }.map(\.lane)
  }

  /// It and all before it were handed to somebody who does not acknowledge.
  private mutating func wasSent(_ sequence: UInt64, _ lane: Int32) {
    let (contact, stream) = (lanes[lane].contact, lanes[lane].stream)
    while let first = lanes[lane].queue.first, first.sequence <= sequence {
      takeFirst(of: lane, .sent)
    }
    contacts[contact].relayFailures = 0
    noteDone(contact, stream, through: sequence, failure: nil)
    dropDone(stream)
  }

  /// Not handed over: later again, with growing pauses, or when the server says that it is back.
  private mutating func relayPauses(_ contact: Int32) {
    breakRelays(to: contact)
    let doubled =
      Limits.relayRetryLeastMicroseconds << Int64(min(contacts[contact].relayFailures, 16))
    let pause = jittered(min(Limits.retryMostMicroseconds, doubled))
    contacts[contact].relayFailures += 1
    contacts[contact].relayAt = time + pause
    markDirty(contact)
    sweepSoon()
  }

  mutating func goOnRelaying() {
    guard !isHeldBack.isEmpty else { return }
    for contact in isHeldBack.sorted() where contacts.holds(contact) { markDirty(contact) }
    isHeldBack.removeAll()
  }

  /// No receipt has come for what was handed over: it is sent again from the oldest, with growing
  /// pauses; the receiver knows what it has. A pause that is over ends, too.
  mutating func resendRelayed(to contact: Int32) {
    if contacts[contact].relayAt != 0 && contacts[contact].relayAt <= time {
      contacts[contact].relayAt = 0
      markDirty(contact)
    }
    for lane in contacts[contact].lanes where lanes[lane].path == .relay && lanes[lane].sent > 0 {
      let pause = Limits.receiptMicroseconds << Int64(min(lanes[lane].unanswered, 8))
      guard time - lanes[lane].relayedAt >= min(pause, Limits.retryMostMicroseconds) else {
        continue
      }
      lanes[lane].unanswered += 1
      breakPath(of: lane)
      markDirty(contact)
    }
  }
}
