// The commands where there is next to nothing around them: no environment, no home, no terminal, and
// standard streams that are closed.

import LineChat
import TestSupport
import Testing

@Suite("in cron's surroundings", .ownThread, .timeLimit(.minutes(20)))
struct CronTests {
  private let tools: Toolbox
  private let nc: TestClient

  init() throws {
    tools = try Toolbox()
    nc = try tools.server.member("nc")
  }

  /// With a line of shell that gives it its streams; `$T` is the program, `$S` the server's option.
  private func bare(_ line: String) throws -> Finished {
    let child = try Child([
      "env", "-i", "T=\(Toolbox.program)", "S=--server=\(try tools.server.address)", "/bin/sh",
      "-c",
      line,
    ])
    child.closeInput()
    let code = try child.finish(within: .seconds(60))
    return Finished(
      exitCode: code, output: child.text(of: .output), errors: child.text(of: .errors))
  }

  @Test(
    "each gives its exit code", arguments: ["", "<&- >&-", "</dev/null >/dev/null", "<&- >&- 2>&-"])
  func codes(streams: String) throws {
    for (command, code) in [
      ("send $S --group lobby hi", 0), ("send $S --group lobby", 2), ("send", 2),
      ("send --server 127.0.0.1:1 --group lobby hi", 3), ("members $S lobby", 0),
      ("members $S nobodyhome", 2), ("groups $S", 0), ("groups --json $S", 0), ("status $S", 0),
      ("status --server 127.0.0.1:1", 3), ("log", 2), ("tail $S --timeout 1s lobby", 1),
      ("tail $S", 2), ("run $S --group lobby -- sh -c 'cat; exit 7'", 7), ("run", 2),
      ("send --help", 0),
    ] as [(String, Int32)] {
      let finished = try bare("\"$T\" \(command) \(streams)")
      #expect(finished.exitCode == code, "\(command): \(finished.errors)")
    }
    try nc.line { $0.hasSuffix(" MSG lobby hi") }
  }

  @Test("in pipes, what is printed is all that comes out")
  func pipes() throws {
    #expect(try bare("\"$T\" groups $S | cat").output == "lobby 1\n")
    #expect(try bare("\"$T\" members $S lobby | cat").output == "nc@relay online\n")
    #expect(try bare("echo from a pipe | \"$T\" send $S --group lobby | cat").output == "")
    try nc.line { $0.hasSuffix(" MSG lobby from a pipe") }
    #expect(try bare("\"$T\" run $S --group lobby -- echo out | cat").output == "out\n")
  }

  @Test("a profile that is named is found without a home")
  func profile() throws {
    let node = try tools.node("alice")
    let data = "--data-dir \(tools.directory.path)/linechat --profile alice"
    let sent = try bare("\"$T\" send \(data) --group lobby hi <&- >&-")
    #expect(sent.exitCode == 0, "\(sent.errors)")
    try nc.line { $0.hasPrefix(":alice@127.0.0.1:") && $0.hasSuffix(" MSG lobby hi") }
    #expect(try bare("\"$T\" log \(data) lobby").output.hasSuffix(" #lobby <alice> hi\n"))
    #expect(try bare("\"$T\" status \(data)").output.hasPrefix("node: alice, "))
    // Named, and not to be found, it is a wrong call.
    let wrong = try bare("\"$T\" send $S --profile alice --group lobby hi")
    #expect(wrong.exitCode == 2)
    #expect(wrong.errors.contains("neither XDG_STATE_HOME nor HOME says"))
    node.stop()
  }
}
