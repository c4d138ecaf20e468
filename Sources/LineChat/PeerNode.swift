// A node as a library: a member who listens, sends to the others directly, and goes on when the server
// is gone, behind the few calls that a bot, a shell or a service needs. `linechat node` is one such
// program, examples/bot another.

import LineChatCore
import LineProtocol
import Logging

/// A member of chat groups: hears what is said there, and says something itself.
///
/// ```swift
/// var configuration = try PeerNode.Configuration(
///   name: "echo", server: "127.0.0.1:5463", groups: ["lobby"])
/// configuration.storage = try .profile("echo")
/// let node = try PeerNode.launch(configuration)
/// for await case .message(let message) in node.events {
///   if message.path == .own || message.isFromBeforeStart { continue }
///   try node.post(message.text, answering: message)
/// }
/// ```
///
/// **Threads.** The whole node runs on one thread: its own after `launch`, or the one that calls `run`.
/// All calls may come from any thread or task, and a node needs no actor around it: it is `Sendable`,
/// and so is everything that goes in or comes out. The logger is used on the node's thread, so a
/// handler that blocks makes the node wait; a slow reader of `events` does not.
///
/// **Its life.** The server need not be there when a node starts: it is looked for until it is found,
/// and found again when it was lost. A node runs until it is stopped, whether or not anybody holds it.
/// It runs once; to run again, make another one. Signals are left alone.
///
/// **What is promised.** What `send` has taken over is on this node's disk (with a storage), and gets to
/// each recipient once, in the order in which it was sent there, over this node's and the recipient's
/// crashes; or its failing is told. What is heard is in the journal before it is told.
public final class PeerNode: Sendable {
  /// What a node is to be.
  public struct Configuration: Sendable {
    /// What the node is called, where its storage knows no other name of it.
    public var name: MemberName

    /// It is to be called so even where its storage knows another name of it.
    public var isNameWanted = false

    /// Where its server is. Nil: it has none, and goes on with what its storage says.
    public var server: ServerAddress?

    /// Where it listens for others.
    public var listening = Listening.automatic

    /// Where others reach it, if that is not where it listens: something forwards that port to it (a
    /// container, a router). The server lets a node announce only addresses that it connects from.
    public var announced: Endpoint?

    /// Where it keeps what must outlive it.
    public var storage = Storage.none

    /// To be joined as soon as the server is there, in addition to those that its storage knows.
    public var groups: [GroupName] = []

    /// A line's longest, in bytes with its end: 512 to 65,536. Longer ones are refused, those to be
    /// sent as well as those from others.
    public var lineBytesMax = WireLimits.lineBytes

    /// It is no durable member: its memberships end with its connection to the server, nothing is kept
    /// for it there, and others reach it through the server alone. For runs of one command.
    public var isTransient = false

    /// Events that may wait in `events`; at least 1.
    public var eventsMax = 4_096

    /// A node of that name, without a server.
    public init(name: MemberName) { self.name = name }

    /// The same from texts, as a person writes them: names, and `HOST:PORT` or `HOST`.
    /// - Throws: an error of the kind `.refused` that says which text is wrong.
    public init(name: String, server: String, groups: [String] = []) throws(NodeError) {
      guard let memberName = MemberName(name) else {
        throw NodeError(
          .refused(.badName),
          "'\(escaped(name))' is no name: a letter, then up to 31 letters, digits, '_', '.' or '-'")
      }
      self.init(name: memberName)
      do throws(ListenAddress.Malformed) { self.server = try ServerAddress(parsing: server) } catch
      {
        throw NodeError(.refused(.badAddress), escaped(error.description))
      }
      for text in groups {
        guard let group = GroupName(text) else {
          throw NodeError(
            .refused(.badGroup),
            "'\(escaped(text))' is no group: 1 to 64 letters, digits, '_', '.' or '-'")
        }
        self.groups.append(group)
      }
    }
  }

  /// Where a node keeps what must outlive it: who it is, its groups, what it has heard and said, and
  /// what waits to be sent.
  public enum Storage: Hashable, Sendable {
    /// Nowhere: everything ends with the node. For tests.
    case none
    /// In that directory, made where there is none, for its owner alone. One node at a time uses it.
    case directory(String)

    /// The directory of a profile, where `linechat` has it: `$XDG_STATE_HOME/linechat/PROFILE`, or
    /// `~/.local/state/linechat/PROFILE`. `parent` is another directory instead of `linechat`.
    /// - Throws: `.refused(.badName)` where the name is none for a profile; `.badDirectory` where the
    ///   environment does not say where such directories are.
    public static func profile(
      _ name: String, in parent: String? = nil
    ) throws(NodeError) -> Storage {
      guard GroupName(name) != nil, !name.hasPrefix("."), !name.hasPrefix("#") else {
        throw NodeError(
          .refused(.badName),
          "'\(escaped(name))' is no profile: 1 to 64 letters, digits, '_', '.' or '-', and no dot "
            + "at the start")
      }
      if let parent { return .directory("\(parent)/\(name)") }
      do throws(ServerError) {
        return .directory(try StateDirectory.defaultPath(for: "linechat") + "/" + name)
      } catch {
        throw NodeError(error)
      }
    }
  }

