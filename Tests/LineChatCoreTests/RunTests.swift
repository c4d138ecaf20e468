// A run of messages: what is said and answered is the same, to the byte, as where each line goes the way
// of all lines, whatever stands between the messages and whoever is in the group.

import LineChatCore
import LineProtocol
import Testing

struct RunTests {
  /// Who is in the group besides alice, who speaks, and bob.
  enum Company: CaseIterable {
    case nobodyElse, program, away, waiting, tracing, ownSecondGroup, stranger
  }

  /// Before and after it nobody may differ.
  private func stage(_ company: Company) -> Stage {
    let stage = Stage { $0.isTracing = company == .tracing }
    stage.send("alice", "NICK alice")
    if company != .stranger { stage.send("alice", "JOIN lobby") }
    stage.send("bob", "JOIN lobby")
    switch company {
    case .nobodyElse, .tracing, .stranger: break
    case .program: stage.send("pro", "@label=1 JOIN lobby")
    case .away:
      stage.send("dora", "NICK dora")
      stage.send("dora", "JOIN lobby relay")
      stage.gone("dora")
    case .waiting: stage.send("wanda", "JOIN lobby\nWAIT 60 3")
    case .ownSecondGroup:
      stage.send("alice", "JOIN attic")
      stage.send("carol", "JOIN attic")
    }
    return stage
  }

  /// Lines as they come, most of them alike.
  private func lines(_ random: inout SplitMix64) -> [UInt8] {
    let others = [
      "MSG attic up here", "MSG LOBBY loud", "MSG lobby ", "MSG lobby", "MSG lobby  two spaces",
      "MSG lobby \ttab", "PING 7", "PM bob psst", "NICK alice2", "NICK alice",
      "MSG lobby caf\u{E9}",
      "MSG lobby bell \u{7}", "", "STATS", "LEAVE attic", "JOIN attic", "MSG nowhere hello",
      ":alice@relay MSG lobby mine", "@label=9 MSG lobby tagged",
      "MSG lobby " + String(repeating: "long ", count: 2_000),
    ]
    var bytes: [UInt8] = []
    for number in 0..<Int(random.next() % 40) {
      let isOther = random.next() % 5 == 0
      let line =
        isOther
        ? others[Int(random.next() % UInt64(others.count))] : "MSG lobby number \(number)"
      bytes += line.utf8
      bytes += random.next() % 4 == 0 ? [0x0D, 0x0A] : [0x0A]
      if random.next() % 50 == 0 { bytes += [0xFF, 0xF1] }
      if random.next() % 50 == 0 { bytes += Array("MSG lobby ".utf8) + [0xC3, 0x28, 0x0A] }
    }
    return bytes
  }

  @Test("in runs or line by line, all hear the same", arguments: Company.allCases, 0..<20)
  func theSame(company: Company, seed: UInt64) {
    let (one, other) = (stage(company), stage(company))
    var random = SplitMix64(state: seed)
    for _ in 0..<10 {
      let bytes = lines(&random)
      // As the network cuts them.
      let cut = bytes.isEmpty ? 0 : Int(random.next() % UInt64(bytes.count))
      for piece in [bytes[..<cut], bytes[cut...]] {
        one.send("alice", bytes: Array(piece))
        other.send("alice", bytes: Array(piece), inRuns: false)
      }
    }
    #expect(one.heard == other.heard)
    #expect(one.events == other.events)
  }

  @Test(
    "a run is taken where all in the group hear at once, and only there",
    arguments: Company.allCases)
  func taken(company: Company) {
    let stage = stage(company)
    let bytes = Array(
      "MSG lobby one\nMSG lobby two\r\nMSG lobby three\nPING\nMSG lobby four\n".utf8)
    let taken = stage.send("alice", bytes: bytes)
    let expected = Array("MSG lobby two\r\nMSG lobby three\n".utf8).count
    switch company {
    case .nobodyElse, .ownSecondGroup, .stranger: #expect(taken == expected)
    case .waiting, .program, .away, .tracing: #expect(taken == 0)
    }
  }

  @Test("a run ends where the replies of a round are enough, at the same line")
  func full() {
    let (one, other) = (stage(.nobodyElse), stage(.nobodyElse))
    let bytes = Array(String(repeating: "MSG lobby x\n", count: 10_000).utf8)
    #expect(one.send("alice", bytes: bytes) > 0)
    other.send("alice", bytes: bytes, inRuns: false)
    #expect(one.heard == other.heard)
    let replies = one.heard["alice"]?.count ?? 0
    #expect(replies > 3_000 && replies < 10_000)
  }

  @Test("what was said is counted")
  func counted() {
    let stage = stage(.nobodyElse)
    stage.send("alice", bytes: Array("MSG lobby a\nMSG lobby b\nMSG lobby c\n".utf8))
    stage.send("carol", "STATS")
    let stats = stage.heard["carol"] ?? []
    #expect(stats.contains("STAT messages 3"))
    #expect(stats.contains("STAT deliveries 3"))
  }
}
