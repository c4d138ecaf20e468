// The changes that wait for the disk: what was asked for must be handed to it, word for word, and
// happens when it is there; where the disk fails, nothing has happened.

import LineChatCore
import LineProtocol

extension Model {
  func ask(_ step: Wish.Step, _ line: String, _ tags: [String: String?], _ asked: Asked) {
    due.append(Wish(step, asked.person, asked, line, tags))
    asked.person.changes += 1
    asked.caller.state = .persisting
  }

  func forget(_ name: MemberName, _ group: GroupName?, _ asked: Asked) {
    guard asked.caller.origin == .owner else { return refuse(asked, [.forbidden], .forget) }
    guard let person = names[name], person.name == name, isDurable(person) else {
      return refuse(asked, [.noSuchPeer], .forget)
    }
    if let group {
      guard let group = groups[group] else { return refuse(asked, [.noSuchGroup], .forget) }
      guard group.seat(of: person)?.isDurable == true else {
        return refuse(asked, [.notMember], .forget)
      }
    }
    let left = groups(of: person).filter { there in
      there.seat(of: person)?.isDurable == true && (group == nil || there.name == group)
    }
    asked.caller.state = .persisting
    let oblivion = Oblivion(asked, person.name, left.count)
    for there in left {
      let line = ":\(person.wire) LEAVE \(there.name)"
      due.append(Wish(.drop(there.name, oblivion), person, asked, line))
      person.changes += 1
    }
  }

  /// The server hands something to the disk: a message, or what was asked for.
  func persisting(_ record: Record, _ ticket: Ticket) throws(Wrong) {
    let (tags, rest) = try Ear.split(record.line)
    if tags["for"] != nil { return try keeping(tags, rest, ticket) }
    guard let at = due.firstIndex(where: { rest.elementsEqual($0.line.utf8) }) else {
      throw Wrong("\(Ear.text(record.line)) went to the disk and was not asked for")
    }
    var plain = tags
    plain["or"] = nil
    try Ear.check(plain, due[at].tags)
    let wish = due.remove(at: at)
    wishes[ticket] = wish
    memory.add(.wish(wish), ticket)
  }

  func persisted(_ ticket: Ticket) {
    memory.written(ticket)
    if let (letter, person) = keeping.removeValue(forKey: ticket) {
      person.isDoubtful = false
      kept(letter, for: person)
      return forgetIfUnused(person)
    }
    guard let wish = wishes.removeValue(forKey: ticket) else { return }
    let (person, caller) = (wish.person, wish.caller)
    person.changes -= 1
    person.isDoubtful = false
    apply(wish)
    if case .drop(_, let oblivion) = wish.step {
      forgot(oblivion)
    } else if !caller.hasEnded {
      caller.state = .ready
      answer(wish)
    }
    forgetIfUnused(person)
    becomeReady(caller)
  }

  private func apply(_ wish: Wish) {
    let person = wish.person
    switch wish.step {
    case .join(let name, let place):
      // What has no durable member is nowhere on the disk, and written as its first one has it.
      if let group = groups[name], !group.seats.contains(where: \.isDurable) {
        group.name = name
        for seat in group.seats { noteTruth(group, seat.person) }
      }
      self.place(person, at: place, joining: name)
      person.saysTags = wish.isTagged
      notePresence(person)
      if let group = groups[name],
        let at = group.seats.firstIndex(where: { $0.person === person })
      {
        group.seats[at].isDurable = true
      } else {
        enter(person, name, isDurable: true)
      }
    case .leave(let name):
      guard let group = groups[name] else { break }
      wish.written = group.name
      if group.seat(of: person) != nil { leave(person, group) }
    case .rename(let name): rename(person, to: name, wish.caller, isTagged: wish.isTagged)
    case .drop(let name, _):
      guard let group = groups[name], group.seat(of: person) != nil else { break }
      leave(person, group, reason: "forgotten by the server's owner", own: person.caller)
    }
  }

  private func answer(_ wish: Wish) {
    let label: [String: String?] = wish.label.map { ["label": $0] } ?? [:]
    switch wish.step {
    case .join(let name, _):
      if let group = groups[name] { list(group, wish.caller, wish.label, as: .join) }
    case .leave(let name):
      expect(wish.caller, .exact(Array("OK LEAVE \(wish.written ?? name)".utf8)), label)
    case .rename(let name):
      replyToRename(wish.caller, label, isChange: !wish.name.isWrittenLike(name))
    case .drop: break
    }
  }

  private func forgot(_ oblivion: Oblivion) {
    oblivion.waiting -= 1
    let caller = oblivion.asked.caller
    guard oblivion.waiting == 0, !caller.hasEnded else { return }
    caller.state = .ready
    if oblivion.hasFailed {
      refuse(oblivion.asked, [.internalError], .forget)
    } else {
      reply(oblivion.asked, "OK FORGET \(oblivion.name) \(oblivion.count)")
    }
    becomeReady(caller)
  }

  func persistFailed(_ ticket: Ticket) {
    memory.failed(ticket)
    if let (letter, person) = keeping.removeValue(forKey: ticket) {
      notKept(letter, for: person)
      return forgetIfUnused(person)
    }
    guard let wish = wishes.removeValue(forKey: ticket) else { return }
    wish.person.changes -= 1
    if isDurable(wish.person) { wish.person.isDoubtful = true }
    let verb: Verb
    switch wish.step {
    case .join: verb = .join
    case .leave: verb = .leave
    case .rename(let name):
      verb = .nick
      if name != wish.person.name { names[name] = nil }
    case .drop(_, let oblivion):
      oblivion.hasFailed = true
      forgot(oblivion)
      return forgetIfUnused(wish.person)
    }
    forgetIfUnused(wish.person)
    guard !wish.caller.hasEnded else { return }
    wish.caller.state = .ready
    expect(
      wish.caller, .error(codes: [.internalError], verb: verb.description),
      wish.label.map { ["label": $0] } ?? [:])
    becomeReady(wish.caller)
  }
}
