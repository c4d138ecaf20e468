// MSG, PM, ACK, WAIT: who hears what, in which order, and what the sender is told.

import LineChatCore
import LineProtocol
import Testing

@Suite("Messages")
struct MessageTests {
  /// Three in a group: alice and bob are plain, eve speaks tags.
  private func three() -> Stage {
    let stage = Stage()
    for name in ["alice", "bob"] {
      stage.send(name, "NICK \(name)")
      stage.send(name, "JOIN lobby")
    }
    stage.send("eve", "@x=1 NICK eve")
    stage.send("eve", "@x=1 JOIN lobby")
    for name in ["alice", "bob", "eve"] { _ = stage.take(name) }
    return stage
  }

  @Test("a message reaches everybody else, as it was written")
  func everybody() {
    three().play(
      """
      alice> msg LOBBY   two  spaces, a\ttab and ünïcode 
      alice< OK MSG lobby 2/2
      bob< :alice@relay MSG lobby   two  spaces, a\ttab and ünïcode 
      eve< {*}
      """)
  }

  @Test("programs get an id and a time with it")
  func stamps() {
    let stage = three()
    stage.send("alice", "MSG lobby one")
    stage.send("alice", "MSG lobby two")
    let lines = stage.take("eve").map { try! Message(parsing: $0) }
    #expect(lines.count == 2)
    let ids = lines.compactMap { $0.tags["msgid"] }
    let times = lines.compactMap { $0.tags["time"] }
    #expect(ids.count == 2 && ids[0].dropLast(1) == ids[1].dropLast(1))
    #expect(ids[0].hasSuffix(".1") && ids[1].hasSuffix(".2"))
    #expect(times.count == 2 && times[0] < times[1])
    #expect(times[0] == "2027-01-15T08:00:00.000003Z")
  }

  @Test("a program's own tags go on to programs, but label and to; plain members see none")
  func tagsGoOn() {
    three().play(
      """
      alice> @x=1 PING
      alice< PONG
      eve> @label=l1;msgid=00c0ffee00c0ffee.4;prev=3;time=2027-01-15T08:00:00.000000Z;mood=good\\sone MSG lobby hi
      eve< @label=l1 OK MSG lobby 2/2
      bob< :eve@relay MSG lobby hi
      alice< @msgid=00c0ffee00c0ffee.4;prev=3;time=2027-01-15T08:00:00.000000Z;mood=good\\sone :eve@relay MSG lobby hi
      """)
  }

  @Test("one need not be in the group to say something there, but it must be there")
  func guests() {
    three().play(
      """
      cron> MSG lobby disk is full
      cron< OK MSG lobby 3/3
      alice< :guest4@relay MSG lobby disk is full
      bob< :guest4@relay MSG lobby disk is full
      eve< {*}
      cron> MSG nowhere hello
      cron< ERR no-such-group MSG there is no group nowhere; JOIN nowhere makes it, GROUPS lists those there are
      cron> MSG lobby
      cron< ERR bad-syntax MSG the text is missing: MSG lobby <text>
      cron> MSG lobby    
      cron< ERR bad-syntax MSG the text is missing: MSG lobby <text>
      cron> MSG
      cron< ERR bad-syntax MSG MSG takes a group and a text: MSG <group> <text>
      cron> MSG lob/by hi
      cron< ERR bad-group MSG a group's name has 1 to 64 letters, digits, '_', '.' or '-'
      """)
  }

  @Test("alone in a group one is told so")
  func alone() {
    Stage().play(
      """
      a> JOIN lobby
      a< {*}
      a< OK JOIN lobby 1
      a> MSG lobby hello
      a< OK MSG lobby 0/0
      """)
  }

