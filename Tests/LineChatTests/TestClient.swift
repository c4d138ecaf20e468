// A client for tests, as simple as a person with netcat: it connects, sends, and reads line by line.
// Every wait has a deadline, and what fails says what had been read until then.

import CSystem
import Glibc
import LineChat
import LineProtocol

/// What a test waited for did not happen.
struct TestFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A moment that a test does not want to wait beyond.
struct Deadline {
  private let nanoseconds: Int64

  init(seconds: Double) {
    nanoseconds = Deadline.now + Int64(seconds * 1_000_000_000)
  }

  /// For poll, rounded up; 0 when it has passed.
  var milliseconds: Int32 {
    Int32(clamping: max(0, (nanoseconds - Deadline.now + 999_999) / 1_000_000))
  }

  var hasPassed: Bool { milliseconds == 0 }

  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// A connection to a server. Not for several threads at once.
final class TestClient {
  /// How a stream came to its end.
  enum End: Equatable {
    case inOrder
    case reset
  }

  private(set) var descriptor: Int32
  /// Read and not asked for yet.
  private var buffer: [UInt8] = []
  private var consumed = 0
  private(set) var end: End?
  /// The lines handed out, for messages.
  private var history: [String] = []

  /// How long every wait may take. Generous: the machine may be busy with other tests.
  var patienceSeconds = 20.0

  /// `source` is the address to come from (127.0.0.2 is another host); `receiveBuffer` bounds what
  /// the kernel takes in for a client that does not read.
  init(
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
  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
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
  func sendAtOnce(_ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes {
      max(
        0,
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)))
    }
  }

  /// Waits until the other side's kernel has everything that was sent: what a close finds still on
  /// this side may be thrown away.
  func waitUntilTaken() throws {
    try eventually("what was sent is taken") {
      var bytes: Int32 = 0
      return ioctl(descriptor, UInt(TIOCOUTQ), &bytes) == 0 && bytes == 0
    }
  }

  // MARK: Reading

  /// The next line without its newline; nil at the end of the stream.
  func line() throws -> String? {
    let deadline = Deadline(seconds: patienceSeconds)
    while true {
      if let newline = buffer[consumed...].firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: buffer[consumed..<newline], as: UTF8.self)
        consumed = newline + 1
        if consumed > 65_536 {
          buffer.removeFirst(consumed)
          consumed = 0
        }
        history.append(line)
        if history.count > 40 { history.removeFirst(20) }
        return line
      }
      if end != nil { return nil }
      try fill(deadline, "a line")
    }
  }

  /// Reads lines until one satisfies `isWanted`, and returns that.
  @discardableResult
  func line(where isWanted: (String) -> Bool) throws -> String {
    while let line = try line() {
      if isWanted(line) { return line }
    }
    throw TestFailure("the stream ended before the line that was waited for; \(context)")
  }

  /// Reads lines until one begins with `start`, and returns that.
  @discardableResult
  func line(startingWith start: String) throws -> String {
    try line { $0.hasPrefix(start) }
  }

  /// The next line must be `wanted`.
  func expect(_ wanted: String) throws {
    let line = try line()
    guard line == wanted else {
      throw TestFailure("expected '\(wanted)', got '\(line ?? "the end")'; \(context)")
    }
  }

  /// Sends a request and returns its final reply, other lines in between passed over.
  @discardableResult
  func ask(_ request: String) throws -> String {
    try send(request + "\n")
    return try line { $0.hasPrefix("OK ") || $0.hasPrefix("ERR ") || $0.hasPrefix("PONG") }
  }

  /// Everything up to the end of the stream, as lines.
  func linesToEnd() throws -> [String] {
    var lines: [String] = []
    while let line = try line() { lines.append(line) }
    return lines
  }

  /// Bytes that came behind the last newline, once the stream has ended.
  var unfinishedLine: String { String(decoding: buffer[consumed...], as: UTF8.self) }

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

  // MARK: Ending

  /// Our side says no more; the other may.
  func shutDownOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Closes without an orderly end: the other side sees a reset.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }
}
