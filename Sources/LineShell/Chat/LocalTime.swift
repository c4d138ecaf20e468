// Times as people read them where they are: `12:34`, `21 Nov 12:34`, `Sunday, 22 November 2026`. The
// zone is a rule that is handed in, so that tests have their own; the calendar is the Gregorian one.

import LineChatCore

package struct LocalTime: Sendable {
  /// Seconds east of UTC at a moment, which is given in microseconds since 1970 UTC.
  private let offsetSeconds: @Sendable (Int64) -> Int

  package init(offsetSeconds: @escaping @Sendable (Int64) -> Int) {
    self.offsetSeconds = offsetSeconds
  }

  package static let utc = LocalTime { _ in 0 }

  /// The number of the local day, counted from 1 January 1970.
  func day(_ microseconds: Int64) -> Int64 {
    let local = local(microseconds)
    let day = local / LocalTime.dayMicroseconds
    return local % LocalTime.dayMicroseconds < 0 ? day - 1 : day
  }

  /// The beginning of the next local day, in microseconds since 1970 UTC.
  func midnight(after microseconds: Int64) -> Int64 {
    let left = (day(microseconds) + 1) * LocalTime.dayMicroseconds - local(microseconds)
    return microseconds + left
  }

  /// `12:34`
  func clock(_ microseconds: Int64) -> String { part(microseconds, 11..<16) }

  /// `12:34:56`
  func exactClock(_ microseconds: Int64) -> String { part(microseconds, 11..<19) }

  /// `2026-11-22 12:34:56`
  package func full(_ microseconds: Int64) -> String {
    "\(part(microseconds, 0..<10)) \(part(microseconds, 11..<19))"
  }

  /// As much as is needed to tell it from now: `12:34`, `21 Nov 12:34`, `2025-11-21 12:34`.
  func stamp(_ microseconds: Int64, now: Int64) -> String {
    if day(microseconds) == day(now) { return clock(microseconds) }
    guard part(microseconds, 0..<4) == part(now, 0..<4) else {
      return "\(part(microseconds, 0..<10)) \(clock(microseconds))"
    }
    let month = LocalTime.months[monthIndex(microseconds)].prefix(3)
    return "\(dayOfMonth(microseconds)) \(month) \(clock(microseconds))"
  }

  /// `Sunday, 22 November 2026`
  func date(_ microseconds: Int64) -> String {
    // 1 January 1970 was a Thursday.
    let weekday = ((day(microseconds) + 3) % 7 + 7) % 7
    return "\(LocalTime.weekdays[Int(weekday)]), \(dayOfMonth(microseconds)) "
      + "\(LocalTime.months[monthIndex(microseconds)]) \(part(microseconds, 0..<4))"
  }

  private func local(_ microseconds: Int64) -> Int64 {
    let (sum, overflowed) = microseconds.addingReportingOverflow(
      Int64(offsetSeconds(microseconds)) * 1_000_000)
    return overflowed ? microseconds : sum
  }

  /// Characters of `2026-11-22T12:34:56.000000Z`.
  private func part(_ microseconds: Int64, _ range: Range<Int>) -> String {
    let text = Timestamp.text(local(microseconds)).utf8
    return String(decoding: text.dropFirst(range.lowerBound).prefix(range.count), as: UTF8.self)
  }

  private func dayOfMonth(_ microseconds: Int64) -> Int { Int(part(microseconds, 8..<10)) ?? 1 }

  private func monthIndex(_ microseconds: Int64) -> Int {
    (Int(part(microseconds, 5..<7)) ?? 1) - 1
  }

  private static let dayMicroseconds: Int64 = 86_400_000_000

  private static let weekdays = [
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
  ]

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
  ]
}
