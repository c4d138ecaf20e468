// The server in the world: the real directory and real line readers, a disk, and beside them the
// model, which is told the same things in the same order and holds every line that comes out to
// what is due. It works in rounds as the real loop does: what is ready is done in any order, then
// everybody gets at once what the round has for them.

import LineChatCore
import LineProtocol

final class ServerNode: Node {
  /// A connection, from the link's opening until both sides have ended it.
  final class Connection {
    enum End { case open, ended, reset }

    let link: Link
    var id: SessionID?
    var caller: Caller?
    var reader: LineReader
    var input: [UInt8] = []
    var end = End.open
    var isFinished = false
    var isDrained = false
    /// It took some of what is due to it: a sign of life.
    var hasTaken = false
    /// The core does not accept its lines until it says `resume`.
    var isPaused = false
    /// The core has asked for its closing, or was told that it is gone.
    var isClosing = false
    var isGone = false

    init(_ link: Link, lineBytesMax: Int) {
      self.link = link
      reader = LineReader(lineBytesMax: lineBytesMax, refusesHTTP: link.isTCP)
    }
  }

  private enum Task {
    case tick
    case disk
    case dials
    case connection(Connection)
  }

  let model: Model
  var directory: Directory
  private(set) var number = 0
  private(set) var connections: [Connection] = []
  var byIndex: [UInt32: Connection] = [:]
  var writes: [(at: Int64, ticket: Ticket)] = []
  private var hasRoundAhead = false
  private var alarm = Int64.max
  private(set) var last: Int64 = 0
  let network = Network()
  let journal = Ledger()
  private var configuration: Directory.Configuration
  /// Effects that are being carried out: some lead to others at once.
  var depth = 0
  private var isShutDown = false

  init(_ options: Options) {
    var configuration = Directory.Configuration()
    configuration.version = "1"
    configuration.seed = options.seed
    configuration.versionStart = 7
    configuration.lineBytesMax = options.lineBytesMax
    configuration.listingPieceBytes = options.listingPieceBytes
    configuration.localAddresses = Workload.localAddresses
    configuration.listenEndpoints = Workload.listenEndpoints
    if options.hasLoopbackSubstitute {
      configuration.loopbackSubstitute = Workload.localAddresses.min()
    }
    // Who is not seen for long is dropped: not in worlds whose calendar jumps about.
    configuration.memberTTLMicroseconds = 100 * 365 * 86_400_000_000
    directory = Directory(configuration)
    self.configuration = configuration
    model = Model(
      Model.Configuration(
        versionStart: configuration.versionStart, localAddresses: configuration.localAddresses,
        listenEndpoints: configuration.listenEndpoints,
        loopbackSubstitute: configuration.loopbackSubstitute))
  }

  func join(_ world: World) {
    number = world.add(self)
    model.isListing = { [unowned self] number in
      guard let id = connections.first(where: { $0.link.number == number })?.id else {
        return false
      }
      return model.callers[number]?.isFlushing == false && directory.awaitsDrain(id)
    }
  }

  /// Another process, which knows nothing yet.
  func start(_ options: Options) {
    if options.sabotage != .repeatVersions { configuration.versionStart += 1 }
    configuration.seed &+= 0x9e37_79b9
    directory = Directory(configuration)
    alarm = .max
  }

  /// All that the process held is gone.
  func letGo(_ world: World) {
    for connection in connections { world.reset(connection.link) }
    (connections, byIndex, writes) = ([], [:], [])
    network.clear()
  }

  // MARK: Being woken

  func wake(_ cause: Cause, in world: World) {
    switch cause {
    case .timer(let which):
      if which == 0 { return round(world) }
    case .connected, .refused: return
    case .opened(let link):
      connections.append(Connection(link, lineBytesMax: world.options.lineBytesMax))
    case .arrived(let link, let bytes): connection(link)?.input += bytes
    case .ended(let link):
      connection(link)?.end = .ended
    case .reset(let link): connection(link)?.end = .reset
    case .taken(let link, let isAll):
      connection(link)?.hasTaken = true
      guard isAll else { return }
      connection(link)?.isDrained = true
    }
    requestRound(world)
  }

  private func connection(_ link: Link) -> Connection? { connections.first { $0.link === link } }

  func requestRound(_ world: World) {
    guard !hasRoundAhead else { return }
    hasRoundAhead = true
    world.after(
      Int64(world.random(0...world.options.roundMicrosecondsMax)), wake: number, number: 0)
  }

