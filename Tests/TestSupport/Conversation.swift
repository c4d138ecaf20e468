// A connection as a test sees it: lines out, lines in, each with a time limit, in blocking calls.
// It knows no protocol, so what it reads is what the server wrote.

import Glibc

package struct ConversationFailure: Error, CustomStringConvertible {
  package let description: String
}

package final class Conversation {
  private let socket: Int32
  private var received: [UInt8] = []
  private var taken = 0
  private var hasEnded = false

  /// How long anything may take that is expected to happen: far longer than it ever should, so
  /// that a slow machine is no failure.
  package static let patience: Duration = .seconds(20)

  /// Connects to 127.0.0.1. With `receiveBufferBytes` the kernel keeps little of what is not read.
  package init(port: UInt16, receiveBufferBytes: Int32? = nil) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { throw Conversation.failure("socket") }
    if var bytes = receiveBufferBytes {
      setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Conversation.failure("connect to port \(port)") }
  }

  deinit { close(socket) }

  /// Sends bytes as they are.
  package func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    let deadline = ContinuousClock.now + Conversation.patience
    while !rest.isEmpty {
      guard ready(for: POLLOUT, until: deadline) else {
        throw ConversationFailure(description: "the server does not read what is sent to it")
      }
      let count = rest.withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno != EAGAIN && errno != EINTR {
        throw Conversation.failure("send")
      }
    }
  }

  package func send(_ line: String) throws { try send(Array((line + "\n").utf8)) }

  /// Bytes as text; those that are none, and controls, by their numbers: `{0xFF}`.
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

  /// The next line, without its end; nil where the server has closed. What follows the last end of
  /// line before the close counts as a line, so that it cannot hide.
  package func line() throws -> String? {
    let deadline = ContinuousClock.now + Conversation.patience
    while true {
      if let end = received[taken...].firstIndex(of: 0x0A) {
        defer { taken = end + 1 }
        return Conversation.visible(received[taken..<end])
      }
      if hasEnded {
        defer { taken = received.count }
        let rest = received[taken...]
        return rest.isEmpty ? nil : Conversation.visible(rest) + "<no end of line>"
      }
      received.removeFirst(taken)
      taken = 0
      guard ready(for: POLLIN, until: deadline) else {
        throw ConversationFailure(description: "nothing came")
      }
      var piece = [UInt8](repeating: 0, count: 65_536)
      let count = recv(socket, &piece, piece.count, 0)
      if count > 0 {
        received += piece[..<count]
      } else if count == 0 {
        hasEnded = true
      } else if errno != EINTR {
        throw Conversation.failure("recv")
      }
    }
  }

  /// Closes our side; the server's may go on.
  package func endInput() { shutdown(socket, Int32(SHUT_WR)) }

  private func ready(for events: Int32, until deadline: ContinuousClock.Instant) -> Bool {
    while true {
      let left = deadline - ContinuousClock.now
      if left <= .zero { return false }
      var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
      let result = poll(&entry, 1, Int32(clamping: Int64(left / .milliseconds(1)) + 1))
      if result > 0 { return true }
    }
  }

  private static func failure(_ call: String) -> ConversationFailure {
    ConversationFailure(description: "\(call): \(String(cString: strerror(errno)))")
  }
}
