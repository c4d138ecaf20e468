// The commands: one table from each to its other names, its form and its explanation. What /help says,
// what TAB completes and what is suggested for a mistyped word all come from here.

import LineProtocol

enum ShellCommand: String, CaseIterable {
  case join, leave, `switch`, members, groups
  case msg, pm, reply, me
  case history, search, status, why
  case nick, ignore, unignore, clear, help, quit

  /// What stands behind a command, as far as TAB needs to know.
  enum Argument {
    case nothing
    case number
    case words
    /// A group to be joined, of ours or of the server's.
    case anyGroup
    case ownGroup
    /// A group or a person, then a text.
    case targetAndText
    case personAndText
    case person
    case ignoredPerson
    case text
    case name
    case command
  }

  struct Entry {
    let syntax: String
    let summary: String
    var aliases: [String] = []
    var argument = Argument.nothing
    var details: [String] = []
  }

  var word: String { "/\(rawValue)" }

  var syntax: String { entry.syntax }

  /// The command that a word without its slash names, in any case.
  init?(named word: some StringProtocol) {
    let wanted = word.lowercased()
    guard let command = ShellCommand.byName[wanted] else { return nil }
    self = command
  }

  private static let byName: [String: ShellCommand] = {
    var names: [String: ShellCommand] = [:]
    for command in allCases {
      names[command.rawValue] = command
      for alias in command.entry.aliases { names[alias] = command }
    }
    return names
  }()

  /// What was probably meant by a word without its slash that names no command.
  static func nearest(to word: String) -> ShellCommand? {
    let typed = word.lowercased()
    guard !typed.isEmpty, typed.utf8.count <= 24 else { return nil }
    let names = byName.keys.sorted()
    let longer = Set(names.filter { $0.hasPrefix(typed) }.compactMap { byName[$0] })
    if longer.count == 1 { return longer.first }
    var best: (name: String, edits: Int)?
    for name in names where name.utf8.count > 1 {
      let edits = editDistance(Array(typed.utf8), Array(name.utf8))
      let allowed = name.utf8.count >= 6 ? 2 : 1
      if edits <= allowed, edits < best?.edits ?? .max { best = (name, edits) }
    }
    return best.flatMap { byName[$0.name] }
  }
}

// The table.
extension ShellCommand {
  var entry: Entry {
    switch self {
    case .join, .leave, .switch, .members, .groups: groupEntry
    case .msg, .pm, .reply, .me: talkEntry
    case .history, .search, .status, .why: lookEntry
    case .nick, .ignore, .unignore, .clear, .help, .quit: ownEntry
    }
  }

  private var groupEntry: Entry {
    switch self {
    case .join:
      Entry(
        syntax: "/join GROUP", summary: "enter a group, or make it; it becomes the current one",
        aliases: ["j"], argument: .anyGroup,
        details: [
          "A group's name has 1 to 64 letters, digits, _ . or -; a # before it does no harm.",
          "You stay a member until /leave: what is said while you are away comes when you are back.",
        ])
    case .leave:
      Entry(
        syntax: "/leave [GROUP]", summary: "leave a group; without a name, the current one",
        aliases: ["part"], argument: .ownGroup,
        details: ["It works without the server too; the server is told when it is back."])
    case .switch:
      Entry(
        syntax: "/switch [GROUP]", summary: "make another of your groups the current one",
        aliases: ["window", "win"], argument: .ownGroup,
        details: [
          "Without a name: the group with something unread, mentions first, else the one before.",
          "What is said in the others is shown too, with the group before it.",
          "/switch 2 is the second of those that /status lists. For Alt-2 put into ~/.inputrc:",
          #"  "\e2": "\C-a\C-k/switch 2\C-m\C-y""#,
        ])
    case .members:
      Entry(
        syntax: "/members [GROUP]", summary: "who is in a group, where, and who is away",
        aliases: ["names", "who"], argument: .ownGroup)
    default:
      Entry(
        syntax: "/groups", summary: "the groups there are, and which are yours", aliases: ["list"])
    }
  }

