// What names, addresses and versions have in common: each is one word of a line, of bounded
// length, that can be written into memory without making a String first. The text of a word is
// made in one place only (`write`), so what is shown, logged and sent is the same.

/// A value that is one word on the wire, of at most `byteCountMax` bytes.
protocol WireWord: CustomStringConvertible {
  static var byteCountMax: Int { get }

  /// Writes the word at `place`, where there is room for `byteCountMax` bytes; returns its length.
  func write(to place: UnsafeMutableRawPointer) -> Int
}

extension WireWord {
  var text: String {
    String(unsafeUninitializedCapacity: Self.byteCountMax) { buffer in
      guard let base = buffer.baseAddress else { return 0 }
      return write(to: UnsafeMutableRawPointer(base))
    }
  }
}

extension ByteBuffer {
  package func append(_ name: MemberName) { append(word: name) }
  package func append(_ name: GroupName) { append(word: name) }
  package func append(_ address: IPAddress) { append(word: address) }
  package func append(_ endpoint: Endpoint) { append(word: endpoint) }
  package func append(_ place: Place) { append(word: place) }
  package func append(_ member: Member) { append(word: member) }
  package func append(_ placement: Placement) { append(word: placement) }
  package func append(_ recipient: Recipient) { append(word: recipient) }
  package func append(_ destination: Destination) { append(word: destination) }
  package func append(_ identifier: MessageID) { append(word: identifier) }
  package func append(_ version: RosterVersion) { append(word: version) }
  package func append(_ verb: Verb) { append(verb.word) }

  @inline(__always)
  private func append<Word: WireWord>(word: Word) {
    append(upTo: Word.byteCountMax) { word.write(to: $0) }
  }
}

extension UnsafeMutableRawPointer {
  /// Writes `byte`; returns 1.
  @inline(__always)
  func write(byte: UInt8) -> Int {
    storeBytes(of: byte, as: UInt8.self)
    return 1
  }

  /// Writes `word`; returns its length.
  func write(word: StaticString) -> Int {
    copyMemory(from: word.utf8Start, byteCount: word.utf8CodeUnitCount)
    return word.utf8CodeUnitCount
  }

  /// Writes `number` in decimal, at most 20 bytes; returns how many.
  func write(decimal number: UInt64) -> Int {
    var count = 1
    var rest = number
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    rest = number
    var at = count
    while at > 0 {
      at -= 1
      storeBytes(of: 48 + UInt8(truncatingIfNeeded: rest % 10), toByteOffset: at, as: UInt8.self)
      rest /= 10
    }
    return count
  }

  /// Writes the `digits` lowest digits of `number` in lower-case hexadecimal; returns `digits`.
  func write(hexadecimal number: UInt64, digits: Int) -> Int {
    for at in 0..<digits {
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(4 * (digits - 1 - at))) & 15
      let letter = digit < 10 ? 48 + digit : 87 + digit
      storeBytes(of: letter, toByteOffset: at, as: UInt8.self)
    }
    return digits
  }
}
