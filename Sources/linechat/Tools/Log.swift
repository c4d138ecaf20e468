// `linechat log`: what was said and heard, from the readable logs of a profile, whether or not its node
// runs.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import LineShell
import LineTools

struct Log: ParsableCommand {
  static let name = "log"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Print what was said, from the logs of your profile.",
    discussion: """
      A line for each message, and for who came and went, oldest first: time, group, name and text; with \
      --json an object with the keys time, arrival, kind (message, private, join, leave or nick), group, \
      from, place, to, text and id. It reads the files; the node need not run.

      The exit code is 0, also where nothing is found; 2 for a wrong call, and where there is no such log.
      """)

  @Flag(help: "Print JSON, an object a line.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Only what is as old as that or newer: an age such as 90m, 2h or 3d, a date such as 2026-11-22, or "
        + "a time such as '2026-11-22 09:30' or 2026-11-22T09:30:00Z.", valueName: "time"))
  var since: String?

  @Option(
    help: ArgumentHelp(
      "In which order, and what --since looks at: arrival, as it came here, or clock, as it was said; the "
        + "latter is the same for everybody. (default: arrival)", valueName: "order"))
  var order: String?

  @Option(
    name: .customShort("n"),
    help: ArgumentHelp(
      "The last so many. (default: 100000, which is as many as there can be)", valueName: "count"))
  var count: Int?

  @OptionGroup var identity: IdentityOptions

  @Argument(
    help: ArgumentHelp(
      "The group, or @name for what was said between that person and you. (default: all of them)",
      valueName: "group"), completion: Completions.groups)
  var group: String?

  enum Order: String, CaseIterable { case arrival, clock }

  private static let countMax = 100_000
  /// The clock of this machine may have been set back: a line that came so long before is not needed, and
  /// nor are those before it.
  private static let marginMicroseconds: Int64 = 3_600_000_000

  func validate() throws {
    _ = try moment()
    _ = try chosenOrder()
    _ = try log()
    if let count, !(1...Log.countMax).contains(count) {
      throw ValidationError("-n must be a number from 1 to \(Log.countMax), not '\(count)'")
    }
    guard try identity.directory() != nil else {
      throw ValidationError(
        "neither XDG_STATE_HOME nor HOME says where the logs are; use --data-dir")
    }
  }

  private func chosenOrder() throws(ValidationError) -> Order {
    guard let order else { return .arrival }
    return try Given(text: order, source: "--order").word(Order.allCases)
  }

  private func moment() throws(ValidationError) -> Int64? {
    guard let since else { return nil }
    let found = PastMoment.parse(since, now: Tool.now) { local in
      // As if it were local time, of which the rule for the hour when a clock is set back is the system's.
      var seconds = time_t(local)
      var parts = tm()
      gmtime_r(&seconds, &parts)
      parts.tm_isdst = -1
      return local - Int64(mktime(&parts))
    }
    guard let found else {
      throw Given(text: since, source: "--since").refusal(
        "an age such as 2h, a date such as 2026-11-22, or a time such as 2026-11-22T09:30:00Z")
    }
    return found
  }

  private func log() throws(ValidationError) -> LogName? {
    guard let group else { return nil }
    if group.hasPrefix("@"), let name = MemberName(group.dropFirst()) { return .person(name) }
    if group.hasPrefix("@"), let endpoint = Endpoint(group.dropFirst()) {
      return .address(endpoint)
    }
    return .group(try groupArgument(group))
  }

  // MARK: Reading

  func run() throws {
    guard let directory = try identity.directory() else { return }
    let entries: [ChatEntry]
    do { entries = try read(LogReader(LogDirectory(in: directory))) } catch let error
      as StorageError
    {
      throw Tool.Failure(
        .wrongCall,
        error.code == ENOENT
          ? "there is no profile \(directory)" : "the logs of \(directory) can't be read: \(error)")
    }
    for entry in entries {
      try Tool.put(json ? entry.json.description : entry.line(LocalTime.system.full))
    }
  }

  private func read(_ reader: LogReader<LogDirectory>) throws -> [ChatEntry] {
    let (since, order, wanted) = (try moment(), try chosenOrder(), try log())
    let all = try reader.logs()
    if let wanted, !all.contains(where: { $0.file == wanted.file }) {
      let known = all.map(\.description).joined(separator: ", ")
      throw Tool.Failure(
        .wrongCall, "there is no log of \(wanted); there are: \(known.isEmpty ? "none" : known)")
    }
    let most = count ?? Log.countMax
    var found: [(entry: ChatEntry, arrival: Int64)] = []
    var isCut = false
    for log in wanted.map({ [$0] }) ?? all {
      let excerpt = try reader.last(
        // By the clock, what was said last may stand before what came last.
        order == .clock ? Log.countMax : most, of: log,
        where: { line in
          guard let entry = ChatEntry(line, now: 0) else { return false }
          return since.map { (order == .clock ? entry.time : entry.arrival) >= $0 } ?? true
        },
        beyond: { line in
          // What has not been heard has the time of another machine.
          guard let since, line.tags["heard"] != nil, let entry = ChatEntry(line, now: 0) else {
            return false
          }
          return entry.arrival < since - Log.marginMicroseconds
        })
      isCut = isCut || excerpt.messages.count >= Log.countMax
      // In a log, what stands behind came later, whatever the clock said.
      var arrival = Int64.min
      for line in excerpt.messages {
        guard let entry = ChatEntry(line, now: 0) else { continue }
        arrival = max(arrival, entry.arrival)
        found.append((entry, arrival))
      }
    }
    if count == nil, isCut || found.count > most {
      Tool.say("there is more: these are the last \(most)")
    }
    let sorted = found.enumerated().sorted { one, other in
      let (first, second) =
        order == .clock
        ? (one.element.entry.time, other.element.entry.time)
        : (one.element.arrival, other.element.arrival)
      return first == second ? one.offset < other.offset : first < second
    }
    return sorted.suffix(most).map(\.element.entry)
  }
}
