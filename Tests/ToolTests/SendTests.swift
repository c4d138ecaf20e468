// `linechat send`, through nodes and servers, and what its exit code says.

import Glibc
import LineChat
import TestSupport
import Testing

@Suite("linechat send", .ownThread, .timeLimit(.minutes(20)))
struct SendTests {
  private let tools: Toolbox

  init() throws { tools = try Toolbox() }

  @Test("without a node a guest says it at the server, and is no member")
  func guest() throws {
    let nc = try tools.server.member("nc")
    let sent = try tools.run(["send", "--group", "lobby", "disk", "is  full"])
    #expect(sent.exitCode == 0)
    #expect(sent.output + sent.errors == "")
    try nc.expect(":cron@relay MSG lobby disk is  full")
    let named = try tools.run(["send", "--name", "db3", "--group", "#LOBBY", "hi"])
    #expect(named.exitCode == 0)
    // Nobody has come or gone in between.
    try nc.expect(":db3@relay MSG lobby hi")
    #expect(try nc.ask("MEMBERS lobby") == "OK MEMBERS lobby 1")
    let toOne = try tools.run(["send", "--to", "nc", "psst"])
    #expect(toOne.exitCode == 0)
    try nc.expect(":cron@relay PM nc psst")
  }

  @Test("a running node says it, and keeps it for those who are away")
  func node() throws {
    let nc = try tools.server.member("nc")
    let alice = try tools.node("alice")
    try tools.leaveBehind("bob")
    try alice.wait(for: "bob") {
      if case .joined(let member, _) = $0 { member.name.description == "bob" } else { false }
    }
    let sent = try tools.run(["send", "--name", "alice", "--group", "lobby", "hello"])
    #expect(sent.exitCode == 0, "\(sent.errors)")
    #expect(sent.errors == "")
    let line = try nc.line { $0.contains(" MSG lobby ") }
    #expect(line.hasPrefix(":alice@127.0.0.1:") && line.hasSuffix(" MSG lobby hello"))
    // By its profile, whatever the name.
    let other = try tools.run(
      ["send", "--profile", "alice", "--to", "nc", "and you"], ["LINECHAT_NAME="])
    #expect(other.exitCode == 0)
    #expect(try nc.line { $0.contains(" PM nc ") }.hasPrefix(":alice@127.0.0.1:"))
    let nobody = try tools.run(["send", "--name", "alice", "--to", "nobody", "hi"])
    #expect(nobody.exitCode == 3)
    #expect(nobody.errors.contains("not delivered to nobody: "))
    // A group that it is not in.
    let ops = try tools.server.member("watcher", of: "ops")
    let elsewhere = try tools.run(["send", "--name", "alice", "--group", "ops", "hi"])
    #expect(elsewhere.exitCode == 0)
    #expect(elsewhere.errors.contains("alice's node is not in ops, so a guest says it"))
    try ops.expect(":alice2@relay MSG ops hi")
  }

