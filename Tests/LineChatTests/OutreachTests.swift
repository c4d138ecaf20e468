// Members who listen for themselves, over real sockets: they are dialled, they get everything in
// order and once, and where they cannot be reached nobody waits for them.

import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Members who listen", .ownThread, .timeLimit(.minutes(20)))
struct OutreachTests {
  /// A member that has nothing but a listener, and is gone again itself.
  private func carol(_ server: TestServer, _ listener: TestListener) throws {
    let client = try server.client()
    try client.send("NICK carol\nJOIN lobby :\(listener.port)\nQUIT\n")
    #expect(try client.linesToEnd().suffix(2) == ["OK JOIN lobby 1", "OK QUIT"])
  }

  @Test("a member that talks back when it should end harms nobody")
  func talksBack() throws {
    let server = try TestServer()
    let listener = try TestListener()
    try carol(server, listener)
    let alice = try server.client()
    for number in 1...20 {
      try alice.send("MSG lobby \(number)\n")
      let dialled = try listener.accept()
      try dialled.expect(":guest2@relay MSG lobby \(number)")
      #expect(try dialled.line() == nil)
      try dialled.send("PING\nPING\nMSG lobby back\n")
      dialled.close()
      #expect(try alice.line(startingWith: "OK MSG") == "OK MSG lobby 1/1")
    }
    #expect(try alice.ask("PING") == "PONG")
  }

  @Test("a listening socket is a member: it gets everything, before and after a restart")
  func listenerIsMember() throws {
    let directory = try TemporaryDirectory()
    var server = try TestServer(directory)
    var listener = try TestListener()
    let place = "127.0.0.1:\(listener.port)"
    try carol(server, listener)
    var alice = try server.client()
    try alice.ask("NICK alice")
    try alice.send("MSG lobby one\n")
    #expect(try listener.lines(1) == [":alice@relay MSG lobby one"])
    #expect(try alice.line() == "OK MSG lobby 1/1")
    try alice.send("PM carol two\n")
    #expect(try listener.lines(1) == [":alice@relay PM carol two"])
    #expect(try alice.line() == "OK PM carol")

    // Her listener goes down, and with it still down the server is started anew.
    listener.close()
    for word in ["three", "four"] {
      #expect(try alice.ask("MSG lobby \(word)") == "OK MSG lobby 0/1 kept 1")
    }
    #expect(server.log.all.contains("info kept a message for carol@\(place) (2 waiting)"))
    server.stop()
    server = try TestServer(directory)
    alice = try server.client()
    try alice.ask("NICK alice")
    #expect(try alice.ask("MSG lobby five") == "OK MSG lobby 0/1 kept 1")
    listener = try TestListener(port: listener.port)
    #expect(
      try listener.lines(3) == ["three", "four", "five"].map { ":alice@relay MSG lobby \($0)" })
    try eventually("it is said") {
      server.log.all.contains("info delivered 3 messages to carol@\(place)")
    }
    try alice.send("MSG lobby six\n")
    #expect(try listener.lines(1) == [":alice@relay MSG lobby six"])
    #expect(try alice.line() == "OK MSG lobby 1/1")

