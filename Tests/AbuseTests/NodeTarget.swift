// The node that is abused: `linechat node` as a process of its own.

import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport

final class NodeTarget {
  let program: Program
  let directory: TemporaryDirectory
  let port: UInt16
  let figures: ProcessFigures
  private let name: String

  init(
    _ name: String, of target: Target, in group: String, arguments: [String] = []
  ) throws {
    self.name = name
    directory = try TemporaryDirectory()
    program = try Program.node(
      [
        "--name", name, "--server", "\(target.address)", "--listen", "127.0.0.1:0", group,
      ] + arguments, in: directory)
    figures = ProcessFigures(of: program.child.process)
    let watcher = try target.client()
    var found: UInt16?
    try eventually(within: 40, "\(name) is in \(group)") {
      try watcher.send("MEMBERS \(group)\n")
      while let line = try watcher.line(), line.hasPrefix("MEMBER ") {
        // MEMBER lobby bob@127.0.0.1:4711 online tags
        let words = line.split(separator: " ")
        guard words[2].hasPrefix("\(name)@127.0.0.1:") else { continue }
        found = UInt16(words[2].split(separator: ":").last ?? "")
      }
      return found != nil
    }
    guard let found else { throw TestFailure("\(name) has no port") }
    port = found
  }

  /// A stranger at its port, who has been greeted.
  func stranger() throws -> TestClient {
    let client = try TestClient(ListenAddress(IPAddress(v4: 0x7F00_0001), port: port))
    try client.line(startingWith: "INFO linechat ")
    return client
  }

  /// Its own user.
  func owner() throws -> TestClient {
    let path = "\(directory.path)/linechat/\(name)/node.sock"
    try eventually("\(name) has its socket") { access(path, F_OK) == 0 }
    let client = try TestClient(try ListenAddress(parsing: "unix:\(path)"))
    try client.line(startingWith: "INFO linechat ")
    return client
  }
}
