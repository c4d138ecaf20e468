// `linechat doctor`, with real servers and nodes, and with a server that a test plays.

import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("linechat doctor", .ownThread, .timeLimit(.minutes(20)))
struct DoctorTests {
  /// Beside the tests' own binary.
  private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appendingPathComponent("linechat").path

  private static func surroundings(_ directory: TemporaryDirectory) -> [String] {
    ["env", "-i", "XDG_STATE_HOME=\(directory.path)", program]
  }

  private static func running(_ words: [String], in directory: TemporaryDirectory) -> Running {
    Running(surroundings(directory) + ["doctor"] + words, within: .seconds(120))
  }

  private static func doctor(
    _ words: [String], in directory: TemporaryDirectory
  ) async throws -> Finished {
    try await running(words, in: directory).finished
  }

  /// A node as people run it, in a group.
  private static func node(
    _ name: String, _ server: TestServer, in directory: TemporaryDirectory, _ options: [String] = []
  ) throws -> Child {
    let words = ["node", "--name", name, "--server", "\(try server.address)"]
    let child = try Child(surroundings(directory) + words + options + ["lobby"])
    try child.line(of: .errors, containing: "joined lobby")
    return child
  }

  private static func lines(_ finished: Finished) -> [String] {
    finished.lines.map { $0.split(separator: " ").joined(separator: " ") }
  }

