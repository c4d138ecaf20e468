// What was measured, and the three forms in which it is told.

import ArgumentParser
import Foundation
import Histogram

/// One measurement. What a workload does not measure is nil, and a dash in the table.
struct Row: Codable {
  var workload: String
  var contestant: String?
  /// What differs between the rows of a workload: `1000 messages/s`.
  var setting: String
  /// The same in numbers, for programs: a message's receivers, its bytes, how many are under way, how many
  /// connections say nothing, and how often the server is killed.
  var receivers: Int?
  var textBytes: Int?
  var window: Int?
  var idle: Int?
  var kills: Int?
  var sent: Int?
  var delivered: Int?
  var lost: Int?
  var duplicates: Int?
  /// What was nothing that was sent, or, where duplicates are not told apart, came more than once.
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
  /// LineChat's to this contestant's, in the same round: processor time for a delivery, and deliveries a
  /// second.
  var cpuRatio: Spread?
  var rateRatio: Spread?
  /// This row's to that of the same contestant with the fewest idle connections, in the same round.
  var cpuToFewest: Spread?
  var p99ToFewest: Spread?
  /// How much of a processor it had.
  var serverShare: Double?
  /// The same of the benchmark itself, so that a row bound by it shows.
  var benchShare: Double?
  var benchCPUSeconds: Double?
  /// How delays are distributed.
  var delays: [DelayPoint]?

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
    delays = latencies.percentiles(ticksPerHalfDistance: 5).map {
      DelayPoint(percentile: $0.percentile, microseconds: Double($0.value) / 1_000)
    }
  }

  /// What kept it from being more: the server's processor, the load's, or neither.
  private var boundBy: String? {
    guard let serverShare, let benchShare else { return nil }
    if benchShare > 0.9, benchShare > serverShare { return "load" }
    return serverShare > 0.9 ? "server" : nil
  }

  fileprivate static let columns: [Column] =
    [
      Column("workload") { $0.workload }, Column("contestant") { $0.contestant },
      Column("setting") { $0.setting },
      Column("receivers", isForPrograms: true) { $0.receivers.map(String.init) },
      Column("bytes", isForPrograms: true) { $0.textBytes.map(String.init) },
      Column("window", isForPrograms: true) { $0.window.map(String.init) },
      Column("idle", isForPrograms: true) { $0.idle.map(String.init) },
      Column("kills", isForPrograms: true) { $0.kills.map(String.init) },
      Column("sent") { $0.sent.map(String.init) },
      Column("delivered") { $0.delivered.map(String.init) },
      Column("lost") { $0.lost.map(String.init) },
      Column("duplicates") { $0.duplicates.map(String.init) },
      Column("wrong") { $0.wrong.map(String.init) },
      Column("out of order") { $0.outOfOrder.map(String.init) },
      Column("per second") { number($0.perSecond, 0) },
      Column("MB/s") { number($0.megabytesPerSecond, 1) },
      Column("p50 us") { number($0.p50Microseconds, 0) },
      Column("p90 us") { number($0.p90Microseconds, 0) },
      Column("p99 us") { number($0.p99Microseconds, 0) },
      Column("p99.9 us") { number($0.p999Microseconds, 0) },
      Column("max us") { number($0.maxMicroseconds, 0) },
      Column("s") { number($0.seconds, 3) },
      Column("MiB memory") { number($0.memoryMebibytes, 1) },
      Column("MiB on disk") { number($0.diskMebibytes, 1) },
      Column("CPU s") { number($0.cpuSeconds, 3) },
      Column("CPU s per million") { number($0.cpuSecondsPerMillion, 4) },
      Column("receivers' CPU s per million") { number($0.receiversCPUSecondsPerMillion, 4) },
      Column("server's CPU s per million") { number($0.serverCPUSecondsPerMillion, 4) },
      Column("CPU us per message") { number($0.cpuMicrosecondsPerMessage, 0) },
      Column("CPU us each") { number($0.openCPUMicroseconds, 0) },
      Column("B per connection") { number($0.bytesPerConnection, 0) },
    ] + spread("LineChat's CPU / its") { $0.cpuRatio }
    + spread("LineChat's rate / its") { $0.rateRatio }
    + spread("CPU / with fewest idle") { $0.cpuToFewest }
    + spread("p99 / with fewest idle") { $0.p99ToFewest } + [
      Column("server %") { number($0.serverShare.map { $0 * 100 }, 0) },
      Column("load %") { number($0.benchShare.map { $0 * 100 }, 0) },
      Column("bound by") { $0.boundBy },
      Column("load CPU s") { number($0.benchCPUSeconds, 3) },
    ]

  /// One column for people, three for programs.
  private static func spread(
    _ title: String, _ value: @escaping @Sendable (Row) -> Spread?
  ) -> [Column] {
    @Sendable func text(_ value: Double) -> String { String(format: "%.2f", value) }
    return [
      Column(title, isForPeople: true) { row in
        value(row).map { "\(text($0.median)) (\(text($0.least)) to \(text($0.most)))" }
      },
      Column(title, isForPrograms: true) { row in value(row).map { text($0.median) } },
      Column("\(title), least", isForPrograms: true) { row in value(row).map { text($0.least) } },
      Column("\(title), most", isForPrograms: true) { row in value(row).map { text($0.most) } },
    ]
  }

  private static func number(_ value: Double?, _ digits: Int) -> String? {
    value.map { String(format: "%.\(digits)f", $0) }
  }
}

