// What one address may have of names and groups, and how fast a connection's lines are taken.

import LineProtocol
import Testing

@testable import LineChatCore

@Suite("Quotas of an address")
struct QuotaTests {
  private static func stage(names: Int = 0, groups: Int = 0, loopback: Bool = false) -> Stage {
    Stage {
      $0.quotas.names = names
      $0.quotas.groups = groups
      $0.quotas.countsLoopback = loopback
    }
  }

  @Test("names that were chosen count, a guest's does not, and another address has its own")
  func names() {
    let stage = Self.stage(names: 2)
    stage.play(
      """
      + a 10.0.0.2
      + b 10.0.0.2
      + c 10.0.0.2
      + d 10.0.0.3
      a> NICK anna
      a< OK NICK anna
      a> NICK anne
      a< OK NICK anne
      b> NICK bob
      b< OK NICK bob
      c> NICK carl
      c< ERR rate-limited NICK your address has 2 names here, no more are allowed; you are still guest3, give up another first
      c> NICK guest3
      c< OK NICK guest3
      d> NICK carl
      d< OK NICK carl
      - b
      c> NICK bob
      c< OK NICK bob
      """)
    #expect(stage.directory.audit().problems.isEmpty)
  }

  @Test("a durable member counts for its host while it is away, and after a restart")
  func durable() {
    let stage = Self.stage(names: 1)
    stage.play(
      """
      + a 10.0.0.2
      a> JOIN ops relay
      a< MEMBER ops guest1@relay online
      a< OK JOIN ops 1
      - a
      + b 10.0.0.2
      b> NICK bob
      b< ERR rate-limited NICK your address has 1 name here, no more are allowed; you are still guest2, give up another first
      b> JOIN ops relay
      b< ERR rate-limited JOIN your address has 1 name here, no more are allowed; JOIN ops alone still works
      """)
    var configuration = Directory.Configuration()
    configuration.quotas.names = 1
    var next = Directory(configuration)
    #expect(next.restore(stage.directory.durableState(), now: stage.now).isEmpty)
    #expect(next.audit().problems.isEmpty)
    let address = IPAddress("10.0.0.2")!
    #expect(next.namesByAddress[address] == 1 && next.namesByAddress.addresses == 1)
    #expect(next.groupsByAddress[address] == 1)
    // The same from the journal.
    var third = Directory(configuration)
    for record in stage.journal {
      #expect(throws: Never.self) { try third.replay(record, now: stage.now) }
    }
    #expect(third.namesByAddress == next.namesByAddress)
    #expect(third.groupsByAddress == next.groupsByAddress)
    #expect(third.audit().problems.isEmpty)
  }

  @Test("who takes up its own name again is not refused, and a name that is given up is free")
  func takenUp() {
    let stage = Self.stage(names: 1)
    stage.play(
      """
      + a 10.0.0.2
      a> NICK anna
      a< OK NICK anna
      a> JOIN ops relay
      a< MEMBER ops anna@relay online
      a< OK JOIN ops 1
      - a
      + b 10.0.0.2
      b> NICK anna
      b< OK NICK anna
      b> LEAVE ops
      b< OK LEAVE ops
      - b
      + c 10.0.0.2
      c> NICK carl
      c< OK NICK carl
      """)
    #expect(stage.directory.audit().problems.isEmpty)
  }

  @Test("groups count for the address that made them, as long as they are there")
  func groups() {
    let stage = Self.stage(groups: 1)
    stage.play(
      """
      + a 10.0.0.2
      + b 10.0.0.3
      a> JOIN one
      a< MEMBER one guest1@relay online
      a< OK JOIN one 1
      b> JOIN one
      b< MEMBER one guest1@relay online
      b< MEMBER one guest2@relay online
      b< OK JOIN one 2
      a< :guest2@relay JOIN one
      a> LEAVE one
      a< OK LEAVE one
      b< :guest1@relay LEAVE one
      a> JOIN two relay
      a< ERR rate-limited JOIN your address has made 1 group that is still here, no more are allowed; GROUPS lists those there are
      b> JOIN three
      b< MEMBER three guest2@relay online
      b< OK JOIN three 1
      b> LEAVE one
      b< OK LEAVE one
      a> JOIN two
      a< MEMBER two guest1@relay online
      a< OK JOIN two 1
      """)
    #expect(stage.directory.audit().problems.isEmpty)
  }

