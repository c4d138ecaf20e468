// A node and its server: reached, greeted, named, joined; lost, and reached again.

import LineChatCore
import LineProtocol
import Testing

@Suite("A node's uplink")
struct PeerUplinkTests {
  @Test("greeted, named, joined: the whole way")
  func whole() {
    let stage = PeerStage(groups: ["lobby"])
    stage.play(
      """
      ? server
      * server tried
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa you=guest1 max-line=65536 help=HELP
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      * server 170 there
      server< @label=2 JOIN lobby :5001
      server> @label=2 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=2 MEMBER lobby bob@relay away
      server> @label=2;version=9.3 OK JOIN lobby 2
      * placed 10.0.0.1:5001
      * entered lobby 2 new
      server> MEMBER lobby alice@10.0.0.1:5001 online tags reachable
      * reachable
      server> PING
      server< PONG
      """)
    let status = stage.peer.status(now: stage.now)
    #expect(status.isServerThere)
    #expect(status.serverID == 0xaa)
    #expect(status.groups == [GroupCount(name: GroupName("lobby")!, members: 2)])
    #expect(status.place == Place("10.0.0.1:5001"))
  }

  @Test("in a group is told when it is on the disk, so a kill right after it undoes nothing")
  func enteredOnDisk() {
    let stage = PeerStage(groups: ["lobby"])
    stage.play(
      """
      ? server
      * server tried
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa you=guest1 max-line=65536 help=HELP
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      * server 170 there
      server< @label=2 JOIN lobby :5001
      % hold
      server> @label=2 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=2;version=9.3 OK JOIN lobby 1
      * placed 10.0.0.1:5001
      % all
      * entered lobby 1 new
      """)
  }

  @Test("a place that the user has named is told in full, one without a listener as relay")
  func placements() {
    let explicit = PeerStage(groups: ["lobby"])
    explicit.isExplicit = true
    let without = PeerStage(groups: ["lobby"])
    without.listens = nil
    let passing = PeerStage(groups: ["lobby"]) { $0.isTransient = true }
    for (stage, request) in [
      (explicit, "JOIN lobby 10.0.0.1:5001"), (without, "JOIN lobby relay"),
      (passing, "JOIN lobby"),
    ] {
      stage.play(
        """
        ? server
        ! server
        server> \(PeerStage.greeting)
        server< @label=1 NICK alice
        server> @label=1 OK NICK alice
        server< @label=2 \(request)
        """)
    }
  }

  @Test("a node without a server asks for none, and refuses what needs one")
  func withoutServer() {
    let stage = PeerStage(groups: ["lobby"]) { $0.server = nil }
    stage.play(
      """
      = 100
      me> JOIN lobby
      me< ERR unreachable JOIN this node was started without a server
      me> NICK zoe
      me< ERR unreachable NICK this node was started without a server
      me> GROUPS
      me< groups {*}
      """)
  }

  @Test("what answers there and is no server is let go of")
  func noServer() {
    PeerStage().play(
      """
      ? server
      ! server
      server> INFO linechat 1 protocol=1 name=bob max-line=65536 help=HELP
      x server
      * server away 1 s: what answers there is no LineChat server
      = 1
      ? server
      ! server
      server> 220 mail.example ESMTP
      = 9
      = 1
      x server
      * server away 1 s: it does not say what it is
      """)
  }

  @Test("a server that lets nobody in says why")
  func tooMany() {
    PeerStage().play(
      """
      ? server
      ! server
      server> ERR too-many-connections - 1000 are connected; try again later
      * server away 1 s: 1000 are connected; try again later
      """)
  }

