// A plain connection to the server: lines out, and what comes back as it comes.

import Glibc

final class Connection {
  private let socket: Int32

  init(port: UInt16) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard Self.connect(socket, port) else {
      let code = errno
      close(socket)
      throw BenchFailure("cannot connect to port \(port): \(String(cString: strerror(code)))")
    }
  }

  /// A socket that is being connected, and never waits; -1: it cannot be.
  static func dialling(port: UInt16) -> Int32 {
    let kind = Int32(bitPattern: SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
    let socket = Glibc.socket(AF_INET, kind, 0)
    if socket >= 0, connect(socket, port) || errno == EINPROGRESS { return socket }
    if socket >= 0 { close(socket) }
    return -1
  }

  private static func connect(_ socket: Int32, _ port: UInt16) -> Bool {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
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

  /// All that comes until the other side ends, for ten seconds at most.
  func toEnd() throws -> String {
    var text: [UInt8] = []
    let deadline = monotonicNanoseconds() + 10_000_000_000
    while monotonicNanoseconds() < deadline {
      var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 100) > 0 else { continue }
      let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
        count = max(0, Glibc.read(socket, buffer.baseAddress, buffer.count))
      }
      if bytes.isEmpty { return String(decoding: text, as: UTF8.self) }
      text += bytes
    }
    throw BenchFailure("the server does not end the connection")
  }
}
