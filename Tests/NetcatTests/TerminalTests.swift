// People at terminals: netcat and telnet in a real one, typed into.

import Foundation
import TestSupport
import Testing

@Suite("At a terminal", .ownThread, .timeLimit(.minutes(20)))
struct TerminalTests {
  @Test("three people with nc")
  func threePeople() throws {
    let daemon = try Daemon()
    let netcat = "nc.openbsd 127.0.0.1 \(daemon.port)"
    let alice = try Terminal(netcat)
    let bob = try Terminal(netcat)
    let carol = try Terminal(netcat)

    let people = [(alice, "alice"), (bob, "bob"), (carol, "carol")]
    for (number, (terminal, name)) in people.enumerated() {
      try terminal.type("NICK \(name)")
      try terminal.see("OK NICK \(name)")
      try terminal.type("JOIN lobby")
      try terminal.see("OK JOIN lobby \(number + 1)")
    }
    try alice.see(":bob@relay JOIN lobby")
    try alice.see(":carol@relay JOIN lobby")
    try bob.see(":carol@relay JOIN lobby")

    try alice.type("MSG lobby hello, größe und 你好")
    try alice.see("OK MSG lobby 2/2")
    try bob.see(":alice@relay MSG lobby hello, größe und 你好")
    try carol.see(":alice@relay MSG lobby hello, größe und 你好")

    try bob.type("PM carol just us")
    try bob.see("OK PM carol")
    try carol.see(":bob@relay PM carol just us")

    try carol.type("MEMBERS lobby")
    try carol.see("OK MEMBERS lobby 3")
    #expect(
      try carol.screen().suffix(4) == [
        "MEMBER lobby alice@relay online", "MEMBER lobby bob@relay online",
        "MEMBER lobby carol@relay online", "OK MEMBERS lobby 3",
      ])

    try bob.type("LEAVE lobby")
    try bob.see("OK LEAVE lobby")
    try alice.see(":bob@relay LEAVE lobby")

    // Ctrl-C ends a netcat, and the others are told: that it closed, or was reset where something
    // was still on its way to it.
    try carol.press("C-c")
    try alice.see(startingWith: ":carol@relay LEAVE lobby connection ")
    #expect(try alice.screen().contains { $0.contains("just us") } == false)
  }

  @Test("whatever is typed wrongly, the answer says what to do")
  func mistakes() throws {
    let daemon = try Daemon()
    let terminal = try Terminal("nc.openbsd 127.0.0.1 \(daemon.port)")
    for (mistake, code, hint) in [
      ("/join lobby", "unknown-verb", "JOIN <group>"),
      ("PRIVMSG #lobby :hi", "unknown-verb", "MSG <group> <text>"),
      ("hello everybody", "unknown-verb", "HELP"),
      ("JION lobby", "unknown-verb", "JOIN"),
      ("NICK", "bad-syntax", "NICK <name>"),
      ("NICK 2fast", "bad-name", "letter"),
      ("JOIN what?", "bad-group", "letters"),
      ("MSG nowhere hi", "no-such-group", "JOIN nowhere"),
      ("PM nobody hi", "no-such-peer", "MEMBERS"),
      ("LEAVE nowhere", "no-such-group", "JOIN nowhere"),
      ("JOIN lobby example.org:5001", "bad-address", "5001"),
    ] {
      try terminal.type(mistake)
      // Each answer is waited for by its code, then looked at.
      let number = Int.random(in: 1_000_000...9_999_999)
      try terminal.type("PING \(number)")
      let screen = try terminal.see("PONG \(number)").joined()
      #expect(screen.contains("ERR \(code) "), "\(mistake)")
      #expect(screen.contains(hint), "\(mistake)")
    }
  }

  @Test("telnet: Ctrl-C and Ctrl-D do no harm")
  func telnet() throws {
    let daemon = try Daemon()
    let listener = try PipedTests.listener(daemon)
    let terminal = try Terminal("telnet 127.0.0.1 \(daemon.port)")
    try terminal.see("Escape character is '^]'.")
    try terminal.type("NICK tel")
    try terminal.see("OK NICK tel")
    try terminal.type("MSG ops one")
    try terminal.see("OK MSG ops 1/1")
    #expect(try listener.line() == ":tel@relay MSG ops one")

    // Telnet asks for a timing mark, and would show nothing more if it were not answered.
    try terminal.press("C-c")
    try terminal.type("MSG ops two")
    #expect(try listener.line() == ":tel@relay MSG ops two")
    try terminal.type("PING three")
    try terminal.see("PONG three")

    // Ctrl-D puts a control character before the next line, which is refused as such.
    try terminal.press("C-d")
    try terminal.type("PING four")
    try terminal.type("PING five")
    try terminal.see("PONG five")
    #expect(try terminal.screen().contains { $0.hasPrefix("ERR bad-encoding - ") })
  }
}
