// `linechat run`: the command as if it ran by itself, and what the group is told of it.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("linechat run", .ownThread, .timeLimit(.minutes(20)))
struct RunTests {
  private let tools: Toolbox

  init() throws { tools = try Toolbox() }

  private static let group = ["run", "--group", "lobby", "--"]

  /// What stands behind `MSG lobby`, with the time it took replaced.
  private func told(_ client: TestClient) throws -> String {
    let line = try client.line(startingWith: ":cron@relay MSG lobby ")
    return String(line.dropFirst(":cron@relay MSG lobby ".count)).replacing(
      #/after [0-9.]+ s$/#, with: "after TIME")
  }

  @Test("passes output and exit code on, and says how it ended, with the last lines")
  func ends() throws {
    let nc = try tools.server.member("nc")
    let ran = try tools.run(
      Self.group + ["sh", "-c", "seq 1 7; printf 'x\\033[1m\\nno end' >&2; exit 3"])
    #expect(ran.exitCode == 3)
    #expect(ran.output == "1\n2\n3\n4\n5\n6\n7\n")
    #expect(ran.errors == "x\u{1B}[1m\nno end")
    #expect(
      try told(nc)
        == #"sh -c seq 1 7; printf 'x\033[1m\nno end' >&2; exit 3: failed with 3 after TIME"#)
    var lines: [String] = []
    for _ in 1...5 { lines.append(try told(nc)) }
    #expect(lines.suffix(2).contains("| no end"))
    #expect(lines.contains(#"| x\u{1b}[1m"#))
    #expect(lines.contains("| 7"))

    let quiet = try tools.run(["run", "--group", "lobby", "--lines", "0", "--", "echo", "hi"])
    #expect(quiet.exitCode == 0)
    #expect(quiet.output == "hi\n")
    #expect(try told(nc) == "echo hi: done after TIME")
    // The separator is not needed, and an argument of the command's is its own.
    let plain = try tools.run(["run", "--group", "lobby", "echo", "--", "--group"])
    #expect(plain.output == "-- --group\n")
    #expect(try told(nc) == "echo -- --group: done after TIME")
    #expect(try told(nc) == "| -- --group")
    #expect(!nc.hasInput)
  }

  @Test("output is what it was, byte for byte, however much; input is the command's")
  func bytes() throws {
    let same = try tools.shell(
      #"head -c 3000000 /dev/urandom > "$XDG_STATE_HOME/random"; "#
        + #""$T" run --group lobby -- cat < "$XDG_STATE_HOME/random" 2>/dev/null "#
        + #"| cmp - "$XDG_STATE_HOME/random""#)
    #expect(same.exitCode == 0, "\(same.output)\(same.errors)")
    let words = try tools.shell(
      #""$T" run --group lobby -- printf '%s.' '' $'\xff' 'a b' | od -An -tx1"#)
    #expect(words.output == " 2e ff 2e 61 20 62 2e\n")
    let input = try tools.run(Self.group + ["tr", "a-z", "A-Z"], input: "hello\n")
    #expect(input.output == "HELLO\n")
  }

  @Test("a signal that ends it is told, and is its exit code")
  func killed() throws {
    let nc = try tools.server.member("nc")
    let killed = try tools.run(Self.group + ["sh", "-c", "kill -9 $$"])
    #expect(killed.exitCode == 137)
    #expect(try told(nc) == "sh -c kill -9 $$: ended by SIGKILL (137) after TIME")
    // A broken pipe ends it as it would without us.
    let pipe = try tools.shell(#""$T" run --group lobby --lines 0 -- yes | head -1"#)
    #expect(pipe.exitCode == 141)
    #expect(pipe.output == "y\n")
    #expect(try told(nc) == "yes: ended by SIGPIPE (141) after TIME")
  }

  @Test("signals are passed on", arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1])
  func passesOn(signal: Int32) throws {
    let nc = try tools.server.member("nc")
    let child = try tools.start(
      Self.group + [
        "bash", "-c",
        "trap 'echo caught; exit 9' \(signal); echo ready; while :; do sleep 0.05; done",
      ])
    #expect(try child.line(of: .output) == "ready")
    child.signal(signal)
    #expect(try child.line(of: .output) == "caught")
    #expect(try child.finish() == 9)
    #expect(try told(nc).hasSuffix("failed with 9 after TIME"))
  }

  @Test("at a terminal, ^C comes to the command once, as it would without us")
  func terminal() throws {
    let file = "\(tools.directory.path)/go-on"
    // It counts each signal the moment it comes.
    let counting = """
      $| = 1; $n = $said = 0; $SIG{INT} = sub { $n++ }; print "ready\\n";
      until (-e $ARGV[0]) {
        select(undef, undef, undef, 0.05);
        print "got ", $said = $n, "\\n" if $n > $said;
      }
      print "count $n\\n";
      """
    let terminal = try PseudoTerminal(
      [
        try Toolbox.program, "run", "--group", "lobby", "--", "perl", "-e", counting, file,
      ],
      environment: ["LINECHAT_SERVER": "\(try tools.server.address)", "PERL_SIGNALS": "unsafe"])
    try terminal.see("ready")
    // Two signals that come at the same time are one: so more than once.
    for number in 1...6 {
      try terminal.send("\u{03}")
      try terminal.wait(for: "signal \(number)", within: .seconds(20)) {
        $0.lines.contains { $0.hasSuffix("got \(number)") }
      }
    }
    #expect(FileManager.default.createFile(atPath: file, contents: nil))
    try terminal.see("count 6")
    #expect(try terminal.finish() == 0)
  }

  @Test("what cannot be started is 127 or 126, and told")
  func notStarted() throws {
    let nc = try tools.server.member("nc")
    let missing = try tools.run(Self.group + ["no-such-command"])
    #expect(missing.exitCode == 127)
    #expect(missing.errors.contains("no-such-command cannot be started: No such file"))
    #expect(try told(nc) == "no-such-command: could not be started: No such file or directory")
    let denied = try tools.run(Self.group + ["/etc/passwd"])
    #expect(denied.exitCode == 126)
    #expect(try told(nc) == "/etc/passwd: could not be started: Permission denied")
  }

  @Test("that nobody could be told is said, and changes no exit code")
  func untold() throws {
    let port = try TestListener.unusedPort()
    let none = try tools.run(
      ["run", "--group", "lobby", "--server", "127.0.0.1:\(port)", "--", "sh", "-c", "exit 4"])
    #expect(none.exitCode == 4)
    #expect(
      none.errors
        == "linechat: lobby was not told: no server at 127.0.0.1:\(port); start one: linechatd\n")
    let nowhere = try tools.run(["run", "--group", "nobodyhome", "--", "true"])
    #expect(nowhere.exitCode == 0)
    #expect(nowhere.errors.contains("nobodyhome was not told: there is no group nobodyhome"))
  }

  @Test("who is left behind with its output is not waited for")
  func leftBehind() throws {
    let nc = try tools.server.member("nc")
    let ran = try tools.run(
      Self.group + ["sh", "-c", "echo one; (sleep 0.3; echo two) & sleep 600 &"])
    #expect(ran.exitCode == 0)
    #expect(ran.output == "one\ntwo\n")
    #expect(try told(nc).hasSuffix("done after TIME"))
  }

  @Test("through the node of the profile")
  func node() throws {
    let nc = try tools.server.member("nc")
    let alice = try tools.node("alice")
    let ran = try tools.run(["run", "--group", "lobby", "--profile", "alice", "--", "true"])
    #expect(ran.exitCode == 0)
    #expect(ran.errors == "")
    try nc.line { $0.hasPrefix(":alice@127.0.0.1:") && $0.contains(" MSG lobby true: done after ") }
    alice.stop()
  }

  @Test(
    "a wrong call is 2, and nothing is run",
    arguments: [
      (["--group", "lobby"], "name a command"), (["--group", "lobby", "--"], "name a command"),
      (["--", "touch", "FILE"], "Missing expected argument '--group"),
      (["--group", "a b", "--", "touch", "FILE"], "--group must be"),
      (["--group", "lobby", "--lines", "99", "--", "touch", "FILE"], "--lines must be"),
      (["--group", "lobby", "--bogus", "touch", "FILE"], "there is no option --bogus"),
      (["--group", "lobby", "--server", "x:0", "--", "touch", "FILE"], "--server: x:0"),
    ])
  func wrongCalls(arguments: [String], reason: String) throws {
    let file = "\(tools.directory.path)/touched"
    let ran = try tools.run(["run"] + arguments.map { $0 == "FILE" ? file : $0 })
    #expect(ran.exitCode == 2)
    #expect(ran.errors.contains(reason), "\(ran.errors)")
    #expect(access(file, F_OK) != 0)
  }
}
