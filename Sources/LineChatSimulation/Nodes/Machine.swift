// A machine in the world: a core, real line readers, a disk, sockets. It does what the real loop does,
// for a server's core and for a node's alike: works in rounds, in which what is ready is done in any
// order, and everybody gets at its end what the round has for them. It can crash, sleep, and start
// again with what its disk holds.

import LineChatCore
import LineProtocol

class Machine<C: Core & ~Copyable>: Node {
  private enum Task {
    case tick, disk
    case socket(Socket)
  }

  /// For the trace.
  let label: String
  private(set) var number = -1
  var core: C
  var address: IPAddress
  /// There is a process.
  private(set) var isUp = false
  private(set) var isAsleep = false
  /// How far this machine's calendar is from the world's.
  var calendarShift: Int64 = 0
  /// How long it has slept, by the clock that stands still meanwhile.
  private var slept: Int64 = 0
  private var asleepSince: Int64 = 0
  private var missed: [Cause] = []

  var sockets: [Socket] = []
  var byIndex: [UInt32: Socket] = [:]
  var disk: DiskThread
  /// What is on the disk while there is no process.
  var platter: SimulatedDisk
  private let sectorBytes: Int
  var emptyDisk: SimulatedDisk { SimulatedDisk(sectorBytes: sectorBytes) }
  /// What every write comes to.
  var diskFault: SimulatedDisk.Fault? {
    didSet { if isUp { disk.disk.standingFault = diskFault } }
  }
  /// The disk takes its time.
  var diskDelayMicroseconds = 0
  private var nextSnapshotAt: Int64 = 0

  /// From now on every write succeeds.
  func mendDisk() {
    diskFault = nil
    diskDelayMicroseconds = 0
    disk.disk.faults = [:]
    nextSnapshotAt = 0
  }

  private var hasRoundAhead = false
  /// The core has been told that a connection is gone while a round was written.
  var hasTold = false
  private var alarm = Int64.max
  private(set) var last: Int64 = 0

  init(
    _ label: String, _ address: IPAddress, _ core: consuming C, _ disk: DiskThread,
    sectorBytes: Int
  ) {
    self.label = label
    self.address = address
    self.core = core
    self.disk = disk
    self.sectorBytes = sectorBytes
    platter = SimulatedDisk(sectorBytes: sectorBytes)
  }

  func join(_ world: World) {
    number = world.add(self)
    world.streets.hosts[address] = number
  }

  // MARK: What differs

  /// The longest request that it takes.
  var lineBytesMax: Int { WireLimits.lineBytes }
  var snapshotFile: String { preconditionFailure("each kind of machine has its own") }
  /// A core for a new process, with what is on the disk.
  func prepare(_ content: [UInt8]?, _ records: [Record], _ world: World) {}
  /// The core's whole state.
  func state() -> [UInt8] { [] }
  /// It goes to work.
  func begin(_ world: World) {}
  /// What the core did has been carried out.
  func settled(_ world: World) {}
  func dialServer(_ id: SessionID, _ world: World) {}
  /// A connection that it dialled stands, and the core is to know.
  func stands(_ socket: Socket, _ world: World) {
    guard let id = socket.id else { return }
    tell(world) { core, now in core.dialled(id, socket.route, now: now) }
  }
  func timer(_ which: Int, _ world: World) {}
  /// After each round.
  func check(_ world: World) {}
  /// A line on its way to the core.
  func listens(_ bytes: UnsafeRawBufferPointer, _ socket: Socket) {}
  /// The same, where a fault is put in.
  func hears(_ line: [UInt8], _ socket: Socket, _ world: World) -> [UInt8]? { line }
  /// What is about to be written.
  func says(_ bytes: [UInt8], _ socket: Socket, _ world: World) -> [UInt8] { bytes }
  /// What was written in a round, to whom.
  func wrote(_ all: [(Socket, [UInt8])], _ world: World) {}
  /// The key that it shows.
  var key: Identity? { nil }
  func persists(_ record: Record, _ ticket: Ticket, _ world: World) { disk.persist(record, ticket) }
  func notes(_ record: Record, _ world: World) { disk.note(record) }
  func persisted(_ ticket: Ticket, _ isWritten: Bool, _ world: World) {
    world.note("\(label) record \(ticket.number) \(isWritten ? "is on disk" : "failed")")
    tell(world) { core, now in
      if isWritten {
        core.persisted(ticket, now: now)
      } else {
        core.persistFailed(ticket, reason: "no space left on device", now: now)
      }
    }
  }

  // MARK: Life

