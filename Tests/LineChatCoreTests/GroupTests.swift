// Groups: joining, leaving, places, versions, lists.

import LineChatCore
import LineProtocol
import Testing

@Suite("Groups")
struct GroupTests {
  @Test("joining lists the members in order of joining, and tells the others")
  func join() {
    Stage().play(
      """
      alice> NICK alice
      alice< OK NICK alice
      alice> JOIN #Lobby
      alice< MEMBER Lobby alice@relay online
      alice< OK JOIN Lobby 1
      bob> NICK bob
      bob< OK NICK bob
      bob> join lobby
      bob< MEMBER Lobby alice@relay online
      bob< MEMBER Lobby bob@relay online
      bob< OK JOIN Lobby 2
      alice< :bob@relay JOIN Lobby
      bob> JOIN LOBBY
      bob< MEMBER Lobby alice@relay online
      bob< MEMBER Lobby bob@relay online
      bob< OK JOIN Lobby 2
      """)
  }

  @Test("leaving tells the others, and the last one takes the group along")
  func leave() {
    Stage().play(
      """
      alice> JOIN lobby
      alice< {*}
      alice< OK JOIN lobby 1
      bob> JOIN lobby
      bob< {*}
      bob< {*}
      bob< OK JOIN lobby 2
      alice< :guest2@relay JOIN lobby
      bob> LEAVE lobby
      bob< OK LEAVE lobby
      alice< :guest2@relay LEAVE lobby
      bob> LEAVE lobby
      bob< ERR not-member LEAVE you are not in lobby; nothing to leave
      alice> LEAVE lobby
      alice< OK LEAVE lobby
      alice> LEAVE lobby
      alice< ERR no-such-group LEAVE there is no group lobby; JOIN lobby makes it, GROUPS lists those there are
      alice> GROUPS
      alice< OK GROUPS 0
      """)
  }

  @Test("a bare member ends with its connection, a durable one stays and is away")
  func endOfConnection() {
    Stage().play(
      """
      alice> JOIN lobby
      alice< {*}
      alice< OK JOIN lobby 1
      bob> JOIN lobby
      bob< {*}
      bob< {*}
      bob< OK JOIN lobby 2
      alice< {*}
      carol> JOIN lobby relay
      carol< {*}
      carol< {*}
      carol< {*}
      carol< OK JOIN lobby 3
      alice< :guest3@relay JOIN lobby
      bob< :guest3@relay JOIN lobby
      - bob
      alice< :guest2@relay LEAVE lobby connection closed
      carol< :guest2@relay LEAVE lobby connection closed
      - carol
      alice> MEMBERS lobby
      alice< MEMBER lobby guest1@relay online
      alice< MEMBER lobby guest3@relay away
      alice< OK MEMBERS lobby 2
      alice> MSG lobby anybody?
      alice< OK MSG lobby 0/1 kept 1
      """)
  }

  @Test("QUIT is told without a reason, and everything due comes before the end")
  func quit() {
    Stage().play(
      """
      alice> JOIN lobby
      alice< {*}
      alice< OK JOIN lobby 1
      bob> JOIN lobby
      bob< {*}
      bob< {*}
      bob< OK JOIN lobby 2
      alice< :guest2@relay JOIN lobby
      bob> QUIT
      bob< OK QUIT
      x bob
      alice< :guest2@relay LEAVE lobby
      """)
  }

  @Test("a place is the connection's own")
  func places() {
    Stage().play(
      """
      + a 10.0.0.2
      a> JOIN lobby :5001
      a< MEMBER lobby guest1@10.0.0.2:5001 online
      a< OK JOIN lobby 1
      a> JOIN lobby 10.0.0.2:5002
      a< MEMBER lobby guest1@10.0.0.2:5002 online
      a< OK JOIN lobby 1
      a> JOIN lobby 10.0.0.3:5002
      a< ERR forbidden JOIN 10.0.0.3 is not where you connect from; JOIN <group> :5002 means your own
      + b 127.0.0.1
      b> JOIN lobby 192.168.1.10:7000
      b< {*}
      b< MEMBER lobby guest2@192.168.1.10:7000 online
      b< OK JOIN lobby 2
      a< :guest2@192.168.1.10:7000 JOIN lobby
      b> JOIN lobby 127.0.0.1:5463
      b< ERR bad-address JOIN 127.0.0.1:5463 is this server's own address; name the one you listen at
      b> JOIN lobby 0.0.0.0:1
      b< ERR bad-address JOIN nobody can be reached at 0.0.0.0:1
      b> JOIN lobby 224.0.0.1:1
      b< ERR bad-address JOIN nobody can be reached at 224.0.0.1:1
      b> JOIN lobby 10.0.0.2:1
      b< ERR forbidden JOIN {*}
      b> PM 10.0.0.2:5002 hello
      b< OK PM guest1
      a< :guest2@192.168.1.10:7000 PM guest1 hello
      b> PM guest1@10.0.0.2:5001 old place
      b< ERR no-such-peer PM there is no guest1@10.0.0.2:5001 here; MEMBERS <group> lists who is in a group
      """)
  }

