// What one address may have of a server or a node: so that somebody with one machine cannot take
// everything that there is for all. Pure: who counts says which address it is about.
//
// The rules it keeps:
//   - This machine (a loopback address, a Unix socket) is not counted unless that is wished: whoever
//     is on it has other means, and behind a tunnel everybody is.
//   - A network of IPv6 is one address: a host there gives itself as many as it likes, all with the
//     same first 64 bits.

import LineProtocol

/// What one address may have; 0 is as much as there is.
package struct Quotas: Sendable, Hashable {
  /// Connections at once.
  package var connections = 0
  /// Names that were chosen, or that belong to durable members, whether they are connected or not.
  package var names = 0
  /// Groups that it has made, as long as they are there.
  package var groups = 0
  /// Whether this machine's own addresses count as well.
  package var countsLoopback = false

  package init() {}

  /// The address that something from there counts for; nil where it is not counted.
  package func counted(_ origin: Origin) -> IPAddress? {
    switch origin.host {
    case .tcp(let address):
      return address.isLoopback && !countsLoopback ? nil : address.network
    case .unix, .owner: return countsLoopback ? IPAddress(v4: 0x7F00_0001) : nil
    }
  }
}

extension IPAddress {
  /// An IPv4 address, or the first 64 bits of an IPv6 one.
  fileprivate var network: IPAddress { isIPv4 ? self : IPAddress(high: high, low: 0) }
}

/// How many of something each address has. Addresses that have none cost nothing.
package struct AddressCounts: Sendable, Equatable {
  private var counts: [IPAddress: Int] = [:]

  package init() {}

  package subscript(_ address: IPAddress) -> Int { counts[address, default: 0] }

  /// How many addresses have something.
  package var addresses: Int { counts.count }

  package mutating func add(_ address: IPAddress?) {
    guard let address else { return }
    counts[address, default: 0] += 1
  }

  /// What is taken away must have been there.
  package mutating func remove(_ address: IPAddress?) {
    guard let address else { return }
    guard let count = counts[address] else {
      preconditionFailure("only what was counted can be taken away")
    }
    counts[address] = count > 1 ? count - 1 : nil
  }
}
