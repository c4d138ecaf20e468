// Tags: how they are read, escaped, bounded and written.

import LineChatFuzzing
import Testing

@testable import LineProtocol

@Suite("Tags")
struct TagsTests {
  private func parse(_ text: String) throws -> Tags { try withBytes(text) { try Tags.parse($0) } }

  private func render(_ tags: Tags) -> String {
    let buffer = ByteBuffer()
    tags.render(into: buffer)
    return String(decoding: buffer.bytes, as: UTF8.self)
  }

  @Test("tags are read in order, and written as they were")
  func order() throws {
    let tags = try parse("label=7;msgid=00c0ffee00c0ffee.17;+x.org/a-b_c=")
    #expect(tags.count == 3)
    #expect(tags.map(\.key) == ["label", "msgid", "+x.org/a-b_c"])
    #expect(tags["label"] == "7")
    #expect(tags["+x.org/a-b_c"] == "")
    #expect(tags["other"] == nil)
    #expect(render(tags) == "@label=7;msgid=00c0ffee00c0ffee.17;+x.org/a-b_c= ")
  }

  @Test("no tags are written as nothing")
  func none() throws {
    #expect(try parse("").isEmpty)
    #expect(render(Tags()) == "")
  }

  @Test(
    "values are escaped as in IRCv3",
    arguments: [
      (#"a\:b"#, "a;b", #"a\:b"#), (#"a\sb"#, "a b", #"a\sb"#), (#"a\\b"#, #"a\b"#, #"a\\b"#),
      (#"a\rb"#, "a\rb", #"a\rb"#), (#"a\nb"#, "a\nb", #"a\nb"#), (#"\\\\"#, #"\\"#, #"\\\\"#),
      (#"\\s"#, #"\s"#, #"\\s"#),
      // A backslash before anything else, or at the end, is dropped.
      (#"a\bc"#, "abc", "abc"), (#"a\"#, "a", "a"), (#"\"#, "", ""), (#"\é"#, "é", "é"),
      // Only the first "=" separates; other characters stand for themselves.
      ("a=b", "a=b", "a=b"), ("é@:,\t", "é@:,\t", "é@:,\t"),
    ])
  func escapes(raw: String, value: String, written: String) throws {
    let tags = try parse("k=\(raw)")
    #expect(tags["k"] == value)
    #expect(render(tags) == "@k=\(written) ")
  }

  @Test("the last of a name wins; names differ by case")
  func doubles() throws {
    let tags = try parse("a=1;b=2;a=3;A=4")
    #expect(tags["a"] == "3")
    #expect(tags["A"] == "4")
    #expect(render(tags) == "@a=3;b=2;A=4 ")
  }

  @Test("64 tags are taken, 65 are not")
  func bound() throws {
    let most = (1...64).map { "k\($0)=" }.joined(separator: ";")
    #expect(try parse(most).count == 64)
    #expect(refusal { try parse(most + ";k65=") }?.code == .badSyntax)
    // Doubles count, so that a line's work is bounded by what it holds.
    let doubles = Array(repeating: "k=", count: 65).joined(separator: ";")
    #expect(refusal { try parse(doubles) }?.code == .badSyntax)
  }

  @Test("a label has at most 64 bytes")
  func label() throws {
    #expect(try parse("label=" + String(repeating: "l", count: 64)).count == 1)
    #expect(
      refusal { try parse("label=" + String(repeating: "l", count: 65)) }?.code == .badSyntax)
    #expect(try parse("other=" + String(repeating: "l", count: 65)).count == 1)
  }

  @Test(
    "what is no tag is refused",
    arguments: [
      "a", "=", "=a", "a=1;", ";a=1", "a=1;;b=2", "a b=1", "ä=1", "a,b=1", "a\\:b=1", ";", "a;b=1",
    ])
  func noTags(text: String) throws {
    let refusal = try #require(refusal { try parse(text) })
    #expect(refusal.code == .badSyntax)
    #expect(isClean(refusal.text))
  }

  @Test("tags are set, replaced in their place, and taken out")
  func set() {
    var tags = Tags()
    tags["a"] = "1"
    tags["b"] = "2 3"
    tags["a"] = "4"
    #expect(render(tags) == "@a=4;b=2\\s3 ")
    tags["a"] = nil
    #expect(render(tags) == "@b=2\\s3 ")
    tags["c"] = nil
    #expect(tags.count == 1)
  }

  @Test("a tag that could not be sent is not taken")
  func unsendable() {
    var tags = Tags()
    for key in ["", "a b", "a=b", "ä", "a;", "a\n"] { tags[key] = "1" }
    for value in ["\u{1B}[31m", "\0", "\u{85}", "\u{202E}", "\u{7F}"] { tags["k"] = value }
    #expect(tags.isEmpty)
    tags["k"] = "fine"
    tags["k"] = "\u{1B}"
    #expect(tags["k"] == "fine")
    for number in 1...100 { tags["k\(number)"] = "" }
    #expect(tags.count == 64)
  }

  @Test("a view of tags gives them in place, escaped")
  func view() throws {
    var seen: [String] = []
    try withBytes(#"a=1;b=x\sy;c="#) { bytes in
      var view = TagView(bytes)
      while let (key, value) = try view.next() {
        seen.append(
          String(decoding: key, as: UTF8.self) + "|" + String(decoding: value, as: UTF8.self))
      }
      #expect(try view.next() == nil)
    }
    #expect(seen == ["a|1", #"b|x\sy"#, "c|"])
  }

  @Test("random tags come back as they were: 5,000 sets")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 64)
    let pieces = [
      ";", " ", "\\", "\r", "\n", "a", "é", "=", "@", ":", "\t", "\\s", "日本", "s", "n", "😀",
    ]
    for _ in 0..<5_000 {
      var tags = Tags()
      for _ in 0..<random.below(6) {
        let key = random.pick(["a", "b-c", "+d.e/f", "msgid", "X_1"])
        tags[key] = (0..<random.below(8)).map { _ in random.pick(pieces) }.joined()
      }
      let text = render(tags)
      let read = try parse(String(text.dropFirst().dropLast()))
      #expect(read == tags, "\(text)")
      #expect(render(read) == text)
    }
  }
}
