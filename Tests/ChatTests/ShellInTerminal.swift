// `linechat` as a person has it: a process of its own in a terminal, with a profile in a directory of
// the test's, and a server.

import Foundation
import Glibc
import LineChat
import TestSupport

final class ShellInTerminal {
  let terminal: PseudoTerminal

  /// Starts it; it may not be ready yet. Without a name it takes the login name.
  init(
    _ name: String?, _ server: String, in directory: TemporaryDirectory,
    _ arguments: [String] = [], columns: Int = 110, rows: Int = 30,
    environment: [String: String?] = [:], by starter: [String] = []
  ) throws {
    let options = ["--server", server] + (name.map { ["--name", $0] } ?? [])
    terminal = try PseudoTerminal(
      starter + [try ShellInTerminal.program] + options + arguments, columns: columns, rows: rows,
      environment: ShellInTerminal.surroundings(directory).merging(environment) { $1 })
  }

  /// In a group, with the prompt that says so.
  static func member(
    _ name: String, _ server: TestServer, in directory: TemporaryDirectory,
    _ group: String = "lobby", columns: Int = 110, rows: Int = 30,
    environment: [String: String?] = [:]
  ) throws -> ShellInTerminal {
    let shell = try ShellInTerminal(
      name, "\(server.address)", in: directory, [group], columns: columns, rows: rows,
      environment: environment)
    try shell.sees("you are in \(group)")
    try shell.terminal.seeTyped("[\(group)] ")
    return shell
  }

  /// Beside the tests' own binary.
  static var program: String {
    get throws {
      let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("linechat").path
      guard access(path, X_OK) == 0 else { throw TestFailure("there is no \(path)") }
      return path
    }
  }

  /// Nothing of whoever runs the tests.
  static func surroundings(_ directory: TemporaryDirectory) -> [String: String?] {
    var settings: [String: String?] = [
      "XDG_STATE_HOME": directory.path, "TZ": "UTC", "NO_COLOR": nil,
    ]
    for name in ProcessInfo.processInfo.environment.keys where name.hasPrefix("LINECHAT_") {
      settings.updateValue(nil, forKey: name)
    }
    return settings
  }

  /// Types a line and Enter.
  func types(_ line: String) throws { try terminal.send(line + "\r") }

  /// Waits for a row with that text in it, on the screen or above.
  @discardableResult
  func sees(_ text: String, count: Int = 1) throws -> Screen {
    try terminal.wait(for: "\(count) rows with '\(text)'") {
      ($0.scrolledOff + $0.lines).count { $0.contains(text) } >= count
    }
  }

  /// Types a line, and waits for what is to be seen then.
  func types(_ line: String, sees text: String) throws {
    try types(line)
    try sees(text)
  }

  /// Ends it, and gives its exit code.
  func quits() throws -> Int32 {
    try types("/quit")
    return try terminal.finish()
  }
}

/// `linechat` as a script has it: lines in, lines out.
struct PipedShell {
  let child: Child

  init(
    _ server: String, _ arguments: [String], in directory: TemporaryDirectory,
    environment: [String: String] = [:]
  ) throws {
    var settings = environment
    settings["XDG_STATE_HOME"] = directory.path
    settings["TZ"] = "UTC"
    let words = settings.map { "\($0.key)=\($0.value)" }.sorted()
    child = try Child(
      ["env", "-i"] + words + [try ShellInTerminal.program, "--server", server] + arguments)
  }

  /// All of its input at once; its exit code, and what it said.
  func runs(_ input: String) throws -> (code: Int32, output: String, errors: String) {
    try child.write(input)
    child.closeInput()
    let code = try child.finish(within: .seconds(40))
    return (code, child.text(of: .output), child.text(of: .errors))
  }
}
