// What the README says of ssh: a port that is forwarded to the server's machine, or to the server's
// socket there. ssh is played by socat, which does the same to the bytes.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("Through a forwarded port", .ownThread, .timeLimit(.minutes(20)))
struct TunnelTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  /// Everything that comes to the port goes to `target`, until the child is gone.
  private func tunnel(_ port: UInt16, to target: String) throws -> Child {
    let child = try Child(["socat", "TCP-LISTEN:\(port),bind=127.0.0.1,reuseaddr,fork", target])
    try eventually(within: 20, "the tunnel stands") {
      (try? TestClient(ListenAddress(parsing: "127.0.0.1:\(port)"))) != nil
    }
    return child
  }

  private func node(_ name: String, _ server: String, _ options: [String]) throws -> Child {
    try Child(
      [
        "env", "-i", try Repository.program("linechat"), "node", "--server", server, "--name", name,
        "--data-dir", directory.path,
      ] + options + ["lobby"])
  }

  private func owner(_ name: String) throws -> TestClient {
    let client = try TestClient(
      ListenAddress(parsing: "unix:\(directory.path)/\(name)/node.sock"))
    try client.line(startingWith: "INFO linechat ")
    return client
  }

  @Test("a node with --relay talks through it, both ways, with one who is on the server's machine")
  func port() throws {
    let server = try TestServer()
    let port = try TestListener.unusedPort()
    let tunnel = try tunnel(port, to: "TCP:\(server.address)")
    let alice = try node("alice", "127.0.0.1:\(port)", ["--relay"])
    try alice.line(of: .errors, containing: "joined lobby (1 member)")
    let bob = try node("bob", "\(server.address)", [])
    try bob.line(of: .errors, containing: "joined lobby (2 members)")
    try alice.line(of: .errors, containing: "joined lobby")

    let (hers, his) = (try owner("alice"), try owner("bob"))
    #expect(try hers.ask("MSG lobby from afar") == "OK MSG lobby 1/1")
    try his.line { $0 == ":alice@relay MSG lobby from afar" }
    #expect(try his.ask("PM alice welcome") == "OK PM alice")
    try hers.line { $0.hasSuffix(" PM alice welcome") }
    #expect(try hers.ask("MEMBERS lobby").hasPrefix("OK MEMBERS lobby 2"))

    // ssh ends; what is said waits, and goes when there is a tunnel again.
    try tunnel.end()
    try alice.line(of: .errors, containing: "no server at 127.0.0.1:\(port)")
    #expect(try hers.ask("MSG lobby and now?") == "OK MSG lobby 0/1 kept 1")
    let another = try self.tunnel(port, to: "TCP:\(server.address)")
    try his.line { $0 == ":alice@relay MSG lobby and now?" }
    try another.end()
  }

  @Test("a server that listens at a Unix socket alone is reached through it")
  func socket() throws {
    let path = "\(directory.path)/chat.sock"
    let server = try TestServer { $0.listen = [try ListenAddress(parsing: "unix:\(path)")] }
    defer { server.stop() }
    var status = stat()
    #expect(stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    let port = try TestListener.unusedPort()
    let tunnel = try tunnel(port, to: "UNIX-CONNECT:\(path)")
    let alice = try node("alice", "127.0.0.1:\(port)", ["--relay"])
    try alice.line(of: .errors, containing: "joined lobby (1 member)")
    let netcat = try TestClient(ListenAddress(parsing: "127.0.0.1:\(port)"))
    try netcat.line(startingWith: "INFO linechatd ")
    try netcat.ask("NICK bob")
    try netcat.ask("JOIN lobby")
    try alice.line(of: .errors, containing: "bob@relay joined lobby")
    #expect(try owner("alice").ask("MSG lobby hello") == "OK MSG lobby 1/1")
    try netcat.line { $0 == ":alice@relay MSG lobby hello" }
    try tunnel.end()
  }
}
