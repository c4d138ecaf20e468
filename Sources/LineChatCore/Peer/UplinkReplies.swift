// What the server says: the replies to what was asked, the changes of rosters, and what others say
// through it.

import LineProtocol

extension Peer {
  mutating func hearServer(_ bytes: UnsafeRawBufferPointer) {
    guard let view = try? LineView(bytes) else { return }
    guard uplink.stage != .greeting || view.verb == .info || view.verb == .err else { return }
    switch view.verb {
    case .msg, .pm: hearRelayed(view)
    case .info: hearGreeting(view)
    case .ping: tellServer { $0.append("PONG\n") }
    case .ok: hearOK(view, tags(of: view))
    case .err: hearRefusal(view, tags(of: view))
    case .ack, .join, .leave, .nick, .member, .group: hearChange(view, tags(of: view))
    case .pong, .stat, .help, .members, .groups, .stats, .wait, .quit, .forget, nil: break
    }
  }

  func tags(of line: LineView) -> Tags {
    (try? Tags.parse(UnsafeRawBufferPointer(rebasing: line.bytes[line.tags]))) ?? Tags()
  }

  /// Whether a receipt says that something is missing before what was sent.
  func isLacking(_ tags: Tags) -> Bool { tags["prev"] != nil }

  /// The request that a reply with that label answers. Replies come in order; a request before it
  /// that got none (there is no such server) is not waited for.
  private mutating func takeAsked(_ tags: Tags) -> Asked? {
    guard let label = tags["label"].flatMap({ UInt64($0) }),
      let index = uplink.asked.firstIndex(where: { $0.label == label })
    else { return nil }
    let asked = uplink.asked[index]
    uplink.asked.removeFirst(index + 1)
    // There is room for what waits, whatever was answered.
    goOnRelaying()
    return asked
  }

  private mutating func hearOK(_ line: LineView, _ tags: Tags) {
    guard let asked = takeAsked(tags) ?? takeHandedOver(verbAnswered(by: line)) else { return }
    let listing = uplink.listing
    uplink.listing = []
    var view = line
    _ = view.word()
    let word = view.word()
    switch asked.what {
    case .nick(let wantedName):
      let written = word.flatMap { MemberName(bytes: $0) }
      nameIsOurs(written == wantedName ? written ?? wantedName : wantedName)
      if let mouth = asked.mouth { answerName(mouth) }
    case .leave(let group): leaveIsAnswered(group)
    case .join(let group, _), .members(let group):
      if case .join(_, .insteadOfAddress) = asked.what { uplink.isRelayForced = true }
      let written = word.flatMap { GroupName(bytes: $0) } ?? group
      takeListing(
        of: written == group ? written : group, listing,
        tags["version"].flatMap { RosterVersion($0) }, for: asked)
    case .identity: resolveDoubt(listing)
    case .groups: if let mouth = asked.mouth { answerGroups(asked.groups, mouth) }
    case .say(_, let sequence, let sent):
      wasRelayed(sequence, sent, missed: names(tags["missed"]), plain: names(tags["plain"]))
    case .handOver(let message, let recipients):
      guard case .ok(_, let text)? = (try? Message(line))?.content else { return }
      wasTakenOver(message, recipients, text, for: asked.mouth)
    }
  }

  /// `MSG` of `OK MSG lobby 1/1`.
  private func verbAnswered(by line: LineView) -> Verb? {
    var view = line
    return view.word().flatMap { Verb(String(decoding: $0, as: UTF8.self)) }
  }

  private func names(_ list: String?) -> Set<MemberName> {
    Set((list ?? "").split(separator: ",").compactMap { MemberName($0) })
  }

  private mutating func hearRefusal(_ line: LineView, _ tags: Tags) {
    guard let message = try? Message(line), case .err(let refusal) = message.content else { return }
    // It lets nobody in.
    guard uplink.stage != .greeting else { return loseServer(refusal.text) }
    guard let asked = takeAsked(tags) ?? takeHandedOver(refusal.verb) else {
      // The last line before the connection is closed.
      news.append(.refused(nil, refusal))
      return
    }
    uplink.listing = []
    switch asked.what {
    case .nick(let wantedName): nameIsRefused(wantedName, refusal, for: asked.mouth)
    case .leave(let group):
      if refusal.code.isFinal { leaveIsAnswered(group) } else { askLater(group) }
    case .join(let group, let joining): joinIsRefused(group, joining, refusal, asked)
    case .members(let group): listingIsRefused(group, refusal)
    case .identity: resolveDoubt([])
    case .groups: if let mouth = asked.mouth { refuse(refusal, to: mouth) }
    case .say(_, let sequence, let sent): relayIsRefused(sequence, sent, refusal)
    case .handOver: if let mouth = asked.mouth { refuse(refusal, to: mouth) }
    }
  }

