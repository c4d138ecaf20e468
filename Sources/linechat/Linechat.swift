// linechat: what a member of chat groups runs. Each of its commands is in a file of its own; `node` is
// the one without a screen; those for scripts are in Tools.

import ArgumentParser
import CommandLineSupport
import LineChat

@main
enum Main {
  static func main() {
    StandardStreams.open()
    Tool.runIfNamed(Array(CommandLine.arguments.dropFirst()))
    Signals.block()
    Linechat.main()
  }
}

struct Linechat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linechat",
    abstract: "Be a member of chat groups, with or without their server.",
    usage: """
      linechat [<options>] [<group> ...]
      linechat node [<options>] [<group> ...]
      """,
    discussion: """
      linechat alone is a shell to chat in: linechat lobby enters a group, /help in it lists the \
      commands, and linechat chat --help the options.

      A node speaks to the other members directly, where they listen, and through the server where \
      they do not. While the server (linechatd) is away, they go on.
      """,
    version: "linechat \(lineChatVersion)",
    subcommands: [
      Chat.self, Node.self, Send.self, Tail.self, Members.self, Groups.self, Log.self, Status.self,
      Run.self, Doctor.self,
    ], defaultSubcommand: Chat.self)
}
