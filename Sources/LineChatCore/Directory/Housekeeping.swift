// Keeping house: members who were not seen for long are dropped, after one last try to reach them;
// the owner can drop anybody at once.

import LineProtocol

/// A FORGET on its way to the disk.
struct Forgetting {
  let session: SessionID
  let label: String?
  let name: MemberName
  let count: Int
  var waiting: Int
  var failure: String?
}

extension Directory {
  /// Looks for members who were not seen for the time they are kept. Every hour is often enough for
  /// days, and a hundredth of it where it is set to less.
  mutating func keepHouse(now: Instant) {
    let pause = min(3_600_000_000, max(1_000_000, configuration.memberTTLMicroseconds / 100))
    schedule(Deadline(at: now.monotonicMicroseconds + pause, kind: .housekeeping))
    for member in members.indices {
      guard members[member].session < 0, members[member].isDurable,
        members[member].seenAt + configuration.memberTTLMicroseconds <= now.wallMicroseconds
      else { continue }
      if case .direct = members[member].place {
        // A member that answers was seen; one that does not is dropped when that is known.
        lanes[member]?.retryAt = 0
        expiring.insert(member)
        tryToReach(member, now: now)
      } else {
        expire(member, now: now)
      }
    }
  }

  mutating func expire(_ member: Int32, now: Instant) {
    effects.append(.event(.expired(members[member].wire)))
    drop(member, from: nil, reason: "not seen for long", forgetting: nil)
  }

  /// Takes a member out of a group, or out of all, when that is on disk. Returns out of how many.
  @discardableResult
  private mutating func drop(
    _ member: Int32, from only: GroupName?, reason: String, forgetting: UInt64?
  ) -> Int {
    let left = members[member].memberships.filter { membership in
      membership.isDurable && only.map { groups[membership.group].name == $0 } != false
    }.map { groups[$0.group].name }
    let wire = members[member].wire
    let tags = aliasTags(of: member)
    for name in left {
      var change = Pending(
        step: .drop(name, reason: reason), member: member, session: nil, label: nil,
        speaksTags: false)
      change.forgetting = forgetting
      handOut(
        change,
        Record { buffer in
          tags.render(into: buffer)
          appendSource(buffer, wire)
          buffer.append("LEAVE ")
          buffer.append(name)
        })
    }
    return left.count
  }

  // MARK: FORGET

  mutating func forget(
    _ name: MemberName, _ group: GroupName?, _ request: Request
  ) throws(Refusal) {
    guard sessions[request.session].origin == .owner else {
      throw Refusal(
        .forbidden, .forget,
        "only the server's owner may do that: linechatd forget \(name), where the server runs")
    }
    guard let member = names[name], members[member].name == name, members[member].isDurable else {
      throw Refusal(.noSuchPeer, .forget, "no durable member is called \(name)")
    }
    if let group {
      guard groupIndices[group] != nil else { throw noSuchGroup(group, .forget) }
      guard membership(of: member, in: group)?.isDurable == true else {
        throw Refusal(
          .notMember, .forget, "\(members[member].name) is no durable member of \(group)")
      }
    }
    let number = nextTicket().number
    let written = members[member].name
    sessions[request.session].activity = .persisting
    let count = drop(
      member, from: group, reason: "forgotten by the server's owner", forgetting: number)
    forgettings[number] = Forgetting(
      session: sessions[request.session].id, label: request.label, name: written, count: count,
      waiting: count)
  }

  /// One of the changes of a FORGET is on disk, or could not be written.
  mutating func forgot(_ number: UInt64, failure: String?, now: Instant) {
    guard forgettings[number] != nil else { return }
    forgettings[number]!.waiting -= 1
    if let failure { forgettings[number]!.failure = failure }
    guard let done = forgettings[number], done.waiting == 0 else { return }
    forgettings[number] = nil
    guard isLive(done.session) else { return }
    let session = done.session.index
    makeReady(session)
    endingNext.append(done.session)
    if let failure = done.failure {
      return refuse(
        Refusal(
          .internalError, .forget,
          "the change could not be written to disk (\(failure)); ask again"),
        to: session, label: done.label)
    }
    reply(session, done.label) { buffer in
      buffer.append("OK FORGET ")
      buffer.append(done.name)
      buffer.append(" ")
      buffer.append(decimal: done.count)
    }
  }
}
