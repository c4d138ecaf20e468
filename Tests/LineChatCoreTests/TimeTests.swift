// Timestamps held against Foundation's, and the rules of the hybrid clock.

import Foundation
import LineChatCore
import Testing

@Suite("Time")
struct TimeTests {
  private static let day: Int64 = 86_400_000_000

  private func moments(_ seed: UInt64) -> [Int64] {
    var random = SplitMix64(state: seed)
    let edges: [Int64] = [
      0, -1, 1, -Self.day, Self.day - 1, 951_782_400_000_000, 951_868_799_999_999,
      -62_135_596_800_000_000, 253_402_300_799_999_999, 4_107_542_400_000_000,
    ]
    return edges
      + (0..<5_000).map { _ in
        Int64.random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &random)
      }
  }

  @Test("a timestamp says what Foundation says, and is read back")
  func againstFoundation() throws {
    // The calendar of ISO 8601 goes on before 1582; Foundation's formatter style does so, too.
    let style = Date.ISO8601FormatStyle(timeZone: .gmt)
    for moment in moments(1) {
      let text = Timestamp.text(moment)
      try #require(text.utf8.count == 27)
      #expect(Timestamp.microseconds(text) == moment)
      let seconds = moment >= 0 ? moment / 1_000_000 : -((-moment + 999_999) / 1_000_000)
      let whole = Date(timeIntervalSince1970: TimeInterval(seconds))
      let micros = String(moment - seconds * 1_000_000)
      let fraction = String(repeating: "0", count: 6 - micros.count) + micros
      guard moment > -12_219_292_800_000_000 else { continue }
      #expect(text == style.format(whole).dropLast() + ".\(fraction)Z")
    }
  }

  @Test("timestamps sort as the moments do")
  func order() {
    let sorted = moments(2).sorted()
    #expect(sorted.map { Timestamp.text($0) } == sorted.map { Timestamp.text($0) }.sorted())
  }

  @Test("what lies outside the years 0 to 9999 is given as the nearest within")
  func range() {
    #expect(Timestamp.text(.min) == "0000-01-01T00:00:00.000000Z")
    #expect(Timestamp.text(.max) == "9999-12-31T23:59:59.999999Z")
  }

  @Test(
    "nothing else is read",
    arguments: [
      "", "2026-11-22", "2026-11-22T09:05:07Z", "2026-11-22T09:05:07.00004Z",
      "2026-11-22T09:05:07.0000042Z", "2026-11-22 09:05:07.000042Z", "2026-11-22T09:05:07.000042z",
      "2026-13-22T09:05:07.000042Z", "2026-02-29T09:05:07.000042Z", "2026-00-01T09:05:07.000042Z",
      "2026-11-00T09:05:07.000042Z", "2026-11-22T24:00:00.000000Z", "2026-11-22T09:60:07.000042Z",
      "2026-11-22T09:05:60.000000Z", "+026-11-22T09:05:07.000042Z", "2026-11-22T09:05:07.-00042Z",
      "2026-11-22T09:05:07,000042Z", "\u{0662}026-11-22T09:05:07.00042Z",
    ])
  func refused(_ text: String) {
    #expect(Timestamp.microseconds(text) == nil)
  }

  @Test("the hybrid clock's rules hold for any events")
  func hybridClock() {
    for seed in 0..<50 as Range<UInt64> {
      var random = SplitMix64(state: seed)
      var clock = HybridClock()
      var wall: Int64 = 1_800_000_000_000_000
      var (last, most) = (Int64.min, Int64.min)
      for _ in 0..<500 {
        // The calendar goes on, stands still, or jumps by hours either way.
        wall += [0, 1, 1_000, 3_600_000_000, -3_600_000_000].randomElement(using: &random) ?? 0
        let now = Instant(monotonicMicroseconds: 0, wallMicroseconds: wall)
        if Bool.random(using: &random) {
          let stamp = clock.stamp(now)
          #expect(stamp > last, "stamps rise")
          #expect(stamp > most, "a stamp comes after all that was believed")
          #expect(stamp == max(wall, max(last, most) + 1), "and no further than that")
          last = stamp
        } else {
          let other = wall + Int64.random(in: -300_000_000...300_000_000, using: &random)
          let isNear = other <= wall + Limits.clockSkewMicroseconds
          #expect(clock.saw(other, now) == isNear)
          if isNear { most = max(most, other) }
        }
      }
    }
  }
}
