// Whether the machine has slept, or has come into another network. The monotonic clock stands still
// while it sleeps and so do the kernel's own timers, so nothing else tells the loop: it looks up every
// few seconds, which is how soon after waking it knows.

import LineChatCore
import LineProtocol

struct SleepWatch {
  private var suspendedMicroseconds: Int64
  private var addresses: [IPAddress]
  /// When to look at the addresses again, on the monotonic clock. They cost a few calls.
  private(set) var nextLookMicroseconds: Int64

  init(_ surroundings: Surroundings) {
    suspendedMicroseconds = surroundings.clock.suspendedMicroseconds()
    addresses = surroundings.addresses()
    nextLookMicroseconds =
      surroundings.clock.now().monotonicMicroseconds + MachineLimits.addressLookMicroseconds
  }

  /// Whenever the loop wakes. Returns what has happened to the machine since the last time, for the
  /// log; nil if nothing has.
  mutating func look(_ surroundings: Surroundings, now: Instant) -> String? {
    let suspended = surroundings.clock.suspendedMicroseconds()
    let slept = suspended - suspendedMicroseconds
    suspendedMicroseconds = suspended
    var isElsewhere = false
    let hasSlept = slept > MachineLimits.sleepLeastMicroseconds
    if hasSlept || nextLookMicroseconds <= now.monotonicMicroseconds {
      nextLookMicroseconds = now.monotonicMicroseconds + MachineLimits.addressLookMicroseconds
      let present = surroundings.addresses()
      isElsewhere = present != addresses
      addresses = present
    }
    if hasSlept { return "the machine slept for \(slept / 1_000_000) s" }
    return isElsewhere ? "the addresses of this machine are others now" : nil
  }
}
