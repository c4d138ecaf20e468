// What a sender is told: a send is answered when it is known for every recipient whether it has the
// message, waits for it or never gets it; at most after a second, and then what is still under way
// counts as waiting. What changes later is news.

import LineProtocol

struct PeerClaim {
  let mouth: Mouth
  let message: ChatMessage
  /// By contact, as one may take another name meanwhile; with the name that it was said to.
  var recipients: [(contact: Int32, name: MemberName)]
  var states: [Int32: DeliveryState] = [:]
  var isOnDisk = false
}

extension Peer {
  /// Returns the claim's number; 0 where nobody waits.
  mutating func openClaim(
    _ message: ChatMessage, _ recipients: [Int32], for mouth: Mouth
  ) -> UInt64 {
    guard mouth != .call(0) else { return 0 }
    let number = nextNumber()
    claims[number] = PeerClaim(
      mouth: mouth, message: message, recipients: recipients.map { ($0, contacts[$0].member.name) })
    schedule(after: Limits.claimMicroseconds, .claim(number))
    return number
  }

  /// What has become of a message for the recipient of a lane.
  mutating func tell(_ sequence: UInt64, of lane: Int32, _ state: DeliveryState) {
    let (stream, contact) = (lanes[lane].stream, lanes[lane].contact)
    let name = contacts[contact].member.name
    guard let index = position(of: sequence, in: stream),
      let id = MessageID(stream: streams[stream].id, sequence: sequence)
    else { return }
    let claim = streams[stream].messages[index].claim
    if claims[claim] != nil {
      claims[claim]!.states[contact] = state
      return settle(claim)
    }
    news.append(.delivery(id, streams[stream].conversation, name, state))
  }

  /// In claims a contact has another number from now on, which may depend on its place in each.
  mutating func renumber(_ contact: Int32, _ number: (Int) -> Int32) {
    for claim in claims.keys {
      guard let index = claims[claim]!.recipients.firstIndex(where: { $0.contact == contact })
      else { continue }
      let new = number(index)
      claims[claim]!.recipients[index].contact = new
      claims[claim]!.states[new] = claims[claim]!.states.removeValue(forKey: contact)
    }
  }

  /// Answers if all is known.
  mutating func settle(_ number: UInt64) {
    guard var claim = claims[number] else { return }
    if let id = claim.message.id, let stream = streamsByID[id.stream], !claim.isOnDisk {
      claim.isOnDisk =
        position(of: id.sequence, in: stream).map { streams[stream].messages[$0].isOnDisk } ?? true
      claims[number] = claim
    }
    guard claim.isOnDisk, claim.states.count >= claim.recipients.count else { return }
    answer(number, claim)
  }

  /// The time is over.
  mutating func settleAll(_ number: UInt64) {
    settle(number)
    guard var claim = claims[number], claim.isOnDisk || isShuttingDown else {
      // The disk is slow: the answer waits for it, as an answer says that it is there.
      if claims[number] != nil { schedule(after: Limits.claimMicroseconds, .claim(number)) }
      return
    }
    for (contact, _) in claim.recipients where claim.states[contact] == nil {
      claim.states[contact] = .underWay
    }
    answer(number, claim)
  }

  private mutating func answer(_ number: UInt64, _ claim: PeerClaim) {
    claims[number] = nil
    let entries = claim.recipients.compactMap { contact, name in
      claim.states[contact].map { Receipt.Entry(name, $0) }
    }
    let receipt = News.Answer.receipt(Receipt(message: claim.message, entries: entries))
    switch claim.mouth {
    case .call(let call): news.append(.answer(call: call, receipt))
    case .session:
      answer(claim, entries)
      news.append(.answer(call: 0, receipt))
    }
  }

  /// `OK MSG lobby 2/3 kept 1`, as the server says it; with tags that name those who have to wait.
  private mutating func answer(_ claim: PeerClaim, _ entries: [Receipt.Entry]) {
    var handed = 0
    var waiting: [MemberName] = []
    var failed: [MemberName] = []
    var reason = ""
    for entry in entries {
      switch entry.state {
      case .delivered, .sent, .takenOver, .relayed: handed += 1
      case .waiting: waiting.append(entry.recipient)
      case .failed(let why):
        failed.append(entry.recipient)
        reason = why
      }
    }
    var tags = Tags()
    tags["msgid"] = claim.message.id?.description
    tags["waiting"] = list(waiting)
    tags["failed"] = list(failed)
    switch claim.message.conversation {
    case .group(let group):
      answer(claim.mouth, verb: .msg, tags: tags) { buffer in
        buffer.append(group)
        buffer.append(" ")
        buffer.append(decimal: handed)
        buffer.append("/")
        buffer.append(decimal: entries.count)
        if !waiting.isEmpty {
          buffer.append(" kept ")
          buffer.append(decimal: waiting.count)
        }
      }
    case .person(let name):
      guard failed.isEmpty else {
        return refuse(Refusal(.noSuchPeer, .pm, reason), to: claim.mouth)
      }
      answer(claim.mouth, verb: .pm, tags: tags) { buffer in
        buffer.append(name)
        if !waiting.isEmpty { buffer.append(" kept") }
      }
    }
  }

  /// As many names as a tag should have.
  private func list(_ names: [MemberName]) -> String? {
    guard !names.isEmpty else { return nil }
    let shown = names.prefix(Limits.namesInTag).map(\.description).joined(separator: ",")
    return names.count > Limits.namesInTag ? shown + ",…" : shown
  }
}
