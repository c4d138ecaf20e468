// Many to many: groups whose members all speak at once. Each member says some lines, and when all of a group
// have heard all of them it begins again.

import ArgumentParser
import Foundation
import Glibc

struct ManyToMany: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "many-to-many",
    abstract: "Many groups, everybody speaks: deliveries a second, and what one costs.",
    discussion: """
      The server runs on processor 0, the load on processor 1. Members number what they say; a delay is \
      from when a member's lines were given to its socket until another has one. \
      \(ContestOptions.ratios)
      """)

  @Option(help: "How many groups, 1 to 500.")
  var groups = 50

  @Option(help: "How many members each has, 2 to 100.")
  var members = 20

  @Option(help: "How many lines each says at once, 1 to 100.")
  var burst = 10

  @Option(help: "How many seconds each run takes.")
  var seconds = 1.0

  @OptionGroup var contest: ContestOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...500) ~= groups, (2...100) ~= members, (1...100) ~= burst, (0.05...600) ~= seconds
    else {
      throw ValidationError(
        "--groups is from 1 to 500, --members from 2 to 100, --burst from 1 to 100, --seconds from "
          + "0.05 to 600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: 2 * groups * members + 100)
    pinLoad()
    let present = try contest.takingPart()
    let rounds = try Rounds(contest.pairs, of: present) { contestant in
      let contest = try contestant.start(contest, groups: groups)
      let market = try Market(groups, members, burst, contest, contestant.dialect)
      return try market.run(for: seconds)
    }
    try report.print(
      present.map { contestant in
        var row = rounds.row("many-to-many", contestant, "\(groups) groups of \(members)")
        row.receivers = members - 1
        row.textBytes = Market.textBytes
        row.window = burst
        return row
      })
  }
}

/// Groups that talk, each at its own pace.
private final class Market {
  private struct Member {
    let connection: Connection
    let speaker: Connection
    let group: Int
    var finder = Finder(Market.mark, followedBy: 2 * Market.digits)
    /// Of this turn.
    var heard = 0
    /// The number of what each of the group is to say next.
    var next: [Int]
    /// When it last spoke.
    var spokeAt: UInt64 = 0
  }

  /// A text is this, the member's place in its group, the number of what it says, and some more.
  private static let mark = "text["
  private static let digits = 8
  private static let rest = "] of a usual length, as in a chat"
  static let textBytes = mark.utf8.count + 2 * digits + rest.utf8.count

  private let contest: Contest
  private let dialect: any Dialect
  private let burst: Int
  private let size: Int
  /// What each is to hear in a turn.
  private let perTurn: Int
  private let inbox: Inbox
  private var members: [Member] = []
  /// Of each group, how many members have not heard all of this turn, and what it has said so far.
  private var missing: [Int]
  private var said: [Int]
  private var result = LoadResult()
  private var isOver = false

  init(
    _ groups: Int, _ size: Int, _ burst: Int, _ contest: Contest, _ dialect: any Dialect
  ) throws {
    self.contest = contest
    self.dialect = dialect
    self.burst = burst
    self.size = size
    perTurn = dialect.audience(of: size) * burst
    missing = Array(repeating: size, count: groups)
    said = Array(repeating: 0, count: groups)
    inbox = try Inbox(readBytes: 1 << 17)
    let connections = try Connection.open(
      groups * size, dialect, port: { contest.port(of: $0 / size) },
      through: { dialect.entry("m\($0)", $0 / size) })
    for (index, connection) in connections.enumerated() {
      let group = index / size
      let speaker = try dialect.speaker("s\(index)", connection, port: contest.port(of: group))
      members.append(
        Member(
          connection: connection, speaker: speaker, group: group,
          next: Array(repeating: 0, count: size)))
    }
    for index in members.indices {
      try inbox.add(members[index].connection, as: index)
      if members[index].speaker !== members[index].connection {
        try inbox.add(members[index].speaker, as: members.count + index)
      }
    }
  }

  func run(for seconds: Double) throws -> LoadResult {
    let watch = Stopwatch(contest.running)
    let end = monotonicNanoseconds() + UInt64(seconds * 1e9)
    for group in missing.indices { try speak(group) }
    while missing.contains(where: { $0 > 0 }) {
      isOver = monotonicNanoseconds() >= end
      guard try inbox.hear(waiting: 5_000, hear) else { break }
    }
    watch.stop(&result)
    result.lost = result.sent * dialect.audience(of: size) - result.delivered
    return result
  }

  private func speak(_ group: Int) throws {
    missing[group] = size
    let range = group * size..<(group + 1) * size
    for index in range { members[index].heard = 0 }
    for (place, index) in range.enumerated() {
      var lines: [UInt8] = []
      for number in said[group]..<said[group] + burst {
        lines += dialect.line(Market.text(place, number), group)
      }
      members[index].spokeAt = monotonicNanoseconds()
      var written = 0
      while written < lines.count { written += members[index].speaker.write(lines, from: written) }
      result.sent += burst
    }
    said[group] += burst
  }

  private static func text(_ place: Int, _ number: Int) -> [UInt8] {
    func padded(_ number: Int) -> ArraySlice<UInt8> {
      Array(String(number + 1_000_000_000).utf8).suffix(digits)
    }
    return Array(mark.utf8) + padded(place) + padded(number) + Array(rest.utf8)
  }

  private func hear(_ index: Int, _ bytes: UnsafeRawBufferPointer) throws {
    // What a speaker alone is told is of no interest.
    guard index < members.count else { return }
    result.bytes += bytes.count
    let now = monotonicNanoseconds()
    let before = members[index].heard
    let group = members[index].group
    // Not in its place while it is changed with the others at hand.
    var finder = members[index].finder
    finder.scan(bytes) { digits in
      hear(
        number(digits.suffix(Market.digits)), of: number(digits.prefix(Market.digits)), index, now)
    }
    members[index].finder = finder
    guard before < perTurn, members[index].heard >= perTurn else { return }
    missing[group] -= 1
    if missing[group] == 0, !isOver { try speak(group) }
  }

  private func hear(_ number: Int, of place: Int, _ index: Int, _ now: UInt64) {
    let group = members[index].group
    guard (0..<size).contains(place), number < said[group] else {
      result.wrong += 1
      return
    }
    guard number >= members[index].next[place] else {
      result.duplicates += 1
      return
    }
    members[index].next[place] = number + 1
    members[index].heard += 1
    result.delivered += 1
    result.delays.record(now &- members[group * size + place].spokeAt)
  }
}
