// The shell without a terminal, as scripts use it.

import Glibc
import LineChat
import TestSupport
import Testing

@Suite("the shell in a pipe", .ownThread, .timeLimit(.minutes(20)))
struct PipeTests {
  private let directory: TemporaryDirectory
  private let server: TestServer

  init() throws {
    directory = try TemporaryDirectory()
    server = try TestServer()
  }

  @Test("lines of a pipe are said, and the run ends when all have them")
  func says() throws {
    let nc = try server.member("nc")
    let shell = try PipedShell("\(server.address)", ["--name", "cron", "lobby"], in: directory)
    let (code, output, errors) = try shell.runs("disk is full\n/me is worried\n")
    #expect(code == 0)
    #expect(output == "")
    #expect(errors == "")
    #expect(try nc.line(startingWith: ":cron@relay JOIN") == ":cron@relay JOIN lobby")
    #expect(try nc.line(startingWith: ":cron@relay MSG") == ":cron@relay MSG lobby disk is full")
    #expect(try nc.line(startingWith: ":cron@") == ":cron@relay MSG lobby /me is worried")
    #expect(try nc.line(startingWith: ":cron@").hasPrefix(":cron@relay LEAVE lobby"))
    // Nothing is left of it.
    #expect(access("\(directory.path)/linechat", F_OK) != 0)
  }

  @Test("who is away gets it when it is back, though the run is long over")
  func kept() throws {
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    #expect(try bob.quits() == 0)
    let (code, _, errors) = try PipedShell(
      "\(server.address)", ["--name", "cron", "lobby"], in: directory
    ).runs("disk is full\n/pm bob look at db3\n")
    #expect(code == 0, "\(errors)")
    #expect(errors == "")
    let again = try ShellInTerminal("bob", "\(server.address)", in: directory)
    try again.sees("<cron> disk is full")
    try again.sees("[cron -> you] look at db3")
  }

  @Test("a thousand lines arrive in order, at a shell that acknowledges them")
  func file() throws {
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    let shell = try PipedShell("\(server.address)", ["--name", "cron", "lobby"], in: directory)
    let lines = (1...1_000).map { "line \($0)" }
    let (code, _, errors) = try shell.runs(lines.joined(separator: "\n"))
    #expect(code == 0, "\(errors)")
    try bob.sees("<cron> line 1000")
    let heard = bob.terminal.screen.transcript.filter { $0.contains("<cron> ") }
      .compactMap { $0.split(separator: ">").last.map { String($0.dropFirst()) } }
    #expect(heard == lines)
  }

  @Test("commands answer on standard output, what is wrong goes to standard error")
  func commands() throws {
    let nc = try server.member("nc")
    let shell = try PipedShell("\(server.address)", ["--name", "cron"], in: directory)
    let (code, output, errors) = try shell.runs(
      "/join lobby\n/members\n/jion\n/pm nobody hi\nQUIT\n\u{FFFD}\n")
    #expect(code == 1)
    #expect(
      output == """
        -- lobby: 2 members
        --   nc    through the server  gives no receipts
        --   cron  through the server  you

        """)
    #expect(errors.contains("-- there is no /jion; did you mean /join? /join GROUP\n"))
    #expect(errors.contains("-- not sent: there is no nobody here"))
    #expect(errors.contains("-- that is how programs talk; here it is /quit."))
    #expect(try nc.line(startingWith: ":cron@relay MSG") == ":cron@relay MSG lobby \u{FFFD}")
  }

  @Test("what is heard meanwhile is on standard output, with the day and the group")
  func hears() throws {
    let nc = try server.member("nc")
    let shell = try PipedShell("\(server.address)", ["--name", "cron", "lobby"], in: directory)
    try nc.line(startingWith: ":cron@relay JOIN")
    try nc.send("MSG lobby hi, cron\n")
    let line = try shell.child.line(of: .output) ?? ""
    #expect(line.hasSuffix(" #lobby <nc> hi, cron"))
    #expect(line.prefix { $0 != "#" }.count == "2026-11-22 12:34:56 ".count)
    shell.child.closeInput()
    #expect(try shell.child.finish() == 0)
  }

  @Test("exit codes: no server, wrong options, not delivered in time, a signal")
  func exitCodes() throws {
    let none = try PipedShell("127.0.0.1:1", ["lobby"], in: directory).runs("hi\n")
    #expect(none.code == 69)
    #expect(none.errors == "-- no server at 127.0.0.1:1; start one: linechatd\n")
    let wrong = try PipedShell("127.0.0.1:99999", ["lobby"], in: directory).runs("hi\n")
    #expect(wrong.code == 64)
    let color = try PipedShell("127.0.0.1:1", ["--color", "pink"], in: directory).runs("")
    #expect(color.code == 64)
    #expect(color.errors.contains("--color must be one of auto, always, never, not 'pink'"))

    let bob = try ShellInTerminal.member("bob", server, in: directory)
    #expect(try bob.quits() == 0)
    let shell = try PipedShell("\(server.address)", ["--name", "cron", "lobby"], in: directory)
    let nc = try server.client()
    try eventually("cron is there") { try nc.ask("MEMBERS lobby") == "OK MEMBERS lobby 2" }
    shell.child.signal(SIGTERM)
    #expect(try shell.child.finish() == 143)
  }

  @Test("colours in a pipe only where they are asked for")
  func colours() throws {
    for (arguments, hasColours) in [([], false), (["--color", "always"], true)] {
      let nc = try server.member("nc")
      let shell = try PipedShell(
        "\(server.address)", ["--name", "cron", "lobby"] + arguments, in: directory)
      try nc.line(startingWith: ":cron@relay JOIN")
      try nc.send("MSG lobby hi\n")
      let line = try shell.child.line(of: .output) ?? ""
      #expect(line.contains("\u{1B}[") == hasColours)
      shell.child.closeInput()
      #expect(try shell.child.finish() == 0)
      try nc.send("QUIT\n")
      _ = try nc.linesToEnd()
    }
  }
}
