// How conversations end: every way in which either side can go, and that nobody loses a line by it.

import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Connections end", .ownThread, .timeLimit(.minutes(20)))
struct ClosingTests {
  @Test("after a half-close everything sent is carried out and answered")
  func halfClose() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let client = try TestClient(server.address)
    try client.send("NICK cron\nMSG lobby disk is full\nMEMBERS lobby\nPING end\n")
    client.shutDownOutput()
    let lines = try client.linesToEnd()
    #expect(
      lines.dropFirst() == [
        "OK NICK cron", "OK MSG lobby 1/1", "MEMBER lobby alice@relay online", "OK MEMBERS lobby 1",
        "PONG end",
      ])
    #expect(client.end == .inOrder)
    try alice.expect(":cron@relay MSG lobby disk is full")
  }

  @Test("the last line of a plain connection may lack its newline")
  func lastLineWithoutNewline() throws {
    let server = try TestServer()
    let client = try server.client()
    try client.send("PING one\nPING two")
    client.shutDownOutput()
    #expect(try client.linesToEnd() == ["PONG one", "PONG two"])
  }

  @Test("on a connection that speaks tags it is dropped")
  func lastTaggedLineWithoutNewline() throws {
    let server = try TestServer()
    let client = try server.client()
    try client.send("@label=a PING one\n@label=b PING two")
    client.shutDownOutput()
    #expect(try client.linesToEnd() == ["@label=a PONG one"])
  }

  @Test("QUIT closes, and what stands behind it is not carried out")
  func quit() throws {
    let server = try TestServer()
    let client = try server.client()
    try client.send("PING one\nQUIT\nPING two\n")
    #expect(try client.linesToEnd() == ["PONG one", "OK QUIT"])
    #expect(client.end == .inOrder)
  }

  @Test("the last lines arrive although input is left unread", arguments: 1...20)
  func unreadInputAtTheEnd(turn: Int) throws {
    let server = try TestServer()
    let client = try server.client()
    try client.send("QUIT\n" + String(repeating: "PING more\n", count: 5_000))
    #expect(try client.linesToEnd() == ["OK QUIT"])
    #expect(client.end == .inOrder)
  }

  @Test("who sends and closes at once is still heard", arguments: 1...20)
  func sendAndClose(turn: Int) throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let client = try TestClient(server.address)
    // The greeting is on its way already: it makes the client's kernel answer with a reset.
    try client.send("NICK cron\nMSG lobby one\nMSG lobby two\n")
    client.close()
    try alice.expect(":cron@relay MSG lobby one")
    try alice.expect(":cron@relay MSG lobby two")
  }

  @Test("much that was sent before the sender went is carried out to its end")
  func sendMuchAndClose() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let client = try TestClient(server.address)
    let lines = (1...3_000).map { "MSG lobby \($0) \(String(repeating: "x", count: 90))\n" }
    try client.send("NICK cron\n" + lines.joined())
    try client.waitUntilTaken()
    client.close()
    for number in 1...3_000 { try alice.line(startingWith: ":cron@relay MSG lobby \(number) ") }
  }

  @Test("half a line before a reset means nothing")
  func resetInTheMiddle() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let client = try server.client()
    try client.ask("NICK cron")
    try client.send("MSG lobby whole\nMSG lobby ha")
    try client.line(startingWith: "OK MSG")
    client.reset()
    try alice.expect(":cron@relay MSG lobby whole")
    try alice.ask("PING")
    try eventually("the name is free") {
      try alice.ask("PM cron hello").hasPrefix("ERR no-such-peer")
    }
  }

  @Test("a member that is reset leaves its groups")
  func resetMember() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let bob = try server.member("bob")
    try alice.expect(":bob@relay JOIN lobby")
    bob.reset()
    try alice.expect(":bob@relay LEAVE lobby connection reset")
  }

  @Test("WAIT holds what stands behind it, also after a half-close")
  func waitWithHalfClose() throws {
    let server = try TestServer()
    let client = try TestClient(server.address)
    try client.send("JOIN deploys\nWAIT 60 1\nPING behind\n")
    client.shutDownOutput()
    try client.line(startingWith: "OK JOIN deploys")
    let other = try server.client()
    try other.ask("MSG deploys done")
    #expect(try client.line()?.hasSuffix(" MSG deploys done") == true)
    #expect(try client.linesToEnd() == ["OK WAIT 1", "PONG behind"])
    #expect(client.end == .inOrder)
  }

  @Test("WAIT ends after its time and the connection with it")
  func waitEnds() throws {
    let server = try TestServer()
    let client = try TestClient(server.address)
    try client.send("WAIT 1\nQUIT\n")
    client.shutDownOutput()
    try client.line(startingWith: "INFO ")
    #expect(try client.linesToEnd() == ["OK WAIT 0", "OK QUIT"])
  }

  @Test("a hang-up ends a WAIT")
  func waitAndReset() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let client = try server.member("bob")
    try alice.expect(":bob@relay JOIN lobby")
    try client.send("WAIT 600\nMSG lobby never\n")
    // Nothing tells that the WAIT has begun; either way the line behind it is not carried out.
    client.reset()
    try alice.line(startingWith: ":bob@relay LEAVE lobby")
  }

  @Test("on a Unix socket the same: half-close, and close at once")
  func unixSocket() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer {
      $0.listen = [try ListenAddress(parsing: "unix:\(directory.path)/socket")]
    }
    let alice = try server.member("alice")
    let polite = try TestClient(server.address)
    try polite.send("MSG lobby one\n")
    polite.shutDownOutput()
    #expect(try polite.linesToEnd().last == "OK MSG lobby 1/1")
    let hasty = try TestClient(server.address)
    try hasty.send("NICK hasty\nMSG lobby two\n")
    hasty.close()
    try alice.line(startingWith: ":guest")
    try alice.expect(":hasty@relay MSG lobby two")
  }
}
