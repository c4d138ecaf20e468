// A world in which the real cores run: nodes, a network between them, and one queue of what happens
// when, all drawn from one seed. Nothing here reads a clock or the machine's randomness, and nothing
// depends on the order of a Set or Dictionary, so the same seed gives the same events and the same
// hash of them, on every machine.
//
// A node is whatever has a place in the network: a server's core with its disk, a person with
// netcat, a program. It is woken with a cause and acts on the world: writes to its links, asks to
// be woken later. The first thing found wrong ends the run.

import HeapModule
import LineChatCore
import LineProtocol

/// Something with a place in the network.
protocol Node: AnyObject {
  func wake(_ cause: Cause, in world: World)
}

/// Why a node is woken.
enum Cause {
  /// A moment that it asked for.
  case timer(Int)
  /// Somebody opened a link to it.
  case opened(Link)
  /// The link that it dialled stands; or nobody is there to answer.
  case connected(Link)
  case refused(Link)
  case arrived(Link, [UInt8])
  /// The other side writes no more.
  case ended(Link)
  /// The link is gone, and what was on its way with it.
  case reset(Link)
  /// Some of what it wrote has been taken by the other side, or all of it.
  case taken(Link, isAll: Bool)
}

final class World {
  private enum Job {
    case wake(Int, Cause)
    /// The next piece of what was written to one side of a link.
    case move(Link, Link.Side)
    /// Somebody who was dialled is to answer.
    case knock(Link)
    /// A link on which nothing has come through for long.
    case giveUp(Link)
  }

  private struct Due: Comparable {
    let at: Int64
    let serial: UInt64
    let job: Job

    static func < (one: Due, other: Due) -> Bool {
      (one.at, one.serial) < (other.at, other.serial)
    }
    static func == (one: Due, other: Due) -> Bool {
      (one.at, one.serial) == (other.at, other.serial)
    }
  }

  let options: Options
  var random: SplitMix64
  /// Microseconds since the world began.
  private(set) var now: Int64 = 0
  private(set) var steps = 0
  /// Faults and new work have ended: what is under way must come to its end.
  private(set) var isHealing = false
  private(set) var failure: String?
  private(set) var trace: Trace

  private var queue = Heap<Due>()
  private var serial: UInt64 = 0
  private var nodes: [any Node] = []
  private var links = 0
  /// Who is where, and which ways are cut.
  var streets = Streets()
  /// How far the calendar is from the world's own time; clocks jump.
  var calendarShift: Int64 = 1_800_000_000_000_000

  init(
    _ options: Options, isRecording: Bool = false, follower: ((String) -> Void)? = nil
  ) {
    self.options = options
    random = SplitMix64(state: options.seed)
    trace = Trace(isRecording: isRecording, follower: follower)
  }

  // MARK: Building

  func add(_ node: any Node) -> Int {
    nodes.append(node)
    return nodes.count - 1
  }

  /// Opens a link from one node to another.
  func connect(_ client: Int, to server: Int, as origin: Origin, key: Identity?) -> Link {
    let link = makeLink(client, server, origin, key: key)
    link.pace = isHealing ? 0 : drawPace()
    note("link \(link.number) opened from \(origin)\(key.map { " with " + $0.fingerprint } ?? "")")
    let delay = latency()
    link.opensAt = now + delay
    schedule(delay, .wake(server, .opened(link)))
    return link
  }

  var nodeCount: Int { nodes.count }
  func node(_ number: Int) -> (any Node)? { nodes.indices.contains(number) ? nodes[number] : nil }

  // MARK: What nodes do

  func after(_ microseconds: Int64, wake node: Int, number: Int = 0) {
    schedule(microseconds, .wake(node, .timer(number)))
  }

  /// Writes to the other side; it arrives in pieces.
  func write(_ bytes: [UInt8], to link: Link, from side: Link.Side) {
    guard !link.isGone, !bytes.isEmpty, !link[side].hasEnded else { return }
    link[side].bytes.append(contentsOf: bytes)
    move(link, side)
  }

  /// Writes no more; the other side learns it after what was written.
  func end(_ link: Link, from side: Link.Side) {
    guard !link.isGone, !link[side].hasEnded else { return }
    link[side].hasEnded = true
    move(link, side)
  }

  /// The link breaks; both sides learn it, where `side` did not bring it about.
  func reset(_ link: Link, by side: Link.Side? = nil) {
    guard !link.isGone else { return }
    link.isGone = true
    note("link \(link.number) reset")
    if side != .server { tellReset(link, .server, after: max(latency(), link.opensAt - now)) }
    if side != .client { tellReset(link, .client, after: latency()) }
  }

  func tellReset(_ link: Link, _ side: Link.Side, after delay: Int64) {
    guard link.node(side) >= 0 else { return }
    if streets.cuts(link.node(side.other), link.node(side)) {
      return streets.unheard.append((link, side))
    }
    schedule(delay, .wake(link.node(side), .reset(link)))
  }

  private func move(_ link: Link, _ side: Link.Side) {
    guard !link[side].isMoving else { return }
    link[side].isMoving = true
    goOn(link, side)
  }

