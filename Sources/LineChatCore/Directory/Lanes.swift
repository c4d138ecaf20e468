// What waits for a durable member: its lane. For plain senders the server is the sending node, so
// what it cannot hand over now it keeps, in order, until the member has it.
//
// Rules:
//   - A lane is a queue: what came first is handed over first. Messages are taken out when they are
//     delivered, and that is: acknowledged by a member that speaks tags, written out to one that
//     does not.
//   - Who sent a message is told `kept` only when it is on disk. While the member's address is being
//     dialled the sender waits, at most `Limits.claimMicroseconds`.
//   - A lane is bounded, and so is what is on its way to the disk; what does not fit is not counted
//     as kept, and a PM is refused.
//   - What a program that is connected has not acknowledged yet lies here too, so that it comes again
//     when its connection breaks.

import DequeModule
import LineProtocol

/// A message on its way to one durable member.
struct Kept {
  enum Disk { case none, underWay, done }

  /// Rises along the lane.
  var number: UInt64
  /// The line as it is heard, without tags and end: `:alice@relay MSG lobby hi`.
  let line: [UInt8]
  /// The word behind the verb, by which it is acknowledged.
  let destination: [UInt8]
  let id: MessageID
  let stamp: Int64
  var disk = Disk.none
  /// The request whose reply counts it; 0 for none.
  var claim: UInt64 = 0

  /// What it counts for in its lane: the line, and about what the rest of it takes.
  var bytes: Int { line.count + 64 }
}

struct Lane {
  let number: UInt64
  var queue: Deque<Kept> = []
  var bytes = 0
  /// How many at the head have been sent on the present path and are not known to have arrived.
  var sent = 0
  /// The connection that was dialled for it.
  var link: UInt32?
  var failures = 0
  /// Not to be dialled before, on the monotonic clock.
  var retryAt: Int64 = 0
  var isQueuedForDial = false
  /// Where the present dial fails, its member is dialled again at once.
  var isDialWanted = false
  /// The present dial takes longer than a sender waits: nobody else is to wait for it.
  var isLate = false

  /// Where a message lies, if it still does: their numbers rise along the queue.
  func position(of number: UInt64) -> Int? {
    var (low, high) = (0, queue.count)
    while low < high {
      let middle = (low + high) / 2
      if queue[middle].number < number { low = middle + 1 } else { high = middle }
    }
    return low < queue.count && queue[low].number == number ? low : nil
  }
}

/// A MSG or PM whose reply waits until it is known what became of it for members who are away.
struct Claim {
  let session: SessionID
  let label: String?
  /// Where it was said; nil for a PM.
  let group: GroupName?
  let recipient: MemberName?
  var handed: Int
  let others: Int
  var kept = 0
  /// Lanes in which the message waits; while it is put into them, one more.
  var waiting = 1
  /// Those whose lanes it was put into.
  var members: [Int32] = []
  /// Why it could not be kept.
  var failure: Refusal?
}

// MARK: - Into a lane

extension Directory {
  /// Puts a message into the lane of each durable member of the group who is away. Returns the claim
  /// of the request if its reply has to wait.
  mutating func keepForAway(
    _ line: [UInt8], in group: Int32, id: MessageID, stamp: Int64, handed: Int, others: Int,
    _ request: Request
  ) -> Bool {
    let name = groups[group].name
    let away = groups[group].away
    guard !away.isEmpty else { return false }
    let number = openClaim(
      Claim(
        session: sessions[request.session].id, label: request.label, group: name, recipient: nil,
        handed: handed, others: others),
      now: request.now)
    for member in away {
      keep(line, Array(name.description.utf8), id, stamp, for: member, number, now: request.now)
    }
    closeClaim(number)
    return true
  }

  /// Puts a private message into the lane of a durable member who is away; the reply waits.
  mutating func keepPrivately(
    _ line: [UInt8], for member: Int32, id: MessageID, stamp: Int64, _ request: Request
  ) {
    let name = members[member].name
    let number = openClaim(
      Claim(
        session: sessions[request.session].id, label: request.label, group: nil, recipient: name,
        handed: 0, others: 1),
      now: request.now)
    keep(line, Array(name.description.utf8), id, stamp, for: member, number, now: request.now)
    closeClaim(number)
  }