  private let machine: NodeMachine
  private let queue: EventQueue
  private let sink: @Sendable (NodeEvent) -> Void

  /// Nothing is opened yet. Calls may come already; they are carried out when the node runs.
  /// - Parameters:
  ///   - logger: what happens to the node, in plain words; nil: nothing is logged. Texts of messages
  ///     are logged at the level `trace` alone.
  ///   - sink: is given each event, in order, instead of `events`, which is empty then. It is called
  ///     on the node's thread, which waits for it: it must return soon. It may make calls that do not
  ///     wait (`post`, `stop`).
  public init(
    _ configuration: Configuration, logger: Logger? = nil,
    sink: (@Sendable (NodeEvent) -> Void)? = nil
  ) {
    let queue = EventQueue(countMax: configuration.eventsMax)
    self.queue = queue
    if sink != nil { queue.end() }
    let tell = sink ?? { queue.offer($0) }
    self.sink = tell
    machine = NodeMachine(
      configuration.machine,
      logger: logger ?? Logger(label: "linechat") { _ in SwiftLogNoOpLogHandler() }
    ) { news in
      if let event = NodeEvent(news) { tell(event) }
    }
  }

  /// Starts a node on a thread of its own. Returns when its directory is taken, and where it was told
  /// where to listen, it listens; the server may still be away.
  /// - Throws: what `start` throws.
  public static func launch(
    _ configuration: Configuration, logger: Logger? = nil,
    sink: (@Sendable (NodeEvent) -> Void)? = nil
  ) throws(NodeError) -> PeerNode {
    let node = PeerNode(configuration, logger: logger, sink: sink)
    try node.start()
    do throws(SystemError) {
      try Thread.start {
        do throws(NodeError) { try node.run() } catch { logger?.critical("\(error)") }
      }
    } catch {
      throw NodeError(.system, "cannot start a thread: \(error)", cause: error)
    }
    return node
  }

  // MARK: Its life

  /// Takes the directory and what is in it, and listens, where it was told where.
  /// - Throws: an error that says what failed and what to do. Nothing is left open then.
  public func start() throws(NodeError) { try machine.start() }

  /// Works on the calling thread until `stop`, which it may take five seconds to obey.
  /// - Throws: `.wrongOrder` if the node was not started, runs already or has run; `.system` if the
  ///   system can no longer wait for connections.
  public func run() throws(NodeError) {
    do throws(NodeError) { try machine.run() } catch {
      // Another thread may be running it all the same.
      if error.kind != .wrongOrder { queue.end() }
      throw error
    }
    queue.end()
  }

  /// Ends the node: what is due is written, within five seconds. What still waits for somebody stays in
  /// the storage, for the next run. Returns at once; may be called again. A node that does not run yet
  /// ends as soon as it does. Calls that were not answered by then fail with `.stopped`.
  public func stop() { machine.stop() }

  /// Blocks the calling thread until a running node has ended. In a task, wait for the end of `events`
  /// instead.
  public func waitUntilStopped() { machine.waitUntilStopped() }

  /// What happens to the node and what it hears, since it was made. Empty where it has a sink.
  public var events: NodeEvents { NodeEvents(queue: queue) }

  /// Where the node listens now. Nil: nowhere, or not yet.
  public var address: ListenAddress? { machine.address }

  /// The path of the socket in its directory, where whoever may open it speaks as the node; nil where
  /// there is none.
  public var ownerSocket: String? { machine.ownerSocket }
}

// Calls.
extension PeerNode {
  /// Says something in a group or to a person. Returns when it is known for each recipient whether it
  /// has the message, waits for it, or will not get it; after about a second in any case, and then what
  /// is still under way counts as waiting. What changes later is told by `NodeEvent.delivery`.
  ///
  /// A text is one line: not empty, without control characters, and no longer than a line may be. A
  /// name that nobody in this node's groups has is asked of the server; where it knows nobody of that
  /// name either, the receipt says that it failed.
  ///
  /// - Throws: `.refused` where it is not taken over: the node is not in that group (`.notMember`), there
  ///   is no such person (`.noSuchPeer`), the text is none (`.badSyntax`, `.badEncoding`,
  ///   `.lineTooLong`), the outbox is full (`.rateLimited`), or the disk did not take it
  ///   (`.internalError`). `.tooManyCalls`, `.stopped`, `.cancelled`: see there.
  @discardableResult
  public func send(_ text: String, to target: NodeTarget) async throws(NodeError) -> Receipt {
    guard case .receipt(let receipt) = try await ask(target.saying(text)) else {
      preconditionFailure("what is said is answered by a receipt")
    }
    return receipt
  }

