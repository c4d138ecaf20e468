// Many to many: groups whose members all speak at once. Each member says some lines, and when all of a group
// have heard all of them it begins again.

import ArgumentParser
import CBench
import Foundation
import Glibc

struct ManyToMany: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "many-to-many",
    abstract: "Many groups, everybody speaks: deliveries a second, and what one costs.",
    discussion: """
      The server runs on processor 0, the load on processor 1. A delivery counts when it is in its turn: \
      what is missing is lost, what is more is wrong.
      """)

  @Option(parsing: .upToNextOption, help: Contestant.help)
  var contestants: [Contestant] = []

  @Option(help: "How many groups, 1 to 500.")
  var groups = 50

  @Option(help: "How many members each has, 2 to 100.")
  var members = 20

  @Option(help: "How many lines each says at once, 1 to 100.")
  var burst = 10

  @Option(help: "How many pairs, 1 to 99.")
  var pairs = 9

  @Option(help: "How many seconds each run takes.")
  var seconds = 1.0

  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...500) ~= groups, (2...100) ~= members, (1...100) ~= burst, (1...99) ~= pairs,
      (0.05...600) ~= seconds
    else {
      throw ValidationError(
        "--groups is from 1 to 500, --members from 2 to 100, --burst from 1 to 100, --pairs from 1 "
          + "to 99, --seconds from 0.05 to 600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: groups * members + 100)
    pinLoad()
    let present = try Contestant.takingPart(of: contestants)
    var results: [Contestant: [LoadResult]] = [:]
    for _ in 0..<pairs {
      for contestant in present {
        let contest = try contestant.start(programs, groups: groups)
        let market = try Market(groups, members, burst, contest, contestant.dialect)
        results[contestant, default: []].append(try market.run(for: seconds))
      }
    }
    let setting = "\(groups) groups of \(members)"
    try report.print(
      present.map { contestant in
        Row(
          "many-to-many", "\(contestant.rawValue), \(setting)", results[contestant] ?? [],
          beside: contestant == .relay ? [] : results[.relay] ?? [])
      })
  }
}

/// Groups that talk, each at its own pace.
private final class Market {
  private struct Member {
    let connection: Connection
    let speaker: Connection
    let group: Int
    /// Of this turn.
    var heard = 0
    var isDone = false
    /// What may be the beginning of a text.
    var tail: [UInt8] = []
  }

  private static let mark = "text[of a usual length, as somebody says it in a chat]"

  private let perTurn: Int
  private let contest: Contest
  private let burst: Int
  private let epoll = cbench_epoll()
  private var members: [Member] = []
  /// Of each group, how many members have not heard all of this turn.
  private var missing: [Int]
  private let lines: [[UInt8]]
  private let size: Int
  private var result = LoadResult()
  private var isOver = false
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 64)

  init(
    _ groups: Int, _ size: Int, _ burst: Int, _ contest: Contest, _ dialect: any Dialect
  ) throws {
    self.contest = contest
    self.burst = burst
    self.size = size
    perTurn = dialect.audience(of: size) * burst
    missing = Array(repeating: size, count: groups)
    lines = (0..<groups).map { group in
      let line = dialect.line(Array(Self.mark.utf8), group)
      return Array((0..<burst).map { _ in line }.joined())
    }
    for group in 0..<groups {
      for index in 0..<size {
        let connection = try Connection(port: contest.port(of: group))
        try connection.go(through: dialect.entry("m\(group)x\(index)", group))
        let speaker = try dialect.speaker(
          "s\(group)x\(index)", connection, port: contest.port(of: group))
        members.append(Member(connection: connection, speaker: speaker, group: group))
      }
    }
    for (index, member) in members.enumerated() {
      member.connection.neverWait()
      _ = cbench_epoll_add(epoll, member.connection.socket, Int32(index))
    }
  }

  deinit {
    close(epoll)
    buffer.deallocate()
  }

  func run(for seconds: Double) throws -> LoadResult {
    let cpu = contest.running.scheduledSeconds
    let benchCPU = Running.ownCPUSeconds
    let start = monotonicNanoseconds()
    let end = start + UInt64(seconds * 1e9)
    for group in missing.indices { try speak(group) }
    while missing.contains(where: { $0 > 0 }) {
      isOver = monotonicNanoseconds() >= end
      guard try hear(waiting: 5_000) else { break }
    }
    result.seconds = Double(monotonicNanoseconds() - start) / 1e9
    result.cpuSeconds = contest.running.scheduledSeconds - cpu
    result.benchCPUSeconds = Running.ownCPUSeconds - benchCPU
    result.lost += members.map { max(0, perTurn - $0.heard) }.reduce(0, +)
    return result
  }

  private func speak(_ group: Int) throws {
    missing[group] = size
    for index in group * size..<(group + 1) * size {
      members[index].heard = 0
      members[index].isDone = false
    }
    for index in group * size..<(group + 1) * size {
      let speaker = members[index].speaker
      if speaker !== members[index].connection { try speaker.skip(buffer) }
      var written = 0
      while written < lines[group].count {
        written += speaker.write(lines[group], from: written)
      }
      result.sent += burst
    }
  }

  /// Whether anything came.
  private func hear(waiting milliseconds: Int32) throws -> Bool {
    try withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1_024) { numbers in
      let count = cbench_epoll_wait(epoll, numbers.baseAddress, milliseconds)
      for index in 0..<max(0, Int(count)) { try read(Int(numbers[index])) }
      return count > 0
    }
  }

  private func read(_ index: Int) throws {
    let count = recv(members[index].connection.socket, buffer.baseAddress, buffer.count, 0)
    if count == 0 { throw BenchFailure("the server has ended a member's connection") }
    guard count > 0 else { return }
    result.bytes += count
    let bytes = members[index].tail + buffer.prefix(count)
    let end = bytes.withUnsafeBytes { countTexts($0, index) }
    members[index].tail = Array(bytes[max(end, bytes.count - Self.mark.utf8.count + 1)...])
    let group = members[index].group
    guard members[index].heard >= perTurn, !members[index].isDone else { return }
    members[index].isDone = true
    missing[group] -= 1
    if missing[group] == 0, !isOver { try speak(group) }
  }

  /// Returns where the last one ends.
  private func countTexts(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int {
    var at = 0
    while true {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
      let found = cbench_find(rest.baseAddress, rest.count, Self.mark)
      guard found >= 0 else { return at }
      at += found + Self.mark.utf8.count
      members[index].heard += 1
      if members[index].heard > perTurn { result.wrong += 1 } else { result.delivered += 1 }
    }
  }
}
