// Places that nobody has, that are somebody else's, or the server's own: no line makes the server dial
// whom it should not.

import Foundation
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Abuse: places", .ownThread, .timeLimit(.minutes(20)))
struct PlaceAbuseTests {
  private static let tooLong = "1" + String(repeating: "0", count: 40)

  @Test(
    "ports that are none: in a place, as a recipient, and behind the programs' own options",
    arguments: ["0", "65536", "-1", "+80", "٣", tooLong])
  func ports(port: String) throws {
    let target = try Target()
    let client = try target.client()
    for host in ["", "127.0.0.1", "[::1]"] {
      try client.answers("JOIN lobby \(host):\(port)", "ERR bad-address JOIN ")
    }
    try client.answers("PM 127.0.0.1:\(port) hi", "ERR bad-address PM ")
    try client.answers("PM bob@127.0.0.1:\(port) hi", "ERR bad-")
    try client.answers("GROUPS", "OK GROUPS 0")
    // Where one listens, port 0 is any that is free.
    if port != "0" {
      let other = try Linechatd(["--listen", "127.0.0.1:\(port)"])
      #expect(try other.exitCode() == 64)
    }
    let directory = try TemporaryDirectory()
    for option in ["--server", "--announce"] {
      let node = try Program.node(
        ["--listen", "127.0.0.1:0", option, "127.0.0.1:\(port)"], in: directory)
      #expect(try node.child.finish() == 64, "\(option)")
    }
  }

  @Test(
    "hosts that are names, another's, link-local, multicast or mapped",
    arguments: [
      ("localhost", "bad-address"), ("example.com", "bad-address"), ("192.0.2.7", "forbidden"),
      ("[2001:db8::1]", "forbidden"), ("169.254.1.1", "forbidden"), ("[fe80::1]", "forbidden"),
      ("[fe80::1%lo]", "bad-address"), ("224.0.0.1", "bad-address"), ("[ff02::1]", "bad-address"),
      ("255.255.255.255", "forbidden"), ("0.0.0.0", "bad-address"), ("[::]", "bad-address"),
      ("[::ffff:192.0.2.7]", "forbidden"), ("[::ffff:224.0.0.1]", "bad-address"),
      ("[::192.0.2.7]", "forbidden"), ("0177.0.0.1", "bad-address"), ("127.1", "bad-address"),
      ("2130706433", "bad-address"), ("0x7f.0.0.1", "bad-address"), ("[127.0.0.1]", "bad-address"),
    ])
  func hosts(host: String, code: String) throws {
    let target = try Target()
    let client = try target.client()
    try client.answers("JOIN lobby \(host):5001", "ERR \(code) JOIN ")
    try client.answers("GROUPS", "OK GROUPS 0")
    // From another host, this machine's own is another's.
    let other = try target.client(from: "127.0.0.2")
    try other.answers("JOIN lobby \(host):5001", "ERR \(code) JOIN ")
    try other.answers("JOIN lobby 127.0.0.1:5001", "ERR forbidden JOIN ")
  }

  @Test("a mapped address is the address that it stands for")
  func mapped() throws {
    let target = try Target()
    let client = try target.client()
    try client.send("JOIN lobby [::ffff:127.0.0.1]:5001\n")
    try client.expect("MEMBER lobby guest1@127.0.0.1:5001 online")
  }

  @Test("a thousand members naming one place: eight may, and it is dialled once at a time")
  func oneVictim() throws {
    let victim = try TestListener()
    let target = try Target()
    let count = Abuse.count(1_000, or: 100)
    var taken = 0
    for number in 1...count {
      let client = try target.client()
      try client.answers("NICK m\(number)", "OK NICK")
      let reply = try client.ask("JOIN lobby :\(victim.port)")
      if reply.hasPrefix("OK ") { taken += 1 }
      #expect(reply.hasPrefix("OK JOIN ") || reply.hasPrefix("ERR rate-limited JOIN "))
      try client.answers("QUIT", "OK QUIT")
    }
    #expect(taken == 8)
    let watcher = try target.client()
    let sender = try target.client()
    try sender.answers("NICK sender", "OK NICK")
    try sender.send("MSG lobby hi\n")
    // Each of the eight is a connection of its own, and the next comes when this one is over.
    for _ in 1...8 {
      let dialled = try victim.accept()
      #expect(try watcher.stats()["connections"] == 2)
      #expect(try dialled.linesToEnd() == [":sender@relay MSG lobby hi"])
    }
    #expect(try sender.line(startingWith: "OK MSG") != "")
  }

  @Test("a place that dials itself: the server's own address is nobody's, however it is written")
  func ownAddress() throws {
    let target = try Target(listen: "0.0.0.0:0")
    let port = try target.port
    let local = try ListenAddress(parsing: "127.0.0.1:\(port)")
    let client = try TestClient(local)
    for host in ["", "127.0.0.1", "127.0.0.9", "[::ffff:127.0.0.1]"] {
      try client.answers("JOIN lobby \(host):\(port)", "ERR bad-address JOIN ")
    }
    let other = try TestClient(local, from: IPAddress("127.0.0.2"))
    try other.answers("JOIN lobby :\(port)", "ERR bad-address JOIN ")
    try client.answers("GROUPS", "OK GROUPS 0")
  }

  @Test("two servers that are made members of each other say a thing once")
  func circle() throws {
    let (one, two) = (try Target(), try Target())
    for (target, other) in [(one, two), (two, one)] {
      let client = try target.client()
      try client.answers("NICK circle", "OK NICK")
      try client.answers("JOIN lobby :\(try other.port)", "OK JOIN lobby 1")
      try client.answers("QUIT", "OK QUIT")
    }
    let sender = try one.client()
    try sender.answers("NICK sender", "OK NICK")
    try sender.answers("MSG lobby round and round", "OK MSG lobby ")
    let watcher = try two.client()
    try eventually("it has been dialled") { try watcher.stats()["errors", default: 0] >= 1 }
    try sender.answers("WAIT 1", "OK WAIT 0")
    #expect(try sender.stats()["messages"] == 1)
    #expect(try watcher.stats()["messages"] == 0)
  }

  @Test("a member at a node's own address: the node does not speak to itself")
  func nodeAtItself() throws {
    let target = try Target()
    let node = try NodeTarget("bob", of: target, in: "lobby")
    let eve = try target.client()
    try eve.answers("NICK eve", "OK NICK")
    try eve.answers("JOIN lobby :\(node.port)", "OK JOIN lobby 2")
    try eve.answers("QUIT", "OK QUIT")
    let carol = try target.member("carol")
    let owner = try node.owner()
    try eventually("the node knows of both") {
      try owner.ask("MEMBERS lobby") == "OK MEMBERS lobby 3"
    }
    try owner.send("MSG lobby hello\n")
    try carol.line(startingWith: ":bob@127.0.0.1:\(node.port) MSG lobby hello")
    let cpu = try node.figures.cpuSeconds()
    try target.client().answers("WAIT 2", "OK WAIT 0")
    #expect(try node.figures.cpuSeconds() - cpu < 0.5)
    #expect(try owner.stats()["messages-heard", default: 0] == 0)
    #expect(!carol.hasInput)
  }
}
