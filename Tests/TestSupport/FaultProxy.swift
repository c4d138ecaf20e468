// A TCP proxy that does to connections what networks do: delay, stall, loss of one direction, resets,
// ends in the middle of a line, too little bandwidth, and a port that nobody answers at.
//
// It listens on an address of this machine and passes everything on to a target, on a thread of its
// own. Whatever a test changes holds when the call returns. Bytes that were passed on before are in
// the kernel's buffers, and arrive.
//
//     let proxy = try FaultProxy(to: server, source: .client)
//     proxy.change(.toTarget) { $0.isSilent = true }
//     …
//     proxy.heal()

import CSystem
import Foundation
import Glibc
import LineChat
import LineProtocol
import Synchronization

package final class FaultProxy: Sendable {
  package enum Direction: CaseIterable, Sendable {
    case toTarget, toClient
  }

  /// Where the proxy's own connections to the target come from.
  package enum Source: Sendable {
    /// As the system chooses.
    case system
    case address(IPAddress)
    /// From the client's address: a target that looks at its peer's host sees no difference.
    case client
  }

  package struct Counters: Hashable, Sendable {
    /// Accepted since the start.
    package var connections = 0
    package var open = 0
    /// The target did not answer.
    package var failedDials = 0
    /// Bytes passed on.
    package var toTarget = 0
    package var toClient = 0
  }

  /// Where it listens; does not change.
  package let endpoint: Endpoint

  package var address: ListenAddress { ListenAddress(endpoint.address, port: endpoint.port) }

  private let core: Core

  /// - Parameters:
  ///   - target: where connections lead.
  ///   - address: an address of this machine, at which it listens.
  ///   - port: nil: one that was free.
  package init(
    to target: Endpoint, at address: IPAddress = IPAddress(v4: 0x7F00_0001), port: UInt16? = nil,
    source: Source = .system
  ) throws {
    let (listener, port) = try TestListener.bound(to: port, of: address)
    guard let endpoint = Endpoint(address: address, port: port), listen(listener, 64) == 0 else {
      close(listener)
      throw TestFailure("listen: errno \(errno)")
    }
    self.endpoint = endpoint
    core = Core(listener, target, source, try WakePipe.make())
    Thread.detachNewThread { [core] in core.run() }
  }

  deinit { stop() }

  /// Changes what is wrong with one direction, or with both.
  package func change(_ direction: Direction? = nil, _ body: (inout Faults) -> Void) {
    core.update { state in
      if direction != .toClient { body(&state.toTarget) }
      if direction != .toTarget { body(&state.toClient) }
    }
  }

  /// Nothing is wrong any more. What was lost stays lost.
  package func heal() { change { $0 = Faults() } }

  /// The next line in that direction, of whichever connection, arrives in half, and then its
  /// receiver sees an orderly end; the sender's side is reset.
  package func cutNextLine(_ direction: Direction) {
    core.update { $0.cutting = direction }
  }

  /// Resets all connections, on both sides.
  package func reset() { core.update { $0.resetAll() } }

  /// While it refuses, nobody listens at the port. Connections that stand are not touched.
  package func refuse(_ isRefusing: Bool) throws {
    try core.update { state in
      if isRefusing {
        state.closeListener()
      } else if state.listener < 0 {
        let (listener, _) = try TestListener.bound(to: endpoint.port, of: endpoint.address)
        state.listener = listener
        guard listen(listener, 64) == 0 else { throw TestFailure("listen: errno \(errno)") }
      }
    }
  }

  /// Connections from now on lead there.
  package func lead(to target: Endpoint) { core.update { $0.target = target } }

  package var counters: Counters { core.update { $0.counters } }

  /// Resets everything and listens no more.
  package func stop() { core.update { $0.stop() } }
}

/// The state and its thread. The thread waits without the lock, and does everything else under it; a
/// test does the same. As every call to a socket is one that does not block, it matters to nobody
/// who comes first.
private final class Core: Sendable {
  private let state: Mutex<ProxyState>
  private let wake: WakePipe

