// A member that consists of a listening socket, as `nc -lk 5001` is one: takes a connection, reads it
// to its end, takes the next.

import CSystem
import Glibc
import LineChat
import LineProtocol

package final class TestListener {
  package let port: UInt16
  package let host = IPAddress(v4: 0x7F00_0001)
  private var descriptor: Int32 = -1
  private var filling: [Int32] = []

  /// Listens on a free port of 127.0.0.1, or on one that was free before.
  package init(port: UInt16? = nil) throws {
    (descriptor, self.port) = try TestListener.bound(to: port)
    guard listen(descriptor, 16) == 0 else { throw TestFailure("listen: errno \(errno)") }
  }

  /// A port of a host at which nobody listens now, and that the system does not give to others by
  /// itself: what is dialled while its listener is down must not be another test's.
  package static func unusedPort(
    of host: IPAddress = IPAddress(v4: 0x7F00_0001)
  ) throws -> UInt16 {
    let (descriptor, port) = try bound(to: nil, of: host)
    Glibc.close(descriptor)
    return port
  }

  static func bound(
    to wanted: UInt16?, of host: IPAddress = IPAddress(v4: 0x7F00_0001)
  ) throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(SocketAddress.family(of: host), kind, 0)
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    for _ in 1...1_000 {
      let port = wanted ?? .random(in: 20_000..<32_768)
      if SocketAddress.with(host, port: port, { bind(descriptor, $0, $1) }) == 0 {
        return (descriptor, port)
      }
      guard wanted == nil, errno == EADDRINUSE else { break }
    }
    let code = errno
    Glibc.close(descriptor)
    throw TestFailure("bind: errno \(code)")
  }

  package func endpoint() throws -> Endpoint {
    guard let endpoint = Endpoint(address: IPAddress(v4: 0x7F00_0001), port: port) else {
      throw TestFailure("not bound")
    }
    return endpoint
  }

  deinit { close() }

  static let kind = Int32(
    bitPattern: SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

  package func close() {
    for number in filling + [descriptor] where number >= 0 { Glibc.close(number) }
    filling = []
    descriptor = -1
  }

  /// From now on, whoever dials hears nothing at all: what the kernel takes in by itself is taken.
  package func becomeDeaf() throws {
    listen(descriptor, 0)
    let deadline = Deadline(seconds: 20)
    while !deadline.hasPassed {
      let number = socket(AF_INET, TestListener.kind, 0)
      filling.append(number)
      let host = IPAddress(v4: 0x7F00_0001)
      _ = SocketAddress.with(host, port: port) { connect(number, $0, $1) }
      var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
      if poll(&entry, 1, 50) == 0 { return }
    }
    throw TestFailure("the queue is never full")
  }

  /// The next connection, as a client is one: with lines to read, and a way to answer.
  package func accept(within seconds: Double = 20) throws -> TestClient {
    let deadline = Deadline(seconds: seconds)
    while true {
      let number = csystem_accept(descriptor, nil, nil)
      if number >= 0 { return TestClient(owning: number) }
      guard errno == EAGAIN, !deadline.hasPassed else {
        throw TestFailure("nobody dialled within \(seconds) s")
      }
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, deadline.milliseconds)
    }
  }

  /// So many lines, over however many connections they come. Each of them is read to its end.
  package func lines(_ count: Int) throws -> [String] {
    var lines: [String] = []
    while lines.count < count {
      let client = try accept()
      lines += try client.linesToEnd()
    }
    return lines
  }
}
