// Addresses as the kernel takes and gives them, from and to the protocol's own. An IPv4 address
// that comes in an IPv6 socket's clothes (::ffff:a.b.c.d) is the IPv4 address.

import Glibc
import LineProtocol

/// The other end of a connection, as the kernel tells it.
package enum PeerAddress: Hashable, Sendable, CustomStringConvertible {
  case tcp(IPAddress, port: UInt16)
  case unix
  /// The socket in the server's own data directory.
  case owner

  /// Comes over a network, where a browser could be made to connect.
  var isRemote: Bool {
    switch self {
    case .tcp: true
    case .unix, .owner: false
    }
  }

  var endpoint: Endpoint? {
    switch self {
    case .tcp(let address, let port): Endpoint(address: address, port: port)
    case .unix, .owner: nil
    }
  }

  package var description: String {
    switch self {
    case .tcp(let address, let port):
      address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    case .unix: "unix socket"
    case .owner: "owner's socket"
    }
  }
}

package enum SocketAddress {
  /// A path for a Unix socket may be this long; its terminating zero comes after it.
  static let pathBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

  package static func family(of address: IPAddress) -> Int32 { address.isIPv4 ? AF_INET : AF_INET6 }

  /// Lends the kernel's form of an address and a port.
  package static func with<Result>(
    _ address: IPAddress, port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    if address.isIPv4 {
      var form = sockaddr_in()
      form.sin_family = sa_family_t(AF_INET)
      form.sin_port = port.bigEndian
      form.sin_addr.s_addr = address.v4.bigEndian
      return lend(&form, body)
    }
    var form = sockaddr_in6()
    form.sin6_family = sa_family_t(AF_INET6)
    form.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &form.sin6_addr) {
      $0.storeBytes(of: address.high.bigEndian, toByteOffset: 0, as: UInt64.self)
      $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return lend(&form, body)
  }

  /// Lends the kernel's form of a path, which must have at most `pathBytesMax` bytes.
  package static func with<Result>(
    path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    precondition(path.utf8.count <= pathBytesMax, "ListenAddress has checked the length")
    var form = sockaddr_un()
    form.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &form.sun_path) { $0.copyBytes(from: path.utf8) }
    return lend(&form, body)
  }

  /// The address in `pointer`, which points to a whole sockaddr of its family; nil for a family
  /// that we do not speak.
  static func peer(at pointer: UnsafePointer<sockaddr>) -> PeerAddress? {
    let raw = UnsafeRawPointer(pointer)
    switch Int32(pointer.pointee.sa_family) {
    case AF_INET:
      let form = raw.loadUnaligned(as: sockaddr_in.self)
      return .tcp(
        IPAddress(v4: UInt32(bigEndian: form.sin_addr.s_addr)),
        port: UInt16(bigEndian: form.sin_port))
    case AF_INET6:
      let form = raw.loadUnaligned(as: sockaddr_in6.self)
      return .tcp(address(form.sin6_addr), port: UInt16(bigEndian: form.sin6_port))
    case AF_UNIX: return .unix
    default: return nil
    }
  }

  /// Lets `fill` write an address of any family, and reads it. A Unix peer has no name of its own.
  static func receive(
    _ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> (result: Int32, peer: PeerAddress?) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        let result = fill($0, &length)
        return (result, result < 0 ? nil : peer(at: $0))
      }
    }
  }

  /// A socket's own end.
  static func local(of descriptor: borrowing Descriptor) -> PeerAddress? {
    let number = descriptor.number
    return receive { getsockname(number, $0, $1) }.peer
  }

  /// The port that a socket got where it asked for any.
  static func localPort(of descriptor: borrowing Descriptor) throws(SystemError) -> UInt16 {
    guard let local = local(of: descriptor) else { throw SystemError("getsockname") }
    return local.endpoint?.port ?? 0
  }

  private static func address(_ bytes: in6_addr) -> IPAddress {
    withUnsafeBytes(of: bytes) {
      IPAddress(
        high: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
        low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }
  }

  private static func lend<Form, Result>(
    _ form: inout Form, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: &form) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<Form>.size))
      }
    }
  }
}
