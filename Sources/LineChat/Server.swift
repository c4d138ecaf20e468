// The server as a library: a core and a loop put together, behind the few calls that a program
// needs. `linechatd` is one such program.

import Glibc
import LineChatCore
import LineProtocol
import Logging
import Synchronization

/// A chat server: listens, and passes on what its members say.
///
/// ```swift
/// var configuration = Server.Configuration()
/// configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
/// let server = try Server.launch(configuration, logger: Logger(label: "chat"))
/// print("others join with: nc \(server.addresses[0])")
/// …
/// server.stop()
/// server.waitUntilStopped()
/// ```
///
/// The whole server runs on one thread: the one that calls `run`, or its own after `launch`. The
/// logger is used on that thread, so a handler that blocks makes the server wait. All calls may come
/// from any thread. A server runs once; to run again, make another one.
///
/// `start` raises the process's soft limit of open descriptors to what `connectionsMax` needs.
/// Signals are left alone: what is written to a closed connection raises none.
public final class Server: Sendable {
  /// What a server is to do.
  public struct Configuration: Sendable {
    /// Where to listen; at least one address.
    public var listen: [ListenAddress] = [ListenAddress(IPAddress(v4: 0x7F00_0001), port: 5463)]

    /// Connections at once; whoever comes after them is told so and let go. A lower limit of
    /// descriptors lowers it.
    public var connectionsMax = 10_000

    /// Connections at once from one address; 0 for no such limit. An IPv6 address counts as its
    /// network of 64 bits. This and the next two do not count who comes from this machine, over
    /// loopback or a Unix socket, unless `quotasCountLoopback` says so.
    public var connectionsPerAddressMax = 1_000

    /// Names that one address may have: those that were chosen and are connected, and those of
    /// durable members that belong to it. 0 for no such limit.
    public var namesPerAddressMax = 1_000

    /// Groups that were made from one address and are still there. 0 for no such limit.
    public var groupsPerAddressMax = 1_000

    /// Whether who comes from this machine is counted as well: for tests, and where a tunnel ends here.
    public var quotasCountLoopback = false

    /// Lines a second that are taken from one connection; who sends more is not read from for a
    /// while. 0 for no such limit.
    public var linesPerSecondMax = 0

    /// A request's longest line in bytes, with its end: 512 to 65,536.
    public var lineBytesMax = 65_536

    /// Bytes that may wait for one slow reader before it is dropped.
    public var pendingBytesMax = 8 << 20

    /// Bytes that may wait for all slow readers together before the one with the most is dropped.
    public var pendingBytesTotalMax = 256 << 20

    /// The directory in which durable members, and what is kept for them, outlive the server. It is
    /// made where there is none, and used by one server at a time. Nil: everything ends with the
    /// server.
    public var dataDirectory: String?

    /// A durable member that was neither connected nor reached for so long is dropped, in seconds.
    public var memberTTLSeconds = 30 * 86_400

    public init() {}
  }

  private let configuration: Configuration
  private let logger: Logger
  private let storage: StorageMaker
  private let runner = Runner<Directory>()
  private let bound = Mutex<[ListenAddress]>([])

  /// Nothing is opened yet.
  public convenience init(_ configuration: Configuration = Configuration(), logger: Logger) {
    self.init(configuration, logger: logger) { path throws(StorageError) in
      try FileStorage(path)
    }
  }

  /// A server whose files go through a storage of the caller's own.
  package init(
    _ configuration: Configuration, logger: Logger, storage: @escaping StorageMaker
  ) {
    self.configuration = configuration
    self.logger = logger
    self.storage = storage
  }

  /// Starts a server on a thread of its own. Returns when it listens.
  /// - Throws: what `start` throws.
  public static func launch(
    _ configuration: Configuration = Configuration(), logger: Logger
  ) throws(ServerError) -> Server {
    let server = Server(configuration, logger: logger)
    try server.launch()
    return server
  }

  package func launch() throws(ServerError) {
    try start()
    try runner.runOnOwnThread { [self] in
      do throws(ServerError) { try run() } catch { logger.critical("\(error)") }
    }
  }

  /// The addresses listened on, port 0 replaced by the real one and names by addresses. Empty
  /// before `start`.
  public var addresses: [ListenAddress] { bound.withLock { $0 } }

  /// Takes the data directory and what is in it, and binds every address. Connections that come from
  /// now on wait until the server runs.
  /// - Throws: an error that says what failed and what to do. Nothing is left open then.
  public func start() throws(ServerError) {
    try runner.start(prepare)
  }

