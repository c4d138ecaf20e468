// The words that name members, places, messages and versions.

import Testing

@testable import LineProtocol

@Suite("Members, places, versions")
struct MemberTests {
  @Test(
    "a member is a name at a place",
    arguments: [
      ("alice@relay", "alice@relay"), ("alice@10.0.0.2:5001", "alice@10.0.0.2:5001"),
      ("a@[::1]:5001", "a@[::1]:5001"), ("a@RELAY", "a@relay"),
      ("a@[::ffff:1.2.3.4]:5", "a@1.2.3.4:5"),
    ])
  func members(text: String, written: String) throws {
    let member = try #require(Member(text))
    #expect(member.description == written)
    #expect(Member(written) == member)
  }

  @Test(
    "nothing else is a member",
    arguments: [
      "", "@", "alice", "alice@", "@relay", "alice@host", "alice@:5001", "alice@10.0.0.2",
      "a@b@relay",
      "relay@relay", "1@relay", "alice@relay ", "alice@10.0.0.2:0",
    ])
  func noMembers(text: String) {
    #expect(Member(text) == nil)
  }

  @Test("the longest member fits where words are written")
  func longest() throws {
    let text =
      String(repeating: "m", count: 32) + "@[1111:2222:3333:4444:5555:6666:7777:8888]:65535"
    #expect(text.utf8.count == Member.byteCountMax)
    #expect(try #require(Member(text)).description == text)
    #expect(try #require(Recipient(text)).description == text)
    #expect(try #require(Destination(text)).description == text)
  }

  @Test("a JOIN may ask for the relay, a port, or an address")
  func placements() throws {
    let endpoint = try #require(Endpoint("1.2.3.4:5001"))
    #expect(Placement("relay") == .relay)
    #expect(Placement("Relay") == .relay)
    #expect(Placement(":5001") == .port(5001))
    #expect(Placement("1.2.3.4:5001") == .endpoint(endpoint))
    #expect(Placement("5001") == nil)
    #expect(Placement("alice@relay") == nil)
    #expect(Placement(":5001")?.description == ":5001")
    #expect(Place("relay") == .relay)
    #expect(Place("1.2.3.4:5001") == .direct(endpoint))
    #expect(Place(":5001") == nil)
  }

  @Test("a PM goes to a name, an address, or both")
  func recipients() throws {
    let endpoint = try #require(Endpoint("1.2.3.4:5001"))
    let name = try #require(MemberName("bob"))
    #expect(Recipient("bob") == .name(name))
    #expect(Recipient("BOB") == .name(name))
    #expect(Recipient("1.2.3.4:5001") == .endpoint(endpoint))
    #expect(Recipient("bob@1.2.3.4:5001") == .member(Member(name: name, place: .direct(endpoint))))
    for text in ["", "relay", "#bob", "1.2.3.4", "bob@", "b ob", ":5001"] {
      #expect(Recipient(text) == nil, "\(text)")
    }
  }

  @Test("an ACK's destination is the word that was acknowledged")
  func destinations() throws {
    #expect(Destination("lobby") == .named(try #require(GroupName("lobby"))))
    #expect(Destination("#Lobby") == Destination("lobby"))
    for text in ["bob", "1.2.3.4:5001", "bob@relay", "bob@[::1]:5"] {
      let recipient = try #require(Recipient(text))
      #expect(Destination(recipient) == Destination(text))
      #expect(Destination(text)?.description == text)
    }
    #expect(Destination("a b") == nil)
    #expect(Destination("") == nil)
  }

  @Test(
    "a message's id is sixteen small hexadecimal digits, a dot, and a number from 1",
    arguments: [
      "0000000000000000.1", "00c0ffee00c0ffee.17", "ffffffffffffffff.18446744073709551615",
    ])
  func messageIDs(text: String) throws {
    #expect(try #require(MessageID(text)).description == text)
  }

  @Test(
    "nothing else is a message's id",
    arguments: [
      "", ".", "0000000000000000.", "0000000000000000.01",
      "000000000000000.1",
      "00000000000000000.1", "00C0FFEE00C0FFEE.1", "0000000000000000.-1", "0000000000000000.+1",
      "ffffffffffffffff.18446744073709551616", "g000000000000000.1", "0000000000000000 1",
      "0000000000000000.1 ", "0000000000000000.1.1",
    ])
  func noMessageIDs(text: String) {
    #expect(MessageID(text) == nil)
  }

  @Test(
    "a roster's version is two decimal numbers",
    arguments: ["0.0", "1700000000.3", "18446744073709551615.18446744073709551615"])
  func versions(text: String) throws {
    #expect(try #require(RosterVersion(text)).description == text)
  }

  @Test(
    "nothing else is a version",
    arguments: [
      "", "1", "1.", ".1", "1.2.3", "01.2", "1.02", "-1.2", "1.18446744073709551616", "1. 2",
    ])
  func noVersions(text: String) {
    #expect(RosterVersion(text) == nil)
  }

  @Test("a later start is later, whatever the numbers")
  func versionOrder() throws {
    let sorted = ["1.9", "1.10", "2.0", "10.1"]
    #expect(
      sorted.shuffled().compactMap { RosterVersion($0) }.sorted().map(\.description) == sorted)
  }

  @Test("every word is appended as it is shown")
  func append() throws {
    let buffer = ByteBuffer()
    buffer.append(try #require(Endpoint("[::1]:5001")))
    buffer.append(" ")
    buffer.append(try #require(Place("relay")))
    buffer.append(" ")
    buffer.append(try #require(Member("bob@1.2.3.4:5")))
    buffer.append(" ")
    buffer.append(try #require(Placement(":5001")))
    buffer.append(" ")
    buffer.append(try #require(Recipient("bob")))
    buffer.append(" ")
    buffer.append(try #require(Destination("lobby")))
    buffer.append(" ")
    buffer.append(try #require(MessageID("00c0ffee00c0ffee.17")))
    buffer.append(" ")
    buffer.append(try #require(RosterVersion("1700000000.3")))
    buffer.append(" ")
    buffer.append(Verb.members)
    #expect(
      String(decoding: buffer.bytes, as: UTF8.self)
        == "[::1]:5001 relay bob@1.2.3.4:5 :5001 bob lobby 00c0ffee00c0ffee.17 1700000000.3 MEMBERS"
    )
  }
}
