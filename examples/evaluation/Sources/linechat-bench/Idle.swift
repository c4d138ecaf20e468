// What the idle cost: a group of twenty talks as people do, while so many other connections say nothing.
// Each delivery is timed, and so is the server; its memory tells what a silent connection takes up.

import ArgumentParser
import Foundation
import Glibc
import Histogram

struct Idle: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "A group talks beside many silent connections: delay, processor time and memory.",
    discussion: """
      Twenty members of one group, by turns, say 200 messages a second. A delay is from when a message \
      was to be sent until a member has it. The silent ones connect, and never say anything. The server \
      runs on processor 0, the load on processor 1. \(ContestOptions.ratios) Those to fewer idle are of \
      the same contestant, to its row with the fewest.
      """)

  @Option(parsing: .upToNextOption, help: "How many silent connections, 0 to 60000.")
  var idle = [0, 1_000, 10_000]

  @Option(help: "How many seconds the group talks, in each run.")
  var seconds = 5.0

  @OptionGroup var contest: ContestOptions
  @OptionGroup var report: ReportOptions

  private static let members = 20
  private static let messagesPerSecond = 200.0

  func validate() throws {
    guard !idle.isEmpty, idle.allSatisfy((0...60_000).contains), (0.1...3_600) ~= seconds else {
      throw ValidationError("--idle is from 0 to 60000, --seconds from 0.1 to 3600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: (idle.max() ?? 0) + 200)
    pinLoad()
    let present = try contest.takingPart()
    let counts = Set(idle).sorted()
    // All numbers in each round, so that they can be compared with each other, too.
    var rounds = Dictionary(uniqueKeysWithValues: counts.map { ($0, Rounds()) })
    for round in 1...contest.pairs {
      for count in counts {
        say("idle: round \(round) of \(contest.pairs), \(count) idle")
        try rounds[count]?.add(present) { try measure($0, idle: count) }
      }
    }
    try report.print(
      counts.flatMap { count in
        present.compactMap { contestant in
          guard let own = rounds[count], let fewest = rounds[counts[0]] else { return nil }
          return row(contestant, count, own, fewest: count == counts[0] ? nil : fewest)
        }
      })
  }

  private func row(_ contestant: Contestant, _ idle: Int, _ own: Rounds, fewest: Rounds?) -> Row {
    var row = own.row("idle", contestant, "\(idle) idle")
    row.idle = idle
    row.receivers = Idle.members - 1
    row.textBytes = Circle.textBytes
    row.cpuSecondsPerMillion = nil
    // It is given.
    row.rateRatio = nil
    let results = own.results[contestant] ?? []
    row.cpuMicrosecondsPerMessage = median(results.map(\.cpuMicrosecondsPerMessage))
    row.openCPUMicroseconds = median(results.compactMap(\.openCPUMicroseconds))
    row.bytesPerConnection = median(results.compactMap(\.bytesPerConnection))
    if let others = fewest?.results[contestant] {
      row.cpuToFewest = Spread(results, others) {
        $0.cpuMicrosecondsPerMessage / $1.cpuMicrosecondsPerMessage
      }
      row.p99ToFewest = Spread(results, others) {
        Double($0.delays.valueAtPercentile(99)) / Double($1.delays.valueAtPercentile(99))
      }
    }
    return row
  }

  private func measure(_ contestant: Contestant, idle: Int) throws -> LoadResult {
    let running = try contestant.start(contest, groups: 2, connectionsMax: idle + 100)
    let circle = try Circle(Idle.members, running, contestant.dialect)
    let memory = running.running.memoryMebibytes ?? 0
    let cpu = running.running.scheduledSeconds
    // They belong to another port where groups have ports: nobody speaks there.
    let silent = try (0..<idle).map { _ in
      let connection = try Connection(port: running.port(of: 1))
      try connection.go(through: contestant.dialect.welcome)
      return connection
    }
    let opened = (
      cpu: running.running.scheduledSeconds - cpu,
      memory: (running.running.memoryMebibytes ?? 0) - memory
    )
    try circle.warmUp()
    var result = LoadResult()
    let watch = Stopwatch(running.running)
    try circle.talk(perSecond: Idle.messagesPerSecond, for: seconds)
    watch.stop(&result)
    withExtendedLifetime(silent) {}
    circle.count(into: &result)
    if idle > 0 {
      result.openCPUMicroseconds = opened.cpu * 1e6 / Double(idle)
      result.bytesPerConnection = opened.memory * 1_048_576 / Double(idle)
    }
    return result
  }
}

/// Members of one group who speak by turns.
private final class Circle {
  private struct Member {
    let connection: Connection
    let speaker: Connection
    var finder = Finder(Circle.mark, followedBy: Circle.digits)
    /// How often it has heard each message.
    var heard: [UInt8] = []
  }

  private let dialect: any Dialect
  private let inbox: Inbox
  private var members: [Member] = []
  private var sent = 0
  private var delivered = 0
  private var duplicates = 0
  private var wrong = 0
  private var bytes = 0
  private var delays = Histogram<UInt64>.ofNanoseconds()
  /// When the first message is to be sent, and how long after each the next one.
  private var start: UInt64 = 0
  private var pause: UInt64 = 1

  /// A text is this, and the number of the message.
  private static let mark = "message["
  private static let digits = 20
  static let textBytes = mark.utf8.count + digits

  init(_ count: Int, _ contest: Contest, _ dialect: any Dialect) throws {
    self.dialect = dialect
    inbox = try Inbox(readBytes: 1 << 16)
    for index in 0..<count {
      let connection = try Connection(port: contest.port(of: 0))
      try connection.go(through: dialect.entry("m\(index)", 0))
      let speaker = try dialect.speaker("s\(index)", connection, port: contest.port(of: 0))
      members.append(Member(connection: connection, speaker: speaker))
      try inbox.add(connection, as: index)
      if speaker !== connection { try inbox.add(speaker, as: count + index) }
    }
  }

  /// How many hear what one says.
  private var audience: Int { dialect.audience(of: members.count) }

  func count(into result: inout LoadResult) {
    result.sent = sent
    result.delivered = delivered
    result.lost = sent * audience - delivered
    result.duplicates = duplicates
    result.wrong = wrong
    result.bytes = bytes
    result.delays = delays
  }

  // MARK: Talking

  /// Returns when all have everything, or nothing comes for five seconds.
  func talk(perSecond: Double, for seconds: Double) throws {
    let messages = Int(seconds * perSecond)
    begin(perSecond: perSecond)
    var lastNews = start
    while delivered < messages * audience {
      let now = monotonicNanoseconds()
      if sent < messages, due(sent) <= now {
        try speak()
      } else if try inbox.hear(waiting: sent < messages ? waiting(now) : 100, hear) {
        lastNews = now
      } else if now > lastNews + 5_000_000_000 {
        return
      }
    }
  }

  private func due(_ message: Int) -> UInt64 { start + UInt64(message) * pause }

  /// The last two milliseconds are waited for by looking again and again: a sleep's end would come late.
  private func waiting(_ now: UInt64) -> Int32 {
    Int32(clamping: (Int(due(sent) - now) - 1_000_000) / 1_000_000)
  }

  /// Nobody is measured before all are heard by all.
  func warmUp() throws {
    let deadline = monotonicNanoseconds() + 10_000_000_000
    for _ in 0..<3 {
      begin(perSecond: 1e9)
      for _ in members { try speak() }
      while delivered < members.count * audience {
        guard monotonicNanoseconds() < deadline else {
          throw BenchFailure("not all members hear each other")
        }
        // Somebody was not in yet.
        guard try inbox.hear(waiting: 1_000, hear) else { break }
      }
    }
  }

  private func begin(perSecond: Double) {
    (sent, delivered, duplicates, wrong, bytes) = (0, 0, 0, 0, 0)
    delays = Histogram<UInt64>.ofNanoseconds()
    for index in members.indices { members[index].heard = [] }
    start = monotonicNanoseconds()
    pause = UInt64(1e9 / perSecond)
  }

  private func speak() throws {
    let digits = String(sent)
    let zeros = String(repeating: "0", count: Circle.digits - digits.count)
    let line = dialect.line(Array((Circle.mark + zeros + digits).utf8), 0)
    guard members[sent % members.count].speaker.write(line, from: 0) == line.count else {
      throw BenchFailure("a member cannot be written to")
    }
    sent += 1
  }

  private func hear(_ index: Int, _ piece: UnsafeRawBufferPointer) {
    // What a speaker alone is told is of no interest.
    guard index < members.count else { return }
    let now = monotonicNanoseconds()
    bytes += piece.count
    var finder = members[index].finder
    finder.scan(piece) { hear(number($0), index, now) }
    members[index].finder = finder
  }

  private func hear(_ number: Int, _ index: Int, _ now: UInt64) {
    guard (0..<sent).contains(number) else {
      wrong += 1
      return
    }
    while members[index].heard.count <= number { members[index].heard.append(0) }
    members[index].heard[number] &+= 1
    guard members[index].heard[number] == 1 else {
      duplicates += 1
      return
    }
    delivered += 1
    delays.record(now &- due(number))
  }
}
