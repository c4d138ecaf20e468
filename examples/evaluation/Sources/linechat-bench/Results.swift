// What one run under load gave, and the row that several of them make beside their yardstick's.

struct LoadResult {
  var sent = 0
  var delivered = 0
  var lost = 0
  var wrong = 0
  var bytes = 0
  var seconds = 0.0
  /// Of the measured process.
  var cpuSeconds = 0.0
  var benchCPUSeconds = 0.0

  var cpuSecondsPerMillion: Double { cpuSeconds * 1e6 / Double(max(1, delivered)) }
}

extension Row {
  /// `yardstick`: runs made by turns with these; none: this is the yardstick, or there is none.
  init(
    _ workload: String, _ setting: String, _ results: [LoadResult], beside yardstick: [LoadResult]
  ) {
    self.init(workload, setting)
    sent = results.map(\.sent).reduce(0, +)
    delivered = results.map(\.delivered).reduce(0, +)
    lost = results.map(\.lost).reduce(0, +)
    wrong = results.map(\.wrong).reduce(0, +)
    perSecond = median(results.map { Double($0.delivered) / $0.seconds })
    megabytesPerSecond = median(results.map { Double($0.bytes) / $0.seconds / 1e6 })
    cpuSecondsPerMillion = median(results.map(\.cpuSecondsPerMillion))
    benchCPUSeconds = median(results.map(\.benchCPUSeconds))
    let ratios = zip(results, yardstick).map { $0.cpuSecondsPerMillion / $1.cpuSecondsPerMillion }
    cpuRatio = median(ratios)
    cpuRatioLeast = ratios.min()
    cpuRatioMost = ratios.max()
  }
}

func median(_ values: [Double]) -> Double? {
  guard !values.isEmpty else { return nil }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
