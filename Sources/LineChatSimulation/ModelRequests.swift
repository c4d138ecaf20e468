// What each request should lead to, verb by verb. Whether a line has the right form is asked of the
// parser, which has tests of its own; what it means is said here.

import LineChatCore
import LineProtocol

/// A request being carried out.
struct Asked {
  let caller: Caller
  var tags = Tags()
  var label: String? { tags["label"] }
  var labelTag: [String: String?] { label.map { ["label": $0] } ?? [:] }
  var isTagged: Bool { !tags.isEmpty }
  var person: Person { caller.person }
}

extension Model {
  func refuse(_ asked: Asked, _ codes: [ErrorCode], _ verb: Verb?) {
    expect(asked.caller, .error(codes: codes, verb: verb?.description ?? "-"), asked.labelTag)
  }

  /// The line reader refused a line, or found a browser.
  func refused(_ code: ErrorCode, from caller: Caller) {
    expect(caller, .error(codes: [code], verb: "-"))
  }

  func http(from caller: Caller) {
    refused(.forbidden, from: caller)
    mustEnd[caller.number] = "spoke HTTP"
  }

  func receive(_ line: [UInt8], from caller: Caller) {
    var asked = Asked(caller: caller)
    var verb: Verb?
    let content = line.withUnsafeBytes { bytes in
      Result { () throws(Refusal) -> Message.Content? in
        let view = try LineView(bytes)
        if !view.tags.isEmpty {
          asked.tags = try Tags.parse(UnsafeRawBufferPointer(rebasing: bytes[view.tags]))
          caller.speaksTags = true
        }
        verb = view.verb
        if !view.source.isEmpty {
          let source = Member(bytes: UnsafeRawBufferPointer(rebasing: bytes[view.source]))
          guard source == asked.person.wire else { throw Refusal(.forbidden, verb, "another's") }
        }
        switch verb {
        case nil, .info, .member, .group, .stat: throw Refusal(.unknownVerb, verb, "no request")
        case .ok, .err, .pong: return nil
        default: break
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[view.verbWord.lowerBound...])
        return try Message(LineView(rest)).content
      }
    }
    switch content {
    case .success(let content?): carryOut(content, asked)
    case .success(nil): break
    case .failure(let refusal):
      // A receipt is never answered; a message to nowhere may be told so before its form is judged.
      if verb == .ack && refusal.code != .forbidden { return }
      let also: [ErrorCode] =
        verb == .msg ? [.noSuchGroup] : verb == .pm ? [.noSuchPeer] : []
      refuse(asked, [refusal.code] + also, refusal.verb)
    }
  }

  private func carryOut(_ content: Message.Content, _ asked: Asked) {
    switch content {
    case .nick(let name): nick(name, asked)
    case .join(let name, let placement, _): join(name, placement, asked)
    case .leave(let name, _): leave(name, asked)
    case .msg(let name, let text): say(name, Array(text.utf8), asked)
    case .pm(let recipient, let text): tell(recipient, Array(text.utf8), asked)
    case .ack(let destination, let id): acknowledge(destination, id, asked)
    case .members(let name):
      guard let group = groups[name] else { return refuse(asked, [.noSuchGroup], .members) }
      list(group, asked.caller, asked.label, as: .members)
    case .groups:
      expect(asked.caller, .groups(listed), asked.labelTag, isBarrier: true, isListing: true)
    case .ping(let token): reply(asked, "PONG" + (token.map { " " + $0 } ?? ""))
    case .help(let word):
      guard word.map({ Verb($0)?.isRequest == true }) ?? true else {
        return refuse(asked, [.unknownVerb], .help)
      }
      expect(asked.caller, .several(prefix: "HELP ", last: "OK HELP"), asked.labelTag)
    case .stats:
      expect(asked.caller, .several(prefix: "STAT ", last: "OK STATS"), asked.labelTag)
    case .wait(let seconds, let count):
      asked.caller.state = .waiting(
        until: now + Int64(seconds) * 1_000_000, count: count, received: 0, label: asked.label)
    case .quit:
      reply(asked, "OK QUIT")
      mustEnd[asked.caller.number] = "quit"
    case .forget(let name, let group): forget(name, group, asked)
    case .ok, .err, .pong, .info, .member, .group, .stat: break
    }
  }

  /// The groups as they are now.
  var listed: [Listed] { groupsByName.map { Listed(name: $0.name, count: $0.seats.count) } }

