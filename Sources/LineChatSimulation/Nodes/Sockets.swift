// A machine's sockets: accepted and dialled, read as far as the core takes lines, written at a round's
// end, ended as the real loop ends them.

import LineChatCore
import LineProtocol

final class Socket {
  enum Stage {
    case dialling, open
    /// Our side is to end when all is written, and then it is heard to its end.
    case finishing
    /// The core knows it no more; what is due is written.
    case closing
    case gone
  }
  enum End { case open, ended, reset }

  let link: Link
  let side: Link.Side
  var stage: Stage
  var id: SessionID?
  var reader: LineReader
  var input: [UInt8] = []
  var end = End.open
  var hasConnected = false
  var isRefused = false
  var endIsTold = false
  /// It took some of what is due to it: a sign of life.
  var hasTaken = false
  var isDrained = false
  /// The core does not accept its lines until it says `resume`.
  var isPaused = false
  /// When a dial, or the other side's last words, have taken too long.
  var deadline: Int64?
  var route = Route()
  /// Who has answered there.
  var peerName: MemberName?

  init(_ link: Link, _ side: Link.Side, lineBytesMax: Int) {
    self.link = link
    self.side = side
    stage = side == .client ? .dialling : .open
    reader = LineReader(lineBytesMax: lineBytesMax, refusesHTTP: side == .server)
  }
}

extension Machine where C: ~Copyable {
  /// Connects to an address for a session of the core.
  func dial(_ id: SessionID, _ endpoint: Endpoint, _ world: World) {
    let link = world.dial(endpoint, from: number, at: address, key: key)
    let socket = Socket(link, .client, lineBytesMax: WireLimits.lineBytes)
    socket.id = id
    socket.route = Route(local: Endpoint(address: address, port: 40_000), remote: endpoint)
    socket.deadline = last + 2_000_000
    sockets.append(socket)
    byIndex[id.index] = socket
  }

  func serve(_ socket: Socket, _ world: World) {
    switch socket.stage {
    case .gone: return
    case .dialling: return serveDial(socket, world)
    case .closing: return serveClosing(socket, world)
    case .open, .finishing: break
    }
    if socket.id == nil { accept(socket, world) }
    guard let id = socket.id else { return }
    read(socket, id, world)
    guard socket.stage == .open || socket.stage == .finishing else { return }
    if socket.isDrained {
      socket.isDrained = false
      if core.awaitsDrain(id) { tell(world) { core, now in core.drained(id, now: now) } }
    }
    if socket.end == .reset { return lose(socket, "connection reset", world) }
    if socket.stage == .finishing, socket.end == .ended || isOverdue(socket) {
      release(socket, world)
      tell(world) { core, now in core.finished(id, now: now) }
    }
  }

  private func isOverdue(_ socket: Socket) -> Bool { socket.deadline.map { $0 <= last } ?? false }

  private func serveDial(_ socket: Socket, _ world: World) {
    guard let id = socket.id else { return }
    if socket.hasConnected {
      socket.stage = .open
      socket.deadline = nil
      socket.isDrained = false
      return stands(socket, world)
    }
    let isOver = socket.isRefused || socket.end != .open
    guard isOver || isOverdue(socket) else { return }
    release(socket, world)
    tell(world) { core, now in
      core.dialFailed(id, reason: isOver ? "connection refused" : "no answer within 2 s", now: now)
    }
  }

  /// Reads on so that the other side is not reset, and forgets it.
  private func serveClosing(_ socket: Socket, _ world: World) {
    socket.input = []
    if socket.end != .open || isOverdue(socket) { release(socket, world) }
  }

  private func accept(_ socket: Socket, _ world: World) {
    let origin = originOf(socket, world)
    let now = moment(world)
    let id = core.opened(origin, identity: socket.link.key, now: now)
    socket.id = id
    byIndex[id.index] = socket
    settle(world)
  }

  private func originOf(_ socket: Socket, _ world: World) -> Origin {
    guard world.options.nodes.sabotage == .believeEverybody,
      let server = world.streets.hosts.first(where: { $0.value == 0 })?.key
    else { return socket.link.origin }
    return .tcp(server)
  }

  // MARK: Reading

  /// Hands in the lines that have come, as long as the core accepts them.
  private func read(_ socket: Socket, _ id: SessionID, _ world: World) {
    if !socket.input.isEmpty || socket.hasTaken {
      socket.hasTaken = false
      tell(world) { core, now in core.heard(id, now: now) }
    }
    guard !socket.isPaused || socket.stage == .finishing else { return }
    let chunk = socket.input
    var position = 0
    chunk.withUnsafeBytes { bytes in
      while world.failure == nil, isOpen(socket), core.accepts(id) || socket.stage == .finishing,
        let item = socket.reader.next(bytes, &position)
      {
        receive(item, id, socket, world)
      }
    }
    socket.input.removeFirst(min(position, socket.input.count))
    guard isOpen(socket) else { return }
    if !core.accepts(id) && socket.stage == .open { pause(socket, id, world) }
    guard socket.input.isEmpty, socket.end == .ended, !socket.endIsTold, socket.stage == .open,
      core.accepts(id)
    else { return }
    socket.endIsTold = true
    if let item = socket.reader.finish(isPlain: !core.speaksTags(id)) {
      receive(item, id, socket, world)
    }
    tell(world) { core, now in core.inputEnded(id, now: now) }
  }

