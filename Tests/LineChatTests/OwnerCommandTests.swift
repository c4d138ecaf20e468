// linechatd's sub-commands, and its data directory as people name it.

import CSystem
import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("linechatd and its owner", .ownThread, .timeLimit(.minutes(20)))
struct OwnerCommandTests {
  /// What a sub-command printed, on standard output and on standard error, and its exit code.
  private func run(
    _ arguments: [String], environment: [String: String] = [:]
  ) throws -> (output: String, errors: String, exitCode: Int32) {
    var ends: [Int32] = [-1, -1]
    guard csystem_pipe(&ends) == 0 else { throw TestFailure("pipe: errno \(errno)") }
    _ = fcntl(ends[1], F_SETFL, 0)
    defer { close(ends[0]) }
    let command = try Linechatd(arguments, environment: environment, output: ends[1])
    close(ends[1])
    let exitCode = try command.exitCode()
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = read(ends[0], &bytes, bytes.count)
    let output = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    return (output, try command.linesToEnd().joined(separator: "\n"), exitCode)
  }

  @Test("members and forget speak to the running server")
  func subcommands() throws {
    let directory = try TemporaryDirectory()
    let daemon = try Linechatd(["--listen", "127.0.0.1:0", "--data-dir", directory.path])
    let address = try daemon.addresses()[0]
    let here = ["--data-dir", directory.path]
    #expect(try run(["members"] + here).output == "")
    for (name, group) in [("carol", "ops"), ("dave", "ops"), ("carol", "dev")] {
      let client = try TestClient(address)
      try client.ask("NICK \(name)")
      try client.ask("JOIN \(group) relay")
      try client.ask("QUIT")
    }
    let all = try run(["members"] + here)
    #expect(all.output == "dev carol@relay away\nops carol@relay away\nops dave@relay away\n")
    #expect(all.exitCode == 0)
    #expect(try run(here + ["members", "ops"]).output.split(separator: "\n").count == 2)
    let json = try run(["members", "--json", "dev"], environment: ["LINECHATD_DATA_DIR": here[1]])
    struct Entry: Decodable, Equatable {
      let member, name, place: String
      let attributes: [String]
    }
    let found = try JSONDecoder().decode([String: [Entry]].self, from: Data(json.output.utf8))
    #expect(
      found == [
        "dev": [Entry(member: "carol@relay", name: "carol", place: "relay", attributes: ["away"])]
      ])
    let none = try run(["members", "nowhere"] + here)
    #expect(none.exitCode == 1 && none.errors.contains("there is no group nowhere"))

    let one = try run(["forget", "carol", "--group", "dev"] + here)
    #expect(one.output == "carol was in 1 group, and is forgotten\n" && one.exitCode == 0)
    #expect(try run(["forget", "carol"] + here).exitCode == 0)
    let gone = try run(["forget", "carol"] + here)
    #expect(gone.exitCode == 1 && gone.errors.contains("no durable member is called carol"))
    #expect(try run(["members"] + here).output == "ops dave@relay away\n")

    daemon.signal(SIGTERM)
    #expect(try daemon.exitCode() == 0)
    let late = try run(["members"] + here)
    #expect(late.exitCode == EX_UNAVAILABLE && late.errors.contains("no server runs with"))
  }

  @Test("a killed server's socket is in nobody's way")
  func stale() throws {
    let directory = try TemporaryDirectory()
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", directory.path]
    let first = try Linechatd(arguments)
    _ = try first.addresses()
    let second = try Linechatd(arguments)
    #expect(try second.exitCode() == EX_UNAVAILABLE)
    #expect(
      try second.linesToEnd().contains { $0.contains("in use by process \(first.process) (") })
    first.signal(SIGKILL)
    _ = try first.exitCode()
    #expect(try run(["members", "--data-dir", directory.path]).exitCode == EX_UNAVAILABLE)
    _ = try Linechatd(arguments).addresses()
  }

  @Test("without a word it keeps its state where XDG says, and with --memory nowhere")
  func places() throws {
    let directory = try TemporaryDirectory()
    let listen = ["--listen", "127.0.0.1:0"]
    let daemon = try Linechatd(
      listen, environment: ["XDG_STATE_HOME": directory.path, "LINECHATD_MEMORY": "0"])
    _ = try daemon.addresses()
    #expect(daemon.lines[0].contains("new state directory \(directory.path)/linechatd, this "))
    let home = try TemporaryDirectory()
    let other = try Linechatd(listen, environment: ["HOME": home.path, "LINECHATD_MEMORY": "0"])
    _ = try other.addresses()
    #expect(access("\(home.path)/.local/state/linechatd/groups.json", F_OK) == 0)
    let memory = try Linechatd(listen + ["--memory"], environment: ["HOME": "/nonexistent"])
    _ = try memory.addresses()
    let homeless = try Linechatd(listen, environment: ["LINECHATD_MEMORY": "0"])
    #expect(try homeless.exitCode() == EX_USAGE)
  }

  @Test("a member that was not seen for its time is dropped", arguments: ["1", "1s"])
  func memberTTL(time: String) throws {
    let directory = try TemporaryDirectory()
    let daemon = try Linechatd(
      ["--listen", "127.0.0.1:0", "--data-dir", directory.path, "--member-ttl", time])
    let address = try daemon.addresses()[0]
    let client = try TestClient(address)
    try client.ask("NICK carol")
    try client.ask("JOIN ops relay")
    try client.ask("QUIT")
    try daemon.line(containing: "carol@relay was not seen for the time that members are kept")
    try daemon.line(containing: "carol@relay left ops (0 members): not seen for long")
  }

  @Test(
    "refuses wrong options with 64",
    arguments: [
      ["--member-ttl", "0"], ["--member-ttl", "soon"], ["--member-ttl", "9999999d"],
      ["--memory", "--data-dir", "x"], ["forget"], ["forget", "9"],
      ["forget", "carol", "--group", "a b"], ["members", "a b"],
    ])
  func wrongOptions(arguments: [String]) throws {
    #expect(try run(arguments).exitCode == EX_USAGE)
  }
}