  @Test("what is on its way to the disk counts already, and no more where the disk fails")
  func underWay() {
    let stage = Self.stage(names: 1, groups: 1)
    stage.disk = .byHand
    stage.open("a", from: "10.0.0.2")
    stage.open("b", from: "10.0.0.2")
    stage.send("a", "JOIN one relay")
    stage.send("b", "JOIN two")
    stage.send("b", "NICK bob")
    #expect(stage.take("b").allSatisfy { $0.hasPrefix("ERR rate-limited ") })
    #expect(stage.directory.audit().problems.isEmpty)
    stage.disk(fails: "no space left on device")
    stage.send("b", "JOIN two")
    stage.send("b", "NICK bob")
    #expect(stage.take("b").last == "OK NICK bob")
    #expect(stage.directory.audit().problems.isEmpty)
  }

  @Test(
    "this machine is not counted, unless that is wished",
    arguments: ["127.0.0.1", "127.0.0.2", "::1", "unix"])
  func loopback(origin: String) {
    for counts in [false, true] {
      let stage = Self.stage(names: 1, loopback: counts)
      stage.open("a", from: origin)
      stage.open("b", from: origin)
      stage.send("a", "NICK anna")
      stage.send("b", "NICK bob")
      #expect(stage.take("b").last?.hasPrefix(counts ? "ERR rate-limited" : "OK NICK") == true)
    }
  }

  @Test("a network of 64 bits is one address of IPv6")
  func network() {
    let stage = Self.stage(names: 1)
    for (index, origin) in ["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"].enumerated() {
      stage.open("c\(index)", from: origin)
      stage.send("c\(index)", "NICK n\(index)")
    }
    #expect(stage.take("c1").last?.hasPrefix("ERR rate-limited NICK") == true)
    #expect(stage.take("c2").last == "OK NICK n2")
  }
}

@Suite("The rate of lines")
struct PaceTests {
  private static func moment(_ microseconds: Int64) -> Instant {
    Instant(monotonicMicroseconds: microseconds, wallMicroseconds: 0)
  }

  /// How many lines are taken at a moment, up to a hundred thousand.
  private static func lines(_ pace: Pace, _ account: inout Pace.Account, at time: Int64) -> Int {
    var count = 0
    while count < 100_000, pace.mayTake(from: account, now: moment(time)) {
      _ = pace.take(from: &account, now: moment(time))
      count += 1
    }
    return count
  }

  @Test("a second's worth at once, then as many as the rate says", arguments: [1, 7, 20, 1_000])
  func rate(linesPerSecond: Int) {
    let pace = Pace(linesPerSecond: linesPerSecond)
    var account = Pace.Account()
    let start: Int64 = 1_000_000_000
    #expect(Self.lines(pace, &account, at: start) == linesPerSecond)
    #expect(Self.lines(pace, &account, at: start) == 0)
    var later = 0
    for second in 1...10 {
      later += Self.lines(pace, &account, at: start + Int64(second) * 1_000_000)
    }
    #expect(abs(later - 10 * linesPerSecond) <= 1)
    // Who was silent has one second's worth, not an hour's.
    #expect(Self.lines(pace, &account, at: start + 3_600_000_000) == linesPerSecond)
  }

  @Test("after the pause there is something to be taken", arguments: [1, 3, 19, 20, 1_000_000])
  func pause(linesPerSecond: Int) {
    let pace = Pace(linesPerSecond: linesPerSecond)
    var account = Pace.Account()
    let start: Int64 = 5_000_000
    while pace.take(from: &account, now: Self.moment(start)) {}
    #expect(pace.mayTake(from: account, now: Self.moment(start + pace.pauseMicroseconds)))
  }

  @Test("without a rate everything is taken")
  func unlimited() {
    let pace = Pace(linesPerSecond: 0)
    var account = Pace.Account()
    #expect(!pace.isLimited)
    #expect(Self.lines(pace, &account, at: 0) == 100_000)
  }
}
