// What the server should do, as simply as it can be said: who is connected, who is called what,
// who sits in which group, and what each connection must hear because of it. It is told what
// happens to the server, in the same order, and knows nothing of how the server does it: no rounds,
// no buffers, no slots, only lists that are looked through.

import LineChatCore
import LineProtocol

/// What the server numbers in one go: what is said in a group, or to one person alone.
class Stream {
  /// Its name on the wire, known as soon as anything of it has been seen.
  var id: UInt64?
}

/// Somebody with a name.
final class Person: Stream {
  var name: MemberName
  var place = Place.relay
  /// When the place was taken; of several at one place the first is meant.
  var placedAt = 0
  var host: Origin
  var key: Identity?
  var caller: Caller?
  var saysTags = false
  /// Changes of it on their way to the disk.
  var changes = 0
  /// The disk failed with a change of it, and may have it all the same.
  var isDoubtful = false
  /// The last dial of its address found it there.
  var isReachable = false
  /// What it is to get and is not known to have, in order.
  var lane: [Letter] = []
  /// What it has, and the journal has been told to keep.
  var unnoted: [Letter] = []
  /// The connection that the server makes or has made to it.
  var dial: Dial?
  /// Not to be dialled before.
  var restsUntil: Int64 = 0
  /// It has said that it listens: should a dial fail that was under way then, the next comes at once.
  var wantsDial = false

  init(_ name: MemberName, _ host: Origin) {
    self.name = name
    self.host = host
  }

  var isChanging: Bool { changes > 0 }
  var wire: Member { Member(name: name, place: place) }
  var attributes: String {
    (caller == nil ? " away" : " online") + (saysTags ? " tags" : "")
      + (isReachable ? " reachable" : "")
  }
}

/// A connection.
final class Caller {
  enum State {
    case ready
    case waiting(until: Int64, count: Int?, received: Int, label: String?)
    case persisting
    /// Its message is on the way to somebody who is away.
    case claiming
    /// It is being written what was kept for it.
    case flushing
    case ended
  }

  let number: Int
  let origin: Origin
  let key: Identity?
  var person: Person!
  var state = State.ready
  var speaksTags = false
  var hasEndedInput = false
  var heardAt: Int64
  /// The same at the beginning of the round.
  var heardBefore: Int64
  /// A long listing was under way at the beginning of the round.
  var wasListing = false
  /// What was kept for it had been written at the beginning of the round.
  var wasFlushing = false
  /// When its listing began, or it took the last piece.
  var movedAt: Int64 = 0
  var pings = 0
  let ear = Ear()

  init(_ link: Link, _ now: Int64) {
    number = link.number
    origin = link.origin
    key = link.key
    heardAt = now
    heardBefore = now
  }

  var isReady: Bool { if case .ready = state { true } else { false } }
  var isFlushing: Bool { if case .flushing = state { true } else { false } }
  var isWaiting: Bool { if case .waiting = state { true } else { false } }
  var hasEnded: Bool { if case .ended = state { true } else { false } }
}

final class Group: Stream {
  struct Seat {
    let person: Person
    var isDurable: Bool
  }

  var name: GroupName
  var seats: [Seat] = []
  var number: UInt64

  init(_ name: GroupName, _ number: UInt64) {
    self.name = name
    self.number = number
  }

  func seat(of person: Person) -> Seat? { seats.first { $0.person === person } }
}

/// A durable change that was asked for.
final class Wish {
  enum Step {
    case join(GroupName, Place)
    case leave(GroupName)
    case rename(MemberName)
    /// The owner's word.
    case drop(GroupName, Oblivion)
  }

  let step: Step
  let person: Person
  let caller: Caller
  let label: String?
  let isTagged: Bool
  /// Whom the name belonged to when it was asked.
  let (name, host, key): (MemberName, Origin, Identity?)
  /// The record's line without tags, and its tags.
  let line: String
  let tags: [String: String?]
  /// The group's name as it is written.
  var written: GroupName?

  init(
    _ step: Step, _ person: Person, _ asked: Asked, _ line: String, _ tags: [String: String?] = [:]
  ) {
    self.step = step
    self.person = person
    caller = asked.caller
    (name, host, key) = (person.name, person.host, person.key)
    label = asked.label
    isTagged = asked.isTagged
    self.line = line
    self.tags = tags
  }
}

