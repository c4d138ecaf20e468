// What the node tells, and what follows from it.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  mutating func take(_ event: NodeEvent) {
    switch event {
    case .message(let message): heard(message)
    case .delivery(let id, let conversation, let name, let state):
      changed(id, conversation, name, state)
    case .posted(let receipt): taken(receipt)
    case .notPosted(let text, let target, let error):
      fail("\(quoted(text)) was not sent to \(target): \(inShellWords(error.description))")
    case .missed(let count):
      complain("too much came at once: \(count) things are not shown here; /history shows messages")
      for room in rooms { ask(.members(room.name), for: .listing(room.name)) }
    case .serverIsTried: isNameRefused = false
    case .serverIsThere(_, let isAnother): serverIsThere(isAnother: isAnother)
    case .serverIsAway(let reason, _): serverIsAway(reason)
    case .nameIsTaken(let name, let reason): nameIsTaken(name, reason)
    case .refused(let refusal): complain("the server refuses: \(inShellWords(refusal.text))")
    case .named(let new): named(new)
    case .placed(let place): placed(place)
    case .reachable(let isReachable): reachable(isReachable)
    case .entered, .exited, .joined, .left, .renamed, .moved, .presence: takeChange(event)
    case .linkUp(let member):
      contacts.note(member.name, "connected to \(member.place)", at: now.wallMicroseconds)
    case .linkIdle(let member):
      contacts.note(member.name, "connection closed, as it was not used", at: now.wallMicroseconds)
    case .linkDown(let member, let reason, _):
      contacts.note(
        member.name, "\(member.place) can't be reached: \(reason)", at: now.wallMicroseconds)
    }
  }

  private mutating func takeChange(_ event: NodeEvent) {
    switch event {
    case .entered(let group, _, _): entered(group)
    case .exited(let group, let reason): exited(group, reason)
    case .joined(let member, let group): joined(member, group)
    case .left(let member, let group, let reason): left(member, group, reason)
    case .renamed(let member, let new): renamed(member, to: new)
    case .moved(let member, let place): moved(member, from: place)
    case .presence(let member, let isOnline): presence(member, isOnline)
    default: break
    }
  }

  // MARK: The server

  private mutating func serverIsThere(isAnother: Bool) {
    if isAnother {
      complain(
        "this is not the server you knew at \(configuration.server): its groups and members are its own"
      )
    } else if server == .away, serverWasThere {
      tell("the server is back")
    } else if configuration.isInteractive, !serverWasThere {
      tell("connected to the server at \(configuration.server)")
    }
    server = .there
    serverWasThere = true
    isNameTaken = false
    let isWanted = !wanted.isEmpty
    joinWanted()
    askForGroups()
    if isReady, rooms.isEmpty, !isWanted, configuration.isInteractive, !hasHinted {
      hasHinted = true
      say("you are in no group; /groups lists those there are, /join GROUP enters or makes one")
    }
  }

  /// The groups that were asked for at the start, as soon as the server is there.
  mutating func joinWanted() {
    guard isReady, server == .there else { return }
    for group in wanted { ask(.join(group), for: .enter(group), blocks: true) }
    wanted = []
  }

  mutating func askForGroups() {
    groupsKnownAt = now.monotonicMicroseconds
    ask(.groups, for: .knowGroups)
  }

  private mutating func serverIsAway(_ reason: String) {
    let wasAway = server == .away
    server = .away
    let wasNameTaken = isNameTaken
    isNameTaken = isNameRefused
    guard !wasAway || wasNameTaken != isNameTaken else { return }
    // It is there, and does not let us in: that has been said.
    if isNameTaken {
      if !configuration.isInteractive, !serverWasThere { end(ShellExit.noServer) }
      return
    }
    guard !serverWasThere else {
      return tell(
        "the server is away (\(inShellWords(reason))); whoever listens is reached directly, "
          + "the rest waits")
    }
    let isNobodyThere = reason.lowercased().contains("refused")
    fail(
      isNobodyThere
        ? "no server at \(configuration.server); start one: linechatd"
        : "no server at \(configuration.server): \(reason)")
    guard configuration.isInteractive else { return end(ShellExit.noServer) }
    say("it is tried again by itself")
  }

  private mutating func nameIsTaken(_ taken: MemberName, _ reason: String) {
    isNameRefused = server != .there
    guard !isNameTaken else { return }
    // The server speaks of a guest's name behind it, which is of no use here.
    fail("the name \(taken) is not free: \(inShellWords(String(reason.prefix { $0 != ";" })))")
    // We have another one, and are in with that.
    guard isNameRefused else { return }
    isNameTaken = true
    if configuration.isInteractive {
      say(
        "it is asked for again by itself; for another one, /quit and start again with --name NAME")
    }
  }

  // MARK: Oneself

  private mutating func named(_ new: MemberName) {
    guard !new.isWrittenLike(name) else { return }
    name = new
    tell("you are now \(new)")
  }

  private mutating func placed(_ new: Place) {
    guard new != place else { return }
    place = new
    guard configuration.isInteractive else { return }
    switch new {
    case .direct(let endpoint): tell("others reach you at \(endpoint)")
    case .relay: tell("others reach you through the server")
    }
  }

  private mutating func reachable(_ isReachable: Bool) {
    guard !isReachable, configuration.isInteractive else { return }
    tell("the server can't connect to your address: what others say comes through the server")
  }

  // MARK: Groups

  mutating func makeRoom(_ group: GroupName) -> Int {
    if let index = index(of: group) { return index }
    rooms.append(Room(group))
    return rooms.count - 1
  }

  private mutating func entered(_ group: GroupName) {
    let isKnown = index(of: group) != nil
    let index = makeRoom(group)
    if !isKnown || !rooms[index].isListed { rooms[index].isToBeAnnounced = true }
    // The answer to a join has the listing, too.
    guard !hasCall(.join(group)), !hasCall(.enter(group)) else { return }
    if current == nil { makeCurrent(group) }
    ask(.members(group), for: .listing(group))
  }

  private mutating func exited(_ group: GroupName, _ reason: String) {
    guard let index = index(of: group) else { return }
    rooms.remove(at: index)
    visited.removeAll { $0 == group }
    let why = reason.isEmpty ? "" : ": \(inShellWords(reason))"
    tell("you have left \(group)\(why)")
    guard current == group else { return }
    current = nil
    if let next = visited.popLast() ?? rooms.first?.name { makeCurrent(next) }
  }

  mutating func makeCurrent(_ group: GroupName) {
    guard let index = index(of: group) else { return }
    let room = rooms[index]
    rooms[index].unread = 0
    rooms[index].mentions = 0
    guard current != group else { return }
    if let current { visited.append(current) }
    visited.removeAll { $0 == group }
    current = room.name
    if memory.current != room.name, configuration.isInteractive {
      memory.current = room.name
      remember()
    }
  }

  mutating func list(_ members: [ShellMember], in group: GroupName) {
    let index = makeRoom(group)
    rooms[index].members = Dictionary(
      members.map { ($0.member.name, $0) }, uniquingKeysWith: { first, _ in first })
    rooms[index].isListed = true
    guard rooms[index].isToBeAnnounced else { return }
    rooms[index].isToBeAnnounced = false
    if configuration.isInteractive { tell(presentation(of: rooms[index], members)) }
  }

  /// Members who are named when a group is entered.
  private static let presentedMax = 8

  private func presentation(of room: Room, _ members: [ShellMember]) -> String {
    let others = members.filter { $0.member.name != name }
    let there = others.filter(\.isOnline).map(\.member.name)
    let away = others.filter { !$0.isOnline }.map(\.member.name)
    if others.isEmpty { return "you are in \(room.name); nobody else is yet" }
    guard others.count <= Self.presentedMax else {
      return "you are in \(room.name) with \(others.count) others; \(there.count) of them are there"
    }
    let most = Self.presentedMax
    let absent =
      away.isEmpty ? "" : "\(Comings.list(away, most: most)) \(away.count == 1 ? "is" : "are") away"
    if there.isEmpty { return "you are in \(room.name); \(absent)" }
    return "you are in \(room.name) with \(Comings.list(there, most: most))"
      + (away.isEmpty ? "" : "; \(absent)")
  }

  // MARK: The others

  private mutating func joined(_ member: Member, _ group: GroupName) {
    if let index = index(of: group) {
      rooms[index].members[member.name] = ShellMember(member)
      rooms[index].isAloneTold = false
    }
    note(.joined, member.name, "\(member.name) joined", in: group)
  }

  private mutating func left(_ member: Member, _ group: GroupName, _ reason: String) {
    if let index = index(of: group) { rooms[index].members[member.name] = nil }
    let why = reason.isEmpty ? "" : " (\(reason))"
    note(.left, member.name, "\(member.name) left\(why)", in: group)
  }

  private mutating func presence(_ member: Member, _ isOnline: Bool) {
    for index in rooms.indices { rooms[index].members[member.name]?.isOnline = isOnline }
    let words = isOnline ? "is back" : "is away"
    contacts.note(member.name, words, at: now.wallMicroseconds)
    note(isOnline ? .isBack : .isAway, member.name, "\(member.name) \(words)", in: nil)
  }

  private mutating func note(
    _ kind: Comings.Kind, _ member: MemberName, _ text: String, in group: GroupName?
  ) {
    guard !memory.ignored.contains(member) else { return }
    if comings.note(kind, member, in: group, now: now.monotonicMicroseconds) {
      coming(text, in: group)
    }
  }

  private mutating func moved(_ member: Member, from place: Place) {
    for index in rooms.indices { rooms[index].members[member.name]?.member = member }
    contacts.note(member.name, "is at \(member.place) now", at: now.wallMicroseconds)
  }

  private mutating func renamed(_ member: Member, to new: MemberName) {
    let old = member.name
    for index in rooms.indices { rooms[index].renamed(old, to: new) }
    feedback.renamed(old, to: new)
    contacts.renamed(old, to: new)
    if correspondent == old { correspondent = new }
    if let index = correspondents.firstIndex(of: old) { correspondents[index] = new }
    let isIgnored = memory.ignored.contains(old)
    if isIgnored { disguise(old, as: new) }
    guard
      comings.note(old, isNow: new, isIgnored: isIgnored, now: now.monotonicMicroseconds)
    else { return }
    tell(Comings.text(old, isNow: new, isIgnored: isIgnored))
    if isMemoryStale { remember() }
  }

  /// Another name is no way around being ignored, nor is going back to the one of before. Names in
  /// between are free for others.
  private mutating func disguise(_ old: MemberName, as new: MemberName) {
    isMemoryStale = true
    if disguises.remove(old) != nil { memory.ignored.remove(old) }
    if memory.ignored.insert(new).inserted { disguises.insert(new) }
  }
}
