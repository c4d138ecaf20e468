// Where a node listens. What the others are told is decided by the server, from where it sees us; so
// the listener follows the connection to the server, and what the server makes of it.
//
//   automatic   at the local address of that connection. Before the server has been reached: where it
//               was the last time, so that a node whose server is dead can still be found. On the
//               server's own machine the others are told another address than loopback, where it has
//               one for them; then the listener is there.
//   at          where the user says, from the start. On all addresses of the machine, the others are
//               told the one by which the server sees us.
//   relay       nowhere.
//
// A port that was had before is taken again where it is free: others may know it.

import LineChatCore
import LineProtocol

extension Loop where C == Peer {
  /// Before the node goes to work.
  func listenAtStart() throws(ServerError) {
    side.place = core.status(now: now).place
    switch side.configuration.listening {
    case .relay: core.listens(at: nil, isExplicit: false, now: now)
    case .at(let address):
      if case .unix = address.kind {
        throw ServerError(.noSuchAddress, "a node listens at an IP address, not at \(address)")
      }
      try listen(explicitlyAt: address)
      tellCore(reaching: core.listens?.address)
    case .automatic:
      guard let kept = core.listens else { return }
      // Where that is not possible now, the port stays the one to be tried when the server is there.
      do throws(ServerError) {
        open(try Listener.bind(kept.address, port: kept.port, for: "linechat"))
        tellCore(reaching: kept.address)
      } catch {
        log.inform("not listening before the server is there: \(error)")
      }
    }
  }

  private func listen(explicitlyAt address: ListenAddress) throws(ServerError) {
    if let port = core.listens?.port, let kept = address.atAnyPort(port) {
      do throws(ServerError) {
        return try Listener.bind(kept, for: "linechat").forEach(open)
      } catch {
        log.inform("the port of before is not to be had: \(error)")
      }
    }
    try Listener.bind(address, for: "linechat").forEach(open)
  }

  /// The server is about to be told where this node listens; it sees us come from `local`.
  func listen(reaching local: IPAddress) {
    if side.configuration.listening == .automatic && !stays(for: local) { move(to: local) }
    tellCore(reaching: local)
  }

  /// Whether the listener is where it should be. On the server's own machine, that may be where the
  /// server has placed it.
  private func stays(for local: IPAddress) -> Bool {
    guard let present = ownListeners.first?.address.endpoint else { return false }
    if present.address == local { return true }
    guard local.isLoopback, case .direct(let placed) = side.place, !placed.address.isLoopback else {
      return false
    }
    return placed == present && side.surroundings.addresses().contains(placed.address)
  }

  /// The server has placed us. Returns whether the core has been told that the listener has moved.
  func follow(_ place: Place) -> Bool {
    side.place = place
    guard side.configuration.listening == .automatic, case .direct(let placed) = place,
      let present = ownListeners.first?.address.endpoint, present.port == placed.port,
      present.address.isLoopback, present.address != placed.address,
      side.surroundings.addresses().contains(placed.address)
    else { return false }
    move(to: placed.address)
    tellCore(reaching: placed.address)
    return true
  }

  private func move(to address: IPAddress) {
    let port = ownListeners.first?.address.endpoint?.port ?? core.listens?.port ?? 0
    let listener: Listener
    do throws(ServerError) {
      listener = try bound(to: address, preferring: port)
    } catch {
      log.warn("cannot listen, others reach this node through the server: \(error)")
      return stopListening { !$0.isOwners }
    }
    stopListening { !$0.isOwners }
    open(listener)
  }

  private func bound(
    to address: IPAddress, preferring port: UInt16
  ) throws(ServerError) -> Listener {
    if port > 0 {
      do throws(ServerError) {
        return try Listener.bind(address, port: port, for: "linechat")
      } catch {
        log.inform("the port of before is not to be had: \(error)")
      }
    }
    return try Listener.bind(address, port: 0, for: "linechat")
  }

  private func open(_ listener: Listener) {
    listen(at: listener)
    log.inform("listening on \(listener.address)")
  }

  /// `local` is an address by which others know this machine, if one is known.
  private func tellCore(reaching local: IPAddress?) {
    var (endpoint, isExplicit) = reachable(from: local)
    if let announced = side.configuration.announced, endpoint != nil {
      (endpoint, isExplicit) = (announced, true)
    }
    side.published.set(address: ownListeners.first?.address)
    core.listens(at: endpoint, isExplicit: isExplicit, now: now)
  }

  private func reachable(from local: IPAddress?) -> (Endpoint?, isExplicit: Bool) {
    let endpoints = ownListeners.map(\.address)
    let isMeant = { (address: IPAddress) in local.map { $0.isIPv4 == address.isIPv4 } ?? true }
    for case .tcp(let address, let port) in endpoints.map(\.kind) where isMeant(address) {
      guard address.isUnspecified else {
        let isExplicit = side.configuration.listening != .automatic
        return (Endpoint(address: address, port: port), isExplicit)
      }
      let own = local ?? Interfaces.outwardAddress([address], among: side.surroundings.addresses())
      return (own.flatMap { Endpoint(address: $0, port: port) }, false)
    }
    return (nil, false)
  }

  private var ownListeners: [Listener] { listeners.map(\.listener).filter { !$0.isOwners } }

  /// Where our end of the connection to the server is to be: where we listen, if the user has named
  /// the host, for the server lets us have no other.
  func ownEnd(towards server: IPAddress) -> IPAddress? {
    guard case .at = side.configuration.listening else { return nil }
    return ownListeners.compactMap { $0.address.endpoint?.address }.first {
      $0.isIPv4 == server.isIPv4 && $0.isLoopback == server.isLoopback && !$0.isUnspecified
    }
  }
}

extension ListenAddress {
  fileprivate var endpoint: Endpoint? {
    guard case .tcp(let address, let port) = kind else { return nil }
    return Endpoint(address: address, port: port)
  }

  /// With that port in the place of any free one; nil where a port was named.
  fileprivate func atAnyPort(_ port: UInt16) -> ListenAddress? {
    switch kind {
    case .tcp(let address, 0): ListenAddress(address, port: port)
    case .named(let name, 0): ListenAddress(name: name, port: port)
    case .tcp, .named, .unix: nil
    }
  }
}
