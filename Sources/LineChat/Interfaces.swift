// The addresses of this machine: what somebody connected over loopback may name as their own.

import Glibc
import LineProtocol

enum Interfaces {
  /// The addresses of all interfaces that are up, in order. Empty where the system does not say.
  static func addresses() -> [IPAddress] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: Set<IPAddress> = []
    var next = list
    while let entry = next?.pointee {
      if entry.ifa_flags & UInt32(IFF_UP) != 0, let pointer = entry.ifa_addr,
        case .tcp(let address, _) = SocketAddress.peer(at: pointer)
      {
        found.insert(address)
      }
      next = entry.ifa_next
    }
    return found.sorted()
  }

  /// The address by which other machines reach this one, where a listener allows it: the one
  /// listened on, or for a listener on all of them the first that means something to others, IPv4
  /// before IPv6.
  static func outwardAddress(_ listeners: [IPAddress], among own: [IPAddress]) -> IPAddress? {
    let outward = listeners.filter { !$0.isLoopback }
    if let one = outward.first(where: { !$0.isUnspecified }) { return one }
    guard !outward.isEmpty else { return nil }
    let known = own.filter { !$0.isLoopback && !$0.isLinkLocal && !$0.isUnspecified }
    let allowed = known.filter { address in
      outward.contains { $0.isIPv4 == address.isIPv4 }
    }
    return allowed.first(where: \.isIPv4) ?? allowed.first
  }
}
