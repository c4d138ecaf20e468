// The loop of every load: many sockets, and what comes on them as it comes. A workload says which sockets
// there are and what is to be done with the bytes; when to read, and for how long, is known here alone.

import CBench
import Glibc

final class Inbox {
  private let epoll: Int32
  private let buffer: UnsafeMutableRawBufferPointer
  private let ready = UnsafeMutablePointer<Int32>.allocate(capacity: 1_024)
  /// By their numbers.
  private var sockets: [Int32] = []

  /// `readBytes`: how much is read at once.
  init(readBytes: Int) throws {
    epoll = cbench_epoll()
    buffer = .allocate(byteCount: readBytes, alignment: 64)
    guard epoll >= 0 else { throw Inbox.failure }
  }

  deinit {
    close(epoll)
    buffer.deallocate()
    ready.deallocate()
  }

  private static var failure: BenchFailure {
    BenchFailure("epoll: \(String(cString: strerror(errno)))")
  }

  /// What comes there is told with this number. The socket is one that never waits; it leaves when it is
  /// closed.
  func add(_ socket: Int32, as number: Int) throws {
    while sockets.count <= number { sockets.append(-1) }
    sockets[number] = socket
    guard cbench_epoll_add(epoll, socket, Int32(number)) == 0 else { throw Inbox.failure }
  }

  func add(_ connection: Connection, as number: Int) throws {
    connection.neverWait()
    try add(connection.socket, as: number)
  }

  /// Nothing more of it is told.
  func remove(_ number: Int) { cbench_epoll_remove(epoll, sockets[number]) }

  /// Reads what is there, or comes within so many milliseconds; returns whether anything did.
  ///
  /// `ended` is told of the connections that are no more; without it that is a failure.
  func hear(
    waiting milliseconds: Int32, _ take: (Int, UnsafeRawBufferPointer) throws -> Void,
    ended: (Int) throws -> Void = { _ in throw BenchFailure("the server has ended a connection") }
  ) throws -> Bool {
    let count = Int(cbench_epoll_wait(epoll, ready, milliseconds))
    guard count > 0 else { return false }
    for index in 0..<count {
      let number = Int(ready[index])
      if try !read(number, take) { try ended(number) }
    }
    return true
  }

  /// Until nothing is left; returns false where nothing will ever come.
  private func read(
    _ number: Int, _ take: (Int, UnsafeRawBufferPointer) throws -> Void
  ) throws -> Bool {
    while true {
      let count = recv(sockets[number], buffer.baseAddress, buffer.count, 0)
      guard count > 0 else { return count < 0 && (errno == EAGAIN || errno == EINTR) }
      try take(number, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      if count < buffer.count { return true }
    }
  }
}
