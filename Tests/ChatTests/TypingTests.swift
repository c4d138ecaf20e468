// Keys in the real shell: completion, history, Ctrl-C and the like, pastes, other terminals.

import Foundation
import Glibc
import LineChat
import TestSupport
import Testing

@Suite("typing in the shell", .ownThread, .timeLimit(.minutes(20)))
struct TypingTests {
  private let directory: TemporaryDirectory
  private let server: TestServer

  init() throws {
    directory = try TemporaryDirectory()
    server = try TestServer()
  }

  private func alice(
    columns: Int = 110, environment: [String: String?] = [:]
  ) throws -> ShellInTerminal {
    try .member("alice", server, in: directory, columns: columns, environment: environment)
  }

  @Test("TAB completes each kind of word")
  func completion() throws {
    let ops = try server.member("carol", of: "operations")
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    let alice = try alice()
    try bob.sees("alice joined")
    try bob.types("hello")
    try alice.sees("<bob> hello")
    func completes(_ keys: String, to line: String) throws {
      try alice.terminal.send("\(keys)\t")
      try alice.terminal.seeTyped("[lobby] \(line)")
      try alice.terminal.send("\u{3}")
      try alice.terminal.seeTyped("[lobby] ")
    }
    try completes("/hi", to: "/history ")
    try completes("/join op", to: "/join operations ")
    try completes("bo", to: "bob: ")
    try completes("ask bo", to: "ask bob ")
    try completes("/pm bo", to: "/pm bob ")
    try completes("/pm bob@127", to: try place(of: bob, prefix: "/pm bob@"))
    try completes("/pm 127", to: try place(of: bob, prefix: "/pm "))
    // Several: what they share, then the list.
    try alice.terminal.send("/me\t\t")
    try alice.sees("/members  /me")
    try alice.terminal.seeTyped("[lobby] /me")
    ops.close()
  }

  private func place(of shell: ShellInTerminal, prefix: String) throws -> String {
    let row = shell.terminal.screen.transcript.first { $0.contains("others reach you at") }
    guard let address = row?.split(separator: " ").last else { throw TestFailure("no address") }
    return "\(prefix)\(address) "
  }

  @Test("what was typed can be gone back to, in this run and the next")
  func history() throws {
    let alice = try alice()
    try alice.types("first words", sees: "<alice> first words")
    try alice.types("/help quit", sees: "/leave ends a membership")
    try alice.terminal.send("\u{1B}[A\u{1B}[A")
    try alice.terminal.seeTyped("[lobby] first words")
    try alice.terminal.send("\u{3}")
    #expect(try alice.quits() == 0)
    let again = try ShellInTerminal("alice", "\(server.address)", in: directory)
    try again.terminal.seeTyped("[lobby] ")
    try again.terminal.send("\u{12}first")
    try again.terminal.wait(for: "the line of before") { $0.cursorLine.contains("first words") }
    try again.terminal.send("\r")
    try again.sees("<alice> first words")
  }

