// `linechat node`: a member without a screen, for services. Others use it through the socket in its
// directory.
//
// Threads: the main one runs the node; one waits for signals; one writes the log.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import Logging

struct Node: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Be a member without a screen, as a service.",
    discussion: """
      It joins the groups that are named, and those that it was in before, and takes part until \
      SIGTERM or SIGINT. What it hears is in its directory, and so is a socket, node.sock: \
      nc -U on it speaks as this member, and its HELP says how.

      Each option can be set in the environment too; what is given here wins. The exit code is 0 \
      after SIGTERM or SIGINT, 64 for wrong options, and 69 where it cannot listen or cannot use its \
      directory. A server that is not there is no error: it is looked for until it is.
      """)

  @OptionGroup var options: NodeOptions

  @OptionGroup var log: LogOptions

  @Argument(
    help: ArgumentHelp(
      "The groups to join. (environment: LINECHAT_GROUPS, several with commas)", valueName: "group"),
    completion: Completions.groups)
  var groups: [String] = []

  func validate() throws {
    _ = try options.configuration(groups: groups)
    _ = try log.settings()
  }

  func run() throws {
    let configuration = try options.configuration(groups: groups)
    let (level, format) = try log.settings()
    let writer = LogWriter(descriptor: STDERR_FILENO, format)
    var logger = Logger(label: "linechat") { _ in LineLogHandler(writer) }
    logger.logLevel = level
    // Its events are in the log already.
    let node = PeerNode(configuration, logger: logger) { _ in }
    do {
      Signals.handle(logger, writer) { node.stop() }
      try node.start()
      if let path = node.ownerSocket {
        logger.notice("speak as this member with: nc -U \(path)")
      }
      try node.run()
    } catch {
      logger.critical("\(error)")
      writer.finish()
      throw ExitCode(EX_UNAVAILABLE)
    }
    writer.finish()
  }
}
