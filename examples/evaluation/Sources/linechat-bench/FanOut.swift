// Fan-out: one client says lines to a group, and many hear them. LineChat, the plain relay and whatever else
// is installed take turns, so that whatever the machine does besides falls on all of them.

import ArgumentParser
import Foundation

struct FanOut: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One speaks and many hear: deliveries a second, and what one costs.",
    discussion: """
      The server runs on processor 0, the load on processor 1. Every byte that a receiver gets is \
      compared with what it should get. A delay is from when a message was given to the sender's socket, \
      with the others of its half window, until a receiver has it. \(ContestOptions.ratios)
      """)

  @Option(parsing: .upToNextOption, help: "How many receivers, 1 to 5000.")
  var receivers = [10, 100, 1_000]

  @Option(parsing: .upToNextOption, help: "Bytes of a text, 16 to 16384.")
  var bytes = [16, 64, 1_024, 16_384]

  @Option(parsing: .upToNextOption, help: "Messages under way at most, 1 to 4096.")
  var windows = [256, 1]

  @Option(help: "About how many seconds each run takes on a machine that does nothing else.")
  var seconds = 1.0

  @OptionGroup var contest: ContestOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard receivers.allSatisfy((1...5_000).contains), bytes.allSatisfy((16...16_384).contains),
      windows.allSatisfy((1...4_096).contains), (0.05...600) ~= seconds
    else {
      throw ValidationError(
        "--receivers is from 1 to 5000, --bytes from 16 to 16384, --windows from 1 to 4096, "
          + "--seconds from 0.05 to 600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: (receivers.max() ?? 0) + 100)
    pinLoad()
    let present = try contest.takingPart()
    var rows: [Row] = []
    for window in windows {
      for count in receivers {
        for size in bytes {
          let load = FanOutLoad(receivers: count, textBytes: size, window: window)
          rows += try measure(load, present.filter { size <= $0.textBytesMax })
        }
      }
    }
    try report.print(rows)
  }

  private func measure(_ load: FanOutLoad, _ contestants: [Contestant]) throws -> [Row] {
    say("fan-out: \(load)")
    // A first run finds out how many messages take about that long.
    var messages: [Contestant: Int] = [:]
    for contestant in contestants {
      let first = try load.run(contestant, contest, messages: load.messagesAtFirst)
      let scaled = Double(load.messagesAtFirst) * seconds / max(first.seconds, 1e-3)
      messages[contestant] = max(2 * load.window, Int(scaled))
    }
    let rounds = try Rounds(contest.pairs, of: contestants) { contestant in
      try load.run(contestant, contest, messages: messages[contestant] ?? 0)
    }
    return contestants.map { contestant in
      var row = rounds.row("fan-out", contestant, "\(load)")
      row.receivers = load.receivers
      row.textBytes = load.textBytes
      row.window = load.window
      return row
    }
  }
}