  /// The time of the next event: it always goes on.
  func moment(_ world: World) -> Instant {
    last = max(last + 1, world.now)
    model.time(last)
    return Instant(monotonicMicroseconds: last, wallMicroseconds: last + world.calendarShift)
  }

  // MARK: A round

  private func round(_ world: World) {
    hasRoundAhead = false
    if world.options.hasClockJumps && !world.isHealing && world.chance(50) {
      world.calendarShift += Int64(world.random(-5...5)) * 3_600_000_000
    }
    var tasks: [Task] = connections.map { .connection($0) }
    tasks += [.disk, .dials]
    if world.options.sabotage != .forgetTick { tasks.append(.tick) }
    tasks.shuffle(using: &world.random)
    for task in tasks where world.failure == nil {
      perform(task, world)
    }
    endRound(world)
    if world.options.crashesOneIn > 0 && !world.isHealing && world.failure == nil {
      if world.chance(40) { journal.take(directory.durableState()) }
      if world.chance(world.options.crashesOneIn) { crash(world) }
    }
    setAlarm(world)
  }

  private func perform(_ task: Task, _ world: World) {
    switch task {
    case .tick:
      let now = moment(world)
      model.tick()
      directory.tick(now: now)
      settle(world)
    case .disk:
      while let write = writes.first, write.at <= world.now, world.failure == nil {
        finishWrite(write.ticket, world)
      }
    case .dials: serveDials(world)
    case .connection(let connection): serve(connection, world)
    }
  }

  private func setAlarm(_ world: World) {
    guard let next = directory.nextDeadlineMicroseconds else { return }
    let late = world.options.hasLateTimers && !world.isHealing ? Int64(world.random(0...50_000)) : 0
    let at = max(next, world.now) + late
    guard at < alarm || alarm <= world.now else { return }
    alarm = at
    world.after(at - world.now, wake: number, number: 1)
  }

  // MARK: Connections

  private func serve(_ connection: Connection, _ world: World) {
    if connection.id == nil { accept(connection, world) }
    guard let id = connection.id, let caller = connection.caller else { return }
    if !connection.isClosing { read(connection, id, caller, world) }
    if connection.isDrained {
      connection.isDrained = false
      // What was begun in this round has not been written yet.
      if (caller.wasListing || caller.wasFlushing) && directory.awaitsDrain(id) {
        let now = moment(world)
        caller.ear.refresh(model.listed)
        caller.movedAt = last
        model.drained(caller)
        directory.drained(id, now: now)
        settle(world)
      }
    }
    if connection.end == .reset {
      drop(connection, reason: "connection reset", world)
      connection.isGone = true
    } else if connection.end == .ended && connection.isClosing {
      connection.isGone = true
    }
  }

  private func accept(_ connection: Connection, _ world: World) {
    let link = connection.link
    let now = moment(world)
    let id = directory.opened(link.origin, identity: link.key, now: now)
    connection.id = id
    byIndex[id.index] = connection
    directory.takeEffects { effect in
      guard case .event(.opened(_, let name)) = effect else { return }
      do throws(Wrong) {
        try model.opened(link, as: name)
      } catch {
        world.fail(error.what)
      }
    }
    connection.caller = model.callers[link.number]
  }

  /// Hands in the lines that have come, as long as the core accepts them.
  private func read(_ connection: Connection, _ id: SessionID, _ caller: Caller, _ world: World) {
    if !connection.input.isEmpty || connection.hasTaken {
      connection.hasTaken = false
      let now = moment(world)
      directory.heard(id, now: now)
      model.heard(caller)
    }
    guard !connection.isPaused else { return }
    let chunk = connection.input
    var position = 0
    chunk.withUnsafeBytes { bytes in
      while world.failure == nil, directory.accepts(id),
        let item = connection.reader.next(bytes, &position)
      {
        receive(item, from: connection, id, caller, world)
        if case .line(let line) = item {
          receiveRun(after: line, bytes, &position, from: connection, id, caller, world)
        }
        settle(world)
      }
    }
    connection.input.removeFirst(position)
    noteLimits(connection, id, world)
    guard connection.input.isEmpty, connection.end == .ended, !connection.isFinished,
      directory.accepts(id)
    else { return }
    connection.isFinished = true
    if let item = connection.reader.finish(isPlain: !directory.speaksTags(id)) {
      receive(item, from: connection, id, caller, world)
      settle(world)
    }
    let now = moment(world)
    if !caller.hasEnded { model.inputEnded(caller) }
    directory.inputEnded(id, now: now)
    settle(world)
  }

