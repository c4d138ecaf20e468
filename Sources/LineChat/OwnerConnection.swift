// How a program on the same machine speaks to a running server as its owner: over the socket in the
// data directory, one request after the other, waiting for each.

import Glibc
import LineProtocol

/// A connection to the server that runs with a data directory. Its calls block.
package final class OwnerConnection {
  /// Why there is no answer.
  package enum Failure: Error, CustomStringConvertible {
    /// No server runs with that data directory, or none that this user may speak to.
    case noServer(String)
    /// The server says no.
    case refused(Refusal)
    /// It went away, or does not answer.
    case lost(String)

    package var description: String {
      switch self {
      case .noServer(let text), .lost(let text): text
      case .refused(let refusal): refusal.text
      }
    }
  }

  /// A person would have given up by then; a server that lives answers within milliseconds.
  private static let patienceSeconds = 10

  private let descriptor: Descriptor
  private var reader = LineReader(refusesHTTP: false)

  private init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

  package static func open(dataDirectory: String) throws(Failure) -> OwnerConnection {
    let path = OwnerSocket.server.path(in: dataDirectory)
    guard path.utf8.count <= SocketAddress.pathBytesMax else {
      throw .noServer("no server runs with the data directory \(dataDirectory)")
    }
    do throws(SystemError) {
      let descriptor = try Descriptor.socket(AF_UNIX)
      let number = descriptor.number
      // Only the server's own descriptors must not block.
      _ = fcntl(number, F_SETFL, 0)
      try descriptor.setTimeout(seconds: patienceSeconds)
      let result = SocketAddress.with(path: path) { connect(number, $0, $1) }
      guard result == 0 else { throw SystemError("connect") }
      return OwnerConnection(descriptor)
    } catch {
      switch error.code {
      case ENOENT, ENOTDIR, ECONNREFUSED:
        throw .noServer(
          "no server runs with the data directory \(dataDirectory); name another with --data-dir, or "
            + "start one with linechatd")
      case EACCES, EPERM:
        throw .noServer(
          "the data directory \(dataDirectory) belongs to another user; run this as that user")
      default: throw .noServer("cannot speak to the server at \(path): \(error)")
      }
    }
  }

  /// Sends a request and returns what it was answered with, the last of it the OK.
  package func ask(_ request: Message.Content) throws(Failure) -> [Message.Content] {
    let line: String
    do throws(Refusal) { line = try Message(content: request).render() } catch {
      throw .refused(error)
    }
    try send(line)
    var answer: [Message.Content] = []
    while true {
      let content = try next()
      switch content {
      case .ok: return answer + [content]
      case .err(let refusal): throw .refused(refusal)
      // The greeting, and what is said to everybody.
      case .info: continue
      default: answer.append(content)
      }
    }
  }

  private func send(_ text: String) throws(Failure) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .lost("the server went away") }
      rest = rest.dropFirst(count)
    }
  }

  private var waiting: [Message.Content] = []

  private func next() throws(Failure) -> Message.Content {
    while waiting.isEmpty { try receive() }
    return waiting.removeFirst()
  }

  private func receive() throws(Failure) {
    let result = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
      let count = recv(descriptor.number, buffer.baseAddress, buffer.count, 0)
      guard count > 0 else { return count }
      let chunk = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      var position = 0
      while let item = reader.next(chunk, &position) {
        guard case .line(let bytes) = item, let message = try? Message(bytes: bytes) else {
          continue
        }
        waiting.append(message.content)
      }
      return count
    }
    if result > 0 || (result < 0 && errno == EINTR) { return }
    throw .lost(
      result == 0
        ? "the server went away" : "the server does not answer (\(SystemError("recv").reason))")
  }
}

extension Descriptor {
  fileprivate func setTimeout(seconds: Int) throws(SystemError) {
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    let length = socklen_t(MemoryLayout<timeval>.size)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      guard setsockopt(number, SOL_SOCKET, option, &time, length) == 0 else {
        throw SystemError("setsockopt")
      }
    }
  }
}
