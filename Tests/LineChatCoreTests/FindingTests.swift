// What the simulator found, each as the smallest transcript that shows it.

import LineChatCore
import LineProtocol
import Testing

@Suite("Found by the simulator")
struct FindingTests {
  @Test("a PM to what is meant as an address is told that the address is wrong")
  func badAddress() {
    Stage().play(
      """
      alice> PM 10.0.0.2:0 hello
      alice< ERR bad-address PM {*}
      alice> PM 9x hello
      alice< ERR bad-name PM {*}
      """)
  }

  @Test("a receipt is passed on with its head written as everywhere")
  func receipt() {
    Stage().play(
      """
      bob> @a=b NICK bob
      bob< OK NICK bob
      alice> @to=bob ACK #lobby 00c0ffee00c0ffee.1
      bob< :guest2@relay ACK lobby 00c0ffee00c0ffee.1
      """)
  }

  @Test("an address is nobody's once its member has left all groups")
  func addressInNoRoster() {
    Stage().play(
      """
      + alice 10.0.0.2
      alice> JOIN lobby :5001
      alice< MEMBER lobby guest1@10.0.0.2:5001 online
      alice< OK JOIN lobby 1
      alice> LEAVE lobby
      alice< OK LEAVE lobby
      bob> PM 10.0.0.2:5001 hello
      bob< ERR no-such-peer PM {*}
      """)
  }

  @Test("who becomes a durable member is told of with attributes")
  func presenceOfNewlyDurable() {
    Stage().play(
      """
      alice> @a=b JOIN lobby
      alice< MEMBER lobby guest1@relay online tags
      alice< @version=7.1 OK JOIN lobby 1
      bob> JOIN lobby
      bob< MEMBER lobby guest1@relay online tags
      bob< MEMBER lobby guest2@relay online
      bob< OK JOIN lobby 2
      alice< {} :guest2@relay JOIN lobby
      bob> JOIN lobby relay
      bob< MEMBER lobby guest1@relay online tags
      bob< MEMBER lobby guest2@relay online
      bob< OK JOIN lobby 2
      alice< MEMBER lobby guest2@relay online
      """)
  }

  @Test("who takes up a name with another place is told of with that place")
  func placeOfTakenUpName() {
    Stage().play(
      """
      + alice 10.0.0.2
      alice> NICK alice
      alice< OK NICK alice
      alice> JOIN home :5001
      alice< MEMBER home alice@10.0.0.2:5001 online
      alice< OK JOIN home 1
      - alice
      carol> @a=b JOIN lobby
      carol< MEMBER lobby guest2@relay online tags
      carol< @version=7.2 OK JOIN lobby 1
      + again 10.0.0.2
      again> JOIN lobby
      again< {*}
      again< {*}
      again< OK JOIN lobby 2
      carol< {} :guest3@relay JOIN lobby
      again> NICK alice
      again< OK NICK alice
      carol< {} :guest3@relay NICK alice
      carol< {} :alice@10.0.0.2:5001 JOIN lobby
      """)
  }

  @Test("a name is its key's, though the connection ended before the disk had it")
  func keyOfLateRename() {
    let stage = Stage()
    stage.play(
      """
      + alice 10.0.0.2 key1
      alice> JOIN lobby relay
      alice< {*}
      alice< OK JOIN lobby 1
      """)
    stage.disk = .byHand
    stage.play(
      """
      alice> NICK alice
      - alice
      """)
    stage.disk()
    stage.disk = .immediate
    stage.play(
      """
      + again 10.0.0.3 key1
      again> NICK alice
      again< OK NICK alice
      """)
  }

  @Test("a listing is not taken for stalled because of an earlier one")
  func stallOfEarlierListing() {
    let stage = Stage { $0.listingPieceBytes = 16 }
    for group in ["one", "two", "three"] { stage.send("alice", "JOIN \(group)") }
    stage.drainsByHand = true
    stage.send("alice", "GROUPS")
    while stage.directory.awaitsDrain(stage.id("alice")) { stage.drained("alice") }
    stage.pass(seconds: 50)
    stage.send("alice", "GROUPS")
    let isListing = stage.directory.awaitsDrain(stage.id("alice"))
    #expect(isListing)
    stage.pass(seconds: 15)
    #expect(stage.overrun == [])
    stage.pass(seconds: 50)
    #expect(stage.overrun == ["alice"])
  }

  @Test("a WAIT that has ended leaves no deadline behind for a day")
  func deadlinesOfEndedWaits() {
    let stage = Stage()
    for _ in 0..<1_000 {
      stage.receive("alice", "WAIT 86400 1")
      stage.receive("bob", "PM guest1 wake up")
    }
    let audit = stage.directory.audit()
    #expect(audit.problems == [])
  }

  // MARK: Members who are away