  private func noteLimits(_ connection: Connection, _ id: SessionID, _ world: World) {
    let replies = directory.fanOut.replyBytes(id.index)
    if directory.accepts(id) { return }
    if replies >= Limits.repliesPerRoundBytes {
      requestRound(world)
    } else {
      connection.isPaused = !connection.isClosing
    }
    if replies > Limits.repliesPerRoundBytes + Limits.listingPieceBytes + 8_192 {
      world.fail("connection \(connection.link.number) collected \(replies) bytes in a round")
    }
    if directory.fanOut.heldBytes(id.index) > Limits.heldBytes + (1 << 20) {
      world.fail("too much is kept back for connection \(connection.link.number)")
    }
  }

  private func receive(
    _ item: LineReader.Item, from connection: Connection, _ id: SessionID, _ caller: Caller,
    _ world: World
  ) {
    let now = moment(world)
    guard !connection.link.sent.isEmpty else { return world.fail("a line was read that none sent") }
    let sent = connection.link.sent.removeFirst()
    if world.options.sabotage == .loseLine && world.chance(100) { return }
    guard caller.isReady else {
      return world.fail("a line of connection \(caller.number) is accepted while it has to wait")
    }
    switch (item, sent.kind) {
    case (.line(let bytes), .line) where bytes.elementsEqual(sent.bytes):
      world.note("\(caller.number) \(caller.person.name)> \(Ear.text(sent.bytes))")
      model.receive(sent.bytes, from: caller)
    case (.refused(let refusal), .badEncoding) where refusal.code == .badEncoding,
      (.refused(let refusal), .tooLong) where refusal.code == .lineTooLong:
      world.note("\(caller.number) \(caller.person.name)> (\(refusal.code))")
      model.refused(refusal.code, from: caller)
    case (.http, .http): model.http(from: caller)
    default: world.fail("\(Ear.text(sent.bytes)) was read as \(describe(item))")
    }
    directory.receive(item, from: id, now: now)
  }

  /// What the core takes in a run is told to the model line by line.
  private func receiveRun(
    after line: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer, _ position: inout Int,
    from connection: Connection, _ id: SessionID, _ caller: Caller, _ world: World
  ) {
    guard world.failure == nil else { return }
    let start = position
    directory.receiveRun(after: line, &connection.reader, bytes, &position, from: id)
    for text in bytes[start..<position].split(separator: UInt8(ascii: "\n")) {
      guard !connection.link.sent.isEmpty else {
        return world.fail("a line was taken in a run that none sent")
      }
      let sent = connection.link.sent.removeFirst()
      let line = text.last == UInt8(ascii: "\r") ? text.dropLast() : text
      guard sent.kind == .line, line.elementsEqual(sent.bytes) else {
        return world.fail("\(Ear.text(sent.bytes)) was taken in a run")
      }
      world.note("\(caller.number) \(caller.person.name)> \(Ear.text(sent.bytes)) (in a run)")
      model.receive(sent.bytes, from: caller)
    }
  }

  private func describe(_ item: LineReader.Item) -> String {
    switch item {
    case .line(let bytes): Ear.text(bytes)
    case .refused(let refusal): "\(refusal)"
    case .http: "HTTP"
    case .timingMark: "telnet's timing mark"
    }
  }

  /// The core is told that the connection is gone.
  func drop(_ connection: Connection, reason: String, _ world: World) {
    guard let id = connection.id, let caller = connection.caller, !connection.isClosing else {
      return
    }
    connection.isClosing = true
    world.note("\(caller.number) is gone: \(reason)")
    let now = moment(world)
    model.end(caller, reason: reason)
    if world.options.sabotage == .forgetReset && world.chance(3) { return }
    directory.closed(id, reason: reason, now: now)
    settle(world)
  }

  // MARK: The end of a round

