// Conversations with nodes and servers, good ones and hostile ones.

import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("a dialogue", .ownThread, .timeLimit(.minutes(20)))
struct DialogueTests {
  private static let lobby = GroupName("lobby")

  private func server(_ address: ListenAddress) throws -> ServerAddress {
    try ServerAddress(parsing: address.description)
  }

  @Test("asks a server, with and without tags", arguments: [false, true])
  func asksServer(tags: Bool) throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let dialogue = try Dialogue.withServer(self.server(server.address), tags: tags)
    #expect(dialogue.greeting.name.description.hasPrefix("guest"))
    #expect(dialogue.greeting.lineBytesMax == 65_536)
    let lobby = try #require(Self.lobby)
    let answer = try dialogue.ask(.members(lobby))
    #expect(answer.lines.map(\.content.verb) == [.member])
    #expect(answer.reply.content == .ok(.members, "lobby 1"))
    let answers = try dialogue.askAll([.groups, .members(try #require(GroupName("x"))), .ping()])
    #expect(try answers[0].get().lines.count == 1)
    #expect { try answers[1].get() } throws: { ($0 as? Refusal)?.code == .noSuchGroup }
    #expect(try answers[2].get().reply.content == .pong())

    // What is heard in between is no part of an answer.
    try dialogue.ask(.join(lobby))
    try alice.ask("MSG lobby hello")
    let words = try dialogue.ask(.groups).lines.map(\.content.verb)
    #expect(words == [.group])
    #expect(try dialogue.hear(within: 10)?.content == .msg(lobby, "hello"))
    #expect(try dialogue.hear(within: 0) == nil)
    server.stop()
    guard case .info = try dialogue.hear(within: 10)?.content else {
      throw TestFailure("the server says that it stops")
    }
    #expect { try dialogue.hear(within: 10) } throws: {
      guard case Dialogue.Failure.lost(let text) = $0 else { return false }
      return text.hasPrefix("the server at 127.0.0.1:") && text.hasSuffix("went away")
    }
  }

  @Test("speaks as the node that runs in a directory, and knows when none does")
  func asksNode() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer()
    #expect { try Dialogue.withNode(in: directory.path) } throws: {
      if case Dialogue.Failure.noNode = $0 { true } else { false }
    }
    let node = try TestNode(
      "alice", server: try server.serverAddress, in: directory, groups: ["lobby"])
    try node.waitUntilIn("lobby")
    let dialogue = try Dialogue.withNode(in: directory.path)
    #expect(dialogue.greeting.name.description == "alice")
    let stats = try dialogue.ask(.stats).lines.map(\.content)
    #expect(stats.contains(.stat("server-there", "1")))
    let bob = try server.member("bob")
    try bob.ask("MSG lobby hi")
    let heard = try #require(try waitForMessage(dialogue))
    #expect(heard.content == .msg(try #require(Self.lobby), "hi"))
    #expect(heard.tags["time"] != nil)

