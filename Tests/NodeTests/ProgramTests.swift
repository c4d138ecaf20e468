// `linechat` as people start it: options, environment, log, signals, and what it does with them.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("linechat node", .ownThread, .timeLimit(.minutes(20)))
struct ProgramTests {
  private static func server(_ server: TestServer) throws -> [String] {
    ["--server", "\(try server.address)"]
  }

  @Test("two of them and a netcat talk; they end with 0 on SIGTERM and SIGINT")
  func talk() async throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let alice = try Program.node(
      Self.server(server) + ["--name", "alice", "lobby"], in: directory)
    try alice.says("joined lobby (1 member)")
    let bob = try Program.node(Self.server(server) + ["--name", "Bob", "lobby"], in: directory)
    try bob.says("joined lobby (2 members)")
    try alice.says("joined lobby")

    // A netcat of the real kind, that is no more than a listener.
    let port = try TestListener.unusedPort()
    let netcat = try Child(["nc.openbsd", "-lk", "127.0.0.1", "\(port)"])
    let address = try ListenAddress(parsing: "127.0.0.1:\(port)")
    try eventually(within: 20, "the netcat listens") { (try? TestClient(address)) != nil }
    let carol = try server.client()
    try carol.ask("NICK carol")
    try carol.ask("JOIN lobby :\(port)")
    for node in [alice, bob] { try node.says("carol@127.0.0.1:\(port) joined lobby") }

    let owner = try TestClient(
      ListenAddress(parsing: "unix:\(directory.path)/linechat/alice/node.sock"))
    try owner.line(startingWith: "INFO linechat \(lineChatVersion) ")
    #expect(try owner.ask("MSG lobby hello") == "OK MSG lobby 2/2")
    #expect(try netcat.line(of: .output)?.hasSuffix(" MSG lobby hello") == true)
    let other = try TestClient(
      ListenAddress(parsing: "unix:\(directory.path)/linechat/bob/node.sock"))
    try other.line(startingWith: "INFO linechat ")
    #expect(try other.ask("PM alice are you there?") == "OK PM alice")
    try owner.line { $0.hasPrefix(":Bob@127.0.0.1:") && $0.hasSuffix(" PM alice are you there?") }

