// The snapshot's file: the owner's JSON object with two members put before its own.
//
//     {
//       "crc" : "1a2b3c4d",
//       "journal" : 3,
//       "groups" : …
//
// `journal` is the number of the first journal whose records come after this snapshot. `crc` is the
// checksum of everything behind it. A person who edits the file takes the `crc` member out, and then
// nothing is checked: the file is text so that it can be read and mended.
//
// Only these two members are looked for here, whatever the order; whether the rest is what the owner
// wrote is for the owner's decoder to say.

import LineProtocol

package enum SnapshotFile {
  /// Why a snapshot cannot be used, for a person.
  struct Unreadable: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
  }

  /// The file's bytes. `content` must be one JSON object without members of these names.
  static func compose(_ content: [UInt8], journal: UInt64) -> ByteBuffer {
    guard let brace = content.firstIndex(of: 0x7B), !content[..<brace].contains(where: isInk) else {
      preconditionFailure("a snapshot's content is a JSON object")
    }
    let members = content[(brace + 1)...]
    let rest = ByteBuffer()
    rest.append(",\n  \"journal\" : ")
    rest.append("\(journal)")
    if members.first(where: isInk) != 0x7D { rest.append(byte: 0x2C) }
    if members.first != 0x0A { rest.append(byte: 0x0A) }
    rest.append(Array(members))
    if content.last != 0x0A { rest.append(byte: 0x0A) }
    let file = ByteBuffer()
    file.append("{\n  \"crc\" : \"")
    file.append(hexadecimal: Checksum.of(rest.bytes))
    file.append(byte: 0x22)
    file.append(rest.bytes)
    return file
  }

  /// The number of the first journal that comes after the snapshot.
  static func journal(of file: [UInt8]) throws(Unreadable) -> UInt64 {
    let found = file.withUnsafeBytes { bytes in
      Result { () throws(Unreadable) in try read(bytes) }
    }
    return try found.get()
  }

  private static func read(_ bytes: UnsafeRawBufferPointer) throws(Unreadable) -> UInt64 {
    if bytes.isEmpty { throw Unreadable("it is empty") }
    var scanner = Scanner(bytes)
    var journal: UInt64?
    try scanner.open()
    while let (key, value) = try scanner.member() {
      let text = bytes.clamped(value)
      if bytes.clamped(key).elementsEqual("\"journal\"".utf8) {
        journal = UInt64(String(decoding: text, as: UTF8.self))
      } else if bytes.clamped(key).elementsEqual("\"crc\"".utf8) {
        let digits = text.dropFirst().dropLast()
        let stated = Checksum.parse(UnsafeRawBufferPointer(rebasing: digits))
        guard stated == Checksum.of(bytes.clamped(value.upperBound..<bytes.count)) else {
          throw Unreadable(
            "its checksum does not match: it was damaged, or edited (who edits it takes the "
              + "\"crc\" line out)")
        }
      }
    }
    guard let journal, journal > 0, journal <= Limits.journalNumber else {
      throw Unreadable("its \"journal\" member, the number of the journal after it, is missing")
    }
    return journal
  }

  private static func isInk(_ byte: UInt8) -> Bool { !isSpace(byte) }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  /// Walks over the members of one JSON object without a look into their values.
  private struct Scanner {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0
    private var isFirst = true

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private var broken: Unreadable { Unreadable("it is no JSON object (at byte \(at + 1))") }

    private mutating func skipSpaces() {
      while let byte = next, isSpace(byte) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) throws(Unreadable) {
      skipSpaces()
      guard next == byte else { throw broken }
      at += 1
    }

    mutating func open() throws(Unreadable) { try take(0x7B) }

    /// The places of the next member's key and value; nil behind the last, where nothing follows.
    mutating func member() throws(Unreadable) -> (key: Range<Int>, value: Range<Int>)? {
      skipSpaces()
      if next == 0x7D {
        at += 1
        skipSpaces()
        guard next == nil else { throw broken }
        return nil
      }
      if !isFirst { try take(0x2C) }
      isFirst = false
      skipSpaces()
      let key = try string()
      try take(0x3A)
      skipSpaces()
      return (key, try value())
    }

    private mutating func string() throws(Unreadable) -> Range<Int> {
      let start = at
      guard next == 0x22 else { throw broken }
      at += 1
      while let byte = next, byte != 0x22 { at += byte == 0x5C ? 2 : 1 }
      guard next == 0x22 else { throw broken }
      at += 1
      return start..<at
    }

    private mutating func value() throws(Unreadable) -> Range<Int> {
      let start = at
      var depth = 0
      while let byte = next {
        switch byte {
        case 0x22:
          _ = try string()
          continue
        case 0x7B, 0x5B: depth += 1
        case 0x7D, 0x5D, 0x2C:
          if depth == 0 {
            guard at > start, byte != 0x5D else { throw broken }
            var end = at
            while end > start + 1, isSpace(bytes[end - 1]) { end -= 1 }
            return start..<end
          }
          if byte != 0x2C { depth -= 1 }
        default: break
        }
        at += 1
      }
      throw broken
    }
  }
}
