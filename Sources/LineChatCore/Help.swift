// What HELP says: one table from request to its syntax and its explanation. A test holds that every
// request is here and that protocol.md says the same.

import LineProtocol

package struct Help: Sendable {
  package let verb: Verb
  package let syntax: String
  package let summary: String
  package let details: [String]

  package static func of(_ verb: Verb) -> Help? { all.first { $0.verb == verb } }

  /// The answer to a bare HELP.
  package static let overview: [String] =
    ["one request a line; HELP <verb> says more"]
    + all.map(\.overviewLine)

  /// What a node answers to anybody, and what to its owner.
  package static let ofNode: [Help] = [.pm, .members, .groups, .ping, .help, .quit].compactMap(of)
  package static let ofOwner: [Help] = all.filter { ![.ack, .forget].contains($0.verb) }

  package var overviewLine: String {
    syntax + String(repeating: " ", count: max(1, 34 - syntax.count)) + summary
  }

  package static let all: [Help] = [
    Help(
      verb: .nick, syntax: "NICK <name>", summary: "take a name",
      details: [
        "a name has 1 to 32 letters, digits, '_', '.' or '-' and starts with a letter",
        "case does not matter; before the first NICK you are guest<number>",
      ]),
    Help(
      verb: .join, syntax: "JOIN <group> [<address>|relay]", summary: "enter a group, or make it",
      details: [
        "JOIN lobby             until this connection ends",
        "JOIN lobby relay       until LEAVE; what is said while you are away is kept for you",
        "JOIN lobby :5001       the same, and you listen at your own port 5001: nc -lk 5001",
        "the answer lists the members, one MEMBER line each",
      ]),
    Help(
      verb: .leave, syntax: "LEAVE <group>", summary: "leave a group",
      details: ["the others are told"]),
    Help(
      verb: .msg, syntax: "MSG <group> <text>", summary: "say something in a group",
      details: [
        "OK MSG lobby 2/3 means: handed to 2 of the 3 other members",
        "OK MSG lobby 1/3 kept 2 means: and kept for 2 who are away, until they are back",
        "you need not be in the group",
      ]),
    Help(
      verb: .pm, syntax: "PM <peer> <text>", summary: "say something to one person",
      details: [
        "<peer> is a name (bob), an address (10.0.0.2:5001) or both (bob@10.0.0.2:5001)",
        "OK PM bob kept means: bob is away and gets it when he is back",
      ]),
    Help(
      verb: .members, syntax: "MEMBERS <group>", summary: "list who is in a group",
      details: ["a line each, in the order of joining: MEMBER <group> <name>@<place> online|away"]),
    Help(
      verb: .groups, syntax: "GROUPS", summary: "list the groups",
      details: ["a line each: GROUP <group> <number of members>"]),
    Help(
      verb: .wait, syntax: "WAIT <seconds> [<count>]", summary: "answer later: for scripts",
      details: [
        "answers after that time, or as soon as so many messages came to you",
        "the requests behind it wait, so WAIT 60 1 and then QUIT prints the next message and ends",
      ]),
    Help(
      verb: .ping, syntax: "PING [<token>]", summary: "see whether the other side is there",
      details: ["the answer is PONG with the same token"]),
    Help(
      verb: .stats, syntax: "STATS", summary: "show the server's counters",
      details: ["a line each: STAT <key> <value>"]),
    Help(
      verb: .ack, syntax: "ACK <destination> <msgid>", summary: "a receipt between programs",
      details: [
        "you have that message and all before it; a durable member is sent the others again",
        "with the tag to=<name> it goes on to that member, if the server does not keep the message",
        "there is no answer",
      ]),
    Help(
      verb: .forget, syntax: "FORGET <name> [<group>]", summary: "drop a durable member (owner)",
      details: ["only on the server's own socket: linechatd forget NAME [--group GROUP]"]),
    Help(
      verb: .help, syntax: "HELP [<verb>]", summary: "this list, or more about one request",
      details: ["everything is in protocol.md"]),
    Help(
      verb: .quit, syntax: "QUIT", summary: "end the connection",
      details: ["everything due to you is written first"]),
  ]
}
