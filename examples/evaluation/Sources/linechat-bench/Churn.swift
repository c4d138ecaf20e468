// Coming and going: connect and join, leave, quit, one visitor after the other. Each says what its server
// needs for a step at once and waits for the answer, so that a visit has as many steps with all of them.

import ArgumentParser
import Foundation

struct Churn: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connect, join, leave, quit: what it costs the server.",
    discussion: """
      The server runs on processor 0, the load on processor 1. A delay is that of a whole visit, with \
      all its answers. The relay has no protocol: there it is a connection that is made and ended. \
      \(ContestOptions.ratios)
      """)

  @Option(help: "How many come and go, in each run.")
  var visits = 2_000

  @OptionGroup var contest: ContestOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...1_000_000) ~= visits else {
      throw ValidationError("--visits is from 1 to 1000000")
    }
  }

  func run() throws {
    pinLoad()
    let present = try contest.takingPart()
    let rounds = try Rounds(contest.pairs, of: present, measure)
    try report.print(
      present.map { contestant in
        var row = rounds.row("churn", contestant, "a visit")
        row.openCPUMicroseconds = row.cpuSecondsPerMillion
        row.cpuSecondsPerMillion = nil
        row.megabytesPerSecond = nil
        return row
      })
  }

  private func measure(_ contestant: Contestant) throws -> LoadResult {
    let running = try contestant.start(contest, groups: 1)
    let dialect = contestant.dialect
    var result = LoadResult()
    let watch = Stopwatch(running.running)
    for visit in 0..<visits {
      let start = monotonicNanoseconds()
      result.sent += 1
      let connection = try Connection(port: running.port(of: 0))
      try connection.go(through: dialect.arrival("v\(visit)", 0))
      try connection.go(through: dialect.departure(0))
      result.delivered += 1
      result.delays.record(monotonicNanoseconds() - start)
    }
    watch.stop(&result)
    return result
  }
}
