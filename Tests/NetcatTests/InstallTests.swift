// examples/install.sh: into an empty prefix and out of it again, with the programs that the tests were
// built with.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("install.sh", .ownThread, .timeLimit(.minutes(20)))
struct InstallTests {
  /// Where the programs of this build are.
  private static let built = (Daemon.path as NSString).deletingLastPathComponent
  private static let files = [
    "bin/linechat", "bin/linechatd", "share/bash-completion/completions/linechat",
    "share/bash-completion/completions/linechatd", "share/fish/vendor_completions.d/linechat.fish",
    "share/fish/vendor_completions.d/linechatd.fish", "share/linechat/installed",
    "share/man/man1/linechat.1", "share/man/man8/linechatd.8",
    "share/zsh/site-functions/_linechat", "share/zsh/site-functions/_linechatd",
  ]

  private static func install(_ words: [String]) async throws -> Finished {
    try await run(
      [ExampleTests.example("install.sh")] + words, environment: ["LINECHAT_BUILT": built],
      within: .seconds(120))
  }

  private static func found(in path: String) -> [String] {
    let all = FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []
    return all.filter {
      var isDirectory: ObjCBool = false
      return FileManager.default.fileExists(atPath: "\(path)/\($0)", isDirectory: &isDirectory)
        && !isDirectory.boolValue
    }.sorted()
  }

  /// A prefix with everything in it, in a directory that must not go before it.
  private static func installed(in directory: TemporaryDirectory) async throws -> String {
    let prefix = "\(directory.path)/a b/usr"
    let finished = try await install(["--prefix", prefix])
    guard finished.exitCode == 0 else { throw TestFailure("\(finished)") }
    return prefix
  }

  @Test("programs, pages and completions come, and go without a trace")
  func comesAndGoes() async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let prefix = try await Self.installed(in: directory)
    #expect(Self.found(in: prefix) == Self.files)
    for program in ["linechat", "linechatd"] {
      let version = try await run(["\(prefix)/bin/\(program)", "--version"])
      #expect(version.output == "\(program) \(lineChatVersion)\n")
    }
    // Twice is as good as once, also while a program runs.
    let child = try Child(["\(prefix)/bin/linechatd", "--memory", "--listen", "127.0.0.1:0"])
    try child.line(of: .errors, containing: "listening on 127.0.0.1:")
    let again = try await Self.install(["--prefix", "\(prefix)/"])
    #expect(again.exitCode == 0, "\(again)")
    #expect(Self.found(in: prefix) == Self.files)
    child.signal(SIGTERM)
    #expect(try child.finish() == 0)

