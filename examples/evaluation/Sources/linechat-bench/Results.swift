// What one run under load gave, the rounds in which contestants take turns, and the row that several runs
// make.

import Foundation
import Histogram

struct LoadResult {
  var sent = 0
  var delivered = 0
  var lost = 0
  var duplicates = 0
  var wrong = 0
  var bytes = 0
  var seconds = 0.0
  /// Of the measured process.
  var cpuSeconds = 0.0
  var memoryMebibytes: Double?
  var benchCPUSeconds = 0.0
  /// Of a connection that says nothing: to open it, and what it takes up.
  var openCPUMicroseconds: Double?
  var bytesPerConnection: Double?
  var delays = Histogram<UInt64>.ofNanoseconds()

  var cpuSecondsPerMillion: Double { cpuSeconds * 1e6 / Double(max(1, delivered)) }
  var cpuMicrosecondsPerMessage: Double { cpuSeconds * 1e6 / Double(max(1, sent)) }
  var perSecond: Double { Double(delivered) / seconds }
}

/// Takes the time, and the processor time of what is measured and of the benchmark.
struct Stopwatch {
  private let running: Measured
  private let start = monotonicNanoseconds()
  private let cpu: Double
  private let benchCPU = Running.ownCPUSeconds

  init(_ running: Measured) {
    self.running = running
    cpu = running.scheduledSeconds
  }

  func stop(_ result: inout LoadResult) {
    result.seconds = Double(monotonicNanoseconds() - start) / 1e9
    result.cpuSeconds = running.scheduledSeconds - cpu
    result.benchCPUSeconds = Running.ownCPUSeconds - benchCPU
    result.memoryMebibytes = running.memoryMebibytes
  }
}

/// Several runs of each contestant, by turns: whatever else the machine does falls on all of them.
struct Rounds {
  private(set) var results: [Contestant: [LoadResult]] = [:]

  init() {}

  init(_ count: Int, of contestants: [Contestant], _ run: (Contestant) throws -> LoadResult)
    rethrows
  {
    for _ in 0..<count { try add(contestants, run) }
  }

  /// One more.
  mutating func add(_ contestants: [Contestant], _ run: (Contestant) throws -> LoadResult) rethrows
  {
    for contestant in contestants { results[contestant, default: []].append(try run(contestant)) }
  }

  /// The row of one of them; LineChat's runs are compared with those of the same rounds.
  func row(_ workload: String, _ contestant: Contestant, _ setting: String) -> Row {
    var row = Row(workload, setting)
    row.contestant = contestant.rawValue
    let own = results[contestant] ?? []
    row.take(own)
    guard contestant != .linechat, let others = results[.linechat] else { return row }
    row.cpuRatio = Spread(others, own) { $0.cpuSecondsPerMillion / $1.cpuSecondsPerMillion }
    row.rateRatio = Spread(others, own) { $0.perSecond / $1.perSecond }
    return row
  }
}

/// A ratio in several pairs.
struct Spread: Codable {
  let median: Double
  let least: Double
  let most: Double

  init?(_ some: [LoadResult], _ others: [LoadResult], _ ratio: (LoadResult, LoadResult) -> Double) {
    let ratios = zip(some, others).map(ratio).filter(\.isFinite)
    guard let middle = linechat_bench.median(ratios), let least = ratios.min(),
      let most = ratios.max()
    else { return nil }
    (median, self.least, self.most) = (middle, least, most)
  }
}

extension Row {
  /// Counts are of all runs; delays are those of the run whose 99th percentile is in the middle; the rest are
  /// medians.
  mutating func take(_ results: [LoadResult]) {
    sent = results.map(\.sent).reduce(0, +)
    delivered = results.map(\.delivered).reduce(0, +)
    lost = results.map(\.lost).reduce(0, +)
    duplicates = results.map(\.duplicates).reduce(0, +)
    wrong = results.map(\.wrong).reduce(0, +)
    perSecond = median(results.map(\.perSecond))
    megabytesPerSecond = median(results.map { Double($0.bytes) / $0.seconds / 1e6 })
    cpuSecondsPerMillion = median(results.map(\.cpuSecondsPerMillion))
    memoryMebibytes = median(results.compactMap(\.memoryMebibytes))
    benchCPUSeconds = median(results.map(\.benchCPUSeconds))
    serverShare = median(results.map { $0.cpuSeconds / $0.seconds })
    benchShare = median(results.map { $0.benchCPUSeconds / $0.seconds })
    let byDelay = results.map(\.delays).filter { $0.totalCount > 0 }
      .sorted { $0.valueAtPercentile(99) < $1.valueAtPercentile(99) }
    if !byDelay.isEmpty { take(byDelay[(byDelay.count - 1) / 2]) }
  }
}

func median(_ values: [Double]) -> Double? {
  guard !values.isEmpty else { return nil }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