  /// Starts a process; where the disk does not let it, later.
  func start(_ world: World) {
    guard !isUp, !isAsleep, world.failure == nil else { return }
    world.note("\(label) starts")
    platter.standingFault = diskFault
    do throws(Recovery.Failure) {
      let (recovery, journal) = try Recovery.start(platter, snapshotFile: snapshotFile)
      last = max(last, world.now - slept)
      prepare(recovery.content, recovery.records.map { Record($0.message) }, world)
      disk = DiskThread(journal, carriesNotes: C.carriesNotes)
    } catch {
      if diskFault == nil { return world.fail("\(label) does not start: \(error)") }
      return world.after(1_000_000, wake: number, number: Wake.start)
    }
    disk.snapshot(state())
    _ = disk.begin()
    disk.write()
    guard case .snapshotTaken? = disk.takeOutcome() else {
      platter = disk.disk
      return world.after(1_000_000, wake: number, number: Wake.start)
    }
    isUp = true
    hasRoundAhead = false
    alarm = .max
    nextSnapshotAt = 0
    begin(world)
    requestRound(world)
  }

  /// The process ends at once; where it is the machine that ends, nobody is told, and what was not
  /// synced is lost.
  func crash(_ world: World, losesPower: Bool) {
    guard isUp else { return }
    world.note("\(label) \(losesPower ? "loses its power" : "is killed")")
    isUp = false
    let steps = world.chance(2) ? world.random(1...6) : nil
    let survival: SimulatedDisk.Survival =
      losesPower ? .chance(world.random.next()) : .everything
    platter = disk.crash(survival, afterSteps: steps)
    for socket in sockets {
      if losesPower {
        world.vanish(socket.link, by: socket.side)
      } else {
        world.abandon(socket.link, by: socket.side)
      }
    }
    (sockets, byIndex) = ([], [:])
    stopListening(world)
  }

  func listen(_ endpoint: Endpoint, _ world: World) {
    world.streets.listeners[endpoint] = number
  }

  func stopListening(_ world: World) {
    for (endpoint, node) in world.streets.listeners where node == number {
      world.streets.listeners[endpoint] = nil
    }
  }

  /// The machine is suspended: nothing comes in or goes out.
  func sleep(_ microseconds: Int64, _ world: World) {
    guard !isAsleep else { return }
    world.note("\(label) sleeps for \(microseconds) microseconds")
    isAsleep = true
    asleepSince = world.now
    for other in 0..<world.nodeCount where other != number {
      world.cut(number, other)
      world.cut(other, number)
    }
    world.after(microseconds, wake: number, number: Wake.awake)
  }

  func awake(_ world: World) {
    guard isAsleep else { return }
    world.note("\(label) is awake again")
    isAsleep = false
    slept += world.now - asleepSince
    for other in 0..<world.nodeCount where other != number {
      world.mend(number, other)
      world.mend(other, number)
    }
    let missed = missed
    self.missed = []
    hasRoundAhead = false
    alarm = .max
    for cause in missed { wake(cause, in: world) }
    guard isUp else { return start(world) }
    world.after(0, wake: number, number: Wake.disk)
    woke(world)
    requestRound(world)
  }

  func woke(_ world: World) {}

  // MARK: Being woken

  enum Wake {
    static var round: Int { 0 }
    static var alarm: Int { 1 }
    static var disk: Int { 2 }
    static var start: Int { 3 }
    static var awake: Int { 4 }
    /// What the kind of machine uses for itself.
    static var own: Int { 10 }
  }

  func wake(_ cause: Cause, in world: World) {
    if case .timer(Wake.awake) = cause { return awake(world) }
    if isAsleep { return miss(cause) }
    if case .timer(Wake.start) = cause { return start(world) }
    if case .opened(let link) = cause, !isUp { return world.reset(link, by: .server) }
    if case .timer(let which) = cause, which >= Wake.own { return timer(which, world) }
    guard isUp else { return }
    switch cause {
    case .timer(Wake.round): return round(world)
    case .timer(Wake.disk): wroteToDisk(world)
    case .timer: break
    case .opened(let link):
      sockets.append(Socket(link, .server, lineBytesMax: lineBytesMax))
    case .connected(let link): socket(link)?.hasConnected = true
    case .refused(let link): socket(link)?.isRefused = true
    case .arrived(let link, let bytes): socket(link)?.input += bytes
    case .ended(let link): socket(link)?.end = .ended
    case .reset(let link): socket(link)?.end = .reset
    case .taken(let link, let isAll):
      socket(link)?.hasTaken = true
      guard isAll else { return }
      socket(link)?.isDrained = true
    }
    requestRound(world)
  }

