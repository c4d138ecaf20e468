// How fast a connection's lines are taken: a bucket of tokens, kept as one number. A second's worth of
// lines may come at once; after that, as many as the rate says. Nothing is refused: who is over the
// rate is not read from for a moment, and TCP makes it wait.

/// A rate, the same for all connections.
package struct Pace: Sendable {
  /// What one connection has used of it: up to when its lines so far have been paid for.
  package struct Account: Sendable {
    fileprivate var paidUntil: Int64 = 0

    package init() {}

    package var isUnused: Bool { paidUntil == 0 }
  }

  /// Nanoseconds for each line; 0 where there is no limit.
  private let price: Int64

  /// Lines a second; 0 is no limit.
  package init(linesPerSecond: Int) {
    price = linesPerSecond > 0 ? max(1, 1_000_000_000 / Int64(linesPerSecond)) : 0
  }

  package var isLimited: Bool { price > 0 }

  /// How long a connection that has used up its share is not read from: one line's time, or as many
  /// lines' as come in a twentieth of a second. More often would cost more than it is worth.
  package var pauseMicroseconds: Int64 { max(price / 1_000 + 1, 50_000) }

  /// A line has been taken. Returns whether another one may be.
  package func take(from account: inout Account, now: Instant) -> Bool {
    guard isLimited else { return true }
    account.paidUntil = max(account.paidUntil, Pace.nanoseconds(now)) + price
    return mayTake(from: account, now: now)
  }

  /// Whether another line may be taken.
  package func mayTake(from account: Account, now: Instant) -> Bool {
    account.paidUntil + price <= Pace.nanoseconds(now) + Pace.second
  }

  private static let second: Int64 = 1_000_000_000

  private static func nanoseconds(_ now: Instant) -> Int64 { now.monotonicMicroseconds * 1_000 }
}
