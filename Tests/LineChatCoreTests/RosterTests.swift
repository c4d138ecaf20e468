// Rosters held against a plain list, through any joins, leaves and changes.

import LineProtocol
import Testing

@testable import LineChatCore

@Suite("Rosters")
struct RosterTests {
  private func name(_ number: Int, _ random: inout SplitMix64) -> MemberName {
    MemberName(Bool.random(using: &random) ? "member\(number)" : "MEMBER\(number)")!
  }

  private func entry(_ name: MemberName, _ port: UInt16) -> Roster.Entry {
    let endpoint = Endpoint(address: IPAddress(v4: 0x0a00_0002), port: port)!
    return Roster.Entry(
      member: Member(name: name, place: .direct(endpoint)), isOnline: true, speaksTags: false,
      isReachable: false, handle: Int32(port))
  }

  @Test("a roster is a list in order of joining", arguments: 0..<40 as Range<UInt64>)
  func againstList(seed: UInt64) {
    var random = SplitMix64(state: seed)
    var version = RosterVersion(start: 1, number: 0)
    var roster = Roster(version: version)
    var list: [Roster.Entry] = []
    let size = [3, 40, 200].randomElement(using: &random)!
    for _ in 0..<600 {
      let name = name(Int.random(in: 0..<size, using: &random), &random)
      let port = UInt16.random(in: 1...60_000, using: &random)
      let at = list.firstIndex { $0.member.name == name }
      version.number += 1
      switch (Int.random(in: 0...3, using: &random), at) {
      case (0...1, nil):
        roster.append(entry(name, port), as: version)
        list.append(entry(name, port))
      case (0, let at?):
        roster.remove(name, as: version)
        list.remove(at: at)
      case (1, let at?):
        roster.note(name, isOnline: false, speaksTags: true, isReachable: true)
        list[at].isOnline = false
        list[at].speaksTags = true
        list[at].isReachable = true
        version.number -= 1
      case (_, let at?):
        // Another name, which may be its own in another case, or another place.
        var to = self.name(Int.random(in: 0..<size, using: &random), &random)
        if to != name && roster.contains(to) { to = name }
        roster.change(name, to: entry(to, port), as: version)
        list[at] = entry(to, port)
      default: version.number -= 1
      }
      check(roster, list, version)
    }
  }

  private func check(_ roster: Roster, _ list: [Roster.Entry], _ version: RosterVersion) {
    #expect(roster.version == version)
    #expect(roster.count == list.count)
    #expect(roster.all == list)
    #expect(roster.all.map(\.member.description) == list.map(\.member.description))
    for entry in list { #expect(roster[entry.member.name] == entry) }
    #expect(!roster.contains(MemberName("nobody")!))
  }

  @Test("a copy is not changed by what happens to the original, and is read in pieces")
  func copies() {
    var roster = Roster(version: RosterVersion(start: 1, number: 0))
    for number in 1...100 {
      let name = MemberName("m\(number)")!
      roster.append(
        entry(name, UInt16(number)), as: RosterVersion(start: 1, number: UInt64(number)))
    }
    let copy = roster
    var (next, read) = (0, [Roster.Entry]())
    while read.count < 100 {
      let name = MemberName("m\(read.count + 1)")!
      roster.remove(name, as: RosterVersion(start: 1, number: UInt64(200 + read.count)))
      for (after, entry) in copy.entries(from: next).prefix(7) {
        read.append(entry)
        next = after
      }
      if read.count > 50 { break }
    }
    #expect(read == Array(copy.all.prefix(read.count)))
    #expect(copy.count == 100)
  }
}
