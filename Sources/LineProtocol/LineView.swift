// One line taken apart without copying: where its tags, its source and its verb are, and then word
// by word. It is a handful of offsets into bytes that somebody else holds; it makes no String, no
// array and no object, because every line goes through it.
//
//   line = [ "@" tags SP ] [ ":" source SP ] verb *( SP word ) [ SP text ]
//
// It expects what `LineReader` hands out (valid text, no EOL) and looks at the line's shape alone;
// what the words mean is the caller's to decide. Spaces before the verb count as prefix.

package struct LineView {
  /// The whole line.
  package let bytes: UnsafeRawBufferPointer

  /// Between "@" and the space; empty if there are none.
  package private(set) var tags: Range<Int> = 0..<0

  /// Between ":" and the space; empty if there is none.
  package private(set) var source: Range<Int> = 0..<0

  /// Nil if the word is none of the protocol's verbs.
  package private(set) var verb: Verb?

  /// The verb as it was written.
  package private(set) var verbWord: Range<Int>

  /// The first byte not taken yet.
  package var cursor: Int

  /// Refuses a line without a verb, tags or a source that are empty, and a prefix that is too long.
  package init(_ bytes: UnsafeRawBufferPointer) throws(Refusal) {
    self.bytes = bytes
    var at = LineView.skipSpaces(bytes, 0)
    if at < bytes.count, bytes[at] == 0x40 {
      let end = bytes.place(of: 0x20, from: at) ?? bytes.count
      tags = at + 1..<end
      guard !tags.isEmpty else { throw LineView.emptyTags }
      at = LineView.skipSpaces(bytes, end)
    }
    if at < bytes.count, bytes[at] == 0x3A {
      let end = bytes.place(of: 0x20, from: at) ?? bytes.count
      source = at + 1..<end
      guard !source.isEmpty else { throw LineView.emptySource }
      at = LineView.skipSpaces(bytes, end)
    }
    guard at <= WireLimits.prefixBytes else { throw LineView.prefixTooLong }
    guard at < bytes.count else { throw LineView.noVerb }
    cursor = LineView.endOfWord(bytes, at)
    verbWord = at..<cursor
    verb = Verb(bytes: bytes.part(verbWord))
  }

  /// The next word; several spaces between words are one. Nil at the end of the line.
  package mutating func word() -> UnsafeRawBufferPointer? {
    let start = LineView.skipSpaces(bytes, cursor)
    guard start < bytes.count else { return nil }
    cursor = LineView.endOfWord(bytes, start)
    return bytes.part(start..<cursor)
  }

  /// The rest of the line, after exactly one space behind the last word taken; further spaces are
  /// the text's own. Empty if there is nothing.
  package func text() -> UnsafeRawBufferPointer {
    bytes.part(min(cursor + 1, bytes.count)..<bytes.count)
  }

  /// Nothing follows but spaces and tabs.
  package func textIsBlank() -> Bool {
    var at = cursor
    while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x09 { at += 1 }
    return at >= bytes.count
  }

  /// The length of what stands before the verb (all of it if there is no verb yet), and whether
  /// there is a source: as far as it can be told from the beginning of a line.
  static func prefix(_ bytes: UnsafeRawBufferPointer) -> (bytes: Int, hasSource: Bool) {
    var at = skipSpaces(bytes, 0)
    if at < bytes.count, bytes[at] == 0x40 {
      at = skipSpaces(bytes, bytes.place(of: 0x20, from: at) ?? bytes.count)
    }
    guard at < bytes.count, bytes[at] == 0x3A else { return (at, false) }
    return (skipSpaces(bytes, bytes.place(of: 0x20, from: at) ?? bytes.count), true)
  }

  @inline(__always)
  private static func skipSpaces(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int {
    var at = start
    while at < bytes.count, bytes[at] == 0x20 { at += 1 }
    return at
  }

  @inline(__always)
  private static func endOfWord(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int {
    var at = start
    while at < bytes.count, bytes[at] != 0x20 { at += 1 }
    return at
  }

  private static var emptyTags: Refusal {
    Refusal(.badSyntax, "@ begins tags, key=value, and there are none; leave it out")
  }

  private static var emptySource: Refusal {
    Refusal(.badSyntax, ": begins a source, name@address:port, and there is none; leave it out")
  }

  private static var noVerb: Refusal {
    Refusal(.badSyntax, "a line needs a verb, such as JOIN; HELP lists them all")
  }

  private static var prefixTooLong: Refusal {
    Refusal(
      .lineTooLong,
      "tags and source have at most \(WireLimits.prefixBytes) bytes; send fewer or shorter tags")
  }
}
