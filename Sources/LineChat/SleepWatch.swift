// Whether the machine has slept, or has come into another network. The monotonic clock stands still
// while it sleeps, and poll's timeout with it; so a timer on the clock that goes on wakes the loop when
// the machine wakes. Other addresses are told by nobody: the loop looks at them every few seconds.

import CSystem
import LineChatCore
import LineProtocol

struct SleepWatch {
  private var suspendedMicroseconds: Int64
  private var addresses: [IPAddress]
  private let timer = BootTimer.make()
  /// When to look at the addresses again, on the monotonic clock. They cost a few calls.
  private(set) var nextLookMicroseconds: Int64

  init(_ surroundings: Surroundings) {
    suspendedMicroseconds = surroundings.clock.suspendedMicroseconds()
    addresses = surroundings.addresses()
    nextLookMicroseconds =
      surroundings.clock.now().monotonicMicroseconds + MachineLimits.addressLookMicroseconds
    timer?.set(MachineLimits.addressLookMicroseconds)
  }

  /// Becomes readable when the machine wakes from a sleep that the next look fell into; nil where the
  /// system has no such timer.
  var timerNumber: Int32? { timer?.number }

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
      setTimer(now)
      let present = surroundings.addresses()
      isElsewhere = present != addresses
      addresses = present
    }
    if hasSlept { return "the machine slept for \(slept / 1_000_000) s" }
    return isElsewhere ? "the addresses of this machine are others now" : nil
  }

  /// Sets the timer to a moment after the next look, which comes by itself where the machine is awake.
  func setTimer(_ now: Instant) {
    let left = max(0, nextLookMicroseconds - now.monotonicMicroseconds)
    timer?.set(left + MachineLimits.bootTimerMarginMicroseconds)
  }
}

/// A timer on the clock that goes on while the machine sleeps.
final class BootTimer {
  private let descriptor: Descriptor

  private init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

  static func make() -> BootTimer? {
    let number = csystem_boot_timer()
    return number >= 0 ? BootTimer(Descriptor(owning: number)) : nil
  }

  /// What to poll for reading.
  var number: Int32 { descriptor.number }

  /// Lets it become readable after that time, and not before.
  func set(_ microseconds: Int64) {
    _ = csystem_set_boot_timer(descriptor.number, Int((microseconds + 999) / 1_000))
  }
}
