// Words of a peer's, repeated to it in a refusal: in quotation marks, cut to a bounded length, and
// never with a character that a line refuses, whatever the bytes are. Of marks that are piled up on a
// character only the first few are repeated.

package struct Quote: CustomStringConvertible {
  package let description: String

  package init(_ bytes: UnsafeRawBufferPointer) {
    description = "\"\(Quote.plain(bytes))\""
  }

  /// The same without quotation marks, cut to so many bytes and three dots.
  package static func plain(
    _ bytes: UnsafeRawBufferPointer, upTo limit: Int = WireLimits.quotedBytes
  ) -> String {
    guard bytes.count > limit else { return clean(bytes) }
    // Cut before a character, never within one: at the last byte that is no UTF-8 tail.
    var end = limit
    while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return clean(bytes.part(0..<end)) + "..."
  }

  private static func clean(_ bytes: UnsafeRawBufferPointer) -> String {
    guard TextCheck.firstFault(in: bytes) == nil else { return "..." }
    var marks = StackedMarks()
    var text = String.UnicodeScalarView()
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars
    where !marks.isTooMany(scalar) { text.append(scalar) }
    return String(text)
  }
}
