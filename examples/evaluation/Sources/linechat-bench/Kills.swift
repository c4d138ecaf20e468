// What is lost where clients keep nothing: a group talks while its server is killed and started again, a few
// times or many. LineChat's plain clients, a netcat for one, lose what the others' do; its nodes keep what
// they say until everybody has it, and `linechat-chaos faults` tells what they lose.

import ArgumentParser
import Foundation
import Glibc

struct Kills: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What plain clients lose while their server is killed again and again.",
    discussion: """
      Twenty members of one group, by turns, say 200 messages a second. The server is killed with \
      SIGKILL at even intervals, and started again after --away seconds; all are back as soon as it \
      answers. What is to be said while it is away is lost, as the clients keep nothing, and so is what \
      was on its way. Counts are of all runs.
      """)

  @Option(parsing: .upToNextOption, help: "How many kills in a run, 0 to 100.")
  var kills = [0, 1, 2, 4, 8]

  @Option(help: "How many seconds the group talks, in each run.")
  var seconds = 15.0

  @Option(help: "How many seconds after a kill the server is started again.")
  var away = 0.5

  @OptionGroup var contest: ContestOptions
  @OptionGroup var report: ReportOptions

  private static let members = 20
  private static let messagesPerSecond = 200.0

  func validate() throws {
    guard kills.allSatisfy((0...100).contains), (0.1...3_600) ~= seconds, (0...600) ~= away else {
      throw ValidationError(
        "--kills is from 0 to 100, --seconds from 0.1 to 3600, --away from 0 to 600")
    }
    guard contest.server == nil else {
      throw ValidationError("a server that runs already is not killed: leave out --server")
    }
  }

  func run() throws {
    pinLoad()
    let present = try contest.takingPart()
    var rows: [Row] = []
    for count in kills {
      say("kills: \(count) in \(seconds) s")
      let rounds = try Rounds(contest.pairs, of: present) { try measure($0, kills: count) }
      rows += present.map { contestant in
        var row = Row("kills", "\(count) kills in \(seconds) s, away for \(away) s")
        row.contestant = contestant.rawValue
        row.take(rounds.results[contestant] ?? [])
        // Each time it is another process.
        row.cpuSecondsPerMillion = nil
        row.serverShare = nil
        row.benchShare = nil
        row.benchCPUSeconds = nil
        row.kills = count
        row.seconds = seconds
        return row
      }
    }
    try report.print(rows)
  }

  private func measure(_ contestant: Contestant, kills: Int) throws -> LoadResult {
    var result = LoadResult()
    var audience = 0
    var start = monotonicNanoseconds()
    for kill in 0...kills {
      let running = try contestant.start(contest, groups: 1)
      let circle = try Circle(Kills.members, running, contestant.dialect)
      try circle.warmUp()
      if kill == 0 { start = monotonicNanoseconds() }
      // The server is away for so long that it may be time to kill it again.
      let end = start + UInt64(seconds * 1e9 * Double(kill + 1) / Double(kills + 1))
      let left = Double(end - min(end, monotonicNanoseconds())) / 1e9
      try circle.talk(
        perSecond: Kills.messagesPerSecond, for: left, waitsForRest: kill == kills)
      if kill < kills {
        running.kill()
        try circle.drain()
        usleep(UInt32(away * 1e6))
      }
      circle.count(into: &result)
      audience = circle.audience
    }
    // What was to be said while nobody was there is lost, too.
    result.sent = Int((seconds * Kills.messagesPerSecond).rounded())
    result.lost = max(0, result.sent * audience - result.delivered)
    result.seconds = Double(monotonicNanoseconds() - start) / 1e9
    return result
  }
}
