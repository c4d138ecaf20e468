// What outlives the server's process: durable members, where they are reached and whom their names
// belong to, the order in which they joined, and what is kept for them. A snapshot of it is one JSON
// object that a person can read; the journal's records are carried out on top of it.

import LineProtocol

package struct DurableState: Codable, Sendable, Hashable {
  package struct Member: Codable, Sendable, Hashable {
    package var name: String
    package var place: String
    /// The address of the host that the name belongs to; nil for this machine.
    package var host: String?
    package var key: String?
    /// It speaks tags; nil if it does not.
    package var tags: Bool?
    /// When somebody was last seen there, ISO 8601 UTC.
    package var seen: String
  }

  package struct Group: Codable, Sendable, Hashable {
    package var name: String
    /// In the order of joining.
    package var members: [String]
  }

  package struct Waiting: Codable, Sendable, Hashable {
    package var member: String
    /// Each as its record in the journal.
    package var messages: [String]
  }

  package var members: [Member] = []
  package var groups: [Group] = []
  package var kept: [Waiting] = []
  /// The latest stamp given, ISO 8601 UTC: later ones rise from it.
  package var time = Timestamp.text(0)

  package init() {}
}

// MARK: - Out

extension Directory {
  /// The state as it is; what waits for the disk at this moment is not in it.
  package func durableState() -> DurableState {
    var state = DurableState()
    state.time = Timestamp.text(clock.latest)
    let durable = members.indices.filter { members[$0].isDurable }
      .sorted { members[$0].name < members[$1].name }
    for index in durable {
      let member = members[index]
      var host: String?
      if case .tcp(let address) = member.host { host = address.description }
      state.members.append(
        DurableState.Member(
          name: member.name.description, place: member.place.description, host: host,
          key: member.identity?.fingerprint, tags: member.speaksTags ? true : nil,
          seen: Timestamp.text(member.seenAt)))
      let waiting = (lanes[index]?.queue ?? []).filter { $0.disk == .done }
      if !waiting.isEmpty {
        state.kept.append(
          DurableState.Waiting(
            member: member.name.description,
            messages: waiting.map {
              String(decoding: record(of: $0, for: index).line, as: UTF8.self)
            }))
      }
    }
    for index in groupOrder {
      let names = groups[index].roster.all.filter { entry in
        members[entry.handle].memberships.contains { $0.group == index && $0.isDurable }
      }.map(\.member.name.description)
      if !names.isEmpty {
        state.groups.append(
          DurableState.Group(name: groups[index].name.description, members: names))
      }
    }
    return state
  }
}

// MARK: - In

extension Directory {
  /// Takes up a snapshot, before anybody is connected. What cannot be read in it is left out, and
  /// returned as texts for the log.
  package mutating func restore(_ state: DurableState, now: Instant) -> [String] {
    var faults: [String] = []
    if let latest = Timestamp.microseconds(state.time) { clock = HybridClock(last: latest) }
    for saved in state.members {
      guard let name = MemberName(saved.name), let place = Place(saved.place), names[name] == nil
      else {
        faults.append("member \(saved.name) at \(saved.place)")
        continue
      }
      let member = restoreMember(name, now: now)
      members[member].speaksTags = saved.tags == true
      setPlace(place, of: member)
      if let host = saved.host.flatMap({ IPAddress($0) }) { members[member].host = .tcp(host) }
      recount(member)
      if let key = saved.key { members[member].identity = Identity(fingerprint: key) }
      if let seen = Timestamp.microseconds(saved.seen) { members[member].seenAt = seen }
    }
    for saved in state.groups {
      for text in saved.members {
        guard let group = GroupName(saved.name), let name = MemberName(text),
          let member = names[name]
        else {
          faults.append("\(text) in group \(saved.name)")
          continue
        }
        restoreMembership(member, group, now: now)
      }
    }
    // Who is in no group is no member: nobody could ever take the name out.
    for member in Array(members.indices) where !members[member].isDurable {
      faults.append("member \(members[member].name), who is in no group")
      dropIfUnused(member)
    }
    for waiting in state.kept where MemberName(waiting.member).flatMap({ names[$0] }) == nil {
      faults.append("what is kept for \(waiting.member), who is no member")
    }
    for line in state.kept.flatMap(\.messages) {
      do throws(Refusal) {
        try replay(Record(line: Array(line.utf8)), now: now)
      } catch {
        faults.append("kept message: \(error.text)")
      }
    }
    return faults
  }