  /// What comes to a machine that sleeps waits for it.
  private func miss(_ cause: Cause) {
    if case .timer(let which) = cause, which < Wake.start { return }
    missed.append(cause)
  }

  func socket(_ link: Link) -> Socket? { sockets.first { $0.link === link } }

  func socket(of id: SessionID) -> Socket? {
    byIndex[id.index].flatMap { $0.id == id ? $0 : nil }
  }

  func requestRound(_ world: World) {
    guard !hasRoundAhead, isUp, !isAsleep else { return }
    hasRoundAhead = true
    var delay = world.random(0...(world.isHealing ? 10 : world.options.roundMicrosecondsMax))
    if !world.isHealing, world.options.nodes.stallsOneIn > 0,
      world.chance(world.options.nodes.stallsOneIn)
    {
      delay += world.random(0...8_000_000)
    }
    world.after(Int64(delay), wake: number, number: Wake.round)
  }

  /// The loop is held up no more: its next round comes now, and not when a stall would have ended.
  func goOn(_ world: World) {
    hasRoundAhead = false
    requestRound(world)
  }

  /// The time of the next event: it always goes on.
  func moment(_ world: World) -> Instant {
    last = max(last + 1, (isAsleep ? asleepSince : world.now) - slept)
    return Instant(
      monotonicMicroseconds: last, wallMicroseconds: world.now + world.calendarShift + calendarShift
    )
  }

  // MARK: A round

  private func round(_ world: World) {
    hasRoundAhead = false
    var tasks: [Task] = sockets.map { .socket($0) }
    tasks += [.tick, .disk]
    tasks.shuffle(using: &world.random)
    for task in tasks where world.failure == nil { perform(task, world) }
    guard world.failure == nil else { return }
    endRound(world)
    write(world)
    check(world)
    setAlarm(world)
  }

  private func perform(_ task: Task, _ world: World) {
    switch task {
    case .tick:
      if world.options.nodes.sabotage == .forgetTick { return }
      tell(world) { core, now in core.tick(now: now) }
    case .disk:
      while let outcome = disk.takeOutcome() {
        switch outcome {
        case .persisted(let ticket): persisted(ticket, true, world)
        case .failed(let ticket): persisted(ticket, false, world)
        case .snapshotTaken: nextSnapshotAt = 0
        case .snapshotFailed: nextSnapshotAt = last + 1_000_000
        }
      }
    case .socket(let socket): serve(socket, world)
    }
  }

  /// What happens to the core, and what it wants done because of it.
  func tell(_ world: World, _ event: (inout C, Instant) -> Void) {
    guard world.failure == nil else { return }
    let now = moment(world)
    event(&core, now)
    settle(world)
  }

  /// What is to be written is written, later.
  private func write(_ world: World) {
    disk.flushNotes()
    let isDue =
      disk.journal.isSnapshotDue || disk.hasLostNotes
      || world.chance(world.options.nodes.snapshotsOneIn)
    if isDue && !disk.isSnapshotUnderWay && nextSnapshotAt <= last { disk.snapshot(state()) }
    beginWriting(world)
  }

  private func beginWriting(_ world: World) {
    guard disk.begin() else { return }
    let most = world.isHealing ? 0 : world.options.diskDelayMicrosecondsMax + diskDelayMicroseconds
    world.after(Int64(world.random(0...most)), wake: number, number: Wake.disk)
  }

  private func setAlarm(_ world: World) {
    if disk.hasOutcomes { requestRound(world) }
    let wishes = [core.nextDeadlineMicroseconds] + sockets.map(\.deadline)
    guard let next = wishes.compactMap({ $0 }).min() else { return }
    let isLate = world.options.hasLateTimers && !world.isHealing
    let present = world.now - slept
    let at = max(next, present) + (isLate ? Int64(world.random(0...50_000)) : 0)
    guard at < alarm || alarm <= present else { return }
    alarm = at
    world.after(at - present, wake: number, number: Wake.alarm)
  }

  /// The thread has written.
  func wroteToDisk(_ world: World) {
    guard disk.isBusy else { return }
    let oneIn = world.options.diskFailsOneIn
    if oneIn > 0 && !world.isHealing && world.chance(oneIn) {
      let step = disk.disk.steps + world.random(1...4)
      disk.disk.faults[step] = .failure(SimulatedDisk.inputOutput)
    }
    disk.write()
    beginWriting(world)
  }
}

extension Record {
  /// A message as the line it came from.
  init(_ message: Message) {
    self.init(line: Array(message.render().utf8.dropLast()))
  }
}
