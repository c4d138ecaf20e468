// What a dialogue stands on: connections that are made while somebody waits for them, names that are
// looked up meanwhile, and moments to wait until.

import Glibc
import LineProtocol
import Synchronization

/// A moment not to wait beyond, on a clock that never jumps.
package struct Moment: Sendable {
  private let microseconds: Int64

  package init(in seconds: Double) {
    microseconds =
      SystemClock.now().monotonicMicroseconds + Int64(min(max(seconds, 0), 1e9) * 1_000_000)
  }

  /// For poll, rounded up; 0 when it has passed.
  package var milliseconds: Int32 {
    let left = microseconds - SystemClock.now().monotonicMicroseconds
    return Int32(clamping: max(0, (left + 999) / 1_000))
  }

  package var hasPassed: Bool { milliseconds == 0 }
}

extension Descriptor {
  /// A Unix socket's connection stands at once, or not at all.
  static func connected(to path: String) throws(SystemError) -> Descriptor {
    let descriptor = try Descriptor.socket(AF_UNIX)
    let number = descriptor.number
    let result = SocketAddress.with(path: path) { connect(number, $0, $1) }
    guard result == 0 else { throw SystemError("connect") }
    return descriptor
  }

  static func connected(
    to endpoint: Endpoint, by deadline: Moment
  ) throws(SystemError) -> Descriptor {
    let descriptor = try Descriptor.dial(endpoint, from: nil)
    var entry = pollfd(fd: descriptor.number, events: Int16(POLLOUT), revents: 0)
    // Two seconds for each address, as a node has it: another one may be the right one.
    let own = Moment(in: Double(MachineLimits.dialMicroseconds) / 1_000_000)
    while poll(&entry, 1, min(deadline.milliseconds, own.milliseconds)) <= 0 {
      if deadline.hasPassed || own.hasPassed { throw SystemError("connect", ETIMEDOUT) }
    }
    var failure: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 else {
      throw SystemError("getsockopt")
    }
    guard failure == 0 else { throw SystemError("connect", failure) }
    // A socket that the system gave the very port it dials has reached itself.
    let local = SocketAddress.local(of: descriptor)?.endpoint
    if local == endpoint { throw SystemError("connect", ECONNREFUSED) }
    return descriptor
  }
}

extension ServerAddress {
  /// Where it is. A resolver that takes longer is not waited for.
  func addresses(by deadline: Moment) throws(NameLookUp.Failure) -> [IPAddress] {
    let name: String
    switch host {
    case .literal(let address): return [address]
    case .name(let text): name = text
    }
    let found = Found()
    let wake: WakePipe
    do throws(SystemError) {
      wake = try WakePipe.make()
      try Thread.start {
        let outcome = Result { () throws(NameLookUp.Failure) in
          try NameLookUp.addresses(of: name)
        }
        found.outcome.withLock { $0 = outcome }
        wake.wake()
      }
    } catch {
      throw NameLookUp.Failure("\(name) cannot be looked up: \(error)")
    }
    var entry = pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)
    while poll(&entry, 1, deadline.milliseconds) <= 0 && !deadline.hasPassed {}
    guard let outcome = found.outcome.withLock({ $0 }) else {
      throw NameLookUp.Failure("\(name) cannot be looked up: no answer in time")
    }
    return try outcome.get()
  }

  private final class Found: Sendable {
    let outcome = Mutex<Result<[IPAddress], NameLookUp.Failure>?>(nil)
  }
}
