// The scripts in examples/, run as their users run them, against a real linechatd.

import Foundation
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("The examples", .ownThread, .timeLimit(.minutes(20)))
struct ExampleTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("examples")

  static func example(_ name: String) -> String { folder.appendingPathComponent(name).path }

  /// The tests' own build of what the examples would build.
  private static let programs = [
    "LINECHATD": Daemon.path,
    "LINECHAT": URL(fileURLWithPath: Daemon.path).deletingLastPathComponent()
      .appendingPathComponent("linechat").path,
  ]

  private static func notify(
    _ daemon: Daemon, _ words: [String], input: String = "", shell: [String] = []
  ) async throws -> Finished {
    try await run(
      shell + [example("notify.sh"), "--server", "127.0.0.1:\(daemon.port)"] + words, input: input)
  }

  @Test("quickstart.sh --once shows every line and leaves nothing behind")
  func quickstartOnce() async throws {
    let finished = try await run(
      [Self.example("quickstart.sh"), "--once"], environment: Self.programs,
      within: .seconds(60))
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(finished.output.contains(":alice@relay MSG lobby hello, bob"))
    #expect(finished.output.contains(":carol@relay MSG lobby hello from"))
    #expect(finished.output.contains("== every line arrived"))
  }

  @Test("quickstart.sh without a terminal stays up for its user, and Ctrl-C ends all of it")
  func quickstart() throws {
    let script = try Child(
      [Self.example("quickstart.sh"), "--port", "0"], environment: Self.programs)
    let line = try script.line(of: .output, containing: "listens on 127.0.0.1:")
    let port = try #require(line.split(separator: ":").last.flatMap { UInt16($0) })
    try script.line(of: .output, containing: "Ctrl-C ends the server")

    // Carol does what she is told, and bob answers.
    let address = ListenAddress(IPAddress(v4: 0x7F00_0001), port: port)
    let carol = try TestClient(address)
    #expect(try carol.ask("NICK carol") == "OK NICK carol")
    #expect(try carol.ask("JOIN lobby") == "OK JOIN lobby 2")
    #expect(try carol.ask("MSG lobby hello from carol") == "OK MSG lobby 1/1")
    #expect(
      try carol.line(startingWith: ":bob@")
        == ":bob@relay MSG lobby my netcat shows: :carol@relay MSG lobby hello from carol")

    script.signal(SIGINT)
    #expect(try script.finish() == 0)
    #expect(script.text(of: .output).contains("== ended"))
    #expect(throws: TestFailure.self) { try TestClient(address) }
  }

  @Test("quickstart.sh at a terminal ends in the shell, where a netcat answers")
  func quickstartShell() throws {
    let terminal = try PseudoTerminal(
      [Self.example("quickstart.sh"), "--port", "0"], columns: 100, rows: 50,
      environment: Self.programs)
    func sees(_ text: String) throws {
      try terminal.wait(for: text) { screen in
        (screen.scrolledOff + screen.lines).contains { $0.contains(text) }
      }
    }
    try sees("you are in lobby with bob")
    // Ctrl-C throws away what was typed, and nothing else ends by it.
    try terminal.send("nonsense")
    try sees("] nonsense")
    try terminal.send("\u{3}hello\r")
    try sees("<bob> my netcat shows: :")
    try terminal.send("/pm bo\t")
    try terminal.wait(for: "bob completed") { $0.lines.contains { $0.hasSuffix("/pm bob") } }
    try terminal.send("psst\r")
    try sees("[bob -> you] my netcat shows: :")
    try terminal.send("/quit\r")
    try sees("== ended: the server, the netcats and what they kept are gone")
    #expect(try terminal.finish() == 0)
  }

  @Test("three-peers.sh --once: each line arrives, also while the server is gone")
  func threePeers() async throws {
    let finished = try await run(
      [Self.example("three-peers.sh"), "--once"], environment: Self.programs, within: .seconds(200))
    #expect(finished.exitCode == 0, "\(finished.output) \(finished.errors)")
    #expect(finished.output.contains("== carol: without a server, carol\n"))
    #expect(finished.output.hasSuffix("== every line arrived\n"))
  }

  @Test("screen.sh shows a shell in the middle of a conversation")
  func screen() async throws {
    let finished = try await run(
      [Self.example("screen.sh")], environment: Self.programs, within: .seconds(200))
    #expect(finished.exitCode == 0, "\(finished.errors)")
    let lines = finished.output.split(separator: "\n")
    #expect(lines.last == "[ops lobby:1!] on it")
    #expect(lines.contains { $0.hasSuffix(" #lobby <bob> alice: coffee?") })
  }

  /// A shell that takes its time over what it writes when its terminal goes.
  @Test("screen.sh ends after its shells, and leaves nothing behind")
  func screenEnds() async throws {
    let directory = try TemporaryDirectory()
    let temporary = "\(directory.path)/temporary"
    try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: false)
    let slow = "\(directory.path)/linechat"
    let script = """
      #!/bin/sh
      trap : HUP
      "$REAL" "$@"
      for _ in 1 2 3 4 5; do
        sleep 0.1
        for work in "$TMPDIR"/*; do mkdir -p "$work/profiles/late"; done
      done
      """
    // Not by this process: whoever another test starts meanwhile would have it open for writing for a
    // moment, and nobody can run it then.
    _ = try await run(["sh", "-c", "cat >'\(slow)' && chmod +x '\(slow)'"], input: script)
    var environment = Self.programs
    environment["REAL"] = environment["LINECHAT"]
    environment["LINECHAT"] = slow
    environment["TMPDIR"] = temporary
    let finished = try await run(
      [Self.example("screen.sh")], environment: environment, within: .seconds(200))
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(processes(with: "TMPDIR=\(temporary)") == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporary) == [])
  }

  @Test("notify.sh says one thing", arguments: [[], ["sh"], ["dash"], ["busybox", "sh"]])
  func notify(shell: [String]) async throws {
    let daemon = try Daemon()
    let listener = try PipedTests.listener(daemon)
    let words = try await Self.notify(
      daemon, ["--group", "ops", "--name", "db3", "disk", "is full"], shell: shell)
    #expect(words.exitCode == 0, "\(words.errors)")
    #expect(words.output == "")
    #expect(try listener.line() == ":db3@relay MSG ops disk is full")

    let piped = try await Self.notify(
      daemon, ["--group", "#ops"], input: "two\nlines\n", shell: shell)
    #expect(piped.exitCode == 0, "\(piped.errors)")
    #expect(try listener.line() == ":notify@relay MSG ops two lines")
  }

  @Test(
    "notify.sh takes out what is refused",
    arguments: [
      ("a\u{1B}[31mred\u{07}\u{7F}", "a[31mred"), ("a\tb\r\nc", "a\tb  c"),
      ("\u{9B}31m \u{85}x\u{2028}\u{202E}y\u{2066}\u{2069}", "31m xy"),
      ("größe 你好 🙂", "größe 你好 🙂"),
      ("NICK x\nQUIT\nMSG ops y", "NICK x QUIT MSG ops y"), ("  two  spaces  ", "  two  spaces"),
      ("$(id) `id` \\n %s 'q' \"q\" *", "$(id) `id` \\n %s 'q' \"q\" *"),
    ])
  func nasty(_ text: String, _ heard: String) async throws {
    let daemon = try Daemon()
    let listener = try PipedTests.listener(daemon)
    let finished = try await Self.notify(daemon, ["--group", "ops"], input: text)
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(try listener.line() == ":notify@relay MSG ops \(heard)")
    let asWords = try await Self.notify(daemon, ["--group", "ops", "--", text])
    #expect(asWords.exitCode == 0, "\(asWords.errors)")
    #expect(try listener.line() == ":notify@relay MSG ops \(heard)")
  }

  @Test("notify.sh takes out bytes that are not UTF-8, and bounds the length")
  func bytes() async throws {
    let daemon = try Daemon()
    let listener = try PipedTests.listener(daemon)
    // The octal escapes are printf's: stray bytes, half a character, a surrogate, six bytes.
    let script = """
      printf '\\377\\364caf\\351 ok\\0\\342\\202 \\355\\240\\200\\374\\204\\200\\200\\200\\200.' \
      | '\(Self.example("notify.sh"))' --server 127.0.0.1:\(daemon.port) --group ops
      """
    #expect(try await run(["sh", "-c", script]).exitCode == 0)
    #expect(try listener.line() == ":notify@relay MSG ops caf ok .")

    let long = String(repeating: "ö", count: 100_000)
    #expect(try await Self.notify(daemon, ["--group", "ops"], input: long).exitCode == 0)
    #expect(
      try listener.line() == ":notify@relay MSG ops " + String(repeating: "ö", count: 2_000) + "…")
  }

  @Test("notify.sh's exit code says whether it was taken")
  func notifyExitCodes() async throws {
    let daemon = try Daemon()
    let refused = try await Self.notify(daemon, ["--group", "ops", "hello"])
    #expect(refused.exitCode == 1)
    #expect(refused.errors.contains("ERR no-such-group MSG"))
    for wrong in [["hello"], ["--group", "ops", " "], ["--group", "a b", "c"], ["--what", "x"]] {
      #expect(try await Self.notify(daemon, wrong).exitCode == 2, "\(wrong)")
    }
    let away = try daemon.client()
    #expect(try away.ask("JOIN ops relay") == "OK JOIN ops 1")
    try away.ask("QUIT")
    #expect(try await Self.notify(daemon, ["--group", "ops", "hello"]).exitCode == 0)
    daemon.stop()
    #expect(try await Self.notify(daemon, ["--group", "ops", "hello"]).exitCode == 3)
  }

  @Test("wait-for.sh prints what comes", arguments: [[], ["dash"], ["busybox", "sh"]])
  func waitFor(shell: [String]) async throws {
    let daemon = try Daemon()
    let listener = try PipedTests.listener(daemon)
    let running = Running(
      shell + [
        Self.example("wait-for.sh"), "--server", "127.0.0.1:\(daemon.port)", "--group", "ops",
      ])
    #expect(try listener.line()?.hasSuffix(" JOIN ops") == true)
    try listener.send("NICK alice\nMSG ops web is out\n")
    let finished = try await running.finished
    #expect(finished.output == ":alice@relay MSG ops web is out\n")
    #expect(finished.exitCode == 0)
  }

  @Test("wait-for.sh gives up in time")
  func waitForNothing() async throws {
    let daemon = try Daemon()
    let script = Self.example("wait-for.sh")
    let server = ["--server", "127.0.0.1:\(daemon.port)"]
    let nothing = try await run([script, "--group", "ops", "--timeout", "1"] + server)
    #expect(nothing.exitCode == 1)
    #expect(nothing.output == "" && nothing.errors == "")
    #expect(try await run([script, "--timeout", "1"] + server).exitCode == 2)
    #expect(try await run([script, "--group", "ops", "--timeout", "x"] + server).exitCode == 2)
    daemon.stop()
    #expect(try await run([script, "--group", "ops", "--timeout", "1"] + server).exitCode == 3)
  }

  @Test("the systemd unit is one that systemd understands")
  func unit() async throws {
    guard (try? Child.find("systemd-analyze")) != nil else { return }
    // The program is not installed where the unit will look for it; everything else is checked.
    let unit = try String(
      contentsOfFile: Self.example("systemd/linechatd.service"), encoding: .utf8)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "linechat-unit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let copy = folder.appendingPathComponent("linechatd.service")
    try unit.replacing("/usr/local/bin/linechatd", with: Daemon.path)
      .write(to: copy, atomically: true, encoding: .utf8)
    let finished = try await run(["systemd-analyze", "verify", copy.path])
    #expect(finished.exitCode == 0, "\(finished.errors)")
  }
}
