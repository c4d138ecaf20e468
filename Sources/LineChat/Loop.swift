// The loop: joins a core, which knows what lines mean, and the sockets. A server and a node are the
// same loop, around another core.
//
// Theory of operation. Time passes in rounds. A round waits until something is ready, reads every
// ready connection once, hands the lines to the core, and at its end carries out what the core asks
// for and writes to each connection what the round has for it, with one call.
//
//     wait -> drained, accept, read -> timers -> settle: effects, writes, closes -> wait …
//
// The rules it keeps:
//   - Everything here happens on the one thread that runs the loop. Only `WakePipe`, the flag that
//     stops it, and what waits for the disk and has come back from it are touched by others.
//   - The core is told only what it must know, and never from within its own calls: what a failed
//     write means for it is collected and told when the writing is over.
//   - A round is bounded: bytes read from each and from all, bytes encoded, connections accepted,
//     pieces of listings. What is left is still there in the next round, which begins with it.
//   - A connection outlives its session: the session ends when the core says so, the connection
//     when what is due has been written and the other side has had its chance to read it.
//
// `exclusivity(unchecked)`: what is stored here, in Poller and in Connection is touched on the loop's
// thread alone, by one plain function at a time, and nothing is called back while it is changed. Having
// that checked at run time took a quarter of the instructions of a short visit.

import Glibc
import LineChatCore
import LineProtocol
import Logging
import Synchronization

final class Loop<C: DrivenCore & ~Copyable> {
  let bounds: LoopBounds
  let log: EventLog
  let wake: WakePipe
  let clock: MachineClock
  private let shouldStop: StopFlag

  let poller = Poller()
  @exclusivity(unchecked) var now: Instant

  /// Connections by their slot in the poller.
  @exclusivity(unchecked) var connections: [Connection?] = []
  @exclusivity(unchecked) var connectionCount = 0
  /// Those among them that were dialled.
  @exclusivity(unchecked) var dialledCount = 0
  /// Those of others, until they are closed, by the address that they come from.
  @exclusivity(unchecked) var comingFrom = AddressCounts()
  @exclusivity(unchecked) var sessionCount = 0
  /// Connections by the index of their session, for the writes: nothing is counted up and down on
  /// the way. They are kept alive by `connections`, and in their last round by `leaving`.
  @exclusivity(unchecked) var sessions: [Unmanaged<Connection>?] = []

  let readBuffer = UnsafeMutableRawBufferPointer.allocate(
    byteCount: MachineLimits.readBytes, alignment: 64)
  let gatherer = Gatherer()

  // What a round collects for its end, or for the next one.
  /// The core's wishes while they are carried out.
  @exclusivity(unchecked) private var effects: [Effect] = []
  /// Sessions whose connection is gone, for the core to be told.
  @exclusivity(unchecked) var lost: [(session: SessionID, reason: String)] = []
  /// Connections whose session has ended, by the core's wish or as slow consumers.
  @exclusivity(unchecked) var ending: [Connection] = []
  /// Connections that were dialled and that the core has nothing more to say to.
  @exclusivity(unchecked) var finishing: [Connection] = []
  /// Connections that leave the loop in this round.
  @exclusivity(unchecked) var leaving: [Connection] = []
  /// Slots of connections that were accepted in this round.
  @exclusivity(unchecked) var newcomers: [Poller.Slot] = []
  /// Slots of connections that had to be written empty for the core to go on, and are.
  @exclusivity(unchecked) var drained: [Poller.Slot] = []
  /// Slots of connections for which the kernel had no memory.
  @exclusivity(unchecked) var resting: [Poller.Slot] = []
  @exclusivity(unchecked) var restingUntil: Int64?
  /// Slots of connections that have just begun to linger.
  @exclusivity(unchecked) var parting: [Poller.Slot] = []
  @exclusivity(unchecked) var partingUntil: Int64?

  @exclusivity(unchecked) var dialling = Deadlines(
    delayMicroseconds: MachineLimits.dialMicroseconds)
  @exclusivity(unchecked) var lingering = Deadlines(
    delayMicroseconds: MachineLimits.lingerMicroseconds)
  @exclusivity(unchecked) var slow = Deadlines(
    delayMicroseconds: MachineLimits.slowConsumerMicroseconds)
  @exclusivity(unchecked) var stalling = Deadlines(
    delayMicroseconds: MachineLimits.closingStallMicroseconds)
  @exclusivity(unchecked) var pacing: Deadlines

