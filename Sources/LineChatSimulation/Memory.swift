// What the disk is to hold, said by meaning and not by lines, and what a server must know that
// starts again with those of its records that a crash has left: the model after it.

import LineChatCore
import LineProtocol

/// What a record says.
enum Fact {
  case wish(Wish)
  case keep(Letter, Person)
  /// Everything of that stream up to there: the record says it for those before it, too, and may be
  /// all of them that a crash has left.
  case delivered(MessageID, Person)
  case habits(Person, Identity?, isTagged: Bool)
}

/// All facts in the order of their records.
final class Memory {
  enum State { case underWay, written, failed, note }

  /// A member as the disk knows it.
  final class Known {
    let name: MemberName
    var place = Place.relay
    var host: Origin
    var key: Identity?
    var saysTags = false
    var groups: [GroupName] = []
    var letters: [Letter] = []

    init(_ name: MemberName, _ host: Origin) {
      self.name = name
      self.host = host
    }

    func renamed(_ name: MemberName) -> Known {
      let other = Known(name, host)
      (other.place, other.key, other.saysTags) = (place, key, saysTags)
      (other.groups, other.letters) = (groups, letters)
      return other
    }
  }

  private(set) var facts: [(fact: Fact, ticket: Ticket?, state: State)] = []
  /// What was known at the last start.
  private var base: [(person: Person, known: Known)] = []

  func add(_ fact: Fact, _ ticket: Ticket? = nil) {
    facts.append((fact, ticket, ticket == nil ? .note : .underWay))
  }

  func written(_ ticket: Ticket) { set(ticket, .written) }
  func failed(_ ticket: Ticket) { set(ticket, .failed) }

  private func set(_ ticket: Ticket, _ state: State) {
    if let at = facts.lastIndex(where: { $0.ticket == ticket }) { facts[at].state = state }
  }

  /// Begins anew with what is known.
  func begin(_ known: [(person: Person, known: Known)]) {
    base = known
    facts = []
  }

  /// What is known when these records have survived.
  func known(_ survivors: Set<Int>) -> [Known] {
    var all = base
    func at(_ person: Person) -> Int? { all.firstIndex { $0.person === person } }
    for index in facts.indices where survivors.contains(index) {
      switch facts[index].fact {
      case .wish(let wish): apply(wish, &all)
      case .keep(let letter, let person):
        if let at = at(person) { all[at].known.letters.append(letter) }
      case .delivered(let id, let person):
        guard let at = at(person) else { break }
        all[at].known.letters.removeAll { $0.mark.isCovered(by: id) }
      case .habits(let person, let key, let isTagged):
        guard let at = at(person) else { break }
        all[at].known.key = key ?? all[at].known.key
        all[at].known.saysTags = isTagged
      }
    }
    return all.map(\.known)
  }

  private func apply(_ wish: Wish, _ all: inout [(person: Person, known: Known)]) {
    let found = all.firstIndex { $0.person === wish.person }
    switch wish.step {
    case .join(let group, let place):
      let at = found ?? all.count
      if found == nil { all.append((wish.person, Known(wish.name, wish.host))) }
      let known = all[at].known
      (known.place, known.host, known.key) = (place, wish.host, wish.key)
      known.saysTags = wish.isTagged
      if !known.groups.contains(group) { known.groups.append(group) }
    case .leave(let group), .drop(let group, _):
      guard let at = found else { break }
      all[at].known.groups.removeAll { $0 == group }
      if all[at].known.groups.isEmpty { all.remove(at: at) }
    case .rename(let name):
      guard let at = found else { break }
      let known = all[at].known.renamed(name)
      known.key = wish.caller.key ?? known.key
      known.saysTags = wish.isTagged
      all[at].known = known
    }
  }
}

// MARK: - The server starts again

extension Model {
  /// The server has crashed and starts with these records. What it numbers and orders
  /// in its own way is taken from it; what it must know is not.
  func restart(_ survivors: Set<Int>, _ directory: borrowing Directory) throws(Wrong) {
    let known = memory.known(survivors)
    (callers, names, groups, wishes, keeping) = ([:], [:], [:], [:], [:])
    (claims, dials, due, mustEnd, endedAhead, truths) = ([], [], [], [:], [], [])
    configuration.versionStart += 1
    var base: [(person: Person, known: Memory.Known)] = []
    for one in known {
      let person = Person(one.name, one.host)
      (person.place, person.key, person.saysTags) = (one.place, one.key, one.saysTags)
      one.letters.sort { $0.number < $1.number }
      for letter in one.letters { (letter.disk, letter.claim, letter.path) = (.done, nil, nil) }
      person.lane = one.letters
      names[one.name] = person
      base.append((person, one))
    }
    memory.begin(base)
    let state = directory.durableState()
    try compareMembers(state)
    let numbers = directory.rosterNumbers
    changes = numbers.changes
    lastVersions = numbers.groups
    for saved in state.groups {
      guard let name = GroupName(saved.name), let number = numbers.groups[name] else { continue }
      let group = Group(name, number)
      group.seats = saved.members.compactMap { MemberName($0).flatMap { names[$0] } }
        .map { Group.Seat(person: $0, isDurable: true) }
      groups[name] = group
    }
    for one in known {
      for name in one.groups where groups[name]?.seat(of: names[one.name]!) == nil {
        throw Wrong("\(one.name) was in \(name)")
      }
    }
    let seats = groups.values.reduce(0) { $0 + $1.seats.count }
    guard seats == known.reduce(0, { $0 + $1.groups.count }) else {
      throw Wrong("somebody is in a group that it was not in: \(state.groups)")
    }
    orderListeners(directory)
  }

  /// Of several at one place the first is meant.
  private func orderListeners(_ directory: borrowing Directory) {
    for person in names.values {
      guard case .direct(let endpoint) = person.place else { continue }
      for (index, name) in directory.listening(at: endpoint).enumerated() {
        names[name]?.placedAt = placings + 1 + index
      }
    }
    placings += names.count + 1
  }

  /// Holds what the server would write into a snapshot against what it must know.
  func compareMembers(_ state: DurableState) throws(Wrong) {
    let durable = names.filter { $0.key == $0.value.name }.values
      .filter { person in !callers.isEmpty ? isDurable(person) : true }
      .sorted { $0.name < $1.name }
    guard state.members.map(\.name) == durable.map(\.name.description) else {
      throw Wrong("it knows \(state.members.map(\.name)), not \(durable.map(\.name))")
    }
    for (saved, person) in zip(state.members, durable) {
      var host: String?
      if case .tcp(let address) = person.host { host = address.description }
      guard saved.place == person.place.description, saved.key == person.key?.fingerprint,
        saved.host == host || person.key != nil, (saved.tags ?? false) == person.saysTags
      else { throw Wrong("it knows \(saved), not \(person.wire) \(person.attributes)") }
      let kept = state.kept.first { $0.member == saved.name }?.messages ?? []
      let lines = kept.map { $0.split(separator: " ", maxSplits: 1).last.map(String.init) ?? "" }
      let due = person.lane.filter { $0.disk == .done }
        .map { String(decoding: $0.line, as: UTF8.self) }
      guard lines == due else { throw Wrong("it keeps \(lines) for \(saved.name), not \(due)") }
    }
  }
}