  init(_ listener: Int32, _ target: Endpoint, _ source: FaultProxy.Source, _ wake: WakePipe) {
    state = Mutex(ProxyState(listener: listener, target: target, source: source))
    self.wake = wake
  }

  func update<Value: Sendable>(_ body: (inout ProxyState) throws -> Value) rethrows -> Value {
    defer { wake.wake() }
    return try state.withLock { try body(&$0) }
  }

  func run() {
    while true {
      guard
        let (entries, next) = state.withLock({ state -> ([pollfd], Int64?)? in
          state.isStopped ? nil : state.interest(Deadline.now)
        })
      else { return }
      var polled = [pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)] + entries
      let milliseconds = next.map { (max(0, $0 - Deadline.now) + 999_999) / 1_000_000 }
      poll(&polled, nfds_t(polled.count), milliseconds.map { Int32(clamping: $0) } ?? -1)
      wake.drain()
      state.withLock { $0.round(Deadline.now) }
    }
  }
}

private struct ProxyState: Sendable {
  var listener: Int32
  var target: Endpoint
  let source: FaultProxy.Source
  var toTarget = FaultProxy.Faults()
  var toClient = FaultProxy.Faults()
  var cutting: FaultProxy.Direction?
  var isStopped = false
  private var connections: [Connection] = []
  private var closed = FaultProxy.Counters()

  init(listener: Int32, target: Endpoint, source: FaultProxy.Source) {
    self.listener = listener
    self.target = target
    self.source = source
  }

  struct Connection: Sendable {
    /// -1: closed already.
    var client: Int32
    var target: Int32
    var isDialled = false
    var toTarget = FaultPipe()
    var toClient = FaultPipe()
    /// The other side has half a line; it is waited for.
    var isCut = false
    var isOver = false
  }

  var counters: FaultProxy.Counters {
    var counters = closed
    counters.open = connections.count
    for connection in connections {
      counters.toTarget += connection.toTarget.passedOn
      counters.toClient += connection.toClient.passedOn
    }
    return counters
  }

  // MARK: What to wait for

  func interest(_ now: Int64) -> (entries: [pollfd], next: Int64?) {
    var entries: [pollfd] = []
    var next: Int64?
    func add(_ number: Int32, reading: Bool, writing: Bool) {
      guard number >= 0, reading || writing else { return }
      let events = (reading ? POLLIN : 0) | (writing ? POLLOUT : 0)
      entries.append(pollfd(fd: number, events: Int16(events), revents: 0))
    }
    add(listener, reading: true, writing: false)
    for connection in connections {
      let (out, back) = (connection.toTarget, connection.toClient)
      if connection.isCut {
        add(connection.client, reading: true, writing: false)
        add(connection.target, reading: true, writing: false)
        continue
      }
      let isDialled = connection.isDialled
      add(
        connection.client, reading: out.wantsToRead(toTarget),
        writing: back.wantsToWrite(toClient, now))
      add(
        connection.target, reading: isDialled && back.wantsToRead(toClient),
        writing: !isDialled || out.wantsToWrite(toTarget, now))
      for time in [out.nextTime(toTarget, now), back.nextTime(toClient, now)] {
        if let time { next = min(next ?? time, time) }
      }
    }
    return (entries, next)
  }

  // MARK: A round

  mutating func round(_ now: Int64) {
    accept()
    for index in connections.indices {
      if connections[index].isCut {
        awaitEnd(index)
      } else {
        if !connections[index].isDialled { finishDial(index) }
        if connections[index].isOver { continue }
        pass(index, now)
      }
    }
    for connection in connections where connection.isOver { count(connection) }
    connections.removeAll { $0.isOver }
  }

  private mutating func count(_ connection: Connection) {
    closed.toTarget += connection.toTarget.passedOn
    closed.toClient += connection.toClient.passedOn
  }

