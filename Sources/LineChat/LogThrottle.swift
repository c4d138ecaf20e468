// What others can make happen thousands of times in a second must not fill a log.

/// So many lines of one kind are written in a second; of the others, their number.
struct LogThrottle {
  private let what: String
  private let perSecond: Int
  private var second: Int64 = 0
  private var said = 0
  private var unsaid = 0

  /// `what` they are called, in the plural.
  init(of what: String, perSecond: Int = 20) {
    self.what = what
    self.perSecond = perSecond
  }

  /// `now` in microseconds.
  mutating func mayBeSaid(_ now: Int64, _ log: EventLog) -> Bool {
    if now / 1_000_000 != second {
      if unsaid > 0 { log.inform("\(unsaid) more \(what) are not shown") }
      second = now / 1_000_000
      said = 0
      unsaid = 0
    }
    guard said < perSecond else {
      unsaid += 1
      return false
    }
    said += 1
    return true
  }
}