  private mutating func openClaim(_ claim: Claim, now: Instant) -> UInt64 {
    let number = nextTicket().number
    claims[number] = claim
    sessions[claim.session.index].activity = .claiming
    schedule(
      Deadline(at: now.monotonicMicroseconds + Limits.claimMicroseconds, kind: .claim(number)))
    return number
  }

  /// The message is in all lanes that it is for.
  private mutating func closeClaim(_ number: UInt64) {
    claims[number]?.waiting -= 1
    settle(number)
  }

  private mutating func keep(
    _ line: [UInt8], _ destination: [UInt8], _ id: MessageID, _ stamp: Int64, for member: Int32,
    _ claim: UInt64, now: Instant
  ) {
    var kept = Kept(
      number: nextTicket().number, line: line, destination: destination, id: id, stamp: stamp)
    kept.claim = claim
    var lane = lanes[member] ?? Lane(number: nextTicket().number)
    guard lane.bytes + kept.bytes <= Limits.keptBytes,
      keptBytes + kept.bytes <= Limits.keptBytesOfAll
    else {
      claims[claim]?.failure = Refusal(
        .rateLimited, .pm,
        "what waits for \(members[member].name) fills its room; try again when some of it is gone")
      return
    }
    claims[claim]?.waiting += 1
    claims[claim]?.members.append(member)
    lane.queue.append(kept)
    lane.bytes += kept.bytes
    keptBytes += kept.bytes
    lanes[member] = lane
    if !tryToReach(member, now: now) || lanes[member]?.isLate == true {
      putOnDisk(kept.number, member)
    }
  }

  /// What a program that is connected was just told stays here until it acknowledges it. Where that
  /// does not happen the oldest of it goes, as it was handed over after all; but nothing of what was
  /// promised to be kept.
  mutating func retain(
    _ line: [UInt8], _ destination: [UInt8], _ id: MessageID, _ stamp: Int64, by member: Int32
  ) {
    var lane = lanes[member] ?? Lane(number: nextTicket().number)
    let kept = Kept(
      number: nextTicket().number, line: line, destination: destination, id: id, stamp: stamp)
    while lane.bytes + kept.bytes > Limits.keptBytes {
      guard let index = lane.queue.firstIndex(where: { $0.disk == .none && $0.claim == 0 }) else {
        lanes[member] = lane
        return
      }
      let oldest = lane.queue.remove(at: index)
      lane.bytes -= oldest.bytes
      keptBytes -= oldest.bytes
      if index < lane.sent { lane.sent -= 1 }
    }
    lane.queue.append(kept)
    lane.bytes += kept.bytes
    keptBytes += kept.bytes
    lane.sent = lane.queue.count
    lanes[member] = lane
  }
}

// MARK: - To the disk

extension Directory {
  /// Puts what lies in the lane only in memory on disk.
  mutating func putOnDisk(_ member: Int32) {
    guard let lane = lanes[member] else { return }
    for kept in lane.queue where kept.disk == .none { putOnDisk(kept.number, member) }
  }

  private mutating func putOnDisk(_ number: UInt64, _ member: Int32) {
    guard let index = lanes[member]?.position(of: number) else {
      return
    }
    guard pending.count < Limits.pendingChanges else {
      return isNotKept(number, member, "the disk does not keep up")
    }
    lanes[member]!.queue[index].disk = .underWay
    let kept = lanes[member]!.queue[index]
    handOut(
      Pending(step: .keep(number), member: member, session: nil, label: nil, speaksTags: false),
      record(of: kept, for: member))
  }

  func record(of kept: Kept, for member: Int32) -> Record {
    var tags = aliasTags(of: member)
    tags["for"] = members[member].name.description
    tags["msgid"] = kept.id.description
    tags["time"] = Timestamp.text(kept.stamp)
    return Record { buffer in
      tags.render(into: buffer)
      kept.line.withUnsafeBytes { buffer.append($0) }
    }
  }