  private var talkEntry: Entry {
    switch self {
    case .msg:
      Entry(
        syntax: "/msg TARGET text", summary: "say something to a group or to one person",
        aliases: ["m"], argument: .targetAndText,
        details: [
          "#lobby is a group. A name is a person where it is one's of your groups, else a group;",
          "where it is both, you are asked. /pm is for persons alone.",
        ])
    case .pm:
      Entry(
        syntax: "/pm PEER text", summary: "say something to one person alone",
        aliases: ["query", "w"], argument: .personAndText,
        details: [
          "PEER is a name (bob), an address with its port (10.0.0.2:5001), or both",
          "(bob@10.0.0.2:5001). Without a text, /pm PEER waits in the line for one.",
        ])
    case .reply:
      Entry(
        syntax: "/reply", summary: "begin an answer to the latest private message",
        details: ["It puts /pm NAME into the line and sends nothing."])
    default:
      Entry(
        syntax: "/me does something", summary: "say what you do: * alice waves",
        argument: .text)
    }
  }

  private var lookEntry: Entry {
    switch self {
    case .history:
      Entry(
        syntax: "/history [n]", summary: "the latest messages of the current group, 20 or n",
        argument: .number)
    case .search:
      Entry(
        syntax: "/search WORD", summary: "the latest messages with that word, from all your logs",
        aliases: ["lastlog"], argument: .words,
        details: ["Several words are looked for as they stand, in capitals or not."])
    case .status:
      Entry(
        syntax: "/status", summary: "the server, your links, and what waits for whom")
    default:
      Entry(
        syntax: "/why PEER", summary: "how somebody is reached: what was tried, and when",
        aliases: ["whois"], argument: .person,
        details: ["Without a name: everybody for whom something waits."])
    }
  }

  private var ownEntry: Entry {
    switch self {
    case .nick:
      Entry(
        syntax: "/nick NAME", summary: "be called otherwise", argument: .name,
        details: ["A name has 1 to 32 letters, digits, _ . or - and begins with a letter."])
    case .ignore:
      Entry(
        syntax: "/ignore [NAME]", summary: "show nothing more of somebody, from now on and later",
        argument: .person, details: ["Without a name: whom you ignore. /unignore NAME ends it."])
    case .unignore:
      Entry(
        syntax: "/unignore NAME", summary: "show again what somebody says",
        argument: .ignoredPerson)
    case .clear: Entry(syntax: "/clear", summary: "empty the screen", aliases: ["cls"])
    case .help:
      Entry(
        syntax: "/help [COMMAND]", summary: "this list, or more about one command",
        aliases: ["h", "?", "commands"], argument: .command)
    default:
      Entry(
        syntax: "/quit", summary: "end; you stay a member of your groups",
        aliases: ["q", "exit", "bye"],
        details: ["Ctrl-D on an empty line does the same. /leave ends a membership."])
    }
  }

  /// What people who come from IRC may type, and what there is to say about it.
  static let habits: [String: String] = [
    "topic": "groups have no topics here",
    "kick": "nobody can put others out here; /ignore NAME hides somebody from you",
    "ban": "nobody can put others out here; /ignore NAME hides somebody from you",
    "op": "there are no operators here; everybody in a group is equal",
    "mode": "there are no modes and no operators here",
    "invite": "joining is open: tell them /join and the group's name",
    "away": "there is no /away: others see whether you are connected",
    "server": "the server is chosen at the start: linechat --server HOST:PORT",
    "connect": "the server is chosen at the start: linechat --server HOST:PORT",
    "disconnect": "to end, type /quit",
    "notice": "there are no notices here; /pm NAME text says something to one person",
    "dcc": "files can't be sent here; every message already goes directly where it can",
    "set": "there is nothing to set here; ~/.inputrc is for the keys ($if LineChat)",
    "close": "to leave the current group, type /leave",
  ]
}
