// What a node asks of the machine it runs on, besides sockets. A test of what happens when the
// machine sleeps, moves to another network or finds its server elsewhere puts its own in their place.

import Glibc
import LineChatCore
import LineProtocol

package struct Surroundings: Sendable {
  package var clock = MachineClock.system

  /// The machine's own addresses, in order.
  package var addresses: @Sendable () -> [IPAddress] = { Interfaces.addresses() }

  /// Looks a host's name up; may take its time, and is called on a thread of its own.
  package var lookUp: @Sendable (_ name: String) -> Result<[IPAddress], NameLookUp.Failure> = {
    (name) in
    Result { () throws(NameLookUp.Failure) in try NameLookUp.addresses(of: name) }
  }

  package var storage: StorageMaker = { (path) throws(StorageError) in try FileStorage(path) }

  package init() {}
}

/// Addresses for names, as the system's resolver knows them.
package enum NameLookUp {
  /// Why there is no address, for people.
  package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
  }

  /// Every address of the name, each once, the one to be tried first in front. Blocks.
  static func addresses(of name: String) throws(Failure) -> [IPAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Descriptor.streamKind
    var list: UnsafeMutablePointer<addrinfo>?
    let failure = getaddrinfo(name, nil, &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    guard failure == 0 else {
      if failure == EAI_NONAME { throw Failure("no such host \(name)") }
      let reason =
        failure == EAI_SYSTEM
        ? SystemError("getaddrinfo").reason
        : gai_strerror(failure).map { String(cString: $0) } ?? "error \(failure)"
      throw Failure("\(name) cannot be looked up: \(reason)")
    }
    var found: [IPAddress] = []
    var next = list
    while let entry = next?.pointee {
      if let pointer = entry.ai_addr, case .tcp(let address, _) = SocketAddress.peer(at: pointer),
        !found.contains(address)
      {
        found.append(address)
      }
      next = entry.ai_next
    }
    guard !found.isEmpty else { throw Failure("\(name) has no IP address") }
    return found
  }
}