  func list(_ group: Group, _ caller: Caller, _ label: String?, as verb: Verb) {
    var tags: [String: String?] = label.map { ["label": $0] } ?? [:]
    for (index, seat) in group.seats.enumerated() {
      let text = "MEMBER \(group.name) \(seat.person.wire)\(seat.person.attributes)"
      expect(
        caller, .exact(Array(text.utf8)), tags, isBarrier: index == 0, isContinuation: index > 0,
        isListing: true)
    }
    tags["version"] = version(group)
    expect(
      caller, .exact(Array("OK \(verb) \(group.name) \(group.seats.count)".utf8)), tags,
      isContinuation: true, isListing: true)
  }

  private func noteTags(_ asked: Asked) {
    asked.person.saysTags = asked.isTagged
    notePresence(asked.person)
  }

  // MARK: NICK

  private func nick(_ name: MemberName, _ asked: Asked) {
    let person = asked.person
    if let holder = names[name], holder !== person { return takeUp(name, of: holder, asked) }
    if person.name.isWrittenLike(name), !person.isDoubtful {
      noteTags(asked)
      return reply(asked, "OK NICK \(person.name)")
    }
    if isDurable(person) {
      names[name] = person
      var key: [String: String?] = asked.caller.key.map { ["key": $0.fingerprint] } ?? [:]
      if asked.isTagged { key["tags"] = "1" }
      return ask(.rename(name), ":\(person.wire) NICK \(name)", key, asked)
    }
    rename(person, to: name, asked.caller, isTagged: asked.isTagged)
    replyToRename(asked.caller, asked.labelTag)
  }

  /// A program has heard before of what the new name does to its groups.
  func replyToRename(
    _ caller: Caller, _ label: [String: String?], isChange: Bool = true
  ) {
    expect(
      caller, .exact(Array("OK NICK \(caller.person.name)".utf8)), label,
      isBarrier: isChange && caller.speaksTags)
  }

  func rename(_ person: Person, to name: MemberName, _ caller: Caller, isTagged: Bool) {
    let before = person.wire
    names[before.name] = nil
    names[name] = person
    person.name = name
    if let key = caller.key { person.key = key }
    person.saysTags = isTagged
    guard !before.name.isWrittenLike(name) else { return notePresence(person) }
    rename(person, from: before, in: groups(of: person), own: person.caller)
    notePresence(person)
  }

  /// A name that is held: with its key from anywhere, without a key from its host while nobody is
  /// connected under it.
  private func takeUp(_ name: MemberName, of holder: Person, _ asked: Asked) {
    let caller = asked.caller
    let isByKey = holder.key != nil && holder.key == caller.key
    let isByHost =
      holder.key == nil && holder.caller == nil && holder.host == caller.origin.host
    guard holder.name == name, !holder.isChanging, isByKey || isByHost, !isDurable(asked.person)
    else { return refuse(asked, [.nameTaken], .nick) }
    if let older = holder.caller {
      let text = Expected.Text.error(codes: [.nameTaken], verb: "-")
      if isListing(older.number) {
        older.ear.breakListing { Expected(order: $0, tags: [:], text: text) }
      } else {
        expect(older, text)
      }
      holder.changes += 1
      end(older, reason: "replaced by a newer connection")
      holder.changes -= 1
      endedAhead.insert(older.number)
    }
    let guest = asked.person
    let before = guest.wire
    var brought: [Group] = []
    guest.caller = nil
    for group in groups(of: guest) {
      if group.seat(of: holder) != nil {
        leave(guest, group, own: program(caller))
      } else if let at = group.seats.firstIndex(where: { $0.person === guest }) {
        group.seats[at] = Group.Seat(person: holder, isDurable: false)
        brought.append(group)
      }
    }
    rename(holder, from: before, in: brought, own: caller)
    if holder.place != before.place {
      tellPlace(of: holder, in: brought, own: program(caller))
    }
    holder.caller = caller
    holder.host = caller.origin.host
    if let key = caller.key { holder.key = key }
    caller.person = holder
    noteTags(asked)
    forgetIfUnused(guest)
    replyToRename(caller, asked.labelTag)
    flush(holder, to: caller)
  }

  // MARK: JOIN and LEAVE

