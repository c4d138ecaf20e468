// Small questions to raw bytes, on the way of every line. They take a whole range at once, where
// the C library does so at several bytes a cycle, and they never leave the bytes they are given.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension UnsafeRawBufferPointer {
  /// Where `byte` stands first, at `start` or behind it; nil if nowhere.
  @inline(__always)
  func place(of byte: UInt8, from start: Int = 0) -> Int? {
    guard let baseAddress, start >= 0, start < count,
      let found = memchr(baseAddress + start, Int32(byte), count - start)
    else { return nil }
    return UnsafeRawPointer(found) - baseAddress
  }

  /// The bytes of `range`, clamped to what there is: no arithmetic on outside input can trap here.
  @inline(__always)
  func part(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    guard let baseAddress else { return self }
    let (start, end) = (range.lowerBound, range.upperBound)
    let lower = start < 0 ? 0 : start > count ? count : start
    let upper = end < lower ? lower : end > count ? count : end
    return UnsafeRawBufferPointer(start: baseAddress + lower, count: upper - lower)
  }

  /// Equal to the lower-case `word`, the case of ASCII letters set aside.
  func isLike(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    for at in 0..<count {
      let byte = self[at]
      let lower = byte >= 65 && byte <= 90 ? byte | 0x20 : byte
      if lower != word.utf8Start[at] { return false }
    }
    return true
  }

  /// Equal to `word`, byte for byte.
  package func equals(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount, let baseAddress else { return false }
    return memcmp(baseAddress, word.utf8Start, count) == 0
  }

  /// The number that these bytes write in canonical decimal (ASCII digits, no sign, no leading
  /// zeros), or nil if they write none or one beyond `limit`.
  func decimal(upTo limit: UInt64 = .max) -> UInt64? {
    guard let first, count <= 20, first != 48 || count == 1 else { return nil }
    var number: UInt64 = 0
    for byte in self {
      guard byte >= 48, byte <= 57 else { return nil }
      let (tenfold, overflowed) = number.multipliedReportingOverflow(by: 10)
      let (sum, overflowedToo) = tenfold.addingReportingOverflow(UInt64(byte - 48))
      if overflowed || overflowedToo { return nil }
      number = sum
    }
    return number <= limit ? number : nil
  }
}

/// Runs `body` on the bytes of `text`.
func withBytes<Result>(
  of text: some StringProtocol, _ body: (UnsafeRawBufferPointer) -> Result
) -> Result {
  var copy = String(text)
  return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
}
