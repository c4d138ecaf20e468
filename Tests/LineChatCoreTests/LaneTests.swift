// Members who listen for themselves, and what is kept for them.

import LineChatCore
import LineProtocol
import Testing

@Suite("Lanes")
struct LaneTests {
  /// carol, plain, listens at her own port and is away; alice is connected.
  private func carolAway(_ place: String = ":5001") -> Stage {
    let stage = Stage()
    stage.play(
      """
      + join 10.0.0.3
      join> NICK carol
      join< OK NICK carol
      join> JOIN ops \(place)
      join< {*}
      join< OK JOIN ops 1
      join> QUIT
      join< OK QUIT
      alice> NICK alice
      alice< OK NICK alice
      """)
    return stage
  }

  @Test("a plain member who listens is dialled, written to, and let go")
  func dialled() {
    carolAway().play(
      """
      alice> MSG ops disk is full
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG ops disk is full
      $ 10.0.0.3:5001
      alice< OK MSG ops 1/1
      alice> PM carol psst
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay PM carol psst
      $ 10.0.0.3:5001
      alice< OK PM carol
      alice> PM 10.0.0.3:5001 by address
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay PM carol by address
      $ 10.0.0.3:5001
      alice< OK PM carol
      """)
  }

  @Test("where nobody answers the message is kept, and the next one does not wait for the address")
  func kept() {
    let stage = carolAway()
    stage.play(
      """
      alice> MSG ops one
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      alice< OK MSG ops 0/1 kept 1
      alice> PM carol two
      alice< OK PM carol kept
      alice> MSG ops three
      alice< OK MSG ops 0/1 kept 1
      = 1
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG ops one
      10.0.0.3:5001< :alice@relay PM carol two
      10.0.0.3:5001< :alice@relay MSG ops three
      $ 10.0.0.3:5001
      """)
    #expect(stage.directory.durableState().kept.isEmpty)
  }

  @Test("the pauses between tries double, up to five minutes")
  func backoff() {
    let stage = carolAway()
    stage.send("alice", "MSG ops one")
    var pauses: [Int64] = []
    for _ in 0..<12 {
      stage.play("? 10.0.0.3:5001\n~ 10.0.0.3:5001", ignoringHeard: true)
      let before = stage.now.monotonicMicroseconds
      while stage.dials.isEmpty { stage.pass(seconds: 1) }
      pauses.append((stage.now.monotonicMicroseconds - before) / 1_000_000)
    }
    #expect(pauses[0] <= 1)
    #expect(pauses[5] >= 25 && pauses[5] <= 32, "\(pauses)")
    #expect(pauses[11] >= 240 && pauses[11] <= 300, "\(pauses)")
  }

  @Test("a JOIN with the same address ends the pause: what waits is dialled as soon as it is away")
  func joinEndsPause() {
    for address in ["", " :5001"] {
      let stage = carolAway()
      stage.send("alice", "MSG ops one")
      for _ in 0..<5 {
        stage.play("? 10.0.0.3:5001\n~ 10.0.0.3:5001", ignoringHeard: true)
        while stage.dials.isEmpty { stage.pass(seconds: 1) }
      }
      stage.play("? 10.0.0.3:5001\n~ 10.0.0.3:5001", ignoringHeard: true)
      // She starts to listen again, and says so without staying for the answers.
      stage.drainsByHand = true
      stage.open("again", from: "10.0.0.3")
      stage.send("again", "NICK carol")
      stage.directory.drainedToNobody(stage.id("again"), now: stage.now)
      stage.settle()
      stage.send("again", "JOIN ops\(address)")
      #expect(stage.dials.isEmpty)
      stage.gone("again")
      #expect(stage.dials.count == (address.isEmpty ? 0 : 1))
      guard !address.isEmpty else { continue }
      stage.play(
        """
        ? 10.0.0.3:5001
        ! 10.0.0.3:5001
        10.0.0.3:5001< :alice@relay MSG ops one
        $ 10.0.0.3:5001
        """, ignoringHeard: true)
    }
  }

