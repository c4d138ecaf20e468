// A client for tests, as simple as a person with netcat: it connects, sends, and reads line by line.
// Every wait has a deadline, and what fails says what had been read until then.

import CSystem
import Glibc
import LineChat
import LineProtocol

/// What a test waited for did not happen.
package struct TestFailure: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A moment that a test does not want to wait beyond.
package struct Deadline {
  private let nanoseconds: Int64

  package init(seconds: Double) {
    nanoseconds = Deadline.now + Int64(seconds * 1_000_000_000)
  }

  /// For poll, rounded up; 0 when it has passed.
  package var milliseconds: Int32 {
    Int32(clamping: max(0, (nanoseconds - Deadline.now + 999_999) / 1_000_000))
  }

  package var hasPassed: Bool { milliseconds == 0 }

  package static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// A connection to a server. Not for several threads at once.
package final class TestClient {
  /// How a stream came to its end.
  package enum End: Equatable {
    case inOrder
    case reset
  }

  package private(set) var descriptor: Int32
  /// Read and not asked for yet.
  private var buffer: [UInt8] = []
  private var consumed = 0
  package private(set) var end: End?
  /// Up to here there is no newline behind what has been handed out.
  private var searched = 0
  /// The lines handed out, for messages.
  private var history: [String] = []

  /// How long every wait may take. Generous: the machine may be busy with other tests.
  package var patienceSeconds = 20.0

  /// `source` is the address to come from (127.0.0.2 is another host); `receiveBuffer` bounds what
  /// the kernel takes in for a client that does not read.
  package init(
    _ address: ListenAddress, from source: IPAddress? = nil, receiveBuffer: Int32? = nil
  ) throws {
    switch address.kind {
    case .tcp(let host, let port):
      descriptor = socket(SocketAddress.family(of: host), TestClient.kind, 0)
      try prepare(receiveBuffer)
      if let source {
        let result = SocketAddress.with(source, port: 0) { bind(descriptor, $0, $1) }
        guard result == 0 else { throw TestFailure("bind: errno \(errno)") }
      }
      try connected(SocketAddress.with(host, port: port) { connect(descriptor, $0, $1) })
    case .unix(let path):
      descriptor = socket(AF_UNIX, TestClient.kind, 0)
      try prepare(receiveBuffer)
      try connected(SocketAddress.with(path: path) { connect(descriptor, $0, $1) })
    case .named: throw TestFailure("connect to a literal address")
    }
  }

  /// A connection that was accepted.
  package init(owning number: Int32) { descriptor = number }

  deinit { close() }

  private static let kind = Int32(bitPattern: SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)

  private func prepare(_ receiveBuffer: Int32?) throws {
    guard descriptor >= 0 else { throw TestFailure("socket: errno \(errno)") }
    guard var size = receiveBuffer else { return }
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  private func connected(_ result: Int32) throws {
    guard result == 0 else { throw TestFailure("connect: errno \(errno)") }
  }

  // MARK: Sending

  /// Sends `text` as it is, newlines included. Throws where the other side has gone.
  package func send(_ text: String) throws { try send(Array(text.utf8)) }

  package func send(_ bytes: [UInt8]) throws {
    let deadline = Deadline(seconds: patienceSeconds)
    var start = 0
    while start < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress.map { $0 + start }, bytes.count - start,
          Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count >= 0 {
        start += count
      } else if errno == EAGAIN {
        try wait(for: Int16(POLLOUT), deadline, "room to send")
      } else if errno != EINTR {
        throw TestFailure("send: errno \(errno)")
      }
    }
  }

  /// Sends what the kernel takes at once; returns how much that was.
  package func sendAtOnce(_ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes {
      max(
        0,
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)))
    }
  }

  /// Waits until the other side's kernel has everything that was sent: what a close finds still on
  /// this side may be thrown away.
  package func waitUntilTaken() throws {
    try eventually("what was sent is taken") {
      var bytes: Int32 = 0
      return ioctl(descriptor, UInt(TIOCOUTQ), &bytes) == 0 && bytes == 0
    }
  }

  // MARK: Reading

  /// The next line without its newline; nil at the end of the stream. Bytes that are no text, and
  /// controls, are shown by their numbers: `{0xFF}`.
  package func line() throws -> String? {
    let deadline = Deadline(seconds: patienceSeconds)
    while true {
      if let newline = nextNewline() {
        let line = TestClient.visible(buffer[consumed..<newline])
        consumed = newline + 1
        if consumed > 65_536 {
          buffer.removeFirst(consumed)
          consumed = 0
        }
        searched = consumed
        history.append(line)
        if history.count > 40 { history.removeFirst(20) }
        return line
      }
      if end != nil { return nil }
      try fill(deadline, "a line")
    }
  }

  /// Looks at each byte once, and not one by one: a slow consumer has two seconds to read megabytes,
  /// in a debug build too.
  private func nextNewline() -> Int? {
    let from = max(consumed, searched)
    let found = buffer.withUnsafeBytes { bytes -> Int? in
      guard let start = bytes.baseAddress, from < bytes.count,
        let place = memchr(start + from, 0x0A, bytes.count - from)
      else { return nil }
      return UnsafeRawPointer(place) - start
    }
    searched = found ?? buffer.count
    return found
  }

  /// Takes in more at a time from here on, after having been slow.
  package func readFaster() {
    var size: Int32 = 4 << 20
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Reads lines until one satisfies `isWanted`, and returns that.
  @discardableResult
  package func line(where isWanted: (String) -> Bool) throws -> String {
    while let line = try line() {
      if isWanted(line) { return line }
    }
    throw TestFailure("the stream ended before the line that was waited for; \(context)")
  }

  /// Reads lines until one begins with `start`, and returns that.
  @discardableResult
  package func line(startingWith start: String) throws -> String {
    try line { $0.hasPrefix(start) }
  }

  /// The next line must be `wanted`.
  package func expect(_ wanted: String) throws {
    let line = try line()
    guard line == wanted else {
      throw TestFailure("expected '\(wanted)', got '\(line ?? "the end")'; \(context)")
    }
  }

  /// Sends a request and returns its final reply, other lines in between passed over.
  @discardableResult
  package func ask(_ request: String) throws -> String {
    try send(request + "\n")
    return try line { $0.hasPrefix("OK ") || $0.hasPrefix("ERR ") || $0.hasPrefix("PONG") }
  }

  /// Something can be read at this moment, be it the end.
  package var hasInput: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return consumed < buffer.count || poll(&entry, 1, 0) > 0
  }

  /// Everything up to the end of the stream, as lines.
  package func linesToEnd() throws -> [String] {
    var lines: [String] = []
    while let line = try line() { lines.append(line) }
    return lines
  }

  /// Bytes that came behind the last newline, once the stream has ended.
  package var unfinishedLine: String { String(decoding: buffer[consumed...], as: UTF8.self) }

  private static func visible(_ bytes: ArraySlice<UInt8>) -> String {
    let isText = String(validating: bytes, as: UTF8.self) != nil
    var shown: [UInt8] = []
    for byte in bytes {
      if byte < 0x20 && byte != 0x09 || byte == 0x7F || byte >= 0x80 && !isText {
        let digits = String(byte, radix: 16, uppercase: true)
        shown += "{0x\(byte < 16 ? "0" : "")\(digits)}".utf8
      } else {
        shown.append(byte)
      }
    }
    return String(decoding: shown, as: UTF8.self)
  }

  private func fill(_ deadline: Deadline, _ purpose: String) throws {
    try wait(for: Int16(POLLIN), deadline, purpose)
    withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { scratch in
      let count = recv(descriptor, scratch.baseAddress, scratch.count, Int32(MSG_DONTWAIT))
      if count > 0 {
        buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: scratch[..<count]))
      } else if count == 0 {
        end = .inOrder
      } else if errno != EAGAIN && errno != EINTR {
        end = .reset
      }
    }
  }

  private func wait(for events: Int16, _ deadline: Deadline, _ purpose: String) throws {
    var entry = pollfd(fd: descriptor, events: events, revents: 0)
    let result = poll(&entry, 1, deadline.milliseconds)
    if result == 0 && deadline.hasPassed {
      throw TestFailure("no \(purpose) within \(patienceSeconds) s; \(context)")
    }
  }

  private var context: String {
    "the last lines: \(history.suffix(8)), then '\(unfinishedLine.prefix(200))'"
  }

  /// Where the other side comes from, as it looks from here.
  package func peerHost() throws -> IPAddress? {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
    }
    guard result == 0 else { throw TestFailure("getpeername: errno \(errno)") }
    return IPAddress(of: address)
  }

  // MARK: Ending

  /// Our side says no more; the other may.
  package func shutDownOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

  package func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Closes without an orderly end: the other side sees a reset.
  package func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }
}

extension IPAddress {
  /// The host in an address that the kernel gave; nil for one without.
  init?(of address: sockaddr_storage) {
    let family = Int32(address.ss_family)
    guard family == AF_INET || family == AF_INET6 else { return nil }
    self = withUnsafeBytes(of: address) { bytes in
      if family == AF_INET {
        let form = bytes.loadUnaligned(as: sockaddr_in.self)
        return IPAddress(v4: UInt32(bigEndian: form.sin_addr.s_addr))
      }
      let form = bytes.loadUnaligned(as: sockaddr_in6.self)
      return withUnsafeBytes(of: form.sin6_addr) {
        IPAddress(
          high: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
          low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
      }
    }
  }
}