  private mutating func pass(_ index: Int, _ now: Int64) {
    let (client, target) = (connections[index].client, connections[index].target)
    let reachable = connections[index].isDialled ? target : -1
    connections[index].toTarget.isToBeCut = cutting == .toTarget
    connections[index].toClient.isToBeCut = cutting == .toClient
    let out = connections[index].toTarget.round(from: client, to: reachable, toTarget, now)
    let back =
      reachable < 0
      ? .goesOn : connections[index].toClient.round(from: target, to: client, toClient, now)
    switch (out, back) {
    case (.wasReset, _), (_, .wasReset): reset(index)
    case (.isCut, _): cut(index, .toTarget)
    case (_, .isCut): cut(index, .toClient)
    case (.goesOn, .goesOn):
      guard connections[index].toTarget.isDone, connections[index].toClient.isDone else { return }
      close(client)
      close(target)
      connections[index].isOver = true
    }
  }

  // MARK: Ends

  private mutating func cut(_ index: Int, _ direction: FaultProxy.Direction) {
    cutting = nil
    connections[index].isCut = true
    switch direction {
    case .toTarget:
      ProxyState.reset(connections[index].client)
      connections[index].client = -1
      shutdown(connections[index].target, Int32(SHUT_WR))
    case .toClient:
      ProxyState.reset(connections[index].target)
      connections[index].target = -1
      shutdown(connections[index].client, Int32(SHUT_WR))
    }
  }

  /// A close before the receiver has ended could take the half line with it.
  private mutating func awaitEnd(_ index: Int) {
    let receiver = max(connections[index].client, connections[index].target)
    let isAtEnd = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { scratch in
      let count = recv(receiver, scratch.baseAddress, scratch.count, Int32(MSG_DONTWAIT))
      return count == 0 || count < 0 && errno != EAGAIN && errno != EINTR
    }
    guard isAtEnd else { return }
    close(receiver)
    connections[index].isOver = true
  }

  private mutating func reset(_ index: Int) {
    ProxyState.reset(connections[index].client)
    ProxyState.reset(connections[index].target)
    connections[index].isOver = true
  }

  private static func reset(_ number: Int32) {
    guard number >= 0 else { return }
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(number, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close(number)
  }

  mutating func resetAll() {
    for index in connections.indices {
      reset(index)
      count(connections[index])
    }
    connections = []
  }

  mutating func stop() {
    guard !isStopped else { return }
    resetAll()
    closeListener()
    isStopped = true
  }

  mutating func closeListener() {
    guard listener >= 0 else { return }
    // As long as the thread polls it, it is not closed; this ends its listening at once.
    shutdown(listener, Int32(SHUT_RD))
    close(listener)
    listener = -1
  }

  // MARK: Beginnings

  private mutating func accept() {
    while listener >= 0 {
      var address = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let client = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          csystem_accept(listener, $0, &length)
        }
      }
      guard client >= 0 else { return }
      closed.connections += 1
      ProxyState.sendAtOnce(client)
      let number = dial(from: IPAddress(of: address))
      guard number >= 0 else {
        closed.failedDials += 1
        ProxyState.reset(client)
        continue
      }
      connections.append(Connection(client: client, target: number))
    }
  }

  /// A connection under way to the target; -1: there is no way.
  private func dial(from client: IPAddress?) -> Int32 {
    let number = socket(SocketAddress.family(of: target.address), TestListener.kind, 0)
    guard number >= 0 else { return -1 }
    ProxyState.sendAtOnce(number)
    let origin: IPAddress? =
      switch source {
      case .system: nil
      case .address(let address): address
      case .client: client
      }
    if let origin {
      guard SocketAddress.with(origin, port: 0, { bind(number, $0, $1) }) == 0 else {
        close(number)
        return -1
      }
    }
    let result = SocketAddress.with(target.address, port: target.port) { connect(number, $0, $1) }
    if result != 0 && errno != EINPROGRESS {
      close(number)
      return -1
    }
    return number
  }

  private mutating func finishDial(_ index: Int) {
    let number = connections[index].target
    var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
    guard poll(&entry, 1, 0) > 0 else { return }
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(number, SOL_SOCKET, SO_ERROR, &code, &length)
    if code == 0 {
      connections[index].isDialled = true
    } else {
      closed.failedDials += 1
      reset(index)
    }
  }

  private static func sendAtOnce(_ number: Int32) {
    var on: Int32 = 1
    setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }
}
