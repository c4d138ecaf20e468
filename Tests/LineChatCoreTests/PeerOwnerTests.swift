// The socket in the node's own directory: its owner speaks there as the node does, and hears what it
// hears.

import LineChatCore
import LineProtocol
import Testing

@Suite("The owner's socket")
struct PeerOwnerTests {
  private static let bob = "bob@relay online tags"

  private func stage() -> PeerStage {
    let stage = PeerStage.joined(["lobby": [PeerOwnerTests.bob, "away@relay away tags"]])
    stage.open("own", from: "owner")
    return stage
  }

  @Test("a message is answered when it is known what becomes of it, with the counts of the server")
  func message() {
    stage().play(
      """
      own> MSG lobby hi
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 OK MSG lobby 1/1
      own< OK MSG lobby 1/2 kept 1
      server> :bob@relay ACK lobby S1.1
      * lobby.1 bob delivered
      own> PM bob psst
      * said PM bob psst
      server< @label=4;msgid=S2.1;time=T PM bob psst
      server> @label=4 OK PM bob
      own< OK PM bob
      own> PM away psst
      * said PM away psst
      own< OK PM away kept
      own> PM zoe psst
      * said PM zoe psst
      server< @label=5;msgid=S3.1;time=T PM zoe psst
      server> @label=5 ERR no-such-peer PM there is no zoe here
      own< ERR no-such-peer PM there is no zoe here
      own> MSG ops hi
      own< ERR not-member MSG this node is not in ops; JOIN ops first
      own> PM alice hi
      own< ERR no-such-peer PM alice is you
      own> PM 10.0.0.9:5001 hi
      own< ERR no-such-peer PM nobody in your groups listens at 10.0.0.9:5001; MEMBERS <group> lists who is where
      own> PM bob@10.0.0.9:5001 hi
      own< ERR no-such-peer PM there is no bob@10.0.0.9:5001 in your groups; MEMBERS <group> lists who is
      """)
  }

