// A message as a node takes it from its line, held against the same line as a Message, which is read by
// other code: whatever the one takes, the other takes, and both find the same in it.

import LineProtocol
import Testing

@testable import LineChatCore

@Suite("A message taken from its line")
struct HeardLineTests {
  private static let tags = [
    "", "@msgid=00c0ffee00c0ffee.17 ", "@msgid=00c0ffee00c0ffee.0 ", "@msgid=00C0ffee00c0ffee.1 ",
    "@msgid=00c0ffee00c0ffee.18446744073709551615;prev=18446744073709551615 ",
    "@msgid=00c0ffee00c0ffee.18446744073709551616;prev=18446744073709551616 ",
    "@msgid=1;msgid=00c0ffee00c0ffee.2 ", "@msgid=00c0ffee00c0ffee.2;msgid=1 ",
    "@time=2026-11-22T09:05:07.000042Z;prev=7;version=3.4;group=lobby;label=a ",
    "@time=2026-02-30T09:05:07.000042Z;prev=07;version=3;group=;label= ",
    "@time=2026-11-22t09:05:07.000042Z;prev=-1;version=3.4.5;group=#x;label=a\\sb\\:c ",
    "@time=2026-11-22T09:05:07.00004Z;prev=+7;version=03.4;group=a\\b;label=\\ ",
    "@msgid=00c0ffee00c0ffee\\.17;version=\\3.4;prev=\\5 ", "@msgids=1;Msgid=2;unknown=x;flag= ",
    "@ ", "@novalue ", "@=x ", "@a=b;;c=d ", "@k\u{e4}y=1 ",
    "@label=" + String(repeating: "x", count: 65) + " ",
    "@" + (0..<64).map { "t\($0)=1" }.joined(separator: ";") + " ",
    "@" + (0..<65).map { "t\($0)=1" }.joined(separator: ";") + " ",
  ]
  private static let sources = [
    "", ":bob@relay ", ":bob@10.0.0.2:5001 ", ":bob@[2001:db8::2]:5001 ", ":Bob@RELAY ", ":bob ",
    ":@relay ", ":b\u{e4}b@relay ", ":bob@10.0.0.2 ", ": ",
  ]
  private static let rest = [
    "MSG lobby hi", "msg #Lobby  two spaces", "MSG lobby ", "MSG lobby  ", "MSG lobby \t", "MSG",
    "MSG lobby", "MSG lob:by hi", "PM bob hi", "PM bob@10.0.0.2:5001 hi", "PM 10.0.0.2:5001 hi",
    "PM :5001 hi", "PM b\u{e4}b hi", "  MSG   lobby hi", "JOIN lobby", "NOTHING lobby hi",
    "MSG lobby \u{1f980} and more",
  ]

  @Test("it is taken where a Message takes it, and says the same", arguments: tags)
  func likeMessage(_ tags: String) throws {
    for source in Self.sources {
      for rest in Self.rest {
        var text = tags + source + rest
        try text.withUTF8 { try compare(UnsafeRawBufferPointer($0)) }
      }
    }
  }

  private func compare(_ bytes: UnsafeRawBufferPointer) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    let line = (try? LineView(bytes)).flatMap { HeardLine($0) }
    let message = (try? LineView(bytes)).flatMap { try? Message($0) }
    guard let line else {
      #expect(message.map { $0.content.verb != .msg && $0.content.verb != .pm } ?? true, "\(text)")
      return
    }
    let whole = try #require(message, "\(text)")
    #expect(line.source == whole.source, "\(text)")
    #expect(line.verb == whole.content.verb, "\(text)")
    switch (line.target, whole.content) {
    case (.group(let group), .msg(let other, let said)):
      #expect(group.isWrittenLike(other) && said.utf8.elementsEqual(line.text), "\(text)")
      #expect(line.destination == .named(other))
    case (.person(let recipient), .pm(let other, let said)):
      #expect(recipient == other && said.utf8.elementsEqual(line.text), "\(text)")
      #expect(line.destination == Destination(other))
    default: Issue.record("another verb: \(text)")
    }
    #expect(line.id == whole.tags["msgid"].flatMap { MessageID($0) }, "\(text)")
    #expect(line.prev == whole.tags["prev"].flatMap { UInt64($0) }, "\(text)")
    #expect(line.time == whole.tags["time"].flatMap { Timestamp.microseconds($0) }, "\(text)")
    #expect(line.version == whole.tags["version"].flatMap { RosterVersion($0) }, "\(text)")
    #expect(line.group == whole.tags["group"].flatMap { GroupName($0) }, "\(text)")
    #expect(line.labelText == whole.tags["label"], "\(text)")
    let written = ByteBuffer()
    line.append(to: written)
    #expect(
      String(decoding: written.bytes, as: UTF8.self) + "\n"
        == (try Message(content: whole.content)).render(), "\(text)")
  }
}
