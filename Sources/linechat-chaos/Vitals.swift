// What the system says of a process: its memory and its descriptors, as time goes by; and whether they
// stay as they are.

import Foundation
import Glibc

/// One process, from its start to its end.
struct Life {
  let name: String
  let process: pid_t
  private(set) var samples: [Sample] = []

  struct Sample {
    let seconds: Double
    let kibibytes: Int
    let descriptors: Int
  }

  init(name: String, process: pid_t) {
    self.name = name
    self.process = process
  }

  /// Nil where it has gone meanwhile.
  mutating func take(at seconds: Double) -> Sample? {
    guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({
        Int($0)
      }),
      let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")
    else { return nil }
    let sample = Sample(seconds: seconds, kibibytes: kibibytes, descriptors: files.count)
    samples.append(sample)
    return sample
  }

  // MARK: Whether it is flat

  /// What counts as flat: the straight line through the samples, without those of the first tenth of
  /// the life, rises by no more than this from its beginning to its end.
  static let memoryShare = 0.1
  static let memoryLeastKibibytes = 1_024.0
  static let descriptorsMost = 2.0
  /// Fewer tell nothing; nor does a life in which memory is still taken for the first time, and a
  /// node's logs, one for each person, are opened for the first time.
  static let samplesLeast = 5
  static let secondsLeast = 300.0

  static let criterion =
    "flat: a straight line through the samples after the first tenth of a process's life rises by no "
    + "more than 10 % of the mean or 1 MiB, whichever is more, and by no more than 2 descriptors; "
    + "judged are those who lived for at least half of the run, and five minutes"

  var seconds: Double { (samples.last?.seconds ?? 0) - (samples.first?.seconds ?? 0) }

  struct Trend {
    let mean: Double
    /// From the first sample that counts to the last.
    let rise: Double
    let perHour: Double
  }

  func trend(_ value: (Sample) -> Int) -> Trend? {
    guard let first = samples.first else { return nil }
    let settled = samples.filter { $0.seconds >= first.seconds + self.seconds / 10 }
    guard settled.count >= Life.samplesLeast, let start = settled.first, let end = settled.last
    else { return nil }
    let count = Double(settled.count)
    let meanTime = settled.reduce(0) { $0 + $1.seconds } / count
    let mean = settled.reduce(0) { $0 + Double(value($1)) } / count
    var (top, bottom) = (0.0, 0.0)
    for sample in settled {
      top += (sample.seconds - meanTime) * (Double(value(sample)) - mean)
      bottom += (sample.seconds - meanTime) * (sample.seconds - meanTime)
    }
    guard bottom > 0 else { return nil }
    let slope = top / bottom
    return Trend(mean: mean, rise: slope * (end.seconds - start.seconds), perHour: slope * 3_600)
  }

  /// Nil: there is too little to tell.
  var isFlat: Bool? {
    guard seconds >= Life.secondsLeast, let memory = trend(\.kibibytes),
      let descriptors = trend(\.descriptors)
    else { return nil }
    return memory.rise <= max(memory.mean * Life.memoryShare, Life.memoryLeastKibibytes)
      && descriptors.rise <= Life.descriptorsMost
  }
}
