// What waits for members who are away, as simply as it can be said: a list for each of them. The
// model does not decide when the server dials or writes to disk; it is told, and holds that against
// what may be, and to what the sender is told in the end.

import LineChatCore
import LineProtocol

/// The id and time that a message got, known as soon as it has been seen anywhere.
final class Mark {
  /// Whose stream it belongs to: a group's, or that of what is said to one person.
  let stream: Stream
  private(set) var id: MessageID?
  private(set) var time: String?

  /// What it says is later than all that was said before the server's last start.
  private let floor: String

  init(of stream: Stream, after floor: String) {
    self.stream = stream
    self.floor = floor
  }

  /// Who has that message has this one, too.
  func isCovered(by other: MessageID) -> Bool {
    id.map { $0.stream == other.stream && $0.sequence <= other.sequence } ?? false
  }

  /// Everybody sees the same.
  func learn(_ tags: Tags) throws(Wrong) {
    guard let text = tags["msgid"], let seen = MessageID(text), let time = tags["time"] else {
      return
    }
    guard id == nil || id == seen, self.time == nil || self.time == time else {
      throw Wrong("a message is \(id?.description ?? "") to one and \(seen) to another")
    }
    guard time > floor else { throw Wrong("\(time) is given after \(floor)") }
    (id, self.time) = (seen, time)
    stream.id = seen.stream
  }
}

/// A message for somebody who may be away.
final class Letter {
  enum Disk { case none, underWay, done }

  let line: [UInt8]
  let mark: Mark
  /// When it was said, among all that were.
  let number: Int
  var disk = Disk.none
  /// Whose reply counts it.
  var claim: Claim?
  /// The caller or the dial that it was written to.
  var path: AnyObject?

  init(_ line: [UInt8], _ mark: Mark, _ number: Int) {
    self.line = line
    self.mark = mark
    self.number = number
  }

  var bytes: Int { line.count + 64 }
}

/// A sender that waits for what becomes of its message.
final class Claim {
  let asked: Asked
  let group: GroupName?
  let recipient: MemberName?
  let others: Int
  let since: Int64
  var handed: Int
  var kept = 0
  var waiting = 0
  var failure = ErrorCode.unreachable

  init(_ asked: Asked, _ since: Int64, group: GroupName?, to: MemberName?, _ handed: Int, of: Int) {
    self.asked = asked
    self.since = since
    self.group = group
    recipient = to
    self.handed = handed
    others = of
  }
}

/// A connection that the server makes to a member.
final class Dial {
  enum Stage { case dialling, greeting, open, finishing }

  let id: SessionID
  let endpoint: Endpoint
  let person: Person
  let ear = Ear()
  var stage = Stage.dialling
  /// When it came so far.
  var since: Int64
  /// When the connection was made.
  var stands: Int64 = 0
  var mustFinish = false
  var mustClose = false

  init(_ id: SessionID, _ endpoint: Endpoint, _ person: Person, _ now: Int64) {
    self.id = id
    self.endpoint = endpoint
    self.person = person
    since = now
  }
}

// MARK: - Into a lane and out of it

extension Model {
  private func nextLetter(_ line: [UInt8], _ mark: Mark) -> Letter {
    letters += 1
    return Letter(line, mark, letters)
  }

  func keep(_ line: [UInt8], _ mark: Mark, for person: Person, _ claim: Claim) {
    let letter = nextLetter(line, mark)
    guard person.lane.reduce(letter.bytes, { $0 + $1.bytes }) <= Limits.keptBytes else {
      claim.failure = .rateLimited
      return
    }
    letter.claim = claim
    claim.waiting += 1
    person.lane.append(letter)
  }

  /// A program is there and was told: it has it when it says so.
  func retain(_ line: [UInt8], _ mark: Mark, by caller: Caller) {
    let letter = nextLetter(line, mark)
    letter.path = caller
    caller.person.lane.append(letter)
  }

  func open(_ claim: Claim) {
    claim.asked.caller.state = .claiming
    claims.append(claim)
    settle(claim)
  }

  private func settle(_ claim: Claim) {
    guard claim.waiting == 0, claims.contains(where: { $0 === claim }) else { return }
    claims.removeAll { $0 === claim }
    let asked = claim.asked
    guard !asked.caller.hasEnded else { return }
    asked.caller.state = .ready
    if let name = claim.recipient {
      if claim.handed + claim.kept == 0 {
        refuse(asked, [claim.failure], .pm)
      } else {
        reply(asked, "OK PM \(name)" + (claim.kept > 0 ? " kept" : ""))
      }
    } else if let name = claim.group {
      let kept = claim.kept > 0 ? " kept \(claim.kept)" : ""
      reply(asked, "OK MSG \(name) \(claim.handed)/\(claim.others)\(kept)")
    }
    becomeReady(asked.caller)
  }

  private func delivered(_ letters: [Letter], to person: Person) {
    person.lane.removeAll { letter in letters.contains { $0 === letter } }
    person.unnoted += letters.filter { $0.disk != .none }
    for letter in letters {
      guard let claim = letter.claim else { continue }
      letter.claim = nil
      claim.handed += 1
      claim.waiting -= 1
      settle(claim)
    }
  }

