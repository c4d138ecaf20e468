// What the idle cost: a group of twenty talks as people do, while so many other connections say nothing.
// Each delivery is timed, and so is the server; its memory tells what a silent connection takes up.

import ArgumentParser
import CBench
import Foundation
import Glibc
import Histogram

struct Idle: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "A group talks beside many silent connections: delay, processor time and memory.",
    discussion: """
      Twenty members of one group, by turns, say 200 messages a second. A delay is from when a message \
      was to be sent until a member has it. The server runs on processor 0, the load on processor 1.
      """)

  @Option(parsing: .upToNextOption, help: Contestant.help)
  var contestants: [Contestant] = []

  @Option(parsing: .upToNextOption, help: "How many silent connections, 0 to 60000.")
  var idle = [0, 1_000, 10_000]

  @Option(help: "How many seconds the group talks, in each run.")
  var seconds = 5.0

  @Option(help: "How many runs; the one with the least 99th percentile counts.")
  var runs = 5

  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard idle.allSatisfy((0...60_000).contains), (0.1...3_600) ~= seconds, (1...99) ~= runs else {
      throw ValidationError(
        "--idle is from 0 to 60000, --seconds from 0.1 to 3600, --runs from 1 to 99")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: (idle.max() ?? 0) + 200)
    pinLoad()
    let present = try Contestant.takingPart(of: contestants)
    var rows: [[Row]] = []
    for count in idle {
      var best: [Contestant: Row] = [:]
      for _ in 0..<runs {
        for contestant in present {
          let row = try measure(contestant, idle: count)
          if row.p99Microseconds ?? 0 < best[contestant]?.p99Microseconds ?? .infinity {
            best[contestant] = row
          }
        }
      }
      rows.append(present.compactMap { best[$0] })
    }
    try report.print(rows.flatMap(\.self))
  }

  private func measure(_ contestant: Contestant, idle: Int) throws -> Row {
    let contest = try contestant.start(programs, groups: 2, connectionsMax: idle + 100)
    let dialect = contestant.dialect
    var row = Row("idle", "\(contestant.rawValue), \(idle) idle")
    let circle = try Circle(20, contest, dialect)
    let memory = contest.running.memoryMebibytes ?? 0
    var cpu = contest.running.scheduledSeconds
    // They are in a group of their own, where nobody speaks.
    let silent = try (0..<idle).map { index in
      let connection = try Connection(port: contest.port(of: 1))
      try connection.go(through: dialect.greeting("i\(index)"))
      return connection
    }
    if idle > 0 {
      row.openCPUMicroseconds = (contest.running.scheduledSeconds - cpu) * 1e6 / Double(idle)
      row.bytesPerConnection =
        ((contest.running.memoryMebibytes ?? 0) - memory) * 1_048_576 / Double(idle)
    }
    cpu = contest.running.scheduledSeconds
    let benchCPU = Running.ownCPUSeconds
    let delays = try circle.talk(perSecond: 200, for: seconds)
    withExtendedLifetime(silent) {}
    row.sent = circle.sent
    row.delivered = circle.delivered
    row.lost = circle.sent * circle.audience - circle.delivered
    row.take(delays)
    row.cpuMicrosecondsPerMessage =
      (contest.running.scheduledSeconds - cpu) * 1e6 / Double(max(1, circle.sent))
    row.benchCPUSeconds = Running.ownCPUSeconds - benchCPU
    return row
  }
}

