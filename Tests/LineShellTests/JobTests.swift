// The terminal as a whole: signals, jobs of a shell, sizes, and how it is left behind.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("The terminal", .ownThread, .timeLimit(.minutes(20)))
struct JobTests {
  @Test(
    "Ctrl-Z gives the terminal back, and fg the line",
    arguments: [["bash", "--norc", "--noprofile", "-i"], ["dash", "-i"]])
  func suspend(shell: [String]) throws {
    let stage = try ShellStage(shell: shell)
    try stage.terminal.seeTyped("$ ")
    let before = try Self.settings(stage)
    try stage.terminal.send("$FIXTURE\r")
    try stage.terminal.see("ready")
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send("half a line" + Key.left)
    try stage.terminal.seeTyped("> half a line", column: 12)
    for _ in 0..<2 {
      try stage.terminal.send(Key.control("Z"))
      try stage.terminal.seeTyped("$ ")
      #expect(try Self.settings(stage) == before)
      #expect(stage.terminal.screen.lines.allSatisfy { $0 != "> half a line" })
      // What is said meanwhile is shown later.
      try stage.tell("print said meanwhile")
      try stage.terminal.send("fg\r")
      try stage.terminal.see("said meanwhile")
      try stage.terminal.seeTyped("> half a line", column: 12)
    }
    // In the background it must not touch the terminal: it is stopped as soon as it wants to.
    try stage.terminal.send(Key.control("Z"))
    try stage.terminal.seeTyped("$ ")
    let number = try #require(
      try Self.processes(named: "ShellFixture", below: stage.terminal).first)
    try stage.terminal.send(
      "bg; until grep -q '^State:.T' /proc/\(number)/status; do sleep 0.05; done; echo aga''in\r")
    try stage.terminal.see("again")
    try stage.terminal.seeTyped("$ ")
    #expect(try Self.settings(stage) == before)
    try stage.terminal.send("fg\r")
    try stage.terminal.seeTyped("> half a line", column: 12)
    try stage.terminal.send("X\r")
    try stage.terminal.see("line: half a linXe")
    try stage.terminal.send(Key.control("D"))
    try stage.terminal.seeTyped("$ ")
    #expect(try Self.settings(stage) == before)
  }

  @Test("where nobody could continue it, Ctrl-Z does not stop it")
  func suspendAlone() throws {
    let stage = try ShellStage()
    try stage.terminal.send("half")
    try stage.terminal.seeTyped("> half")
    try stage.terminal.send(Key.control("Z"))
    try stage.terminal.send(" a line\r")
    try stage.terminal.see("line: half a line")
  }

  @Test("stopped and continued by somebody else, it shows its line again")
  func stopped() throws {
    let stage = try ShellStage(shell: ["bash", "--norc", "--noprofile", "-i"])
    try stage.terminal.seeTyped("$ ")
    try stage.terminal.send("$FIXTURE\r")
    try stage.terminal.see("ready")
    try stage.terminal.send("half a line")
    try stage.terminal.seeTyped("> half a line")
    let number = try #require(
      try Self.processes(named: "ShellFixture", below: stage.terminal).first)
    kill(number, SIGSTOP)
    try stage.terminal.seeTyped("$ ")
    try stage.terminal.send("fg\r")
    try stage.terminal.seeTyped("> half a line")
    try stage.terminal.send("!\r")
    try stage.terminal.see("line: half a line!")
  }

  @Test(
    "however it ends, the terminal is as it was",
    arguments: [
      ("a signal", "kill -TERM", 0, "signal: 15"), ("hang-up", "kill -HUP", 0, "signal: 1"),
      ("the end of input", "\u{04}", 0, "bye"), ("a fault", "crash", Self.trapCode, "as asked"),
      ("exit", "exit", 3, ""), ("Ctrl-\\", "\u{1C}", 131, ""), ("abort", "kill -ABRT", 134, ""),
      ("a bad address", "kill -SEGV", 139, ""), ("endless recursion", "recurse", 139, ""),
    ])
  func endings(what: String, how: String, code: Int, said: String) throws {
    // A shell that does not mend the mode itself, as those do that edit lines. No image of the memory
    // is to be left behind.
    let script = """
      ulimit -c 0; trap : QUIT; stty -g; "$FIXTURE"; echo code $?; stty -g; echo the end
      """
    let stage = try ShellStage(
      columns: 200, environment: ["SWIFT_BACKTRACE": "enable=no"], shell: ["dash", "-c", script])
    try stage.terminal.see("ready")
    let before = try #require(stage.terminal.screen.lines.first)
    let isAtEmptyLine = how == "\u{04}"
    try stage.terminal.send(isAtEmptyLine ? "" : "half")
    try stage.terminal.seeTyped(isAtEmptyLine ? "> " : "> half")
    #expect(stage.terminal.screen.marksPastes)
    if how.hasPrefix("kill") {
      let number = try #require(
        try Self.processes(named: "ShellFixture", below: stage.terminal).first)
      let names = ["TERM": SIGTERM, "HUP": SIGHUP, "ABRT": SIGABRT, "SEGV": SIGSEGV]
      kill(number, try #require(names[String(how.split(separator: "-")[1])]))
    } else if how.count == 1 {
      try stage.terminal.send(how)
    } else {
      try stage.tell(how)
    }
    let screen = try stage.terminal.see("the end")
    let end = try #require(screen.lines.firstIndex(of: "the end"))
    #expect(screen.lines[end - 2].hasSuffix("code \(code)"), "\(screen.lines)")
    #expect(before.contains(":") && screen.lines[end - 1] == before, "\(what)")
    #expect(!screen.marksPastes)
    #expect(said.isEmpty || screen.lines.contains { $0.contains(said) }, "\(screen.lines)")
  }

  @Test("where nothing listens to SIGTERM any more, the second one ends it")
  func hanging() throws {
    let script = "stty -g; \"$FIXTURE\"; echo code $?; stty -g; echo the end"
    let stage = try ShellStage(columns: 200, shell: ["dash", "-c", script])
    try stage.terminal.see("ready")
    try stage.tell("hang")
    // Before that it would end at the first.
    try stage.terminal.see("hangs")
    try stage.terminal.send("half")
    let number = try #require(
      try Self.processes(named: "ShellFixture", below: stage.terminal).first)
    // How far apart they have to be is for the program to say.
    let ask: () -> Void = { kill(number, SIGTERM) }
    let screen = try stage.terminal.wait(for: "the end", doing: ask) {
      $0.lines.contains("the end")
    }
    let end = try #require(screen.lines.firstIndex(of: "the end"))
    #expect(screen.lines[end - 2] == "code 143")
    #expect(screen.lines[end - 1] == screen.lines[0])
    #expect(!screen.marksPastes)
  }

  @Test("a terminal that goes ends it")
  func hangUp() throws {
    let stage = try ShellStage()
    try stage.terminal.send("half")
    try stage.terminal.seeTyped("> half")
    #expect(try stage.terminal.hangUp() == 0)
  }

  @Test("what is ignored when it starts stays ignored")
  func ignored() throws {
    let stage = try ShellStage(shell: ["sh", "-c", "trap '' INT TSTP HUP; exec $FIXTURE"])
    try stage.terminal.see("ready")
    try stage.terminal.send("half")
    try stage.terminal.seeTyped("> half")
    try stage.terminal.send(Key.control("C"))
    stage.terminal.signal(SIGHUP)
    try stage.terminal.send("!")
    // The terminal drops what is typed before Ctrl-C and not read yet.
    try stage.terminal.seeTyped("> half!")
    stage.terminal.signal(SIGTERM)
    #expect(try stage.terminal.finish() == 0)
    #expect(stage.terminal.screen.transcript.contains("signal: 15"))
  }

  @Test(
    "the width changes while a long line is typed",
    arguments: [(60, 40), (60, 25), (40, 70), (30, 100)], [false, true])
  func resize(widths: (Int, Int), rewraps: Bool) throws {
    let (old, new) = widths
    let stage = try ShellStage(
      columns: old, environment: rewraps ? ["VTE_VERSION": "7200"] : ["XTERM_VERSION": "1"])
    try stage.tell("print said before")
    try stage.terminal.see("said before")
    let text = String((0..<90).map { Character(String($0 % 10)) })
    try stage.terminal.send(text + Key.left * 15)
    try stage.terminal.wait(for: "the text") {
      $0.lines.joined().contains(text) && $0.column == 77 % old
    }
    stage.terminal.resize(columns: new, rows: 24, rewraps: rewraps)
    var screen = try stage.terminal.wait(for: "the text in \(new) columns") { screen in
      screen.lines.joined().hasSuffix("size: \(new)x24> \(text)") && screen.column == 77 % new
    }
    #expect(screen.transcript.prefix(3) == ["ready", "said before", "size: \(new)x24"])
    let first = try #require(screen.lines.firstIndex { $0.hasPrefix("> ") })
    #expect(first == 3 && screen.row == first + 77 / new)
    try stage.terminal.send("X\r")
    screen = try stage.terminal.wait(for: "the line") {
      $0.lines.joined().contains("\(text.prefix(75))X\(text.suffix(15))") && $0.column == 2
    }
    #expect(screen.scrolledOff.isEmpty)
  }

  @Test("a terminal of unknown kind loses none of the lines above", arguments: [false, true])
  func resizeUnknown(rewraps: Bool) throws {
    let stage = try ShellStage(columns: 60)
    for number in 1...5 { try stage.tell("print said \(number)") }
    try stage.terminal.see("said 5")
    try stage.terminal.send(String(repeating: "x", count: 100))
    try stage.terminal.wait(for: "the text") { $0.column == 42 }
    for width in [30, 90, 45, 20, 60] {
      stage.terminal.resize(columns: width, rows: 24, rewraps: rewraps)
      let screen = try stage.terminal.wait(for: "\(width) columns") { screen in
        screen.lines.contains("size: \(width)x24") && screen.column == 102 % width
      }
      #expect(Array(screen.transcript.prefix(6)) == ["ready"] + (1...5).map { "said \($0)" })
    }
  }

  @Test("the height changes")
  func height() throws {
    let stage = try ShellStage()
    try stage.terminal.send("half")
    try stage.terminal.seeTyped("> half")
    stage.terminal.resize(columns: 80, rows: 10)
    try stage.terminal.see("size: 80x10")
    try stage.terminal.seeTyped("> half")
  }

  @Test("a terminal that cannot move its cursor", arguments: ["dumb", "no-such-terminal", ""])
  func dumb(name: String) throws {
    let stage = try ShellStage(environment: ["TERM": name], shell: [ShellStage.fixture])
    try stage.terminal.see("ready")
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send("half a")
    try stage.terminal.seeTyped("> half a")
    try stage.tell("prompt lobby")
    try stage.tell("dim said meanwhile")
    try stage.terminal.see("said meanwhile")
    try stage.terminal.seeTyped("lobby> half a")
    try stage.terminal.send(" line" + Key.control("H") + "e\r")
    try stage.terminal.see("line: half a line")
    try stage.terminal.seeTyped("lobby> ")
    let screen = stage.terminal.screen
    #expect(screen.transcript.contains("lobby> half a line"))
    // Not one escape sequence, and no markers round pastes.
    #expect(!stage.terminal.bytes.contains(0x1B))
    try stage.terminal.send(Key.control("D"))
    #expect(try stage.terminal.finish() == 0)
  }

  @Test("vi's keys")
  func viMode() throws {
    let stage = try ShellStage(inputrc: "set editing-mode vi")
    try stage.terminal.send("one\r")
    try stage.terminal.see("line: one")
    try stage.terminal.send("two three")
    try stage.terminal.seeTyped("> two three")
    // A lone ESC is the command mode, and arrow keys are arrow keys.
    try stage.terminal.send("\u{1B}")
    try stage.terminal.seeTyped("> two three", column: 10)
    try stage.terminal.send("bcwfour")
    try stage.terminal.seeTyped("> two four")
    try stage.terminal.send(Key.up)
    try stage.terminal.seeTyped("> one")
    try stage.terminal.send("\r")
    try stage.terminal.wait(for: "the line twice") { screen in
      screen.lines.filter { $0 == "line: one" }.count == 2
    }
    #expect(stage.terminal.screen.transcript.allSatisfy { $0 != "> one" })
  }

  /// What a trap of Swift's is to a shell: SIGILL or SIGTRAP.
  #if arch(x86_64)
  private static let trapCode = 132
  #else
  private static let trapCode = 133
  #endif

  /// What `stty -a` would say, and whether pastes are marked.
  private struct Settings: Equatable {
    let mode: [UInt32]
    let marksPastes: Bool
  }

  /// At the shell's prompt. The shell itself edits lines, so its mode is compared at the same place.
  private static func settings(_ stage: ShellStage) throws -> Settings {
    Settings(mode: stage.terminal.mode, marksPastes: stage.terminal.screen.marksPastes)
  }

  /// The processes of that name in the terminal's session.
  private static func processes(
    named name: String, below terminal: PseudoTerminal
  ) throws -> [pid_t] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.filter {
      guard let status = try? String(contentsOfFile: "/proc/\($0)/stat", encoding: .utf8),
        let end = status.lastIndex(of: ")")
      else { return false }
      let fields = status[end...].split(separator: " ")
      return status.contains("(\(name))") && fields[4] == "\(terminal.process)"
    }
  }
}
