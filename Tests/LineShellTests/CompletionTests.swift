// TAB: what it puts into the line, and what it lists.

import TestSupport
import Testing

@testable import LineShell

@Suite("TAB", .ownThread, .timeLimit(.minutes(20)))
struct CompletionTests {
  @Test(
    "one candidate takes the word's place",
    arguments: [
      ("/jo", "> /join "), ("/join lob", "> /join lobby "), ("/join LOF", "> /join loft "),
      ("/join gr", "> /join Größe "), ("al", "> alice: "), ("hello zo", "> hello zoe "),
      ("hello zac", "> hello Zacharias "), ("/pm [", "> /pm [::1]:5003 "),
    ])
  func single(typed: String, shown: String) throws {
    let stage = try ShellStage()
    try stage.terminal.send(typed + "\t")
    let screen = try stage.terminal.seeTyped(shown)
    #expect(screen.bells == 0)
  }

  @Test("an address is one word, and so is a member with one")
  func address() throws {
    let stage = try ShellStage()
    try stage.terminal.send("/pm 127\t")
    try stage.terminal.seeTyped("> /pm 127.0.0.1:500")
    try stage.terminal.send("2\t")
    try stage.terminal.seeTyped("> /pm 127.0.0.1:5002 ")
    try stage.terminal.send(Key.control("U") + "/pm carol@\t")
    try stage.terminal.seeTyped("> /pm carol@127.0.0.1:5004 ")
  }

  @Test("several candidates are listed above the line, in the order given")
  func ambiguous() throws {
    let stage = try ShellStage()
    try stage.terminal.send("/j\t")
    try stage.terminal.see("/join  /jump")
    var screen = try stage.terminal.seeTyped("> /j")
    #expect(screen.transcript == ["ready", "/join  /jump", "> /j"])

    try stage.terminal.send(Key.control("U") + "bo\t")
    try stage.terminal.see("bob    bobby")
    screen = try stage.terminal.seeTyped("> bob")
    try stage.terminal.send("b\t")
    try stage.terminal.seeTyped("> bobby: ")
  }

  @Test("the most that is listed fits on the screen, and nothing is asked")
  func many() throws {
    let stage = try ShellStage(columns: 40, rows: 12)
    try stage.terminal.send("/many n\t")
    let screen = try stage.terminal.see("… and 268 more")
    try stage.terminal.seeTyped("> /many name")
    #expect(screen.lines.contains("name1    name9    name17   name25"))
  }

  @Test("in the middle of a line, behind the word there is no second blank")
  func middle() throws {
    let stage = try ShellStage()
    try stage.terminal.send("/join lob now" + Key.left * 4 + "\t")
    try stage.terminal.seeTyped("> /join lobby now", column: 13)
  }

  @Test("where there is nothing, a bell; never the names of files")
  func nothing() throws {
    let stage = try ShellStage()
    try stage.terminal.send("/join /et\t\t")
    let screen = try stage.terminal.wait(for: "bells") { $0.bells == 2 }
    #expect(screen.cursorLine == "> /join /et")
  }

  @Test("the keys can be others: inputrc has its part for LineChat")
  func inputrc() throws {
    let stage = try ShellStage(
      inputrc: """
        $if LineChat
        TAB: menu-complete
        "\\C-t": "typed by a key"
        set page-completions on
        set completion-query-items 1
        $endif
        $if Other
        "\\C-t": "not this"
        $endif
        """)
    try stage.terminal.send("bo\t")
    try stage.terminal.seeTyped("> bob")
    try stage.terminal.send("\t")
    try stage.terminal.seeTyped("> bobby")
    try stage.terminal.send(Key.control("U") + Key.control("T"))
    try stage.terminal.seeTyped("> typed by a key")
    // Neither a question nor a page.
    try stage.terminal.send(Key.control("U") + "/many n\u{1B}?")
    try stage.terminal.wait(for: "the list's end") { screen in
      screen.lines.contains { $0.hasPrefix("… and ") } && screen.cursorLine == "> /many n"
    }
  }

  @Test("answers")
  func answers() {
    func answer(_ word: String, _ candidates: [String], after: String = "") -> String? {
      Completion(candidates, appending: ": ").answer(
        to: CompletionRequest(before: "", word: word, after: after))?.replacement
    }
    #expect(answer("b", ["Bob"]) == "Bob: ")
    #expect(answer("b", ["Bob"], after: " hi") == "Bob:")
    #expect(answer("b", ["Bob", "bobby"]) == "Bob")
    #expect(answer("b", ["bob", "bob"]) == "bob: ")
    #expect(answer("b", []) == nil)
    // What does not begin like the word is listed, but does not shorten it.
    #expect(answer("bo", ["Rob", "bob"]) == "bo")
    #expect(answer("", ["x", "y"]) == "")
  }

  @Test("a list fits into columns and rows")
  func lists() {
    func rows(_ names: [String], _ columns: Int, _ rowsMax: Int) -> [String] {
      listed(names, columns: columns, rowsMax: rowsMax).map(\.plain)
    }
    #expect(rows(["a", "b", "c", "d", "e"], 7, 9) == ["a  c  e", "b  d"])
    #expect(rows(["a", "b", "c", "d", "e"], 7, 1) == ["a  b  c", "… and 2 more"])
    #expect(rows(["größe", "你好", "x"], 12, 9) == ["größe  x", "你好"])
    #expect(rows(["much too long"], 6, 9) == ["much …"])
    #expect(rows(["a\u{1B}[2J"], 40, 9) == ["a\\u{1b}[2J"])
  }
}