    let gone = try await Self.install(["--prefix", prefix, "--uninstall"])
    #expect(gone.exitCode == 0, "\(gone)")
    #expect(gone.output.contains("removed from \(prefix): 10 files"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    let nothing = try await Self.install(["--prefix", prefix, "--uninstall"])
    #expect(nothing.exitCode == 1)
    #expect(nothing.errors.contains("nothing that this script has installed"))
  }

  @Test("what others have put there stays")
  func leavesOthersAlone() async throws {
    let directory = try TemporaryDirectory()
    let prefix = directory.path
    let files = FileManager.default
    try files.createDirectory(atPath: "\(prefix)/bin", withIntermediateDirectories: true)
    #expect(try await Self.install(["--prefix", prefix]).exitCode == 0)
    try Data("other".utf8).write(to: URL(fileURLWithPath: "\(prefix)/share/man/man1/other.1"))
    #expect(try await Self.install(["--prefix", prefix, "--uninstall"]).exitCode == 0)
    // The directory that was there before is empty, and still there.
    #expect(try files.contentsOfDirectory(atPath: prefix).sorted() == ["bin", "share"])
    #expect(try files.contentsOfDirectory(atPath: "\(prefix)/bin") == [])
    #expect(Self.found(in: prefix) == ["share/man/man1/other.1"])
    #expect(try files.contentsOfDirectory(atPath: "\(prefix)/share") == ["man"])
  }

  @Test("the manual pages are clean, and say what there is to know")
  func pages() async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let prefix = try await Self.installed(in: directory)
    let pages = ["man1/linechat.1": "LINECHAT_SERVER", "man8/linechatd.8": "LINECHATD_LISTEN"]
    for (page, variable) in pages {
      let path = "\(prefix)/share/man/\(page)"
      let lint = try await run(["mandoc", "-Tlint", path])
      // The other page is installed where mandoc does not look.
      let faults = lint.lines.filter { !$0.isEmpty && !$0.contains("referenced manual not found") }
      #expect(faults == [], "\(lint)")
      let shown = try await run(
        ["man", "-l", path], environment: ["MANWIDTH": "80", "MANPAGER": "cat", "LC_ALL": "C"])
      #expect(shown.exitCode == 0, "\(shown.errors)")
      for part in ["NAME", "SYNOPSIS", "COMMANDS", "OPTIONS", "ENVIRONMENT", "SEE ALSO", variable] {
        #expect(shown.output.contains(part), "\(part)")
      }
    }
    let shell = try await run(
      ["man", "-P", "cat", "linechat"], environment: ["MANPATH": "\(prefix)/share/man"])
    #expect(shell.output.contains("--announce address"), "\(shell.output)")
  }

  @Test(
    "a bash completes options, groups and profiles",
    arguments: [
      ("linechat --ser", "linechat --server "), ("linechat chat --ser", "linechat chat --server "),
      ("linechat no", "linechat node "), ("linechat lob", "linechat lobby "),
      ("linechat --server x --prof", "linechat --server x --profile "),
      ("linechat --profile al", "linechat --profile alice "),
      ("linechat node --log-format j", "linechat node --log-format json "),
      ("linechatd --max-l", "linechatd --max-line "), ("linechatd mem", "linechatd members "),
    ])
  func bash(typed: String, completed: String) async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let prefix = try await Self.installed(in: directory)
    try Self.makeProfile(in: directory)
    let shell = try PseudoTerminal(
      ["bash", "--norc", "--noprofile", "-i"],
      environment: Self.surroundings(prefix, directory).merging(["PS1": "$ "]) { $1 })
    try shell.seeTyped("$ ")
    let scripts = "\(prefix)/share/bash-completion/completions"
    try shell.send("clear; . '\(scripts)/linechat'; . '\(scripts)/linechatd'; echo ready\r")
    try shell.see("ready")
    try shell.seeTyped("$ ")
    try shell.send("\(typed)\t")
    try shell.seeTyped("$ \(completed)")
  }

  @Test(
    "a zsh does, too",
    arguments: [
      ("linechat --ser", "linechat --server "),
      ("linechat node --prof", "linechat node --profile "),
      ("linechat --server x lob", "linechat --server x lobby "),
      ("linechatd --max-l", "linechatd --max-line "),
    ])
  func zsh(typed: String, completed: String) async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let prefix = try await Self.installed(in: directory)
    try Self.makeProfile(in: directory)
    let shell = try PseudoTerminal(
      ["zsh", "-f", "-i"],
      environment: Self.surroundings(prefix, directory).merging(["TERM": "dumb"]) { $1 })
    try shell.send(
      "PS1='> '; unsetopt zle_bracketed_paste; fpath=('\(prefix)/share/zsh/site-functions' $fpath)\r"
    )
    try shell.send("autoload -U compinit && compinit -D && echo rea''dy\r")
    try shell.wait(for: "ready") { $0.lines.contains("ready") && $0.cursorLine == ">" }
    try shell.send("\(typed)\t")
    try shell.wait(for: completed) { ($0.cursorLine + " ").hasSuffix("> \(completed)") }
  }

  @Test(
    "and so does a fish",
    arguments: [
      ("linechat --ser", "linechat --server"), ("linechat node --prof", "linechat node --profile"),
      ("linechat lob", "linechat lobby"),
      ("linechat --server x --rel", "linechat --server x --relay"),
      ("linechat --profile al", "linechat --profile alice"),
      ("linechatd --max-l", "linechatd --max-line"), ("linechatd mem", "linechatd members"),
    ])
  func fish(typed: String, completed: String) async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let prefix = try await Self.installed(in: directory)
    try Self.makeProfile(in: directory)
    let shell = try PseudoTerminal(
      ["fish", "--no-config", "-i"], columns: 200,
      environment: Self.surroundings(prefix, directory).merging(["TERM": "dumb"]) { $1 })
    let scripts = "\(prefix)/share/fish/vendor_completions.d"
    try shell.send("function fish_prompt; echo '> '; end\r")
    try shell.send("source '\(scripts)/linechat.fish'; source '\(scripts)/linechatd.fish'\r")
    try shell.send("echo rea''dy\r")
    try shell.wait(for: "ready") { $0.lines.contains("ready") && $0.cursorLine == ">" }
    try shell.send("\(typed)\t")
    try shell.wait(for: completed) { $0.cursorLine == "> \(completed)" }
  }

  @Test("says what is wrong with its options")
  func wrongOptions() async throws {
    let directory = try TemporaryDirectory()
    for wrong in [
      ["--what"], ["--prefix"], ["--prefix", ""], ["--prefix", "/"],
      ["--static", "--prefix", directory.path],
      ["--prefix", directory.path, "--from", directory.path],
    ] {
      let finished = try await Self.install(wrong)
      #expect(finished.exitCode == 1, "\(wrong)")
      #expect(finished.errors.hasPrefix("install.sh: "), "\(finished)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    for (program, reason) in [("/bin/false", "failed"), ("/nowhere", "can't be run")] {
      let finished = try await run(["\(Self.built)/linechat-kit", "man", program])
      #expect(finished.exitCode == 64 && finished.output == "")
      #expect(finished.errors.contains(reason), "\(finished)")
    }
    let help = try await Self.install(["--help"])
    #expect(help.exitCode == 0)
    #expect(help.output.contains("--uninstall") && !help.output.contains("set -eu"))
  }

  /// A profile that has been in a group.
  private static func makeProfile(in directory: TemporaryDirectory) throws {
    let logs = "\(directory.path)/state/linechat/alice/log"
    try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
    for name in ["lobby.log", "lobby.log.1", "@bob.log"] {
      try Data().write(to: URL(fileURLWithPath: "\(logs)/\(name)"))
    }
  }

  private static func surroundings(
    _ prefix: String, _ directory: TemporaryDirectory
  ) -> [String: String?] {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return [
      "PATH": "\(prefix)/bin:\(path)", "XDG_STATE_HOME": "\(directory.path)/state",
      "HOME": directory.path,
    ]
  }
}