  private func endRound(_ world: World) {
    guard world.failure == nil else { return }
    var said: [(Connection, [[UInt8]])] = []
    directory.endRound { session, pieces in
      let dial = network.byIndex[session]
      guard dial != nil || byIndex[session] != nil else { return }
      let bytes = pieces.flatMap { Array($0) }
      if bytes.last != 0x0A { world.fail("what is written does not end with a line") }
      let lines = bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
      if let dial { return hear(lines.map(Array.init), dial, world) }
      if let connection = byIndex[session] { said.append((connection, lines.map(Array.init))) }
    }
    if let sabotage = world.options.sabotage { spoil(&said, sabotage, world) }
    for (connection, lines) in said where connection.end != .reset && !connection.link.isGone {
      for line in lines { hear(line, connection, world) }
      let bytes = Array(lines.joined(separator: [0x0A])) + (lines.isEmpty ? [] : [0x0A])
      world.hash(bytes)
      world.write(bytes, to: connection.link, from: .server)
    }
    for connection in connections { checkHeard(connection, world) }
    checkDials(world)
    model.startRound()
    settle(world)
    for connection in connections where connection.isClosing {
      if let id = connection.id, byIndex[id.index] === connection { byIndex[id.index] = nil }
      world.end(connection.link, from: .server)
    }
    for connection in connections
    where !connection.isClosing
      && connection.link[.server].bytes.count > world.options.pendingBytesMax && !world.isHealing
    {
      drop(connection, reason: "slow consumer", world)
      world.reset(connection.link)
    }
    connections.removeAll(where: \.isGone)
    check(world)
  }

  private func hear(_ line: [UInt8], _ connection: Connection, _ world: World) {
    guard let caller = connection.caller, world.failure == nil else { return }
    world.note("\(caller.number) \(caller.person.name)< \(Ear.text(line))")
    do throws(Wrong) {
      switch try caller.ear.hear(line) {
      case .expected: break
      case .presence:
        // Behind a long listing it may be old.
        let text = String(decoding: line, as: UTF8.self)
        if caller.wasListing || caller.ear.hasListing || model.isTrue(text) { break }
        throw Wrong("\(text) is not so")
      case .ping:
        let silence = last - caller.heardBefore
        guard caller.speaksTags, silence >= Limits.silenceMicroseconds else {
          throw Wrong("asked for a sign of life after \(silence) microseconds")
        }
        caller.pings += 1
      }
    } catch {
      world.fail("connection \(caller.number): \(error.what)")
    }
  }

  private func checkHeard(_ connection: Connection, _ world: World) {
    guard let caller = connection.caller, let id = connection.id, connection.end != .reset,
      !connection.link.isGone, world.failure == nil
    else { return }
    if caller.ear.hasListing { return }
    if !caller.ear.isEmpty {
      world.fail("connection \(caller.number) was not told: \(caller.ear.next)")
    }
    if caller.isReady && caller.hasEndedInput {
      world.fail("connection \(caller.number) should have ended")
    }
    if caller.isReady != directory.accepts(id) && !connection.isClosing {
      world.fail(
        "connection \(caller.number) \(caller.isReady ? "has" : "has not") to be listened to")
    }
    if case .waiting(let until, _, _, _) = caller.state, until + 60_000_000 < last {
      world.fail("the WAIT of connection \(caller.number) does not end")
    }
  }

  /// The core's own books are in order, and hold as much as the model's.
  private func check(_ world: World) {
    guard world.failure == nil, !isShutDown else { return }
    let audit = directory.audit()
    if let problem = audit.problems.first { world.fail("the books are wrong: \(problem)") }
    let due = (model.callers.count + model.dials.count, model.groups.count, model.names.count)
    let has = (audit.sessions, audit.groups, audit.names)
    if due != has { world.fail("there are \(has) sessions, groups and names, not \(due)") }
  }

  func shutDown(_ world: World) {
    isShutDown = true
    let now = moment(world)
    model.shutDown()
    directory.shutDown(now: now)
    settle(world)
    endRound(world)
  }

  /// Everybody has gone and everything is forgotten.
  func checkEmpty(_ world: World) {
    let audit = directory.audit()
    if !audit.isEmpty { world.fail("something is left: \(audit)") }
    if !connections.isEmpty {
      world.fail("connections are open still: \(connections.map(\.link.number))")
    }
  }

  private func spoil(
    _ said: inout [(Connection, [[UInt8]])], _ sabotage: Sabotage, _ world: World
  ) {
    var lines = said.map(\.1)
    spoilLines(&lines, sabotage, world)
    for index in said.indices { said[index].1 = lines[index] }
  }
}