    // A socket that a killed node has left behind.
    let stale = try TemporaryDirectory()
    let left = socket(AF_UNIX, Int32(bitPattern: SOCK_STREAM.rawValue), 0)
    #expect(SocketAddress.with(path: "\(stale.path)/node.sock") { bind(left, $0, $1) } == 0)
    close(left)
    #expect { try Dialogue.withNode(in: stale.path) } throws: {
      if case Dialogue.Failure.noNode = $0 { true } else { false }
    }
  }

  private func waitForMessage(_ dialogue: Dialogue) throws -> Message? {
    while let heard = try dialogue.hear(within: 10) {
      if case .msg = heard.content { return heard }
    }
    return nil
  }

  @Test("says what is wrong with who answers, or does not")
  func strangers() throws {
    let port = try TestListener.unusedPort()
    let none = try ServerAddress(parsing: "127.0.0.1:\(port)")
    #expect { try Dialogue.withServer(none) } throws: {
      "\($0)" == "no server at 127.0.0.1:\(port); start one: linechatd"
    }
    let unknown = try ServerAddress(parsing: "no-such-host.invalid:5463")
    #expect { try Dialogue.withServer(unknown) } throws: {
      "\($0)".hasPrefix("no server at no-such-host.invalid:5463 (")
    }
    for (greeting, reason) in [
      ("SSH-2.0-OpenSSH\r\n\u{0}\u{1}\n\n", "does not say who it is"),
      ("MSG\n:x\n@\n\u{FF}\nINFO\n", "does not speak this protocol"),
      ("ERR too-many-connections - try again later\n", "says: try again later"),
      ("INFO linechat 0.1.0 protocol=1 name=bob\n", "is the node of bob, and no server"),
      ("", "went away"),
    ] {
      nonisolated(unsafe) let listener = try TestListener()
      let address = try ServerAddress(parsing: "127.0.0.1:\(listener.port)")
      let isOver = Shared(false)
      try Thread.start {
        guard let client = try? listener.accept() else { return }
        try? client.send(greeting)
        if reason == "went away" { client.close() }
        while !isOver.value { pauseBriefly() }
      }
      #expect("\(reason)") { try Dialogue.withServer(address) } throws: { "\($0)".contains(reason) }
      isOver.value = true
    }
  }

  @Test("what hangs is not waited for long, and what floods is no trap")
  func hostile() throws {
    let directory = try TemporaryDirectory()
    let hanging = socket(AF_UNIX, Int32(bitPattern: SOCK_STREAM.rawValue), 0)
    defer { close(hanging) }
    #expect(SocketAddress.with(path: "\(directory.path)/node.sock") { bind(hanging, $0, $1) } == 0)
    #expect(listen(hanging, 4) == 0)
    #expect { try Dialogue.withNode(in: directory.path) } throws: {
      "\($0)" == "the node in \(directory.path) does not say who it is"
    }

    nonisolated(unsafe) let listener = try TestListener()
    try Thread.start {
      guard let client = try? listener.accept() else { return }
      try? client.send("INFO linechatd 0.1.0 you=guest1 max-line=-9223372036854775808 x=\n")
      _ = try? client.line()
      try? client.send("@label=1 PONG\n")
      _ = try? client.line()
      var random = SystemRandomNumberGenerator()
      let words = [
        "@label=2", "@", ":x", ":a@relay", "MSG", "lobby", "OK", "ERR", "MEMBER", "STAT", "\n", " ",
        "\u{0}", "PING", "\n\n", "@time=;=", "99999999999999999999", "NICK", "GROUP",
      ]
      for _ in 0..<2_000 {
        let line = (0..<12).map { _ in words.randomElement(using: &random) ?? "" }
        try? client.send(line.joined(separator: " ") + "\n")
      }
      try? client.send([UInt8](repeating: 0xFF, count: 100_000))
      try? client.send(String(repeating: "x", count: 300_000) + "\n:a@relay MSG lobby the end\n")
      client.shutDownOutput()
      _ = try? client.linesToEnd()
    }
    let dialogue = try Dialogue.withServer(
      ServerAddress(parsing: "127.0.0.1:\(listener.port)"), tags: true)
    #expect(dialogue.greeting.lineBytesMax == 128)
    // Whatever it takes for an answer, or for the end, it goes on or says so.
    _ = try? dialogue.ask(.groups)
    var last: Message?
    do {
      while let line = try dialogue.hear(within: 20) { last = line }
    } catch {
      guard case Dialogue.Failure.lost = error else { throw error }
    }
    #expect(last?.description == ":a@relay MSG lobby the end")
  }

  @Test("a guest's name is nobody's, not even that of a member who is away")
  func guests() throws {
    let server = try TestServer()
    let alice = try server.client()
    try alice.ask("NICK alice")
    try alice.ask("JOIN lobby relay")
    try alice.send("QUIT\n")
    _ = try alice.linesToEnd()
    let bob = try server.member("bob")
    #expect(try bob.ask("PM alice later") == "OK PM alice kept")
    let wanted = try #require(MemberName("Alice"))
    let guest = try Dialogue.withServer(self.server(server.address))
    #expect(try guest.takeName(like: wanted).description == "Alice2")
    let other = try Dialogue.withServer(self.server(server.address))
    #expect(try other.takeName(like: wanted).description == "Alice3")
    #expect(try other.takeName(like: try #require(MemberName("carol"))).description == "carol")
    // What was kept for alice is hers still.
    let again = try server.client()
    try again.send("NICK alice\n")
    #expect(try again.line(startingWith: ":bob@") == ":bob@relay PM alice later")
  }
}
