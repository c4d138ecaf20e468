// What goes through the server: to whom, what it says to it, and what becomes of it.

import LineChatCore
import LineProtocol
import Testing

@Suite("Through the server")
struct PeerRelayTests {
  private static let bob = "bob@relay online tags"
  private static let carol = "carol@relay online tags"
  private static let nora = "nora@relay online"

  @Test("one request for all; the reply says who was missed, and who will not acknowledge")
  func together() {
    PeerStage.joined([
      "lobby": [PeerRelayTests.bob, PeerRelayTests.carol, PeerRelayTests.nora, "away@relay away"]
    ]).play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob,carol,nora MSG lobby hi
      server> @label=3;missed=carol;plain=nora OK MSG lobby 2/3
      me< bob relayed, carol waiting: not connected, nora sent, away waiting: not connected
      server> :bob@relay ACK lobby S1.1
      * lobby.1 bob delivered
      me> MSG lobby more
      * said MSG lobby more
      server< @label=4;msgid=S1.2;time=T;to=bob,nora MSG lobby more
      server> MEMBER lobby carol@relay online tags
      * carol online
      server< @label=5;msgid=S1.1;time=T;to=carol MSG lobby hi
      server< @label=6;msgid=S1.2;time=T;prev=1;to=carol MSG lobby more
      server> @label=4;plain=nora OK MSG lobby 2/2
      me< bob relayed, carol waiting: not connected, nora sent, away waiting: not connected
      server> @label=5 OK MSG lobby 1/1
      * lobby.1 carol relayed
      server> @label=6 OK MSG lobby 1/1
      * lobby.2 carol relayed
      server> :bob@relay ACK lobby S1.2
      * lobby.2 bob delivered
      server> :carol@relay ACK lobby S1.2
      * lobby.1 carol delivered
      * lobby.2 carol delivered
      server> MEMBER lobby away@relay online
      * away online
      server< @label=7;msgid=S1.1;time=T;to=away MSG lobby hi
      server< @label=8;msgid=S1.2;time=T;prev=1;to=away MSG lobby more
      server> @label=7;plain=away OK MSG lobby 1/1
      * lobby.1 away sent
      server> @label=8;plain=away OK MSG lobby 1/1
      * lobby.2 away sent
      """)
  }

  @Test("a request has no more names than fit in its tags")
  func manyNames() {
    let others = (0..<70).map { "m\($0)@relay online tags" }
    let stage = PeerStage.joined(["lobby": others])
    stage.perform(.say(GroupName("lobby")!, "hi"))
    let lines = stage.take("server")
    let counts = lines.map { line in
      line.split(separator: " ")[0].split(separator: "=").last!.split(separator: ",").count
    }
    #expect(counts == [32, 32, 6])
  }

  @Test("so many requests are under way, and the rest follows the replies")
  func window() {
    let stage = PeerStage.joined(["lobby": [PeerRelayTests.bob], "ops": [PeerRelayTests.carol]])
    stage.auditsEachRound = false
    for number in 1...300 {
      stage.perform(.say(GroupName("lobby")!, "\(number)"))
      stage.perform(.say(GroupName("ops")!, "\(number)"))
    }
    var asked = stage.take("server")
    #expect(asked.count == 256)
    var said: [String: [Int]] = [:]
    while !asked.isEmpty {
      for line in asked {
        let words = line.split(separator: " ").map(String.init)
        said[words[2], default: []].append(Int(words[3])!)
        let label = words[0].prefix { $0 != ";" }
        stage.send("server", "\(label) OK MSG \(words[2]) 1/1")
      }
      asked = stage.take("server")
      if asked.isEmpty {
        // 256 of a lane may be without a receipt.
        for (group, name, stream) in [("lobby", "bob", "S1"), ("ops", "carol", "S2")] {
          stage.send("server", ":\(name)@relay ACK \(group) \(stream).\(said[group]!.last!)")
        }
        asked = stage.take("server")
      }
    }
    #expect(stage.peer.audit().problems == [])
    #expect(said == ["lobby": Array(1...300), "ops": Array(1...300)])
    #expect(stage.peer.status(now: stage.now).outboxMessages == 0)
  }

  @Test("what the server refuses for now is tried again, in growing pauses")
  func pauses() {
    let stage = PeerStage.joined([:])
    stage.perform(.tell(Recipient("zoe")!, "psst"))
    stage.answersPings = true
    var pauses: [Double] = []
    for label in 2...11 {
      stage.send(
        "server", "@label=\(label) ERR unreachable PM zoe is a member but not connected now")
      #expect(stage.take("server").count == 1)
      let refused = stage.now.monotonicMicroseconds
      for _ in 0..<3_100 where stage.heard["server"] == [] { stage.pass(seconds: 0.1) }
      pauses.append(Double(stage.now.monotonicMicroseconds - refused) / 1_000_000)
    }
    for (pause, full) in zip(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
      // They are looked after once a second.
      #expect(pause > Double(full) * 0.8 - 0.1 && pause < Double(full) + 1.2, "\(pauses)")
    }
    stage.play(
      """
      * said PM zoe psst
      me< zoe waiting: the server can't hand it over just now
      server< @label=12;msgid=S1.1;time=T PM zoe psst
      server> @label=12 OK PM zoe
      * @zoe.1 zoe relayed
      """)
  }

  @Test("what the server refuses for good has failed")
  func failed() {
    let stage = PeerStage.joined(["lobby": [PeerRelayTests.bob]])
    stage.play(
      """
      me> PM zoe psst
      * said PM zoe psst
      server< @label=3;msgid=S1.1;time=T PM zoe psst
      server> @label=3 ERR no-such-peer PM there is no zoe here
      me< zoe failed: there is no zoe here
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=4;msgid=S2.1;time=T;to=bob MSG lobby hi
      server> @label=4 ERR line-too-long MSG your tags leave no room for the source
      me< bob failed: your tags leave no room for the source
      """)
    let status = stage.peer.status(now: stage.now)
    #expect(status.outboxMessages == 0)
    #expect(status.contacts.map(\.member.name) == [MemberName("bob")])
    let records = stage.journal.map { stage.shown(String(decoding: $0.line, as: UTF8.self)) }
    #expect(records.contains("@failed=1;only=1 :zoe@relay ACK zoe S1.1"))
    #expect(records.last == "@failed=1;only=1 :bob@relay ACK lobby S2.1")
  }

  @Test("where no receipt comes it is handed over again, after half a minute, then less often")
  func noReceipt() {
    let stage = PeerStage.joined(["lobby": [PeerRelayTests.bob]])
    stage.answersPings = true
    stage.perform(.say(GroupName("lobby")!, "hi"))
    var pauses: [Double] = []
    var asked = stage.now.monotonicMicroseconds
    for _ in 0..<5 {
      guard let line = stage.take("server").first else { break }
      stage.send("server", "\(line.prefix { $0 != ";" }) OK MSG lobby 1/1")
      for _ in 0..<700 where stage.heard["server"] == [] { stage.pass(seconds: 0.5) }
      pauses.append(Double(stage.now.monotonicMicroseconds - asked) / 1_000_000)
      asked = stage.now.monotonicMicroseconds
    }
    for (pause, full) in zip(pauses, [30, 60, 120, 240, 300]) {
      #expect(pause >= Double(full) && pause < Double(full) + 2, "\(pauses)")
    }
    stage.play(
      """
      * said MSG lobby hi
      me< bob relayed
      server< {*}
      server> :bob@relay ACK lobby S1.1
      * lobby.1 bob delivered
      """)
  }

  @Test("with the server lost, everything without a receipt is said again when it is back")
  func lost() {
    let stage = PeerStage.joined(["lobby": [PeerRelayTests.bob, PeerRelayTests.nora]])
    stage.play(
      """
      me> MSG lobby one
      * said MSG lobby one
      server< @label=3;msgid=S1.1;time=T;to=bob,nora MSG lobby one
      server> @label=3;plain=nora OK MSG lobby 2/2
      me< bob relayed, nora sent
      me> MSG lobby two
      * said MSG lobby two
      server< @label=4;msgid=S1.2;time=T;to=nora MSG lobby two
      server< @label=5;msgid=S1.2;time=T;prev=1;to=bob MSG lobby two
      ~ server
      * lobby.1 bob waiting: the server is away
      me< bob waiting: the server is away, nora waiting: the server is away
      """)
    stage.pass(seconds: 0.5)
    stage.reachServer(["lobby": [PeerRelayTests.bob, PeerRelayTests.nora]])
    stage.play(
      """
      server< @label=8;msgid=S1.1;time=T;to=bob MSG lobby one
      server< @label=9;msgid=S1.2;time=T;to=nora MSG lobby two
      server< @label=10;msgid=S1.2;time=T;prev=1;to=bob MSG lobby two
      server> :bob@relay ACK lobby S1.2
      * lobby.1 bob delivered
      * lobby.2 bob delivered
      server> @label=9;plain=nora OK MSG lobby 1/1
      * lobby.2 nora sent
      """)
  }

  @Test("a receipt that says what is missing is answered from there")
  func sentAgain() {
    PeerStage.joined(["lobby": [PeerRelayTests.bob]]).play(
      """
      me> MSG lobby one
      * said MSG lobby one
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby one
      me> MSG lobby two
      * said MSG lobby two
      server< @label=4;msgid=S1.2;time=T;prev=1;to=bob MSG lobby two
      server> @prev=1 :bob@relay ACK lobby S1.0
      server< @label=5;msgid=S1.1;time=T;to=bob MSG lobby one
      server< @label=6;msgid=S1.2;time=T;prev=1;to=bob MSG lobby two
      server> @label=3;missed=bob OK MSG lobby 0/1
      server> @label=4 OK MSG lobby 1/1
      server> @label=5 OK MSG lobby 1/1
      me< bob relayed
      server> @label=6 OK MSG lobby 1/1
      me< bob relayed
      server> :bob@relay ACK lobby S1.2
      * lobby.1 bob delivered
      * lobby.2 bob delivered
      """)
  }

  @Test("a recipient who is renamed with messages under way gets them under the new name")
  func renamed() {
    PeerStage.joined(["lobby": [PeerRelayTests.bob]]).play(
      """
      me> PM bob one
      * said PM bob one
      server< @label=3;msgid=S1.1;time=T PM bob one
      me> MSG lobby two
      * said MSG lobby two
      server< @label=4;msgid=S2.1;time=T;to=bob MSG lobby two
      server> @version=9.4;group=lobby;time=T :bob@relay NICK rob
      server< @label=5;msgid=S1.1;time=T PM rob one
      server< @label=6;msgid=S2.1;time=T;to=rob MSG lobby two
      server> @label=3 ERR no-such-peer PM there is no bob here
      server> @label=4;missed=bob OK MSG lobby 0/0
      server> @label=5 OK PM rob
      me< bob relayed
      server> @label=6 OK MSG lobby 1/1
      me< bob relayed
      server> :rob@relay ACK rob S1.1
      * @rob.1 rob delivered
      server> :rob@relay ACK lobby S2.1
      * lobby.1 rob delivered
      """)
  }

  @Test("somebody who leaves while something is for them gets what was said in private, still")
  func left() {
    PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]]).play(
      """
      me> MSG lobby one
      * said MSG lobby one
      me> PM bob two
      * said PM bob two
      ? 10.0.0.2:5001
      server> @version=9.4;time=T :bob@10.0.0.2:5001 LEAVE lobby
      x 10.0.0.2:5001
      me< bob failed: left lobby
      server< @label=3;msgid=S1.1;time=T PM bob two
      server> @label=3 OK PM bob
      me< bob relayed
      server> :bob@10.0.0.2:5001 ACK bob S1.1
      * @bob.1 bob delivered
      """)
  }

  @Test("a node that others can't reach does not dial nodes that would not believe it")
  func withoutPlace() {
    let stage = PeerStage(groups: ["lobby"])
    stage.listens = nil
    stage.reachServer(["lobby": ["bob@10.0.0.2:5001 online tags", "carol@10.0.0.3:5001 online"]])
    stage.play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      ? 10.0.0.3:5001
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 OK MSG lobby 1/1
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG lobby hi
      $ 10.0.0.3:5001
      me< bob relayed, carol sent
      """)
  }

  @Test(
    "a place that means this machine is dialled by those alone who reached the server there",
    arguments: [("10.0.0.100:5463", false), ("127.0.0.1:5463", true)])
  func loopback(server: String, isDialled: Bool) {
    let stage = PeerStage(groups: ["lobby"])
    stage.serverAddress = Endpoint(server)!
    stage.reachServer(["lobby": ["bob@127.0.0.2:5001 online tags"]])
    stage.perform(.say(GroupName("lobby")!, "hi"))
    #expect(stage.dials.map(\.name) == (isDialled ? ["127.0.0.2:5001"] : []))
    #expect(stage.take("server").count == (isDialled ? 0 : 1))
  }
}
