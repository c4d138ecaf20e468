// What a sender is told: a send is answered when it is known for every recipient whether it has the
// message, waits for it or never gets it; at most after a second, and then what is still under way
// counts as waiting. What changes later is news.

import LineProtocol

/// An object, so that noting a receipt in it copies nothing.
final class PeerClaim {
  let mouth: Mouth
  let message: ChatMessage
  /// By contact, as one may take another name meanwhile; with the name that it was said to.
  var recipients: [(contact: Int32, name: MemberName)]
  /// What is known, but for those who have it: that is what becomes of nearly all.
  private(set) var exceptions: [Int32: DeliveryState] = [:]
  /// For how many something is known.
  private(set) var known = 0
  var isOnDisk = false

  init(_ message: ChatMessage, _ recipients: [(contact: Int32, name: MemberName)], for mouth: Mouth)
  {
    self.mouth = mouth
    self.message = message
    self.recipients = recipients
  }

  var isComplete: Bool { isOnDisk && known >= recipients.count }

  /// What is known of one recipient is this from now on. Returns whether all is known then.
  func note(_ contact: Int32, _ state: DeliveryState) -> Bool {
    let before: DeliveryState?
    switch state {
    case .delivered: before = exceptions.isEmpty ? nil : exceptions.removeValue(forKey: contact)
    case .sent, .takenOver, .relayed, .waiting, .failed:
      before = exceptions.updateValue(state, forKey: contact)
    }
    if before == nil { known += 1 }
    return isComplete
  }

  /// The contact has that number from now on; nil: it is nobody's any more.
  func renumber(_ contact: Int32, as new: Int32?) {
    guard let index = recipients.firstIndex(where: { $0.contact == contact }) else { return }
    // Who is one with another recipient has failed, or has it, by now: nobody is in a group twice.
    let free = new.flatMap { new in recipients.contains { $0.contact == new } ? nil : new }
    let number = free ?? -1 - Int32(index)
    recipients[index].contact = number
    exceptions[number] = exceptions.removeValue(forKey: contact)
  }
}

extension Peer {
  /// Returns the claim's number; 0 where nobody waits.
  mutating func openClaim(
    _ message: ChatMessage, _ recipients: [Int32], for mouth: Mouth
  ) -> UInt64 {
    guard mouth != .call(0) else { return 0 }
    let number = nextNumber()
    claims[number] = PeerClaim(
      message, recipients.map { ($0, contacts[$0].member.name) }, for: mouth)
    schedule(after: Limits.claimMicroseconds, .claim(number))
    return number
  }

  /// What has become of a message for the recipient of a lane.
  mutating func tell(_ sequence: UInt64, of lane: Int32, _ state: DeliveryState) {
    let (stream, contact) = (lanes[lane].stream, lanes[lane].contact)
    guard let index = position(of: sequence, in: stream) else { return }
    tell(sequence, of: stream, contact, state, claim: streams[stream].messages[index].claim)
  }

  mutating func tell(
    _ sequence: UInt64, of stream: Int32, _ contact: Int32, _ state: DeliveryState, claim: UInt64
  ) {
    if claim != 0, let waiting = claims[claim] {
      if waiting.note(contact, state) { answer(claim) }
      return
    }
    guard let id = MessageID(stream: streams[stream].id, sequence: sequence) else { return }
    news.append(
      .delivery(id, streams[stream].conversation, contacts[contact].member.name, state))
  }

  /// In claims a contact has another number from now on.
  mutating func renumber(_ contact: Int32, as new: Int32?) {
    for claim in claims.values { claim.renumber(contact, as: new) }
  }

  /// The message is on the disk: it is answered if all is known.
  mutating func settle(_ number: UInt64) {
    guard let claim = claims[number] else { return }
    claim.isOnDisk = true
    if claim.isComplete || isShuttingDown { answer(number) }
  }

  /// The time is over.
  mutating func settleAll(_ number: UInt64) {
    guard let claim = claims[number] else { return }
    // Where the disk is slow the answer waits for it, as an answer says that it is there.
    guard claim.isOnDisk else {
      return schedule(after: Limits.claimMicroseconds, .claim(number))
    }
    answer(number)
  }

  /// What is known of a recipient.
  private func state(_ contact: Int32, _ claim: PeerClaim) -> DeliveryState {
    if let exception = claim.exceptions[contact] { return exception }
    guard !claim.isComplete, let id = claim.message.id else { return .delivered }
    return isWaiting(id, for: contact) ? .underWay : .delivered
  }

  /// Whether that message waits for that contact.
  func isWaiting(_ id: MessageID, for contact: Int32) -> Bool {
    guard let stream = streamsByID[id.stream], contacts.holds(contact),
      let lane = lane(of: contact, stream)
    else { return false }
    return lanes[lane].position(of: id.sequence) != nil
  }

  private mutating func answer(_ number: UInt64) {
    guard let claim = claims.removeValue(forKey: number) else { return }
    let entries = claim.recipients.map { contact, name in
      Receipt.Entry(name, state(contact, claim))
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
    let id = claim.message.id
    func tags() -> Tags {
      var tags = Tags()
      tags["msgid"] = id?.description
      tags["waiting"] = Peer.list(waiting)
      tags["failed"] = Peer.list(failed)
      return tags
    }
    switch claim.message.conversation {
    case .group(let group):
      answer(claim.mouth, verb: .msg, tags: tags()) { buffer in
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
      answer(claim.mouth, verb: .pm, tags: tags()) { buffer in
        buffer.append(name)
        if !waiting.isEmpty { buffer.append(" kept") }
      }
    }
  }

  /// As many names as a tag should have.
  private static func list(_ names: [MemberName]) -> String? {
    guard !names.isEmpty else { return nil }
    let shown = names.prefix(Limits.namesInTag).map(\.description).joined(separator: ",")
    return names.count > Limits.namesInTag ? shown + ",…" : shown
  }
}
