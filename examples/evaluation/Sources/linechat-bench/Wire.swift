// A plain connection to the server: lines out, and what comes back as it comes.

import Glibc

final class Connection {
  private let socket: Int32

  init(port: UInt16) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      close(socket)
      throw BenchFailure("cannot connect to port \(port): \(String(cString: strerror(errno)))")
    }
  }

  deinit { close(socket) }

  func send(_ text: String) throws {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(socket, $0.baseAddress, $0.count) }
      guard count > 0 else { throw BenchFailure("the server has ended the connection") }
      rest = rest.dropFirst(count)
    }
  }

  /// Reads until a line begins with `start`, for ten seconds at most, and returns it.
  @discardableResult
  func line(startingWith start: String) throws -> String {
    var text = ""
    let deadline = monotonicNanoseconds() + 10_000_000_000
    while monotonicNanoseconds() < deadline {
      text += try read(waiting: 100)
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      if let line = lines.first(where: { $0.hasPrefix(start) }) { return String(line) }
    }
    throw BenchFailure("the server did not say \(start): \(text)")
  }

  /// What is there, or comes within so many milliseconds.
  @discardableResult
  func read(waiting milliseconds: Int32) throws -> String {
    var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return "" }
    return try withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
      let count = Glibc.read(socket, buffer.baseAddress, buffer.count)
      guard count > 0 else { throw BenchFailure("the server has ended the connection") }
      return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
  }
}
