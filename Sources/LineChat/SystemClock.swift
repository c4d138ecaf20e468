// The one place where the time is asked for. The cores get it as an argument.

import Glibc
import LineChatCore

enum SystemClock {
  static func now() -> Instant {
    Instant(
      monotonicMicroseconds: microseconds(CLOCK_MONOTONIC),
      wallMicroseconds: microseconds(CLOCK_REALTIME))
  }

  /// How long the machine has been suspended since it was started: the monotonic clock stands still
  /// meanwhile, and the other one goes on.
  static var suspendedMicroseconds: Int64 {
    microseconds(CLOCK_BOOTTIME) - microseconds(CLOCK_MONOTONIC)
  }

  /// Milliseconds since 1970; a clock that is set to before says 1.
  static var unixMilliseconds: UInt64 { UInt64(max(1, now().wallMicroseconds / 1_000)) }

  private static func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else {
      preconditionFailure("these clocks exist on every Linux")
    }
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }
}

/// The clocks that a loop goes by.
package struct MachineClock: Sendable {
  package var now: @Sendable () -> Instant
  /// Rises by the time that the machine sleeps.
  package var suspendedMicroseconds: @Sendable () -> Int64

  package init(
    now: @escaping @Sendable () -> Instant,
    suspendedMicroseconds: @escaping @Sendable () -> Int64
  ) {
    self.now = now
    self.suspendedMicroseconds = suspendedMicroseconds
  }

  package static let system = MachineClock(
    now: SystemClock.now, suspendedMicroseconds: { SystemClock.suspendedMicroseconds })
}

/// The present moment as the log shows it, `2026-11-22T09:05:07.000042Z`.
package func timestamp() -> String { Timestamp.text(SystemClock.now().wallMicroseconds) }
