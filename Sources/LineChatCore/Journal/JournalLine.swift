// A record in the journal: a wire line with its checksum as the first tag.
//
//     @crc=1a2b3c4d;time=2026-11-22T09:05:07.000042Z :carol@relay JOIN lobby
//     @crc=5e6f7a8b :carol@relay LEAVE lobby
//     @carried=1a2b3c4d;time=… :carol@relay JOIN lobby
//
// The checksum is that of the line without this tag. `carried` instead of `crc` says that the record
// stands in an older journal, too (see Journal.swift). The tag is ours alone, is always there and
// always first, so no tag of anybody else's can be taken for it.

import LineProtocol

/// A record on its way to the journal.
package struct JournalLine: Hashable, Sendable {
  /// The line without checksum and LF.
  package let bytes: [UInt8]

  package init(_ record: Record) { bytes = record.line }

  fileprivate init(read bytes: UnsafeRawBufferPointer) { self.bytes = Array(bytes) }

  package init(_ record: Message) {
    let buffer = ByteBuffer()
    record.render(into: buffer)
    buffer.truncate(to: buffer.count - 1)
    bytes = Array(buffer.bytes)
  }

  /// Appends the line as it stands in the file, with its LF.
  package func render(into buffer: ByteBuffer, isCarried: Bool) {
    bytes.withUnsafeBytes { line in
      buffer.append(isCarried ? "@carried=" : "@crc=")
      buffer.append(hexadecimal: Checksum.of(line))
      // A line with tags of its own goes on with them.
      let isTagged = line.first == 0x40
      buffer.append(byte: isTagged ? 0x3B : 0x20)
      buffer.append(isTagged ? line.clamped(1..<line.count) : line)
      buffer.append(byte: 0x0A)
    }
  }
}

/// What a journal's line, without its LF, turns out to be.
enum JournalLineReading {
  case record(Message, JournalLine, isCarried: Bool)
  /// A person can read why.
  case damaged(String)

  init(_ line: UnsafeRawBufferPointer) {
    guard let head = Head(line) else {
      self = .damaged("it has no checksum")
      return
    }
    let rest = line.clamped(head.count..<line.count)
    var checksum = head.begin()
    checksum.add(rest)
    guard checksum.value == head.checksum else {
      self = .damaged("its checksum does not match")
      return
    }
    let buffer = ByteBuffer()
    if head.isTagged { buffer.append(byte: 0x40) }
    buffer.append(rest)
    do throws(Refusal) {
      let message = try Message(bytes: buffer.bytes)
      self = .record(message, JournalLine(read: buffer.bytes), isCarried: head.isCarried)
    } catch {
      self = .damaged("it is whole and not understood: \(error.text)")
    }
  }

  /// Where the second of two lines begins that have become one because the LF between them was
  /// damaged: both checksums match, with one byte between the lines. Nil if it is not so.
  static func junction(in line: UnsafeRawBufferPointer) -> Int? {
    guard let head = Head(line) else { return nil }
    var checksum = head.begin()
    var end = head.count
    while end + 1 < line.count {
      if checksum.value == head.checksum {
        let second = line.clamped(end + 1..<line.count)
        if case .record = JournalLineReading(second) { return end + 1 }
      }
      checksum.add(byte: line[end])
      end += 1
    }
    return nil
  }

  /// The checksum tag.
  private struct Head {
    let checksum: UInt32
    let isCarried: Bool
    let isTagged: Bool
    /// Its bytes with the separator behind it.
    let count: Int

    init?(_ line: UnsafeRawBufferPointer) {
      isCarried = line.begins(with: "@carried=")
      guard isCarried || line.begins(with: "@crc=") else { return nil }
      let start = isCarried ? 9 : 5
      count = start + Checksum.digits + 1
      guard line.count > count,
        let stated = Checksum.parse(line.clamped(start..<start + Checksum.digits))
      else { return nil }
      checksum = stated
      switch line[count - 1] {
      case 0x3B: isTagged = true
      case 0x20: isTagged = false
      default: return nil
      }
    }

    func begin() -> Checksum {
      var checksum = Checksum()
      if isTagged { checksum.add(byte: 0x40) }
      return checksum
    }
  }
}

extension ByteBuffer {
  func append(hexadecimal number: UInt32) {
    for shift in stride(from: UInt32(28), through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: number >> shift) & 15
      append(byte: digit < 10 ? 48 + digit : 87 + digit)
    }
  }
}
