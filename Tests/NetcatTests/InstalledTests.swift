// What examples/install.sh has installed: the manual pages, and what shells complete of it.

import Foundation
import TestSupport
import Testing

/// A prefix with everything in it, made once for the suite: it takes two seconds of a processor.
private struct Installation: SuiteTrait, TestScoping {
  @TaskLocal private static var current: String?

  static func prefix() throws -> String {
    guard let current else { throw TestFailure("nothing is installed") }
    return current
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    let prefix = try await InstallTests.installed(in: directory)
    try await Installation.$current.withValue(prefix) { try await function() }
  }
}

@Suite("What install.sh has installed", .ownThread, Installation(), .timeLimit(.minutes(20)))
struct InstalledTests {
  @Test("the manual pages are clean, and say what there is to know")
  func pages() async throws {
    let prefix = try Installation.prefix()
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
    let prefix = try Installation.prefix()
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
    let prefix = try Installation.prefix()
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
    let prefix = try Installation.prefix()
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