  @Test("keys from ~/.inputrc switch groups, and the line half typed is still there")
  func inputrc() throws {
    let path = directory.path + "/inputrc"
    try #"""
    $if LineChat
    "\e2": "\C-a\C-k/switch 2\C-m\C-y"
    $endif
    """#.write(toFile: path, atomically: true, encoding: .utf8)
    let alice = try alice(environment: ["INPUTRC": path])
    try alice.types("/join dev", sees: "you are in dev")
    try alice.types("/switch lobby")
    try alice.terminal.send("half a line")
    try alice.terminal.seeTyped("[lobby] half a line")
    try alice.terminal.send("\u{1B}2")
    try alice.terminal.seeTyped("[dev] half a line")
  }

  @Test("Ctrl-C empties the line, and says on an empty one how to end; Ctrl-D ends")
  func keys() throws {
    let alice = try alice()
    try alice.terminal.send("half a line")
    try alice.terminal.seeTyped("[lobby] half a line")
    try alice.terminal.send("\u{3}")
    try alice.terminal.seeTyped("[lobby] ")
    try alice.terminal.send("\u{3}")
    try alice.sees("Ctrl-D or /quit ends")
    try alice.terminal.send("\u{4}")
    #expect(try alice.terminal.finish() == 0)
    #expect(alice.terminal.screen.transcript.contains { $0.contains("you stay a member of lobby") })
  }

  @Test("Ctrl-Z stops it, fg brings it back with the line as it was")
  func stopping() throws {
    let program = try ShellInTerminal.program
    let terminal = try PseudoTerminal(
      ["bash", "--norc", "-i"], columns: 110, rows: 30,
      environment: ShellInTerminal.surroundings(directory).merging(["PS1": "$ "]) { $1 })
    try terminal.seeTyped("$ ")
    try terminal.send("\(program) --server \(server.address) --name alice lobby\r")
    try terminal.seeTyped("[lobby] ")
    let nc = try server.member("nc")
    try terminal.wait(for: "nc") { $0.lines.contains { $0.contains("nc joined") } }
    try terminal.send("half a line")
    try terminal.seeTyped("[lobby] half a line")
    try terminal.send("\u{1A}")
    try terminal.seeTyped("$ ")
    try terminal.send("echo back at the \"\"shell\r")
    try terminal.see("back at the shell")
    try nc.send("MSG lobby meanwhile\n")
    try terminal.send("fg\r")
    try terminal.wait(for: "what was said meanwhile") {
      $0.lines.contains { $0.contains("<nc> meanwhile") }
    }
    try terminal.seeTyped("[lobby] half a line")
    try terminal.send("\r/quit\r")
    try terminal.wait(for: "the end") { $0.cursorLine == "$" }
    #expect(terminal.screen.lines.contains { $0.contains("<alice> half a line") })
  }

  @Test("a paste of more than three lines asks once")
  func paste() throws {
    let alice = try alice()
    try alice.terminal.paste("one\ntwo\nthree")
    try alice.terminal.send("\r")
    try alice.sees("<alice> three")
    try alice.terminal.paste("1\n2\n3\n4\n")
    try alice.terminal.send("\r")
    try alice.sees("4 lines, said in lobby? yes or no")
    try alice.terminal.seeTyped("[yes/no] ")
    try alice.types("y", sees: "<alice> 4")
    try alice.terminal.paste("5\n6\n7\n8")
    try alice.terminal.send("\r")
    try alice.terminal.seeTyped("[yes/no] ")
    try alice.types("n", sees: "nothing was sent")
    #expect(!alice.terminal.screen.transcript.contains { $0.hasSuffix("<alice> 5") })
  }

  @Test("another size of the window: rows are cut to it, the line stays")
  func resizing() throws {
    let nc = try server.member("nc")
    let alice = try alice()
    try alice.terminal.send("half a line")
    try alice.terminal.seeTyped("[lobby] half a line")
    alice.terminal.resize(columns: 40, rows: 12)
    try nc.send("MSG lobby one two three four five six seven eight nine ten eleven\n")
    try alice.sees("<nc> one two three four five six")
    try alice.sees("           seven eight nine ten eleven")
    try alice.terminal.seeTyped("[lobby] half a line")
  }

  @Test("wide and combining characters, and bytes that are none")
  func characters() throws {
    let nc = try server.member("nc")
    let alice = try alice()
    try alice.types("größe 世界 e\u{301} 👍", sees: "<alice> größe 世界 e\u{301} 👍")
    try nc.line { $0.hasSuffix(" MSG lobby größe 世界 e\u{301} 👍") }
    try alice.terminal.send([0x61, 0xFF, 0x62, 0x0D])
    try alice.sees("<alice> a\u{FFFD}b")
    try nc.send("MSG lobby 世界\n")
    try alice.sees("<nc> 世界")
  }

  @Test("a terminal that can do nothing: lines come as lines")
  func dumb() throws {
    let nc = try server.member("nc")
    let alice = try ShellInTerminal(
      "alice", "\(server.address)", in: directory, ["lobby"], environment: ["TERM": "dumb"])
    try alice.sees("you are in lobby with nc")
    try alice.types("hello")
    try nc.line(startingWith: ":alice@")
    try nc.send("MSG lobby hello yourself\n")
    try alice.sees("<nc> hello yourself")
    #expect(!alice.terminal.bytes.contains(0x1B))
    #expect(try alice.quits() == 0)
  }

  @Test("colours where they are wanted, and a bell for a mention")
  func colours() throws {
    let nc = try server.member("nc")
    let alice = try alice()
    try nc.send("MSG lobby hi, Alice\n")
    let screen = try alice.sees("<nc> hi, Alice")
    #expect(screen.attributes(of: "nc> hi") == [1, 7, 33])
    #expect(screen.bells == 1)
    #expect(try alice.quits() == 0)
    let plain = try ShellInTerminal.member(
      "alice", server, in: directory, environment: ["NO_COLOR": "1"])
    try nc.send("MSG lobby hi, Alice\n")
    #expect(try plain.sees("<nc> hi, Alice").attributes(of: "nc> hi") == [])
  }

  @Test("each command, right and wrong")
  func commands() throws {
    let bob = try ShellInTerminal.member("bob", server, in: directory)
    let alice = try alice()
    try bob.sees("alice joined")
    for (line, seen) in [
      ("/help", "TAB completes"), ("/help nope", "there is no /nope"),
      ("/jion dev", "did you mean /join?"), ("/join dev", "you are in dev"),
      ("/join a b", "is no group's name"), ("/switch lobby", "[lobby]"),
      ("/switch nowhere", "you are not in nowhere; you are in lobby and dev"),
      ("/members", "lobby: 2 members"), ("/members nowhere", "you are not in nowhere"),
      ("/groups", "yours, the current one"), ("/msg bob one", "[you -> bob] one"),
      ("/msg nowhere hi", "there is no \"nowhere\" in your groups"),
      ("/msg #dev two", "#dev <alice> two"), ("/pm bob three", "[you -> bob] three"),
      ("/pm bob@127.0.0.1:1 x", "not sent: "), ("/pm 127.0.0.1:1 x", "nobody in your groups"),
      ("/pm 127.0.0.1:0 x", "\"0\" is no port"), ("/pm nobody x", "not delivered to nobody"),
      ("/reply", "nobody has sent you a private message"), ("/me waves", "* alice waves"),
      ("/me", "/me needs to know what you do"), ("/history 5", "* alice waves"),
      ("/history x", "/history takes a number"), ("/search WAVES", "the latest with \"WAVES\""),
      ("/search zebra", "nobody has said \"zebra\""), ("/status", "waiting: nothing"),
      ("/why bob", "connected directly"), ("/why zoe", "zoe is in none of your groups"),
      ("/nick bob", "you are still alice, not bob"), ("/nick 1", "is no name"),
      ("/nick alicia", "you are now alicia"), ("/ignore bob", "you see nothing more of bob"),
      ("/ignore", "you ignore bob"), ("/unignore bob", "you see again what bob says"),
      ("/unignore bob", "you do not ignore bob"), ("//slash", "<alicia> /slash"),
      ("MEMBERS dev", "here it is /members dev"), ("n", "nothing was sent"),
    ] {
      try alice.types(line, sees: seen)
    }
    try alice.terminal.send("\u{3}")
    try bob.sees("alice is now alicia")
    try alice.types("/leave dev", sees: "you have left dev")
    try alice.types("/leave dev", sees: "you are not in dev; you are in lobby")
    try alice.types("/clear")
    try alice.terminal.wait(for: "an empty screen") { $0.row == 0 && $0.cursorLine == "[lobby]" }
    #expect(try alice.quits() == 0)
  }

  @Test("whom one ignores, and where one was, is remembered")
  func memory() throws {
    let nc = try server.member("nc")
    let alice = try alice()
    try alice.types("/join dev", sees: "you are in dev")
    try alice.types("/ignore nc", sees: "you see nothing more of nc")
    #expect(try alice.quits() == 0)
    #expect(
      try directory.text(of: "linechat/alice/shell.json").split(separator: "\n").count == 6)
    let again = try ShellInTerminal("alice", "\(server.address)", in: directory)
    try again.terminal.seeTyped("[dev] ")
    try again.sees("connected to the server")
    try nc.send("MSG lobby can you hear me?\n")
    let bob = try server.member("bob")
    try again.sees("#lobby: bob joined")
    try bob.send("QUIT\n")
    #expect(!again.terminal.screen.transcript.contains { $0.contains("can you hear me") })
  }
}
