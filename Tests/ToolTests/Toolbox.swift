// The commands as scripts start them: with nothing of this process's environment but what is given, and with
// profiles in a directory of the test's own.

import Foundation
import LineChat
import TestSupport

struct Toolbox {
  let directory: TemporaryDirectory
  let server: TestServer

  init(
    disk: TestDisk? = nil, _ change: (inout Server.Configuration) throws -> Void = { _ in }
  ) throws {
    directory = try TemporaryDirectory()
    let path = directory.path
    server = try TestServer(disk: disk) {
      if disk != nil { $0.dataDirectory = "\(path)/server" }
      try change(&$0)
    }
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

  private var settings: [String] {
    get throws {
      [
        "XDG_STATE_HOME=\(directory.path)", "TZ=UTC", "LINECHAT_SERVER=\(try server.address)",
        "PATH=/usr/bin:/bin", "LINECHAT_NAME=cron",
      ]
    }
  }

  /// Starts a command; `settings` come after those that all have, and win.
  func start(_ arguments: [String], _ settings: [String] = []) throws -> Child {
    try Child(["env", "-i"] + self.settings + settings + [Toolbox.program] + arguments)
  }

  /// Runs one to its end.
  func run(
    _ arguments: [String], input: String = "", _ settings: [String] = []
  ) throws -> Finished {
    let child = try start(arguments, settings)
    try child.write(input)
    child.closeInput()
    let code = try child.finish(within: .seconds(60))
    return Finished(
      exitCode: code, output: child.text(of: .output), errors: child.text(of: .errors))
  }

  /// Runs a line of shell, in which `$T` is the program.
  func shell(_ line: String, _ settings: [String] = []) throws -> Finished {
    let child = try Child(
      ["env", "-i"] + self.settings + settings
        + ["T=\(Toolbox.program)", "bash", "-o", "pipefail", "-c", line])
    child.closeInput()
    let code = try child.finish(within: .seconds(60))
    return Finished(
      exitCode: code, output: child.text(of: .output), errors: child.text(of: .errors))
  }

  /// A node in the profile of its name.
  func node(_ name: String, _ groups: [String] = ["lobby"]) throws -> TestNode {
    let node = try TestNode(name, server: try server.serverAddress, groups: groups) {
      $0.directory = "\(directory.path)/linechat/\(name)"
    }
    for group in groups { try node.waitUntilIn(group) }
    return node
  }

  /// Somebody who stays a member, and has gone.
  func leaveBehind(_ name: String, of group: String = "lobby") throws {
    let client = try server.client()
    try client.ask("NICK \(name)")
    try client.ask("JOIN \(group) relay")
    try client.send("QUIT\n")
    _ = try client.linesToEnd()
  }

  /// Waits until a guest is in a group: from then on it hears what is said there.
  func waitForMembers(_ count: Int, of group: String = "lobby") throws {
    let client = try server.client()
    try eventually("there are \(count) in \(group)") {
      try client.ask("MEMBERS \(group)") == "OK MEMBERS \(group) \(count)"
    }
  }
}
