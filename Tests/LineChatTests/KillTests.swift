// linechatd killed with SIGKILL at random moments, under load: what it answered OK holds after the
// restart. A handful of times here; LINECHAT_KILLS=200 makes it as many as you like.

import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Kills", .ownThread, .timeLimit(.minutes(20)))
struct KillTests {
  private static var kills: Int {
    ProcessInfo.processInfo.environment["LINECHAT_KILLS"].flatMap { Int($0) } ?? 5
  }

  /// What a member knows of itself: what it was told last, and what may have happened since.
  private struct Known {
    var groups: Set<Int> = []
    /// Asked for and not answered when the server was killed.
    var unsure: Set<Int> = []
    var name: String
    var unsureName: String?
  }

  @Test("no answered JOIN, LEAVE, NICK or kept message is lost")
  func kills() throws {
    let directory = try TemporaryDirectory()
    let seed = UInt64.random(in: 0 ... .max)
    var random = Random(state: seed)
    var known = (0..<4).map { Known(name: "m\($0)x0") }
    var names = 0
    var messages = 0
    var keptForAway: [String] = []
    var unsureKept: Set<String> = []
    var lastVersion = RosterVersion(start: 0, number: 0)

    for kill in 0...KillTests.kills {
      let daemon = try Linechatd(["--listen", "127.0.0.1:0", "--data-dir", directory.path])
      let address = try daemon.addresses()[0]
      if kill == 0 {
        let away = try TestClient(address)
        try away.ask("NICK away")
        try away.ask("JOIN kept relay")
        try away.ask("QUIT")
      }
      try check(address, &known, "kill \(kill), seed \(seed)")
      lastVersion = try checkVersion(address, after: lastVersion)
      // What was kept comes in order; what was in doubt may be there or not. Every fifth time it is
      // fetched, so that there is something to be lost in between.
      if kill % 5 == 4 || kill == KillTests.kills {
        let got = try fetch(address)
        let certain = got.filter { !unsureKept.contains($0) }
        #expect(certain == keptForAway, "kill \(kill), seed \(seed)")
        keptForAway = []
        // Until that is on the disk, a kill makes them come again.
        unsureKept = Set(got)
      }
      guard kill < KillTests.kills else { break }

      // Members change, each waiting for its own answers only, until the server is gone.
      let clients = try known.map { member in
        let client = try TestClient(address)
        try client.ask("NICK \(member.name)")
        return client
      }
      let sender = try TestClient(address)
      let rounds = Int(random.next() % 60)
      for round in 0...rounds {
        var asked: [(kind: String, group: Int)] = []
        for index in known.indices {
          let group = Int(random.next() % 20)
          switch random.next() % 5 {
          case 0:
            names += 1
            known[index].unsureName = "m\(index)x\(names)"
            try? clients[index].send("NICK m\(index)x\(names)\n")
            asked.append(("NICK", 0))
          case 1, 2:
            try? clients[index].send("JOIN g\(group) relay\n")
            known[index].unsure.insert(group)
            asked.append(("JOIN", group))
          default:
            try? clients[index].send("LEAVE g\(group)\n")
            known[index].unsure.insert(group)
            asked.append(("LEAVE", group))
          }
        }
        messages += 1
        let text = "message \(messages)"
        unsureKept.insert(text)
        try? sender.send("MSG kept \(text)\n")
        if round == rounds {
          // About as long as it takes to carry all of this out.
          let moment = Deadline.now + Int64(random.next() % 2_000_000)
          while Deadline.now < moment {}
          daemon.signal(SIGKILL)
        }
        for index in known.indices {
          let verb = asked[index].kind
          let reply = try? clients[index].line { line in
            line.hasPrefix("OK \(verb)") || line.hasPrefix("ERR ")
          }
          guard let reply else { continue }
          if verb == "NICK" {
            if reply.hasPrefix("OK") { known[index].name = known[index].unsureName ?? "" }
            known[index].unsureName = nil
          } else {
            known[index].unsure.remove(asked[index].group)
            if reply.hasPrefix("OK JOIN") { known[index].groups.insert(asked[index].group) }
            if reply.hasPrefix("OK LEAVE") { known[index].groups.remove(asked[index].group) }
          }
        }
        let reply = try? sender.line { $0.hasPrefix("OK MSG") || $0.hasPrefix("ERR ") }
        if reply == "OK MSG kept 0/1 kept 1" {
          unsureKept.remove(text)
          keptForAway.append(text)
        }
      }
      _ = try daemon.exitCode()
    }
  }

  /// Compares the rosters with what the members know, and settles what they were unsure of.
  private func check(_ address: ListenAddress, _ known: inout [Known], _ context: String) throws {
    let client = try TestClient(address)
    var rosters: [Int: Set<String>] = [:]
    for group in 0..<20 {
      try client.send("MEMBERS g\(group)\n")
      while let line = try client.line(), !line.hasPrefix("OK MEMBERS"), !line.hasPrefix("ERR ") {
        guard case .member(_, let member, _) = try Message(parsing: line).content else { continue }
        rosters[group, default: []].insert(member.name.description)
      }
    }
    for index in known.indices {
      let mine = { (group: Int, name: String) in rosters[group]?.contains(name) == true }
      if let other = known[index].unsureName {
        if (0..<20).contains(where: { mine($0, other) }) { known[index].name = other }
        known[index].unsureName = nil
      }
      let name = known[index].name
      for group in 0..<20 {
        if known[index].unsure.contains(group) {
          if mine(group, name) {
            known[index].groups.insert(group)
          } else {
            known[index].groups.remove(group)
          }
        } else {
          #expect(
            mine(group, name) == known[index].groups.contains(group),
            "\(name) in g\(group), \(context)")
        }
      }
      known[index].unsure = []
    }
    for (group, names) in rosters {
      for name in names {
        #expect(known.contains { $0.name == name }, "\(name) in g\(group), \(context)")
      }
    }
  }

  private func checkVersion(
    _ address: ListenAddress, after last: RosterVersion
  ) throws -> RosterVersion {
    let client = try TestClient(address)
    try client.send("@label=v MEMBERS kept\n")
    let reply = try client.line { $0.contains("OK MEMBERS") }
    let text = try #require(Message(parsing: reply).tags["version"])
    let parts = text.split(separator: ".").compactMap { UInt64($0) }
    let version = RosterVersion(start: parts[0], number: parts[1])
    #expect(version.start > last.start)
    return version
  }

  /// What was kept for the member who is away, in the order in which it comes.
  private func fetch(_ address: ListenAddress) throws -> [String] {
    let client = try TestClient(address)
    try client.send("NICK away\nPING end\nQUIT\n")
    return try client.linesToEnd().compactMap { line in
      line.split(separator: " MSG kept ", maxSplits: 1).dropFirst().first.map(String.init)
    }
  }

  /// The same choices for the same seed.
  private struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }
}
