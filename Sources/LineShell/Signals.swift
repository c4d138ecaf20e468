// Signals as bytes in a pipe that the loop polls. The handlers are in CSystem, as nothing of Swift
// may run inside one.

import CSystem
import Glibc
import LineChat

/// There can be only one at a time: handlers belong to the process.
final class Signals {
  private let reading: Descriptor
  private let writing: Descriptor
  private let before: [(number: Int32, action: sigaction)]

  private init(
    _ reading: consuming Descriptor, _ writing: consuming Descriptor,
    _ before: [(number: Int32, action: sigaction)]
  ) {
    self.reading = reading
    self.writing = writing
    self.before = before
  }

  /// Catches the signals that a shell must hear of; of those that belong to a terminal only where
  /// there is one. Those that whoever started this process had ignored stay ignored.
  static func make(isInteractive: Bool) throws(SystemError) -> Signals {
    var ends: (Int32, Int32) = (-1, -1)
    let failed = withUnsafeMutablePointer(to: &ends) {
      $0.withMemoryRebound(to: Int32.self, capacity: 2) { csystem_pipe($0) != 0 }
    }
    if failed { throw SystemError("pipe2") }
    let reading = Descriptor(owning: ends.0)
    let writing = Descriptor(owning: ends.1)
    csystem_tell_signals(writing.number)
    let numbers =
      [SIGTERM, SIGHUP, SIGINT] + (isInteractive ? [SIGTSTP, SIGCONT, SIGWINCH] : [])
    let before = numbers.map { number in
      var action = sigaction()
      _ = sigaction(number, nil, &action)
      // A call that hangs in a terminal which takes nothing must come back when the end is asked
      // for; what merely redraws need not disturb any.
      let restarts = ![SIGTERM, SIGHUP, SIGINT].contains(number)
      _ = csystem_catch_signal(number, restarts ? 1 : 0)
      return (number, action)
    }
    return Signals(reading, writing, before)
  }

  deinit {
    for (number, action) in before {
      var action = action
      _ = sigaction(number, &action, nil)
    }
    csystem_tell_signals(-1)
  }

  /// What to poll for reading.
  var number: Int32 { reading.number }

  /// The signals since the last time, each once, in the order of their first coming.
  func take() -> [Int32] {
    var bytes = [UInt8](repeating: 0, count: 256)
    var signals: [Int32] = []
    while true {
      let count = read(reading.number, &bytes, bytes.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return signals }
      for byte in bytes[..<count] where !signals.contains(Int32(byte)) {
        signals.append(Int32(byte))
      }
    }
  }
}
