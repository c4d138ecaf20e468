// The user's own command for mentions: when it is called for, what it is told, how often it runs.

import Foundation
import Glibc
import LineChat
import LineProtocol
import Logging
import Synchronization
import TestSupport
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("the command for mentions", .ownThread, .timeLimit(.minutes(20)))
struct MentionTests {
  @Test("what calls for it: one's name, or a private message; not oneself, not who is ignored")
  func causes() {
    var stage = ModelStage.inLobby(memory: ShellMemory(ignored: [name("carol")])) {
      $0.tellsMentions = true
    }
    stage.hear("hello", from: "bob")
    stage.hear("alice: one", from: "carol")
    stage.hear("two", from: "carol", in: "@carol")
    stage.hear(.message(stage.message("alice: me", from: "alice", in: "lobby", path: .own)))
    #expect(stage.mentions.isEmpty)
    stage.hear("hi, Alice!", from: "bob", in: "dev")
    stage.hear("psst", from: "bob", in: "@bob")
    #expect(stage.mentions.map(\.from) == ["bob", "bob"])
    #expect(stage.mentions.map(\.group) == [group("dev"), nil])
    #expect(stage.mentions.map(\.text) == ["hi, Alice!", "psst"])
  }

  @Test("without a command nothing is told")
  func none() {
    var stage = ModelStage.inLobby()
    stage.hear("alice!", from: "bob")
    #expect(stage.mentions.isEmpty)
    #expect(stage.bells == 1)
  }

  @Test("what it is told: no controls, nothing without end, and who it was where that is certain")
  func variables() {
    var stage = ModelStage.inLobby { $0.tellsMentions = true }
    stage.hear("alice\u{1B}]0;x\u{7}\ta\nb\u{202E}", from: "bob")
    #expect(
      stage.mentions.first?.variables.map { "\($0.name)=\($0.value)" } == [
        "LINECHAT_FROM=bob", "LINECHAT_GROUP=lobby",
        #"LINECHAT_TEXT=alice\u{1b}]0;x\u{7}\ta\nb\u{202e}"#,
        "LINECHAT_TIME=2026-11-22T12:34:56.000000Z",
      ])
    stage.hear(String(repeating: "é", count: 30_000), from: "bob", in: "@bob")
    let long = stage.mentions.last?.text ?? ""
    #expect(long.utf8.count <= 8_192 && long.utf8.count > 8_180)
    #expect(long.hasSuffix("é…"))
    var message = stage.message("who am I?", from: "bob", in: "@bob")
    message.isUnverified = true
    message.unverifiedAddress = IPAddress("10.0.0.9")
    stage.hear(.message(message))
    #expect(stage.mentions.last?.from == "unverified, from 10.0.0.9")
    #expect(stage.mentions.last?.variables[1].value == "")
  }

  @Test("one at a time, some time apart, and one that does not end is stuck")
  func pace() {
    var pace = MentionPace(gap: .seconds(2), longest: .seconds(60))
    let start = ContinuousClock.now
    #expect(pace.verdict(start) == .run)
    #expect(pace.verdict(start + .seconds(1)) == .busy)
    #expect(pace.verdict(start + .seconds(59)) == .busy)
    #expect(pace.verdict(start + .seconds(60)) == .stuck)
    #expect(pace.skipped == 3)
    pace.ended()
    #expect(pace.verdict(start + .seconds(61)) == .run)
    #expect(pace.skipped == 0)
    pace.ended()
    #expect(pace.verdict(start + .seconds(62)) == .tooSoon)
    #expect(pace.verdict(start + .seconds(63)) == .run)
  }

  private func mention(_ text: String) -> Mention {
    var stage = ModelStage()
    return Mention(stage.message(text, from: "bob", in: "lobby"), from: "bob")
  }

  @Test("it runs without a terminal, without our descriptors, and leaves no zombie")
  func surroundings() throws {
    let directory = try TemporaryFolder()
    let log = Lines()
    let path = directory.path("out")
    setenv("LINECHAT_ON_MENTION", "no loop", 1)
    defer { unsetenv("LINECHAT_ON_MENTION") }
    let command = MentionCommand(
      """
      exec > '\(path).part'
      echo "loop: ${LINECHAT_ON_MENTION-none}"
      ls /proc/self/fd | wc -l
      (echo x > /dev/tty) 2> /dev/null && echo terminal || echo no terminal
      cat
      echo "own: $(ps -o sid= -p $$ | tr -d ' ') $$"
      mv '\(path).part' '\(path)'; exit 3
      """, logger: log.logger)
    command.run(mention("hi"))
    try eventually("it ended") { log.text.contains("ended with exit code 3") }
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    // ls has its three streams, and the directory that it lists.
    #expect(lines.prefix(3) == ["loop: none", "4", "no terminal"])
    let session = lines.last?.split(separator: " ").dropFirst() ?? []
    #expect(session.count == 2 && session.first == session.last)
    #expect(session.last.flatMap { pid_t($0) }.map { kill($0, 0) } == -1)
  }

  @Test("many at once: one runs, the log says what was left out; a stuck one is killed")
  func many() throws {
    let directory = try TemporaryFolder()
    let log = Lines()
    let path = directory.path("out")
    let command = MentionCommand(
      "echo \"$LINECHAT_TEXT\" >> '\(path)'; [ \"$LINECHAT_TEXT\" != stuck ] || sleep 600",
      logger: log.logger, gap: .milliseconds(1), longest: .milliseconds(50))
    command.run(mention("stuck"))
    command.run(mention("left out"))
    try eventually("the stuck one is killed") {
      command.run(mention("next"))
      return (try? String(contentsOfFile: path, encoding: .utf8))?.contains("next") == true
    }
    #expect(log.text.contains("on-mention: bob in lobby is left out, as the command still runs"))
    #expect(log.text.contains("on-mention: the command did not end, and is killed"))
    #expect(log.text.contains("on-mention: the command was ended by signal 9"))
    command.end()
  }
}

/// A log in memory.
private final class Lines: Sendable {
  private let lines = Mutex<[String]>([])

  var text: String { lines.withLock { $0.joined(separator: "\n") } }

  var logger: Logger {
    var logger = Logger(label: "test") { _ in Handler(lines: self) }
    logger.logLevel = .debug
    return logger
  }

  private struct Handler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.message)") } }
  }
}