  @Test("a program that comes back to its address is dialled at once to see whether it is there")
  func joinDialsBack() {
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
      ~ 10.0.0.3:5001
      node< MEMBER ops node@10.0.0.3:5001 online tags
      - node
      + node 10.0.0.3
      node> @x=1 NICK node
      node< OK NICK node
      node> @x=1 JOIN ops
      node< MEMBER ops node@10.0.0.3:5001 online tags
      node< @version=7.1 OK JOIN ops 1
      node> @x=1 JOIN ops :5001
      node< MEMBER ops node@10.0.0.3:5001 online tags
      node< @version=7.1 OK JOIN ops 1
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 protocol=1 name=node
      node< MEMBER ops node@10.0.0.3:5001 online tags reachable
      $ 10.0.0.3:5001
      node> @x=1 JOIN ops :5001
      node< MEMBER ops node@10.0.0.3:5001 online tags reachable
      node< @version=7.1 OK JOIN ops 1
      node> @x=1 JOIN dev :5001
      node< MEMBER dev node@10.0.0.3:5001 online tags reachable
      node< @version=7.2 OK JOIN dev 1
      """)
  }

  @Test("the sender waits for a dial at most a second; then the message is kept, and sent once")
  func claimTimesOut() {
    carolAway().play(
      """
      alice> MSG ops one
      ? 10.0.0.3:5001
      = 1
      alice< OK MSG ops 0/1 kept 1
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG ops one
      $ 10.0.0.3:5001
      """)
  }

  @Test("what breaks on the way is sent again, from the first that is not known to have arrived")
  func brokenLink() {
    carolAway().play(
      """
      alice> MSG ops one
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG ops one
      - 10.0.0.3:5001
      alice< OK MSG ops 0/1 kept 1
      = 1
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG ops one
      $ 10.0.0.3:5001
      """)
  }

  @Test("a hosted member gets what was kept over its own connection, before anything newer")
  func backAgain() {
    let stage = carolAway("relay")
    stage.play(
      """
      alice> MSG ops one
      alice< OK MSG ops 0/1 kept 1
      alice> MSG ops two
      alice< OK MSG ops 0/1 kept 1
      + carol 10.0.0.3
      carol> NICK carol
      carol< OK NICK carol
      carol< :alice@relay MSG ops one
      carol< :alice@relay MSG ops two
      alice> MSG ops three
      alice< OK MSG ops 1/1
      carol< :alice@relay MSG ops three
      """)
    #expect(stage.directory.durableState().kept.isEmpty)
  }

  @Test("if it goes before it has taken what was kept, that waits on")
  func goneWhileFlushing() {
    let stage = carolAway("relay")
    stage.play("alice> MSG ops one\nalice< OK MSG ops 0/1 kept 1")
    stage.drainsByHand = true
    stage.play(
      """
      + carol 10.0.0.3
      carol> NICK carol
      carol< OK NICK carol
      carol< :alice@relay MSG ops one
      """)
    #expect(!stage.accepts("carol"))
    stage.gone("carol")
    #expect(stage.directory.durableState().kept.first?.messages.count == 1)
  }

  @Test("a program is told nothing before it has said who it is, and acknowledges")
  func tagged() {
    let stage = Stage()
    stage.play(
      """
      + join 10.0.0.3
      join> @x=1 NICK node
      join< OK NICK node
      join> @x=1 JOIN ops :5001
      join< {*}
      join< {*}
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 protocol=1 name=node
      join< MEMBER ops node@10.0.0.3:5001 online tags reachable
      $ 10.0.0.3:5001
      - join
      alice> NICK alice
      alice< OK NICK alice
      alice> MSG ops one
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 protocol=1 name=Node
      """, ignoringHeard: true)
    let line = try! Message(parsing: stage.take("10.0.0.3:5001").first ?? "")
    #expect(line.content == .msg(GroupName("ops")!, "one"))
    #expect(line.tags["prev"] == nil && line.tags["time"] != nil)
    stage.play(
      """
      10.0.0.3:5001> ACK ops \(line.tags["msgid"] ?? "")
      alice< OK MSG ops 1/1
      $ 10.0.0.3:5001
      alice> MEMBERS ops
      alice< MEMBER ops node@10.0.0.3:5001 away tags reachable
      alice< OK MEMBERS ops 1
      """)
  }

  @Test("who says again that it listens there is dialled again, until it has been found")
  func dialledAgain() {
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
      node< MEMBER ops node@10.0.0.3:5001 online tags
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      node< MEMBER ops node@10.0.0.3:5001 online tags
      node> @x=1 JOIN ops :5001
      node< {*}
      node< {*}
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 name=node
      node< MEMBER ops node@10.0.0.3:5001 online tags reachable
      $ 10.0.0.3:5001
      node> @x=1 JOIN ops :5001
      node< {*}
      node< {*}
      """)
  }

  @Test("another who has got its address hears nothing")
  func anotherAnswers() {
    let stage = Stage()
    stage.play(
      """
      + join 10.0.0.3
      join> @x=1 NICK node
      join< OK NICK node
      join> @x=1 JOIN ops :5001
      join< {*}
      join< {*}
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      - join
      alice> MSG ops one
      """, ignoringHeard: true)
    stage.pass(seconds: 2)
    stage.play(
      """
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 protocol=1 name=eve
      x 10.0.0.3:5001
      """, ignoringHeard: true)
    #expect(stage.directory.durableState().kept.first?.messages.count == 1)
  }

  @Test("what a program has not acknowledged comes again when it is back, chained by prev")
  func unacknowledged() {
    let stage = Stage()
    stage.play(
      """
      node> @x=1 NICK node
      node< OK NICK node
      node> @x=1 JOIN ops relay
      node< {*}
      node< {*}
      alice> MSG ops one
      alice< OK MSG ops 1/1
      alice> MSG ops two
      alice< OK MSG ops 1/1
      """, ignoringHeard: true)
    let first = stage.take("node").filter { $0.contains("MSG") }
    #expect(first.count == 2)
    // It need not wait until that is on the disk.
    stage.disk = .byHand
    stage.gone("node")
    stage.play(
      """
      + node
      node> @x=1 NICK node
      node< OK NICK node
      """, ignoringHeard: true)
    let again = stage.take("node").compactMap { try? Message(parsing: $0) }
    #expect(
      again.map(\.content) == [.msg(GroupName("ops")!, "one"), .msg(GroupName("ops")!, "two")])
    #expect(again[0].tags["prev"] == nil && again[1].tags["prev"] == "1")
    for _ in 1...2 { stage.disk() }
    stage.send("node", "@x=1 ACK ops \(again[1].tags["msgid"]!)")
    #expect(stage.directory.durableState().kept.isEmpty)
  }

  @Test("a receipt for what the server keeps is the server's, whomever it names; others go on")
  func receiptsWithNames() {
    let stage = Stage()
    stage.play(
      """
      node> @x=1 NICK node
      node< OK NICK node
      node> @x=1 JOIN ops relay
      node< {*}
      node< {*}
      eve> @x=1 NICK eve
      eve< OK NICK eve
      alice> MSG ops one
      alice< OK MSG ops 1/1
      alice> PM node two
      alice< OK PM node
      alice> MSG ops three
      alice< OK MSG ops 1/1
      """, ignoringHeard: true)
    let ids = stage.take("node").compactMap { try? Message(parsing: $0).tags["msgid"] }
    #expect(ids.count == 3)
    stage.play(
      """
      node> @to=eve ACK ops \(ids[0])
      node> @to=guest3 ACK node \(ids[1])
      node> @to=eve ACK ops 00c0ffee00c0ffee.7
      eve< :node@relay ACK ops 00c0ffee00c0ffee.7
      """)
    stage.gone("node")
    stage.play(
      """
      + node
      node> @x=1 NICK node
      node< OK NICK node
      node< @msgid=\(ids[2]);time={} :guest3@relay MSG ops three
      node> @to=nobody ACK ops \(ids[2])
      node> @to=eve ACK ops \(ids[2])
      eve< :node@relay ACK ops \(ids[2])
      """)
    #expect(stage.directory.durableState().kept.isEmpty)
  }

  @Test("a lane is bounded: what does not fit is not counted as kept, and a PM is refused")
  func fullLane() {
    let stage = carolAway("relay")
    let line = String(repeating: "x", count: 60_000)
    for _ in 0..<17 { stage.send("alice", "MSG ops \(line)") }
    #expect(stage.take("alice").last == "OK MSG ops 0/1 kept 1")
    stage.send("alice", "MSG ops \(line)")
    #expect(stage.take("alice") == ["OK MSG ops 0/1"])
    stage.send("alice", "PM carol \(line)")
    #expect(stage.take("alice").first?.hasPrefix("ERR rate-limited PM ") == true)
  }

  @Test("kept is said only when it is on disk; if the disk fails nobody has it")
  func diskFails() {
    let stage = carolAway("relay")
    stage.disk = .byHand
    stage.send("alice", "MSG ops one")
    #expect(stage.take("alice") == [] && !stage.accepts("alice"))
    stage.disk(fails: "no space left on device")
    #expect(stage.take("alice") == ["OK MSG ops 0/1"])
    stage.send("alice", "PM carol two")
    stage.disk(fails: "no space left on device")
    #expect(stage.take("alice").first?.hasPrefix("ERR internal PM ") == true)
    stage.send("alice", "PM carol three")
    stage.disk()
    #expect(stage.take("alice") == ["OK PM carol kept"])
  }

  @Test("who acknowledges nothing that waits gains no time by it")
  func acknowledgesNothing() {
    let stage = Stage()
    stage.play(
      """
      + join 10.0.0.3
      join> @x=1 NICK node
      join< OK NICK node
      join> @x=1 JOIN ops :5001
      join< {*}
      join< {*}
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      - join
      = 2
      alice> MSG ops one
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001> INFO linechat 1 protocol=1 name=node
      """, ignoringHeard: true)
    for _ in 0..<2 {
      stage.pass(seconds: 2)
      stage.send("10.0.0.3:5001", "ACK q 0123456789abcdef.7")
    }
    #expect(!stage.isClosed("10.0.0.3:5001"))
    stage.pass(seconds: 1)
    #expect(stage.isClosed("10.0.0.3:5001"))
  }

  @Test("a plain member whose side is being ended is not answered")
  func talksBack() {
    carolAway().play(
      """
      alice> MSG ops one
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@relay MSG ops one
      10.0.0.3:5001> PING
      10.0.0.3:5001> PING again
      10.0.0.3:5001> MSG ops I can talk
      $ 10.0.0.3:5001
      alice< OK MSG ops 1/1
      """)
  }

  @Test("no address of a server that listens on all is anybody's place")
  func allAddresses() {
    Stage { $0.listenEndpoints = [Endpoint("0.0.0.0:5463")!] }.play(
      """
      a> JOIN ops 127.0.0.2:5463
      a< ERR bad-address JOIN {*}
      a> JOIN ops 192.168.1.10:5463
      a< ERR bad-address JOIN {*}
      a> JOIN ops :5463
      a< ERR bad-address JOIN {*}
      """)
  }

  @Test("programs keep their own messages for those who are away")
  func taggedSender() {
    let stage = carolAway("relay")
    stage.play(
      """
      alice> @x=1 MSG ops one
      alice< OK MSG ops 0/1
      alice> @x=1 PM carol two
      alice< ERR unreachable PM carol is a member but not connected now; try again later
      """)
  }

  @Test("only so many may name one address, with a slow disk, too", arguments: [false, true])
  func onePlace(isSlow: Bool) {
    let stage = Stage()
    if isSlow { stage.disk = .byHand }
    for number in 0...Limits.membersPerPlace {
      stage.open("m\(number)", from: "10.0.0.3")
      stage.send("m\(number)", "JOIN ops :5001")
    }
    if isSlow { stage.diskTakesAll() }
    #expect(stage.take("m\(Limits.membersPerPlace - 1)").last?.hasPrefix("OK JOIN") == true)
    #expect(
      stage.take("m\(Limits.membersPerPlace)").first?.hasPrefix("ERR rate-limited JOIN") == true)
  }

  @Test("one address is dialled once at a time, and a bounded number of them")
  func boundedDials() {
    let stage = Stage()
    for number in 0..<200 {
      stage.open("m\(number)", from: "10.0.1.\(number)")
      stage.send("m\(number)", "JOIN ops :5001")
      stage.send("m\(number)", "QUIT")
    }
    stage.send("alice", "MSG ops one")
    #expect(stage.dials.count == Limits.dials)
    stage.send("bob", "MSG ops two")
    #expect(stage.dials.count == Limits.dials)
    stage.pass(seconds: 1)
    #expect(stage.take("alice").last == "OK MSG ops 0/200 kept 200")
  }
}
