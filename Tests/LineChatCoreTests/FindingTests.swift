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
}
