// The fixture in a terminal: typed into, and told through its named pipe what to show meanwhile.

import Foundation
import Glibc
import TestSupport

final class ShellStage {
  let terminal: PseudoTerminal
  private let control: Int32
  private let folder: TemporaryFolder

  /// The fixture lies beside the tests' own binary.
  static var fixture: String {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("ShellFixture").path
  }

  /// A terminal with the fixture in it, which is ready. With a `shell`, that is started, and is to
  /// start the fixture, whose path is in `$FIXTURE`.
  init(
    columns: Int = 80, rows: Int = 24, environment: [String: String?] = [:],
    inputrc: String = "", shell: [String]? = nil
  ) throws {
    folder = try TemporaryFolder()
    let pipe = folder.path("control")
    guard mkfifo(pipe, 0o600) == 0 else { throw TestFailure("no named pipe") }
    control = open(pipe, O_RDWR | O_NONBLOCK | O_CLOEXEC)
    try inputrc.write(toFile: folder.path("inputrc"), atomically: true, encoding: .utf8)
    let settings: [String: String?] = [
      "FIXTURE_CONTROL": pipe, "FIXTURE": ShellStage.fixture,
      "INPUTRC": folder.path("inputrc"), "PS1": "$ ", "HISTFILE": nil,
    ]
    terminal = try PseudoTerminal(
      shell ?? [ShellStage.fixture], columns: columns, rows: rows,
      environment: settings.merging(environment) { $1 })
    if shell == nil {
      try terminal.see("ready")
      try terminal.seeTyped("> ")
    }
  }

  deinit { close(control) }

  /// Has the fixture carry out a command while somebody types.
  func tell(_ command: String) throws {
    let bytes = Array((command + "\n").utf8)
    guard write(control, bytes, bytes.count) == bytes.count else {
      throw TestFailure("the fixture does not read what it is told")
    }
  }
}

/// A folder that goes with the test.
final class TemporaryFolder {
  private let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent(
      "linechat-shell-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}