  /// What was written goes on its way, or waits for the way to be open.
  func goOn(_ link: Link, _ side: Link.Side) {
    if streets.cuts(link.node(side), link.node(side.other)) {
      return streets.stuck.append((link, side))
    }
    let delay = latency() + (side == .server && !isHealing ? link.pace : 0)
    schedule(max(delay, link.opensAt - now), .move(link, side))
  }

  // MARK: Time goes on

  /// Runs until `limit` steps are done, nothing is left to do, the time is up, or something is
  /// found wrong.
  func run(steps limit: Int, until end: Int64 = .max) {
    while failure == nil, steps < limit, let next = queue.min, next.at <= end {
      queue.removeMin()
      steps += 1
      now = max(now, next.at)
      switch next.job {
      case .wake(let node, let cause): nodes[node].wake(cause, in: self)
      case .move(let link, let side): carry(link, side)
      case .knock(let link): knock(link)
      case .giveUp(let link): giveUp(link)
      }
    }
  }

  var isIdle: Bool { queue.isEmpty }

  func heal() {
    isHealing = true
    note("healing")
  }

  /// A piece of what was written arrives.
  private func carry(_ link: Link, _ side: Link.Side) {
    guard !link.isGone else { return }
    if streets.cuts(link.node(side), link.node(side.other)) { return goOn(link, side) }
    let other = side == .server ? link.client : link.server
    if link[side.other].isClosed && !link[side].bytes.isEmpty { return reset(link, by: side.other) }
    let count = min(link[side].bytes.count, isHealing ? .max : random(1...pieceBytes()))
    if count > 0 {
      let piece = Array(link[side].bytes.prefix(count))
      link[side].bytes.removeFirst(count)
      trace.mix(UInt64(link.number), UInt64(count))
      nodes[other].wake(.arrived(link, piece), in: self)
    }
    guard !link.isGone else { return }
    link[side].isMoving = false
    let isAll = link[side].bytes.isEmpty
    let own = side == .server ? link.server : link.client
    if count > 0 { nodes[own].wake(.taken(link, isAll: isAll), in: self) }
    guard isAll else { return move(link, side) }
    if link[side].hasEnded && !link[side].hasToldEnd {
      link[side].hasToldEnd = true
      nodes[other].wake(.ended(link), in: self)
    }
  }

  func makeLink(
    _ client: Int, _ server: Int, _ origin: Origin, key: Identity? = nil, endpoint: Endpoint? = nil
  ) -> Link {
    links += 1
    return Link(
      number: links, client: client, server: server, origin: origin, key: key, endpoint: endpoint)
  }

  func later(_ delay: Int64, knockAt link: Link) { schedule(delay, .knock(link)) }
  func later(_ delay: Int64, giveUp link: Link) { schedule(delay, .giveUp(link)) }
  func later(_ delay: Int64, wake node: Int, _ cause: Cause) { schedule(delay, .wake(node, cause)) }

  private func schedule(_ microseconds: Int64, _ job: Job) {
    serial += 1
    queue.insert(Due(at: now + max(0, microseconds), serial: serial, job: job))
  }

  func latency() -> Int64 {
    isHealing ? 10 : Int64(random(0...options.latencyMicrosecondsMax))
  }

  private func pieceBytes() -> Int { chance(3) ? 3 : options.pieceBytesMax }

  func drawPace() -> Int64 {
    guard options.hasSlowReaders, chance(4) else { return 0 }
    return [20_000, 1_000_000, 20_000_000][random(0...2)]
  }

  // MARK: Chance

  func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

  /// True once in so many times.
  func chance(_ oneIn: Int) -> Bool { random(1...oneIn) == 1 }

  func pick<Element>(_ choices: [Element]) -> Element { choices[random(0...choices.count - 1)] }

  // MARK: What is found

  /// Something is wrong; the first that is found counts.
  func fail(_ what: String) {
    guard failure == nil else { return }
    failure = what
    note("WRONG: \(what)")
  }

  func note(_ what: @autoclosure () -> String) { trace.note(now, what()) }

  func hash(_ bytes: [UInt8]) { trace.mix(bytes) }
}

/// What happened, as a number that is different when anything is, and its last events as text.
struct Trace {
  private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  private(set) var last: [String] = []
  private let isRecording: Bool
  /// Hears of everything as it happens.
  private let follower: ((String) -> Void)?

  init(isRecording: Bool, follower: ((String) -> Void)?) {
    self.isRecording = isRecording
    self.follower = follower
  }

  /// FNV-1a, eight bytes at a time.
  mutating func mix(_ numbers: UInt64...) {
    for number in numbers { hash = (hash ^ number) &* 0x0000_0100_0000_01b3 }
    hash ^= hash >> 29
  }

  mutating func mix(_ bytes: [UInt8]) {
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
  }

  mutating func note(_ now: Int64, _ what: @autoclosure () -> String) {
    mix(UInt64(bitPattern: now))
    guard isRecording || follower != nil else { return }
    let event = "\(now) \(what())"
    follower?(event)
    guard isRecording else { return }
    last.append(event)
    if last.count > 40_000 { last.removeFirst(20_000) }
  }
}