  // MARK: Changes

  /// Lines that only the server may say, and only on this connection.
  private mutating func hearChange(_ line: LineView, _ tags: Tags) {
    guard let message = try? Message(line) else { return }
    if let time = tags["time"].flatMap({ Timestamp.microseconds($0) }) { clock.saw(time, now) }
    switch (message.content, message.source) {
    case (.member(let group, let member, let attributes), nil):
      let entry = Roster.Entry(member, attributes)
      if tags["label"] != nil {
        guard uplink.listing.count < Limits.names else { return loseServer("its list has no end") }
        uplink.listing.append(entry)
      } else {
        describe(entry, in: group)
      }
    case (.group(let name, let count), nil):
      guard let label = tags["label"].flatMap({ UInt64($0) }),
        let index = uplink.asked.firstIndex(where: { $0.label == label }),
        uplink.asked[index].groups.count < Limits.groups
      else { return }
      uplink.asked[index].groups.append(GroupCount(name: name, members: count))
    case (.ack(_, let id), let source?):
      guard let contact = contactIndices[source.name] else { return }
      acknowledged(id, by: contact, isLacking: isLacking(tags))
    case (.join(let group, _, _), let source?):
      change(group, tags, .join(source), message)
    case (.leave(let group, let reason), let source?):
      change(group, tags, .leave(source, reason ?? ""), message)
    case (.nick(let new), let source?):
      guard let group = tags["group"].flatMap({ GroupName($0) }) else { return }
      change(group, tags, .nick(source, new), message)
    default: break
    }
  }

  /// Another leave may be on its way behind a join that was asked for between the two: that one counts.
  private mutating func leaveIsAnswered(_ group: GroupName) {
    let isLast = !uplink.asked.contains { one in
      if case .leave(let later) = one.what { later == group } else { false }
    }
    if isLast { serverKnowsWeLeft(group) }
  }

  // MARK: Groups that were asked for

  private mutating func answerGroups(_ groups: [GroupCount], _ mouth: Mouth) {
    switch mouth {
    case .call(let call): news.append(.answer(call: call, .groups(groups)))
    case .session: answer(mouth, verb: .groups) { _ in }
    }
  }

  private mutating func answerName(_ mouth: Mouth) {
    let name = name
    if case .call(let call) = mouth { return news.append(.answer(call: call, .done)) }
    answer(mouth, verb: .nick) { $0.append(name) }
  }

  private mutating func joinIsRefused(
    _ group: GroupName, _ joining: Asked.Joining, _ refusal: Refusal, _ asked: Asked
  ) {
    listingIsAnswered(group)
    // Our address may be one that it does not let us have: others reach us through it then.
    if joining == .address,
      [.badAddress, .forbidden, .rateLimited].contains(refusal.code)
    {
      news.append(.refused(nil, refusal))
      return askJoin(group, for: asked.mouth, isAddressRefused: true)
    }
    // What changed meanwhile was not looked at.
    if groups[group]?.isIn == true { askMembers(group) }
    if let mouth = asked.mouth {
      isNotJoined(group)
      return refuse(refusal, to: mouth)
    }
    news.append(.refused(nil, refusal))
    if refusal.code.isFinal {
      if groups[group]?.isIn != true { wanted.remove(group) }
    } else {
      askLater(group)
    }
  }

  /// Who asked for it is told that it failed: it is not tried again by itself.
  mutating func isNotJoined(_ group: GroupName) {
    guard groups[group]?.isIn != true, !configuration.groups.contains(group) else { return }
    wanted.remove(group)
  }

  /// The server can't carry it out just now.
  private mutating func askLater(_ group: GroupName) {
    uplink.groupsDue.insert(group)
    schedule(after: Limits.groupRetryMicroseconds, .groups(uplink.step))
  }

  mutating func askForThoseDue() {
    let due = uplink.groupsDue.sorted()
    uplink.groupsDue = []
    for group in due {
      if leaving.contains(group) {
        askLeave(group)
      } else if wanted.contains(group) {
        askJoin(group)
      }
    }
  }

  private mutating func listingIsRefused(_ group: GroupName, _ refusal: Refusal) {
    listingIsAnswered(group)
    // There is nobody in it, so neither are we. Of one that we do not know, nothing is kept.
    if refusal.code == .noSuchGroup || groups[group]?.isIn != true {
      exit(group, reason: refusal.text)
    }
    for session in sessionsHolding() { retryHeld(session) }
  }
}

extension Roster.Entry {
  init(_ member: Member, _ attributes: [String]) {
    self.init(
      member: member, isOnline: attributes.contains("online"),
      speaksTags: attributes.contains("tags"), isReachable: attributes.contains("reachable"),
      handle: -1)
  }
}