  private func join(_ name: GroupName, _ placement: Placement?, _ asked: Asked) {
    let person = asked.person
    let seat = groups[name]?.seat(of: person)
    if let placement {
      let place: Place
      switch resolve(placement, asked.caller.origin) {
      case .success(let resolved): place = resolved
      case .failure(let refusal): return refuse(asked, [refusal.code], .join)
      }
      if place != person.place, isCrowded(place) { return refuse(asked, [.rateLimited], .join) }
      if seat?.isDurable != true || place != person.place || person.isDoubtful {
        var tags: [String: String?] = ["time": nil]
        if case .tcp(let address) = person.host { tags["host"] = address.description }
        if let key = person.key { tags["key"] = key.fingerprint }
        if asked.isTagged { tags["tags"] = "1" }
        let wire = Member(name: person.name, place: place)
        let written = groups[name]?.name ?? name
        return ask(.join(written, place), ":\(wire) JOIN \(written)", tags, asked)
      }
    }
    if placement != nil {
      person.restsUntil = 0
      if !person.isReachable { person.wantsDial = true }
    }
    noteTags(asked)
    if seat == nil { enter(person, name, isDurable: false) }
    if let group = groups[name] { list(group, asked.caller, asked.label, as: .join) }
  }

  private func isCrowded(_ place: Place) -> Bool {
    guard case .direct = place else { return false }
    let there = names.filter { $0.key == $0.value.name && $0.value.place == place }
    let arriving = (due + wishes.values).filter { wish in
      if case .join(_, place) = wish.step { wish.person.place != place } else { false }
    }
    return there.count + arriving.count >= Limits.membersPerPlace
  }

  /// Nobody may make others dial a victim: an address is the connection's own, or, on this machine,
  /// any of the machine's.
  private func resolve(_ placement: Placement, _ origin: Origin) -> Result<Place, Refusal> {
    let own: IPAddress
    if case .tcp(let address) = origin, !origin.isThisMachine {
      own = address
    } else if case .tcp(let address) = origin {
      own = configuration.loopbackSubstitute ?? address
    } else {
      own = configuration.loopbackSubstitute ?? IPAddress(v4: 0x7f00_0001)
    }
    let endpoint: Endpoint
    switch placement {
    case .relay: return .success(.relay)
    case .endpoint(let named): endpoint = named
    case .port(let port):
      guard let made = Endpoint(address: own, port: port) else {
        return .failure(Refusal(.badAddress, .join, "no port"))
      }
      endpoint = made
    }
    let address = endpoint.address
    if address.isUnspecified || address.isMulticast
      || configuration.listenEndpoints.contains(endpoint)
    {
      return .failure(Refusal(.badAddress, .join, "nobody there"))
    }
    let isOwn =
      origin.isThisMachine
      ? address.isLoopback || configuration.localAddresses.contains(address) : address == own
    return isOwn ? .success(.direct(endpoint)) : .failure(Refusal(.forbidden, .join, "another's"))
  }

  private func leave(_ name: GroupName, _ asked: Asked) {
    guard let group = groups[name] else { return refuse(asked, [.noSuchGroup], .leave) }
    guard let seat = group.seat(of: asked.person) else {
      return refuse(asked, [.notMember], .leave)
    }
    if seat.isDurable {
      return ask(.leave(name), ":\(asked.person.wire) LEAVE \(name)", [:], asked)
    }
    leave(asked.person, group)
    reply(asked, "OK LEAVE \(group.name)")
  }

  // MARK: MSG, PM, ACK

  /// A message's tags: the sender's own, but those that are for one hop.
  private func passedOn(_ asked: Asked) -> [String: String?] {
    var tags: [String: String?] = [:]
    for tag in asked.tags where tag.key != "label" && tag.key != "to" { tags[tag.key] = tag.value }
    return tags
  }

  private func stamped(_ asked: Asked) -> [String: String?] {
    var tags = passedOn(asked)
    for key in ["msgid", "time"] where tags[key] == nil { tags[key] = .some(nil) }
    return tags
  }

