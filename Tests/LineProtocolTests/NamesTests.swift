// The names of members and groups: what is one, what is not, and how case is treated.

import Testing

@testable import LineProtocol

@Suite("Names")
struct NamesTests {
  @Test(
    "a member's name is a letter, then up to 31 letters, digits, _ . or -",
    arguments: [
      "a", "Z", "alice", "a1", "a_b.c-d", "relay2", "guest1", String(repeating: "x", count: 32),
    ])
  func memberNames(text: String) throws {
    let name = try #require(MemberName(text))
    #expect(name.description == text)
    #expect(name.byteCount == text.utf8.count)
  }

  @Test(
    "anything else is no member's name",
    arguments: [
      "", "1a", "_a", ".a", "-a", "a b", "a@b", "a:b", "#a", "ä", "aé", "a\0", "a\u{7F}", "a\t",
      "relay", "RELAY", "Relay", "rElAy", "a/b", "a[b", "a`b", "a{b", "a^b",
      String(repeating: "x", count: 33), String(repeating: "x", count: 1000), "١", "a\u{301}",
    ])
  func noMemberNames(text: String) {
    #expect(MemberName(text) == nil)
  }

  @Test(
    "a group's name is 1 to 64 letters, digits, _ . or -, and a leading # is dropped",
    arguments: [
      ("lobby", "lobby"), ("#lobby", "lobby"), ("1", "1"), ("-", "-"), (".", "."),
      ("relay", "relay"),
      (String(repeating: "g", count: 64), String(repeating: "g", count: 64)),
      ("#" + String(repeating: "g", count: 64), String(repeating: "g", count: 64)),
    ])
  func groupNames(text: String, shown: String) throws {
    let name = try #require(GroupName(text))
    #expect(name.description == shown)
    #expect(name.byteCount == shown.utf8.count)
  }

  @Test(
    "anything else is no group's name",
    arguments: [
      "", "#", "##a", "a#", "a b", "a,b", "grüppe", "a\0", String(repeating: "g", count: 65),
      "#" + String(repeating: "g", count: 65),
    ])
  func noGroupNames(text: String) {
    #expect(GroupName(text) == nil)
  }

  @Test("exactly the characters of the grammar are allowed, of all 256 bytes")
  func everyByte() {
    for byte in UInt8.min...UInt8.max {
      let character = Character(Unicode.Scalar(byte))
      let isAllowed =
        character.isASCII && (character.isLetter || character.isNumber)
        || "_.-".contains(character)
      [0x61, byte].withUnsafeBytes { bytes in
        #expect((MemberName(bytes: bytes) != nil) == isAllowed, "byte \(byte)")
        #expect((GroupName(bytes: bytes) != nil) == isAllowed, "byte \(byte)")
      }
    }
  }

  @Test("names that differ in case alone are one name, shown as first written")
  func fold() throws {
    let (one, other) = (try #require(MemberName("Alice_B")), try #require(MemberName("aLICE_b")))
    #expect(one == other)
    #expect(one.hashValue == other.hashValue)
    #expect(!(one < other) && !(other < one))
    #expect(!one.isWrittenLike(other))
    #expect(one.isWrittenLike(try #require(MemberName("Alice_B"))))
    #expect(Set([one, other]).count == 1)
    #expect(Set([one, other]).first?.description == "Alice_B")
    #expect(GroupName("#LOBBY") == GroupName("lobby"))
  }

  @Test("the fold brings nothing else together: all pairs of one-character tails")
  func foldIsOneToOne() throws {
    let allowed = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    for first in allowed {
      for second in allowed {
        let (one, other) = (GroupName("x\(first)"), GroupName("x\(second)"))
        let isSame = first.lowercased() == second.lowercased()
        #expect((one == other) == isSame, "\(first) \(second)")
      }
    }
  }

  @Test("a name is not its own beginning, at any length")
  func lengths() {
    let longest = String(repeating: "n", count: 64)
    var seen = Set<GroupName>()
    for length in 1...64 {
      guard let name = GroupName(longest.prefix(length)) else {
        Issue.record("no name of \(length) bytes")
        continue
      }
      #expect(name.byteCount == length)
      #expect(name.description.count == length)
      #expect(seen.insert(name).inserted)
    }
  }

  @Test("names sort as their lower-case texts do, the shorter first")
  func order() {
    let sorted = ["-", "0", "9", "a", "A1", "aa", "Ab", "b", "longer-than-a-word", "z"]
    #expect(sorted.shuffled().compactMap { GroupName($0) }.sorted().map(\.description) == sorted)
  }

  @Test("a member's name can stand where a group's does")
  func widening() throws {
    let name = try #require(MemberName("Alice-with-a-name-of-32-bytes..."))
    #expect(GroupName(name).description == name.description)
    #expect(GroupName(name) == GroupName("ALICE-with-a-name-of-32-bytes..."))
  }

  @Test("names are appended to a buffer as they are shown")
  func append() throws {
    let buffer = ByteBuffer()
    for length in 1...32 {
      let text = String("abcdefghijklmnopqrstuvwxyzABCDEF".prefix(length))
      buffer.removeAll()
      buffer.append(try #require(MemberName(text)))
      buffer.append(byte: 0x20)
      buffer.append(try #require(GroupName(text)))
      #expect(String(decoding: buffer.bytes, as: UTF8.self) == "\(text) \(text)")
    }
  }
}