/// A FORGET on its way to the disk.
final class Oblivion {
  let asked: Asked
  let name: MemberName
  let count: Int
  var waiting: Int
  var hasFailed = false

  init(_ asked: Asked, _ name: MemberName, _ count: Int) {
    self.asked = asked
    self.name = name
    self.count = count
    waiting = count
  }
}

final class Model {
  var configuration: Model.Configuration
  private(set) var now: Int64 = 0
  var callers: [Int: Caller] = [:]
  /// Who has a name, or has asked for it and waits for the disk.
  var names: [MemberName: Person] = [:]
  var groups: [GroupName: Group] = [:]
  /// The changes that the request under way must hand to the disk.
  var due: [Wish] = []
  var wishes: [Ticket: Wish] = [:]
  /// Messages on their way to the disk.
  var keeping: [Ticket: (letter: Letter, person: Person)] = [:]
  var claims: [Claim] = []
  var letters = 0
  /// What the disk is to hold.
  let memory = Memory()
  /// The latest stamp before the last start of the server that is still known.
  var stampFloor = ""
  var dials: [Dial] = []
  /// Connections that must be closed because of what happens now, with what the others are told.
  var mustEnd: [Int: String] = [:]
  /// Connections that were ended here and whose closing has not been asked for yet.
  var endedAhead: Set<Int> = []
  var changes: UInt64 = 0
  private var order = 0
  var placings = 0
  /// MEMBER lines that became true in this round.
  var truths: Set<String> = []
  var lastVersions: [GroupName: UInt64] = [:]

  struct Configuration {
    var versionStart: UInt64
    var localAddresses: Set<IPAddress>
    var listenEndpoints: Set<Endpoint>
    var loopbackSubstitute: IPAddress?
  }

  /// Whether a listing of the connection has not been written to its end: the model does not count
  /// bytes, so it is told.
  var isListing: (Int) -> Bool = { _ in false }

  init(_ configuration: Configuration) { self.configuration = configuration }

  func time(_ now: Int64) { self.now = now }

  var groupsByName: [Group] { groups.values.sorted { $0.name < $1.name } }
  func groups(of person: Person) -> [Group] {
    groupsByName.filter { $0.seat(of: person) != nil }
  }
  func isDurable(_ person: Person) -> Bool {
    groups.values.contains { $0.seat(of: person)?.isDurable == true }
  }

  // MARK: What must be heard

  func expect(
    _ caller: Caller, _ text: Expected.Text, _ tags: [String: String?] = [:], lane: String? = nil,
    isBarrier: Bool = false, isContinuation: Bool = false, isListing: Bool = false,
    mark: Mark? = nil, isOld: Bool = false
  ) {
    if isListing { caller.movedAt = now }
    expect(
      caller.ear, text, caller.speaksTags ? tags : [:], lane: lane, isBarrier: isBarrier,
      isContinuation: isContinuation, isListing: isListing, mark: mark, isOld: isOld)
  }

  func expect(
    _ ear: Ear, _ text: Expected.Text, _ tags: [String: String?], lane: String? = nil,
    isBarrier: Bool = false, isContinuation: Bool = false, isListing: Bool = false,
    mark: Mark? = nil, isOld: Bool = false
  ) {
    order += 1
    var expected = Expected(
      order: order, tags: tags, text: text, isBarrier: isBarrier, isContinuation: isContinuation,
      isListing: isListing)
    (expected.mark, expected.isOld) = (mark, isOld)
    ear.expect(expected, in: lane)
  }

  func reply(_ asked: Asked, _ text: String, _ tags: [String: String?] = [:]) {
    let all = tags.merging(asked.labelTag) { _, label in label }
    expect(asked.caller, .exact(Array(text.utf8)), all)
  }

  /// Tells everybody in the group but the person.
  func tell(
    _ group: Group, but person: Person, _ text: [UInt8], _ tags: [String: String?]
  ) -> [Caller] {
    let hearers = group.seats.filter { $0.person !== person }.compactMap(\.person.caller)
    for caller in hearers {
      expect(caller, .exact(text), tags, lane: group.name.description.lowercased())
    }
    return hearers
  }

