// A plain connection to the server: lines out, and what comes back as it comes.

import Glibc

final class Connection {
  let socket: Int32

  init(port: UInt16) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard Self.connect(socket, port) else {
      let code = errno
      close(socket)
      throw BenchFailure("cannot connect to port \(port): \(String(cString: strerror(code)))")
    }
  }

  /// To a socket in the file system.
  init(path: String) throws {
    socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard Self.connect(socket, path) else {
      let code = errno
      close(socket)
      throw BenchFailure("cannot connect to \(path): \(String(cString: strerror(code)))")
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

  private static func connect(_ socket: Int32, _ path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < room else {
      errno = ENAMETOOLONG
      return false
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }

  deinit { close(socket) }

  func send(_ text: String) throws {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(socket, $0.baseAddress, $0.count) }
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
      let lines = text.split(
        omittingEmptySubsequences: false, whereSeparator: \.isNewline
      ).dropLast()
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

// For those who must not wait.
extension Connection {
  func neverWait() {
    var one: Int32 = 1
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK)
  }

  /// Says each, and waits for its answer.
  func go(through steps: [(says: String, until: String?)]) throws {
    for step in steps {
      try send(step.says)
      if let until = step.until { try line(startingWith: until) }
    }
  }

  func canRead(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  /// Writes what fits; returns how much that was.
  func write(_ bytes: [UInt8], from start: Int) -> Int {
    bytes.withUnsafeBytes { bytes in
      let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
      return max(0, Glibc.send(socket, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL)))
    }
  }

  /// Throws away what has come.
  func skip(_ buffer: UnsafeMutableRawBufferPointer) throws {
    while true {
      let count = recv(socket, buffer.baseAddress, buffer.count, 0)
      if count == 0 { throw BenchFailure("the server has ended the sender's connection") }
      if count < buffer.count { return }
    }
  }

  /// Reads up to the first line with this text in it, and returns what is before and behind it in what
  /// was delivered: from behind the last line that is not part of it.
  func surroundings(
    of text: [UInt8], endingWith end: String
  ) throws -> (before: [UInt8], after: [UInt8]) {
    var all: [UInt8] = []
    let deadline = monotonicNanoseconds() + 10_000_000_000
    let whole = text + Array(end.utf8)
    while !all.ends(with: whole) {
      guard monotonicNanoseconds() < deadline else {
        throw BenchFailure("a message did not arrive: \(String(decoding: all, as: UTF8.self))")
      }
      all += Array(try read(waiting: 100).utf8)
    }
    return (Connection.lastDelivery(all.dropLast(whole.count)), Array(end.utf8))
  }

  /// What belongs to the delivery that ends here: for those who put lines before a text (redis has six,
  /// NATS one) from where they begin, for the others the rest of the line.
  private static func lastDelivery(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let text = String(decoding: bytes, as: UTF8.self)
    for start in ["*3\r\n$7\r\nmessage\r\n", "MSG g"] {
      if let range = text.range(of: start, options: .backwards), text.hasSuffix("\r\n") {
        return Array(text[range.lowerBound...].utf8)
      }
    }
    return Array(bytes.suffix(from: bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? bytes.startIndex))
  }
}

extension Array where Element: Equatable {
  fileprivate func ends(with end: [Element]) -> Bool {
    count >= end.count && suffix(end.count).elementsEqual(end)
  }
}
