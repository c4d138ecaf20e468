// A node as the machine sees it: the core and the loop put together, with what a node has beside a
// server: its server to be found, a listener that may move, the owner's calls, news for the owner.
// The public class is built on top of this one.

import Glibc
import LineChatCore
import LineProtocol
import Logging
import Synchronization

/// Where a node listens for others.
public enum Listening: Hashable, Sendable {
  /// At the local address of its connection to the server, on the port that it had last where that
  /// is free, else on any free one. It moves with that address.
  case automatic
  /// There. Port 0 is the one that it had last, where that is free, else any free one.
  case at(ListenAddress)
  /// Nowhere: everything comes through the server.
  case relay
}

/// A node: one thread that runs the loop, driven by calls from any other.
///
/// The news are given to the closure that the node is made with, on the loop's thread, in order: it
/// must return soon, and may call `perform`, `post`, `status` and `stop`. Answers to calls are not
/// among them; they are given to the call's own closure, exactly once, on the loop's thread (or on the
/// caller's, before the call returns, where the call is not taken).
package final class NodeMachine: Sendable {
  package struct Configuration: Sendable {
    /// What the node is called, where it is new.
    package var name: MemberName
    /// It is to be called so even where it has had another name.
    package var isNameWanted = false
    /// Nil: a node without a server, which goes on with what its directory says.
    package var server: ServerAddress?
    package var listening = Listening.automatic
    /// What the others are told instead of where it listens: where something forwards a port to it.
    package var announced: Endpoint?
    /// The directory in which everything outlives the process, made where there is none. Nil: nothing
    /// is written, and there is no owner's socket.
    package var directory: String?
    /// To be joined as soon as the server is there.
    package var groups: [GroupName] = []
    /// A request's longest line in bytes, with its end: 512 to 65,536.
    package var lineBytesMax = WireLimits.lineBytes
    /// The memberships end with the connection to the server.
    package var isTransient = false
    /// What one address may have of the connections from others.
    package var quotas = Quotas()

    package init(name: MemberName) {
      self.name = name
      quotas.connections = MachineLimits.nodeConnectionsPerAddress
    }
  }

  package typealias Completion<Value> = @Sendable (Result<Value, NodeError>) -> Void

  private let configuration: Configuration
  private let logger: Logger
  private let surroundings: Surroundings
  private let news: @Sendable (News) -> Void
  private let runner = Runner<Peer>()
  private let mailbox = Mailbox()
  private let published = Published()

  /// Nothing is opened yet.
  package init(
    _ configuration: Configuration, logger: Logger, surroundings: Surroundings = Surroundings(),
    news: @escaping @Sendable (News) -> Void
  ) {
    self.configuration = configuration
    self.logger = logger
    self.surroundings = surroundings
    self.news = news
  }

  // MARK: Its life

  /// Takes the directory and what is in it, binds the owner's socket, and the listener where it is
  /// known already: the one that the user has named, or that of the last run.
  /// - Throws: an error that says what failed and what to do. Nothing is left open then.
  package func start() throws(NodeError) {
    do throws(ServerError) { try runner.start(prepare) } catch { throw NodeError(error) }
  }

  /// Works on the calling thread until `stop`. Calls that were not answered by then fail.
  /// - Throws: an error if the node was not started, runs already or has run; or if the system can no
  ///   longer wait for connections.
  package func run() throws(NodeError) {
    do throws(ServerError) {
      try runner.run { [self] in
        published.clear()
        mailbox.close()
      }
    } catch {
      throw NodeError(error)
    }
    logger.info("stopped")
  }

  /// Runs on a thread of its own; what ends it goes to the log.
  package func runOnOwnThread() throws(NodeError) {
    do throws(ServerError) {
      try runner.runOnOwnThread { [self] in
        do throws(NodeError) { try run() } catch { logger.critical("\(error)") }
      }
    } catch {
      throw NodeError(error)
    }
  }

  /// Ends the node within five seconds. Returns at once; may be called again. A node that does not run
  /// yet ends as soon as it does.
  package func stop() { runner.stop() }

  /// Waits until a running node has ended.
  package func waitUntilStopped() { runner.waitUntilStopped() }

  /// Where the node listens now. Nil: nowhere, or not yet.
  package var address: ListenAddress? { published.address }

  /// The path of the owner's socket; nil where there is none, or not yet.
  package var ownerSocket: String? { published.ownerSocket }

  // MARK: Calls

  /// Asks the node for something. Calls are carried out in their order; they may come before the
  /// node runs. An answer that is a refusal comes as an error of the kind `.refused`.
  package func perform(_ command: Command, _ completion: @escaping Completion<News.Answer>) {
    mailbox.perform(command, completion)
  }

  /// As `perform`, where nobody waits for the answer.
  /// - Throws: `.tooManyCalls` or `.stopped`; the call is not taken then.
  package func post(_ command: Command) throws(NodeError) { try mailbox.post(command) }

  /// What the node knows at the moment, behind the calls before this one.
  package func status(_ completion: @escaping Completion<NodeStatus>) {
    mailbox.status(completion)
  }

  /// What the loop lets other threads know.
  final class Published: Sendable {
    private let state = Mutex<(address: ListenAddress?, ownerSocket: String?)>((nil, nil))

    var address: ListenAddress? { state.withLock { $0.address } }
    var ownerSocket: String? { state.withLock { $0.ownerSocket } }

    func set(address: ListenAddress?) { state.withLock { $0.address = address } }
    func set(ownerSocket: String?) { state.withLock { $0.ownerSocket = ownerSocket } }
    func clear() { state.withLock { $0 = (nil, nil) } }
  }
}

// Starting.
extension NodeMachine {
  /// Binds what is known, and puts core and loop together.
  private func prepare(
    _ wake: WakePipe, _ shouldStop: StopFlag
  ) throws(ServerError) -> Loop<Peer> {
    let log = EventLog(logger)
    let bounds = LoopBounds(
      connectionsMax: DescriptorLimit.raise(
        forConnections: MachineLimits.nodeConnections, own: MachineLimits.nodeConnections, log),
      lineBytesMax: configuration.lineBytesMax, pendingBytesMax: MachineLimits.nodePendingBytes,
      pendingBytesTotalMax: MachineLimits.nodePendingBytesTotal, quotas: configuration.quotas)
    let saved = try configuration.directory.map { (path) throws(ServerError) in
      try SavedState<ReplicaState>.open(path, surroundings.storage)
    }
    let side = NodeSide(
      configuration, surroundings, mailbox, published, wake: wake, log: log, tell: news)
    let loop = Loop(
      Peer(coreConfiguration), side, bounds, clock: surroundings.clock, log: log, wake: wake,
      shouldStop: shouldStop)
    if let saved {
      let path = saved.directory.path
      loop.listen(at: try OwnerSocket.node.bind(in: path, log))
      try loop.takeUp(saved)
    }
    loop.watchForSleep()
    try loop.listenAtStart()
    loop.core.start(now: loop.now)
    published.set(ownerSocket: saved.map { OwnerSocket.node.path(in: $0.directory.path) })
    mailbox.open(wake)
    return loop
  }

  private var coreConfiguration: Peer.Configuration {
    var core = Peer.Configuration(name: configuration.name)
    core.version = lineChatVersion
    core.isNameWanted = configuration.isNameWanted
    core.server = configuration.server?.description
    core.seed = UInt64.random(in: .min ... .max)
    core.lineBytesMax = configuration.lineBytesMax
    core.groups = configuration.groups
    core.isTransient = configuration.isTransient
    return core
  }
}