  @Test("the pauses grow to a quarter of a minute, with up to a fifth of each off")
  func pauses() {
    let stage = PeerStage()
    var pauses: [Double] = []
    for _ in 0..<9 {
      stage.play("? server\n~ server")
      let failed = stage.now.monotonicMicroseconds
      while stage.dials.isEmpty { stage.pass(seconds: 0.01) }
      pauses.append(Double(stage.now.monotonicMicroseconds - failed) / 1_000_000)
    }
    for (pause, full) in zip(pauses, [0.5, 1, 2, 4, 8, 15, 15, 15, 15]) {
      #expect(pause > full * 0.8 - 0.01 && pause < full + 0.02, "\(pauses)")
    }
    // Once reached, it begins anew.
    stage.reachServer()
    stage.play("~ server\n= 0.5\n? server")
  }

  @Test("another server than the one before is said, its rosters are taken, what waits is kept")
  func anotherServer() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 away tags"]])
    stage.play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      ? 10.0.0.2:5001
      ~ 10.0.0.2:5001
      me< bob waiting: unreachable: connection refused
      ~ server
      = 0.5
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000bb you=guest1 max-line=65536 help=HELP
      server< {} NICK alice
      server> @label=3 OK NICK alice
      * server 187 there, another
      server< @label=4 JOIN lobby :5001
      server> @label=4 MEMBER lobby bob@10.0.0.2:5001 away tags
      server> @label=4 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=4;version=5.1 OK JOIN lobby 2
      * entered lobby 2
      """)
    #expect(stage.peer.status(now: stage.now).outboxMessages == 1)
    #expect(stage.peer.replicaState().groups[0].version == "5.1")
  }

  @Test("a name that somebody else has is asked for again, every five seconds")
  func nameTaken() {
    PeerStage(groups: ["lobby"]).play(
      """
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=1 NICK alice
      server> @label=1 ERR name-taken NICK alice is in use; you are still guest1, choose another name
      * name alice taken: alice is in use; you are still guest1, choose another name
      * server away {*}
      x server
      = 5
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=2 NICK alice
      server> @label=2 OK NICK alice
      * server 170 there
      server< @label=3 JOIN lobby :5001
      """)
  }

  @Test("a server that takes no name, and one that does not answer, are left")
  func noAnswer() {
    PeerStage().play(
      """
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=1 NICK alice
      = 10
      x server
      * server away 1 s: it does not answer
      """)
  }

  @Test("a name asked for at the start is taken when the server knows who we are")
  func wantedName() {
    let before = PeerStage.joined(["lobby": []])
    let stage = PeerStage("zoe", restoring: before.peer.replicaState()) { $0.isNameWanted = true }
    stage.play(
      """
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      server< @label=2 NICK zoe
      server< @label=3 JOIN lobby :5001
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe
      server> @label=2 OK NICK zoe
      * named zoe
      """)
    #expect(stage.peer.replicaState().name == "zoe")
  }

  @Test("joins and names wait for the server's word; without it they are refused")
  func joinsAndNames() {
    PeerStage.joined([:]).play(
      """
      me> JOIN ops
      server< @label=2 JOIN ops :5001
      server> @label=2 MEMBER ops alice@10.0.0.1:5001 online tags
      server> @label=2;version=9.1 OK JOIN ops 1
      me< members ops alice@10.0.0.1:5001
      me> NICK zoe
      server< @label=3 NICK zoe
      server> @version=9.2;group=ops;time=T :alice@10.0.0.1:5001 NICK zoe
      server> @label=3 OK NICK zoe
      * named zoe
      me< done
      me> JOIN bad
      server< @label=4 JOIN bad :5001
      server> @label=4 ERR rate-limited JOIN you are in 1024 groups, no more are allowed; LEAVE one first
      server< @label=5 JOIN bad relay
      server> @label=5 ERR rate-limited JOIN you are in 1024 groups, no more are allowed; LEAVE one first
      me< ERR rate-limited JOIN you are in 1024 groups, no more are allowed; LEAVE one first
      me> JOIN lost
      server< @label=6 JOIN lost :5001
      ~ server
      me< ERR unreachable JOIN the server was lost before it answered; try again
      me> JOIN more
      me< ERR unreachable JOIN the server at chat.example:5463 is away (connection refused); it is tried again by itself
      me> NICK yan
      me< ERR unreachable NICK the server at chat.example:5463 is away (connection refused); it is tried again by itself
      = 0.5
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=7 NICK zoe
      server> @label=7 OK NICK zoe
      server< @label=8 JOIN ops :5001
      """)
  }

  @Test("where the address is refused, every group is joined as relay")
  func addressRefused() {
    PeerStage(groups: ["lobby", "ops"]).play(
      """
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      server< @label=2 JOIN lobby :5001
      server< @label=3 JOIN ops :5001
      server> @label=2 ERR forbidden JOIN 10.0.0.1 is not where you connect from
      * refused forbidden
      server< @label=4 JOIN lobby relay
      server> @label=3 ERR forbidden JOIN 10.0.0.1 is not where you connect from
      server< @label=5 JOIN ops relay
      server> @label=4 MEMBER lobby alice@relay online tags
      server> @label=4;version=9.1 OK JOIN lobby 1
      * entered lobby 1 new
      server> @label=5 MEMBER ops alice@relay online tags
      server> @label=5;version=9.1 OK JOIN ops 1
      * entered ops 1 new
      ~ server
      = 0.5
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=6 NICK alice
      server> @label=6 OK NICK alice
      server< @label=7 JOIN lobby relay
      server< @label=8 JOIN ops relay
      """)
  }

  @Test("a join that the server can't carry out now is tried again, one that it never will is not")
  func joinRefused() {
    let stage = PeerStage(groups: ["lobby", "ops"])
    stage.play(
      """
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      server< @label=2 JOIN lobby :5001
      server< @label=3 JOIN ops :5001
      server> @label=2 ERR internal JOIN the change could not be written to disk
      * refused internal
      server> @label=3 ERR bad-group JOIN not a group
      * refused bad-group
      = 5
      server< @label=4 JOIN lobby :5001
      server> @label=4 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=4;version=9.1 OK JOIN lobby 1
      * entered lobby 1 new
      = 20
      """)
  }

  @Test("a group left while the server is away is left at once, and the server told later")
  func leaveWhileAway() {
    let stage = PeerStage.joined(["lobby": [], "ops": []])
    stage.play(
      """
      ~ server
      * server away 1 s: connection refused
      me> LEAVE lobby
      * exited lobby
      me< done
      me> LEAVE lobby
      me< ERR not-member LEAVE you are not in lobby; GROUPS lists where you are
      = 0.5
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=4 NICK alice
      server> @label=4 OK NICK alice
      server< @label=5 LEAVE lobby
      server< @label=6 JOIN ops :5001
      """)
    #expect(stage.peer.replicaState().leaving == ["lobby"])
    stage.play("server> @label=5 OK LEAVE lobby")
    #expect(stage.peer.replicaState().leaving == [])
  }

  @Test("a leave and a join behind it, before the disk and the server have said a word")
  func leaveAndJoin() {
    let stage = PeerStage.joined(["lobby": []])
    stage.play(
      """
      % hold
      me> LEAVE lobby
      me> JOIN lobby
      % 1
      * exited lobby
      me< done
      server< @label=3 LEAVE lobby
      server< @label=4 JOIN lobby :5001
      server> @label=3 OK LEAVE lobby
      server> @label=4 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=4;version=9.5 OK JOIN lobby 1
      % all
      * entered lobby 1 new
      me< members lobby alice@10.0.0.1:5001
      """)
    #expect(stage.peer.replicaState().leaving == [])
  }

  @Test("a join behind which the group is left is answered")
  func joinAndLeave() {
    PeerStage.joined(["lobby": []]).play(
      """
      me> JOIN lobby
      server< @label=3 JOIN lobby :5001
      me> LEAVE lobby
      * exited lobby
      me< done
      server< @label=4 LEAVE lobby
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3;version=9.3 OK JOIN lobby 1
      me< ERR not-member JOIN you have left lobby meanwhile
      server> @label=4 OK LEAVE lobby
      """)
  }

  @Test("a silent server is asked for a sign of life, and given up after two seconds")
  func silence() {
    let stage = PeerStage.joined([:])
    func secondsUntilAsked() -> Int {
      var seconds = 0
      while stage.heard["server"] == [] && seconds < 60 {
        stage.pass(seconds: 1)
        seconds += 1
      }
      return seconds
    }
    #expect((30...45).contains(secondsUntilAsked()))
    stage.play("server< PING\n= 1\nserver> PONG")
    #expect((30...45).contains(secondsUntilAsked()))
    stage.play("server< PING\n= 3\n* server away 1 s: it gives no sign of life\n? server")
  }

  @Test("after a sleep the server is asked at once, and a dead one found within four seconds")
  func woken() {
    let stage = PeerStage.joined(["lobby": []])
    stage.pass(seconds: 20)
    stage.woke()
    stage.play("server< PING\n= 1\nserver> PONG\n= 5")
    stage.woke()
    stage.play("server< PING")
    stage.pass(seconds: 4)
    stage.play("* server away 1 s: it gives no sign of life\n? server")
    // A pause that was begun before says nothing about the place where we wake up.
    for _ in 0..<6 { stage.play("~ server\n= 30\n? server") }
    stage.play("~ server")
    stage.woke()
    stage.play("? server")
  }

  @Test("another address is told to the server with the groups, and those who hear of it follow")
  func placeChanges() {
    let stage = PeerStage.joined(["lobby": ["bob@relay online tags"], "ops": []])
    stage.peer.listens(at: Endpoint("10.9.9.9:5001"), isExplicit: false, now: stage.now)
    stage.settle()
    stage.play(
      """
      server< @label=4 JOIN lobby :5001
      server< @label=5 JOIN ops :5001
      server> @version=9.4;time=T :alice@10.9.9.9:5001 JOIN ops
      server> @label=4 MEMBER lobby alice@10.9.9.9:5001 online tags
      server> @label=4 MEMBER lobby bob@relay online tags
      server> @label=4;version=9.4 OK JOIN lobby 2
      * placed 10.9.9.9:5001
      server> @label=5 MEMBER ops alice@10.9.9.9:5001 online tags
      server> @label=5;version=9.4 OK JOIN ops 1
      """)
    #expect(stage.peer.replicaState().place == "10.9.9.9:5001")
    stage.peer.listens(at: Endpoint("10.9.9.9:5001"), isExplicit: false, now: stage.now)
    stage.settle()
    stage.check()
  }

  @Test("a reconnect with another place asks for no roster twice")
  func reconnectElsewhere() {
    let stage = PeerStage.joined(["lobby": [], "ops": []])
    stage.fails("server")
    stage.listens = Endpoint("10.9.9.9:5001")
    stage.play(
      """
      = 0.5
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=4 NICK alice
      server> @label=4 OK NICK alice
      server< @label=5 JOIN lobby :5001
      server< @label=6 JOIN ops :5001
      server> @version=9.9;time=T :alice@10.9.9.9:5001 JOIN ops
      server> @label=5 MEMBER lobby alice@10.9.9.9:5001 online tags
      server> @label=5;version=9.8 OK JOIN lobby 1
      server> @label=6 MEMBER ops alice@10.9.9.9:5001 online tags
      server> @label=6;version=9.9 OK JOIN ops 1
      """)
  }

  @Test("at the end the server is told everything that is due, and everybody is let go")
  func shutDown() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]])
    stage.play("+ guest 10.0.0.9\nme> MSG lobby hi\n* said MSG lobby hi\n? 10.0.0.2:5001")
    stage.shutDown()
    stage.play(
      """
      guest< INFO shutting-down the node is stopping; connect again later
      x guest
      x 10.0.0.2:5001
      me< bob waiting: on its way
      $ server
      = 100
      """)
  }
}
