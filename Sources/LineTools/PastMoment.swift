// Moments of the past as people write them: `2h`, `3d`, `2026-11-22`, `2026-11-22 09:30`,
// `2026-11-22T09:30:00Z`, `2026-11-22T09:30:00.25+01:00`. What names no zone is local time, which is a
// rule that is handed in.

import LineChatCore

package enum PastMoment {
  private static let units: [Character: Int64] = [
    "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800,
  ]

  /// As elsewhere: 3650d.
  private static let secondsMax: Int64 = 3_650 * 86_400

  /// Microseconds since 1970 UTC; nil for what is none.
  /// - Parameter localOffset: seconds east of UTC at a local time, which is given as if it were UTC.
  package static func parse(
    _ text: String, now: Int64, localOffset: (_ localSeconds: Int64) -> Int64
  ) -> Int64? {
    if let unit = text.last.flatMap({ units[$0] }), let number = digits(text.dropLast()) {
      return number <= secondsMax / unit ? now - number * unit * 1_000_000 : nil
    }
    return moment(text, localOffset)
  }

  private static func moment(_ text: String, _ localOffset: (Int64) -> Int64) -> Int64? {
    let date = text.prefix(10)
    var rest = text.dropFirst(10)
    var (clock, fraction) = ("00:00:00", "000000")
    if let mark = rest.first, mark == "T" || mark == "t" || mark == " " {
      rest = rest.dropFirst()
      let written = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ":") }
      rest = rest.dropFirst(written.count)
      clock = written.count == 5 ? written + ":00" : String(written)
      if rest.first == "." || rest.first == "," {
        let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty else { return nil }
        rest = rest.dropFirst(1 + digits.count)
        fraction = String((digits + "000000").prefix(6))
      }
    } else if !rest.isEmpty {
      return nil
    }
    guard let asUTC = Timestamp.microseconds("\(date)T\(clock).\(fraction)Z") else { return nil }
    if rest.isEmpty { return asUTC - localOffset(asUTC / 1_000_000) * 1_000_000 }
    return zone(rest).map { asUTC - $0 * 1_000_000 }
  }

  /// `Z`, `+01:00`, `-0530`, `+01`
  private static func zone(_ text: Substring) -> Int64? {
    if text == "Z" || text == "z" { return 0 }
    guard let sign = text.first, sign == "+" || sign == "-" else { return nil }
    let figures = text.dropFirst().filter { $0 != ":" }
    guard figures.count == 2 || figures.count == 4, let number = digits(figures[...]) else {
      return nil
    }
    let (hours, minutes) = figures.count == 2 ? (number, 0) : (number / 100, number % 100)
    guard hours < 24, minutes < 60 else { return nil }
    return (sign == "-" ? -1 : 1) * (hours * 3_600 + minutes * 60)
  }

  private static func digits(_ text: Substring) -> Int64? {
    guard !text.isEmpty, text.count <= 18, text.allSatisfy({ $0.isASCII && $0.isNumber }) else {
      return nil
    }
    return Int64(text)
  }
}