  // MARK: Rosters change

  func bump(_ group: Group) -> String {
    changes += 1
    group.number += 1
    lastVersions[group.name] = group.number
    return version(group)
  }

  func version(_ group: Group) -> String { "\(configuration.versionStart).\(group.number)" }

  /// The others are told; the person itself where it would not know of it otherwise.
  func tellChange(_ group: Group, of person: Person, own: Caller? = nil, _ text: String) {
    let tags: [String: String?] = ["version": version(group), "time": nil]
    _ = tell(group, but: person, Array(text.utf8), tags)
    guard let own else { return }
    expect(own, .exact(Array(text.utf8)), tags, lane: group.name.description.lowercased())
  }

  func makeGroup(_ name: GroupName) -> Group {
    if let group = groups[name] { return group }
    let group = Group(name, changes)
    // A group made anew goes on where no version of its earlier life was.
    precondition(lastVersions[name].map { changes >= $0 } ?? true)
    groups[name] = group
    return group
  }

  func enter(_ person: Person, _ name: GroupName, isDurable: Bool) {
    let group = makeGroup(name)
    group.seats.append(Group.Seat(person: person, isDurable: isDurable))
    _ = bump(group)
    noteTruth(group, person)
    tellChange(group, of: person, ":\(person.wire) JOIN \(group.name)")
  }

  func leave(
    _ person: Person, _ group: Group, reason: String = "", isTold: Bool = true,
    own: Caller? = nil
  ) {
    let isDurableSeat = group.seat(of: person)?.isDurable == true
    group.seats.removeAll { $0.person === person }
    _ = bump(group)
    if isTold {
      tellChange(
        group, of: person, own: own,
        ":\(person.wire) LEAVE \(group.name)" + (reason.isEmpty ? "" : " \(reason)"))
    }
    if group.seats.isEmpty { groups[group.name] = nil }
    if isDurableSeat && !isDurable(person) { dropLane(of: person) }
  }

  /// The person listens elsewhere; its program is told so but for the group that it is listed.
  func place(_ person: Person, at place: Place, joining name: GroupName) {
    person.restsUntil = 0
    if !person.isReachable { person.wantsDial = true }
    guard place != person.place else { return }
    placings += 1
    person.place = place
    person.placedAt = placings
    tellPlace(of: person, in: groups(of: person), own: program(person.caller), but: name)
    person.isReachable = false
    notePresence(person)
    leaveDial(of: person)
  }

  func tellPlace(
    of person: Person, in shared: [Group], own: Caller?, but listed: GroupName? = nil
  ) {
    for group in shared {
      _ = bump(group)
      noteTruth(group, person)
      tellChange(
        group, of: person, own: group.name == listed ? nil : own,
        ":\(person.wire) JOIN \(group.name)")
    }
  }

  /// Who speaks tags is told of its own changes, too.
  func program(_ caller: Caller?) -> Caller? { caller?.speaksTags == true ? caller : nil }

  /// The person has another name from now on, in the given groups where it is already; the caller
  /// is its own, and hears of it as well.
  func rename(_ person: Person, from before: Member, in shared: [Group], own: Caller?) {
    var told: Set<Int> = []
    let text = ":\(before) NICK \(person.name)"
    for group in shared {
      _ = bump(group)
      noteTruth(group, person)
    }
    for group in shared {
      let hearers = group.seats.filter { $0.person !== person }.compactMap(\.person.caller)
      for caller in hearers + (program(own).map { [$0] } ?? []) {
        if caller.speaksTags {
          expect(
            caller, .exact(Array(text.utf8)),
            ["version": version(group), "group": group.name.description, "time": nil],
            lane: group.name.description.lowercased())
        } else if told.insert(caller.number).inserted {
          expect(caller, .exact(Array(text.utf8)), isBarrier: true)
        }
      }
    }
  }

  /// What MEMBERS says of the person has changed.
  func notePresence(_ person: Person) {
    for group in groups(of: person) { noteTruth(group, person) }
  }

  func noteTruth(_ group: Group, _ person: Person) {
    truths.insert("MEMBER \(group.name) \(person.wire)\(person.attributes)")
  }

  func isTrue(_ line: String) -> Bool { truths.contains(line) }

