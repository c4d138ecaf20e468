// `linechat chat`, or `linechat` alone: the shell. This file reads its options; what it does is in
// LineShell.
//
// Threads: the main one has the terminal and takes all signals; one runs the node; one writes the log,
// where there is one.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import LineShell
import Logging

struct Chat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat",
    abstract: "Chat at a terminal, or from a script. This is what linechat does by itself.",
    discussion: """
      It joins the groups that are named, and those that you were in before; the first one is where \
      what you type is said. /help lists the commands, Ctrl-D ends it, and you stay a member.

      Without a terminal, the same lines and commands are read from standard input, what is heard \
      goes to standard output, and what goes wrong to standard error. Such a run is no durable \
      member: it is there as long as its input, and then until the server has everything, which keeps \
      what is for members who are away. Its name is \
      the login name with a number, so that nothing meant for you gets lost in it.

      Each option can be set in the environment too; what is given here wins. The exit code is 0 \
      where all went well, 1 where a line could not be carried out, 64 for wrong options, 69 where \
      there is no server or no room for a node, 75 where not everything was taken over in time.
      """)

  @OptionGroup var options: NodeOptions

  @Option(
    help: ArgumentHelp(
      "Whether there are colours: auto, always or never. (default: auto, which is at a terminal, "
        + "unless NO_COLOR is set; environment: LINECHAT_COLOR)", valueName: "when"),
    completion: .list(When.allCases.map(\.rawValue)))
  var color: String?

  @Option(
    help: ArgumentHelp(
      "Without a terminal: how long the end of the input waits for what the server has not taken over, such as "
        + "10s or 2m. (default: 10s; environment: LINECHAT_WAIT)", valueName: "time"))
  var wait: String?

  @Option(
    help: ArgumentHelp(
      "Where to write what happens to the node: links, retries, refusals. (default: nowhere; "
        + "environment: LINECHAT_LOG_FILE)", valueName: "file"), completion: .file())
  var logFile: String?

  @Option(
    help: ArgumentHelp(
      "What /bin/sh -c runs when somebody mentions you or writes to you alone: LINECHAT_FROM, "
        + "LINECHAT_GROUP (empty for a private message), LINECHAT_TEXT and LINECHAT_TIME are in its "
        + "environment. (environment: LINECHAT_ON_MENTION)", valueName: "command"))
  var onMention: String?

  @OptionGroup var log: LogOptions

  @Argument(
    help: ArgumentHelp(
      "The groups to join. (environment: LINECHAT_GROUPS, several with commas)", valueName: "group"),
    completion: Completions.groups)
  var groups: [String] = []

  /// Whether there are colours.
  enum When: String, CaseIterable { case auto, always, never }

  /// A wrong address can be given again by a person; everything else is checked here.
  func validate() throws {
    _ = try options.memberName()
    _ = try options.groupNames(groups)
    _ = try settings()
    _ = try mentionCommand()
    if !Chat.isAtTerminal {
      _ = try options.serverAddress()
      _ = try options.listening()
    }
  }

  static var isAtTerminal: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 }

  func run() throws {
    let (when, waitSeconds) = try settings()
    let logger = try openLog()
    let onMention = try mentionCommand().map { MentionCommand($0, logger: logger) }
    let isInteractive = Chat.isAtTerminal
    var start = try ChatStart(options, groups: groups, isInteractive: isInteractive)
    let node = try start.node(logger)
    var terminal = Terminal.Configuration()
    terminal.isColored = when == .always || (when == .auto && environment("NO_COLOR") == nil)
    terminal.isColoredWithoutTerminal = when == .always
    terminal.historyPath = node.path.map { "\($0)/history" }
    var model = ShellModel.Configuration(name: start.name, server: "\(start.server)")
    model.version = lineChatVersion
    model.isInteractive = isInteractive
    model.isTransient = !isInteractive
    model.groups = start.groups
    model.notes = start.notes
    model.waitSeconds = waitSeconds
    model.time = .system
    let opened: Terminal
    do throws(SystemError) { opened = try Terminal.open(terminal) } catch {
      throw Chat.failure("the terminal can't be used: \(error)")
    }
    let runner = ShellRunner(model, terminal: opened, node: node, onMention: onMention)
    // From here on somebody handles them.
    Signals.unblock()
    let code: Int32
    do throws(NodeError) { code = try runner.run() } catch { throw Chat.failure("\(error)") }
    if code != 0 { throw ExitCode(code) }
  }

  /// Says why there is no shell.
  static func failure(_ text: String) -> ExitCode {
    say("linechat: \(text)\n")
    return ExitCode(EX_UNAVAILABLE)
  }

  /// On standard error.
  static func say(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let bytes = Array(
      lines.map { escaped(String($0), doublesBackslash: false) }.joined(separator: "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
  }

  private func settings() throws(ValidationError) -> (When, Int) {
    _ = try log.settings()
    let when = try Given(color, "--color", "LINECHAT_COLOR").map {
      (given) throws(ValidationError) in try given.word(When.allCases)
    }
    let wait = try Given(wait, "--wait", "LINECHAT_WAIT").map {
      (given) throws(ValidationError) in try given.duration(0...86_400)
    }
    return (when ?? .auto, wait ?? 10)
  }

  private func mentionCommand() throws(ValidationError) -> String? {
    guard let given = Given(onMention, "--on-mention", MentionCommand.variable) else { return nil }
    guard !given.text.trimmed.isEmpty else {
      throw given.refusal("a command, such as 'notify-send -- \"$LINECHAT_FROM\"'")
    }
    return given.text
  }

  private func openLog() throws -> Logger {
    guard let given = Given(logFile, "--log-file", "LINECHAT_LOG_FILE") else {
      return Logger(label: "linechat") { _ in SwiftLogNoOpLogHandler() }
    }
    let number = open(given.text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard number >= 0 else {
      throw Chat.failure("\(given.source): \(given.text): \(String(cString: strerror(errno)))")
    }
    let (level, format) = try log.settings()
    let writer = LogWriter(descriptor: number, format)
    var logger = Logger(label: "linechat") { _ in LineLogHandler(writer) }
    logger.logLevel = level
    return logger
  }
}
