// `linechat tail`: what is said, line by line, until there is nobody who wants it.

import Glibc
import LineChat
import TestSupport
import Testing

@Suite("linechat tail", .ownThread, .timeLimit(.minutes(20)))
struct TailTests {
  private let tools: Toolbox

  init() throws { tools = try Toolbox() }

  @Test("prints what is said in its groups, each line at once, and stops after COUNT")
  func prints() throws {
    let nc = try tools.server.member("nc")
    try nc.ask("JOIN ops")
    try nc.ask("JOIN attic")
    let tail = try tools.start(["tail", "-n", "3", "lobby", "ops"])
    try tools.waitForMembers(2)
    try tools.waitForMembers(2, of: "ops")
    try nc.ask("MSG attic not this")
    try nc.ask("PM cron nor this")
    try nc.ask("MSG lobby one \u{061C}\ttwo")
    let line = try tail.line(of: .output) ?? ""
    #expect(line.hasSuffix(#" #lobby <nc> one \u{61c}\ttwo"#))
    #expect(line.prefix { $0 != "#" }.count == "2026-11-22 12:34:56 ".count)
    try nc.ask("MSG ops two")
    #expect(try tail.line(of: .output)?.hasSuffix(" #ops <nc> two") == true)
    try nc.ask("MSG lobby three")
    #expect(try tail.finish() == 0)
    #expect(tail.text(of: .output).split(separator: "\n").count == 3)
    #expect(tail.text(of: .errors) == "")
    // It was a guest, and has gone.
    try tools.waitForMembers(1)
    #expect(try nc.ask("PM cron still there?").hasPrefix("ERR no-such-peer"))
  }

  @Test("prints JSON, an object a line, whatever the text is")
  func json() throws {
    let nc = try tools.server.member("nc")
    let tail = try tools.start(["tail", "--json", "-n", "1", "lobby"])
    try tools.waitForMembers(2)
    try nc.ask(#"MSG lobby "a\n" \u{1F44D}"# + "\u{061C}")
    #expect(try tail.finish() == 0)
    let line = tail.text(of: .output)
    #expect(line.hasPrefix(#"{"time":"2"#))
    #expect(
      line.hasSuffix(
        #""kind":"message","group":"lobby","from":"nc","place":"relay","text":"\"a\\n\" \\u{1F44D}\u061c"}"#
          + "\n"), "\(line)")
  }

  @Test("hears through the node of the profile, and knows its groups")
  func node() async throws {
    let alice = try tools.node("alice", ["lobby", "ops"])
    let nc = try tools.server.member("nc")
    for (arguments, group) in [([], "lobby"), (["LOBBY"], "lobby"), ([], "ops")] {
      let tail = Running(
        [
          "env", "-i", "XDG_STATE_HOME=\(tools.directory.path)", try Toolbox.program, "tail",
          "--json",
          "-n", "1", "--name", "alice",
        ] + arguments)
      // It tells nobody that it listens, so something is said until it has heard.
      try eventually("it hears") {
        try nc.ask("MSG \(group) hi")
        return tail.hasEnded
      }
      let ended = try await tail.finished
      #expect(ended.exitCode == 0)
      let line = ended.output
      #expect(line.contains(#""group":"\#(group)","from":"nc","place":"relay","text":"hi","id":""#))
      #expect(ended.errors == "")
    }
    // As a member, it needs no guest.
    #expect(try nc.ask("MEMBERS lobby") == "OK MEMBERS lobby 2")
    let other = try tools.start(["tail", "-n", "1", "--name", "alice", "attic"])
    try other.line(of: .errors, containing: "alice's node is not in attic, so a guest listens")
    try other.line(of: .errors, containing: "alice is taken, so this is alice2")
    other.signal(SIGTERM)
    #expect(try other.finish() == 143)
    alice.stop()
  }

  @Test("ends with 1 when the time has run out")
  func timeout() throws {
    let nothing = try tools.run(["tail", "--timeout", "1s", "lobby"])
    #expect(nothing.exitCode == 1)
    #expect(nothing.errors == "linechat: the time is over\n")
    let some = try tools.run(["tail", "--timeout", "1", "-n", "2", "lobby"])
    #expect(some.exitCode == 1)
    #expect(some.errors == "linechat: the time is over; 2 messages did not come\n")
  }