  private func say(_ name: GroupName, _ text: [UInt8], _ asked: Asked) {
    guard let group = groups[name] else { return refuse(asked, [.noSuchGroup], .msg) }
    let person = asked.person
    var audience = group.seats.map(\.person).filter { $0 !== person }
    var outcome: [String: String?] = [:]
    if let to = asked.tags["to"] {
      let words = to.split(separator: ",").map(String.init)
      guard words.count <= WireLimits.recipients else { return refuse(asked, [.badSyntax], .msg) }
      let named = named(words, among: audience, but: person.name)
      outcome = outcomes(of: named)
      audience = named.compactMap(\.person)
    }
    let hearers = audience.compactMap(\.caller)
    let line = Array(":\(person.wire) MSG \(group.name) ".utf8) + text
    // A program may stamp by its own clock.
    let mark = Mark(of: group, after: asked.isTagged ? "" : stampFloor)
    for caller in hearers {
      expect(
        caller, .exact(line), stamped(asked), lane: group.name.description.lowercased(),
        mark: asked.tags["msgid"] == nil ? mark : nil)
      if !asked.isTagged, caller.speaksTags, group.seat(of: caller.person)?.isDurable == true {
        retain(line, mark, by: caller)
      }
    }
    for caller in hearers { received(caller) }
    let away = asked.isTagged ? [] : audience.filter { $0.caller == nil }
    guard !away.isEmpty else {
      let text = "OK MSG \(group.name) \(hearers.count)/\(audience.count)"
      return reply(asked, text, outcome)
    }
    let claim = Claim(
      asked, now, group: group.name, to: nil, hearers.count, of: audience.count)
    for person in away { keep(line, mark, for: person, claim) }
    open(claim)
  }

  /// Those whom a program names, each once, and names of nobody who is there.
  private func named(
    _ words: [String], among others: [Person], but own: MemberName
  ) -> [(name: MemberName, person: Person?)] {
    var named: [(name: MemberName, person: Person?)] = []
    for word in words {
      if word.lowercased() == "relay" {
        named += others.filter { $0.place == .relay }.map { ($0.name, $0) }
      } else if let name = MemberName(word), name != own {
        let person = others.first { $0.name == name }
        named.append((person?.name ?? name, person))
      }
    }
    return named.enumerated().filter { at, one in
      !named[..<at].contains { $0.name == one.name }
    }.map(\.element)
  }

  /// Who of those did not get it, and who will never acknowledge it.
  private func outcomes(
    of named: [(name: MemberName, person: Person?)]
  ) -> [String: String?] {
    let missed = named.filter { $0.person?.caller == nil }
    let plain = named.filter { $0.person?.caller?.speaksTags == false }
    var tags: [String: String?] = [:]
    for (key, those) in [("missed", missed), ("plain", plain)] where !those.isEmpty {
      tags[key] = those.map(\.name.description).joined(separator: ",")
    }
    return tags
  }

  private func tell(_ recipient: Recipient, _ text: [UInt8], _ asked: Asked) {
    guard let receiver = find(recipient) else { return refuse(asked, [.noSuchPeer], .pm) }
    let line = Array(":\(asked.person.wire) PM \(receiver.name) ".utf8) + text
    let mark = Mark(of: receiver, after: asked.isTagged ? "" : stampFloor)
    guard let caller = receiver.caller else {
      guard !asked.isTagged, isDurable(receiver) else {
        return refuse(asked, [.unreachable], .pm)
      }
      let claim = Claim(asked, now, group: nil, to: receiver.name, 0, of: 1)
      keep(line, mark, for: receiver, claim)
      return open(claim)
    }
    expect(
      caller, .exact(line), stamped(asked), mark: asked.tags["msgid"] == nil ? mark : nil)
    if !asked.isTagged, caller.speaksTags, isDurable(receiver) {
      retain(line, mark, by: caller)
    }
    let isLost = asked.isTagged && !caller.speaksTags
    reply(asked, "OK PM \(receiver.name)", isLost ? ["plain": receiver.name.description] : [:])
    received(caller)
  }

  private func find(_ recipient: Recipient) -> Person? {
    switch recipient {
    case .name(let name): return names[name].flatMap { $0.name == name ? $0 : nil }
    case .member(let wire): return names[wire.name].flatMap { $0.wire == wire ? $0 : nil }
    case .endpoint(let endpoint):
      let there = names.values.filter { $0.place == .direct(endpoint) && !groups(of: $0).isEmpty }
        .sorted { $0.placedAt < $1.placedAt }
      return there.first { $0.caller != nil } ?? there.first
    }
  }

  private func acknowledge(_ destination: Destination, _ id: MessageID, _ asked: Asked) {
    // What the server keeps for it is the server's to know of, whomever it names.
    let isKept = asked.person.lane.contains { $0.mark.stream.id == id.stream }
    guard let to = asked.tags["to"], !isKept else { return acknowledged(id, by: asked.person) }
    guard let name = MemberName(to), let person = names[name],
      person.name == name, let caller = person.caller, caller.speaksTags
    else { return }
    expect(
      caller, .exact(Array(":\(asked.person.wire) ACK \(destination) \(id)".utf8)), passedOn(asked))
  }
}
