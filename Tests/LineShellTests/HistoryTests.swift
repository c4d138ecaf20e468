// The history: within a run, over runs, and its file.

import Foundation
import TestSupport
import Testing

@testable import LineShell

@Suite("History", .ownThread, .timeLimit(.minutes(20)))
struct HistoryTests {
  private static func contents(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  private static func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require(attributes[.posixPermissions] as? Int)
  }

  @Test("what was entered is there in the next run")
  func overRuns() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("history")
    let environment = ["FIXTURE_HISTORY": path]
    do {
      let stage = try ShellStage(environment: environment)
      try stage.terminal.send("first\r")
      try stage.terminal.see("line: first")
      // It is in the file at once, not only at the end.
      #expect(try Self.contents(path) == "first\n")
      try stage.terminal.send("second\rsecond\r\rthird — größer\r")
      try stage.terminal.see("line: third — größer")
      stage.terminal.signal(SIGKILL)
      #expect(try stage.terminal.finish() == 128 + SIGKILL)
    }
    #expect(try Self.contents(path) == "first\nsecond\nthird — größer\n")
    #expect(try Self.mode(path) == 0o600)

    let stage = try ShellStage(environment: environment)
    try stage.terminal.send(Key.up)
    try stage.terminal.seeTyped("> third — größer")
    try stage.terminal.send(Key.up + Key.up)
    try stage.terminal.seeTyped("> first")
    try stage.terminal.send(Key.down * 3)
    try stage.terminal.seeTyped("> ")
    try stage.terminal.send(Key.control("R") + "seco")
    try stage.terminal.seeTyped("(reverse-i-search)`seco': second", column: 26)
    // Lines that appear do not end the search.
    try stage.tell("print meanwhile")
    try stage.terminal.see("meanwhile")
    try stage.terminal.seeTyped("(reverse-i-search)`seco': second", column: 26)
    try stage.terminal.send("\r")
    try stage.terminal.see("line: second")
    let screen = try stage.terminal.seeTyped("> ")
    #expect(screen.transcript == ["ready", "meanwhile", "line: second", ">"])
    #expect(try Self.contents(path) == "first\nsecond\nthird — größer\nsecond\n")
  }

  @Test("a paste is remembered line by line")
  func paste() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("history")
    let stage = try ShellStage(environment: ["FIXTURE_HISTORY": path])
    try stage.terminal.paste("one\ntwo\nthree")
    try stage.terminal.seeTyped("three")
    try stage.terminal.send("\r")
    try stage.terminal.see("paste: one|two|three")
    try stage.terminal.send(Key.up + Key.up)
    try stage.terminal.seeTyped("> two")
    #expect(try Self.contents(path) == "one\ntwo\nthree\n")
  }

  @Test("the file is bounded, and whatever is in it does no harm")
  func file() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("history")
    let bad = Data("good\n\u{1B}[2Jbad\nalso\tgood\n".utf8) + [0xFF, 0x0A] + Data("last".utf8)
    try bad.write(to: URL(fileURLWithPath: path))
    chmod(path, 0o644)
    let history = History(path: path, linesMax: 10)
    #expect(history.lines == ["good", "also\tgood", "last"])
    #expect(history.fault == nil)
    #expect(try Self.mode(path) == 0o600)
    #expect(history.add("last") == false)
    #expect(history.add("") == false)
    // What could not be read again unharmed is remembered by this run alone.
    #expect(history.add("with \u{1B}"))
    #expect(history.add(String(repeating: "x", count: 5_000)))
    #expect(History(path: path, linesMax: 10).lines == ["good", "also\tgood", "last"])

    for number in 1...40 { #expect(history.add("line \(number)")) }
    #expect(history.lines == (31...40).map { "line \($0)" })
    #expect(History(path: path, linesMax: 10).lines == history.lines)
    // Reading it cut it.
    #expect(try Self.contents(path) == history.lines.map { $0 + "\n" }.joined())
  }

  @Test("of a huge file its end is read")
  func hugeFile() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("history")
    let line = String(repeating: "y", count: 1_000)
    let lines = (1...6_000).map { "\($0) \(line)" }
    try (lines.joined(separator: "\n") + "\n").write(
      toFile: path, atomically: true, encoding: .utf8)
    #expect(History(path: path, linesMax: 2).lines == Array(lines.suffix(2)))
    #expect(try Self.contents(path) == lines.suffix(2).map { $0 + "\n" }.joined())
  }

  @Test("a file that cannot be used is said, and nothing else")
  func unusable() throws {
    let folder = try TemporaryFolder()
    let history = History(path: folder.path("no/such/folder"), linesMax: 10)
    #expect(history.fault?.hasSuffix("open: No such file or directory") == true)
    #expect(history.add("still"))
    #expect(history.lines == ["still"])
    #expect(History(path: "/dev/null", linesMax: 10).fault != nil)
    let stage = try ShellStage(environment: ["FIXTURE_HISTORY": folder.path("")])
    try stage.terminal.wait(for: "the warning") {
      $0.lines.contains { $0.hasPrefix("warning: no history: /") }
    }
  }
}
