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
  static func installed(in directory: TemporaryDirectory) async throws -> String {
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
}
