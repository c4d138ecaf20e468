// Lines as messages: what each verb takes, and what a person is told who got it wrong.

import LineChatFuzzing
import Testing

@testable import LineProtocol

private let lobby = GroupName("lobby")!
private let alice = MemberName("alice")!
private let bob = Member("bob@relay")!
private let endpoint = Endpoint("10.0.0.2:5001")!
private let identifier = MessageID("00c0ffee00c0ffee.17")!

private let noAddress =
  " is no address; write 10.0.0.2:5001 or [2001:db8::2]:5001, with a port from 1 to 65535 "
  + "(names are not looked up)"

@Suite("Messages")
struct MessageTests {
  @Test(
    "a request is read, and written canonically",
    arguments: [
      ("nick alice", .nick(alice), "NICK alice"), ("JOIN #lobby", .join(lobby), "JOIN lobby"),
      ("JOIN lobby relay", .join(lobby, .relay), "JOIN lobby relay"),
      ("JOIN lobby :5001", .join(lobby, .port(5001)), "JOIN lobby :5001"),
      (
        "join  lobby  10.0.0.2:5001 ", .join(lobby, .endpoint(endpoint)), "JOIN lobby 10.0.0.2:5001"
      ),
      ("LEAVE lobby", .leave(lobby), "LEAVE lobby"),
      ("MSG lobby hello  there ", .msg(lobby, "hello  there "), "MSG lobby hello  there "),
      ("MSG lobby  x", .msg(lobby, " x"), "MSG lobby  x"),
      ("PM alice hi", .pm(.name(alice), "hi"), "PM alice hi"),
      ("PM 10.0.0.2:5001 hi", .pm(.endpoint(endpoint), "hi"), "PM 10.0.0.2:5001 hi"),
      ("PM bob@relay hi", .pm(.member(bob), "hi"), "PM bob@relay hi"),
      (
        "ACK lobby 00c0ffee00c0ffee.17", .ack(.named(lobby), identifier),
        "ACK lobby 00c0ffee00c0ffee.17"
      ),
      ("MEMBERS lobby", .members(lobby), "MEMBERS lobby"), ("groups", .groups, "GROUPS"),
      ("PING", .ping(), "PING"), ("PING a b", .ping("a b"), "PING a b"), ("HELP", .help(), "HELP"),
      ("help msg", .help("msg"), "HELP msg"), ("STATS ", .stats, "STATS"),
      ("WAIT 0", .wait(seconds: 0), "WAIT 0"),
      ("WAIT 86400 1", .wait(seconds: 86_400, count: 1), "WAIT 86400 1"),
      ("WAIT 1 1000000000", .wait(seconds: 1, count: 1_000_000_000), "WAIT 1 1000000000"),
      ("QUIT", .quit, "QUIT"), ("QUIT good night", .quit, "QUIT"),
    ] as [(String, Message.Content, String)])
  func requests(line: String, content: Message.Content, written: String) throws {
    let message = try Message(parsing: line)
    #expect(message.content == content)
    #expect(message.source == nil && message.tags.isEmpty)
    #expect(message.render() == written + "\n")
    #expect(message.description == written)
    #expect(try Message(content: content) == message)
  }

  @Test(
    "replies and data lines are read and written",
    arguments: [
      ("OK NICK alice", .ok(.nick, "alice")), ("OK HELP", .ok(.help)),
      ("OK MSG lobby 2/3 kept 1", .ok(.msg, "lobby 2/3 kept 1")),
      ("ERR no-such-group MSG there is none", .err(Refusal(.noSuchGroup, .msg, "there is none"))),
      ("ERR bad-encoding - no", .err(Refusal(.badEncoding, "no"))),
      ("ERR forbidden -", .err(Refusal(code: .forbidden, text: ""))),
      ("PONG", .pong()), ("PONG x", .pong("x")),
      ("INFO linechatd/1 you=guest1", .info("linechatd/1 you=guest1")),
      ("MEMBER lobby bob@relay", .member(lobby, bob)),
      (
        "MEMBER lobby bob@relay online tags",
        .member(lobby, bob, attributes: ["online", "tags"])
      ),
      ("GROUP lobby 3", .group(lobby, 3)), ("STAT sessions 12", .stat("sessions", "12")),
      ("HELP MSG <group> <text>", .help("MSG <group> <text>")),
    ] as [(String, Message.Content)])
  func replies(line: String, content: Message.Content) throws {
    #expect(try Message(parsing: line).content == content)
    #expect(try Message(content: content).render() == line + "\n")
  }