/// A part of a distribution: so many percent were at most so long.
struct DelayPoint: Codable {
  let percentile: Double
  let microseconds: Double
}

private struct Column: Sendable {
  let title: String
  let isForPeople: Bool
  let isForPrograms: Bool
  let text: @Sendable (Row) -> String?

  /// It says which row it is, and not what was measured.
  var tellsRows: Bool {
    ["workload", "contestant", "setting", "receivers", "bytes", "window", "idle", "kills"].contains(
      title)
  }

  /// For both, unless it is said for whom.
  init(
    _ title: String, isForPeople: Bool = false, isForPrograms: Bool = false,
    _ text: @escaping @Sendable (Row) -> String?
  ) {
    self.title = title
    self.isForPeople = isForPeople || !isForPrograms
    self.isForPrograms = isForPrograms || !isForPeople
    self.text = text
  }
}

/// How it is told.
struct ReportOptions: ParsableArguments {
  @Flag(help: "Print JSON, an array of rows.")
  var json = false

  @Flag(help: "Print CSV.")
  var csv = false

  @Option(
    help: """
      Also write the rows as PREFIX.csv and as PREFIX.md, and how the delays of each are distributed as \
      PREFIX-delays.csv.
      """)
  var save: String?

  func validate() throws {
    if json && csv { throw ValidationError("--json and --csv exclude each other") }
  }

  func print(_ rows: [Row]) throws {
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      let plain = rows.map { row in
        var row = row
        row.delays = nil
        return row
      }
      Swift.print(String(decoding: try encoder.encode(plain), as: UTF8.self))
    } else {
      Swift.print(csv ? Report.csv(rows) : Report.table(rows), terminator: "")
    }
    guard let save else { return }
    try Report.csv(rows).write(toFile: "\(save).csv", atomically: true, encoding: .utf8)
    try Report.table(rows).write(toFile: "\(save).md", atomically: true, encoding: .utf8)
    let delays = Report.delays(rows)
    if !delays.isEmpty {
      try delays.write(toFile: "\(save)-delays.csv", atomically: true, encoding: .utf8)
    }
  }
}

private enum Report {
  static func csv(_ rows: [Row]) -> String {
    let columns = Row.columns.filter(\.isForPrograms)
    let lines = [columns.map(\.title)] + rows.map { row in columns.map { $0.text(row) ?? "" } }
    return lines.map(csv).joined()
  }

  private static func csv(_ cells: [String]) -> String {
    cells.map { cell in
      cell.contains { ",\"\n".contains($0) }
        ? "\"" + cell.replacing("\"", with: "\"\"") + "\"" : cell
    }.joined(separator: ",") + "\n"
  }

  static func delays(_ rows: [Row]) -> String {
    let columns = Row.columns.filter(\.tellsRows)
    let lines = rows.flatMap { row in
      (row.delays ?? []).map { point in
        csv(
          columns.map { $0.text(row) ?? "" } + [
            String(format: "%.6f", point.percentile), String(format: "%.1f", point.microseconds),
          ])
      }
    }
    return lines.isEmpty ? "" : csv(columns.map(\.title) + ["percentile", "us"]) + lines.joined()
  }

  /// Markdown, lined up, of those columns alone in which something is.
  static func table(_ rows: [Row]) -> String {
    let columns = Row.columns.filter { column in
      column.isForPeople && rows.contains { column.text($0) != nil }
    }
    let lines =
      [columns.map(\.title)] + rows.map { row in columns.map { $0.text(row) ?? "-" } }
    let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    let isText = columns.map(\.tellsRows)
    var text = ""
    for (number, line) in lines.enumerated() {
      let words = columns.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - line[column].count)
        return isText[column] ? line[column] + padding : padding + line[column]
      }
      text += "| " + words.joined(separator: " | ") + " |\n"
      guard number == 0 else { continue }
      let rules = columns.indices.map { column in
        String(repeating: "-", count: widths[column] + 1) + (isText[column] ? "-" : ":")
      }
      text += "|" + rules.joined(separator: "|") + "|\n"
    }
    return text
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
