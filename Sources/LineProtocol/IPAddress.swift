// IP addresses as 128 bits. An IPv4 address is held as ::ffff:a.b.c.d, so that the same host is
// the same value whichever way a dual-stack socket or a person wrote it.
//
// Only literal addresses are read, and each in one meaning only: IPv4 as four canonical decimal
// numbers (no octal, no short forms), IPv6 as in RFC 4291 without a zone. No name is looked up.
// They are written as RFC 5952 asks.

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses are the IPv4 addresses they stand for.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible, Comparable, WireWord {
  package let high: UInt64
  package let low: UInt64

  static let byteCountMax = 39

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// `v4` has the first of the four numbers highest.
  package init(v4: UInt32) {
    self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(v4))
  }

  /// The address that `text` writes (`10.0.0.2`, `fe80::1`), or nil if it is none.
  public init?(_ text: some StringProtocol) {
    guard let address = withBytes(of: text, { IPAddress(bytes: $0) }) else { return nil }
    self = address
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    if let v4 = IPAddress.v4(bytes) {
      self.init(v4: v4)
    } else if let address = IPAddress.v6(bytes) {
      self = address
    } else {
      return nil
    }
  }

  /// An IPv4 address, mapped ones included.
  public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

  /// 127.0.0.0/8 or ::1: this host itself.
  public var isLoopback: Bool { isIPv4 ? v4 >> 24 == 127 : high == 0 && low == 1 }

  /// 169.254.0.0/16 or fe80::/10: means something on one link only.
  public var isLinkLocal: Bool { isIPv4 ? v4 >> 16 == 0xA9FE : high >> 54 == 0xFE80 >> 6 }

  /// 224.0.0.0/4 or ff00::/8: nobody to connect to.
  public var isMulticast: Bool { isIPv4 ? v4 >> 28 == 0xE : high >> 56 == 0xFF }

  /// 0.0.0.0 or `::`: no address, or all of them.
  public var isUnspecified: Bool { isIPv4 ? v4 == 0 : high == 0 && low == 0 }

  /// The IPv4 address, the first of its numbers highest; meaningless unless `isIPv4`.
  package var v4: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// Dotted decimal for IPv4, RFC 5952 for IPv6.
  public var description: String { text }

  /// In the order of their numbers; IPv4 addresses among themselves, too.
  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

// Reading.
extension IPAddress {
  private static func v4(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
    guard bytes.count >= 7, bytes.count <= 15 else { return nil }
    var address: UInt32 = 0
    var start = 0
    for part in 0..<4 {
      var end = start
      while end < bytes.count, bytes[end] != 0x2E { end += 1 }
      // A dot behind the first three, and nothing behind the last.
      guard (end < bytes.count) == (part < 3),
        let number = bytes.part(start..<end).decimal(upTo: 255)
      else { return nil }
      address = address << 8 | UInt32(truncatingIfNeeded: number)
      start = end + 1
    }
    return address
  }

  private static func v6(_ bytes: UnsafeRawBufferPointer) -> IPAddress? {
    guard bytes.count >= 2, bytes.count <= 45 else { return nil }
    var groups = Groups()
    var at = 0
    if bytes[0] == 0x3A {
      // A colon at the beginning is half of "::".
      guard bytes[1] == 0x3A else { return nil }
      groups.gap = 0
      at = 2
    }
    while at < bytes.count {
      var end = at
      while end < bytes.count, bytes[end] != 0x3A, bytes[end] != 0x2E { end += 1 }
      if end < bytes.count, bytes[end] == 0x2E {
        // The last 32 bits in dotted decimal.
        guard let v4 = v4(bytes.part(at..<bytes.count)) else { return nil }
        guard groups.add(v4 >> 16), groups.add(v4 & 0xFFFF) else { return nil }
        break
      }
      guard let number = hexadecimal(bytes.part(at..<end)), groups.add(number) else { return nil }
      if end == bytes.count { break }
      at = end + 1
      // A single colon must be followed by a group; a second one is the gap, of which there is one.
      guard at < bytes.count else { return nil }
      if bytes[at] == 0x3A {
        guard groups.gap == nil else { return nil }
        groups.gap = groups.count
        at += 1
      }
    }
    return groups.address
  }