  /// What waits is given up: there is nobody any more to wait for.
  func dropLane(of person: Person) {
    let letters = person.lane
    person.lane = []
    person.unnoted = []
    leaveDial(of: person)
    for letter in letters {
      guard let claim = letter.claim else { continue }
      letter.claim = nil
      claim.waiting -= 1
      settle(claim)
    }
  }

  func acknowledged(_ id: MessageID, by person: Person) {
    let letters = person.lane.filter { $0.mark.isCovered(by: id) }
    delivered(letters, to: person)
  }

  /// What is not on the path yet is written to it.
  private func send(_ person: Person, to ear: Ear, path: AnyObject, isTagged: Bool) {
    for (index, letter) in person.lane.enumerated() where letter.path == nil {
      letter.path = path
      var tags: [String: String?] = [:]
      if isTagged {
        tags = ["msgid": letter.mark.id?.description, "time": letter.mark.time]
        let before = person.lane[..<index].last { $0.mark.stream === letter.mark.stream }
        if let before {
          tags.updateValue(before.mark.id.map { String($0.sequence) }, forKey: "prev")
        }
      }
      let words = letter.line.split(separator: 0x20, maxSplits: 3)
      let isSaid = words.count > 2 && words[1].elementsEqual("MSG".utf8)
      let lane = isSaid ? String(decoding: words[2], as: UTF8.self).lowercased() : nil
      expect(ear, .exact(letter.line), tags, lane: lane, mark: letter.mark, isOld: true)
    }
  }

  /// Who takes up a name hears first what waited for it.
  func flush(_ person: Person, to caller: Caller) {
    leaveDial(of: person)
    person.restsUntil = 0
    for letter in person.lane { letter.path = nil }
    guard !person.lane.isEmpty else { return }
    send(person, to: caller.ear, path: caller, isTagged: caller.speaksTags)
    if !caller.speaksTags { caller.state = .flushing }
  }

  /// What was begun with the address is of no use any more.
  func leaveDial(of person: Person) {
    guard let dial = person.dial else { return }
    dial.mustClose = true
    remove(dial)
    for letter in person.lane where letter.path === dial { letter.path = nil }
  }

  func drained(_ caller: Caller) {
    guard caller.isFlushing else { return }
    caller.state = .ready
    delivered(caller.person.lane.filter { $0.path === caller }, to: caller.person)
    becomeReady(caller)
  }
}

// MARK: - The disk

extension Model {
  /// A message goes to the disk.
  func keeping(_ tags: Tags, _ line: ArraySlice<UInt8>, _ ticket: Ticket) throws(Wrong) {
    let person = tags["for"].flatMap { MemberName($0) }.flatMap { name in
      names.values.first { $0.name == name }
    }
    let id = tags["msgid"].flatMap { MessageID($0) }
    let letter = person?.lane.first { letter in
      letter.disk == .none && line.elementsEqual(letter.line)
        && (letter.mark.id == nil || letter.mark.id == id)
    }
    guard let person, let letter, tags.count == (tags["or"] == nil ? 3 : 4) else {
      throw Wrong("\(Ear.text(line)) is kept for \(tags["for"] ?? "nobody") and need not be")
    }
    try letter.mark.learn(tags)
    letter.disk = .underWay
    keeping[ticket] = (letter, person)
    memory.add(.keep(letter, person), ticket)
  }

  func kept(_ letter: Letter, for person: Person) {
    letter.disk = .done
    guard let claim = letter.claim else { return }
    letter.claim = nil
    claim.kept += 1
    claim.waiting -= 1
    settle(claim)
  }

  func notKept(_ letter: Letter, for person: Person) {
    letter.disk = .none
    person.unnoted.removeAll { $0 === letter }
    guard let claim = letter.claim else { return }
    letter.claim = nil
    person.lane.removeAll { $0 === letter }
    claim.failure = .internalError
    claim.waiting -= 1
    settle(claim)
  }

  /// A record that nobody waits for: what somebody has, or a key or habit of a member's.
  func noting(_ record: Record) throws(Wrong) {
    let (tags, rest) = try Ear.split(record.line)
    let message = try? Message(parsing: String(decoding: rest, as: UTF8.self))
    let person = message?.source.flatMap { source in
      names.values.first { $0.name == source.name }
    }
    guard let message, let person else { throw Wrong("\(Ear.text(record.line)) is of nobody") }
    switch message.content {
    case .nick(let name) where name == person.name:
      memory.add(.habits(person, tags["key"].map(Identity.init), isTagged: tags["tags"] != nil))
    case .ack(_, let id):
      let noted = person.unnoted.filter { $0.mark.isCovered(by: id) }
      person.unnoted.removeAll { letter in noted.contains { $0 === letter } }
      if noted.isEmpty { throw Wrong("\(Ear.text(record.line)) was not delivered") }
      memory.add(.delivered(id, person))
    default: throw Wrong("\(Ear.text(record.line)) is no note")
    }
  }