  mutating func isKept(_ number: UInt64, _ member: Int32, now: Instant) {
    guard let index = lanes[member]?.position(of: number) else {
      return
    }
    lanes[member]!.queue[index].disk = .done
    counters.kept += 1
    let claim = lanes[member]!.queue[index].claim
    lanes[member]!.queue[index].claim = 0
    effects.append(
      .event(.kept(for: members[member].wire, waiting: lanes[member]!.queue.count)))
    guard claim != 0 else { return }
    claims[claim]?.kept += 1
    claims[claim]?.waiting -= 1
    settle(claim)
  }

  /// It could not be written: it is not counted as kept. It still goes over if the member can be
  /// reached before the server ends.
  mutating func isNotKept(_ number: UInt64, _ member: Int32, _ reason: String) {
    guard let index = lanes[member]?.position(of: number) else {
      return
    }
    let kept = lanes[member]!.queue[index]
    guard kept.claim != 0 else {
      lanes[member]!.queue[index].disk = .none
      return
    }
    claims[kept.claim]?.failure = Refusal(
      .internalError, .pm, "the message could not be written to disk (\(reason)); nobody has it")
    claims[kept.claim]?.waiting -= 1
    lanes[member]!.queue.remove(at: index)
    lanes[member]!.bytes -= kept.bytes
    keptBytes -= kept.bytes
    if index < lanes[member]!.sent { lanes[member]!.sent -= 1 }
    dropLaneIfEmpty(member)
    settle(kept.claim)
  }
}

// MARK: - What the sender is told

extension Directory {
  /// The sender has waited long enough for the dials: what is not over yet is kept.
  mutating func claimTimedOut(_ number: UInt64) {
    for member in claims[number]?.members ?? [] {
      for kept in lanes[member]?.queue ?? [] where kept.claim == number && kept.disk == .none {
        lanes[member]!.isLate = true
        putOnDisk(kept.number, member)
      }
    }
  }

  private mutating func settle(_ number: UInt64) {
    guard let claim = claims[number], claim.waiting == 0 else { return }
    claims[number] = nil
    guard isLive(claim.session) else { return }
    let session = claim.session.index
    makeReady(session)
    endingNext.append(claim.session)
    counters.deliveries += claim.handed
    if let name = claim.recipient {
      guard claim.handed + claim.kept > 0 else {
        return refuse(
          claim.failure ?? Refusal(.unreachable, .pm, "\(name) can't be reached; try again later"),
          to: session, label: claim.label)
      }
      reply(session, claim.label) { buffer in
        buffer.append("OK PM ")
        buffer.append(name)
        if claim.kept > 0 { buffer.append(" kept") }
      }
    } else if let name = claim.group {
      replyToMessage(
        session, claim.label, name, handed: claim.handed, others: claim.others, kept: claim.kept)
    }
  }

  func replyToMessage(
    _ session: UInt32, _ label: String?, _ name: GroupName, handed: Int, others: Int, kept: Int,
    and more: Tags = Tags()
  ) {
    reply(session, label, and: more) { buffer in
      appendMessageReply(buffer, name, handed: handed, others: others, kept: kept)
    }
  }

  /// `OK MSG <group> <handed>/<others>`, without the end of line.
  func appendMessageReply(
    _ buffer: ByteBuffer, _ name: GroupName, handed: Int, others: Int, kept: Int
  ) {
    buffer.append("OK MSG ")
    buffer.append(name)
    buffer.append(byte: UInt8(ascii: " "))
    buffer.append(decimal: handed)
    buffer.append(byte: UInt8(ascii: "/"))
    buffer.append(decimal: others)
    if kept > 0 {
      buffer.append(" kept ")
      buffer.append(decimal: kept)
    }
  }
}

// MARK: - Out of a lane

extension Directory {
  /// Sends what has not been sent yet on the present path.
  mutating func sendLane(of member: Int32, to session: UInt32, isTagged: Bool) {
    guard var lane = lanes[member] else { return }
    var before: [UInt64: UInt64] = [:]
    for (index, kept) in lane.queue.enumerated() {
      defer { before[kept.id.stream] = kept.id.sequence }
      guard index >= lane.sent else { continue }
      fanOut.send(to: session, isReply: false) { buffer in
        if isTagged {
          var tags = Tags()
          tags["msgid"] = kept.id.description
          if let previous = before[kept.id.stream] { tags["prev"] = String(previous) }
          tags["time"] = Timestamp.text(kept.stamp)
          tags.render(into: buffer)
        }
        kept.line.withUnsafeBytes { buffer.append($0) }
        buffer.append(byte: UInt8(ascii: "\n"))
      }
    }
    lane.sent = lane.queue.count
    lanes[member] = lane
  }

