// Descriptors with one owner, who closes them by going away. Whoever makes one makes it
// close-on-exec and non-blocking in the same call, so that neither a child nor a slow peer can get
// hold of the loop.

import CSystem
import Glibc

/// An open descriptor, closed with the end of its owner. Where a collection is needed, it sits in
/// a final class.
package struct Descriptor: ~Copyable, Sendable {
  package let number: Int32

  /// Takes over `number`, which must be open and nobody else's.
  package init(owning number: Int32) {
    precondition(number >= 0, "a descriptor that was never opened")
    self.number = number
  }

  deinit {
    // Linux has closed it even where this says EINTR; trying again could hit another thread's.
    close(number)
  }

  /// The kind of socket that everything here is.
  static let streamKind = Int32(bitPattern: SOCK_STREAM.rawValue)

  /// A new stream socket of `family`.
  static func socket(_ family: Int32) throws(SystemError) -> Descriptor {
    let flags = Int32(bitPattern: SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let number = Glibc.socket(family, streamKind | flags, 0)
    guard number >= 0 else { throw SystemError("socket") }
    return Descriptor(owning: number)
  }

  /// A descriptor that only takes up room; nil where there is none left.
  static func placeholder() -> Descriptor? {
    let number = open("/dev/null", O_RDONLY | O_CLOEXEC)
    return number >= 0 ? Descriptor(owning: number) : nil
  }

  /// Sets an integer option of a socket.
  func set(_ option: Int32, of level: Int32, to value: Int32) throws(SystemError) {
    var value = value
    let length = socklen_t(MemoryLayout<Int32>.size)
    guard setsockopt(number, level, option, &value, length) == 0 else {
      throw SystemError("setsockopt")
    }
  }
}

/// How any thread wakes the loop: a pipe whose reading end the loop polls.
package final class WakePipe: Sendable {
  private let reading: Descriptor
  private let writing: Descriptor

  private init(_ reading: consuming Descriptor, _ writing: consuming Descriptor) {
    self.reading = reading
    self.writing = writing
  }

  package static func make() throws(SystemError) -> WakePipe {
    var ends: (Int32, Int32) = (-1, -1)
    let failed = withUnsafeMutablePointer(to: &ends) {
      $0.withMemoryRebound(to: Int32.self, capacity: 2) { csystem_pipe($0) != 0 }
    }
    if failed { throw SystemError("pipe2") }
    return WakePipe(Descriptor(owning: ends.0), Descriptor(owning: ends.1))
  }

  /// What to poll for reading.
  package var number: Int32 { reading.number }

  /// From any thread. A full pipe is as good as a byte more: the loop wakes up.
  package func wake() {
    var byte: UInt8 = 1
    while write(writing.number, &byte, 1) < 0 && errno == EINTR {}
  }

  /// Takes what has been written, so that the pipe is quiet again.
  package func drain() {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { scratch in
      while true {
        let count = read(reading.number, scratch.baseAddress, scratch.count)
        if count < scratch.count && !(count < 0 && errno == EINTR) { return }
      }
    }
  }
}