/// Members of one group who speak by turns.
private final class Circle {
  private let dialect: any Dialect
  private let members: [Connection]
  private let speakers: [Connection]
  private var tails: [[UInt8]]
  private let epoll = cbench_epoll()
  private(set) var sent = 0
  private(set) var delivered = 0
  private var delays = Histogram<UInt64>.ofNanoseconds()
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)

  /// A text is this, when it was to be sent in nanoseconds with nineteen digits, and a bracket.
  private static let mark = "sent["
  private static let textBytes = mark.utf8.count + 20

  init(_ count: Int, _ contest: Contest, _ dialect: any Dialect) throws {
    self.dialect = dialect
    members = try (0..<count).map { index in
      let connection = try Connection(port: contest.port(of: 0))
      try connection.go(through: dialect.entry("m\(index)", 0))
      return connection
    }
    speakers = try members.enumerated().map { index, member in
      try dialect.speaker("s\(index)", member, port: contest.port(of: 0))
    }
    tails = Array(repeating: [], count: count)
    for (index, member) in members.enumerated() {
      member.neverWait()
      _ = cbench_epoll_add(epoll, member.socket, Int32(index))
    }
  }

  deinit {
    close(epoll)
    buffer.deallocate()
  }

  /// How many hear what one says.
  var audience: Int { dialect.audience(of: members.count) }

  func talk(perSecond: Double, for seconds: Double) throws -> Histogram<UInt64> {
    try warmUp()
    let pause = UInt64(1e9 / perSecond)
    let messages = Int(seconds * perSecond)
    let start = monotonicNanoseconds()
    var lastNews = start
    while delivered < messages * audience {
      let now = monotonicNanoseconds()
      let due = start + UInt64(sent) * pause
      if sent < messages, due <= now {
        try speak(due)
        continue
      }
      // The next is waited for by looking again and again: a sleep's end would come late.
      if try hear(waiting: sent < messages ? 0 : 100) {
        lastNews = now
      } else if now > lastNews + 5_000_000_000 {
        break
      }
    }
    return delays
  }

  /// Nobody is measured before all are heard by all.
  private func warmUp() throws {
    let deadline = monotonicNanoseconds() + 10_000_000_000
    for _ in 0..<3 {
      (sent, delivered) = (0, 0)
      for _ in members { try speak(monotonicNanoseconds()) }
      while delivered < members.count * audience {
        guard monotonicNanoseconds() < deadline else {
          throw BenchFailure("not all members hear each other")
        }
        // Somebody was not in yet.
        guard try hear(waiting: 1_000) else { break }
      }
    }
    (sent, delivered) = (0, 0)
    delays = Histogram<UInt64>.ofNanoseconds()
  }

  private func speak(_ due: UInt64) throws {
    let digits = String(due)
    let zeros = String(repeating: "0", count: max(0, 19 - digits.count))
    let line = dialect.line(Array((Self.mark + zeros + digits + "]").utf8), 0)
    let speaker = speakers[sent % members.count]
    if speaker !== members[sent % members.count] { try speaker.skip(buffer) }
    guard speaker.write(line, from: 0) == line.count else {
      throw BenchFailure("a member cannot be written to")
    }
    sent += 1
  }

  private func hear(waiting milliseconds: Int32) throws -> Bool {
    try withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1_024) { numbers in
      let count = cbench_epoll_wait(epoll, numbers.baseAddress, milliseconds)
      for index in 0..<max(0, Int(count)) { try read(Int(numbers[index])) }
      return count > 0
    }
  }

  private func read(_ index: Int) throws {
    let count = recv(members[index].socket, buffer.baseAddress, buffer.count, 0)
    let now = monotonicNanoseconds()
    if count == 0 { throw BenchFailure("the server has ended a member's connection") }
    guard count > 0 else { return }
    let bytes = tails[index] + buffer.prefix(count)
    var at = 0
    bytes.withUnsafeBytes { bytes in
      while let found = Self.find(bytes, from: at) {
        delays.record(now &- found.sentAt)
        delivered += 1
        at = found.end
      }
    }
    tails[index] = Array(bytes[max(at, bytes.count - Self.textBytes + 1)...])
  }

  private static func find(
    _ bytes: UnsafeRawBufferPointer, from start: Int
  ) -> (sentAt: UInt64, end: Int)? {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
    let found = cbench_find(rest.baseAddress, rest.count, mark)
    let at = start + found + mark.utf8.count
    guard found >= 0, at + 20 <= bytes.count else { return nil }
    return (bytes[at..<at + 19].reduce(0) { $0 * 10 + UInt64($1 - 48) }, at + 20)
  }
}
