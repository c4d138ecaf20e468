// Time as the cores know it: an argument of every event, never asked for.

import LineProtocol

/// The time at which an event happens.
package struct Instant: Sendable, Hashable {
  /// Microseconds on a clock that never jumps; deadlines are on this one.
  package var monotonicMicroseconds: Int64
  /// Microseconds since 1970 UTC on the machine's calendar; may jump; only stamps are made of it.
  package var wallMicroseconds: Int64

  package init(monotonicMicroseconds: Int64, wallMicroseconds: Int64) {
    self.monotonicMicroseconds = monotonicMicroseconds
    self.wallMicroseconds = wallMicroseconds
  }
}

/// A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014) in one number: the
/// stamps it gives rise by at least a microsecond each, follow the calendar where it allows, and
/// come after every stamp seen that was not absurdly far ahead.
package struct HybridClock: Sendable {
  private var last: Int64

  package init(last: Int64 = 0) { self.last = last }

  /// The latest stamp given or believed.
  package var latest: Int64 { last }

  /// The next stamp, in microseconds since 1970 UTC.
  package mutating func stamp(_ now: Instant) -> Int64 {
    last = max(now.wallMicroseconds, last + 1)
    return last
  }

  /// Takes note of another's stamp; one more than `Limits.clockSkewMicroseconds` ahead is not
  /// learnt from. Returns whether it was believed.
  @discardableResult
  package mutating func saw(_ stamp: Int64, _ now: Instant) -> Bool {
    guard stamp <= now.wallMicroseconds + Limits.clockSkewMicroseconds else { return false }
    last = max(last, stamp)
    return true
  }
}

/// ISO 8601 in UTC with microseconds, `2026-11-22T09:05:07.000042Z`: the form of the `time` tag.
package enum Timestamp {
  /// The calendar's range that fits the form: the years 0000 to 9999.
  private static let earliest: Int64 = -62_167_219_200_000_000
  private static let latest: Int64 = 253_402_300_799_999_999

  /// `microseconds` since 1970 UTC as 27 ASCII bytes; what lies outside the years 0 to 9999 is
  /// given as the nearest that lies within.
  package static func text(_ microseconds: Int64) -> String {
    String(unsafeUninitializedCapacity: byteCount) { out in
      write(microseconds, to: UnsafeMutableRawBufferPointer(out))
      return byteCount
    }
  }

  fileprivate static let byteCount = 27

  /// The same into memory, `byteCount` bytes.
  fileprivate static func write(_ microseconds: Int64, to out: UnsafeMutableRawBufferPointer) {
    let moment = min(max(microseconds, earliest), latest)
    let (days, ofDay) = floored(moment, by: 86_400_000_000)
    let (year, month, day) = civil(days)
    let (seconds, micros) = (ofDay / 1_000_000, ofDay % 1_000_000)
    var at = 0
    func put(_ number: Int64, _ width: Int, then mark: UInt8) {
      var rest = UInt32(truncatingIfNeeded: number)
      var place = at + width
      while place > at {
        place -= 1
        out[place] = 48 + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      }
      out[at + width] = mark
      at += width + 1
    }
    put(year, 4, then: UInt8(ascii: "-"))
    put(month, 2, then: UInt8(ascii: "-"))
    put(day, 2, then: UInt8(ascii: "T"))
    put(seconds / 3_600, 2, then: UInt8(ascii: ":"))
    put(seconds / 60 % 60, 2, then: UInt8(ascii: ":"))
    put(seconds % 60, 2, then: UInt8(ascii: "."))
    put(micros, 6, then: UInt8(ascii: "Z"))
  }

  /// Microseconds since 1970 UTC, or nil where `text` is not of exactly that form.
  package static func microseconds(_ text: String) -> Int64? {
    var text = text
    return text.withUTF8 { microseconds(UnsafeRawBufferPointer($0)) }
  }

  /// The same from bytes.
  package static func microseconds(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard bytes.count == byteCount,
      bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54, bytes[13] == 0x3A, bytes[16] == 0x3A,
      bytes[19] == 0x2E, bytes[26] == 0x5A
    else { return nil }
    func number(_ range: Range<Int>) -> Int64? {
      var value: Int64 = 0
      for index in range {
        let byte = bytes[index]
        guard byte >= 48 && byte <= 57 else { return nil }
        value = value * 10 + Int64(byte - 48)
      }
      return value
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
      let micros = number(20..<26),
      (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
    else { return nil }
    let days = days(year, month, day)
    guard civil(days) == (year, month, day) else { return nil }
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000 + micros
  }

  private static func floored(_ value: Int64, by unit: Int64) -> (Int64, Int64) {
    let rest = value % unit
    return rest < 0 ? (value / unit - 1, rest + unit) : (value / unit, rest)
  }

  /// Days since 1970 to year, month, day and back: Howard Hinnant, "chrono-Compatible Low-Level
  /// Date Algorithms".
  private static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
    let (era, ofEra) = floored(days + 719_468, by: 146_097)
    let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * ofYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, ofYear - (153 * shifted + 2) / 5 + 1)
  }

  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let (era, ofEra) = floored(month <= 2 ? year - 1 : year, by: 400)
    let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
  }
}

extension ByteBuffer {
  /// Appends a time as `Timestamp` writes it.
  func append(time microseconds: Int64) {
    withUnsafeTemporaryAllocation(byteCount: Timestamp.byteCount, alignment: 1) { room in
      Timestamp.write(microseconds, to: room)
      append(UnsafeRawBufferPointer(room))
    }
  }
}
