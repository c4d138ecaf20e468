// What the idle cost: a group of twenty talks as people do, while so many other connections say nothing.
// Each delivery is timed, and so is the server; its memory tells what a silent connection takes up.

import ArgumentParser
import Foundation

struct Idle: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "A group talks beside many silent connections: delay, processor time and memory.",
    discussion: """
      Twenty members of one group, by turns, say 200 messages a second. A delay is from when a message \
      was to be sent until a member has it. What is said in the first half second does not count. The \
      silent ones connect, and never say anything; those of --joined have a name, and are members of \
      groups of twenty. The server runs on processor 0, the load on processor 1. \
      \(ContestOptions.ratios) Those to fewer idle are of the same contestant, to its row with the fewest.
      """)

  @Option(parsing: .upToNextOption, help: "How many silent connections, 0 to 60000.")
  var idle = [0, 1_000, 10_000]

  @Option(
    parsing: .upToNextOption,
    help: "How many silent members of other groups, 1 to 60000; the relay has none. (default: none)"
  )
  var joined: [Int] = []

  @Option(help: "How many seconds the group talks, in each run.")
  var seconds = 5.0

  @OptionGroup var contest: ContestOptions
  @OptionGroup var report: ReportOptions

  private static let members = 20
  private static let messagesPerSecond = 200.0

  func validate() throws {
    guard !idle.isEmpty, idle.allSatisfy((0...60_000).contains),
      joined.allSatisfy((1...60_000).contains), (0.1...3_600) ~= seconds
    else {
      throw ValidationError(
        "--idle is from 0 to 60000, --joined from 1 to 60000, --seconds from 0.1 to 3600")
    }
  }

  /// Those who say nothing.
  private struct Audience: Hashable {
    let count: Int
    let isJoined: Bool

    var text: String { isJoined ? "\(count) silent members" : "\(count) idle" }

    func has(_ contestant: Contestant) -> Bool { !isJoined || contestant != .relay }
  }

  func run() throws {
    try raiseDescriptorLimit(to: (idle + joined).reduce(0, max) + 200)
    pinLoad()
    let present = try contest.takingPart()
    let audiences =
      Set(idle).sorted().map { Audience(count: $0, isJoined: false) }
      + Set(joined).sorted().map { Audience(count: $0, isJoined: true) }
    // All of them in each round, so that they can be compared with each other, too.
    var rounds = Dictionary(uniqueKeysWithValues: audiences.map { ($0, Rounds()) })
    for round in 1...contest.pairs {
      for audience in audiences {
        say("idle: round \(round) of \(contest.pairs), \(audience.text)")
        try rounds[audience]?.add(present.filter(audience.has)) { try measure($0, audience) }
      }
    }
    let fewest = rounds[audiences[0]]
    try report.print(
      audiences.flatMap { audience in
        present.filter(audience.has).map { contestant in
          let own = rounds[audience] ?? Rounds()
          return row(contestant, audience, own, audience == audiences[0] ? nil : fewest)
        }
      })
  }

  private func row(
    _ contestant: Contestant, _ audience: Audience, _ own: Rounds, _ fewest: Rounds?
  ) -> Row {
    var row = own.row("idle", contestant, audience.text)
    row.idle = audience.count
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

  private func measure(_ contestant: Contestant, _ audience: Audience) throws -> LoadResult {
    let running = try contestant.start(contest, groups: 2, connectionsMax: audience.count + 100)
    let dialect = contestant.dialect
    let circle = try Circle(Idle.members, running, dialect)
    let memory = running.running.memoryMebibytes ?? 0
    let cpu = running.running.scheduledSeconds
    // They are at another port where groups have ports: nobody speaks there.
    let silent = try Connection.open(
      audience.count, dialect, port: { _ in running.port(of: 1) },
      through: { index in
        audience.isJoined ? dialect.entry("i\(index)", 1 + index / Idle.members) : dialect.welcome
      })
    let opened = (
      cpu: running.running.scheduledSeconds - cpu,
      memory: (running.running.memoryMebibytes ?? 0) - memory
    )
    try circle.warmUp()
    // A server may need some rounds to see who is silent; it is what comes after them that lasts.
    try circle.talk(perSecond: 2 * Idle.messagesPerSecond, for: 0.5)
    var result = LoadResult()
    let watch = Stopwatch(running.running)
    try circle.talk(perSecond: Idle.messagesPerSecond, for: seconds)
    watch.stop(&result)
    withExtendedLifetime(silent) {}
    circle.count(into: &result)
    if audience.count > 0 {
      result.openCPUMicroseconds = opened.cpu * 1e6 / Double(audience.count)
      result.bytesPerConnection = opened.memory * 1_048_576 / Double(audience.count)
    }
    return result
  }
}