  @Test("a delivery is the request with its sender as source; a JOIN's or LEAVE's text is a reason")
  func deliveries() throws {
    let message = try Message(parsing: "@msgid=00c0ffee00c0ffee.17 :bob@relay MSG lobby hi\r\n")
    #expect(message.source == bob)
    #expect(message.tags["msgid"] == "00c0ffee00c0ffee.17")
    #expect(message.content == .msg(lobby, "hi"))
    #expect(message.render() == "@msgid=00c0ffee00c0ffee.17 :bob@relay MSG lobby hi\n")
    #expect(
      try Message(parsing: ":bob@relay LEAVE lobby connection closed").content
        == .leave(lobby, reason: "connection closed"))
    #expect(
      try Message(parsing: ":bob@relay JOIN lobby relay").content == .join(lobby, reason: "relay"))
    #expect(try Message(parsing: ":bob@10.0.0.2:5001 JOIN lobby").content == .join(lobby))
  }

  @Test(
    "a mistake has its code, its verb, and a text that says what to do",
    arguments: [
      ("FROB x", .unknownVerb, nil, "\"FROB\" is no verb; HELP lists those there are"),
      ("", .badSyntax, nil, "a line needs a verb, such as JOIN; HELP lists them all"),
      (
        "JOIN", .badSyntax, .join,
        "JOIN takes a group, and a place if you like: JOIN <group> [<address>|relay]"
      ),
      (
        "JOIN lobby relay now", .badSyntax, .join,
        "JOIN takes a group, and a place if you like: JOIN <group> [<address>|relay]"
      ),
      ("MSG", .badSyntax, .msg, "MSG takes a group and a text: MSG <group> <text>"),
      ("MSG lobby", .badSyntax, .msg, "MSG takes a group and a text: MSG <group> <text>"),
      ("MSG lobby   \t ", .badSyntax, .msg, "MSG takes a group and a text: MSG <group> <text>"),
      ("PM bob", .badSyntax, .pm, "PM takes a name or an address, and a text: PM <peer> <text>"),
      ("NICK", .badSyntax, .nick, "NICK takes one name: NICK <name>"),
      ("NICK alice smith", .badSyntax, .nick, "NICK takes one name: NICK <name>"),
      (
        "NICK 1a", .badName, .nick,
        "\"1a\" is no name; use a letter, then up to 31 letters, digits, _ . or -"
      ),
      ("NICK Relay", .badName, .nick, "relay is a place and no name; choose another"),
      (
        "JOIN a/b", .badGroup, .join,
        "\"a/b\" is no group's name; use 1 to 64 letters, digits, _ . or -"
      ),
      ("JOIN lobby 5001", .badAddress, .join, "a port alone is written :5001"),
      ("JOIN lobby 10.0.0.2", .badAddress, .join, "an address needs its port: 10.0.0.2:5001"),
      ("JOIN lobby ::1", .badAddress, .join, "an address needs its port: [::1]:5001"),
      (
        "JOIN lobby localhost:5001", .badAddress, .join,
        "\"localhost:5001\"" + noAddress
      ),
      (
        "PM a/b hi", .badName, .pm,
        "\"a/b\" is no name; use a letter, then up to 31 letters, digits, _ . or -"
      ),
      (
        "PM 10.0.0.2:0 hi", .badAddress, .pm,
        "\"10.0.0.2:0\"" + noAddress
      ),
      ("LEAVE lobby now", .badSyntax, .leave, "LEAVE takes one group: LEAVE <group>"),
      ("GROUPS all", .badSyntax, .groups, "GROUPS stands alone: GROUPS"),
      ("STATS all", .badSyntax, .stats, "STATS stands alone: STATS"),
      ("MEMBERS", .badSyntax, .members, "MEMBERS takes one group: MEMBERS <group>"),
      (
        "ACK lobby 17", .badSyntax, .ack,
        "ACK takes a destination and a message's id: ACK <destination> <msgid>"
      ),
      (
        "@a JOIN lobby", .badSyntax, .join,
        "a tag is written key=value; ; stands between two of them"
      ),
      (
        ":bob JOIN lobby", .badSyntax, .join,
        ":\"bob\" is no source; it is written :name@relay or :name@address:port"
      ),
      (
        "GROUP lobby x", .badSyntax, .group,
        "GROUP takes a group and a count: GROUP <group> <count>"
      ),
      (
        "MEMBER lobby bob", .badSyntax, .member,
        "MEMBER takes a group and a member: MEMBER <group> <name>@<place> ..."
      ),
      ("OK FROB x", .badSyntax, .ok, "OK takes the verb it answers: OK <verb> ..."),
      (
        "ERR", .badSyntax, .err,
        "ERR takes a code and the verb it answers: ERR <code> <verb> <text>"
      ),
    ] as [(String, ErrorCode, Verb?, String)])
  func mistakes(line: String, code: ErrorCode, verb: Verb?, text: String) throws {
    let refusal = try #require(refusal { try Message(parsing: line) })
    #expect(refusal == Refusal(code: code, verb: verb, text: text))
  }

  @Test(
    "WAIT takes 0 to 86,400 seconds and 1 to 1,000,000,000 messages",
    arguments: [
      "", "86401", "-1", "+1", "1.5", "x", "01", "1 0", "1 1000000001", "1 -1", "1 1 1", "1 x",
      "99999999999999999999999999", "1 99999999999999999999999999", "٣",
    ])
  func waits(words: String) throws {
    let refusal = try #require(refusal { try Message(parsing: "WAIT \(words)") })
    #expect(refusal.code == .badSyntax && refusal.verb == .wait)
    #expect(refusal.text.hasSuffix(": WAIT <seconds> [<count>]"))
  }

  @Test("an error of a later version is taken as one that may pass, and its word is kept")
  func unknownCodes() throws {
    #expect(
      try Message(parsing: "ERR quota-exceeded MSG come back").content
        == .err(Refusal(.internalError, .msg, "quota-exceeded: come back")))
    #expect(
      try Message(parsing: "ERR forbidden FROB no").content == .err(Refusal(.forbidden, "no")))
  }

  @Test("one line is read, with or without its EOL, and no more")
  func oneLine() throws {
    #expect(try Message(parsing: "QUIT\n").content == .quit)
    #expect(try Message(parsing: "QUIT\r\n").content == .quit)
    for text in [
      "PING a\nQUIT", "PING a\n\n", "PING a\rb", "PING a\r", "PING \u{1B}", "PING \u{202E}",
    ] {
      #expect(
        refusal { try Message(parsing: text) }?.code == .badEncoding, "\(text.debugDescription)")
    }
  }

  @Test("a message has a line's limits")
  func limits() throws {
    let line = "MSG lobby " + String(repeating: "x", count: 65_536 - 11)
    #expect(try Message(parsing: line).render() == line + "\n")
    #expect(try Message(parsing: line + "\n").render() == line + "\n")
    #expect(refusal { try Message(parsing: line + "\r\n") }?.code == .lineTooLong)
    #expect(refusal { try Message(parsing: line + "x") }?.code == .lineTooLong)
    let text = String(repeating: "x", count: 65_536 - 11)
    #expect(try Message(source: bob, content: .msg(lobby, text)).render().utf8.count == 65_536 + 11)
    #expect(refusal { try Message(content: .msg(lobby, text + "x")) }?.code == .lineTooLong)
    var tags = Tags()
    tags["long"] = String(repeating: "v", count: 2_048 - 7)
    #expect(try Message(tags: tags, content: .quit).tags == tags)
    tags["long"] = String(repeating: "v", count: 2_048 - 6)
    #expect(refusal { try Message(tags: tags, content: .quit) }?.code == .lineTooLong)
  }

  @Test(
    "what makes no line that is read back as the same cannot be built",
    arguments: [
      (nil, .msg(lobby, "")), (nil, .msg(lobby, "  ")), (nil, .msg(lobby, "a\nQUIT")),
      (nil, .msg(lobby, "\u{1B}[0m")), (nil, .pm(.name(alice), "")), (nil, .ping("")),
      (nil, .ping("a\r")), (nil, .join(lobby, .port(0))), (nil, .join(lobby, reason: "why")),
      (nil, .leave(lobby, reason: "why")), (bob, .leave(lobby, reason: "")),
      (bob, .join(lobby, .relay)), (nil, .wait(seconds: -1)), (nil, .wait(seconds: 86_401)),
      (nil, .wait(seconds: 1, count: 0)), (nil, .member(lobby, bob, attributes: ["a b"])),
      (nil, .member(lobby, bob, attributes: [""])), (nil, .group(lobby, -1)),
      (nil, .stat("a b", "1")),
      (nil, .stat("", "1")), (nil, .err(Refusal(.badSyntax, .msg, "a\nb"))),
      (nil, .ok(.nick, "\n")),
    ] as [(Member?, Message.Content)])
  func unbuildable(source: Member?, content: Message.Content) throws {
    let refusal = try #require(refusal { try Message(source: source, content: content) })
    #expect(isClean(refusal.text))
  }
}
