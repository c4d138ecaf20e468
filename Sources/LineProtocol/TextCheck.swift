// What text may hold, checked once for every byte that comes in: UTF-8 as Unicode defines it (no
// overlong forms, no surrogates, nothing beyond U+10FFFF), and none of the characters with which
// one person could write into another's terminal: C0 controls but TAB, DEL, C1 controls, line and
// paragraph separators, bidirectional embeddings, overrides and isolates.
//
// Printable ASCII is passed sixteen or sixty-four bytes at a time; everything else a character at a time.

enum TextCheck {
  /// Where the first byte stands that a line must not hold; nil if all is well.
  static func firstFault(in bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    var at = 0
    while true {
      while at &+ 64 <= bytes.count, isPlainAtLength(base, at) { at &+= 64 }
      while at &+ 16 <= bytes.count, isPlain(base, at) { at &+= 16 }
      if at == bytes.count { return nil }
      // Most lines end here: the last block once more, with some bytes that were passed already.
      if bytes.count &- at < 16, bytes.count >= 16, isPlain(base, bytes.count &- 16) { return nil }
      // Up to the end, or until a block's worth of characters was passed: then try blocks again.
      let pause = at &+ 16
      while at < bytes.count, at < pause {
        let length = characterLength(bytes, at)
        if length == 0 { return at }
        at &+= length
      }
    }
  }

  /// Sixteen bytes of printable ASCII, from " " to "~".
  @inline(__always)
  private static func isPlain(_ base: UnsafeRawPointer, _ at: Int) -> Bool {
    unplain(base, at) & 0x8080_8080_8080_8080 == 0
  }

  /// Four times as many, with one question for all.
  @inline(__always)
  private static func isPlainAtLength(_ base: UnsafeRawPointer, _ at: Int) -> Bool {
    let half = unplain(base, at) | unplain(base, at &+ 16)
    return (half | unplain(base, at &+ 32) | unplain(base, at &+ 48)) & 0x8080_8080_8080_8080 == 0
  }

  /// The highest bit of some byte is set where one of sixteen is below " " or above "~". (A borrow or
  /// a carry into the next byte comes only from a byte that is itself such a one.)
  @inline(__always)
  private static func unplain(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
    let first = base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    let second = base.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
    return unplain(first) | unplain(second)
  }

  @inline(__always)
  private static func unplain(_ word: UInt64) -> UInt64 {
    word | (word &- 0x2020_2020_2020_2020) | (word &+ 0x0101_0101_0101_0101)
  }

  /// The length of the character at `at`, or 0 if it is refused or none (Unicode, table 3-7).
  @inline(__always)
  private static func characterLength(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Int {
    let lead = bytes[at]
    if lead < 0x80 { return (lead >= 0x20 && lead != 0x7F) || lead == 0x09 ? 1 : 0 }
    return multibyteLength(bytes, at, lead)
  }

  private static func multibyteLength(
    _ bytes: UnsafeRawBufferPointer, _ at: Int, _ lead: UInt8
  ) -> Int {
    let left = bytes.count - at
    guard left >= 2 else { return 0 }
    let second = bytes[at + 1]
    switch lead {
    case 0xC2...0xDF:
      // C2 80 to C2 9F are the C1 controls.
      return isTail(second) && (lead > 0xC2 || second >= 0xA0) ? 2 : 0
    case 0xE0...0xEF:
      guard left >= 3, isTail(second), isTail(bytes[at + 2]) else { return 0 }
      if lead == 0xE0 && second < 0xA0 { return 0 }
      if lead == 0xED && second > 0x9F { return 0 }
      // E2 80 A8 to E2 80 AE are U+2028 to U+202E.
      if lead == 0xE2, second == 0x80, bytes[at + 2] >= 0xA8, bytes[at + 2] <= 0xAE { return 0 }
      // E2 81 A6 to E2 81 A9 are U+2066 to U+2069.
      if lead == 0xE2, second == 0x81, bytes[at + 2] >= 0xA6, bytes[at + 2] <= 0xA9 { return 0 }
      return 3
    case 0xF0...0xF4:
      guard left >= 4, isTail(second), isTail(bytes[at + 2]), isTail(bytes[at + 3]) else {
        return 0
      }
      if lead == 0xF0 && second < 0x90 { return 0 }
      if lead == 0xF4 && second > 0x8F { return 0 }
      return 4
    default:
      return 0
    }
  }

  @inline(__always)
  private static func isTail(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}

// What a person is told.
extension TextCheck {
  /// The refusal of a line whose first fault is at `place`.
  static func refusal(of bytes: UnsafeRawBufferPointer, at place: Int) -> Refusal {
    Refusal(.badEncoding, explanation(bytes, place))
  }

  private static func explanation(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> String {
    guard place < bytes.count else { return "that is not UTF-8" }
    let byte = bytes[place]
    switch byte {
    case 0x00: return "byte 0x00 is no text; send UTF-8, without zero bytes"
    case 0x03: return "byte 0x03 is a control character; end with QUIT, not Ctrl-C"
    case 0x04: return "byte 0x04 is a control character; end with QUIT, not Ctrl-D"
    case 0x08, 0x7F:
      return "byte \(hex(byte)) is a backspace, which deletes nothing here; send the line again"
    case 0x0A: return "a line break (byte 0x0A) ends the line; send one line at a time"
    case 0x0D: return "a CR (byte 0x0D) stands alone; a line ends with LF or with CR LF"
    case 0x1B:
      return "byte 0x1B is an escape sequence's beginning; no colours and no arrow keys, please"
    case 0x00...0x1F: return "byte \(hex(byte)) is a control character; leave it out"
    case 0xFF: return "byte 0xFF begins no telnet command known here; send UTF-8 text"
    default: break
    }
    if byte == 0xC2, place + 1 < bytes.count, (0x80...0x9F).contains(bytes[place + 1]) {
      return "U+00\(hexDigits(bytes[place + 1])) is a control character; leave it out"
    }
    if byte == 0xE2, place + 2 < bytes.count, bytes[place + 1] == 0x80 {
      switch bytes[place + 2] {
      case 0xA8, 0xA9:
        return "U+20\(hexDigits(bytes[place + 2] &- 0x80)) separates lines; send one line at a time"
      case 0xAA...0xAE:
        return
          "U+20\(hexDigits(bytes[place + 2] &- 0x80)) turns the direction of text; leave it out"
      default: break
      }
    }
    if byte == 0xE2, place + 2 < bytes.count, bytes[place + 1] == 0x81,
      (0xA6...0xA9).contains(bytes[place + 2])
    {
      return "U+20\(hexDigits(bytes[place + 2] &- 0x40)) turns the direction of text; leave it out"
    }
    return "that is not UTF-8 (byte \(hex(byte)) at position \(place + 1)); "
      + "set your terminal or program to UTF-8"
  }

  private static func hex(_ byte: UInt8) -> String { "0x" + hexDigits(byte) }

  private static func hexDigits(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
  }
}