  @Test("several speakers in one round: each hears all the others, each speaker's lines in order")
  func interleaved() {
    let stage = three()
    for number in 0..<50 {
      stage.receive("alice", "MSG lobby a\(number)")
      if number % 3 == 0 { stage.receive("bob", "MSG lobby b\(number)") }
    }
    stage.settle()
    let heardByBob = stage.take("bob").filter { !$0.hasPrefix("OK") }
    #expect(heardByBob == (0..<50).map { ":alice@relay MSG lobby a\($0)" })
    let heardByAlice = stage.take("alice").filter { !$0.hasPrefix("OK") }
    #expect(
      heardByAlice == (0..<50).filter { $0 % 3 == 0 }.map { ":bob@relay MSG lobby b\($0)" })
    #expect(stage.take("eve").count == 67)
  }

  @Test("who joins in the middle of a round hears what comes after, who leaves what came before")
  func midRound() {
    let stage = three()
    stage.open("dan")
    stage.receive("alice", "MSG lobby one")
    stage.receive("dan", "JOIN lobby")
    stage.receive("alice", "MSG lobby two")
    stage.receive("bob", "LEAVE lobby")
    stage.receive("alice", "MSG lobby three")
    stage.settle()
    #expect(
      stage.take("dan").filter { $0.contains(" MSG ") } == [
        ":alice@relay MSG lobby two", ":alice@relay MSG lobby three",
      ])
    #expect(
      stage.take("bob") == [
        ":alice@relay MSG lobby one", ":guest4@relay JOIN lobby", ":alice@relay MSG lobby two",
        "OK LEAVE lobby",
      ])
  }

  @Test("a private message goes to one person, by name in any case")
  func privately() {
    three().play(
      """
      alice> PM BOB a word
      alice< OK PM bob
      bob< :alice@relay PM bob a word
      alice> PM bob@relay another
      alice< OK PM bob
      bob< :alice@relay PM bob another
      alice> PM alice note to self
      alice< :alice@relay PM alice note to self
      alice< OK PM alice
      alice> PM nobody hi
      alice< ERR no-such-peer PM there is no nobody here; MEMBERS <group> lists who is in a group
      alice> PM bob
      alice< ERR bad-syntax PM the text is missing: PM bob <text>
      alice> PM
      alice< ERR bad-syntax PM PM takes a member and a text: PM <member> <text>
      alice> PM b/b hi
      alice< ERR bad-name PM PM goes to a name (bob), an address (10.0.0.2:5001) or both (bob@10.0.0.2:5001)
      alice> PM 10.0.0.2:5001 hi
      alice< ERR no-such-peer PM there is no 10.0.0.2:5001 here; MEMBERS <group> lists who is in a group
      """)
  }

  @Test("a receipt is passed on to the program it is for, and never answered")
  func receipts() {
    let stage = three()
    stage.play(
      """
      frank> @x=1 NICK frank
      frank< OK NICK frank
      frank> @to=eve ACK lobby 00c0ffee00c0ffee.4
      eve< :frank@relay ACK lobby 00c0ffee00c0ffee.4
      frank> @to=bob ACK lobby 00c0ffee00c0ffee.4
      frank> @to=nobody ACK lobby 00c0ffee00c0ffee.4
      frank> ACK lobby 00c0ffee00c0ffee.4
      frank> ACK
      frank> ACK lobby nonsense
      """)
  }

  @Test("WAIT answers when so many messages came, and after them")
  func waitForCount() {
    let stage = three()
    stage.send("bob", "WAIT 60 2")
    #expect(!stage.accepts("bob"))
    stage.play(
      """
      alice> MSG lobby one
      alice< OK MSG lobby 2/2
      bob< :alice@relay MSG lobby one
      eve< {*}
      alice> PM bob two
      alice< OK PM bob
      bob< :alice@relay PM bob two
      bob< OK WAIT 2
      """)
    #expect(stage.accepts("bob"))
    #expect(stage.resumed == ["bob"])
  }

  @Test("WAIT answers when its time has come")
  func waitForTime() {
    Stage().play(
      """
      a> WAIT 30
      = 29
      = 1
      a< OK WAIT 0
      a> WAIT 0
      = 0
      a< OK WAIT 0
      a> WAIT 1 x
      a< ERR bad-syntax WAIT {*}
      a> WAIT 86401
      a< ERR bad-syntax WAIT {*}
      a> WAIT -1
      a< ERR bad-syntax WAIT {*}
      """)
  }

  @Test("the end of input does not end a WAIT; the connection closes when it is answered")
  func waitHalfClosed() {
    Stage().play(
      """
      a> JOIN lobby
      a< {*}
      a< OK JOIN lobby 1
      a> WAIT 60 1
      . a
      b> MSG lobby hi
      b< OK MSG lobby 1/1
      a< :guest2@relay MSG lobby hi
      a< OK WAIT 1
      x a
      """)
  }

  @Test("hundreds of WAITs end with one message")
  func manyWaits() {
    let stage = Stage()
    for number in 0..<300 {
      stage.send("w\(number)", "JOIN lobby")
      stage.send("w\(number)", "WAIT 60 1")
    }
    for number in 0..<300 { _ = stage.take("w\(number)") }
    stage.send("a", "MSG lobby go")
    for number in 0..<300 {
      #expect(stage.take("w\(number)") == [":guest301@relay MSG lobby go", "OK WAIT 1"])
    }
  }

  @Test("message texts are reported only where tracing is on")
  func tracing() {
    for isTracing in [false, true] {
      let stage = Stage { $0.isTracing = isTracing }
      stage.send("a", "JOIN lobby")
      stage.send("a", "MSG lobby secret")
      let said = stage.events.contains { if case .said = $0 { true } else { false } }
      #expect(said == isTracing)
    }
    // Also where it is kept for somebody who is away.
    let stage = Stage { $0.isTracing = true }
    stage.send("carol", "NICK carol")
    stage.send("carol", "JOIN ops relay")
    stage.send("carol", "QUIT")
    stage.send("a", "MSG ops later")
    stage.send("a", "PM carol later")
    #expect(stage.take("a") == ["OK MSG ops 0/1 kept 1", "OK PM carol kept"])
    let said = stage.events.filter { if case .said = $0 { true } else { false } }
    #expect(said.count == 2)
  }
}
