// Where a node finds its server, as a person writes it: `chat.example`, `chat.example:5463`,
// `10.0.0.1:5463`, `[::1]:5463`. A name is looked up anew each time the server is dialled.

import LineProtocol

/// The address of a server: a host's name or an IP address, and a port.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
  /// Where servers listen unless told otherwise: L-I-N-E on a telephone's keys.
  public static let defaultPort: UInt16 = 5_463

  enum Host: Hashable, Sendable {
    case literal(IPAddress)
    case name(String)
  }

  let host: Host

  /// 1…65535.
  public let port: UInt16

  /// A server at a literal address.
  public init(_ endpoint: Endpoint) {
    host = .literal(endpoint.address)
    port = endpoint.port
  }

  /// Reads `HOST:PORT` or `[IPV6]:PORT`; without a port it is `defaultPort`. Nothing is looked up
  /// here.
  public init(parsing text: String) throws(ListenAddress.Malformed) {
    guard !text.isEmpty, !text.hasPrefix(":") || text.hasPrefix("::") else {
      throw ListenAddress.Malformed(description: "name the server's host: HOST:PORT, or HOST")
    }
    let isWithoutPort = !text.contains(":") || (text.hasPrefix("[") && text.hasSuffix("]"))
    // A number that is no port at all is none to listen at either, but that is not what was meant; an
    // IPv6 address without brackets is told as such.
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let isPort = parts.last.flatMap { Int($0) }.map { (1...65_535).contains($0) }
    guard isWithoutPort || isPort ?? (parts.count > 2 || text.hasPrefix("unix:")) else {
      throw ListenAddress.Malformed(description: "\(text) does not end in a port from 1 to 65535")
    }
    let address = try ListenAddress(parsing: isWithoutPort ? "\(text):\(Self.defaultPort)" : text)
    switch address.kind {
    case .tcp(let literal, let port):
      guard !literal.isUnspecified else {
        throw ListenAddress.Malformed(
          description: "\(text) is an address to listen on, not one to reach")
      }
      host = .literal(literal)
      self.port = port
    case .named(let name, let port):
      host = .name(name)
      self.port = port
    case .unix:
      throw ListenAddress.Malformed(description: "a server is reached at HOST:PORT, not at \(text)")
    }
    guard port > 0 else {
      throw ListenAddress.Malformed(description: "\(text) does not end in a port from 1 to 65535")
    }
  }

  /// As it is written, in the form that `init(parsing:)` reads.
  public var description: String {
    switch host {
    case .literal(let address): ListenAddress(address, port: port).description
    case .name(let name): "\(name):\(port)"
    }
  }
}