  private func isOpen(_ socket: Socket) -> Bool {
    socket.stage == .open || socket.stage == .finishing
  }

  private func pause(_ socket: Socket, _ id: SessionID, _ world: World) {
    if core.fanOut.replyBytes(id.index) >= Limits.repliesPerRoundBytes {
      requestRound(world)
    } else {
      socket.isPaused = true
    }
  }

  private func receive(
    _ item: LineReader.Item, _ id: SessionID, _ socket: Socket, _ world: World
  ) {
    guard case .line(let bytes) = item else {
      return tell(world) { core, now in core.receive(item, from: id, now: now) }
    }
    world.note("\(label) \(socket.link.number)> \(Ear.text(bytes))")
    listens(bytes, socket)
    guard world.options.nodes.sabotage != nil else {
      return tell(world) { core, now in core.receive(item, from: id, now: now) }
    }
    guard let line = hears(Array(bytes), socket, world) else { return }
    line.withUnsafeBytes { bytes in
      tell(world) { core, now in core.receive(.line(bytes), from: id, now: now) }
    }
  }

  // MARK: Wishes

  func settle(_ world: World) {
    while core.hasEffects && world.failure == nil {
      var effects: [Effect] = []
      core.takeEffects { effects.append($0) }
      for effect in effects { carryOut(effect, world) }
    }
    settled(world)
  }

  private func carryOut(_ effect: Effect, _ world: World) {
    switch effect {
    case .close(let id): if let socket = socket(of: id) { closing(socket, world) }
    case .overrun(let id):
      if let socket = socket(of: id) { lose(socket, "slow consumer", world) }
    case .resume(let id):
      socket(of: id)?.isPaused = false
      requestRound(world)
    case .persist(let record, let ticket):
      world.note("\(label) record \(ticket.number): \(Ear.text(record.line))")
      persists(record, ticket, world)
    case .note(let record):
      world.note("\(label) notes: \(Ear.text(record.line))")
      notes(record, world)
    case .dial(let id, let endpoint, _): dial(id, endpoint, world)
    case .dialServer(let id): dialServer(id, world)
    case .finish(let id): if let socket = socket(of: id) { finishing(socket, world) }
    case .event: break
    }
  }

  private func closing(_ socket: Socket, _ world: World) {
    if socket.side == .client { return release(socket, world) }
    socket.stage = .closing
  }

  private func finishing(_ socket: Socket, _ world: World) {
    guard socket.stage == .open else { return }
    socket.stage = .finishing
    socket.isPaused = false
  }

  /// The core is told that the connection is gone.
  func lose(_ socket: Socket, _ reason: String, _ world: World) {
    guard let id = socket.id, socket.stage != .closing, socket.stage != .gone else { return }
    world.note("\(label) loses \(socket.link.number): \(reason)")
    world.reset(socket.link, by: socket.side)
    socket.stage = .gone
    hasTold = true
    if world.options.nodes.sabotage == .forgetReset && world.chance(3) { return }
    tell(world) { core, now in core.closed(id, reason: reason, now: now) }
  }

  /// The socket is closed.
  func release(_ socket: Socket, _ world: World) {
    socket.stage = .gone
    world.close(socket.link, from: socket.side)
  }

  // MARK: The end of a round

  /// Until nothing is left of what the core wants done and said.
  func endRound(_ world: World) {
    repeat {
      hasTold = false
      writeRound(world)
    } while (hasTold || core.hasEffects) && world.failure == nil
  }

  private func writeRound(_ world: World) {
    var said: [(Socket, [UInt8])] = []
    core.endRound { session, pieces in
      guard let socket = byIndex[session], socket.stage != .gone, socket.stage != .dialling else {
        return
      }
      said.append((socket, pieces.flatMap { Array($0) }))
    }
    var written: [(Socket, [UInt8])] = []
    for (socket, bytes) in said where socket.end != .reset {
      if bytes.last != 0x0A { world.fail("what is written does not end with a line") }
      world.hash(bytes)
      let bytes = world.options.nodes.sabotage == nil ? bytes : says(bytes, socket, world)
      world.note("\(label) \(socket.link.number)< \(Ear.text(bytes))")
      world.write(bytes, to: socket.link, from: socket.side)
      written.append((socket, bytes))
    }
    if !written.isEmpty { wrote(written, world) }
    settle(world)
    for socket in sockets { afterRound(socket, world) }
    sockets.removeAll { socket in
      guard socket.stage == .gone else { return false }
      forget(socket)
      return true
    }
  }

  private func afterRound(_ socket: Socket, _ world: World) {
    switch socket.stage {
    case .closing, .finishing:
      if socket.stage == .closing { forget(socket) }
      guard socket.deadline == nil else { return }
      world.end(socket.link, from: socket.side)
      socket.deadline = last + 1_000_000
      requestRound(world)
    case .open:
      let most = world.options.pendingBytesMax
      if socket.link[socket.side].bytes.count > most && !world.isHealing {
        lose(socket, "slow consumer", world)
      }
    case .dialling, .gone: break
    }
  }

  private func forget(_ socket: Socket) {
    if let id = socket.id, byIndex[id.index] === socket { byIndex[id.index] = nil }
  }
}
