// The other side of what the server dials: somebody who answers, refuses, hangs, breaks, or is
// another than was meant. A plain listener reads and ends when the server has ended; a program says
// who it is and acknowledges what it hears.

import LineChatCore
import LineProtocol

/// The connections that the server makes, and what will happen to them.
final class Network {
  enum Event {
    case answer
    case fail(String)
    case say(String)
    case end
    case finish
    case reset
  }

  private(set) var byIndex: [UInt32: Dial] = [:]
  /// Those whose side the server has ended in this round.
  var ending: [Dial] = []
  /// Dials that were over before they began.
  var stillborn: Set<SessionID> = []
  private var events: [(at: Int64, dial: Dial, event: Event)] = []

  subscript(_ id: SessionID) -> Dial? { byIndex[id.index].flatMap { $0.id == id ? $0 : nil } }

  func holds(_ id: SessionID) -> Bool { self[id] != nil }

  func add(_ dial: Dial) { byIndex[dial.id.index] = dial }

  /// It is over.
  func take(_ id: SessionID) -> Dial? {
    guard let dial = self[id] else { return nil }
    byIndex[id.index] = nil
    ending.removeAll { $0 === dial }
    events.removeAll { $0.dial === dial }
    return dial
  }

  /// One that the server should have given up.
  var closing: Dial? { all.first(where: \.mustClose) }

  var all: [Dial] { byIndex.keys.sorted().compactMap { byIndex[$0] } }

  func plan(_ event: Event, _ dial: Dial, at time: Int64) {
    let place = events.firstIndex { $0.at > time } ?? events.endIndex
    events.insert((time, dial, event), at: place)
  }

  func next(_ now: Int64) -> (dial: Dial, event: Event)? {
    guard let first = events.first, first.at <= now else { return nil }
    events.removeFirst()
    return (first.dial, first.event)
  }

  func clear() {
    byIndex = [:]
    ending = []
    events = []
  }
}

extension ServerNode {
  private func goesWrong(_ world: World) -> Bool {
    !world.isHealing && world.random(1...4) <= world.options.dialFaults
  }

  private func plan(
    _ event: Network.Event, _ dial: Dial, within most: Int, _ world: World
  ) {
    let delay = Int64(world.isHealing ? min(10, most) : world.random(0...most))
    network.plan(event, dial, at: world.now + delay)
    world.after(delay, wake: number, number: 3)
  }

  func dial(_ id: SessionID, _ endpoint: Endpoint, _ world: World) throws(Wrong) {
    guard let name = directory.memberDialled(id) else {
      // What happened since has made it needless; its end follows.
      network.stillborn.insert(id)
      return
    }
    guard let person = model.names.values.first(where: { $0.name == name }) else {
      throw Wrong("nobody is at \(endpoint)")
    }
    let dial = Dial(id, endpoint, person, last)
    world.note("dials \(endpoint) for \(name)")
    try model.dialling(dial)
    network.add(dial)
    let latency = world.options.latencyMicrosecondsMax
    if !goesWrong(world) { return plan(.answer, dial, within: latency, world) }
    switch world.random(0...2) {
    case 0: plan(.fail("connection refused"), dial, within: latency, world)
    case 1:
      network.plan(.fail("no answer within 2 s"), dial, at: world.now + 2_000_000)
      world.after(2_000_000, wake: number, number: 3)
    default: plan(.answer, dial, within: 2_000_000, world)
    }
  }

  func serveDials(_ world: World) {
    while world.failure == nil, let (dial, event) = network.next(world.now) {
      world.note("\(dial.endpoint) \(event)")
      serve(dial, event, world)
      settle(world)
    }
  }