  @Test("ends quietly when nobody reads it any more, be anything said or not")
  func head() throws {
    let nc = try tools.server.member("nc")
    let child = try tools.start(["tail", "lobby"], ["LINECHAT_NAME=first"])
    try tools.waitForMembers(2)
    let pipe = try Child(
      [
        "env", "-i", "XDG_STATE_HOME=\(tools.directory.path)", "PATH=/usr/bin:/bin", "bash", "-c",
        #"\#(Toolbox.program) tail --server \#(try tools.server.address) --name second lobby | head -1; "#
          + #"echo "${PIPESTATUS[0]}""#,
      ])
    try tools.waitForMembers(3)
    try nc.ask("MSG lobby hi")
    // Nothing more is said: it ends all the same.
    #expect(try pipe.finish() == 0)
    #expect(pipe.text(of: .output).hasSuffix(" #lobby <nc> hi\n0\n"))
    #expect(pipe.text(of: .errors) == "")
    child.signal(SIGINT)
    #expect(try child.finish() == 130)
  }

  @Test("finds a server again that has gone away, and says so")
  func again() throws {
    let port = try TestListener.unusedPort()
    let address = try ListenAddress(parsing: "127.0.0.1:\(port)")
    let first = try TestServer { $0.listen = [address] }
    let tail = try tools.start(["tail", "-n", "1", "--server", "\(address)", "lobby"])
    let nc = try first.member("nc")
    try eventually("it listens") { try nc.ask("MEMBERS lobby") == "OK MEMBERS lobby 2" }
    first.stop()
    try tail.line(
      of: .errors, containing: "the server at \(address) went away; trying again in 0.5 s")
    try tail.line(of: .errors, containing: "no server at \(address); start one: linechatd; trying")
    let second = try TestServer { $0.listen = [address] }
    try tail.line(of: .errors, containing: "listening again, to the server at \(address)")
    let other = try second.member("other")
    #expect(try other.ask("MSG lobby welcome back") == "OK MSG lobby 1/1")
    #expect(try tail.finish() == 0)
    #expect(tail.text(of: .output).hasSuffix(" #lobby <other> welcome back\n"))
  }

  @Test(
    "refuses a wrong call with 2",
    arguments: [
      (["-n", "0", "lobby"], "-n must be 1 or more"), (["-n", "x", "lobby"], "'x'"),
      (["--timeout", "soon", "lobby"], "--timeout must be a time"),
      (["a b"], "a group must be 1 to 64 letters"), (["--bogus"], "--bogus"),
      ([], "name a group: no node of yours runs"),
    ])
  func wrongCalls(arguments: [String], reason: String) throws {
    let tail = try tools.run(["tail"] + arguments)
    #expect(tail.exitCode == 2)
    #expect(tail.errors.contains(reason), "\(tail.errors)")
    #expect(tail.output == "")
  }

  @Test("without a server at the start it is 3")
  func noServer() throws {
    let port = try TestListener.unusedPort()
    let tail = try tools.run(["tail", "--server", "127.0.0.1:\(port)", "lobby"])
    #expect(tail.exitCode == 3)
    #expect(tail.errors == "linechat: no server at 127.0.0.1:\(port); start one: linechatd\n")
  }

  @Test("a full disk is said, with another code")
  func full() throws {
    let nc = try tools.server.member("nc")
    let tail = try Child([
      "env", "-i", "XDG_STATE_HOME=\(tools.directory.path)", "PATH=/usr/bin:/bin", "bash", "-c",
      "\(Toolbox.program) tail --server \(try tools.server.address) lobby > /dev/full",
    ])
    try tools.waitForMembers(2)
    try nc.ask("MSG lobby hi")
    #expect(try tail.finish() == 74)
    #expect(
      tail.text(of: .errors)
        == "linechat: cannot write to standard output: No space left on device\n")
  }
}