    #expect(try alice.stop(SIGTERM) == 0)
    #expect(try bob.stop(SIGINT) == 0)
    #expect(alice.child.text(of: .errors).contains("notice SIGTERM: stopping"))
    #expect(alice.child.text(of: .output) == "")
    let log = alice.child.text(of: .errors)
    #expect(!log.contains("are you there"))
    #expect(log.contains("info linked to Bob@127.0.0.1:"))
    #expect(
      log.contains("notice speak as this member with: nc -U \(directory.path)/linechat/alice/"))
  }

  @Test("says where there is no server, and goes on when there is one")
  func noServer() throws {
    let directory = try TemporaryDirectory()
    let port = try TestListener.unusedPort()
    let alice = try Program.node(
      ["--server", "127.0.0.1:\(port)", "--name", "alice", "lobby"], in: directory)
    try alice.says("no server at 127.0.0.1:\(port) (connection refused); next try in 1 s")
    let server = try TestServer {
      $0.listen = [try ListenAddress(parsing: "127.0.0.1:\(port)")]
    }
    try alice.says("connected to the server at 127.0.0.1:\(port) as alice, its id is ")
    try alice.says("joined lobby (1 member)")
    server.stop()
    #expect(try alice.stop() == 0)
  }

  @Test("takes everything from the environment, and the command line wins")
  func environment() throws {
    let server = try TestServer()
    let directory = try TemporaryDirectory()
    let environment = [
      "LINECHAT_SERVER": "\(try server.address)", "LINECHAT_NAME": "env",
      "LINECHAT_PROFILE": "given", "LINECHAT_LISTEN": "127.0.0.2:0",
      "LINECHAT_DATA_DIR": "\(directory.path)/profiles", "LINECHAT_LOG_LEVEL": "debug",
      "LINECHAT_LOG_FORMAT": "json", "LINECHAT_GROUPS": "lobby, ops",
    ]
    let node = try Program("linechat", ["node"], environment: environment)
    try node.says(#""level":"debug""#)
    for wanted in ["lobby", "ops"] { try node.says("joined \(wanted) (1 member)") }
    let client = try server.client()
    try client.ask("NICK watcher")
    try client.send("MEMBERS ops\n")
    let member = try client.line(startingWith: "MEMBER ops ")
    #expect(member.hasPrefix("MEMBER ops env@127.0.0.2:"))
    #expect(access("\(directory.path)/profiles/given/replica.json", F_OK) == 0)
    #expect(try node.stop() == 0)

    var relay = environment
    relay["LINECHAT_LISTEN"] = nil
    relay["LINECHAT_RELAY"] = "1"
    let other = try Program(
      "linechat",
      [
        "node", "--name", "cli", "--profile", "other", "--log-format", "text", "--log-level",
        "info",
      ],
      environment: relay)
    try other.says("info not listening: others reach this node through the server")
    try other.says("info joined ops (2 members)")
    try client.send("MEMBERS ops\n")
    try client.line { $0.hasPrefix("MEMBER ops cli@relay") }
    #expect(try other.stop() == 0)
    #expect(!other.child.text(of: .errors).contains("debug"))
  }

  @Test("a name and a profile stand for each other; without both it is the login name")
  func profiles() throws {
    let directory = try TemporaryDirectory()
    let port = try TestListener.unusedPort()
    func start(_ options: [String]) throws {
      let node = try Program.node(["--server", "127.0.0.1:\(port)"] + options, in: directory)
      try node.says("new state directory")
      try node.says("no server")
      #expect(try node.stop() == 0)
    }
    func name(in profile: String) throws -> String? {
      let data = try Data(
        contentsOf: URL(fileURLWithPath: "\(directory.path)/linechat/\(profile)/replica.json"))
      let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
      return object?["name"] as? String
    }
    try start(["--name", "Alice"])
    #expect(try name(in: "alice") == "Alice")
    try start(["--profile", "work"])
    #expect(try name(in: "work") == "work")
    try start(["--profile", "2nd", "--name", "carol"])
    #expect(try name(in: "2nd") == "carol")
    try start([])
    let made = try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/linechat")
    let login = try #require(made.first { !["alice", "work", "2nd"].contains($0) })
    #expect(made.count == 4)
    #expect(try name(in: login)?.lowercased() == login)
  }

  @Test(
    "refuses wrong options with 64 and what is right",
    arguments: [
      (["--server", "a b"], "--server: a b is neither an IP address nor"),
      (["--server", "x:0"], "--server: x:0"),
      (["--server", "unix:/x"], "--server: a server is reached at HOST:PORT"),
      (["--listen", "nonsense"], "--listen: nonsense has no port"),
      (["--listen", "unix:/x"], "--listen must be HOST:PORT or [IPV6]:PORT, not 'unix:/x'"),
      (["--listen", "127.0.0.1:0", "--relay"], "--listen and --relay exclude each other"),
      (["--name", "a b"], "--name must be a letter, then up to 31"),
      (["--name", "relay"], "--name must be"),
      (["--profile", "../x"], "--profile: '../x' is no profile"),
      (["--data-dir", ""], "--data-dir must be the path of a directory"),
      (["--log-level", "loud"], "--log-level must be one of trace, debug, info"),
      (["--log-format", "xml"], "--log-format must be one of text, json"),
      (["two words"], "a group must be 1 to 64 letters"), (["--frobnicate"], "--frobnicate"),
    ])
  func wrongOptions(arguments: [String], reason: String) throws {
    let node = try Program.node(arguments, in: try TemporaryDirectory())
    #expect(try node.child.finish() == EX_USAGE)
    let text = node.child.text(of: .errors)
    #expect(text.contains(reason), "\(text)")
    #expect(text.contains("linechat node"))
  }

  @Test(
    "refuses a wrong environment with 64 and the variable's name",
    arguments: [
      (["LINECHAT_SERVER": "x:y"], "LINECHAT_SERVER: "),
      (["LINECHAT_NAME": "1"], "LINECHAT_NAME must"),
      (["LINECHAT_RELAY": "maybe"], "LINECHAT_RELAY must be 1 or 0, not 'maybe'"),
      (["LINECHAT_RELAY": "1", "LINECHAT_LISTEN": "127.0.0.1:0"], "exclude each other"),
      (["LINECHAT_PROFILE": "a/b"], "LINECHAT_PROFILE: 'a/b' is no profile"),
      (["LINECHAT_GROUPS": "a,b c"], "LINECHAT_GROUPS must be 1 to 64 letters"),
    ])
  func wrongEnvironment(environment: [String: String], reason: String) throws {
    let node = try Program.node([], in: try TemporaryDirectory(), environment: environment)
    #expect(try node.child.finish() == EX_USAGE)
    #expect(node.child.text(of: .errors).contains(reason), "\(node.child.text(of: .errors))")
  }

  @Test("a node that was killed listens again where it did, also if its server is gone")
  func killedListener() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    let options = try Self.server(server) + ["--name", "alice", "lobby"]
    let first = try Program.node(options, in: directory)
    let address = try #require(
      try first.says("others reach this node at ").split(separator: " ").last)
    try first.says("joined lobby")
    first.child.signal(SIGKILL)
    _ = try first.child.finish()
    server.stop()
    let second = try Program.node(options, in: directory)
    #expect(try second.says("listening on ").hasSuffix(" listening on \(address)"))
    #expect(try second.stop() == 0)
  }

  @Test("without a home it says what to name")
  func noHome() throws {
    let node = try Program("linechat", ["node"])
    #expect(try node.child.finish() == EX_USAGE)
    #expect(node.child.text(of: .errors).contains("name a directory with --data-dir"))
  }

  @Test("exits with 69, and says why, where it cannot listen or its profile is in use")
  func inTheWay() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    let first = try Program.node(Self.server(server) + ["--name", "alice"], in: directory)
    try first.says("connected to the server")
    let second = try Program.node(Self.server(server) + ["--name", "alice"], in: directory)
    #expect(try second.child.finish() == EX_UNAVAILABLE)
    let process = first.child.process
    #expect(
      second.child.text(of: .errors).contains(
        "linechat/alice is in use by process \(process) (linechat)"))

    let listener = try TestListener()
    let third = try Program.node(
      Self.server(server) + ["--name", "bob", "--listen", "127.0.0.1:\(listener.port)"],
      in: directory)
    #expect(try third.child.finish() == EX_UNAVAILABLE)
    #expect(third.child.text(of: .errors).contains("127.0.0.1:\(listener.port) is in use"))
    #expect(try first.stop() == 0)
  }

  @Test(
    "explains itself",
    arguments: [
      ["--help"], ["node", "--help"], ["help", "node"], ["chat", "--help"], ["--version"],
    ])
  func help(arguments: [String]) throws {
    let program = try Program("linechat", arguments)
    #expect(try program.child.finish() == 0)
    let text = program.child.text(of: .output)
    switch arguments {
    case ["--version"]: #expect(text == "linechat \(lineChatVersion)\n")
    case ["--help"]:
      #expect(text.contains("SUBCOMMANDS:"))
      #expect(text.contains("linechat chat --help"))
    case ["chat", "--help"]:
      for word in ["SERVER", "COLOR", "WAIT", "LOG_FILE", "ON_MENTION", "GROUPS"] {
        #expect(text.contains("LINECHAT_\(word)"))
      }
    default:
      let variables = [
        "SERVER", "LISTEN", "RELAY=1", "NAME", "PROFILE", "DATA_DIR", "LOG_LEVEL", "LOG_FORMAT",
        "GROUPS",
      ]
      let words =
        variables.map { "LINECHAT_\($0)" }
        + ["127.0.0.1:5463", "$XDG_STATE_HOME/linechat", "node.sock", "SIGTERM"]
      let whole = text.split { $0.isWhitespace }.joined(separator: " ")
      for word in words { #expect(whole.contains(word), "\(word)") }
    }
  }
}