    // What she has does not come again.
    server.stop()
    server = try TestServer(directory)
    alice = try server.client()
    try alice.send("MSG lobby seven\n")
    #expect(try listener.lines(1).map { $0.hasSuffix(" MSG lobby seven") } == [true])
  }

  @Test("an address that does not answer costs a sender a second once, and then nothing")
  func silentAddress() throws {
    let server = try TestServer()
    let listener = try TestListener()
    try carol(server, listener)
    try listener.becomeDeaf()
    let alice = try server.client()
    let bob = try server.member("bob", of: "other")
    let start = Deadline.now
    try alice.send("MSG lobby one\n")
    // Nobody else waits with her.
    for turn in 1...50 { #expect(try bob.ask("PING \(turn)") == "PONG \(turn)") }
    #expect(try alice.line() == "OK MSG lobby 0/1 kept 1")
    for turn in 2...20 { #expect(try alice.ask("MSG lobby \(turn)") == "OK MSG lobby 0/1 kept 1") }
    let seconds = Double(Deadline.now - start) / 1_000_000_000
    #expect(seconds > 0.9 && seconds < 1.8, "\(seconds) s")
    try eventually("the dial is given up") {
      server.log.all.contains { $0.contains("can't be reached (no answer within 2 s); next try") }
    }
  }

  @Test("who resets the connection gets it all again")
  func resetWhileWritten() throws {
    let server = try TestServer()
    let listener = try TestListener()
    try carol(server, listener)
    let alice = try server.client()
    try alice.ask("NICK alice")
    try alice.send("MSG lobby one\n")
    try listener.accept().reset()
    #expect(try alice.line() == "OK MSG lobby 0/1 kept 1")
    #expect(try listener.lines(1) == [":alice@relay MSG lobby one"])
    #expect(
      server.log.all.contains { $0.contains("can't be reached (connection reset); next try in ") })
  }

  @Test("who does not end its side is heard for a second, and has it then")
  func silentListener() throws {
    let server = try TestServer()
    let listener = try TestListener()
    try carol(server, listener)
    let alice = try server.client()
    try alice.send("MSG lobby one\n")
    let connection = try listener.accept()
    #expect(try connection.linesToEnd().map { $0.hasSuffix(" MSG lobby one") } == [true])
    // She says something after the end of ours, and never ends hers.
    try connection.send("whatever\n")
    // A busy machine may take longer than alice waits for it.
    let reply = try alice.line()
    #expect(["OK MSG lobby 1/1", "OK MSG lobby 0/1 kept 1"].contains(reply))
  }

  @Test("a program that listens says who it is, gets tags, and acknowledges")
  func program() throws {
    let server = try TestServer()
    let listener = try TestListener()
    let client = try server.client()
    try client.send("@label=a NICK carol\n@label=b JOIN lobby :\(listener.port)\n")
    // Dialled once while it is connected, to see whether it can be reached.
    let probe = try listener.accept()
    try probe.send("INFO linechat 0.1.0 protocol=1 name=carol\n")
    #expect(try probe.linesToEnd() == [])
    probe.close()
    try client.line { $0.contains("MEMBER lobby carol@") && $0.hasSuffix(" reachable") }
    client.close()
    let alice = try server.client()
    try alice.ask("NICK alice")
    try eventually("she is away") {
      try alice.send("MEMBERS lobby\n")
      let member = try alice.line(startingWith: "MEMBER ")
      try alice.line(startingWith: "OK ")
      return member.contains(" away")
    }
    try alice.send("MSG lobby one\n")
    let impostor = try listener.accept()
    try impostor.send("INFO linechat 0.1.0 protocol=1 name=mallory\n")
    #expect(try impostor.linesToEnd() == [])
    #expect(try alice.line() == "OK MSG lobby 0/1 kept 1")
    let link = try listener.accept()
    try link.send("INFO linechat 0.1.0 protocol=1 name=carol\n")
    let line = try link.line() ?? ""
    #expect(line.hasPrefix("@msgid=") && line.hasSuffix(" :alice@relay MSG lobby one"))
    let id = line.dropFirst("@msgid=".count).prefix { $0 != ";" }
    try link.send("ACK lobby \(id)\n")
    #expect(try link.linesToEnd() == [])
    link.close()
    try eventually("it is said") {
      server.log.all.contains { $0.contains("delivered 1 message to ") }
    }
  }

  @Test("connections that the server makes take nobody's place")
  func dialsAndLimits() throws {
    let server = try TestServer { $0.connectionsMax = 2 }
    let listener = try TestListener()
    try carol(server, listener)
    let alice = try server.client()
    try alice.send("MSG lobby one\n")
    let connection = try listener.accept()
    // Both are connected, and carol's connection is still under way.
    let bob = try server.client()
    #expect(try bob.ask("PING") == "PONG")
    #expect(try TestClient(server.address).line()?.hasPrefix("ERR too-many") == true)
    #expect(try connection.linesToEnd().count == 1)
    connection.close()
    #expect(try alice.line() == "OK MSG lobby 1/1")
  }

  @Test("a server that stops does not wait for those it dials")
  func stopping() throws {
    let server = try TestServer()
    let listener = try TestListener()
    try carol(server, listener)
    try listener.becomeDeaf()
    let alice = try server.client()
    try alice.send("MSG lobby one\n")
    try alice.send("PING\n")
    let start = Deadline.now
    alice.close()
    server.stop()
    #expect(Deadline.now - start < 1_500_000_000)
  }

  @Test("what a member is taking while the server stops does not come again")
  func takenWhileStopping() throws {
    let directory = try TemporaryDirectory()
    var server = try TestServer(directory)
    var listener = try TestListener()
    try carol(server, listener)
    listener.close()
    let alice = try server.client()
    #expect(try alice.ask("MSG lobby one") == "OK MSG lobby 0/1 kept 1")
    alice.close()
    listener = try TestListener(port: listener.port)
    let connection = try listener.accept()
    #expect(try connection.linesToEnd().count == 1)
    server.server.stop()
    connection.close()
    server.stop()
    server = try TestServer(directory)
    let bob = try server.client()
    try bob.send("MSG lobby two\n")
    #expect(try listener.lines(1).map { $0.hasSuffix(" MSG lobby two") } == [true])
  }

  @Test("a name held by somebody away is refused to another host, and given back to its own")
  func heldName() throws {
    let directory = try TemporaryDirectory()
    var server = try TestServer(directory)
    for turn in 1...2 {
      let carol = try server.client(from: "127.0.0.3")
      #expect(try carol.ask("NICK carol") == "OK NICK carol")
      #expect(try carol.ask("JOIN lobby relay") == "OK JOIN lobby 1")
      try carol.ask("QUIT")
      if turn == 2 {
        server.stop()
        server = try TestServer(directory)
      }
      let other = try server.client(from: "127.0.0.2")
      #expect(try other.ask("NICK carol").hasPrefix("ERR name-taken NICK "))
    }
  }
}
