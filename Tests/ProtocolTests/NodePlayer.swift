// A node in a transcript: a real one, in this process, with a directory of its own, that can be
// stopped and started again at the same address.

import LineChat
import LineChatCore
import TestSupport

final class NodePlayer {
  let port: UInt16
  private let name: String
  private let group: String
  private let host: String
  private let server: ServerAddress
  private let directory: TemporaryDirectory
  private var running: TestNode?

  /// Returns when it is in the group.
  init(
    _ name: String, in group: String, at host: String, port: UInt16?, _ server: TestServer
  ) throws {
    self.name = name
    self.group = group
    self.host = host
    self.server = try server.serverAddress
    self.port = try port ?? TestListener.unusedPort()
    directory = try TemporaryDirectory()
    try start()
    try node().waitUntilIn(group)
  }

  func start() throws {
    let address = try ListenAddress(parsing: "\(host):\(port)")
    running = try TestNode(name, server: server, in: directory, groups: [group]) {
      $0.listening = .at(address)
    }
  }

  func stop() {
    running?.stop()
    running = nil
  }

  private func node() throws -> TestNode {
    guard let running else { throw TestFailure("\(name) does not run") }
    return running
  }

  /// Waits until it can say something to the other one.
  func knows(_ other: String) throws {
    try eventually(within: 30, "\(name) knows \(other)") {
      try node().status().contacts.contains { contact in
        contact.member.name.description == other
          && (contact.isOnline || contact.member.place != .relay)
      }
    }
  }

  func connection(from source: String?) throws -> TestClient {
    let address = try ListenAddress(parsing: "\(host):\(port)")
    guard let source else { return try TestClient(address) }
    guard let ip = IPAddress(source) else { throw TestFailure("\(source) is no address") }
    return try TestClient(address, from: ip)
  }

  func ownersConnection() throws -> TestClient {
    try TestClient(ListenAddress(parsing: "unix:\(directory.path)/node.sock"))
  }
}
