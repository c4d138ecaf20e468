// Fan-out: one client says lines to a group, and many hear them. LineChat, the plain relay and whatever else
// is installed take turns, so that whatever the machine does besides falls on all of them.

import ArgumentParser
import CBench
import Foundation

struct FanOut: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One speaks and many hear: deliveries a second, and what one costs.",
    discussion: """
      The server runs on processor 0, the load on processor 1. Every byte that a receiver gets is \
      compared with what it should get. The ratio is of processor time for a delivery to that of a plain \
      relay written in C that does nothing else; each is the median of interleaved pairs.
      """)

  @Option(parsing: .upToNextOption, help: Contestant.help)
  var contestants: [Contestant] = []

  @Option(parsing: .upToNextOption, help: "How many receivers, 1 to 5000.")
  var receivers = [10, 100, 1_000]

  @Option(parsing: .upToNextOption, help: "Bytes of a text, 16 to 16384.")
  var bytes = [16, 64, 1_024, 16_384]

  @Option(parsing: .upToNextOption, help: "Messages under way at most, 1 to 4096.")
  var windows = [256, 1]

  @Option(help: "How many pairs, 1 to 99.")
  var pairs = 9

  @Option(help: "About how many seconds each run takes on a machine that does nothing else.")
  var seconds = 1.0

  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard receivers.allSatisfy((1...5_000).contains), bytes.allSatisfy((16...16_384).contains),
      windows.allSatisfy((1...4_096).contains), (1...99).contains(pairs), (0.05...600) ~= seconds
    else {
      throw ValidationError(
        "--receivers is from 1 to 5000, --bytes from 16 to 16384, --windows from 1 to 4096, "
          + "--pairs from 1 to 99, --seconds from 0.05 to 600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: (receivers.max() ?? 0) + 100)
    pinLoad()
    let present = try Contestant.takingPart(of: contestants)
    var rows: [Row] = []
    for window in windows {
      for count in receivers {
        for size in bytes {
          let load = FanOutLoad(receivers: count, textBytes: size, window: window)
          rows += try rounds(of: load, present)
        }
      }
    }
    try report.print(rows)
  }

  /// Each contestant once in each of the rounds.
  private func rounds(of load: FanOutLoad, _ contestants: [Contestant]) throws -> [Row] {
    var results: [Contestant: [LoadResult]] = [:]
    var messages: [Contestant: Int] = [:]
    for round in 0...pairs {
      for contestant in contestants {
        // The first round finds out how many messages take about that long.
        let count = messages[contestant] ?? load.messagesAtFirst
        let result = try load.run(contestant, programs, messages: count)
        if round == 0 {
          let scaled = Double(count) * seconds / max(result.seconds, 1e-3)
          messages[contestant] = max(4 * load.window, Int(scaled))
        } else {
          results[contestant, default: []].append(result)
        }
      }
    }
    return contestants.map { contestant in
      Row(
        "fan-out", "\(contestant.rawValue), \(load)", results[contestant] ?? [],
        beside: contestant == .relay ? [] : results[.relay] ?? [])
    }
  }
}