  private func serve(_ dial: Dial, _ event: Network.Event, _ world: World) {
    let now = moment(world)
    switch event {
    case .answer:
      model.answered(dial)
      directory.dialled(dial.id, now: now)
      if dial.stage == .greeting { planGreeting(of: dial, world) }
    case .fail(let reason):
      _ = network.take(dial.id)
      model.broke(dial)
      directory.dialFailed(dial.id, reason: reason, now: now)
    case .reset:
      _ = network.take(dial.id)
      model.broke(dial)
      directory.closed(dial.id, reason: "connection reset", now: now)
    case .end:
      guard dial.stage != .finishing else { return }
      dial.mustClose = true
      model.broke(dial)
      directory.inputEnded(dial.id, now: now)
    case .finish:
      _ = network.take(dial.id)
      model.finished(dial)
      directory.finished(dial.id, now: now)
    case .say(let line): say(line, dial, now)
    }
  }

  private func say(_ line: String, _ dial: Dial, _ now: Instant) {
    let words = line.split(separator: " ").map(String.init)
    if words[0] == "INFO" {
      let name = words.first { $0.hasPrefix("name=") }.flatMap { MemberName($0.dropFirst(5)) }
      model.greeted(dial, name)
    } else if words[0] == "ACK", let id = MessageID(words[2]) {
      model.acknowledged(id, on: dial)
    }
    Array(line.utf8).withUnsafeBytes { directory.receive(.line($0), from: dial.id, now: now) }
  }

  private func planGreeting(of dial: Dial, _ world: World) {
    let latency = world.options.latencyMicrosecondsMax
    guard goesWrong(world) else {
      return plan(.say("INFO linechat 1 name=\(dial.person.name)"), dial, within: latency, world)
    }
    switch world.random(0...4) {
    case 0: plan(.say("INFO linechat 1 protocol=1 name=eve"), dial, within: latency, world)
    case 1: plan(.say("INFO somebody 1"), dial, within: latency, world)
    case 2: plan(.reset, dial, within: latency, world)
    case 3: plan(.end, dial, within: latency, world)
    default: plan(.say("PONG"), dial, within: latency, world)
    }
  }

  /// What a round has for the other side of a dial.
  func hear(_ lines: [[UInt8]], _ dial: Dial, _ world: World) {
    var ids: [(word: String, id: MessageID)] = []
    for line in lines where world.failure == nil {
      world.note("\(dial.endpoint) \(dial.person.name)< \(Ear.text(line))")
      do throws(Wrong) {
        guard case .expected = try dial.ear.hear(line) else {
          throw Wrong("\(Ear.text(line)) is not for somebody who is dialled")
        }
        let (tags, rest) = try Ear.split(line)
        let words = rest.split(separator: 0x20, maxSplits: 3)
        if let id = tags["msgid"].flatMap({ MessageID($0) }), words.count > 2 {
          ids.append((String(decoding: words[2], as: UTF8.self), id))
        }
      } catch {
        world.fail("the dial to \(dial.endpoint): \(error.what)")
      }
    }
    if !ids.isEmpty { planReceipts(ids, dial, world) }
  }

  private func planReceipts(
    _ ids: [(word: String, id: MessageID)], _ dial: Dial, _ world: World
  ) {
    var due = ids
    if goesWrong(world) {
      due = Array(ids.prefix(world.random(0...ids.count)))
      let latency = world.options.latencyMicrosecondsMax
      if world.chance(3) { plan(.reset, dial, within: latency, world) }
      if world.chance(3) { plan(.end, dial, within: latency, world) }
    }
    // One for each, or one for all of a stream.
    if world.chance(2) {
      due = due.enumerated().filter { index, one in
        !due[(index + 1)...].contains { $0.id.stream == one.id.stream }
      }.map(\.element)
    }
    var at = world.now
    for one in due {
      at += Int64(world.random(0...world.options.latencyMicrosecondsMax))
      network.plan(.say("ACK \(one.word) \(one.id)"), dial, at: at)
      world.after(at - world.now, wake: number, number: 3)
    }
  }

  func checkDials(_ world: World) {
    for dial in network.all where !dial.ear.isEmpty {
      world.fail("\(dial.endpoint) was not told: \(dial.ear.next)")
    }
    for dial in network.ending {
      let breaks = goesWrong(world) && world.chance(2)
      plan(breaks ? .reset : .finish, dial, within: 1_000_000, world)
    }
    network.ending = []
  }
}