  private static func expect(
    _ finished: Finished, _ code: Int32, _ texts: String...,
    at place: SourceLocation = #_sourceLocation
  ) {
    #expect(finished.exitCode == code, "\(finished)", sourceLocation: place)
    #expect(finished.errors == "", sourceLocation: place)
    for text in texts {
      #expect(
        lines(finished).contains { $0.hasPrefix(text) }, "\(text): \(finished.output)",
        sourceLocation: place)
    }
  }

  /// Waits until the server has looked at a member's address.
  private static func isReached(_ name: String, _ server: TestServer) throws {
    let client = try server.client()
    try eventually(within: 40, "\(name) is reached") {
      try client.send("MEMBERS lobby\nPING\n")
      var isReached = false
      try client.line {
        isReached =
          isReached || ($0.hasPrefix("MEMBER lobby \(name)@") && $0.hasSuffix("reachable"))
        return $0 == "PONG"
      }
      return isReached
    }
  }

  private static func expectNothingLeft(
    _ server: TestServer, groups: Int, at place: SourceLocation = #_sourceLocation
  ) throws {
    let client = try server.client()
    #expect(try client.ask("GROUPS") == "OK GROUPS \(groups)", sourceLocation: place)
    // Its connection may still be closing.
    try eventually("its name is free") {
      try client.send("STATS\nPING\n")
      var names = 0
      var connections = 0
      try client.line {
        let words = $0.split(separator: " ")
        if $0.hasPrefix("STAT names ") { names = Int(words[2]) ?? 0 }
        if $0.hasPrefix("STAT connections ") { connections = Int(words[2]) ?? 0 }
        return $0 == "PONG"
      }
      // A member of its groups who is away has a name, and no connection.
      return names == connections + groups
    }
  }

  @Test("finds all well where a node runs, and says who is reached how")
  func allWell() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let alice = try Self.node("alice", server, in: directory)
    let bob = try Self.node("bob", server, in: directory)
    let carol = try server.member("carol")
    // A netcat that listens is not disturbed.
    let listener = try TestListener()
    let nina = try server.client()
    try nina.ask("NICK nina")
    try nina.ask("JOIN lobby :\(listener.port)")
    // A program whose port is shut.
    let shut = try TestListener.unusedPort()
    let dave = try server.client()
    try dave.send("@label=1 NICK dave\n")
    try dave.line(startingWith: "@label=1 OK ")
    try dave.send("@label=2 JOIN lobby :\(shut)\n")
    try dave.line { $0.contains(" OK JOIN lobby 5") }
    for name in ["alice", "bob"] { try Self.isReached(name, server) }

    // Somebody who is away and keeps her address; what is said to her waits.
    let erin = try server.client()
    try erin.send("@label=1 NICK erin\n@label=2 JOIN lobby relay\n")
    try erin.line { $0.contains(" OK JOIN lobby 6") }
    let owner = try Dialogue.withNode(in: "\(directory.path)/linechat/alice")
    let name = try #require(MemberName("erin"))
    try eventually("alice knows erin") {
      (try? owner.ask(.members(#require(GroupName("lobby")))).lines.count) == 6
    }
    erin.close()
    try eventually("she has gone") {
      let lines = try owner.ask(.members(#require(GroupName("lobby")))).lines
      return lines.contains { $0.render().contains("erin@relay away") }
    }
    try owner.ask(.pm(.name(name), "hello"))

    let address = "\(try server.address)"
    let finished = try await Self.doctor(
      ["--name", "alice", "--server", address, "other"], in: directory)
    Self.expect(
      finished, 0,
      "ok profile \(directory.path)/linechat/alice, where process \(alice.process) (linechat) runs",
      "ok name alice", "ok server \(address) greets after ", "ok clock the same as the server's",
      "ok port the server has reached alice at 127.0.0.1:", "ok lobby bob@127.0.0.1:",
      "ok lobby carol@relay: through the server",
      "ok lobby nina@127.0.0.1:\(listener.port): directly; a netcat that listens, which was not",
      "note lobby dave@127.0.0.1:\(shut): through the server; not directly: connection refused",
      "note lobby erin@relay: away, what you say waits for it; one message waits for it",
      "note other nobody is in it", "all is well")
    #expect(finished.output.contains(": linechatd \(lineChatVersion), id "))
    #expect(finished.output.contains(": directly, in "))
    #expect(throws: TestFailure.self) { try listener.accept(within: 0) }
    try Self.expectNothingLeftBut(["alice", "bob", "carol", "nina", "dave", "erin"], server)
    for child in [alice, bob] {
      child.signal(SIGTERM)
      #expect(try child.finish() == 0)
    }
    _ = carol
  }

  private static func expectNothingLeftBut(_ names: Set<String>, _ server: TestServer) throws {
    let client = try server.client()
    #expect(try client.ask("GROUPS") == "OK GROUPS 1")
    try client.send("MEMBERS lobby\nPING\n")
    var found: Set<String> = []
    try client.line {
      if $0.hasPrefix("MEMBER lobby ") {
        found.insert(String($0.dropFirst(13).prefix { $0 != "@" }))
      }
      return $0 == "PONG"
    }
    #expect(found == names)
  }

  @Test("opens a port for a moment where no node runs, and leaves nothing behind")
  func noNode() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let options = ["--name", "alice", "--server", "\(try server.address)"]
    let first = try await Self.doctor(options, in: directory)
    Self.expect(
      first, 0, "note profile \(directory.path)/linechat/alice is not there yet", "ok name alice",
      "ok port the server reaches this machine at 127.0.0.1:", "note groups no group is joined",
      "all is well")
    #expect(access("\(directory.path)/linechat", F_OK) != 0)
    try Self.expectNothingLeft(server, groups: 0)

    // What a node has left is known: its port, and its groups.
    let child = try Self.node("alice", server, in: directory)
    try Self.isReached("alice", server)
    child.signal(SIGTERM)
    #expect(try child.finish() == 0)
    let second = try await Self.doctor(options, in: directory)
    let place = child.text(of: .errors).split(separator: "others reach this node at ").last?.prefix
    {
      $0 != "\n"
    }
    Self.expect(
      second, 0, "ok profile \(directory.path)/linechat/alice, where no node runs now",
      "ok name alice",
      "ok port the server reaches this machine at \(place ?? "?")",
      "note lobby nobody else is in it")
    let relayed = try await Self.doctor(
      ["--profile", "alice", "--relay"] + options.suffix(2), in: directory)
    Self.expect(relayed, 0, "ok name alice, as the last time", "ok port nothing to be reached")
    let elsewhere = try await Self.doctor(
      options + ["--listen", "127.0.0.2:0", "--json"], in: directory)
    let object =
      try JSONSerialization.jsonObject(with: Data(elsewhere.output.utf8)) as? [String: Any]
    #expect(object?["well"] as? Bool == true, "\(elsewhere)")
    let checks = object?["checks"] as? [[String: String]]
    let port = checks?.first { $0["check"] == "port" }
    #expect(port?["state"] == "ok" && port?["text"]?.contains("at 127.0.0.2:") == true)
    try Self.expectNothingLeft(server, groups: 1)
  }

  @Test("says what to do where there is no server")
  func noServer() async throws {
    let directory = try TemporaryDirectory()
    let port = try TestListener.unusedPort()
    let refused = try await Self.doctor(["--server", "127.0.0.1:\(port)"], in: directory)
    Self.expect(
      refused, 1, "wrong server no server at 127.0.0.1:\(port)",
      "start linechatd there, or correct --server", "one thing is wrong")
    let unknown = try await Self.doctor(
      ["--server", "no-such-host.invalid", "--json"], in: directory)
    #expect(unknown.exitCode == 1)
    let object = try JSONSerialization.jsonObject(with: Data(unknown.output.utf8)) as? [String: Any]
    #expect(object?["well"] as? Bool == false)
    #expect(unknown.output.contains("DNS"))

    // The node goes on without it; so does the doctor.
    let server = try TestServer()
    let alice = try Self.node("alice", server, in: directory)
    let bob = try Self.node("bob", server, in: directory)
    for name in ["alice", "bob"] { try Self.isReached(name, server) }
    try alice.line(of: .errors, containing: "bob")
    server.stop()
    let alone = try await Self.doctor(
      ["--name", "alice", "--server", "127.0.0.1:\(port)"], in: directory)
    Self.expect(alone, 1, "wrong server no server at ", "ok lobby bob@127.0.0.1:")
    for child in [alice, bob] { try child.end() }
  }

  @Test("says what to do about a port that can't be reached")
  func noPort() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let shut = try TestListener.unusedPort()
    let options = ["--name", "alice", "--server", "\(try server.address)"]
    let forwarded = ["--listen", "127.0.0.1:0", "--announce", "127.0.0.1:\(shut)"]
    let finished = try await Self.doctor(options + forwarded, in: directory)
    Self.expect(
      finished, 1, "wrong port the server does not reach this machine at 127.0.0.1:\(shut): it did",
      "see to it that what has the address 127.0.0.1:\(shut) forwards that port to --listen",
      "one thing is wrong")
    try Self.expectNothingLeft(server, groups: 0)

    // The same of a node that runs.
    let alice = try Self.node("alice", server, in: directory, forwarded)
    let running = try await Self.doctor(options, in: directory)
    Self.expect(
      running, 1, "wrong port the server does not reach alice at 127.0.0.1:\(shut)",
      "let TCP port \(shut) in at this machine's firewall")
    try alice.end()

    let taken = try TestListener()
    let inUse = try await Self.doctor(
      options + ["--listen", "127.0.0.1:\(taken.port)"], in: directory)
    Self.expect(inUse, 1, "wrong port 127.0.0.1:\(taken.port) is in use", "choose another with")
    let elsewhere = try await Self.doctor(
      options + ["--listen", "127.0.0.1:0", "--announce", "192.0.2.7:1"], in: directory)
    Self.expect(elsewhere, 1, "wrong port the server does not take this member's address")
    try Self.expectNothingLeft(server, groups: 1)
  }

  @Test(
    "knows the time that the server has",
    arguments: [
      (-3_600.0, 1, "wrong clock 60 minutes ahead of the server's: what you say stands in a wrong"),
      (86_400.0 * 400, 1, "wrong clock 400 days behind the server's"),
      (30.0, 0, "note clock 30 s behind the server's"), (0, 0, "ok clock the same as the server's"),
    ])
  func clock(offset: Double, code: Int32, line: String) async throws {
    let finished = try await Self.withPlayedServer { "time=\(Self.time(offset))" }
    Self.expect(finished, code, line)
    if code == 1 { #expect(finished.output.contains("timedatectl set-ntp true")) }
  }

  @Test(
    "is not misled by a server that tells no time, or nonsense",
    arguments: ["x=1", "time=yesterday", "time=9999-99-99T99:99:99.999999Z"])
  func noTime(tag: String) async throws {
    let finished = try await Self.withPlayedServer { tag }
    Self.expect(finished, 0, "note clock the server does not tell its time", "all is well")
  }

  private static func time(_ offset: Double) -> String {
    Timestamp.text(wallMicroseconds() + Int64(offset * 1_000_000))
  }

  /// Plays a server whose changes of names come with the tag that `tag` makes.
  private static func withPlayedServer(_ tag: () -> String) async throws -> Finished {
    let directory = try TemporaryDirectory()
    let listener = try TestListener()
    let doctor = running(["--relay", "--server", "127.0.0.1:\(listener.port)"], in: directory)
    let client = try listener.accept()
    try client.send("INFO linechatd 9.9 protocol=1 server=0123456789abcdef you=guest1 help=HELP\n")
    while let line = try client.line() {
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 2, words[0].hasPrefix("@label=") else { continue }
      switch words[1] {
      case "JOIN":
        try client.send(
          "\(words[0]) MEMBER \(words[2]) guest1@relay online tags\n\(words[0]) OK JOIN \(words[2]) 1\n"
        )
      case "NICK":
        try client.send(
          "@\(tag()) :guest1@relay NICK \(words[2])\n\(words[0]) OK NICK \(words[2])\n")
      case "PING": try client.send("\(words[0]) PONG\n")
      case "QUIT":
        try client.send("\(words[0]) OK QUIT\n")
        client.close()
        return try await doctor.finished
      default: try client.send("\(words[0]) ERR unknown-verb \(words[1]) not here\n")
      }
    }
    return try await doctor.finished
  }

  @Test("is not ended while it has an address at the server", arguments: [SIGINT, SIGTERM, SIGHUP])
  func interrupted(signal: Int32) throws {
    let directory = try TemporaryDirectory()
    let listener = try TestListener()
    let doctor = try Child(
      Self.surroundings(directory) + ["doctor", "--server", "127.0.0.1:\(listener.port)"])
    let client = try listener.accept()
    try client.send("INFO linechatd 9.9 protocol=1 server=0123456789abcdef you=guest1 help=HELP\n")
    var hasAddress = false
    var hasLeft = false
    while let line = try client.line() {
      let words = line.split(separator: " ").map(String.init)
      guard words.count > 1, words[0].hasPrefix("@label=") else { continue }
      guard words.count > 2 else {
        try client.send("\(words[0]) \(words[1] == "PING" ? "PONG" : "OK \(words[1])")\n")
        continue
      }
      if words[1] == "JOIN" && words.count > 3 {
        hasAddress = true
        doctor.signal(signal)
        let place = "guest1@127.0.0.1\(words[3])"
        try client.send("\(words[0]) MEMBER \(words[2]) \(place) online tags\n")
        try client.send(
          "\(words[0]) OK JOIN \(words[2]) 1\nMEMBER \(words[2]) \(place) online tags\n")
        continue
      }
      if words[1] == "LEAVE" { hasLeft = true }
      try client.send("\(words[0]) OK \(words[1]) \(words[2])\n")
    }
    #expect(hasAddress && hasLeft)
    #expect(try doctor.finish() == 128 + signal)
  }

  @Test("sees what is wrong with a profile")
  func profile() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let profile = "\(directory.path)/linechat/alice"
    try FileManager.default.createDirectory(
      atPath: profile, withIntermediateDirectories: true)
    chmod(profile, 0o755)
    try Data("{".utf8).write(to: URL(fileURLWithPath: "\(profile)/replica.json"))
    let options = ["--relay", "--name", "alice", "--server", "\(try server.address)"]
    let damaged = try await Self.doctor(options, in: directory)
    Self.expect(
      damaged, 1, "note profile \(profile) is open to other users of this machine",
      "wrong profile \(profile)/replica.json can't be read: it is damaged")
    try FileManager.default.removeItem(atPath: profile)
    try Data().write(to: URL(fileURLWithPath: profile))
    let file = try await Self.doctor(options, in: directory)
    Self.expect(file, 1, "wrong profile \(profile) is no directory")
    let stranger = try await Self.doctor(["--relay", "--server", "x:y"], in: directory)
    #expect(stranger.exitCode == EX_USAGE)
    #expect(stranger.errors.contains("--server: "))
  }
}
