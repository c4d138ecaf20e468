// The one place where the time is asked for. The cores get it as an argument.

import Glibc
import LineChatCore

enum SystemClock {
  static func now() -> Instant {
    Instant(
      monotonicMicroseconds: microseconds(CLOCK_MONOTONIC),
      wallMicroseconds: microseconds(CLOCK_REALTIME))
  }

  /// Seconds since 1970; a clock that is set to before says 1.
  static var unixTime: UInt64 { UInt64(max(1, now().wallMicroseconds / 1_000_000)) }

  private static func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else {
      preconditionFailure("both clocks exist on every Linux")
    }
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }
}

/// The present moment as the log shows it, `2026-11-22T09:05:07.000042Z`.
package func timestamp() -> String { Timestamp.text(SystemClock.now().wallMicroseconds) }
