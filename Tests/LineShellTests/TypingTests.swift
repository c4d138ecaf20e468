// Somebody types in a real terminal while lines appear.

import Glibc
import TestSupport
import Testing

@Suite("At the prompt", .ownThread, .timeLimit(.minutes(20)))
struct TypingTests {
  @Test("a line is entered, taken off the screen, and shown as the shell wants it")
  func enter() throws {
    let stage = try ShellStage()
    try stage.terminal.send("hello")
    try stage.terminal.seeTyped("> hello")
    try stage.terminal.send("\r")
    try stage.terminal.see("line: hello")
    var screen = try stage.terminal.seeTyped("> ")
    #expect(screen.transcript == ["ready", "line: hello", ">"])

    // An empty line leaves nothing behind either, and what is typed ahead is not lost.
    try stage.terminal.send("\rone\rtwo\rthree")
    screen = try stage.terminal.seeTyped("> three")
    #expect(
      screen.transcript == [
        "ready", "line: hello", "line:", "line: one", "line: two", "> three",
      ])
  }

  @Test("a half-typed line is untouched while a hundred lines arrive")
  func hundredLines() throws {
    let stage = try ShellStage()
    try stage.terminal.send("a half-typed line" + Key.left * 4)
    try stage.terminal.seeTyped("> a half-typed line", column: 15)
    for number in 1...100 { try stage.tell("print \(number)") }
    try stage.terminal.see("100")
    var screen = try stage.terminal.seeTyped("> a half-typed line", column: 15)
    #expect(screen.transcript == ["ready"] + (1...100).map(String.init) + ["> a half-typed line"])
    try stage.terminal.send("X\r")
    screen = try stage.terminal.see("line: a half-typed Xline")
    #expect(screen.bells == 0)
  }

  @Test(
    "so is a line of several rows, wherever its cursor is",
    arguments: [17, 18, 19, 38, 39, 77, 78, 79], [0, 1, 20, 70])
  func wrapped(length: Int, back: Int) throws {
    let stage = try ShellStage(columns: 20)
    let text = String((0..<length).map { Character(String($0 % 10)) })
    let back = min(back, length)
    try stage.terminal.send(text + Key.left * back)
    for prompt in ["", "go"] {
      // The second one has colours, which take no columns.
      if !prompt.isEmpty { try stage.tell("prompt \(prompt)") }
      let place = prompt.count + 2 + length - back
      func isThere(_ screen: Screen) -> Bool {
        screen.column == place % 20 && screen.lines.joined().hasSuffix("\(prompt)> \(text)")
      }
      try stage.terminal.wait(for: "the text with its cursor", isThere)
      try stage.tell("print between\(prompt)")
      try stage.terminal.see("between\(prompt)")
      let screen = try stage.terminal.wait(for: "the text below the line", isThere)
      // The cursor is in the row that its place says, counted from the prompt's.
      let first = try #require(screen.lines.firstIndex { $0.hasPrefix("\(prompt)> ") })
      #expect(screen.row == first + place / 20)
      #expect(screen.lines[first - 1] == "between\(prompt)")
    }
    #expect(stage.terminal.screen.transcript.prefix(3) == ["ready", "between", "betweengo"])
  }

  @Test(
    "whatever was typed and printed, the line looks as if it were drawn anew", arguments: 1...12)
  func anyKeys(seed: Int) throws {
    var random = Seeded(state: UInt64(seed))
    let stage = try ShellStage(columns: [11, 20, 37][seed % 3], rows: 70)
    try stage.tell("no-completion")
    let keys = [
      "a", "b ", "word", "ü", "你", "好 ", "👍", "long text without an end ", Key.left, Key.left * 9,
      Key.right, Key.right * 5, Key.home, Key.end, Key.backspace, Key.control("W"),
      Key.control("Y"),
      Key.control("K"), Key.control("_"), "\u{1B}b", "\u{1B}f", "\u{1B}u", Key.control("T"),
    ]
    for round in 1...15 {
      if round % 3 == 0 { try stage.terminal.send(Key.end + Key.control("U")) }
      try stage.tell("clear")
      try Self.mark(stage, round * 2)
      for _ in 1...8 { try stage.terminal.send(keys.randomElement(using: &random) ?? "") }
      let asTyped = try Self.line(stage, below: round * 2)
      try Self.mark(stage, round * 2 + 1)
      let anew = try Self.line(stage, below: round * 2 + 1)
      if Int.random(in: 0..<4, using: &random) == 0 { try stage.tell("prompt p\(round)") }
      #expect(asTyped == anew, "seed \(seed), round \(round)")
    }
  }

  private struct Line: Equatable {
    var rows: [String]
    var row: Int
    var column: Int
  }

  /// Shows a line, below which the one being typed is drawn anew.
  private static func mark(_ stage: ShellStage, _ number: Int) throws {
    try stage.tell("print --\(number)--")
    try stage.terminal.see("--\(number)--")
  }

  /// The line being typed as it is to be seen below a mark, when all keys so far were looked at: the
  /// fixture answers the TAB behind them with a new title.
  private static func line(_ stage: ShellStage, below number: Int) throws -> Line {
    let before = stage.terminal.screen.title
    try stage.terminal.send("\t")
    let screen = try stage.terminal.wait(for: "another title") { $0.title != before }
    let mark = try #require(screen.lines.lastIndex(of: "--\(number)--"))
    return Line(
      rows: screen.lines[(mark + 1)...].filter { !$0.isEmpty }, row: screen.row - mark,
      column: screen.column)
  }

  @Test("while it is held, lines wait, and Ctrl-C does not")
  func held() throws {
    let stage = try ShellStage()
    try stage.terminal.send("/pause\rnext\rhalf")
    try stage.terminal.see("line: /pause")
    try stage.tell("print meanwhile")
    try stage.terminal.see("meanwhile")
    #expect(!stage.terminal.screen.lines.contains("line: next"))
    try stage.tell("go")
    try stage.terminal.see("line: next")
    try stage.terminal.seeTyped("> half")
    try stage.tell("pause")
    try stage.tell("print held")
    try stage.terminal.see("held")
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.see("interrupted: half")
  }

  @Test("the prompt changes while one types, and while one searches")
  func prompt() throws {
    let stage = try ShellStage()
    try stage.terminal.send("an old line\rhalf")
    try stage.terminal.seeTyped("> half")
    try stage.tell("prompt lobby")
    var screen = try stage.terminal.seeTyped("lobby> half")
    #expect(screen.attributes(of: "lobby> half") == [1, 32])
    #expect(screen.attributes(of: "half") == [])

    try stage.terminal.send(Key.control("R") + "old")
    try stage.terminal.seeTyped("(reverse-i-search)`old': an old line", column: 28)
    try stage.tell("prompt kitchen")
    try stage.tell("print while searching")
    try stage.terminal.see("while searching")
    screen = try stage.terminal.seeTyped("(reverse-i-search)`old': an old line", column: 28)
    try stage.terminal.send(Key.end)
    try stage.terminal.seeTyped("kitchen> an old line")

    // As long as it is, half of the row is left to type in.
    try stage.tell("prompt \(String(repeating: "long", count: 30))")
    let cut = String(repeating: "long", count: 10).dropLast()
    try stage.terminal.seeTyped("\(cut)…an old line")
  }

  @Test("a text is put into the line, and undo brings back what was there")
  func setText() throws {
    let stage = try ShellStage()
    try stage.terminal.send("typed by me")
    try stage.terminal.seeTyped("> typed by me")
    try stage.tell("type /pm bob ")
    try stage.terminal.seeTyped("> /pm bob ")
    try stage.terminal.send(Key.control("_"))
    try stage.terminal.seeTyped("> typed by me")
    try stage.tell("type /reply")
    try stage.terminal.seeTyped("> /reply")
    try stage.terminal.send("!\r")
    try stage.terminal.see("line: /reply!")

    // In the middle of a search, too.
    try stage.terminal.send(Key.control("R") + "typ")
    try stage.terminal.wait(for: "the search") { $0.cursorLine.hasPrefix("(failed rev") }
    try stage.tell("type anew")
    try stage.terminal.seeTyped("> anew")
  }

  @Test("Ctrl-C clears the line, and Ctrl-Y brings it back")
  func interrupt() throws {
    let stage = try ShellStage()
    try stage.terminal.send("a thought")
    // What is not read yet when Ctrl-C comes, the terminal drops.
    try stage.terminal.seeTyped("> a thought")
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.see("interrupted: a thought")
    var screen = try stage.terminal.seeTyped("> ")
    #expect(screen.transcript == ["ready", "interrupted: a thought", ">"])
    try stage.terminal.send(Key.control("Y"))
    try stage.terminal.seeTyped("> a thought")

    // Out of a search, an argument, and a line of the history that was changed.
    try stage.terminal.send("\r" + Key.control("R") + "tho")
    try stage.terminal.seeTyped("(reverse-i-search)`tho': a thought", column: 27)
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send("\u{1B}5")
    try stage.terminal.seeTyped("(arg: 5) ")
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send(Key.up + " changed")
    try stage.terminal.seeTyped("> a thought changed")
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.see("interrupted: a thought changed")
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send(Key.up)
    screen = try stage.terminal.seeTyped("> a thought")
    try stage.terminal.send(" left" + Key.down + Key.up)
    try stage.terminal.seeTyped("> a thought left")
    try stage.terminal.send(Key.control("C"))
    try stage.terminal.see("interrupted: a thought left")
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send("a thought\r")
    try stage.terminal.wait(for: "the line twice") { screen in
      screen.lines.filter { $0 == "line: a thought" }.count == 2
    }
  }

  @Test("Ctrl-D deletes within a line, and ends at an empty one")
  func endOfFile() throws {
    let stage = try ShellStage(environment: ["FIXTURE_STAYS": "1"])
    try stage.terminal.send("abc" + Key.home + Key.control("D"))
    try stage.terminal.seeTyped("> bc", column: 2)
    try stage.terminal.send(Key.control("K"))
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send(Key.control("D"))
    try stage.terminal.see("ended: false")
    // The shell may have its reasons to stay.
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send("still here")
    try stage.terminal.seeTyped("> still here")
    try stage.tell("stop")
    #expect(try stage.terminal.finish() == 0)
    #expect(
      stage.terminal.screen.transcript.filter { !$0.isEmpty } == ["ready", "ended: false", "bye"])
  }

  @Test("the screen is cleared around the line, and the bell rings")
  func clearAndBell() throws {
    let stage = try ShellStage()
    try stage.terminal.send("half" + Key.left)
    try stage.terminal.seeTyped("> half", column: 5)
    try stage.tell("clear")
    var screen = try stage.terminal.wait(for: "a clear screen") {
      $0.lines[0] == "> half" && $0.column == 5
    }
    #expect(screen.lines.allSatisfy { $0.isEmpty || $0 == "> half" })
    try stage.tell("bell")
    screen = try stage.terminal.wait(for: "a bell") { $0.bells == 1 }
    #expect(screen.cursorLine == "> half")
  }

  @Test(
    "nothing that is printed reaches the terminal as a command",
    arguments: [
      ("1b 5b 32 4a 41", "\\u{1b}[2JA"), ("41 0d 42", "A\\rB"), ("c2 9b 32 4a", "\\u{9b}2J"),
      ("e2 80 ae 41", "\\u{202e}A"), ("41 7f 08 07", "A\\u{7f}\\u{8}\\u{7}"),
      ("ff 41", "\u{FFFD}A"),
      ("01 41 02", "\\u{1}A\\u{2}"), ("41 09 42", "A       B"), ("5c 6f 2f", "\\o/"),
    ])
  func hostileLines(hex: String, shown: String) throws {
    let stage = try ShellStage()
    try stage.terminal.send("mine")
    try stage.terminal.seeTyped("> mine")
    try stage.tell("raw \(hex)")
    try stage.terminal.see(shown)
    let screen = try stage.terminal.seeTyped("> mine")
    #expect(screen.transcript == ["ready", shown, "> mine"])
    #expect(screen.bells == 0)
  }

  @Test("a line that is too long is cut between words, and set in")
  func wrapping() throws {
    let stage = try ShellStage(columns: 30)
    try stage.tell("indent 6 12:00 the quick brown fox jumps over the lazy dog")
    try stage.terminal.see("      jumps over the lazy dog")
    let screen = try stage.terminal.seeTyped("> ")
    #expect(
      screen.transcript == [
        "ready", "12:00 the quick brown fox", "      jumps over the lazy dog", ">",
      ])
  }
}

enum Key {
  static let left = "\u{1B}[D"
  static let right = "\u{1B}[C"
  static let up = "\u{1B}[A"
  static let down = "\u{1B}[B"
  static let home = "\u{1B}[H"
  static let end = "\u{1B}[F"
  static let backspace = "\u{7F}"

  static func control(_ letter: Character) -> String {
    String(UnicodeScalar((letter.asciiValue ?? 0x40) & 0x1F))
  }
}

func * (key: String, count: Int) -> String { String(repeating: key, count: count) }

/// The same numbers for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
