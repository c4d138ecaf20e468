// Shells, a server and a netcat, as people have them: what is typed in one is seen in the others.

import Glibc
import LineChat
import TestSupport
import Testing

@Suite("shells in terminals", .ownThread, .timeLimit(.minutes(20)))
struct ConversationTests {
  private let directory: TemporaryDirectory
  private let server: TestServer

  init() throws {
    directory = try TemporaryDirectory()
    server = try TestServer()
  }

  @Test("three bare starts on one machine are three members")
  func threeStarts() throws {
    let shells = try (1...3).map { number in
      let shell = try ShellInTerminal(nil, "\(server.address)", in: directory)
      try shell.sees("connected to the server")
      if number > 1 { try shell.sees("is in use here already, so you are") }
      try shell.types("/join lobby", sees: "you are in lobby")
      return shell
    }
    try shells[0].sees(" joined", count: 2)
    try shells[2].types("hello, both")
    for shell in shells { try shell.sees("> hello, both") }
    for shell in shells { #expect(try shell.quits() == 0) }
  }

  @Test("two people talk, in a group and in private, and end")
  func talk() throws {
    let alice = try ShellInTerminal.member("alice", server, in: directory)
    let before = alice.terminal.mode
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    try alice.sees("bob joined")
    try alice.types("hello, bob", sees: "<alice> hello, bob")
    try bob.sees("<alice> hello, bob")
    try bob.types("/msg alice psst", sees: "alice is a person: this goes to alice alone")
    try alice.sees("[bob -> you] psst")
    try alice.types("/reply")
    try alice.terminal.seeTyped("[lobby] /pm bob ")
    try alice.types("yes?")
    try bob.sees("[alice -> you] yes?")
    try bob.types("/me waves at alice")
    try alice.sees("* bob waves at alice")
    #expect(alice.terminal.mode == before)
    #expect(try bob.quits() == 0)
    try alice.sees("bob is away")
    try alice.types("/quit", sees: "you stay a member of lobby; what is said there waits for you")
    #expect(try alice.terminal.finish() == 0)
  }

  @Test("a line half typed stays while 100 messages arrive above it")
  func flood() throws {
    let alice = try ShellInTerminal.member("alice", server, in: directory)
    let nc = try server.member("nc")
    try alice.sees("nc joined")
    try alice.terminal.send("half a line, and more\u{1B}[D\u{1B}[D\u{1B}[D\u{1B}[D")
    try alice.terminal.seeTyped("[lobby] half a line, and more", column: 25)
    for number in 1...100 { try nc.send("MSG lobby message \(number)\n") }
    try alice.sees("<nc> message 100")
    try alice.terminal.seeTyped("[lobby] half a line, and more", column: 25)
    let heard = alice.terminal.screen.transcript.filter { $0.contains("<nc> message ") }
    #expect(heard.count == 100)
    #expect(heard == heard.sorted { number(in: $0) < number(in: $1) })
    try alice.terminal.send("!\r")
    try alice.sees("<alice> half a line, and !more")
    try nc.line(startingWith: ":alice@")
  }

  private func number(in line: String) -> Int { Int(line.split(separator: " ").last ?? "") ?? 0 }

  @Test("who cannot be reached waits, and has it when it is back")
  func feedback() throws {
    let alice = try ShellInTerminal.member("alice", server, in: directory)
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    let carol = try ShellInTerminal.member("carol", server, in: directory)
    try alice.sees("carol joined")
    try alice.types("are you there?")
    try carol.sees("are you there?")
    carol.terminal.signal(SIGKILL)
    #expect(try carol.terminal.finish() == 137)
    try alice.sees("carol is away")
    try alice.types("carol?", sees: "<alice> carol?")
    try alice.types("/status", sees: "waiting: 1 message")
    try bob.sees("<alice> carol?")
    // Those known to be away are not listed each time.
    #expect(!alice.terminal.screen.transcript.contains { $0.contains("have it") })
    let again = try ShellInTerminal("carol", "\(server.address)", in: directory)
    try again.sees("<alice> carol? (from before)")
    try alice.sees("carol has it now")
    try again.types("/history", sees: "everything that was said in lobby")
    try again.sees("<alice> are you there?", count: 1)
  }

  @Test("without the server they go on, and see it return")
  func withoutServer() throws {
    let state = try TemporaryDirectory()
    let server = try TestServer(state)
    let address = "\(try server.address)"
    let alice = try ShellInTerminal.member("alice", server, in: directory)
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    try alice.sees("bob joined")
    server.stop()
    try alice.sees("the server is away")
    try alice.terminal.seeTyped("[lobby (server away)] ")
    try bob.sees("the server is away")
    try alice.types("still there?")
    try bob.sees("<alice> still there?")
    try alice.types("/join ops", sees: "ops can't be joined yet: the server at \(address) is away")
    let back = try TestServer { configuration in
      configuration.listen = [try ListenAddress(parsing: address)]
      configuration.dataDirectory = state.path
    }
    try alice.sees("the server is back")
    try alice.sees("you are in ops; nobody else is yet")
    try alice.terminal.seeTyped("[lobby] ")
    back.stop()
  }

  @Test("without a server one is told what to do")
  func noServer() throws {
    server.stop()
    let alice = try ShellInTerminal("alice", "127.0.0.1:1", in: directory)
    try alice.sees("-- no server at 127.0.0.1:1; start one: linechatd")
    try alice.types("hello", sees: "you are in no group, so nobody would read that")
    #expect(try alice.quits() == 0)
  }

  @Test("a wrong address or port is said at once and asked again")
  func wrongAddress() throws {
    let address = try server.address
    let alice = try ShellInTerminal(
      "alice", "127.0.0.1:99999", in: directory, ["--listen", "10.0.0.300:1"])
    try alice.sees("--server: 127.0.0.1:99999")
    try alice.terminal.seeTyped("the server's address [127.0.0.1:5463]: ")
    try alice.types("nonsense here", sees: "--server: nonsense here")
    try alice.types("\(address)", sees: "--listen: 10.0.0.300 is neither")
    // An address of somebody else's machine.
    try alice.types("192.0.2.1:0", sees: "192.0.2.1")
    try alice.types("127.0.0.1:0", sees: "connected to the server at \(address)")
    try alice.types("/join lobby", sees: "you are in lobby")
    #expect(try alice.quits() == 0)
  }

  @Test("--on-mention runs a command for mentions and private messages, with hostile texts in them")
  func onMention() throws {
    let alice = try ShellInTerminal(
      "alice", "\(server.address)", in: directory,
      [
        "--on-mention",
        #"printf '%s|%s|%s\n' "$LINECHAT_FROM" "$LINECHAT_GROUP" "$LINECHAT_TEXT" >> out; echo noise"#,
        "--log-file", directory.path + "/log", "lobby",
      ], by: ["env", "-C", directory.path])
    try alice.sees("you are in lobby")
    let nc = try server.member("nc")
    try alice.sees("nc joined")
    let nasty =
      #"alice: '; touch pwned; "$(touch pwned)" `touch pwned` \n \\ $LINECHAT_FROM & | > %s -n"#
    try nc.send("MSG lobby nothing for her\n")
    try nc.send("MSG lobby \(nasty)\ttab\n")
    try alice.sees("<nc> alice: ';")
    try eventually("it ran") { (try? directory.text(of: "out"))?.hasSuffix("\n") == true }
    #expect(try directory.text(of: "out") == "nc|lobby|\(nasty)\\ttab\n")
    // Within two seconds of the first: it is left out, and the log says so.
    try nc.send("PM alice psst, $(touch pwned)\n")
    try alice.sees("[nc -> you] psst")
    try eventually("it ran again, or was left out") {
      try directory.text(of: "out").contains("nc||psst, $(touch pwned)\n")
        || directory.text(of: "log").contains("on-mention: nc is left out, as it ran a moment ago")
    }
    #expect(access(directory.path + "/pwned", F_OK) != 0)
    #expect(!alice.terminal.screen.transcript.contains { $0.contains("noise") })
    #expect(try alice.quits() == 0)
  }

  @Test("a profile that is in use is said, and what to do")
  func profileInUse() throws {
    let alice = try ShellInTerminal.member("alice", server, in: directory)
    for option in ["--name", "--profile"] {
      let again = try ShellInTerminal(
        nil, "\(server.address)", in: directory, [option, "alice"], columns: 200)
      try again.sees("alice runs already")
      try again.sees("take another one with --name or --profile")
      #expect(try again.terminal.finish() == 69)
    }
    #expect(try alice.quits() == 0)
  }

  @Test("a name that somebody else has is said, and what to do")
  func nameTaken() throws {
    let other = try server.member("alice", from: "127.0.0.9")
    let alice = try ShellInTerminal("alice", "\(server.address)", in: directory)
    try alice.sees("the name alice is not free")
    try alice.sees("start again with --name NAME")
    try alice.terminal.seeTyped("[no group (name taken)] ")
    #expect(try alice.quits() == 0)
    #expect(try other.ask("PING") == "PONG")
  }
}
