// What only a node's loop does: calls of the owner's threads, news for the owner, a look now and then
// whether the machine has slept. How its server is found is in ServerSearch, where it listens in
// NodeListening.

import LineChatCore
import LineProtocol

/// What the loop of a node keeps for it.
struct NodeSide {
  let configuration: NodeMachine.Configuration
  let surroundings: Surroundings
  let mailbox: Mailbox
  let resolver: Resolver
  let published: NodeMachine.Published
  let log: NodeLog
  let tell: @Sendable (News) -> Void

  var watch: SleepWatch
  /// The entry of the watch's timer in the poller.
  var timerSlot: Poller.Slot?
  /// The search for the server that is under way.
  var search: ServerSearch?
  /// Where the others reach this node, as the server says it.
  var place: Place?
  /// Empty: memory for what the owner is told, which goes back and forth between here and the core.
  var news: [News] = []

  init(
    _ configuration: NodeMachine.Configuration, _ surroundings: Surroundings, _ mailbox: Mailbox,
    _ published: NodeMachine.Published, wake: WakePipe, log: EventLog,
    tell: @escaping @Sendable (News) -> Void
  ) {
    self.configuration = configuration
    self.surroundings = surroundings
    self.mailbox = mailbox
    self.published = published
    self.log = NodeLog(log, name: configuration.name, server: configuration.server)
    self.tell = tell
    resolver = Resolver(surroundings.lookUp, wake: wake)
    watch = SleepWatch(surroundings)
  }
}

extension Peer: DrivenCore {
  static var noun: String { "node" }

  static var withoutDisk: String {
    "messages are neither sent nor acknowledged, and nothing is joined or left"
  }

  func stored(_ side: NodeSide) -> ReplicaState { replicaState() }

  var storedBytes: Int { outboxBytes }

  static func follower(in directory: StateDirectory) throws(StorageError) -> (any JournalFollower)?
  {
    LogBook(try LogDirectory(in: directory.path))
  }

  static func roundBegan(_ loop: Loop<Peer>) {
    loop.lookAfterSearch()
    let surroundings = loop.side.surroundings
    let happened = loop.side.watch.look(surroundings, now: loop.now)
    if let slot = loop.side.timerSlot, loop.poller.ready.contains(where: { $0.slot == slot }) {
      loop.side.watch.setTimer(loop.now)
    }
    guard let what = happened else { return }
    loop.log.inform("\(what): looking after every connection")
    // A resolver asked in another network may never answer.
    loop.giveUpLookUp("the network has changed")
    loop.core.woke(now: loop.now)
  }

  static func deadline(_ loop: Loop<Peer>) -> Int64? {
    min(loop.side.watch.nextLookMicroseconds, loop.side.search?.lookUpEnds ?? .max)
  }

  static func woken(_ loop: Loop<Peer>) {
    loop.takeLookUps()
    for letter in loop.side.mailbox.take() {
      switch letter {
      case .perform(let command, let call): loop.core.perform(command, call: call, now: loop.now)
      case .status(let call): loop.side.mailbox.answer(call, loop.core.status(now: loop.now))
      }
    }
  }

  static func settled(_ loop: Loop<Peer>) -> Bool {
    guard loop.core.hasNews else { return false }
    var all: [News] = []
    swap(&all, &loop.side.news)
    loop.core.takeNews(into: &all)
    defer {
      all.removeAll(keepingCapacity: all.count <= MachineLimits.newsKept)
      swap(&all, &loop.side.news)
    }
    var isCoreTold = false
    for news in all {
      loop.side.log.record(news, now: loop.now.monotonicMicroseconds) {
        loop.connection(of: $0)?.peer
      }
      if case .answer(let call, let answer) = news {
        loop.side.mailbox.answer(call, answer)
      } else {
        if case .placed(let place) = news, loop.follow(place) { isCoreTold = true }
        loop.side.tell(news)
      }
    }
    return isCoreTold
  }

  static func dialServer(_ session: SessionID, _ loop: Loop<Peer>) { loop.searchServer(session) }

  static func dialled(_ session: SessionID, _ route: Route, _ loop: Loop<Peer>) {
    if loop.side.search?.session == session {
      loop.side.search = nil
      if let local = route.local { loop.listen(reaching: local.address) }
    }
    loop.core.dialled(session, route, now: loop.now)
  }

  static func dialFailed(_ session: SessionID, _ reason: String, _ loop: Loop<Peer>) {
    if loop.side.search?.session == session { return loop.searchOn(reason) }
    loop.core.dialFailed(session, reason: reason, now: loop.now)
  }

  static func abandoned(_ session: SessionID, _ loop: Loop<Peer>) {
    if loop.side.search?.session == session { loop.side.search = nil }
  }
}

extension ReplicaState: StoredContent {
  static let file = "replica.json"

  var fault: String? { nil }
}

extension Loop where C == Peer {
  /// Has the loop woken with the machine.
  func watchForSleep() {
    side.timerSlot = side.watch.timerNumber.map { poller.add($0, .reading) }
  }

  /// Goes on from what was found in the node's directory, before anybody is served.
  func takeUp(_ saved: SavedState<ReplicaState>) throws(ServerError) {
    try resume(saved)
    let path = escaped(saved.directory.path)
    let status = core.status(now: now)
    side.log.name = status.name
    if saved.content != nil {
      log.inform(
        "state directory \(path): \(status.name), groups: \(status.groups.count), messages to be "
          + "delivered: \(status.outboxMessages)")
    } else {
      log.inform("new state directory \(path)")
    }
  }
}