  /// Serves on the calling thread until `stop`. Returns when every connection has been given what
  /// was due to it, at most five seconds after that.
  /// - Throws: an error if the server was not started, runs already or has run; or if the system
  ///   can no longer wait for connections.
  public func run() throws(ServerError) {
    try runner.run()
    logger.info("stopped")
  }

  /// Ends the server: no new connections, everybody is told, what is due is written, within five
  /// seconds. Returns at once; may be called again. A server that does not run yet ends as soon as
  /// it does.
  public func stop() { runner.stop() }

  /// Waits until a running server has ended.
  public func waitUntilStopped() { runner.waitUntilStopped() }
}

// Starting.
extension Server {
  /// Binds, and puts core and loop together.
  private func prepare(
    _ wake: WakePipe, _ shouldStop: StopFlag
  ) throws(ServerError) -> Loop<Directory> {
    guard !configuration.listen.isEmpty else {
      throw ServerError(.noSuchAddress, "name at least one address to listen on")
    }
    let log = EventLog(logger)
    let bounds = LoopBounds(
      connectionsMax: DescriptorLimit.raise(
        forConnections: configuration.connectionsMax, own: Limits.dials, log),
      lineBytesMax: configuration.lineBytesMax, pendingBytesMax: configuration.pendingBytesMax,
      pendingBytesTotalMax: configuration.pendingBytesTotalMax, quotas: configuration.quotas,
      pace: Pace(linesPerSecond: configuration.linesPerSecondMax))
    let saved = try configuration.dataDirectory.map { (path) throws(ServerError) in
      try SavedState<StoredState>.open(path, storage)
    }
    var listeners: [Listener] = []
    for address in configuration.listen {
      listeners += try Listener.bind(address, for: "linechatd")
    }
    let side = ServerSide(
      serverID: saved?.content?.serverID ?? UInt64.random(in: .min ... .max),
      versionStart: max((saved?.content?.start ?? 0) + 1, SystemClock.unixMilliseconds))
    let core = coreConfiguration(listeners, side, bounds, isTracing: log.isTracing)
    let loop = Loop(
      Directory(core), side, bounds, log: log, wake: wake, shouldStop: shouldStop)
    for listener in listeners { loop.listen(at: listener) }
    if let saved {
      loop.listen(at: try OwnerSocket.server.bind(in: saved.directory.path, log))
      try loop.takeUp(saved)
    }
    for listener in listeners { log.inform("listening on \(listener.address)") }
    bound.withLock { $0 = listeners.map(\.address) }
    return loop
  }

  private func coreConfiguration(
    _ listeners: [Listener], _ side: ServerSide, _ bounds: LoopBounds, isTracing: Bool
  ) -> Directory.Configuration {
    var core = Directory.Configuration()
    core.version = lineChatVersion
    core.serverID = side.serverID
    core.seed = UInt64.random(in: .min ... .max)
    core.versionStart = side.versionStart
    let yearsMax = 1_000
    let seconds = min(max(1, configuration.memberTTLSeconds), yearsMax * 366 * 86_400)
    core.memberTTLMicroseconds = Int64(seconds) * 1_000_000
    core.lineBytesMax = configuration.lineBytesMax
    core.quotas = bounds.quotas
    core.connectionsMax = bounds.connectionsMax
    core.linesPerSecondMax = configuration.linesPerSecondMax
    core.isTracing = isTracing
    let own = Interfaces.addresses()
    var listened: [IPAddress] = []
    var endpoints: Set<Endpoint> = []
    for listener in listeners {
      guard case .tcp(let address, let port) = listener.address.kind else { continue }
      listened.append(address)
      // A listener on all addresses is at each of them, and at those that only the core tells apart:
      // all of 127.0.0.0/8.
      if let endpoint = Endpoint(address: address, port: port) { endpoints.insert(endpoint) }
      let reached = address.isUnspecified ? own.filter { $0.isIPv4 == address.isIPv4 } : [address]
      for address in reached {
        if let endpoint = Endpoint(address: address, port: port) { endpoints.insert(endpoint) }
      }
    }
    core.localAddresses = Set(own).union(listened.filter { !$0.isUnspecified })
    core.listenEndpoints = endpoints
    core.loopbackSubstitute = Interfaces.outwardAddress(listened, among: own)
    return core
  }
}

extension Server.Configuration {
  fileprivate var quotas: Quotas {
    var quotas = Quotas()
    quotas.connections = max(0, connectionsPerAddressMax)
    quotas.names = max(0, namesPerAddressMax)
    quotas.groups = max(0, groupsPerAddressMax)
    quotas.countsLoopback = quotasCountLoopback
    return quotas
  }
}
