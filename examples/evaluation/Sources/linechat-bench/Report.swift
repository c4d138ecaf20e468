// What was measured, and the three forms in which it is told.

import ArgumentParser
import Foundation
import Histogram

/// One measurement. What a workload does not measure is nil, and a dash in the table.
struct Row: Codable {
  var workload: String
  /// What differs between the rows of a workload: `1000 messages/s`.
  var setting: String
  var sent: Int?
  var delivered: Int?
  var lost: Int?
  /// What came more than once, or was nothing that was sent.
  var wrong: Int?
  /// What came behind something later of the same sender.
  var outOfOrder: Int?
  var perSecond: Double?
  var megabytesPerSecond: Double?
  var p50Microseconds: Double?
  var p90Microseconds: Double?
  var p99Microseconds: Double?
  var p999Microseconds: Double?
  var maxMicroseconds: Double?
  /// Until it was done.
  var seconds: Double?
  /// What the measured process had in memory in the end, and its files on the disk.
  var memoryMebibytes: Double?
  var diskMebibytes: Double?
  /// Processor time of the measured process, in seconds.
  var cpuSeconds: Double?
  var cpuSecondsPerMillion: Double?
  /// The same of those that hear, all together, and of the server behind them.
  var receiversCPUSecondsPerMillion: Double?
  var serverCPUSecondsPerMillion: Double?
  var cpuMicrosecondsPerMessage: Double?
  /// Of one connection: to open it (and whatever else the workload does), and what it takes up.
  var openCPUMicroseconds: Double?
  var bytesPerConnection: Double?
  /// To the row's yardstick, of processor time for each delivery: the median of the pairs, the least and
  /// the most.
  var cpuRatio: Double?
  var cpuRatioLeast: Double?
  var cpuRatioMost: Double?
  /// The same of the benchmark itself, so that a row bound by it shows.
  var benchCPUSeconds: Double?

  init(_ workload: String, _ setting: String) {
    self.workload = workload
    self.setting = setting
  }

  mutating func take(_ latencies: Histogram<UInt64>) {
    func value(_ percentile: Double) -> Double {
      Double(latencies.valueAtPercentile(percentile)) / 1_000
    }
    p50Microseconds = value(50)
    p90Microseconds = value(90)
    p99Microseconds = value(99)
    p999Microseconds = value(99.9)
    maxMicroseconds = Double(latencies.max) / 1_000
  }

  fileprivate static let columns: [(title: String, text: @Sendable (Row) -> String?)] = [
    ("workload", { $0.workload }), ("setting", { $0.setting }),
    ("sent", { $0.sent.map(String.init) }), ("delivered", { $0.delivered.map(String.init) }),
    ("lost", { $0.lost.map(String.init) }), ("wrong", { $0.wrong.map(String.init) }),
    ("out of order", { $0.outOfOrder.map(String.init) }),
    ("per second", { number($0.perSecond, 0) }),
    ("MB/s", { number($0.megabytesPerSecond, 0) }),
    ("p50 us", { number($0.p50Microseconds, 0) }), ("p90 us", { number($0.p90Microseconds, 0) }),
    ("p99 us", { number($0.p99Microseconds, 0) }),
    ("p99.9 us", { number($0.p999Microseconds, 0) }),
    ("max us", { number($0.maxMicroseconds, 0) }), ("s", { number($0.seconds, 3) }),
    ("MiB memory", { number($0.memoryMebibytes, 1) }),
    ("MiB on disk", { number($0.diskMebibytes, 1) }), ("CPU s", { number($0.cpuSeconds, 3) }),
    ("CPU s per million", { number($0.cpuSecondsPerMillion, 4) }),
    ("receivers' CPU s per million", { number($0.receiversCPUSecondsPerMillion, 4) }),
    ("server's CPU s per million", { number($0.serverCPUSecondsPerMillion, 4) }),
    ("CPU us per message", { number($0.cpuMicrosecondsPerMessage, 0) }),
    ("CPU us each", { number($0.openCPUMicroseconds, 0) }),
    ("B per connection", { number($0.bytesPerConnection, 0) }),
    ("CPU to relay", { number($0.cpuRatio, 2) }), ("least", { number($0.cpuRatioLeast, 2) }),
    ("most", { number($0.cpuRatioMost, 2) }),
    ("bench CPU s", { number($0.benchCPUSeconds, 3) }),
  ]

  private static func number(_ value: Double?, _ digits: Int) -> String? {
    value.map { String(format: "%.\(digits)f", $0) }
  }
}

/// How it is told.
struct ReportOptions: ParsableArguments {
  @Flag(help: "Print JSON, an array of rows.")
  var json = false

  @Flag(help: "Print CSV.")
  var csv = false

  func validate() throws {
    if json && csv { throw ValidationError("--json and --csv exclude each other") }
  }

  func print(_ rows: [Row]) throws {
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      Swift.print(String(decoding: try encoder.encode(rows), as: UTF8.self))
      return
    }
    let titles = Row.columns.map(\.title)
    let cells = rows.map { row in Row.columns.map { $0.text(row) ?? (csv ? "" : "-") } }
    if csv {
      for line in [titles] + cells { Swift.print(line.joined(separator: ",")) }
    } else {
      table([titles] + cells)
    }
  }

  private func table(_ lines: [[String]]) {
    let used = lines[0].indices.filter { column in
      lines.dropFirst().contains { $0[column] != "-" }
    }
    let widths = used.map { column in lines.map { $0[column].count }.max() ?? 0 }
    for (number, line) in lines.enumerated() {
      let words = zip(used, widths).map { column, width in
        let padding = String(repeating: " ", count: width - line[column].count)
        return column < 2 ? line[column] + padding : padding + line[column]
      }
      Swift.print("| " + words.joined(separator: " | ") + " |")
      if number == 0 {
        let rules = zip(used, widths).map { column, width in
          String(repeating: "-", count: width + 1) + (column < 2 ? "-" : ":")
        }
        Swift.print("|" + rules.joined(separator: "|") + "|")
      }
    }
  }
}

extension Histogram where Count == UInt64 {
  /// For nanoseconds up to ten minutes, to a thousandth.
  static func ofNanoseconds() -> Histogram<UInt64> {
    Histogram<UInt64>(
      highestTrackableValue: 600_000_000_000, numberOfSignificantValueDigits: .three)
  }
}

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
