// What a member is told of its own changes: a program, what its copies of rosters would miss; a
// person, that it was taken out of a group.

import LineChatCore
import LineProtocol
import Testing

@Suite("Own changes")
struct OwnChangeTests {
  /// bot, a program, is in one and two with alice, who is plain, and eve, who is a program.
  private func twoGroups() -> Stage {
    let stage = Stage()
    stage.open("bot", from: "10.0.0.3")
    for name in ["bot", "alice", "eve"] {
      let head = name == "alice" ? "" : "@x=1 "
      stage.send(name, "\(head)NICK \(name)")
      stage.send(name, "\(head)JOIN one relay")
      stage.send(name, "\(head)JOIN two")
    }
    for name in ["bot", "alice", "eve"] { _ = stage.take(name) }
    return stage
  }

  @Test("a program hears of its new name in each of its groups, with the version, before the reply")
  func rename() {
    twoGroups().play(
      """
      eve> @label=n NICK zoe
      eve< @version=7.4;group=one;time={} :eve@relay NICK zoe
      eve< @version=7.5;group=two;time={} :eve@relay NICK zoe
      eve< @label=n OK NICK zoe
      alice< :eve@relay NICK zoe
      bot< @version=7.4;group=one;time={} :eve@relay NICK zoe
      bot< @version=7.5;group=two;time={} :eve@relay NICK zoe
      eve> @label=n NICK ZOE
      eve< @version=7.5;group=one;time={} :zoe@relay NICK ZOE
      eve< @version=7.6;group=two;time={} :zoe@relay NICK ZOE
      eve< @label=n OK NICK ZOE
      alice< :zoe@relay NICK ZOE
      bot< @version=7.5;{*}
      bot< @version=7.6;{*}
      eve> @label=n NICK ZOE
      eve< @label=n OK NICK ZOE
      """)
  }

  @Test("a person does not hear of its own new name; who begins to speak tags with it does")
  func plainRename() {
    twoGroups().play(
      """
      alice> NICK alicia
      alice< OK NICK alicia
      bot< @version=7.4;{*}
      bot< @version=7.5;{*}
      eve< @version=7.4;{*}
      eve< @version=7.5;{*}
      alice> @label=n NICK alice
      alice< @version=7.5;group=one;time={} :alicia@relay NICK alice
      alice< @version=7.6;group=two;time={} :alicia@relay NICK alice
      alice< @label=n OK NICK alice
      bot< @version=7.5;{*}
      bot< MEMBER one alice@relay online tags
      bot< @version=7.6;{*}
      eve< @version=7.5;{*}
      eve< MEMBER one alice@relay online tags
      eve< @version=7.6;{*}
      """)
  }

