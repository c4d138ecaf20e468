// A group of nodes that talks while the server is killed and started again: what arrives, when, and how
// long it takes until all are back at the server.

import ArgumentParser

struct Away: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Nodes that talk while the server is killed and started again.",
    discussion: """
      Every node is a process with a directory and an address of its own, and says lines at an even \
      pace; all others are to show each, once and in order. The server is killed with SIGKILL, and \
      started again on the same directory after --away seconds. "Before" ends with the kill, "while" \
      when the last node is back at the server, and "after" --seconds later; a line belongs to the time \
      at which it was said. Nodes that are relayed do not listen: what they say and hear goes through \
      the server, and waits for it.
      """)

  @Option(help: "How many nodes are dialled, 2 to 100.")
  var direct = 8

  @Option(help: "How many more are relayed, 0 to 100.")
  var relayed = 2

  @Option(help: "Lines a second that each says.")
  var rate = 10.0

  @Option(help: "Bytes of a text, 16 to 16384.")
  var bytes = 64

  @Option(help: "Seconds before the kill, and after all are back.")
  var seconds = 5.0

  @Option(help: "Seconds between the kill and the start, up to 600.")
  var away = 5.0

  @OptionGroup var place: DirectoryOption
  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (2...100) ~= direct, (0...100) ~= relayed, (0.1...1_000) ~= rate, (16...16_384) ~= bytes,
      (0.1...600) ~= seconds, (0...600) ~= away
    else {
      throw ValidationError(
        "--direct is from 2 to 100, --relayed from 0 to 100, --rate from 0.1 to 1000, --bytes from 16 "
          + "to 16384, --seconds from 0.1 to 600, --away from 0 to 600")
    }
  }

  func run() throws {
    try raiseDescriptorLimit(to: 3 * (direct + relayed) + 100)
    let crowd = try NodeCrowd(programs, in: place.directory)
    try crowd.add(direct)
    try crowd.add(relayed, relayed: true)
    for node in crowd.nodes { try crowd.warmUp(node) }
    let desk = try AwayDesk(crowd, direct: direct, NumberedText(bytes: bytes), rate: rate)
    try report.print(try desk.run(seconds: seconds, away: away))
  }
}
