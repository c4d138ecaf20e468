// Sessions: greeting, errors and hints, tags, the two steps to the disk, listings, silence, the end.

import LineChatCore
import LineProtocol
import Testing

@Suite("Sessions")
struct SessionTests {
  @Test("the greeting says who one is and what to type")
  func greeting() {
    let stage = Stage()
    stage.open("a", hearsGreeting: false)
    #expect(
      stage.take("a") == [
        "INFO linechatd 1 protocol=1 server=0000000000000000 you=guest1 max-line=65536 help=HELP"
      ])
  }

  @Test(
    "whoever comes from elsewhere is shown the right request",
    arguments: [
      ("/join lobby", "there are no slashes here: JOIN <group> [<address>|relay]"),
      ("/w bob hi", "there are no slashes here: PM <name> <text>"),
      ("/wurst", "there are no slashes here: HELP lists the requests"),
      ("PRIVMSG #a :hi", "here that is: MSG <group> <text>, or PM <name> <text> to one person"),
      ("SUB foo 1", "here that is: JOIN <group>"),
      ("exit", "here that is: QUIT"),
      ("JION lobby", "did you mean JOIN? JOIN <group> [<address>|relay]"),
      ("MEMBER5 lobby", "did you mean MEMBERS? MEMBERS <group>"),
      ("HISTORY lobby", "HISTORY is reserved for a later version; HELP lists the requests"),
      (
        "hello everybody",
        "no such request; JOIN <group> first, then MSG <group> <text>; HELP lists all"
      ),
    ])
  func hints(line: String, hint: String) {
    let stage = Stage()
    stage.send("a", line)
    #expect(stage.take("a") == ["ERR unknown-verb - \(hint)"])
  }

  @Test("prose in a group is answered with the line that would say it there")
  func prose() {
    let stage = Stage()
    let hint = "no such request; HELP lists all; to say it: MSG lobby"
    stage.play(
      """
      a> JOIN lobby
      a< {*}
      a< OK JOIN lobby 1
      a> hello everybody
      a< ERR unknown-verb - \(hint) hello everybody
      a> größe,\tzwei  Worte
      a< ERR unknown-verb - \(hint) größe,\tzwei  Worte
      a> @label=l :guest1@relay hello: who is there?
      a< @label=l ERR unknown-verb - \(hint) hello: who is there?
      """)
    // A long one is cut between two characters.
    stage.send("a", "so " + String(repeating: "ö", count: 10_000))
    #expect(
      stage.take("a") == [
        "ERR unknown-verb - \(hint) so \(String(repeating: "ö", count: 118))..."
      ])
  }

  @Test("what only a server says is refused; OK, ERR, PONG and ACK get no answer")
  func replies() {
    Stage().play(
      """
      a> OK MSG lobby 1/1
      a> ERR internal - x
      a> PONG
      a> ACK lobby 0000000000000001.1
      a> INFO x
      a< ERR unknown-verb INFO that is what a server says, not what it is told; HELP lists the requests
      """)
  }

  @Test("PING and its token, with the label of who asks")
  func ping() {
    Stage().play(
      """
      a> ping
      a< PONG
      a> PING now
      a< PONG now
      a> @label=x\\sy PING
      a< @label=x\\sy PONG
      """)
  }

  @Test("a source is believed where it is one's own")
  func sources() {
    Stage().play(
      """
      a> NICK alice
      a< OK NICK alice
      b> JOIN lobby
      b< {*}
      b< OK JOIN lobby 1
      a> :ALICE@relay MSG lobby hi
      a< OK MSG lobby 1/1
      b< :alice@relay MSG lobby hi
      a> :bob@relay MSG lobby hi
      a< ERR forbidden MSG you are alice@relay here; leave the source away
      """)
  }

  @Test("a web page is sent away")
  func http() {
    let stage = Stage()
    stage.play(
      """
      a> GET /chat HTTP/1.1
      a< ERR forbidden - this is a chat, not a web server; type HELP in nc or telnet
      x a
      """)
  }

  @Test("every request has its help, and HELP lists it")
  func help() {
    let requests = Verb.allCases.filter(\.isRequest)
    #expect(Set(Help.all.map(\.verb)) == Set(requests))
    let stage = Stage()
    stage.send("a", "HELP")
    let overview = stage.take("a")
    #expect(overview.last == "OK HELP")
    for verb in requests {
      #expect(overview.contains { $0.hasPrefix("HELP \(verb.word)") }, "\(verb)")
      stage.send("a", "HELP \(verb.word)")
      let lines = stage.take("a")
      #expect(lines.first?.hasPrefix("HELP \(verb.word)") == true)
      #expect(lines.last == "OK HELP")
    }
    stage.send("a", "HELP nonsense")
    #expect(stage.take("a") == ["ERR unknown-verb HELP there is no such request; HELP lists them"])
    for line in overview { #expect(line.utf8.count <= 90, "fits a terminal: \(line)") }
  }

  @Test("STATS counts what happened")
  func stats() {
    let stage = Stage()
    stage.send("a", "JOIN lobby")
    stage.send("b", "JOIN lobby")
    stage.send("b", "MSG lobby hi")
    _ = stage.take("b")
    stage.send("b", "STATS")
    let lines = stage.take("b")
    #expect(lines.contains("STAT messages 1"))
    #expect(lines.contains("STAT deliveries 1"))
    #expect(lines.contains("STAT groups 1"))
    #expect(lines.last == "OK STATS")
  }

  // MARK: The disk

  @Test("an OK for a durable member waits for the disk, and only that session waits")
  func twoSteps() {
    let stage = Stage()
    stage.disk = .byHand
    stage.send("b", "JOIN lobby")
    stage.send("a", "NICK alice")
    stage.send("a", "JOIN lobby relay")
    #expect(stage.take("a") == ["OK NICK alice"])
    #expect(!stage.accepts("a"))
    #expect(stage.tickets.count == 1)
    _ = stage.take("b")
    stage.send("b", "MSG lobby hi")
    #expect(stage.take("b") == ["OK MSG lobby 0/0"])
    stage.disk()
    #expect(stage.take("a").last == "OK JOIN lobby 2")
    #expect(stage.take("b") == [":alice@relay JOIN lobby"])
    #expect(stage.accepts("a"))
  }

  @Test("if the disk fails nothing has happened")
  func diskFails() {
    let stage = Stage()
    stage.disk = .byHand
    stage.send("a", "NICK alice")
    stage.send("a", "JOIN lobby relay")
    _ = stage.take("a")
    stage.disk(fails: "no space left on device")
    #expect(
      stage.take("a") == [
        "ERR internal JOIN the change could not be written to disk (no space left on device); "
          + "nothing has changed"
      ])
    stage.send("a", "GROUPS")
    #expect(stage.take("a") == ["OK GROUPS 0"])
  }

  @Test("after a change that failed, what would change nothing is confirmed behind the disk, too")
  func diskMayHaveIt() {
    let stage = Stage()
    stage.send("a", "NICK alice")
    stage.send("a", "JOIN lobby relay")
    stage.disk = .byHand
    stage.send("a", "NICK zoe")
    stage.disk(fails: "x")
    _ = stage.take("a")
    stage.send("a", "JOIN lobby relay")
    #expect(stage.take("a") == [])
    stage.disk(fails: "x")
    #expect(stage.take("a").first?.hasPrefix("ERR internal JOIN") == true)
    stage.send("a", "NICK alice")
    #expect(stage.take("a") == [])
    stage.send("b", "JOIN lobby")
    _ = stage.take("a")
    _ = stage.take("b")
    stage.disk()
    #expect(stage.take("a") == ["OK NICK alice"])
    #expect(stage.take("b") == [], "nobody has another name")
    stage.send("a", "JOIN lobby relay")
    #expect(stage.take("a").last == "OK JOIN lobby 2")
    #expect(stage.tickets.isEmpty)
  }

  @Test("a name on its way to the disk is reserved, and given back if the disk fails")
  func reservedName() {
    let stage = Stage()
    stage.send("a", "NICK alice")
    stage.send("a", "JOIN lobby relay")
    _ = stage.take("a")
    stage.disk = .byHand
    stage.send("a", "NICK zoe")
    stage.send("b", "NICK zoe")
    #expect(stage.take("b").first?.hasPrefix("ERR name-taken NICK zoe is being taken") == true)
    stage.disk(fails: "x")
    #expect(stage.take("a").first?.hasPrefix("ERR internal NICK") == true)
    stage.send("b", "NICK zoe")
    #expect(stage.take("b") == ["OK NICK zoe"])
    stage.send("a", "MEMBERS lobby")
    #expect(stage.take("a").first == "MEMBER lobby alice@relay online")
  }

  @Test("who goes while the disk is asked is a member nevertheless")
  func goneMeanwhile() {
    let stage = Stage()
    stage.disk = .byHand
    stage.send("a", "NICK alice")
    stage.send("a", "JOIN lobby relay")
    stage.gone("a")
    stage.disk()
    stage.send("b", "MEMBERS lobby")
    #expect(stage.take("b") == ["MEMBER lobby alice@relay away", "OK MEMBERS lobby 1"])
  }

  @Test("bare memberships never ask the disk")
  func noDisk() {
    let stage = Stage()
    stage.disk = .byHand
    stage.send("a", "NICK alice")
    stage.send("a", "JOIN lobby")
    stage.send("a", "NICK zoe")
    stage.send("a", "LEAVE lobby")
    #expect(stage.tickets.isEmpty)
    #expect(stage.take("a").last == "OK LEAVE lobby")
  }

  // MARK: Listings

  @Test("a long listing comes in pieces; deliveries and further requests come after it")
  func longListing() {
    let stage = Stage { $0.listingPieceBytes = 1_024 }
    for number in 0..<200 { stage.send("m\(number)", "JOIN big") }
    stage.drainsByHand = true
    stage.send("a", "JOIN other")
    _ = stage.take("a")
    stage.send("a", "MEMBERS big")
    #expect(!stage.accepts("a"))
    stage.send("b", "PM guest201 hello")
    stage.send("b", "MSG other hi")
    stage.send("m0", "LEAVE big")
    var pieces = 0
    while stage.directory.awaitsDrain(stage.id("a")) {
      stage.drained("a")
      #expect(stage.roundBytes["a", default: 0] <= 1_024 + 64)
      pieces += 1
      guard pieces < 100 else { break }
    }
    let heard = stage.take("a")
    #expect(heard.count == 203)
    #expect(heard[0] == "MEMBER big guest1@relay online", "as it was when it was asked for")
    #expect(
      heard.suffix(3) == [
        "OK MEMBERS big 200", ":guest202@relay PM guest201 hello",
        ":guest202@relay MSG other hi",
      ])
    #expect(pieces > 1)
    #expect(stage.accepts("a"))
  }

  @Test("who does not take its listing is a slow consumer")
  func stalledListing() {
    let stage = Stage { $0.listingPieceBytes = 1_024 }
    for number in 0..<200 { stage.send("m\(number)", "JOIN big") }
    stage.drainsByHand = true
    stage.send("a", "MEMBERS big")
    stage.pass(seconds: 59)
    #expect(stage.overrun == [])
    stage.pass(seconds: 1)
    #expect(stage.overrun == ["a"])
  }

  @Test("what others say meanwhile is kept only up to a limit")
  func muchHeld() {
    let stage = Stage { $0.listingPieceBytes = 1_024 }
    for number in 0..<100 { stage.send("m\(number)", "JOIN big") }
    stage.drainsByHand = true
    stage.send("a", "MEMBERS big")
    let line = "PM guest101 " + String(repeating: "x", count: 60_000)
    var sent = 0
    while stage.overrun.isEmpty, sent < 100 {
      stage.send("b", line)
      stage.settle()
      sent += 1
      #expect(stage.directory.fanOut.heldBytes(stage.id("a").index) <= Limits.heldBytes + 65_536)
    }
    #expect(stage.overrun == ["a"])
    stage.send("b", line)
    stage.settle()
    #expect(stage.overrun == ["a"], "said once")
  }

  @Test("a session with many replies due in a round accepts no more before it ends")
  func manyReplies() {
    let stage = Stage()
    stage.open("a")
    var sent = 0
    while stage.accepts("a"), sent < 100_000 {
      stage.receive("a", "PING 0123456789012345678901234567890123456789")
      sent += 1
    }
    #expect(sent < 2_000)
    stage.settle()
    #expect(stage.accepts("a"))
    #expect(stage.take("a").count == sent)
  }

  // MARK: Silence and the end

  @Test("a silent program is pinged, and given up when it does not answer")
  func silence() {
    Stage().play(
      """
      b> JOIN lobby
      b< {*}
      b< OK JOIN lobby 1
      a> @x=1 JOIN lobby
      a< {*}
      a< {*}
      a< {*}
      b< :guest2@relay JOIN lobby
      = 30
      a< PING
      = 30
      a< PING
      = 30
      x a
      b< :guest2@relay LEAVE lobby no sign of life
      """)
  }

  @Test("any byte is a sign of life, and a plain netcat is never asked")
  func signsOfLife() {
    let stage = Stage()
    stage.send("plain", "PING")
    stage.send("a", "@x=1 PING")
    _ = stage.take("a")
    _ = stage.take("plain")
    for _ in 0..<10 {
      stage.pass(seconds: 20)
      stage.directory.heard(stage.id("a"), now: stage.now)
    }
    #expect(stage.take("a") == [])
    stage.pass(seconds: 300)
    #expect(stage.take("plain") == [])
    #expect(!stage.isClosed("plain"))
  }

  @Test("at the server's end everybody is told, and nobody hears that all the others leave")
  func shutDown() {
    let stage = Stage()
    for name in ["a", "b"] { stage.send(name, "JOIN lobby") }
    for name in ["a", "b"] { _ = stage.take(name) }
    stage.directory.shutDown(now: stage.now)
    stage.settle()
    for name in ["a", "b"] {
      #expect(
        stage.take(name) == ["INFO shutting-down the server is stopping; connect again later"])
      #expect(stage.isClosed(name))
    }
  }
}