  /// carol, durable and away; alice is connected.
  private func carolAway(_ place: String, _ head: String = "") -> Stage {
    let stage = Stage()
    stage.open("carol", from: "10.0.0.3")
    stage.send("carol", head + "NICK carol")
    stage.send("carol", head + "JOIN ops \(place)")
    stage.send("carol", "QUIT")
    stage.send("alice", "NICK alice")
    for name in ["carol", "alice"] { _ = stage.take(name) }
    return stage
  }

  /// A server that starts with what the other's journal holds.
  private func restarted(_ stage: Stage) -> Stage {
    let next = Stage()
    for record in stage.journal { try! next.directory.replay(record, now: next.now) }
    next.directory.restored(now: next.now)
    next.settle()
    return next
  }

  @Test("a name can be taken up while a message for it is on its way to the disk")
  func backWhileKept() {
    let stage = carolAway("relay")
    stage.disk = .byHand
    stage.play(
      """
      alice> PM carol hi
      + again 10.0.0.3
      again> NICK carol
      again< OK NICK carol
      again< :alice@relay PM carol hi
      alice< OK PM carol
      """)
    stage.disk()
  }

  @Test("who waits for a member that is forgotten is answered")
  func forgottenWhileDialled() {
    carolAway(":5001").play(
      """
      alice> PM carol hi
      ? 10.0.0.3:5001
      + o owner
      o> FORGET carol
      x 10.0.0.3:5001
      alice< ERR unreachable PM {*}
      o< OK FORGET carol 1
      """)
  }

  @Test("when a dial is given up, the next member at the same address is dialled")
  func nextAtTheAddress() {
    let stage = carolAway(":5001")
    stage.play(
      """
      + dan 10.0.0.3
      dan> NICK dan
      dan< OK NICK dan
      dan> JOIN dev :5001
      dan< {*}
      dan< OK JOIN dev 1
      - dan
      alice> MSG ops one
      ? 10.0.0.3:5001
      bob> MSG dev two
      + again 10.0.0.3
      again> NICK carol
      again< OK NICK carol
      again< :alice@relay MSG ops one
      alice< OK MSG ops 1/1
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :guest4@relay MSG dev two
      $ 10.0.0.3:5001
      bob< OK MSG dev 1/1
      """)
  }

  @Test("who is taken out of a group in its WAIT does not count what is said there")
  func forgottenInWait() {
    let stage = Stage()
    stage.play(
      """
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops relay
      carol< {*}
      carol< OK JOIN ops 1
      bob> JOIN ops
      bob< {*}
      bob< {*}
      bob< OK JOIN ops 2
      carol< {*}
      carol> WAIT 5 1
      + o owner
      o> FORGET carol
      carol< :carol@relay LEAVE ops forgotten by the server's owner
      bob< :carol@relay LEAVE ops forgotten by the server's owner
      o< OK FORGET carol 1
      bob> MSG ops hi
      bob< OK MSG ops 0/0
      = 5
      carol< OK WAIT 0
      """)
  }

  @Test("what was known of one address is not said of the next")
  func anotherAddress() {
    let stage = Stage()
    stage.play(
      """
      + node 10.0.0.3
      node> @x=1 NICK node
      node< OK NICK node
      node> @x=1 JOIN ops :5001
      node< {*}
      node< {*}
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 name=node
      node< MEMBER ops node@10.0.0.3:5001 online tags reachable
      $ 10.0.0.3:5001
      node> @x=1 JOIN dev :5002
      node< @version=7.2;time={} :node@10.0.0.3:5002 JOIN ops
      node< {*}
      node< {*}
      ? 10.0.0.3:5002
      node> MEMBERS ops
      node< MEMBER ops node@10.0.0.3:5002 online tags
      node< {*}
      """)
  }

  @Test("who was found at the second try is dialled again at once for what came meanwhile")
  func reachedAgain() {
    let stage = Stage()
    stage.play(
      """
      + node 10.0.0.3
      node> @x=1 NICK node
      node< OK NICK node
      node> @x=1 JOIN ops :5001
      node< {*}
      node< {*}
      ? 10.0.0.3:5001
      node> @x=1 JOIN ops :5001
      node< {*}
      node< {*}
      ~ 10.0.0.3:5001
      node< {*}
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 name=node
      node< MEMBER ops node@10.0.0.3:5001 online tags reachable
      - node
      alice> MSG ops hi
      $ 10.0.0.3:5001
      ? 10.0.0.3:5001
      """)
  }