  @Test("in each group it comes between what was said before and what is said after, in one round")
  func order() {
    let stage = twoGroups()
    stage.receive("alice", "MSG one before")
    stage.receive("alice", "MSG two before")
    stage.receive("bot", "@x=1 LEAVE two")
    stage.receive("eve", "@x=1 NICK zoe")
    stage.receive("alice", "MSG one after")
    stage.receive("alice", "MSG two after")
    stage.settle()
    let heard = stage.take("eve").map {
      $0.split(separator: " ").dropFirst().joined(separator: " ")
    }
    #expect(
      heard == [
        ":alice@relay MSG one before", ":eve@relay NICK zoe", ":alice@relay MSG two before",
        ":bot@relay LEAVE two", ":eve@relay NICK zoe", "NICK zoe", ":alice@relay MSG one after",
        ":alice@relay MSG two after",
      ])
  }

  @Test("the new name of a durable program is told to it when the disk has it")
  func durableRename() {
    let stage = twoGroups()
    stage.disk = .byHand
    stage.send("bot", "@label=n NICK robot")
    #expect(stage.take("bot") == [])
    stage.disk(fails: "no space left on device")
    #expect(stage.take("bot").map { $0.prefix(26) } == ["@label=n ERR internal NICK"])
    stage.send("bot", "@label=n NICK robot")
    stage.disk()
    stage.play(
      """
      bot< @version=7.4;group=one;time={} :bot@relay NICK robot
      bot< @version=7.5;group=two;time={} :bot@relay NICK robot
      bot< @label=n OK NICK robot
      """, ignoringHeard: true)
  }

  @Test("who takes up a name hears what that does to the groups it brings along")
  func takenUp() {
    let stage = twoGroups()
    stage.gone("bot")
    stage.play(
      """
      + again 10.0.0.3
      again> @label=1 JOIN one
      again< @label=1 MEMBER one bot@relay away tags
      again< @label=1 MEMBER one alice@relay online
      again< @label=1 MEMBER one eve@relay online tags
      again< @label=1 MEMBER one guest4@relay online tags
      again< @label=1;version=7.4 OK JOIN one 4
      again> @label=2 JOIN three
      again< @label=2 MEMBER three guest4@relay online tags
      again< @label=2;version=7.9 OK JOIN three 1
      again> @label=3 NICK bot
      again< @version=7.5;time={} :guest4@relay LEAVE one
      again< @version=7.10;group=three;time={} :guest4@relay NICK bot
      again< @label=3 OK NICK bot
      again> @label=4 MEMBERS three
      again< @label=4 MEMBER three bot@relay online tags
      again< @label=4;version=7.10 OK MEMBERS three 1
      """, ignoringHeard: true)
  }

  @Test("who takes up a name with another place hears of the place in the groups it brings along")
  func takenUpPlace() {
    let stage = Stage()
    stage.play(
      """
      + bot 10.0.0.3
      bot> NICK bot
      bot< OK NICK bot
      bot> JOIN home :5001
      bot< MEMBER home bot@10.0.0.3:5001 online
      bot< OK JOIN home 1
      - bot
      + again 10.0.0.3
      again> @label=1 JOIN one
      again< @label=1 MEMBER one guest2@relay online tags
      again< @label=1;version=7.2 OK JOIN one 1
      again> @label=2 NICK bot
      again< @version=7.3;group=one;time={} :guest2@relay NICK bot
      again< @version=7.4;time={} :bot@10.0.0.3:5001 JOIN one
      again< @label=2 OK NICK bot
      """)
  }

  @Test("a program whose place changes hears of it in its other groups, before the listing")
  func moved() {
    twoGroups().play(
      """
      bot> @label=m JOIN one :5001
      bot< @version=7.5;time={} :bot@10.0.0.3:5001 JOIN two
      bot< @label=m MEMBER one bot@10.0.0.3:5001 online tags
      bot< @label=m MEMBER one alice@relay online
      bot< @label=m MEMBER one eve@relay online tags
      bot< @label=m;version=7.4 OK JOIN one 3
      ? 10.0.0.3:5001
      alice< :bot@10.0.0.3:5001 JOIN one
      alice< :bot@10.0.0.3:5001 JOIN two
      eve< @version=7.4;time={} :bot@10.0.0.3:5001 JOIN one
      eve< @version=7.5;time={} :bot@10.0.0.3:5001 JOIN two
      bot> @label=m JOIN three :5002
      bot< @version=7.5;time={} :bot@10.0.0.3:5002 JOIN one
      bot< @version=7.6;time={} :bot@10.0.0.3:5002 JOIN two
      bot< @label=m MEMBER three bot@10.0.0.3:5002 online tags
      bot< @label=m;version=7.11 OK JOIN three 1
      ? 10.0.0.3:5002
      alice< :bot@10.0.0.3:5002 JOIN one
      alice< :bot@10.0.0.3:5002 JOIN two
      eve< @version=7.5;{*}
      eve< @version=7.6;{*}
      bot> @label=m JOIN one :5002
      bot< @label=m MEMBER one bot@10.0.0.3:5002 online tags
      bot< @label=m MEMBER one alice@relay online
      bot< @label=m MEMBER one eve@relay online tags
      bot< @label=m;version=7.5 OK JOIN one 3
      """, ignoringHeard: true)
  }

  @Test("a person whose place changes just gets the listing")
  func plainMoved() {
    twoGroups().play(
      """
      + p 10.0.0.4
      p> JOIN a relay
      p< {*}
      p< OK JOIN a 1
      p> JOIN b :5001
      p< MEMBER b guest4@10.0.0.4:5001 online
      p< OK JOIN b 1
      """)
  }

  @Test("who is forgotten while connected is told, a program with the version")
  func forgotten() {
    let stage = twoGroups()
    stage.play(
      """
      + o owner
      o> FORGET bot
      bot< @version=7.4;time={} :bot@relay LEAVE one forgotten by the server's owner
      alice< :bot@relay LEAVE one forgotten by the server's owner
      eve< @version=7.4;time={} :bot@relay LEAVE one forgotten by the server's owner
      o< OK FORGET bot 1
      o> FORGET alice one
      alice< :alice@relay LEAVE one forgotten by the server's owner
      eve< @version=7.5;time={} :alice@relay LEAVE one forgotten by the server's owner
      o< OK FORGET alice 1
      eve> @x=1 MSG one who is left?
      eve< OK MSG one 0/0
      eve> @x=1 MSG two and here?
      eve< OK MSG two 2/2
      bot< {} :eve@relay MSG two and here?
      alice< :eve@relay MSG two and here?
      """)
  }

  @Test("who is forgotten in the middle of its own listing is told behind it")
  func forgottenInListing() {
    let stage = Stage { $0.listingPieceBytes = 16 }
    stage.send("carol", "NICK carol")
    stage.send("carol", "JOIN ops relay")
    for name in ["a", "b", "c"] { stage.send(name, "JOIN ops") }
    _ = stage.take("carol")
    stage.drainsByHand = true
    stage.send("carol", "MEMBERS ops")
    stage.send("a", "MSG ops before")
    stage.open("o", from: "owner")
    stage.send("o", "FORGET carol")
    stage.send("a", "MSG ops after")
    while stage.directory.awaitsDrain(stage.id("carol")) { stage.drained("carol") }
    #expect(
      stage.take("carol") == [
        "MEMBER ops carol@relay online", "MEMBER ops guest2@relay online",
        "MEMBER ops guest3@relay online", "MEMBER ops guest4@relay online", "OK MEMBERS ops 4",
        ":guest2@relay MSG ops before",
        ":carol@relay LEAVE ops forgotten by the server's owner",
      ])
  }

  @Test("who takes one name after another in many groups is listened to again in the next round")
  func boundedInARound() {
    let stage = Stage()
    stage.send("bot", "@x=1 PING")
    for number in 0..<Limits.groupsPerMember { stage.send("bot", "JOIN g\(number)") }
    _ = stage.take("bot")
    stage.receive("bot", "NICK bot")
    #expect(!stage.accepts("bot"))
    stage.settle()
    #expect(stage.accepts("bot"))
    #expect(stage.take("bot").count == Limits.groupsPerMember + 1)
  }
}