  @Test("what a killed node has left behind is no node")
  func stale() throws {
    let nc = try tools.server.member("nc")
    let path = "\(tools.directory.path)/linechat"
    for directory in [path, "\(path)/cron"] { #expect(mkdir(directory, 0o700) == 0) }
    let left = socket(AF_UNIX, Int32(bitPattern: SOCK_STREAM.rawValue), 0)
    #expect(SocketAddress.with(path: "\(path)/cron/node.sock") { bind(left, $0, $1) } == 0)
    close(left)
    #expect(try tools.run(["send", "--group", "lobby", "hi"]).exitCode == 0)
    try nc.expect(":cron@relay MSG lobby hi")
  }

  @Test(
    "refuses a wrong call with 2, and says what is right",
    arguments: [
      (["hi"], "say where: --group GROUP, or --to PEER"),
      (["--group", "a b", "hi"], "--group must be 1 to 64 letters"),
      (["--group", "g", "--to", "p", "hi"], "--group and --to exclude each other"),
      (["--to", "a:b", "hi"], "--to must be a name (bob), an address"),
      (["--group", "lobby", "--need", "some", "hi"], "--need must be one of all, any"),
      (["--group", "lobby", "--bogus", "hi"], "Unknown option '--bogus'"),
      (["--group"], "Missing value for '--group"),
      (["--group", "lobby", "--server", "x:0", "hi"], "--server: x:0"),
      (["--group", "lobby", "--name", "2", "hi"], "--name must be a letter"),
      (["--group", "lobby", "--profile", "../x", "hi"], "--profile: '../x' is no profile"),
      (["--group", "lobby", " "], "nothing to say: the text is empty"),
      (["--group", "lobby"], "nothing to say: no text, no input"),
      (["--group", "lobby", "--many"], "nothing to say: the input is empty"),
      (["--group", "nobodyhome", "hi"], "there is no group nobodyhome"),
    ])
  func wrongCalls(arguments: [String], reason: String) throws {
    let nc = try tools.server.member("nc")
    let sent = try tools.run(["send"] + arguments)
    #expect(sent.exitCode == 2)
    #expect(sent.errors.contains(reason), "\(sent.errors)")
    #expect(sent.output == "")
    #expect(!nc.hasInput)
  }

  @Test("each line of the input is a message; 51 need --many, and then nothing is said")
  func input() throws {
    let nc = try tools.server.member("nc")
    let some = try tools.run(["send", "--group", "lobby"], input: "one\r\n\n  two\n \nlast")
    #expect(some.exitCode == 0)
    for text in ["one", "  two", "last"] { try nc.expect(":cron@relay MSG lobby \(text)") }

    let numbers = (1...51).map { "\($0)" }
    let fifty = try tools.run(
      ["send", "--group", "lobby"], input: numbers.dropLast().joined(separator: "\n\n") + "\n")
    #expect(fifty.exitCode == 0, "\(fifty.errors)")
    for text in numbers.dropLast() { try nc.expect(":cron@relay MSG lobby \(text)") }

    let more = try tools.run(["send", "--group", "lobby"], input: numbers.joined(separator: "\n"))
    #expect(more.exitCode == 2)
    #expect(more.errors.contains("more than 50 lines, and nothing was sent; --many sends them"))
    let many = try tools.run(
      ["send", "--many", "--group", "lobby"], input: numbers.joined(separator: "\n"))
    #expect(many.exitCode == 0)
    for text in numbers { try nc.expect(":cron@relay MSG lobby \(text)") }
  }

  @Test("with --many a line is said when it comes")
  func streams() throws {
    let nc = try tools.server.member("nc")
    let child = try tools.start(["send", "--many", "--group", "lobby"])
    for text in ["one", "two"] {
      try child.write(text + "\n")
      try nc.expect(":cron@relay MSG lobby \(text)")
    }
    child.closeInput()
    #expect(try child.finish() == 0)
  }

  @Test("what a line refuses is replaced, and that is said")
  func replaced() throws {
    let nc = try tools.server.member("nc")
    let sent = try tools.shell(#"printf 'a\033[1mb\377c\nclean\n' | "$T" send --group lobby"#)
    #expect(sent.exitCode == 0)
    try nc.expect(":cron@relay MSG lobby a\u{FFFD}[1mb\u{FFFD}c")
    try nc.expect(":cron@relay MSG lobby clean")
    #expect(
      sent.errors
        == "linechat: line 1 had control characters or bytes that are no UTF-8; they are replaced\n"
    )
    let words = try tools.shell(#""$T" send --group lobby "$(printf 'caf\351')" $'x\ny'"#)
    #expect(words.exitCode == 0)
    try nc.expect(":cron@relay MSG lobby caf\u{FFFD} x y")
    #expect(words.errors.contains("the text had control characters or bytes that are no UTF-8"))
    #expect(words.errors.contains("the text had line breaks; each is a blank now"))
  }

  @Test("a text may begin with a dash")
  func dashes() throws {
    let nc = try tools.server.member("nc")
    for (words, text) in [
      (["-5", "degrees"], "-5 degrees"), (["--", "--help"], "--help"), (["-x y"], "-x y"),
      (["it is", "-5"], "it is -5"), (["--", "a", "--", "b"], "a -- b"),
    ] {
      let sent = try tools.run(["send", "--group", "lobby"] + words)
      #expect(sent.exitCode == 0, "\(sent.errors)")
      try nc.expect(":cron@relay MSG lobby \(text)")
    }
  }

  @Test("no text is sent where one is too long")
  func tooLong() throws {
    let tools = try Toolbox { $0.lineBytesMax = 512 }
    let nc = try tools.server.member("nc")
    // The verb, the group and the end take 11 bytes.
    let fits = String(repeating: "x", count: 501)
    let sent = try tools.run(["send", "--group", "lobby"], input: "one\n\(fits)y\n")
    #expect(sent.exitCode == 2)
    #expect(
      sent.errors.contains("the text is too long: 502 bytes, where 501 can be sent; nothing was"))
    #expect(try tools.run(["send", "--group", "lobby", fits]).exitCode == 0)
    try nc.expect(":cron@relay MSG lobby \(fits)")
    let huge = String(repeating: "x", count: 70_000)
    let cut = try tools.run(["send", "--group", "lobby"], input: "\(huge)\n")
    #expect(cut.exitCode == 2)
    #expect(cut.errors.contains("line 1 of the input is longer than a message can be"))
    #expect(!nc.hasInput)
  }

  @Test("3 names those for whom nobody has it, and --need any asks for less")
  func missed() throws {
    let disk = TestDisk()
    let tools = try Toolbox(disk: disk)
    try tools.leaveBehind("bob")
    let nc = try tools.server.member("nc")
    let kept = try tools.run(["send", "--group", "lobby", "one"])
    #expect(kept.exitCode == 0)
    #expect(kept.errors == "")
    disk.fill()
    let all = try tools.run(["send", "--group", "lobby", "two"])
    #expect(all.exitCode == 3)
    #expect(all.errors == "linechat: nobody has taken it over for bob\n")
    let any = try tools.run(["send", "--need", "any", "--group", "lobby", "three"])
    #expect(any.exitCode == 0)
    let person = try tools.run(["send", "--to", "bob", "four"])
    #expect(person.exitCode == 3)
    #expect(person.errors.hasPrefix("linechat: not delivered to bob: "))
    try nc.send("QUIT\n")
    _ = try nc.linesToEnd()
    let none = try tools.run(["send", "--need", "any", "--group", "lobby", "five"])
    #expect(none.exitCode == 3)
    #expect(none.errors == "linechat: nobody has taken it over for bob\n")
  }

  @Test("a name that is taken is another then, also where its member is away")
  func names() throws {
    try tools.leaveBehind("Cron")
    let nc = try tools.server.member("nc")
    try nc.ask("PM cron are you there?")
    let sent = try tools.run(["send", "--group", "lobby", "hi"])
    #expect(sent.exitCode == 0)
    #expect(sent.errors == "linechat: cron is taken, so this is cron2\n")
    try nc.expect(":cron2@relay MSG lobby hi")
    // What is kept for the member is kept still.
    let cron = try tools.server.client()
    try cron.send("NICK cron\n")
    try cron.line { $0.hasSuffix(" PM Cron are you there?") }
  }

  @Test("without a server, or where something else answers, it is 3")
  func noServer() throws {
    let port = try TestListener.unusedPort()
    let none = try tools.run(["send", "--server", "127.0.0.1:\(port)", "--group", "lobby", "hi"])
    #expect(none.exitCode == 3)
    #expect(none.errors == "linechat: no server at 127.0.0.1:\(port); start one: linechatd\n")
    let deaf = try TestListener()
    let silent = try tools.run(
      ["send", "--server", "127.0.0.1:\(deaf.port)", "--group", "lobby", "hi"])
    #expect(silent.exitCode == 3)
    #expect(silent.errors.contains("does not say who it is"))
  }
}