  // Accepting.
  /// With their entries in the poller.
  @exclusivity(unchecked) private(set) var listeners: [(slot: Poller.Slot, listener: Listener)] = []
  private let wakeSlot: Poller.Slot
  @exclusivity(unchecked) var spare = Descriptor.placeholder()
  @exclusivity(unchecked) var acceptsAgainAt: Int64?
  @exclusivity(unchecked) var turnedAway = RepeatedEvent()
  @exclusivity(unchecked) var refused = RepeatedEvent()
  @exclusivity(unchecked) var refusedByQuota = RepeatedEvent()

  @exclusivity(unchecked) private var stopsAt: Int64?
  /// Where what must outlive the server goes; nil where everything is forgotten.
  @exclusivity(unchecked) var disk: Disk?

  // What STATS tells.
  @exclusivity(unchecked) var pendingBytes = 0
  @exclusivity(unchecked) var bytesReceived = 0
  @exclusivity(unchecked) var bytesSent = 0
  @exclusivity(unchecked) var slowConsumers = 0
  @exclusivity(unchecked) var refusedConnections = 0
  @exclusivity(unchecked) var quotaRefusals = 0
  @exclusivity(unchecked) var pauses = 0

  // Last, as their size is another for each kind of core.
  /// What only this kind of machine has.
  @exclusivity(unchecked) var side: C.Side
  @exclusivity(unchecked) var core: C

  init(
    _ core: consuming C, _ side: C.Side, _ bounds: LoopBounds, clock: MachineClock = .system,
    log: EventLog, wake: WakePipe, shouldStop: StopFlag
  ) {
    self.core = core
    self.side = side
    self.bounds = bounds
    pacing = Deadlines(delayMicroseconds: bounds.pace.pauseMicroseconds)
    self.clock = clock
    self.log = log
    self.wake = wake
    self.shouldStop = shouldStop
    now = clock.now()
    wakeSlot = poller.add(wake.number, .reading)
  }

  deinit { readBuffer.deallocate() }

  /// Runs until it has been stopped.
  func run() throws(SystemError) {
    defer {
      closeDisk(by: stopsAt ?? now.monotonicMicroseconds)
      _ = C.settled(self)
    }
    while !isDone {
      try poller.wait(waitMicroseconds)
      now = clock.now()
      C.roundBegan(self)
      goOnWithDrained()
      lookAtParting()
      serveReady()
      expire()
      if let due = core.nextDeadlineMicroseconds, due <= now.monotonicMicroseconds {
        core.tick(now: now)
      }
      settle()
      flushNotes()
      snapshotIfDue()
    }
  }

  // MARK: Waiting

  private var waitMicroseconds: Int64 {
    if !drained.isEmpty { return 0 }
    var until = Int64.max
    func consider(_ deadline: Int64?) { until = min(until, deadline ?? .max) }
    consider(core.nextDeadlineMicroseconds)
    consider(dialling.next)
    consider(lingering.next)
    consider(slow.next)
    consider(stalling.next)
    consider(pacing.next)
    consider(restingUntil)
    consider(partingUntil)
    consider(acceptsAgainAt)
    consider(stopsAt)
    consider(disk?.journal.snapshotDueMicroseconds)
    consider(C.deadline(self))
    return Poller.wait(until: until, now: clock.now().monotonicMicroseconds)
  }

  private func expire() {
    let time = now.monotonicMicroseconds
    expireConnections(time)
    if let due = restingUntil, due <= time { goOnWithResting() }
    if let due = acceptsAgainAt, due <= time { acceptAgain() }
  }

  // MARK: Serving

  private func serveReady() {
    var budget = MachineLimits.readBytesPerRound
    defer { newcomers.removeAll(keepingCapacity: true) }
    for entry in poller.ready {
      if let connection = connection(at: entry.slot) {
        guard budget > 0 else { return poller.begin(with: entry.slot) }
        budget -= serve(connection, entry)
        if core.fanOut.roundBytes > MachineLimits.roundBytes { settle() }
      } else if entry.slot == wakeSlot {
        wake.drain()
        takeOutcomes()
        C.woken(self)
        if shouldStop.isSet { beginStopping() }
      } else if let (_, listener) = listeners.first(where: { $0.slot == entry.slot }) {
        accept(from: listener)
      }
    }
    hearNewcomers(&budget)
  }

