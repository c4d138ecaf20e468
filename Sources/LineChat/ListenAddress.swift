// Where a server listens, as a person writes it: `127.0.0.1:5463`, `[::1]:5463`, `localhost:5463`,
// `unix:/run/linechatd.sock`. A name is looked up once, when the server starts; what is listened
// on is always a literal address.

import Glibc
import LineProtocol

/// An address to listen on: an IP address or a host's name with a port, or a Unix socket's path.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// What kind of address it is.
  public enum Kind: Hashable, Sendable {
    /// A literal IP address. Port 0 asks the system for a free one.
    case tcp(IPAddress, port: UInt16)
    /// A host's name, looked up when the server starts.
    case named(String, port: UInt16)
    /// The path of a Unix socket.
    case unix(String)
  }

  public let kind: Kind

  /// Port 0 asks the system for a free one.
  public init(_ address: IPAddress, port: UInt16) { kind = .tcp(address, port: port) }

  init(name: String, port: UInt16) { kind = .named(name, port: port) }

  private init(_ kind: Kind) { self.kind = kind }

  /// Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. Nothing is looked up here.
  public init(parsing text: String) throws(Malformed) {
    if text.hasPrefix("unix:") {
      try self.init(path: String(text.dropFirst(5)))
    } else {
      try self.init(host: text)
    }
  }

  /// As it is written, in the form that `init(parsing:)` reads.
  public var description: String {
    switch kind {
    case .tcp(let address, let port): PeerAddress.tcp(address, port: port).description
    case .named(let name, let port): "\(name):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether others than this machine may reach it.
  public var isBeyondLoopback: Bool {
    switch kind {
    case .tcp(let address, _): !address.isLoopback
    case .named, .unix: false
    }
  }

  /// What a person on this machine types to connect, or on another where that is possible.
  package var joinCommand: String {
    switch kind {
    case .tcp(let address, let port):
      let outward = Interfaces.outwardAddress([address], among: Interfaces.addresses())
      return "nc \(outward ?? address) \(port)"
    case .named(let name, let port): return "nc \(name) \(port)"
    case .unix(let path): return "nc -U \(path)"
    }
  }

  /// Why a text is no address to listen on, for the person who wrote it.
  public struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
  }
}

// Reading.
extension ListenAddress {
  private init(path: String) throws(Malformed) {
    guard !path.isEmpty else {
      throw Malformed(description: "unix: needs a path behind it, such as unix:/run/linechatd.sock")
    }
    guard path.utf8.count <= SocketAddress.pathBytesMax, !path.utf8.contains(0) else {
      throw Malformed(
        description:
          "the path of a Unix socket may have \(SocketAddress.pathBytesMax) bytes at most: \(path)")
    }
    self.init(.unix(path))
  }

  private init(host text: String) throws(Malformed) {
    guard let colon = text.lastIndex(of: ":") else {
      throw Malformed(
        description:
          "\(text) has no port; an address looks like 127.0.0.1:5463, [::1]:5463 or unix:/path")
    }
    let host = text[..<colon]
    guard let port = ListenAddress.port(text[text.index(after: colon)...]) else {
      throw Malformed(
        description: "\(text) does not end in a port from 0 to 65535 (0: any free one)")
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      let literal = host.dropFirst().dropLast()
      guard literal.contains(":"), let address = IPAddress(literal) else {
        throw Malformed(description: "\(host) is no IPv6 address")
      }
      self.init(.tcp(address, port: port))
    } else if host.contains(":") {
      throw Malformed(
        description: "an IPv6 address is written in brackets: [\(host)]:\(port)")
    } else if host.isEmpty || host == "*" {
      throw Malformed(
        description: "name the host: 127.0.0.1:\(port) for this machine alone, "
          + "0.0.0.0:\(port) for every IPv4 address, [::]:\(port) for every IPv6 address")
    } else if let address = IPAddress(host) {
      self.init(.tcp(address, port: port))
    } else {
      guard ListenAddress.isName(host) else {
        throw Malformed(description: "\(host) is neither an IP address nor a host's name")
      }
      self.init(.named(String(host), port: port))
    }
  }

  /// 0…65535 in plain decimal.
  private static func port(_ text: Substring) -> UInt16? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
      text.utf8.count == 1 || text.utf8.first != 48
    else { return nil }
    return UInt16(text)
  }

  /// Letters, digits, dots, hyphens and underscores, and a letter among them: a wrongly written
  /// 127.1 must not be looked up as a name.
  private static func isName(_ text: Substring) -> Bool {
    text.utf8.count <= 253
      && text.utf8.allSatisfy {
        switch $0 {
        case 48...57, 65...90, 97...122, 45, 46, 95: true
        default: false
        }
      } && text.utf8.contains { (65...90).contains($0) || (97...122).contains($0) }
  }
}

// Names.
extension ListenAddress {
  /// The literal addresses that this one stands for: itself, or every address of the name. Asks the
  /// system's resolver, which may take its time.
  func resolved() throws(ServerError) -> [ListenAddress] {
    guard case .named(let name, let port) = kind else { return [self] }
    do throws(NameLookUp.Failure) {
      return try NameLookUp.addresses(of: name).map { ListenAddress($0, port: port) }
    } catch {
      throw ServerError(.noSuchAddress, error.description)
    }
  }
}