  /// A member without tags has been written what was sent: that is all that can be known.
  mutating func laneArrived(_ member: Int32, now: Instant) {
    guard var lane = lanes[member] else { return }
    let arrived = Array(lane.queue.prefix(lane.sent))
    lane.queue.removeFirst(arrived.count)
    lane.sent = 0
    takeOut(arrived, of: &lane, member, now: now)
  }

  /// A member that speaks tags has a message, and all before it in the same stream.
  mutating func acknowledged(_ id: MessageID, by member: Int32, now: Instant) {
    guard var lane = lanes[member] else { return }
    let arrived = lane.queue.filter { $0.id.stream == id.stream && $0.id.sequence <= id.sequence }
    guard !arrived.isEmpty else { return }
    let sentBefore = lane.queue.prefix(lane.sent)
    lane.sent -= sentBefore.count { $0.id.stream == id.stream && $0.id.sequence <= id.sequence }
    lane.queue.removeAll { $0.id.stream == id.stream && $0.id.sequence <= id.sequence }
    takeOut(Array(arrived), of: &lane, member, now: now)
  }

  /// Whether something of that stream waits for the member's acknowledgement.
  func keepsStream(_ stream: UInt64, for member: Int32) -> Bool {
    lanes[member]?.queue.contains { $0.id.stream == stream } == true
  }

  private mutating func takeOut(
    _ arrived: [Kept], of lane: inout Lane, _ member: Int32, now: Instant
  ) {
    for kept in arrived {
      lane.bytes -= kept.bytes
      keptBytes -= kept.bytes
    }
    lanes[member] = lane
    dropLaneIfEmpty(member)
    noteDelivered(arrived, to: member)
    if !arrived.isEmpty {
      effects.append(
        .event(
          .delivered(
            to: members[member].wire, messages: arrived.count, waiting: lane.queue.count)))
    }
    for kept in arrived where kept.claim != 0 {
      claims[kept.claim]?.handed += 1
      claims[kept.claim]?.waiting -= 1
      settle(kept.claim)
    }
  }

  /// What was written to disk, or is about to be, is crossed out there.
  private mutating func noteDelivered(_ arrived: [Kept], to member: Int32) {
    var last: [UInt64: Kept] = [:]
    for kept in arrived where kept.disk != .none { last[kept.id.stream] = kept }
    for kept in last.values.sorted(by: { $0.number < $1.number }) {
      let (tags, wire) = (aliasTags(of: member), members[member].wire)
      effects.append(
        .note(
          Record { buffer in
            tags.render(into: buffer)
            appendSource(buffer, wire)
            buffer.append("ACK ")
            kept.destination.withUnsafeBytes { buffer.append($0) }
            buffer.append(" ")
            buffer.append(kept.id.description)
          }))
    }
  }

  /// What was sent on a path that broke is to be sent again.
  mutating func laneBroke(_ member: Int32) {
    lanes[member]?.sent = 0
    putOnDisk(member)
  }

  mutating func dropLaneIfEmpty(_ member: Int32) {
    guard let lane = lanes[member], lane.queue.isEmpty, lane.link == nil, lane.failures == 0,
      !lane.isQueuedForDial
    else { return }
    lanes[member] = nil
  }

  /// The member is no more: what waited for it is reported.
  mutating func dropLane(of member: Int32, reason: String) {
    guard let lane = lanes.removeValue(forKey: member) else { return }
    keptBytes -= lane.bytes
    if let link = lane.link {
      abandonLink(link)
      startDials()
    }
    if lane.isQueuedForDial { dialQueue.removeAll { $0 == member } }
    guard !lane.queue.isEmpty else { return }
    effects.append(
      .event(
        .dropped(for: members[member].wire, messages: lane.queue.count, reason: reason)))
    for kept in lane.queue where kept.claim != 0 {
      claims[kept.claim]?.waiting -= 1
      settle(kept.claim)
    }
  }
}