  @Test("a loopback :port gets the server's own address where it is reached from elsewhere")
  func substitute() {
    Stage { $0.loopbackSubstitute = IPAddress("192.168.1.10") }.play(
      """
      a> JOIN lobby :5001
      a< MEMBER lobby guest1@192.168.1.10:5001 online
      a< OK JOIN lobby 1
      """)
  }

  @Test(
    "an address that is none is refused",
    arguments: [
      "localhost:5001", "10.0.0.2", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0.2:+80", ":0", ":x",
      "10.0.0.2:٣", "[::1]", "::1:5001", "10.0.0.2:0080", ":99999999999999999999999999999999",
    ])
  func badAddress(address: String) {
    let stage = Stage()
    stage.send("a", "JOIN lobby \(address)")
    #expect(stage.take("a").first?.hasPrefix("ERR bad-address JOIN ") == true)
  }

  @Test("a new place is a change in each of the member's groups")
  func move() {
    Stage().play(
      """
      + a 10.0.0.2
      a> JOIN one relay
      a< {*}
      a< OK JOIN one 1
      a> JOIN two relay
      a< {*}
      a< OK JOIN two 1
      b> JOIN one
      b< {*}
      b< {*}
      b< OK JOIN one 2
      a< :guest2@relay JOIN one
      a> JOIN two :5001
      a< MEMBER two guest1@10.0.0.2:5001 online
      a< OK JOIN two 1
      b< :guest1@10.0.0.2:5001 JOIN one
      """)
  }

  @Test("versions rise by one with each change and never come twice, also in a group made anew")
  func versions() {
    Stage().play(
      """
      a> @x=1 JOIN lobby
      a< MEMBER lobby guest1@relay online tags
      a< @version=7.1 OK JOIN lobby 1
      b> JOIN lobby
      b< {*}
      b< {*}
      b< OK JOIN lobby 2
      a< @version=7.2;time={} :guest2@relay JOIN lobby
      b> JOIN other
      b< {*}
      b< OK JOIN other 1
      b> LEAVE lobby
      b< OK LEAVE lobby
      a< @version=7.3;time={} :guest2@relay LEAVE lobby
      a> LEAVE lobby
      a< OK LEAVE lobby
      a> JOIN lobby
      a< MEMBER lobby guest1@relay online
      a< @version=7.6 OK JOIN lobby 1
      """.replacing("time={} ", with: "{*}").replacing("{*}:guest2@relay JOIN lobby", with: "{*}")
        .replacing("{*}:guest2@relay LEAVE lobby", with: "{*}"))
  }

  @Test("programs hear when a durable member comes, goes, or speaks otherwise")
  func presence() {
    Stage().play(
      """
      a> @x=1 JOIN lobby
      a< {*}
      a< @version=7.1 OK JOIN lobby 1
      b> NICK bob
      b< OK NICK bob
      b> JOIN lobby relay
      b< {*}
      b< {*}
      b< OK JOIN lobby 2
      a< @version=7.2;{*}
      a< MEMBER lobby bob@relay online
      - b
      a< MEMBER lobby bob@relay away
      + b
      b> @x=1 NICK bob
      b< OK NICK bob
      a< MEMBER lobby bob@relay online tags
      """)
  }

  @Test("groups are listed in the order of their names")
  func groups() {
    Stage().play(
      """
      a> JOIN zoo
      a< {*}
      a< OK JOIN zoo 1
      a> JOIN Ape
      a< {*}
      a< OK JOIN Ape 1
      a> JOIN bee
      a< {*}
      a< OK JOIN bee 1
      a> GROUPS
      a< GROUP Ape 1
      a< GROUP bee 1
      a< GROUP zoo 1
      a< OK GROUPS 3
      """)
  }

  @Test("a member may be in so many groups, not more")
  func tooManyGroups() {
    let stage = Stage()
    for number in 0..<Limits.groupsPerMember { stage.send("a", "JOIN g\(number)") }
    _ = stage.take("a")
    stage.send("a", "JOIN onemore")
    #expect(stage.take("a").first?.hasPrefix("ERR rate-limited JOIN ") == true)
    stage.send("a", "JOIN g0")
    #expect(stage.take("a").last == "OK JOIN g0 1")
  }
}
