// Names: who is called what, who may take up what, and who is told.

import LineChatCore
import LineProtocol
import Testing

@Suite("Names")
struct NameTests {
  @Test("a newcomer is a guest and takes a name")
  func firstName() {
    Stage().play(
      """
      alice> NICK alice
      alice< OK NICK alice
      alice> NICK alice
      alice< OK NICK alice
      alice> nick Alice
      alice< OK NICK Alice
      """)
  }

  @Test("a name in use is refused whatever its case, and the text says who one still is")
  func taken() {
    Stage().play(
      """
      alice> NICK alice
      alice< OK NICK alice
      bob> NICK ALICE
      bob< ERR name-taken NICK alice is in use; you are still guest2, choose another name
      """)
  }

  @Test(
    "a name that is none is refused",
    arguments: ["relay", "9lives", "a b c", "ümlaut", "a@b", String(repeating: "a", count: 33)])
  func badName(name: String) {
    let stage = Stage()
    stage.send("a", "NICK \(name)")
    let heard = stage.take("a")
    #expect(heard.count == 1)
    #expect(
      heard[0].hasPrefix("ERR bad-name NICK ") || heard[0].hasPrefix("ERR bad-syntax NICK "),
      "\(heard)")
  }

  @Test("a name is free again when its holder goes")
  func freed() {
    Stage().play(
      """
      alice> NICK alice
      alice< OK NICK alice
      - alice
      bob> NICK alice
      bob< OK NICK alice
      """)
  }

  @Test("plain members hear of a new name once, programs once for each shared group")
  func renameIsTold() {
    Stage().play(
      """
      alice> NICK alice
      alice< OK NICK alice
      alice> JOIN one
      alice< MEMBER one alice@relay online
      alice< OK JOIN one 1
      alice> JOIN two
      alice< MEMBER two alice@relay online
      alice< OK JOIN two 1
      bob> JOIN one
      bob< MEMBER one alice@relay online
      bob< MEMBER one guest2@relay online
      bob< OK JOIN one 2
      alice< :guest2@relay JOIN one
      bob> JOIN two
      bob< MEMBER two alice@relay online
      bob< MEMBER two guest2@relay online
      bob< OK JOIN two 2
      alice< :guest2@relay JOIN two
      eve> @label=1 JOIN one
      eve< @label=1 MEMBER one alice@relay online
      eve< @label=1 MEMBER one guest2@relay online
      eve< @label=1 MEMBER one guest3@relay online tags
      eve< @label=1;version=7.3 OK JOIN one 3
      alice< :guest3@relay JOIN one
      bob< :guest3@relay JOIN one
      alice> NICK alicia
      alice< OK NICK alicia
      bob< :alice@relay NICK alicia
      eve< @version=7.4;group=one;time=2027-01-15T08:00:00.000005Z :alice@relay NICK alicia
      """)
  }

  @Test("what was said under the old name is read before the new one")
  func renameKeepsOrder() {
    let stage = Stage()
    stage.play(
      """
      alice> JOIN lobby
      alice< MEMBER lobby guest1@relay online
      alice< OK JOIN lobby 1
      bob> JOIN lobby
      bob< {*}
      bob< {*}
      bob< OK JOIN lobby 2
      alice< {*}
      """)
    stage.receive("alice", "MSG lobby before")
    stage.receive("alice", "NICK zoe")
    stage.receive("alice", "MSG lobby after")
    stage.settle()
    #expect(
      stage.take("bob") == [
        ":guest1@relay MSG lobby before", ":guest1@relay NICK zoe", ":zoe@relay MSG lobby after",
      ])
  }

  @Test("the name of a durable member who is away is taken up again from its own host only")
  func takenUp() {
    Stage().play(
      """
      + carol 10.0.0.3
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops relay
      carol< MEMBER ops carol@relay online
      carol< OK JOIN ops 1
      - carol
      + eve 10.0.0.4
      eve> NICK carol
      eve< ERR name-taken NICK carol belongs to a member from another host; you are still guest2, choose another name
      + again 10.0.0.3
      again> NICK Carol
      again< OK NICK carol
      eve> MSG ops hello
      eve< OK MSG ops 1/1
      again< :guest2@relay MSG ops hello
      """)
  }

  @Test("this machine is one host: 127.0.0.1, ::1 and a Unix socket")
  func oneHost() {
    Stage().play(
      """
      + carol ::1
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops relay
      carol< {*}
      carol< OK JOIN ops 1
      - carol
      + again unix
      again> NICK carol
      again< OK NICK carol
      - again
      + other 127.0.0.2
      other> NICK carol
      other< ERR name-taken {*}
      """)
  }

  @Test("a name with a key is taken up from anywhere by it, at once, and by nobody else")
  func byKey() {
    let stage = Stage()
    stage.play(
      """
      + carol 10.0.0.3 KEY
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops relay
      carol< {*}
      carol< OK JOIN ops 1
      + thief 10.0.0.3
      thief> NICK carol
      thief< ERR name-taken NICK carol is in use; you are still guest2, choose another name
      + again 10.9.9.9 KEY
      again> NICK carol
      again< OK NICK carol
      carol< ERR name-taken - carol was taken up from another connection with its key
      x carol
      - again
      thief> NICK carol
      thief< ERR name-taken NICK carol belongs to a member from another host; you are still guest2, choose another name
      """)
  }

  @Test("who takes up a name brings along the groups it is in already")
  func bringsGroups() {
    Stage().play(
      """
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops relay
      carol< {*}
      carol< OK JOIN ops 1
      - carol
      bob> JOIN lobby
      bob< {*}
      bob< OK JOIN lobby 1
      again> JOIN lobby
      again< {*}
      again< {*}
      again< OK JOIN lobby 2
      bob< :guest3@relay JOIN lobby
      again> JOIN ops
      again< {*}
      again< {*}
      again< OK JOIN ops 2
      again> NICK carol
      again< OK NICK carol
      bob< :guest3@relay NICK carol
      bob> MEMBERS ops
      bob< MEMBER ops carol@relay online
      bob< OK MEMBERS ops 1
      bob> MEMBERS lobby
      bob< MEMBER lobby guest2@relay online
      bob< MEMBER lobby carol@relay online
      bob< OK MEMBERS lobby 2
      bob> MSG lobby hello
      bob< OK MSG lobby 1/1
      again< :guest2@relay MSG lobby hello
      """)
  }

  @Test("a guest with a durable membership keeps its name")
  func guestStays() {
    Stage().play(
      """
      a> JOIN ops relay
      a< {*}
      a< OK JOIN ops 1
      - a
      b> PM guest1 hello
      b< OK PM guest1 kept
      b> MEMBERS ops
      b< MEMBER ops guest1@relay away
      b< OK MEMBERS ops 1
      """)
  }
}
