// The links that a node dials: when, to whom, how often, and how they end.

import LineChatCore
import LineProtocol
import Testing

@Suite("A node's links")
struct PeerLinkTests {
  private static let bob = PeerDeliveryTests.bob

  @Test("our end of a link has the address by which the others know us")
  func bound() {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "hi"))
    #expect(stage.dials.map(\.from) == [IPAddress("10.0.0.1")])
  }

  @Test("where somebody else answers nothing is sent, and nothing is delivered")
  func wrongName() {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.play(
      """
      me> MSG lobby secret
      * said MSG lobby secret
      ? 10.0.0.2:5001
      ! 10.0.0.2:5001
      10.0.0.2:5001> PING
      10.0.0.2:5001< PONG
      10.0.0.2:5001> ACK lobby S1.1
      10.0.0.2:5001> INFO linechat 1 protocol=1 name=mallory max-line=65536 help=HELP
      x 10.0.0.2:5001
      * down bob@10.0.0.2:5001 1 s: mallory answers there
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby secret
      server> @label=3;missed=bob OK MSG lobby 0/1
      me< bob waiting: unreachable: mallory answers there
      """)
    #expect(stage.peer.status(now: stage.now).outboxMessages == 1)
  }

  @Test(
    "what answers and is no node is no member", arguments: ["INFO linechatd 1", "220 hello", ""])
  func noNode(greeting: String) {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.play("me> MSG lobby hi\n* said MSG lobby hi\n? 10.0.0.2:5001\n! 10.0.0.2:5001")
    stage.send("10.0.0.2:5001", greeting)
    for _ in 0..<25 where stage.heard["server"] == [] { stage.pass(seconds: 0.1) }
    #expect(stage.take("server") == ["@label=3;msgid=S1.1;time=T;to=bob MSG lobby hi"])
    #expect(stage.take("10.0.0.2:5001") == [])
    #expect(stage.peer.status(now: stage.now).contacts[0].waiting == 1)
  }

  @Test("a dead place costs two seconds, once")
  func deadPlace() {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.play(
      """
      me> MSG lobby one
      * said MSG lobby one
      ? 10.0.0.2:5001
      = 1
      me< bob waiting: on its way
      = 0.9
      = 0.1
      x 10.0.0.2:5001
      * down bob@10.0.0.2:5001 1 s: no answer within 2 s
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby one
      server> @label=3 OK MSG lobby 1/1
      * lobby.1 bob relayed
      me> MSG lobby two
      * said MSG lobby two
      server< @label=4;msgid=S1.2;time=T;prev=1;to=bob MSG lobby two
      server> @label=4 OK MSG lobby 1/1
      me< bob relayed
      server> :bob@10.0.0.2:5001 ACK lobby S1.2
      * lobby.1 bob delivered
      * lobby.2 bob delivered
      = 1
      me> MSG lobby three
      * said MSG lobby three
      ? 10.0.0.2:5001
      server< @label=5;msgid=S1.3;time=T;to=bob MSG lobby three
      """)
  }

  @Test("the dial and the greeting together have two seconds")
  func slowGreeting() {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.play("me> MSG lobby one\n* said MSG lobby one\n? 10.0.0.2:5001\n= 0.9\n! 10.0.0.2:5001")
    stage.play("= 0.5\nme< bob waiting: on its way\n= 0.5")
    stage.play("= 0.1\n* down bob@10.0.0.2:5001 1 s: it does not say who it is\nserver< {*}")
  }

  @Test("the pauses between dials double up to five minutes, while something waits")
  func backOff() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 away tags"]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    var pauses: [Double] = []
    for _ in 0..<11 {
      stage.dials = []
      stage.fails("10.0.0.2:5001")
      let failed = stage.now.monotonicMicroseconds
      while stage.dials.isEmpty {
        stage.pass(seconds: 0.05)
        if stage.heard["server"]?.last == "PING" { stage.send("server", "PONG") }
      }
      pauses.append(Double(stage.now.monotonicMicroseconds - failed) / 1_000_000)
    }
    for (pause, full) in zip(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
      #expect(pause > Double(full) * 0.8 - 0.1 && pause < Double(full) + 0.1, "\(pauses)")
    }
  }

  @Test("word that a member is back ends its pause")
  func presence() {
    PeerStage.joined(["lobby": [PeerLinkTests.bob]]).play(
      """
      me> MSG lobby one
      * said MSG lobby one
      ? 10.0.0.2:5001
      ~ 10.0.0.2:5001
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby one
      server> @label=3;missed=bob OK MSG lobby 0/1
      me< bob waiting: unreachable: connection refused
      server> MEMBER lobby bob@10.0.0.2:5001 away tags
      server> MEMBER lobby bob@10.0.0.2:5001 online tags
      * bob online
      ? 10.0.0.2:5001
      server< @label=4;msgid=S1.1;time=T;to=bob MSG lobby one
      server> @label=4 OK MSG lobby 1/1
      * lobby.1 bob relayed
      server> :bob@10.0.0.2:5001 ACK lobby S1.1
      * lobby.1 bob delivered
      """)
  }

  @Test("a member that comes to another place is dialled there")
  func moved() {
    PeerStage.joined(["lobby": [PeerLinkTests.bob]]).play(
      """
      me> MSG lobby one
      * said MSG lobby one
      ? 10.0.0.2:5001
      server> @version=9.4;time=T :bob@10.0.0.9:5009 JOIN lobby
      x 10.0.0.2:5001
      ? 10.0.0.9:5009
      ! 10.0.0.9:5009
      10.0.0.9:5009> INFO linechat 1 protocol=1 name=bob
      10.0.0.9:5009< @msgid=S1.1;time=T;version=9.4 :alice@10.0.0.1:5001 MSG lobby one
      10.0.0.9:5009> ACK lobby S1.1
      me< bob delivered
      """)
  }

  @Test("an address of which nobody has said whose it is gets nothing before that is told")
  func undescribed() {
    PeerStage.joined(["lobby": []]).play(
      """
      server> @version=9.4;time=T :bob@10.0.0.2:5001 JOIN lobby
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> MEMBER lobby bob@10.0.0.2:5001 online tags
      ? 10.0.0.2:5001
      ! 10.0.0.2:5001
      10.0.0.2:5001> INFO linechat 1 protocol=1 name=bob
      10.0.0.2:5001< @msgid=S1.1;time=T;version=9.4 :alice@10.0.0.1:5001 MSG lobby hi
      10.0.0.2:5001> ACK lobby S1.1
      me< bob delivered
      """)
  }

  @Test("nor does a stranger's who has just joined")
  func undescribedStranger() {
    PeerStage.joined(["lobby": []]).play(
      """
      me> PM bob psst
      * said PM bob psst
      server< @label=3;msgid=S1.1;time=T PM bob psst
      server> @label=3 OK PM bob
      me< bob relayed
      server> @version=9.4;time=T :bob@10.0.0.2:5001 JOIN lobby
      server< @label=4;msgid=S1.1;time=T PM bob psst
      server> MEMBER lobby bob@10.0.0.2:5001 online tags
      ? 10.0.0.2:5001
      """)
  }

  @Test("a link that acknowledges nothing for five seconds is given up")
  func stalled() {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.play(
      """
      * said MSG lobby one
      10.0.0.2:5001< {*}
      = 4.5
      me< bob waiting: on its way
      = 0.7
      x 10.0.0.2:5001
      * down bob@10.0.0.2:5001 1 s: it does not acknowledge
      server< {*}
      """)
  }

  @Test("a link that is not used is closed after a minute, which is no failure")
  func idle() {
    let stage = PeerStage.joined(["lobby": [PeerLinkTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.play(
      "* said MSG lobby one\n10.0.0.2:5001< {*}\n10.0.0.2:5001> ACK lobby S1.1\nme< bob delivered")
    stage.answersPings = true
    stage.pass(seconds: 59)
    #expect(stage.finishing == [])
    stage.pass(seconds: 3)
    #expect(stage.finishing == ["10.0.0.2:5001"])
    // It goes with a reset instead of an orderly end.
    stage.fails("10.0.0.2:5001")
    stage.play("me> MSG lobby two\n* said MSG lobby two\n? 10.0.0.2:5001\n= 0.5")
  }

  @Test("after a sleep each link is asked for a sign of life, and what was paused is tried")
  func woken() {
    let stage = PeerStage.joined([
      "lobby": [PeerLinkTests.bob, "dave@10.0.0.4:5001 away tags"]
    ])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.play(
      """
      * said MSG lobby one
      ? 10.0.0.4:5001
      ~ 10.0.0.4:5001
      10.0.0.2:5001< {*}
      10.0.0.2:5001> ACK lobby S1.1
      me< bob delivered, dave waiting: unreachable: connection refused
      """)
    stage.woke()
    stage.play(
      "server< PING\n10.0.0.2:5001< PING\n? 10.0.0.4:5001\n= 1\nserver> PONG\n10.0.0.2:5001> PONG")
    stage.play("~ 10.0.0.4:5001\n= 0.5")
    stage.woke()
    stage.play(
      "server< PING\n10.0.0.2:5001< PING\n? 10.0.0.4:5001\n= 0.1\nserver> PONG\n= 3\n* down bob@10.0.0.2:5001 {*}"
    )
  }

  @Test("no more than 64 dials are under way at once")
  func manyDials() {
    let others = (0..<100).map { "m\($0)@10.0.1.\($0 + 1):5001 online tags" }
    let stage = PeerStage.joined(["lobby": others])
    stage.perform(.say(GroupName("lobby")!, "hi"))
    #expect(stage.dials.count == 64)
    let first = stage.dials.map(\.name)
    stage.dials = []
    for name in first.prefix(10) { stage.fails(name) }
    #expect(stage.dials.count == 10)
    stage.dials = []
    for name in first.dropFirst(10) {
      stage.dialled(name)
      stage.send(name, "INFO x 1 name=mallory")
    }
    #expect(stage.dials.count == 26)
  }
}
