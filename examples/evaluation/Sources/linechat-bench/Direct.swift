// One node says lines to a group, and other nodes hear them: on their disks before the sender is told so.
// Once with nodes that are dialled, and once with nodes that are reached through the server alone.

import ArgumentParser
import Foundation

struct Direct: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One node speaks to others, acknowledged on their disks; directly, and relayed.",
    discussion: """
      Every node is a process with a directory and an address of its own. The sender is driven through \
      the socket in its directory, and what the others show is read from theirs. A message is under way \
      until its sender has reported on it and all others have shown it. In the rows "shown", latency is \
      from saying a line until another node shows it; in the rows "acknowledged", until the sender \
      reports that all have it on their disks ("handed over" where the server relays: it reports \
      that before). The first rows are what the disk does by itself.
      """)

  @Option(parsing: .upToNextOption, help: "How many others hear, 1 to 200.")
  var receivers = [1, 10, 50]

  @Option(parsing: .upToNextOption, help: "Messages under way at most, 1 to 1000.")
  var windows = [1, 100, 1_000]

  @Option(help: "Bytes of a text, 16 to 16384.")
  var bytes = 64

  @Option(help: "How many seconds each run takes.")
  var seconds = 5.0

  @Flag(inversion: .prefixedNo, help: "Measure nodes that are dialled.")
  var direct = true

  @Flag(inversion: .prefixedNo, help: "Measure nodes that are reached through the server alone.")
  var relayed = true

  @OptionGroup var place: DirectoryOption
  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard receivers.allSatisfy((1...200).contains), windows.allSatisfy((1...1_000).contains),
      (16...16_384) ~= bytes, (0.1...600) ~= seconds
    else {
      throw ValidationError(
        "--receivers is from 1 to 200, --windows from 1 to 1000, --bytes from 16 to 16384, "
          + "--seconds from 0.1 to 600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: 3 * (receivers.max() ?? 0) + 100)
    var rows: [Row] = []
    for writers in [1] + receivers.map({ $0 + 1 }).filter({ $0 > 2 }) {
      rows.append(
        try DiskRate.measure(writers: writers, in: place.directory, for: min(2, seconds)))
    }
    for isRelayed in [false, true] where isRelayed ? relayed : direct {
      for count in receivers {
        say("\(count + 1) nodes, \(isRelayed ? "relayed" : "direct")")
        let crowd = try NodeCrowd(programs, in: place.directory)
        try crowd.add(1)
        try crowd.add(count, relayed: isRelayed)
        try crowd.warmUp(crowd.nodes[0])
        let desk = try DirectDesk(crowd, NumberedText(bytes: bytes), isRelayed: isRelayed)
        for window in windows { rows += try desk.run(window: window, for: seconds) }
      }
    }
    try report.print(rows)
  }
}