  /// Somebody who listens has not got everything: the server is to try again.
  var hasMore: Bool {
    names.values.contains { person in
      if case .direct = person.place { person.caller == nil && !person.lane.isEmpty } else { false }
    }
  }

  /// After an event: nobody waits for what nobody does.
  func checkLanes() throws(Wrong) {
    for person in names.values {
      if person.unnoted.contains(where: { $0.disk == .done }) {
        throw Wrong("it is not noted what \(person.name) got")
      }
      guard person.dial == nil, person.caller == nil else { continue }
      var waitsForTurn = dials.count >= Limits.dials
      if case .direct(let endpoint) = person.place {
        waitsForTurn = waitsForTurn || dials.contains { $0.endpoint == endpoint }
      }
      if !waitsForTurn, person.lane.contains(where: { $0.claim != nil && $0.disk == .none }) {
        throw Wrong("nobody keeps what is for \(person.name)")
      }
    }
    for claim in claims where now > claim.since + 1_500_000 {
      for person in names.values {
        if person.lane.contains(where: { $0.claim === claim && $0.disk == .none }) {
          throw Wrong("connection \(claim.asked.caller.number) waits for a dial too long")
        }
      }
    }
    if let dial = dials.first(where: \.mustFinish) {
      throw Wrong("the server should have ended its side to \(dial.endpoint)")
    }
  }
}

// MARK: - Dials

extension Model {
  func dialling(_ dial: Dial) throws(Wrong) {
    let person = dial.person
    guard person.place == .direct(dial.endpoint), person.dial == nil,
      person.caller == nil || person.saysTags,
      !dials.contains(where: { $0.endpoint == dial.endpoint }), dials.count < Limits.dials
    else { throw Wrong("\(dial.endpoint) is dialled for \(person.name) and should not be") }
    guard now >= person.restsUntil || person.caller != nil else {
      throw Wrong("\(dial.endpoint) is dialled again too soon")
    }
    person.dial = dial
    dials.append(dial)
  }

  private func remove(_ dial: Dial) {
    dials.removeAll { $0 === dial }
    if dial.person.dial === dial { dial.person.dial = nil }
  }

  func answered(_ dial: Dial) {
    dial.since = now
    dial.stands = now
    guard !dial.person.saysTags else {
      dial.stage = .greeting
      return
    }
    dial.person.restsUntil = 0
    send(dial.person, to: dial.ear, path: dial, isTagged: false)
    finishing(dial)
  }

  private func finishing(_ dial: Dial) {
    dial.stage = .finishing
    dial.mustFinish = true
  }

  /// Who answers says who it is.
  func greeted(_ dial: Dial, _ name: MemberName?) {
    guard dial.stage == .greeting else { return }
    let person = dial.person
    guard name == person.name else {
      dial.mustClose = true
      return broke(dial)
    }
    person.restsUntil = 0
    person.isReachable = true
    notePresence(person)
    guard person.caller == nil, !person.lane.isEmpty else { return finishing(dial) }
    dial.stage = .open
    dial.since = now
    send(person, to: dial.ear, path: dial, isTagged: true)
  }

  func acknowledged(_ id: MessageID, on dial: Dial) {
    guard dial.stage == .open else { return }
    let before = dial.person.lane.count
    acknowledged(id, by: dial.person)
    guard !dial.person.lane.isEmpty else { return finishing(dial) }
    let isProgress = dial.person.lane.count < before
    if isProgress && now >= dial.stands + Limits.linkMicroseconds {
      dial.mustClose = true
      return broke(dial)
    }
    send(dial.person, to: dial.ear, path: dial, isTagged: true)
    if isProgress { dial.since = now }
  }

  /// Everything was written and the other side has ended, or had its time.
  func finished(_ dial: Dial) {
    remove(dial)
    let letters = dial.person.lane.filter { $0.path === dial }
    // Dialled as one without tags, it may be a program by now.
    for letter in letters { letter.path = nil }
    if !dial.person.saysTags { delivered(letters, to: dial.person) }
  }

  /// What was on its way goes again, later.
  func broke(_ dial: Dial) {
    remove(dial)
    let person = dial.person
    for letter in person.lane where letter.path === dial { letter.path = nil }
    person.isReachable = false
    person.restsUntil = person.wantsDial ? 0 : now + Limits.retryLeastMicroseconds * 4 / 5
    person.wantsDial = false
    notePresence(person)
  }

  /// The server gives a connection up that it made: somebody did not do what it had to.
  func closing(_ dial: Dial) throws(Wrong) {
    if dial.mustClose {
      dial.mustClose = false
      return
    }
    let limit =
      switch dial.stage {
      case .greeting: Limits.greetingMicroseconds
      case .open: Limits.acknowledgeMicroseconds
      case .dialling, .finishing: Int64.max
      }
    guard now - dial.since >= limit else {
      throw Wrong("the dial to \(dial.endpoint) is given up without a reason")
    }
    broke(dial)
  }
}
