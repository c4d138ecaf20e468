// Without a terminal: lines are read and written as they are.

import Glibc
import LineProtocol
import TestSupport
import Testing

@Suite("In a pipe", .ownThread, .timeLimit(.minutes(20)))
struct PipeTests {
  private static func shell(_ input: String, _ script: String = "\"$0\"") async throws -> Finished {
    try await run(["sh", "-c", script, ShellStage.fixture], input: input)
  }

  @Test("lines in, lines out, nothing else")
  func lines() async throws {
    let finished = try await Self.shell("one\n\ngröße\u{1B}[2J\r\nno line end")
    #expect(
      finished.lines
        == [
          "line: one", "line:", "line: größe\\u{1b}[2J", "line: no line end", "ended: true", "bye",
          "",
        ].map { $0 == "line:" ? "line: " : $0 })
    #expect(finished.errors == "")
    #expect(finished.exitCode == 0)
  }

  @Test("while it is held, lines wait")
  func held() async throws {
    let finished = try await Self.shell("/flood 1 1\n/pause\nnext\n", "timeout 3 \"$0\"")
    #expect(
      finished.lines == ["line: /flood 1 1", "line: /pause", "flood 1", "signal: 15", "bye", ""])
  }

  @Test("a signal ends it, though nobody reads what it writes")
  func fullPipe() async throws {
    let directory = try TemporaryFolder()
    let script = """
      mkfifo "$1" "$2"; exec 3<>"$1" 4<>"$2"; echo /flood 100000 100000 >&4
      timeout -k 9 3 "$0" <&4 >&3 3<&- 4<&-; echo code $?
      """
    let finished = try await run(
      ["sh", "-c", script, ShellStage.fixture, directory.path("full"), directory.path("input")])
    #expect(finished.lines == ["code 124", ""])
  }

  @Test("what is no line is said")
  func refused() async throws {
    let long = String(repeating: "x", count: WireLimits.lineBytes + 5)
    let finished = try await run(
      ["sh", "-c", "printf 'a\\377b\\n'; cat | \"$0\"", ShellStage.fixture],
      input: long + "\nlast\n")
    #expect(finished.lines.contains("refused: lineTooLong(bytes: \(WireLimits.lineBytes + 5))"))
    #expect(finished.lines.contains("line: last"))
    let bad = try await Self.shell("", "printf 'a\\377b\\n' | \"$0\"")
    #expect(bad.lines.first == "refused: notUTF8(\"a\u{FFFD}b\")")
  }

  @Test("input that is no terminal, output that is one, and the other way round")
  func half() throws {
    let input = try PseudoTerminal(["sh", "-c", "echo hello | \"$0\"", ShellStage.fixture])
    #expect(try input.finish() == 0)
    #expect(input.screen.transcript == ["line: hello", "ended: true", "bye", ""])
    let output = try PseudoTerminal(["sh", "-c", "\"$0\" | cat", ShellStage.fixture])
    try output.send("hello\r")
    try output.see("line: hello")
    try output.send(Key.control("D"))
    #expect(try output.finish() == 0)
    // The terminal's own echo, and not one escape sequence.
    #expect(output.screen.transcript == ["hello", "line: hello", "ended: true", "bye", ""])
    #expect(!output.bytes.contains(0x1B))
  }

  @Test("a reader that goes is told to the shell")
  func outputCloses() async throws {
    let finished = try await run(
      [
        "bash", "-c", "{ yes | head -100000 | \"$0\"; echo ${PIPESTATUS[2]} >&2; } | head -1",
        ShellStage.fixture,
      ])
    #expect(finished.output == "line: y\n")
    #expect(finished.errors == "74\n")
  }

  @Test("signals end it in order", arguments: [SIGTERM, SIGINT, SIGHUP])
  func signals(number: Int32) throws {
    let child = try Child([ShellStage.fixture])
    try child.write("hello\n")
    try child.line(of: .output, containing: "line: hello")
    child.signal(number)
    try child.line(of: .output, containing: "signal: \(number)")
    #expect(try child.finish() == 0)
  }

  @Test("a hundred thousand lines are read in their order")
  func many() async throws {
    let finished = try await Self.shell("", "seq 100000 | \"$0\"")
    #expect(finished.lines.count == 100_003)
    #expect(finished.lines[99_999] == "line: 100000")
  }
}
