// Members made of nothing but a netcat that listens, and of one line that told the server so: each
// gets everything, before and after restarts of the server, and when it was away for a while.

import Foundation
import TestSupport
import Testing

/// A way to listen from a shell, for as long as it runs.
struct ListeningNetcat: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let command: @Sendable (_ port: UInt16) -> [String]
  var stream = Child.Stream.output

  private static func lasting(_ words: String...) -> ListeningNetcat {
    ListeningNetcat(testDescription: words.joined(separator: " ")) { words + [String($0)] }
  }

  /// Those that end with each connection are started again by the shell.
  private static func inLoop(_ words: String) -> ListeningNetcat {
    ListeningNetcat(testDescription: "\(words), in a loop") {
      ["sh", "-c", "while :; do \(words) \($0); done"]
    }
  }

  static let all = [
    lasting("nc.openbsd", "-lk"), lasting("ncat", "-lk"), inLoop("nc.traditional -l -p"),
    inLoop("busybox nc -l -p"),
    // Its program's standard output is the connection, so the lines go elsewhere.
    ListeningNetcat(
      testDescription: "busybox nc -ll -e",
      command: {
        ["busybox", "nc", "-ll", "-p", String($0), "-e", "sh", "-c", "cat >&2"]
      }, stream: .errors),
    ListeningNetcat(testDescription: "socat -u") {
      ["socat", "-u", "TCP-LISTEN:\($0),reuseaddr,fork", "STDOUT"]
    },
  ]
}

@Suite("A netcat that listens", .ownThread, .timeLimit(.minutes(20)))
struct ListeningTests {
  @Test("is a member, and gets everything once and in order", arguments: ListeningNetcat.all)
  func member(_ netcat: ListeningNetcat) async throws {
    let directory = try TemporaryDirectory()
    let port = try TestListener.unusedPort()
    var daemon = try Daemon(keepingIn: directory)
    var listener = try Child(netcat.command(port))
    let joining = """
      printf 'NICK carol\\nJOIN lobby :\(port)\\nQUIT\\n' | nc.openbsd 127.0.0.1 \(daemon.port)
      """
    #expect(
      try await run(["sh", "-c", joining]).lines.dropFirst() == [
        "OK NICK carol", "MEMBER lobby carol@127.0.0.1:\(port) online", "OK JOIN lobby 1",
        "OK QUIT", "",
      ])
    func hears(_ texts: String...) throws {
      for text in texts {
        let line = try listener.line(of: netcat.stream)
        #expect(line == ":alice@relay \(text)")
      }
    }

    var alice = try alice(at: daemon)
    // Kept where the netcat is not up yet, or is just being started again by its loop.
    for word in ["one", "two", "three"] {
      #expect(
        ["OK MSG lobby 1/1", "OK MSG lobby 0/1 kept 1"].contains(
          try alice.ask("MSG lobby \(word)")))
    }
    #expect(["OK PM carol", "OK PM carol kept"].contains(try alice.ask("PM carol just us")))
    try hears("MSG lobby one", "MSG lobby two", "MSG lobby three", "PM carol just us")

    daemon.stop()
    daemon = try Daemon(keepingIn: directory)
    alice = try self.alice(at: daemon)
    try alice.ask("MSG lobby after the restart")
    try hears("MSG lobby after the restart")

    // Her netcat is down for a while, and so is the server, without a warning.
    try listener.end()
    for word in ["four", "five"] {
      #expect(try alice.ask("MSG lobby \(word)") == "OK MSG lobby 0/1 kept 1")
    }
    daemon.stop(SIGKILL)
    daemon = try Daemon(keepingIn: directory)
    alice = try self.alice(at: daemon)
    #expect(try alice.ask("MSG lobby six") == "OK MSG lobby 0/1 kept 1")
    listener = try Child(netcat.command(port))
    try hears("MSG lobby four", "MSG lobby five", "MSG lobby six")
    try alice.ask("MSG lobby seven")
    try hears("MSG lobby seven")
    alice.close()
    daemon.stop()
    try listener.end()
    #expect(
      listener.text(of: netcat.stream).split(separator: "\n").filter { $0.hasPrefix(":") }
        == ["four", "five", "six", "seven"].map { ":alice@relay MSG lobby \($0)" })
  }

  private func alice(at daemon: Daemon) throws -> TestClient {
    let alice = try daemon.client()
    #expect(try alice.ask("NICK alice") == "OK NICK alice")
    return alice
  }
}
