// `linechat run`: runs a command, and says in a group how it ended. What that is like for the command is in
// ChildRun.swift.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import LineTools

struct Run: ParsableCommand {
  static let name = "run"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Run a command, and say in a group how it ended.",
    usage: "linechat run --group <group> [<options>] -- <command> ...",
    discussion: """
      What the command writes passes through unchanged, and so do SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 \
      and SIGUSR2 to it. When it has ended, the group is told its exit code or signal, the time it took, \
      and its last lines; by your node, or by a guest, as with linechat send.

      The exit code is the command's, 128 and the signal's number where a signal has ended it, 127 or 126 \
      where it could not be started, and 2 for a wrong call. That nobody could be told is said on standard \
      error and changes no exit code.
      """)

  @Option(
    help: ArgumentHelp("The group to tell.", valueName: "group"), completion: Completions.groups)
  var group: String

  @Option(
    help: ArgumentHelp(
      "How many of the last lines of its output are said, at most 20. (default: 5)",
      valueName: "number"))
  var lines: Int = 5

  @OptionGroup var speaker: SpeakerOptions

  @Argument(
    parsing: .captureForPassthrough,
    help: ArgumentHelp("The command, and its arguments.", valueName: "command"))
  var command: [String] = []

  private var words: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

  func validate() throws {
    _ = try Given(text: group, source: "--group").groupName()
    guard (0...20).contains(lines) else {
      throw ValidationError("--lines must be a number from 0 to 20, not '\(lines)'")
    }
    try speaker.check()
    guard let first = words.first, !first.isEmpty else {
      throw ValidationError("name a command: linechat run --group GROUP -- COMMAND")
    }
    // One before the command is one of ours that there is not.
    if first.hasPrefix("-") && command.first != "--" {
      throw ValidationError("there is no option \(escaped(first)); the command comes behind --")
    }
  }

  /// What the program was started with, to be handed on to the command.
  nonisolated(unsafe) private static var ignored: [Int32] = []

  /// Before any signal is ignored.
  static func noteSignals() {
    ignored = [SIGPIPE, SIGXFSZ].filter { Tool.isIgnored($0) }
  }

  func run() throws {
    let defaults = [SIGPIPE, SIGXFSZ].filter { !Run.ignored.contains($0) }
    let child = ChildRun(words, lastLines: lines, defaults: defaults)
    let (end, microseconds, last) = try child.run()
    let code = ChildRun.code(end)
    child.endOnSignal(code)
    tell(RunReport.lines(words, end, microseconds: microseconds, last: last))
    Glibc.exit(code)
  }

  /// Its failure changes nothing.
  private func tell(_ messages: [String]) {
    do {
      var sender = Sender(
        .group(try Given(text: group, source: "--group").groupName()), .all, speaker)
      try sender.send(messages.map { FitText($0.utf8) })
      try sender.finish()
    } catch let failure as Tool.Failure {
      Tool.say("\(group) was not told: \(failure.text)")
    } catch {
      Tool.say("\(group) was not told: \(error)")
    }
  }
}