  @Test("the replies come in the order of the requests, however long each takes")
  func pipelined() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"], "ops": []])
    stage.play(
      """
      + own owner
      % hold
      own> MSG lobby one
      own> MSG ops two
      own> PING a
      own> GROUPS
      own> nonsense
      own> PM zoe three
      own> QUIT
      % 2
      * said MSG lobby one
      * said MSG ops two
      ? 10.0.0.2:5001
      ! 10.0.0.2:5001
      10.0.0.2:5001> INFO linechat 1 name=bob
      10.0.0.2:5001< {*}
      10.0.0.2:5001> ACK lobby S1.1
      own< OK MSG lobby 1/1
      own< OK MSG ops 0/0
      own< PONG a
      own< GROUP lobby 2
      own< GROUP ops 1
      own< OK GROUPS 2
      own< ERR unknown-verb {*}
      % 1
      * said PM zoe three
      server< @label=4;msgid=S2.1;time=T PM zoe three
      server> @label=4 OK PM zoe
      own< OK PM zoe
      own< OK QUIT
      x own
      """)
  }

  @Test("after a second the answer comes all the same")
  func slow() {
    PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]]).play(
      """
      + own owner
      own> @label=1 MSG lobby one
      * said MSG lobby one
      ? 10.0.0.2:5001
      = 0.9
      = 0.1
      own< @label=1;msgid=S1.1;waiting=bob OK MSG lobby 0/1 kept 1
      """)
  }

  @Test("a slow disk is waited for: the answer says that it is there")
  func slowDisk() {
    stage().play(
      """
      % hold
      own> MSG lobby one
      = 5
      % 1
      * said MSG lobby one
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby one
      = 1
      own< OK MSG lobby 0/2 kept 2
      """)
  }

  @Test("with tags, those are named who wait, and those who never get it")
  func tagged() {
    PeerStage.joined(["lobby": [PeerOwnerTests.bob, "away@relay away tags"]]).play(
      """
      + own owner
      own> @label=x MSG lobby hi
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 ERR line-too-long MSG too long
      own< @label=x;msgid=S1.1;waiting=away;failed=bob OK MSG lobby 0/2 kept 1
      """)
  }

  @Test("the owner joins, leaves and takes names as the node does")
  func groups() {
    stage().play(
      """
      own> @label=j JOIN ops
      server< @label=3 JOIN ops :5001
      server> @label=3 MEMBER ops alice@10.0.0.1:5001 online tags
      server> @label=3;version=9.1 OK JOIN ops 1
      own< @label=j MEMBER ops alice@10.0.0.1:5001 online tags
      own< @label=j;version=9.1 OK JOIN ops 1
      own> JOIN ops :5002
      own< ERR bad-syntax JOIN this node has its place already (10.0.0.1:5001): JOIN ops
      own> LEAVE ops
      own< OK LEAVE ops
      server< @label=4 LEAVE ops
      own> LEAVE ops
      own< ERR not-member LEAVE you are not in ops; GROUPS lists where you are
      own> NICK zoe
      server< @label=5 NICK zoe
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe
      server> @label=5 OK NICK zoe
      own< OK NICK zoe
      own> NICK bob
      server< @label=6 NICK bob
      server> @label=6 ERR name-taken NICK bob is in use; you are still zoe, choose another name
      own< ERR name-taken NICK bob is in use; you are still zoe, choose another name
      own> MEMBERS lobby
      own< MEMBER lobby zoe@10.0.0.1:5001 online tags
      own< MEMBER lobby bob@relay online tags
      own< MEMBER lobby away@relay away tags
      own< OK MEMBERS lobby 3
      own> FORGET bob
      own< ERR not-a-server FORGET only a server forgets its members
      own> :bob@relay MSG lobby x
      own< ERR forbidden MSG you are zoe here; leave the source away
      own> :zoe@10.0.0.1:5001 MSG nowhere x
      own< ERR not-member {*}
      """.replacingOwnTags())
  }

  @Test("the owner hears what the node hears: messages, private ones, and who comes and goes")
  func hears() {
    let stage = stage()
    stage.open("tagged", from: "owner")
    stage.play(
      """
      tagged> @a=b PING
      tagged< PONG
      server> @msgid=B.1;time=T;prev=9;x=y :bob@relay MSG lobby lost
      server< @to=bob;prev=9 ACK lobby B.0
      server> @msgid=B.1;time=T :bob@relay MSG lobby hi
      * :bob@relay MSG lobby hi (relayed)
      server< @to=bob ACK lobby B.1
      own< :bob@relay MSG lobby hi
      tagged< @msgid=B.1;time=T :bob@relay MSG lobby hi
      server> @msgid=C.1;time=T-60 :bob@relay PM alice psst
      * :bob@relay PM psst (relayed) (late) (old)
      server< @to=bob ACK alice C.1
      own< :bob@relay PM alice psst
      tagged< @msgid=C.1;time=T;late=1 :bob@relay PM alice psst
      + nc 10.0.0.9
      nc> PM alice hello
      * :unverified@relay PM hello (unverified 10.0.0.9)
      nc< OK PM alice
      own< :unverified@relay PM alice hello
      tagged< @time=T;unverified=10.0.0.9 :unverified@relay PM alice hello
      server> @version=9.4;time=T :carol@relay JOIN lobby
      own< :carol@relay JOIN lobby
      tagged< @version=9.4;time=T :carol@relay JOIN lobby
      - own
      server> @version=9.5;time=T :carol@relay LEAVE lobby
      tagged< @version=9.5;time=T :carol@relay LEAVE lobby
      """)
  }

  @Test("WAIT ends with so many messages, or with its time; the lines behind it wait")
  func waits() {
    let stage = stage()
    stage.play(
      """
      own> WAIT 60 2
      server> @msgid=B.1;time=T :bob@relay MSG lobby one
      * :bob@relay MSG lobby one (relayed)
      server< {*}
      own< :bob@relay MSG lobby one
      server> @msgid=B.2;time=T :bob@relay MSG lobby two
      * :bob@relay MSG lobby two (relayed)
      server< {*}
      own< :bob@relay MSG lobby two
      own< OK WAIT 2
      own> WAIT 10
      """)
    #expect(stage.peer.isWaiting(stage.id("own")) && !stage.accepts("own"))
    stage.play("= 9.9\n= 0.1\nown< OK WAIT 0")
    #expect(stage.accepts("own"))
    // The end of its input is not the end of its wait.
    stage.play(
      """
      own> WAIT 10 1
      . own
      = 5
      server> :bob@relay MSG lobby three
      * :bob@relay MSG lobby three (relayed)
      own< :bob@relay MSG lobby three
      own< OK WAIT 1
      x own
      """)
  }

  @Test("a rename is told once to those who read plain lines, and for each group to programs")
  func renames() {
    let stage = PeerStage.joined(["lobby": [PeerOwnerTests.bob], "ops": [PeerOwnerTests.bob]])
    stage.play(
      """
      + plain owner
      + tagged owner
      tagged> @a=b PING
      tagged< PONG
      server> @version=9.4;group=lobby;time=T :bob@relay NICK rob
      plain< :bob@relay NICK rob
      tagged< @version=9.4;group=lobby;time=T :bob@relay NICK rob
      server> @version=9.4;group=ops;time=T :bob@relay NICK rob
      tagged< @version=9.4;group=ops;time=T :bob@relay NICK rob
      """)
  }

  @Test("a WAIT behind messages that are on their way is answered behind them")
  func waitsInOrder() {
    stage().play(
      """
      % hold
      own> MSG lobby hi
      own> WAIT 1
      = 1
      % 1
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 OK MSG lobby 1/1
      own< OK MSG lobby 1/2 kept 1
      own< OK WAIT 0
      """)
  }

  @Test("STATS and HELP say what the node does")
  func statsAndHelp() {
    let stage = stage()
    stage.send("own", "STATS")
    let stats = stage.take("own")
    #expect(stats.last == "OK STATS")
    #expect(stats.contains("STAT server-there 1") && stats.contains("STAT groups 1"))
    stage.send("own", "HELP")
    let help = stage.take("own")
    #expect(help.last == "OK HELP")
    for verb in ["MSG", "PM", "JOIN", "LEAVE", "NICK", "WAIT", "STATS"] {
      #expect(help.contains { $0.hasPrefix("HELP \(verb) ") || $0 == "HELP \(verb)" }, "\(verb)")
    }
    stage.send("own", "HELP FORGET")
    #expect(stage.take("own").last?.hasPrefix("ERR unknown-verb HELP") == true)
  }

  @Test("an owner who has gone is not waited for")
  func gone() {
    let stage = stage()
    stage.play(
      """
      % hold
      own> MSG lobby hi
      own> JOIN ops
      server< @label=3 JOIN ops :5001
      - own
      % all
      * said MSG lobby hi
      server< @label=4;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 MEMBER ops alice@10.0.0.1:5001 online tags
      server> @label=3;version=9.1 OK JOIN ops 1
      % all
      server> @label=4 OK MSG lobby 1/1
      = 1
      """)
    #expect(stage.peer.audit().claims == 0 && stage.peer.audit().pending == 0)
  }

  @Test("so many replies may be outstanding, and no more lines are taken")
  func outstanding() {
    let stage = stage()
    stage.auditsEachRound = false
    stage.disk = .byHand
    var sent = 0
    while stage.accepts("own") && sent < 5_000 {
      stage.send("own", "MSG lobby \(sent)")
      sent += 1
    }
    #expect(sent == 1_024)
    stage.write(1)
    _ = stage.take("server")
    stage.send("server", "@label=3 OK MSG lobby 1/1")
    #expect(stage.accepts("own") && stage.resumed.contains("own"))
    #expect(stage.take("own") == ["OK MSG lobby 1/2 kept 1"])
  }
}

extension String {
  /// Once a tag was sent, tags come back.
  fileprivate func replacingOwnTags() -> String {
    replacing("own< OK MEMBERS", with: "own< @version=9.4 OK MEMBERS")
  }
}
