// CRC-32C (Castagnoli), the checksum of iSCSI, ext4 and most journals: it finds every single flipped
// bit, every burst of up to 32 bits, and all but one in four thousand million of other damages. It
// is no proof against somebody who wants to deceive: the files' mode is.

/// A checksum under way.
struct Checksum {
  private var state: UInt32 = 0xFFFF_FFFF

  /// The checksum of everything added so far.
  var value: UInt32 { ~state }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    Checksum.tables.withUnsafeBufferPointer { tables in
      var (state, at) = (state, 0)
      // Eight bytes at a time ("slicing by 8", Kounavis and Berry 2005): table n has what a byte does
      // that has n more behind it.
      while at &+ 8 <= bytes.count {
        let eight = UInt64(
          littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        let word = eight ^ UInt64(state)
        state = 0
        for place in 0..<8 {
          let byte = Int(truncatingIfNeeded: word >> UInt64(8 &* place)) & 0xFF
          state ^= tables[(7 &- place) &* 256 &+ byte]
        }
        at &+= 8
      }
      while at < bytes.count {
        state = tables[Int((state ^ UInt32(bytes[at])) & 0xFF)] ^ (state >> 8)
        at &+= 1
      }
      self.state = state
    }
  }

  mutating func add(byte: UInt8) {
    state = Checksum.tables[Int((state ^ UInt32(byte)) & 0xFF)] ^ (state >> 8)
  }

  static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var checksum = Checksum()
    checksum.add(bytes)
    return checksum.value
  }

  /// What each value of a byte does to the state, the polynomial with its bits reversed; and the same
  /// with 1 to 7 zero bytes behind it.
  private static let tables: [UInt32] = {
    var tables: [UInt32] = (0..<256).map { byte in
      (0..<8).reduce(UInt32(byte)) { state, _ in
        state & 1 == 0 ? state >> 1 : (state >> 1) ^ 0x82F6_3B78
      }
    }
    for index in 256..<8 * 256 {
      let before = tables[index - 256]
      tables.append(tables[Int(before & 0xFF)] ^ (before >> 8))
    }
    return tables
  }()

  /// Eight digits as they are written: lower case, so that a flipped bit in a letter does not read
  /// as the same number.
  static let digits = 8

  static func parse(_ text: UnsafeRawBufferPointer) -> UInt32? {
    guard text.count == digits else { return nil }
    var number: UInt32 = 0
    for byte in text {
      switch byte {
      case 48...57: number = number << 4 | UInt32(byte - 48)
      case 97...102: number = number << 4 | UInt32(byte - 87)
      default: return nil
      }
    }
    return number
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes of `range`, clamped to those there are: damaged files are read with it.
  package func clamped(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[range.clamped(to: 0..<count)])
  }

  func begins(with word: StaticString) -> Bool {
    guard count >= word.utf8CodeUnitCount else { return false }
    for at in 0..<word.utf8CodeUnitCount where self[at] != word.utf8Start[at] { return false }
    return true
  }
}