  /// Carries out a record of the journal, before anybody is connected. One that does not fit what is
  /// there (a leave of somebody who is not in) changes nothing.
  package mutating func replay(_ record: Record, now: Instant) throws(Refusal) {
    let message = try Message(parsing: String(decoding: record.line, as: UTF8.self))
    if let time = message.tags["time"].flatMap({ Timestamp.microseconds($0) }) {
      clock = HybridClock(last: max(clock.latest, time))
    }
    guard let source = message.source else {
      throw Refusal(.badSyntax, message.content.verb, "a record without a source")
    }
    switch message.content {
    case .join(let group, _, _): replayJoin(source, group, message.tags, now: now)
    case .leave(let group, _):
      if let member = whose(source.name, message.tags), let index = groupIndices[group],
        membership(of: member, in: group) != nil
      {
        removeMembership(member, index, reason: "", isTold: false, now: now)
        if !members[member].isDurable { dropLane(of: member, reason: "left") }
        dropIfUnused(member)
      }
    case .nick(let name):
      if let member = whose(source.name, message.tags), names[name] == nil || names[name] == member
      {
        let identity = message.tags["key"].map(Identity.init(fingerprint:))
        applyRename(member, to: name, by: identity, isTagged: message.tags["tags"] != nil, now: now)
      }
    case .msg(let group, _): replayKept(record, message, Array(group.description.utf8))
    case .pm(let recipient, _): replayKept(record, message, Array(recipient.description.utf8))
    case .ack(_, let id):
      if let member = whose(source.name, message.tags) { replayDelivered(id, member) }
    default:
      throw Refusal(.badSyntax, message.content.verb, "no record begins like this")
    }
    effects.removeAll()
  }

  /// Whom a record is about: by the name it had, or by the one it was about to get.
  private func whose(_ name: MemberName, _ tags: Tags) -> Int32? {
    names[name] ?? tags["or"].flatMap { MemberName($0) }.flatMap { names[$0] }
  }

  private mutating func replayJoin(
    _ source: LineProtocol.Member, _ group: GroupName, _ tags: Tags, now: Instant
  ) {
    let member = names[source.name] ?? restoreMember(source.name, now: now)
    setPlace(source.place, of: member)
    members[member].host = tags["host"].flatMap { IPAddress($0) }.map { .tcp($0) } ?? .unix
    recount(member)
    members[member].identity = tags["key"].map(Identity.init(fingerprint:))
    if let seen = tags["time"].flatMap({ Timestamp.microseconds($0) }) {
      members[member].seenAt = seen
    }
    noteTags(member, tags["tags"] != nil)
    restoreMembership(member, group, now: now)
  }

  private mutating func restoreMember(_ name: MemberName, now: Instant) -> Int32 {
    makeMember(
      Member(name: name, host: .unix, session: -1, seenAt: now.wallMicroseconds))
  }

  private mutating func setPlace(_ place: Place, of member: Int32) {
    noteListener(member, from: members[member].place, to: place)
    members[member].place = place
    for membership in members[member].memberships {
      changeEntry(of: member, called: members[member].name, in: membership.group)
    }
  }

  private mutating func restoreMembership(_ member: Int32, _ name: GroupName, now: Instant) {
    guard membership(of: member, in: name) == nil else { return }
    addMembership(member, name, isDurable: true, isTagged: members[member].speaksTags, now: now)
    effects.removeAll()
  }

  private mutating func replayKept(_ record: Record, _ message: Message, _ destination: [UInt8]) {
    guard let name = message.tags["for"].flatMap({ MemberName($0) }),
      let member = whose(name, message.tags),
      let id = message.tags["msgid"].flatMap({ MessageID($0) }),
      let stamp = message.tags["time"].flatMap({ Timestamp.microseconds($0) }),
      // The tags end with the first space; what is heard begins behind it.
      let space = record.line.firstIndex(of: UInt8(ascii: " "))
    else { return }
    var lane = lanes[member] ?? Lane(number: nextTicket().number)
    guard !lane.queue.contains(where: { $0.id == id }) else { return }
    let kept = Kept(
      number: nextTicket().number, line: Array(record.line[(space + 1)...]),
      destination: destination, id: id, stamp: stamp, disk: .done)
    // One that the disk refused at first may have got there after later ones.
    let place = lane.queue.lastIndex { $0.stamp <= stamp }.map { $0 + 1 } ?? 0
    lane.queue.insert(kept, at: place)
    lane.bytes += kept.bytes
    keptBytes += kept.bytes
    lanes[member] = lane
  }

  private mutating func replayDelivered(_ id: MessageID, _ member: Int32) {
    guard var lane = lanes[member] else { return }
    lane.queue.removeAll { $0.id.stream == id.stream && $0.id.sequence <= id.sequence }
    keptBytes -= lane.bytes
    lane.bytes = lane.queue.reduce(0) { $0 + $1.bytes }
    keptBytes += lane.bytes
    lanes[member] = lane
    dropLaneIfEmpty(member)
  }

  /// After the last record: what waits is tried at once.
  package mutating func restored(now: Instant) {
    for member in lanes.keys.sorted() {
      // Records may have come in another order than the messages.
      for index in lanes[member]!.queue.indices {
        lanes[member]!.queue[index].number = nextTicket().number
      }
      tryToReach(member, now: now)
    }
  }
}
