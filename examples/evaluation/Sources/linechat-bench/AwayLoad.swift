// The load of a group of nodes that all talk: lines into each one's socket at an even pace, and what each
// of the others shows, while the server goes and comes back.

import CBench
import Foundation
import Glibc
import Histogram

final class AwayDesk {
  private enum Phase: Int, CaseIterable {
    case before, away, after

    var text: String {
      switch self {
      case .before: "before"
      case .away: "while the server is away"
      case .after: "after"
      }
    }
  }

  private struct Said {
    let at: UInt64
    let phase: Phase
  }

  /// What was to arrive of one phase, on one of the two ways.
  private struct Tally {
    var sent = 0
    var delivered = 0
    var wrong = 0
    var outOfOrder = 0
    var bytes = 0
    var latencies = Histogram<UInt64>.ofNanoseconds()
  }

  private static let lookNanoseconds: UInt64 = 50_000_000

  private let crowd: NodeCrowd
  private let directCount: Int
  private let texts: NumberedText
  private let pause: UInt64
  private let epoll = cbench_epoll()
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)

  private var phase = Phase.before
  private var phaseSeconds = [0.0, 0.0, 0.0]
  /// By sender.
  private var said: [[Said]]
  private var nextAt: [UInt64]
  /// By receiver and sender: how often each message was shown, and the latest.
  private var shown: [[[UInt8]]]
  private var latest: [[Int]]
  private var tallies: [[Tally]]
  private var missing = 0
  private var isBack: [Bool]
  private var now: UInt64 = 0

  init(_ crowd: NodeCrowd, direct: Int, _ texts: NumberedText, rate: Double) throws {
    self.crowd = crowd
    directCount = direct
    self.texts = texts
    pause = UInt64(1e9 / rate)
    let count = crowd.nodes.count
    said = Array(repeating: [], count: count)
    nextAt = Array(repeating: 0, count: count)
    shown = Array(repeating: Array(repeating: [], count: count), count: count)
    latest = Array(repeating: Array(repeating: -1, count: count), count: count)
    tallies = Array(repeating: [Tally(), Tally()], count: Phase.allCases.count)
    isBack = Array(repeating: true, count: count)
    for (index, node) in crowd.nodes.enumerated() {
      node.owner.connection.neverWait()
      guard cbench_epoll_add(epoll, node.owner.connection.socket, Int32(index)) == 0 else {
        throw BenchFailure("epoll: \(String(cString: strerror(errno)))")
      }
    }
  }

  deinit {
    close(epoll)
    buffer.deallocate()
  }

  // MARK: The course of it

  func run(seconds: Double, away: Double) throws -> [Row] {
    let cpu = crowd.nodes.map(\.running.scheduledSeconds).reduce(0, +)
    let benchCPU = Running.ownCPUSeconds
    start()
    try go(on: .before) { $0 >= seconds }
    crowd.killServer()
    let killed = monotonicNanoseconds()
    try go(on: .away) { $0 >= away }
    let started = monotonicNanoseconds()
    try crowd.startServerAgain()
    isBack = isBack.map { _ in false }
    var askAt: UInt64 = 0
    try go(on: .away) { [self] elapsed in
      if now >= askAt {
        askAt = now + Self.lookNanoseconds
        for index in isBack.indices where !isBack[index] { try tell(index, Array("STATS\n".utf8)) }
      }
      return !isBack.contains(false) || elapsed >= 120
    }
    let countBack = isBack.count { $0 }
    let back = monotonicNanoseconds()
    try go(on: .after) { $0 >= seconds }
    // What waits is tried again with growing pauses.
    nextAt = nextAt.map { _ in .max }
    try go(on: .after) { [self] elapsed in missing == 0 || elapsed >= 60 }

    var row = Row(
      "away", "all \(crowd.nodes.count) back at the server, away for \(tenths(started - killed)) s")
    row.sent = crowd.nodes.count
    row.delivered = countBack
    row.lost = crowd.nodes.count - countBack
    row.seconds = Double(back - started) / 1e9
    row.benchCPUSeconds = Running.ownCPUSeconds - benchCPU
    row.cpuSeconds = crowd.nodes.map(\.running.scheduledSeconds).reduce(0, +) - cpu
    row.memoryMebibytes = crowd.nodes[0].running.memoryMebibytes
    return rows + [row]
  }

  private var rows: [Row] {
    var rows: [Row] = []
    for isRelayed in [false, true] {
      for phase in Phase.allCases {
        let tally = tallies[phase.rawValue][isRelayed ? 1 : 0]
        guard tally.sent > 0 else { continue }
        var row = Row("away", "\(isRelayed ? "relayed" : "direct"), \(phase.text)")
        row.sent = tally.sent
        row.delivered = tally.delivered
        row.lost = tally.sent - tally.delivered
        row.wrong = tally.wrong
        row.outOfOrder = tally.outOfOrder
        row.perSecond = Double(tally.delivered) / phaseSeconds[phase.rawValue]
        row.megabytesPerSecond = Double(tally.bytes) / phaseSeconds[phase.rawValue] / 1e6
        row.take(tally.latencies)
        rows.append(row)
      }
    }
    return rows
  }

  private func tenths(_ nanoseconds: UInt64) -> String {
    String(format: "%.1f", Double(nanoseconds) / 1e9)
  }

  /// They do not all speak at the same moment.
  private func start() {
    now = monotonicNanoseconds()
    for index in nextAt.indices {
      nextAt[index] = now + pause * UInt64(index) / UInt64(nextAt.count)
    }
  }

  /// Talks and hears until it is over, which is asked with the seconds since this began.
  private func go(on phase: Phase, until isOver: (Double) throws -> Bool) throws {
    self.phase = phase
    let start = monotonicNanoseconds()
    now = start
    defer {
      // What is waited for at the end belongs to no phase.
      if nextAt.contains(where: { $0 < .max }) {
        phaseSeconds[phase.rawValue] += Double(monotonicNanoseconds() - start) / 1e9
      }
    }
    while try !isOver(Double(now - start) / 1e9) {
      for index in nextAt.indices where nextAt[index] <= now { try say(index) }
      try hear(waiting: 1)
    }
  }

  // MARK: Talking

  private func say(_ sender: Int) throws {
    let number = said[sender].count
    // From when it was due: a benchmark that is late must not hide it.
    said[sender].append(Said(at: nextAt[sender], phase: phase))
    nextAt[sender] += pause
    for receiver in shown.indices where receiver != sender {
      shown[receiver][sender].append(0)
      tallies[phase.rawValue][way(sender, receiver)].sent += 1
      missing += 1
    }
    try tell(sender, texts.line(sender, number))
  }

  private func tell(_ node: Int, _ line: [UInt8]) throws {
    guard crowd.nodes[node].owner.connection.write(line, from: 0) == line.count else {
      throw BenchFailure("a node does not read what it is told")
    }
  }

  private func way(_ one: Int, _ other: Int) -> Int { max(one, other) < directCount ? 0 : 1 }

  private func hear(waiting milliseconds: Int32) throws {
    try withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1_024) { numbers in
      let count = cbench_epoll_wait(epoll, numbers.baseAddress, milliseconds)
      now = monotonicNanoseconds()
      for index in 0..<max(0, Int(count)) {
        let number = Int(numbers[index])
        try crowd.nodes[number].owner.read(through: buffer) { take($0, number) }
      }
    }
  }

  private func take(_ line: UnsafeRawBufferPointer, _ receiver: Int) {
    guard let what = texts.parse(line) else {
      if line.elementsEqual("STAT server-there 1".utf8) { isBack[receiver] = true }
      return
    }
    guard what.speaker < said.count, what.speaker != receiver,
      what.number < said[what.speaker].count
    else { return }
    let message = said[what.speaker][what.number]
    let place = (message.phase.rawValue, way(what.speaker, receiver))
    shown[receiver][what.speaker][what.number] &+= 1
    guard shown[receiver][what.speaker][what.number] == 1 else {
      tallies[place.0][place.1].wrong += 1
      return
    }
    missing -= 1
    tallies[place.0][place.1].delivered += 1
    tallies[place.0][place.1].bytes += line.count + 1
    tallies[place.0][place.1].latencies.record(now - min(now, message.at))
    if what.number < latest[receiver][what.speaker] { tallies[place.0][place.1].outOfOrder += 1 }
    latest[receiver][what.speaker] = max(latest[receiver][what.speaker], what.number)
  }
}