  /// One to four hexadecimal digits.
  private static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
    guard bytes.count >= 1, bytes.count <= 4 else { return nil }
    var number: UInt32 = 0
    for byte in bytes {
      guard let digit = hexadecimalDigit(byte) else { return nil }
      number = number << 4 | UInt32(digit)
    }
    return number
  }

  /// The groups of an IPv6 address as they are read, and where "::" stood among them.
  private struct Groups {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var count = 0
    var gap: Int?

    /// False if there are eight already.
    mutating func add(_ group: UInt32) -> Bool {
      guard count < 8 else { return false }
      high = high << 16 | low >> 48
      low = low << 16 | UInt64(group)
      count += 1
      return true
    }

    var address: IPAddress? {
      guard let gap else { return count == 8 ? IPAddress(high: high, low: low) : nil }
      // "::" stands for at least one group. What was read behind it is at its place already; what
      // was read before it moves up by the groups that are missing.
      guard count < 8 else { return nil }
      let behind = UInt64(16 * (count - gap))
      let (tailHigh, tailLow) = lowBits(high, low, behind)
      let (headHigh, headLow) = shiftedRight(high, low, behind)
      let (raisedHigh, raisedLow) = shiftedLeft(headHigh, headLow, UInt64(16 * (8 - gap)))
      return IPAddress(high: raisedHigh | tailHigh, low: raisedLow | tailLow)
    }
  }
}

// Shifts of 128 bits; Swift's smart shifts take any distance.
private func shiftedLeft(_ high: UInt64, _ low: UInt64, _ by: UInt64) -> (UInt64, UInt64) {
  by >= 64 ? (low << (by - 64), 0) : (high << by | low >> (64 - by), low << by)
}

private func shiftedRight(_ high: UInt64, _ low: UInt64, _ by: UInt64) -> (UInt64, UInt64) {
  by >= 64 ? (0, high >> (by - 64)) : (high >> by, low >> by | high << (64 - by))
}

private func lowBits(_ high: UInt64, _ low: UInt64, _ count: UInt64) -> (UInt64, UInt64) {
  let (upperHigh, upperLow) = shiftedRight(high, low, count)
  let (backHigh, backLow) = shiftedLeft(upperHigh, upperLow, count)
  return (high ^ backHigh, low ^ backLow)
}

/// The value of an ASCII hexadecimal digit, of either case.
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 48...57: byte - 48
  case 65...70: byte - 55
  case 97...102: byte - 87
  default: nil
  }
}

// Writing.
extension IPAddress {
  func write(to place: UnsafeMutableRawPointer) -> Int {
    isIPv4 ? writeV4(to: place) : writeV6(to: place)
  }

  private func writeV4(to place: UnsafeMutableRawPointer) -> Int {
    var count = 0
    for part in 0..<4 {
      if part > 0 { count += (place + count).write(byte: 0x2E) }
      count += (place + count).write(decimal: UInt64(v4 >> UInt32(24 - 8 * part)) & 255)
    }
    return count
  }

  private func group(_ index: Int) -> UInt64 {
    let half = index < 4 ? high : low
    return half >> UInt64(48 - 16 * (index & 3)) & 0xFFFF
  }

  /// The longest run of two or more zero groups, the first of equals: what "::" stands for.
  private var zeroRun: Range<Int> {
    var best = 0..<0
    var start = 0
    for at in 0...8 where at == 8 || group(at) != 0 {
      if at - start > best.count { best = start..<at }
      start = at + 1
    }
    return best.count >= 2 ? best : 0..<0
  }

  private func writeV6(to place: UnsafeMutableRawPointer) -> Int {
    let run = zeroRun
    var count = 0
    var at = 0
    while at < 8 {
      if at == run.lowerBound && !run.isEmpty {
        count += (place + count).write(byte: 0x3A)
        count += (place + count).write(byte: 0x3A)
        at = run.upperBound
        continue
      }
      if at > 0 && at != run.upperBound { count += (place + count).write(byte: 0x3A) }
      let number = group(at)
      let digits = number >= 0x1000 ? 4 : number >= 0x100 ? 3 : number >= 0x10 ? 2 : 1
      count += (place + count).write(hexadecimal: number, digits: digits)
      at += 1
    }
    return count
  }
}