  /// Says something in a group; see `send(_:to:)` of a target.
  @discardableResult
  public func send(_ text: String, to group: GroupName) async throws(NodeError) -> Receipt {
    try await send(text, to: .group(group))
  }

  /// Says something to a person; see `send(_:to:)` of a target.
  @discardableResult
  public func send(_ text: String, to person: Recipient) async throws(NodeError) -> Receipt {
    try await send(text, to: .person(person))
  }

  /// Answers a message where it was said: in its group, or to the person who said it.
  /// - Throws: what `send(_:to:)` throws; `.refused(.noSuchPeer)` where nothing shows who said it.
  @discardableResult
  public func send(
    _ text: String, answering message: ChatMessage
  ) async throws(NodeError) -> Receipt {
    try await send(text, to: NodeTarget(answering: message))
  }

  /// Says something without waiting for what becomes of it, which comes as an event: `.posted` or
  /// `.notPosted`. Messages go out in the order of the calls to `post` and `send`.
  /// - Throws: `.tooManyCalls` where so many wait for an answer that this one is not taken: wait for
  ///   events, and try again. `.stopped`.
  public func post(_ text: String, to target: NodeTarget) throws(NodeError) {
    let sink = sink
    let outcome = PostOutcome()
    machine.perform(target.saying(text)) { result in
      switch result {
      case .success(.receipt(let receipt)): sink(.posted(receipt))
      case .success: preconditionFailure("what is said is answered by a receipt")
      case .failure(let error):
        if outcome.isFailure(error) { return }
        sink(.notPosted(text, to: target, error))
      }
    }
    if let error = outcome.failureBeforeReturn() { throw error }
  }

  /// Says something in a group without waiting; see `post(_:to:)` of a target.
  public func post(_ text: String, to group: GroupName) throws(NodeError) {
    try post(text, to: .group(group))
  }

  /// Says something to a person without waiting; see `post(_:to:)` of a target.
  public func post(_ text: String, to person: Recipient) throws(NodeError) {
    try post(text, to: .person(person))
  }

  /// Answers a message where it was said, without waiting; see `post(_:to:)` of a target.
  /// - Throws: `.refused(.noSuchPeer)` where nothing shows who said it.
  public func post(_ text: String, answering message: ChatMessage) throws(NodeError) {
    try post(text, to: NodeTarget(answering: message))
  }

  /// Joins a group, which is made where there is none. Returns its members, this node included, when
  /// the membership is on the server's disk and on this node's.
  /// - Throws: `.refused(.unreachable)` where the server is away; `.refused` with what else the server
  ///   says.
  @discardableResult
  public func join(_ group: GroupName) async throws(NodeError) -> [GroupMember] {
    try await memberList(.join(group))
  }

  /// Leaves a group. Returns when that is on this node's disk; the server is told now, or when it is
  /// there again.
  /// - Throws: `.refused(.notMember)` where the node is not in.
  public func leave(_ group: GroupName) async throws(NodeError) { _ = try await ask(.leave(group)) }

  /// Takes another name.
  /// - Throws: `.refused(.nameTaken)` where somebody else has it; `.refused(.unreachable)` where the
  ///   server is away.
  public func rename(to name: MemberName) async throws(NodeError) {
    _ = try await ask(.rename(name))
  }

  /// Who is in a group that this node is in, this node included, in the order of joining; as this node
  /// knows it, also while the server is away.
  /// - Throws: `.refused(.noSuchGroup)` where the node is not in.
  public func members(of group: GroupName) async throws(NodeError) -> [GroupMember] {
    try await memberList(.members(group))
  }

  /// The server's groups; where it is away, those that this node is in.
  public func groups() async throws(NodeError) -> [GroupCount] {
    guard case .groups(let groups) = try await ask(.groups) else {
      preconditionFailure("groups are answered by groups")
    }
    return groups
  }

  /// What the node knows of itself and of the others, behind the calls before this one.
  public func status() async throws(NodeError) -> NodeStatus {
    try await Call<NodeStatus>.result { [machine] in machine.status($0) }
  }

  private func memberList(_ command: Command) async throws(NodeError) -> [GroupMember] {
    guard case .members(_, let entries) = try await ask(command) else {
      preconditionFailure("members are answered by members")
    }
    return entries.map { GroupMember($0) }
  }

  private func ask(_ command: Command) async throws(NodeError) -> News.Answer {
    try await Call<News.Answer>.result { [machine] in machine.perform(command, $0) }
  }
}

extension PeerNode.Configuration {
  fileprivate var machine: NodeMachine.Configuration {
    var machine = NodeMachine.Configuration(name: name)
    machine.isNameWanted = isNameWanted
    machine.server = server
    machine.listening = listening
    machine.announced = announced
    if case .directory(let path) = storage { machine.directory = path }
    machine.groups = groups
    machine.lineBytesMax = lineBytesMax
    machine.isTransient = isTransient
    return machine
  }
}
