// `linechat tail`: prints what is said in groups, as it is said.
//
// Through the node of the profile, if it runs and is in all of them: then it is what the node hears. Else
// as a guest who joins them without a place and leaves with its connection. It speaks no tags there: whoever
// does is taken for a program that acknowledges what it gets.

import ArgumentParser
import CommandLineSupport
import LineChat

struct Tail: ParsableCommand {
  static let name = "tail"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Print what is said in groups, as it is said.",
    discussion: """
      A line for each message, written at once: time, group, name and text; with --json an object with \
      the keys time, arrival, kind, group, from, place, text and, through a node, id.

      It listens through the node that runs in your profile, if that is in these groups; else as a guest, \
      who joins them for as long as it listens. A server that goes away is looked for until it is back, \
      and that is said on standard error.

      The exit code is 0 when COUNT messages were printed, or nobody reads the output any more; 1 when \
      the time has run out; 2 for a wrong call; 3 when there is neither a node nor a server at the start. \
      SIGINT and SIGTERM end it.
      """)

  @Flag(help: "Print JSON, an object a line.")
  var json = false

  @Option(
    name: .customShort("n"),
    help: ArgumentHelp("End after so many messages. (default: never)", valueName: "count"))
  var count: Int?

  @Option(
    help: ArgumentHelp(
      "End after this time, such as 30s or 10m. (default: never)", valueName: "time"))
  var timeout: String?

  @OptionGroup var speaker: SpeakerOptions

  @Argument(
    help: ArgumentHelp(
      "The groups. (default: those of your node; environment: LINECHAT_GROUPS, several with commas)",
      valueName: "group"), completion: Completions.groups)
  var groups: [String] = []

  func validate() throws {
    _ = try wanted()
    _ = try seconds()
    if let count, count < 1 { throw ValidationError("-n must be 1 or more, not '\(count)'") }
    try speaker.check()
  }

  private func wanted() throws(ValidationError) -> [GroupName] { try GroupName.list(groups) }

  private func seconds() throws(ValidationError) -> Int? {
    guard let timeout else { return nil }
    return try Given(text: timeout, source: "--timeout").duration(1...315_360_000)
  }

  func run() throws {
    var listening = TailListening(
      groups: try wanted(), speaker: speaker, isJSON: json, left: count,
      ends: try seconds().map { Moment(in: Double($0)) })
    try listening.run()
  }
}
