// Coming and going: connect and join, leave, quit, one visitor after the other. Each says what its server
// needs for a step at once and waits for the answer, so that a visit has as many steps with all of them.

import ArgumentParser
import Foundation

struct Churn: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connect, join, leave, quit: what it costs the server.",
    discussion: """
      The server runs on processor 0, the load on processor 1. The relay has no protocol: there it is \
      a connection that is made and ended.
      """)

  @Option(parsing: .upToNextOption, help: Contestant.help)
  var contestants: [Contestant] = []

  @Option(help: "How many come and go, in each run.")
  var visits = 2_000

  @Option(help: "How many runs; the row has their medians.")
  var runs = 5

  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...1_000_000) ~= visits, (1...99) ~= runs else {
      throw ValidationError("--visits is from 1 to 1000000, --runs from 1 to 99")
    }
  }

  func run() throws {
    pinLoad()
    let present = try Contestant.takingPart(of: contestants)
    var results: [Contestant: [(cpu: Double, seconds: Double)]] = [:]
    for _ in 0..<runs {
      for contestant in present {
        results[contestant, default: []].append(try measure(contestant))
      }
    }
    try report.print(
      present.map { contestant in
        let results = results[contestant] ?? []
        var row = Row("churn", contestant.rawValue)
        row.sent = visits * results.count
        row.openCPUMicroseconds = median(results.map { $0.cpu * 1e6 / Double(visits) })
        row.perSecond = median(results.map { Double(visits) / $0.seconds })
        return row
      })
  }

  private func measure(_ contestant: Contestant) throws -> (cpu: Double, seconds: Double) {
    let contest = try contestant.start(programs, groups: 1)
    let dialect = contestant.dialect
    let cpu = contest.running.scheduledSeconds
    let start = monotonicNanoseconds()
    for visit in 0..<visits {
      let connection = try Connection(port: contest.port(of: 0))
      try connection.go(through: dialect.arrival("v\(visit)", 0))
      try connection.go(through: dialect.departure(0))
    }
    let seconds = Double(monotonicNanoseconds() - start) / 1e9
    return (contest.running.scheduledSeconds - cpu, seconds)
  }
}