  func connection(at slot: Poller.Slot) -> Connection? {
    Int(slot) < connections.count ? connections[Int(slot)] : nil
  }

  func connection(of session: SessionID) -> Connection? {
    guard Int(session.index) < sessions.count,
      let connection = sessions[Int(session.index)]?.takeUnretainedValue(),
      connection.session == session
    else { return nil }
    return connection
  }

  // MARK: The end of a round

  /// Carries out what the core asked for and writes what it said, until nothing is left of either.
  /// It ends: only connections that break here bring it to another turn, and each breaks once.
  func settle() {
    repeat {
      while !lost.isEmpty || core.hasEffects {
        tellLost()
        carryOutEffects()
      }
      core.machine = counters
      // Whoever is dropped while writing is still the core's, until it has been told above.
      let ended = ending
      ending.removeAll(keepingCapacity: true)
      let finished = finishing
      finishing.removeAll(keepingCapacity: true)
      write()
      for connection in ended { close(connection) }
      for connection in finished { finishWriting(connection) }
      sortOutDrained()
      leave()
    } while !lost.isEmpty || core.hasEffects || C.settled(self)
  }

  private func tellLost() {
    for (session, reason) in lost { core.closed(session, reason: reason, now: now) }
    lost.removeAll(keepingCapacity: true)
  }

  /// The core's wishes, in order. What they lead to in the core comes after all of them.
  private func carryOutEffects() {
    core.takeEffects(into: &effects)
    defer { effects.removeAll(keepingCapacity: effects.count <= MachineLimits.effectsKept) }
    for effect in effects {
      switch effect {
      case .close(let session): end(session)
      case .overrun(let session):
        if let connection = connection(of: session) { dropAsSlow(connection) }
      case .resume(let session): resume(session)
      case .dial(let session, let endpoint, let source): dial(session, endpoint, from: source)
      case .dialServer(let session): C.dialServer(session, self)
      case .finish(let session): finish(session)
      case .persist(let record, let ticket): persist(record, ticket)
      case .note(let record): note(record)
      case .event(let event):
        log.record(event, now: now.monotonicMicroseconds) { self.connection(of: $0)?.peer }
      }
    }
    handIn()
  }

  var counters: MachineCounters {
    var counters = MachineCounters()
    counters.connections = sessionCount
    counters.pendingBytes = pendingBytes
    counters.bytesReceived = bytesReceived
    counters.bytesSent = bytesSent
    counters.slowConsumers = slowConsumers
    counters.refusedConnections = refusedConnections
    counters.quotaRefusals = quotaRefusals
    counters.pauses = pauses
    return counters
  }

  // MARK: Stopping

  private var isDone: Bool {
    guard let stopsAt else { return false }
    return stopsAt <= now.monotonicMicroseconds || (connectionCount == 0 && !isWriting)
  }

  private func beginStopping() {
    guard stopsAt == nil else { return }
    stopsAt = now.monotonicMicroseconds + MachineLimits.stoppingMicroseconds
    stopListening { _ in true }
    acceptsAgainAt = nil
    core.shutDown(now: now)
  }

  var isStopping: Bool { stopsAt != nil }

  // MARK: Listeners

  /// From now on, who connects there is served.
  func listen(at listener: Listener) {
    let slot = poller.add(listener.number, .reading)
    if acceptsAgainAt != nil { poller.ignore(slot) }
    listeners.append((slot, listener))
  }

  /// Nobody can connect there any more; the connections made there stay.
  func stopListening(where isMeant: (Listener) -> Bool) {
    listeners.removeAll { slot, listener in
      guard isMeant(listener) else { return false }
      poller.remove(slot)
      return true
    }
  }
}

/// What bounds a loop's memory, as its owner wishes.
struct LoopBounds {
  /// Connections from others at once.
  var connectionsMax: Int
  /// Of a request, with its end.
  var lineBytesMax: Int
  /// Bytes that may wait for one reader before it is dropped.
  var pendingBytesMax: Int
  /// Bytes that may wait for all of them before the one with the most is dropped.
  var pendingBytesTotalMax: Int
  /// What one address may have of the connections.
  var quotas = Quotas()
  /// How fast lines are taken from each who connects.
  var pace = Pace(linesPerSecond: 0)
}
