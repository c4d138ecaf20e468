// linechatd: a chat server for netcat. This file puts the library's server, the options, the log
// and the signals together.
//
// Threads: the main one runs the server; one waits for signals; one writes the log.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import Logging

@main
enum Main {
  static func main() {
    StandardStreams.open()
    Signals.block()
    Linechatd.main()
  }
}

struct Linechatd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linechatd",
    abstract: "A chat server that netcat can talk to.",
    discussion: """
      Start it, then type in another terminal: nc 127.0.0.1 5463, then HELP.

      Each option can be set in the environment too; what is given here wins. The exit code is 0 \
      after SIGTERM or SIGINT, 64 for wrong options, and 69 where it cannot listen or cannot use its \
      data directory.
      """,
    version: "linechatd \(lineChatVersion)",
    subcommands: [Forget.self, Members.self])

  @OptionGroup var options: Options

  func validate() throws { _ = try options.settings() }

  func run() throws {
    let settings = try options.settings()
    let writer = LogWriter(descriptor: STDERR_FILENO, settings.logFormat)
    let logger = settings.logger(writer)
    let server = Server(settings.server, logger: logger)
    do {
      Signals.handle(logger, writer) { server.stop() }
      try server.start()
      tellHowToJoin(server.addresses, logger)
      try server.run()
    } catch {
      logger.critical("\(error)")
      writer.finish()
      throw ExitCode(EX_UNAVAILABLE)
    }
    writer.finish()
  }

  private func tellHowToJoin(_ addresses: [ListenAddress], _ logger: Logger) {
    for address in addresses {
      logger.notice(
        "others join with: \(address.joinCommand)   (then: NICK <name>, JOIN <group>)")
    }
    let open = addresses.filter(\.isBeyondLoopback)
    if !open.isEmpty {
      let list = open.map(\.description).joined(separator: ", ")
      logger.warning(
        "listening beyond this machine: whoever reaches \(list) can read and write every group")
    }
  }
}
