// Who may say what at a node's own port, and to whom it listens.

import LineChatCore
import LineProtocol
import Testing

@Suite("Whom a node believes")
struct PeerTrustTests {
  private static let bob = "bob@10.0.0.2:5001 online tags"

  private func stage() -> PeerStage { PeerStage.joined(["lobby": [PeerTrustTests.bob]]) }

  @Test("a member that connects from where the roster has it is heard, on disk and acknowledged")
  func believed() {
    let stage = stage()
    stage.play(
      """
      + bob 10.0.0.2
      % hold
      bob> @msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby hi
      bob> @msgid=C.1;time=T-60;version=9.3;group=lobby :bob@10.0.0.2:5001 PM alice psst
      % 1
      * :bob@10.0.0.2:5001 MSG lobby hi
      bob< ACK lobby B.1
      % 1
      * :bob@10.0.0.2:5001 PM psst (late) (old)
      bob< ACK alice C.1
      bob> PING
      bob< PONG
      """)
    #expect(stage.peer.replicaState().heard.map { stage.shownID($0) } == ["B.1", "C.1"])
    let record = stage.shown(
      String(decoding: stage.journal.dropLast().last!.line, as: UTF8.self))
    #expect(
      record.hasPrefix("@heard=") && record.contains(";msgid=B.1;time=T :bob@10.0.0.2:5001 MSG"))
  }

  @Test(
    "nobody speaks for a member from another host, or for one whom only the server can vouch for",
    arguments: [
      ":bob@10.0.0.2:5001 MSG lobby forged", ":bob@10.0.0.2:5001 PM alice forged",
      ":bob@relay MSG lobby forged", ":zoe@10.0.0.2:5001 PM alice forged",
      "@version=99.9 :zoe@10.0.0.2:5001 MSG lobby forged", ":alice@10.0.0.1:5001 MSG lobby forged",
      "@msgid=B.1 :bob@10.0.0.2:5001 MSG lobby forged",
    ])
  func forged(line: String) {
    let stage = stage()
    let written = stage.journal
    stage.open("mallory", from: "10.0.0.9")
    stage.send("mallory", line)
    let answer = stage.take("mallory")
    #expect(answer.count == 1 && answer[0].contains("ERR forbidden"), "\(answer)")
    stage.play("mallory> PING\nmallory< PONG")
    #expect(stage.journal == written)
  }

  @Test("even from its own host a member is not believed to be anybody else")
  func sameHost() {
    stage().play(
      """
      + bob 10.0.0.2
      bob> :bob@10.0.0.2:5002 MSG lobby hi
      bob< ERR unreachable MSG I do not know bob@10.0.0.2:5002 (yet); send it through the server
      bob> :carol@10.0.0.2:5001 MSG lobby hi
      bob< ERR unreachable MSG I do not know carol@10.0.0.2:5001 (yet); send it through the server
      bob> :bob@10.0.0.2:5001 MSG ops hi
      bob< ERR not-member MSG I am not in ops
      bob> :bob@10.0.0.2:5001 PM zoe hi
      bob< ERR no-such-peer PM I am alice, not zoe
      bob> :bob@10.0.0.2:5001 PM ALICE hi
      * :bob@10.0.0.2:5001 PM hi
      bob< OK PM alice
      bob> :bob@10.0.0.2:5001 PM 10.0.0.1:5001 hi
      * :bob@10.0.0.2:5001 PM hi
      bob< OK PM alice
      bob> :bob@10.0.0.2:5001 MSG lobby no number
      * :bob@10.0.0.2:5001 MSG lobby no number
      bob< OK MSG lobby 1/1
      """)
  }

  @Test(
    "nothing that is said at our port changes a roster",
    arguments: [
      "@version=9.4;time=T :bob@10.0.0.2:5001 JOIN lobby",
      "@version=9.4;time=T :bob@10.0.0.2:5001 LEAVE lobby",
      "@version=9.4;group=lobby;time=T :bob@10.0.0.2:5001 NICK rob", "NICK rob", "JOIN lobby",
      "JOIN lobby :5001", "LEAVE lobby", "MEMBER lobby eve@10.0.0.9:1 online", "WAIT 1", "STATS",
      "FORGET bob", "OK MEMBERS lobby 0", "INFO linechatd server=00000000000000bb",
    ])
  func rosters(line: String) {
    let stage = stage()
    let before = stage.peer.replicaState()
    for host in ["10.0.0.2", "10.0.0.100"] {
      stage.play("+ guest \(host)")
      stage.send("guest", line)
      let answer = stage.take("guest")
      let isReply = line.hasPrefix("OK")
      #expect(answer.count == (isReply ? 0 : 1) && answer.allSatisfy { $0.contains("ERR ") })
      stage.play("- guest")
    }
    #expect(stage.peer.replicaState() == before)
    #expect(stage.take("server") == [])
  }

  @Test("from the server's host everything that the server passes on is believed")
  func serverDials() {
    stage().play(
      """
      + dialled 10.0.0.100
      dialled> @msgid=B.1;time=T :nora@relay MSG lobby kept for you
      * :nora@relay MSG lobby kept for you
      dialled< ACK lobby B.1
      dialled> @msgid=B.2;time=T;prev=1 :carol@10.0.0.3:5001 PM alice psst
      * :carol@10.0.0.3:5001 PM psst
      dialled< ACK alice B.2
      """)
  }

  @Test("a stranger is told what can be asked here")
  func stranger() {
    stage().play(
      """
      + nc 10.0.0.9
      nc> MSG lobby hi
      nc< ERR forbidden MSG only its members speak in lobby here; PM alice <text> reaches me, and the server takes MSG
      nc> hello there
      nc< ERR unknown-verb - no such request; PM alice <text> says something to me, HELP lists what I answer
      nc> JOIN lobby
      nc< ERR not-a-server JOIN I am alice's node and no server; the server is at chat.example:5463
      nc> MEMBERS lobby
      nc< OK MEMBERS lobby 2
      nc> MEMBERS ops
      nc< ERR no-such-group MEMBERS I am not in a group ops; GROUPS lists mine
      nc> GROUPS
      nc< GROUP lobby 2
      nc< OK GROUPS 1
      nc> @label=x PING tok
      nc< @label=x PONG tok
      nc> @label=y MEMBERS lobby
      nc< @label=y;version=9.3 OK MEMBERS lobby 2
      + bob 10.0.0.2
      bob> MEMBERS lobby
      bob< MEMBER lobby alice@10.0.0.1:5001 online tags
      bob< MEMBER lobby bob@10.0.0.2:5001 online tags
      bob< OK MEMBERS lobby 2
      nc> HELP PM
      nc< HELP PM {*}
      nc< HELP {*}
      nc< HELP {*}
      nc< OK HELP
      nc> HELP JOIN
      nc< ERR unknown-verb HELP I do not answer to that; HELP lists what I do
      nc> PM zoe hi
      nc< ERR no-such-peer PM I am alice, not zoe
      nc> QUIT
      nc< OK QUIT
      x nc
      """)
  }

  @Test("what a stranger says to us is marked with its address, and answered when it is on disk")
  func unverified() {
    stage().play(
      """
      + nc 10.0.0.9
      + local unix
      % hold
      nc> PM alice hi
      nc> PING
      nc> QUIT
      local> PM 10.0.0.1:5001 ho
      % 1
      * :unverified@relay PM hi (unverified 10.0.0.9)
      nc< OK PM alice
      nc< PONG
      nc< OK QUIT
      x nc
      % 1
      * :unverified@relay PM ho (unverified unix)
      local< OK PM alice
      """)
  }

  @Test("numbers in a stranger's message count for nothing")
  func strangersNumbers() {
    let stage = stage()
    stage.play(
      """
      + bob 10.0.0.2
      bob> @msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby one
      * :bob@10.0.0.2:5001 MSG lobby one
      bob< ACK lobby B.1
      + nc 10.0.0.9
      nc> @label=1;msgid=B.99;time=T PM alice forged
      * :unverified@relay PM forged (unverified 10.0.0.9)
      nc< @label=1 OK PM alice
      bob> @msgid=B.2;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby two
      * :bob@10.0.0.2:5001 MSG lobby two
      bob< ACK lobby B.2
      """)
  }

  @Test("sixty messages of strangers are taken in a minute, from all of them together")
  func strangers() {
    let stage = stage()
    stage.answersPings = true
    stage.open("one", from: "10.0.0.9")
    stage.open("two", from: "10.0.0.8")
    for _ in 0..<30 {
      stage.send("one", "PM alice x")
      stage.send("two", "PM alice y")
    }
    #expect(stage.take("one") + stage.take("two") == Array(repeating: "OK PM alice", count: 60))
    stage.news = []
    stage.play(
      """
      one> PM alice more
      one< ERR rate-limited PM strangers have said enough to me in this minute; try again later, or through the server
      + bob 10.0.0.2
      bob> :bob@10.0.0.2:5001 PM alice friends may
      * :bob@10.0.0.2:5001 PM friends may
      bob< OK PM alice
      = 60
      one> PM alice again
      * :unverified@relay PM again (unverified 10.0.0.9)
      one< OK PM alice
      """)
  }

  @Test("a browser is turned away")
  func http() {
    let stage = stage()
    stage.open("web", from: "10.0.0.9")
    stage.send("web", bytes: Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
    stage.play(
      "web< ERR forbidden - this is a chat, not a web server; type HELP in nc or telnet\nx web")
  }

  // MARK: Lines that wait for a roster

  @Test("a sender whom our roster does not have yet waits for it, and is heard then")
  func held() {
    stage().play(
      """
      + carol 10.0.0.3
      carol> @msgid=C.1;time=T;version=9.4 :carol@10.0.0.3:5001 MSG lobby first!
      server< @label=3 MEMBERS lobby
      carol> PING
      server> @version=9.4;time=T :carol@10.0.0.3:5001 JOIN lobby
      * joined carol@10.0.0.3:5001 lobby
      * :carol@10.0.0.3:5001 MSG lobby first!
      carol< ACK lobby C.1
      carol> PING
      carol< PONG
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3 MEMBER lobby bob@10.0.0.2:5001 online tags
      server> @label=3 MEMBER lobby carol@10.0.0.3:5001 online tags
      server> @label=3;version=9.4 OK MEMBERS lobby 3
      """)
  }

  @Test("a PM of one who has just joined waits, too; a line that a listing brings is heard with it")
  func heldPrivately() {
    stage().play(
      """
      + carol 10.0.0.3
      carol> @msgid=C.1;time=T;version=9.4;group=lobby :carol@10.0.0.3:5001 PM alice psst
      server< @label=3 MEMBERS lobby
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3 MEMBER lobby carol@10.0.0.3:5001 online tags
      server> @label=3;version=9.5 OK MEMBERS lobby 2
      * :carol@10.0.0.3:5001 PM psst
      carol< ACK alice C.1
      """)
  }

  @Test("where the roster does not come in five seconds, or says otherwise, the sender is told")
  func notHeld() {
    stage().play(
      """
      + carol 10.0.0.3
      carol> @label=1;msgid=C.1;time=T;version=9.5 :carol@10.0.0.3:5001 MSG lobby first!
      server< @label=3 MEMBERS lobby
      server> @version=9.4;time=T :dave@relay JOIN lobby
      = 4.9
      = 0.1
      carol< @label=1;msgid=C.1 ERR unreachable MSG I do not know you yet; try again later
      carol> @msgid=C.1;time=T;version=9.5 :carol@10.0.0.3:5001 MSG lobby first!
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3;version=9.5 OK MEMBERS lobby 1
      carol< @msgid=C.1 ERR unreachable MSG I do not know carol@10.0.0.3:5001 (yet); send it through the server
      """)
  }

  @Test("with the server away, or lost meanwhile, the sender is told at once")
  func serverAway() {
    stage().play(
      """
      + carol 10.0.0.3
      carol> @msgid=C.1;time=T;version=9.4 :carol@10.0.0.3:5001 MSG lobby first!
      server< @label=3 MEMBERS lobby
      ~ server
      carol< @msgid=C.1 ERR unreachable MSG I do not know carol@10.0.0.3:5001 yet, and my server is away; try again later
      carol> @msgid=C.1;time=T;version=9.4 :carol@10.0.0.3:5001 MSG lobby first!
      carol< @msgid=C.1 ERR unreachable MSG I do not know carol@10.0.0.3:5001 yet, and my server is away; try again later
      + bob 10.0.0.2
      bob> @msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby still here
      * :bob@10.0.0.2:5001 MSG lobby still here
      bob< ACK lobby B.1
      """)
  }

  @Test("a line for a group that we are about to be in waits for our own roster")
  func joining() {
    PeerStage.joined([:]).play(
      """
      me> JOIN lobby
      server< @label=2 JOIN lobby :5001
      + bob 10.0.0.2
      bob> @msgid=B.1;time=T;version=9.4 :bob@10.0.0.2:5001 MSG lobby welcome
      server> @label=2 MEMBER lobby bob@10.0.0.2:5001 online tags
      server> @label=2 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=2;version=9.4 OK JOIN lobby 2
      me< members lobby bob@10.0.0.2:5001 alice@10.0.0.1:5001
      * :bob@10.0.0.2:5001 MSG lobby welcome
      bob< ACK lobby B.1
      """)
  }

  @Test("until then, and where our server is away, that is no end of the message")
  func notJoinedYet() {
    let stage = PeerStage(groups: ["lobby"])
    stage.play(
      """
      ? server
      + bob 10.0.0.2
      bob> @msgid=B.1;time=T;version=9.4 :bob@10.0.0.2:5001 MSG lobby welcome
      bob< @msgid=B.1 ERR unreachable MSG I am not in lobby yet; try again later
      bob> @msgid=B.1;time=T;version=9.4 :bob@10.0.0.2:5001 MSG ops hi
      bob< @msgid=B.1 ERR not-member MSG I am not in ops
      """)
  }

  @Test("a bounded number of lines waits")
  func manyHeld() {
    let stage = stage()
    for number in 0..<65 {
      stage.open("m\(number)", from: "10.0.1.\(number + 1)")
      let source = "m\(number)@10.0.1.\(number + 1):5001"
      stage.send("m\(number)", "@msgid=C.1;time=T;version=9.9 :\(source) MSG lobby x")
    }
    #expect(stage.take("m63") == [])
    #expect(stage.take("m64")[0].hasPrefix("@msgid=C.1 ERR unreachable"))
    // Those, too, who wait for a group that we are about to be in.
    stage.perform(.join(GroupName("ops")!))
    stage.open("more", from: "10.0.2.1")
    stage.send("more", "@msgid=C.1;time=T;version=9.9 :more@10.0.2.1:5001 MSG ops x")
    #expect(stage.take("more")[0].hasPrefix("@msgid=C.1 ERR unreachable"))
  }

  @Test("one that has gone meanwhile is not waited for")
  func goneWhileHeld() {
    stage().play(
      """
      + carol 10.0.0.3
      carol> @msgid=C.1;time=T;version=9.4 :carol@10.0.0.3:5001 MSG lobby first!
      server< @label=3 MEMBERS lobby
      - carol
      server> @version=9.4;time=T :carol@10.0.0.3:5001 JOIN lobby
      = 5
      """)
  }
}
