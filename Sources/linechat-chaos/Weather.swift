// What goes wrong, and when: drawn from a seed. Each link is quiet for some seconds, then has one fault for
// some; processes are killed, and started again after a while.

import LineChatCore
import TestSupport

struct Weather {
  enum Fault: String, CaseIterable {
    case delay, stall, silenceThere, silenceBack, reset, halfLine, refusal, narrow

    var name: String {
      switch self {
      case .delay: "delays"
      case .stall: "stalls"
      case .silenceThere: "one-way silences, there"
      case .silenceBack: "one-way silences, back"
      case .reset: "resets"
      case .halfLine: "lines cut in half"
      case .refusal: "ports that nobody answers at"
      case .narrow: "links with little bandwidth"
      }
    }
  }

  private struct Link {
    let proxy: FaultProxy
    var fault: Fault?
    var until: Double
  }

  private(set) var faults: [Fault: Int] = [:]
  private(set) var nodeKills = 0
  private(set) var serverKills = 0
  private var random: SplitMix64
  private var links: [Link] = []
  private let town: Town
  private let seconds: Double
  private let pace: Double
  private var nextNodeKill: Double
  private var nextServerKill: Double
  /// Who is started again when.
  private var returns: [(at: Double, resident: Resident)] = []

  private static let nodeKillSeconds = 6.0
  private static let serverKillSeconds = 15.0

  /// `seconds`: how long it is to last. However short that is, a node and the server are killed in it.
  /// `pace`: something goes wrong so many times as often as it usually does; 0: nothing does.
  init(over town: Town, for seconds: Double, pace: Double, random: SplitMix64) {
    self.town = town
    self.random = random
    self.seconds = seconds
    self.pace = pace
    nextNodeKill = pace > 0 ? min(Weather.nodeKillSeconds / pace, seconds / 4) : .infinity
    nextServerKill = pace > 0 ? min(Weather.serverKillSeconds / pace, seconds / 2) : .infinity
    for proxy in town.uplinks + town.inlets {
      let quiet = pace > 0 ? draw(0, min(10, seconds / 3)) : .infinity
      links.append(Link(proxy: proxy, until: quiet))
    }
  }

  private mutating func draw(_ least: Double, _ most: Double) -> Double {
    Double.random(in: least...max(least, most), using: &random)
  }

  // MARK: As time goes by

  mutating func turn(_ now: Double) throws {
    for index in links.indices where links[index].until <= now { try change(index, now) }
    if nextNodeKill <= now {
      let node = Int.random(in: 0..<town.nodes.count, using: &random)
      if try kill(town.nodes[node], now) { nodeKills += 1 }
      nextNodeKill = now + draw(0, 2 * Weather.nodeKillSeconds / pace)
    }
    if nextServerKill <= now {
      if try kill(town.server, now) { serverKills += 1 }
      nextServerKill = now + draw(0, 2 * Weather.serverKillSeconds / pace)
    }
    for (at, resident) in returns where at <= now { try resident.start() }
    returns.removeAll { $0.at <= now }
  }

  private mutating func kill(_ resident: Resident, _ now: Double) throws -> Bool {
    let pause = Bool.random(using: &random) ? draw(0, 0.5) : draw(0.5, 8)
    guard resident.isRunning else { return false }
    try resident.kill()
    returns.append((now + pause, resident))
    return true
  }

  private mutating func change(_ index: Int, _ now: Double) throws {
    if let fault = links[index].fault {
      try Weather.end(fault, on: links[index].proxy)
      links[index].fault = nil
      links[index].until = now + draw(1, 15) / pace
      return
    }
    let fault = Fault.allCases[Int.random(in: 0..<Fault.allCases.count, using: &random)]
    faults[fault, default: 0] += 1
    links[index].fault = fault
    links[index].until = now + drawLength()
    try begin(fault, on: links[index].proxy)
  }

  /// Most are short; some last for longer than a server waits for a sign of life.
  private mutating func drawLength() -> Double {
    switch Int.random(in: 0..<100, using: &random) {
    case ..<50: draw(0.1, 1.5)
    case ..<93: draw(1.5, 12)
    default: draw(1.5, min(130, seconds / 4))
    }
  }

  private mutating func begin(_ fault: Fault, on proxy: FaultProxy) throws {
    let milliseconds = Int(draw(5, 400))
    let direction: FaultProxy.Direction = Bool.random(using: &random) ? .toTarget : .toClient
    switch fault {
    case .delay: proxy.change { $0.delayMilliseconds = milliseconds }
    case .stall: proxy.change { $0.isStalled = true }
    case .silenceThere: proxy.change(.toTarget) { $0.isSilent = true }
    case .silenceBack: proxy.change(.toClient) { $0.isSilent = true }
    case .reset: proxy.reset()
    case .halfLine: proxy.cutNextLine(direction)
    case .refusal:
      try proxy.refuse(true)
      proxy.reset()
    case .narrow: proxy.change { $0.bytesPerSecond = 2_000 }
    }
  }

  private static func end(_ fault: Fault, on proxy: FaultProxy) throws {
    // TCP never goes on behind bytes that were lost.
    if fault == .silenceThere || fault == .silenceBack { proxy.reset() }
    proxy.heal()
    if fault == .refusal { try proxy.refuse(false) }
  }

  // MARK: The end of it

  /// Nothing is wrong any more, and everybody is there.
  mutating func clear() throws {
    for link in links { if let fault = link.fault { try Weather.end(fault, on: link.proxy) } }
    for index in links.indices { links[index].fault = nil }
    returns = []
    for resident in town.all { try resident.start() }
  }

  var connections: Int {
    links.reduce(0) { $0 + $1.proxy.counters.connections }
  }
}