  func startRound() {
    truths.removeAll()
    for caller in callers.values {
      caller.heardBefore = caller.heardAt
      caller.wasListing = caller.ear.hasListing
      caller.wasFlushing = caller.isFlushing
    }
  }

  // MARK: Connections come and go

  func opened(_ link: Link, as name: MemberName) throws(Wrong) {
    guard names[name] == nil else { throw Wrong("\(name) was given to two") }
    let caller = Caller(link, now)
    caller.person = Person(name, caller.origin.host)
    caller.person.caller = caller
    names[name] = caller.person
    callers[link.number] = caller
    expect(caller, .several(prefix: "INFO linechatd 1 ", last: "INFO linechatd 1 "))
  }

  /// The connection is no more; the others hear why.
  func end(_ caller: Caller, reason: String, isTold: Bool = true) {
    guard !caller.hasEnded else { return }
    caller.state = .ended
    callers[caller.number] = nil
    guard let person = caller.person else { return }
    for group in groups(of: person) where group.seat(of: person)?.isDurable == false {
      leave(person, group, reason: reason == "quit" ? "" : reason, isTold: isTold)
    }
    person.caller = nil
    notePresence(person)
    for letter in person.lane { letter.path = nil }
    if !isDurable(person) { dropLane(of: person) }
    forgetIfUnused(person)
  }

  /// Nobody is called so any more, unless something remains of them.
  func forgetIfUnused(_ person: Person) {
    guard person.caller == nil, !person.isChanging, groups(of: person).isEmpty,
      !keeping.values.contains(where: { $0.person === person })
    else { return }
    dropLane(of: person)
    if names[person.name] === person { names[person.name] = nil }
  }

  /// The server asks for the closing of a connection: it must have a reason.
  func closing(_ number: Int) throws(Wrong) {
    if endedAhead.remove(number) != nil { return }
    guard let caller = callers[number] else { throw Wrong("connection \(number) is closed twice") }
    if let reason = mustEnd.removeValue(forKey: number) { return end(caller, reason: reason) }
    if caller.hasEndedInput && caller.ear.hasListing {
      return end(caller, reason: "connection closed")
    }
    let silence = now - caller.heardAt
    guard caller.speaksTags, caller.pings >= Limits.missedPings,
      silence >= Limits.silenceMicroseconds * Int64(Limits.missedPings + 1)
    else { throw Wrong("connection \(number) is closed without a reason") }
    end(caller, reason: "no sign of life")
  }

  func heard(_ caller: Caller) {
    caller.heardAt = now
    caller.pings = 0
  }

  func inputEnded(_ caller: Caller) {
    caller.hasEndedInput = true
    becomeReady(caller)
  }

  /// Where it has nothing under way and no more to say, a connection ends.
  func becomeReady(_ caller: Caller) {
    guard caller.isReady, caller.hasEndedInput, !caller.ear.hasListing else { return }
    mustEnd[caller.number] = "connection closed"
  }

  // MARK: WAIT

  func received(_ caller: Caller) {
    guard case .waiting(let until, let count, let received, let label) = caller.state else {
      return
    }
    caller.state = .waiting(until: until, count: count, received: received + 1, label: label)
    if let count, received + 1 >= count { endWait(caller) }
  }

  func endWait(_ caller: Caller) {
    guard case .waiting(_, _, let received, let label) = caller.state else { return }
    caller.state = .ready
    expect(
      caller, .exact(Array("OK WAIT \(received)".utf8)), label.map { ["label": $0] } ?? [:],
      isBarrier: true)
    becomeReady(caller)
  }

  func tick() {
    for number in callers.keys.sorted() {
      guard let caller = callers[number], case .waiting(let until, _, _, _) = caller.state,
        until <= now
      else { continue }
      endWait(caller)
    }
  }

  func shutDown() {
    for number in callers.keys.sorted() {
      guard let caller = callers[number] else { continue }
      caller.ear.dropListing()
      for dial in dials { dial.mustClose = true }
      dials = []
      expect(caller, .several(prefix: "INFO shutting-down ", last: "INFO shutting-down "))
      end(caller, reason: "server stopped", isTold: false)
      endedAhead.insert(number)
    }
  }
}
