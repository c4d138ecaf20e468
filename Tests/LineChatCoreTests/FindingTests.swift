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
    while stage.directory.isListing(stage.id("alice")) { stage.drained("alice") }
    stage.pass(seconds: 50)
    stage.send("alice", "GROUPS")
    let isListing = stage.directory.isListing(stage.id("alice"))
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
}