  // Seed 8012736 of the server's worlds.
  @Test("the dial to where somebody is from now on is not followed by another at once")
  func movedWhileAway() {
    let stage = Stage()
    stage.play(
      """
      + node 10.0.0.3
      node> @x=1 NICK node
      node< OK NICK node
      node> @x=1 JOIN ops :5001
      node< {*}
      node< {*}
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 name=node
      node< MEMBER ops node@10.0.0.3:5001 online tags reachable
      $ 10.0.0.3:5001
      """)
    stage.disk = .byHand
    stage.send("node", "@x=1 JOIN ops :5002")
    stage.gone("node")
    stage.play(
      """
      alice> MSG ops hi
      ? 10.0.0.3:5001
      """)
    stage.disk()
    stage.play(
      """
      ? 10.0.0.3:5002
      ~ 10.0.0.3:5002
      """)
    stage.disk()
    stage.play(
      """
      alice< {*}
      = 2
      ? 10.0.0.3:5002
      """)
  }

  @Test("what was promised to be kept has its room before what was only handed over")
  func promisedThenFlood() {
    let stage = Stage()
    stage.play(
      """
      carol> @a=b NICK carol
      carol< OK NICK carol
      carol> @a=b JOIN lobby relay
      carol< {*}
      carol< {*}
      - carol
      bob> NICK bob
      bob< OK NICK bob
      bob> JOIN lobby
      bob< {*}
      bob< {*}
      bob< {*}
      bob> MSG lobby promised
      bob< OK MSG lobby 0/1 kept 1
      + again 127.0.0.1
      again> @a=b NICK carol
      again< OK NICK carol
      again< {} :bob@relay MSG lobby promised
      """)
    // Her connection is dead all the time: no receipt comes.
    let text = String(repeating: "x", count: 60_000)
    for _ in 0..<20 { stage.send("bob", "MSG lobby \(text)") }
    var restarted = Directory(Directory.Configuration())
    for record in stage.journal { try? restarted.replay(record, now: stage.now) }
    #expect(restarted.durableState().kept.map(\.messages.count) == [1])
    _ = (stage.take("bob"), stage.take("again"))
  }

  @Test("who turns out to be a program while it is dialled as none is sent everything again")
  func tagsWhileDialled() {
    let stage = Stage()
    stage.play(
      """
      + carol 10.0.0.3
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops :5001
      carol< {*}
      carol< {*}
      """)
    stage.disk = .byHand
    stage.send("carol", "@x=1 NICK zoe")
    stage.gone("carol")
    stage.play(
      """
      alice> MSG ops one
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< {*} MSG ops one
      """)
    stage.disk()
    stage.play(
      """
      $ 10.0.0.3:5001
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 name=zoe
      10.0.0.3:5001< {*} MSG ops one
      """)
  }

  @Test("what is kept while a new name is on its way to the disk is found after a restart")
  func keptForNewName() {
    for fails in [false, true] {
      let stage = Stage()
      stage.open("carol", from: "10.0.0.3")
      stage.send("carol", "NICK carol")
      stage.send("carol", "JOIN ops relay")
      stage.disk = .byHand
      stage.send("carol", "NICK zoe")
      stage.gone("carol")
      stage.send("alice", "PM carol hi")
      stage.disk(fails: fails ? "no space left on device" : nil)
      stage.disk()
      #expect(stage.take("alice").last == "OK PM carol kept")
      let state = restarted(stage).directory.durableState()
      #expect(state.kept.map(\.member) == [fails ? "carol" : "zoe"])
    }
  }

  @Test("a member that is forgotten under its old name stays forgotten")
  func forgottenWithNewName() {
    let stage = Stage()
    stage.send("carol", "NICK carol")
    stage.send("carol", "JOIN ops relay")
    stage.disk = .byHand
    stage.send("carol", "NICK zoe")
    stage.open("o", from: "owner")
    stage.send("o", "FORGET carol")
    stage.disk()
    stage.disk()
    #expect(restarted(stage).directory.durableState().members == [])
  }

  @Test("what the disk refused at first comes in its place after a restart")
  func orderAfterRefusal() {
    let stage = Stage()
    stage.send("node", "@x=1 NICK node")
    stage.send("node", "@x=1 JOIN ops relay")
    stage.send("alice", "MSG ops one")
    stage.disk = .byHand
    stage.gone("node")
    stage.disk(fails: "no space left on device")
    stage.disk = .immediate
    stage.send("alice", "MSG ops two")
    stage.open("node")
    stage.send("node", "@x=1 NICK node")
    stage.gone("node")
    let messages = restarted(stage).directory.durableState().kept.first?.messages ?? []
    #expect(messages.map { $0.suffix(3) } == ["one", "two"])
  }

  @Test("a program is a program after a restart: nothing is said before it says who it is")
  func tagsOverRestarts() {
    restarted(carolAway(":5001", "@x=1 ")).play(
      """
      alice> MSG ops one
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      """)
  }

  @Test("a name that was taken up with a key is the key's after a restart")
  func keyOverRestarts() {
    let stage = carolAway("relay")
    stage.open("again", from: "10.0.0.3", key: "KEY")
    stage.send("again", "NICK carol")
    restarted(stage).play(
      """
      + other 10.9.9.9 KEY
      other> NICK carol
      other< OK NICK carol
      """)
  }
}
