// What a core is put into for a session (SessionFuzz.swift): its connections, its clock, its disk.

import LineChatCore
import LineChatSimulation
import LineProtocol

package final class SessionRig<C: FuzzedCore & ~Copyable> {
  private final class Connection {
    let id: SessionID
    let name: UInt8
    var reader = LineReader()
    /// What has come and was not taken yet.
    var pending: [UInt8] = []
    var inputHasEnded = false
    var isFinishing = false
    /// It was asked for, and does not stand yet.
    var isDialled: Bool

    init(_ id: SessionID, _ name: UInt8, isDialled: Bool) {
      self.id = id
      self.name = name
      self.isDialled = isDialled
    }
  }

  /// Overlapping accesses are not checked, as in StreamTests.
  @exclusivity(unchecked) private var core: C
  private var now = firstInstant
  private let inPieces: Bool
  private var connections: [UInt8: Connection] = [:]
  private var byIndex: [UInt32: Connection] = [:]
  private var dials = 0
  private var starts: UInt64 = 1
  private var drains = true
  private var calls: Set<UInt64> = []
  private var lastCall: UInt64 = 0
  private var thread: DiskThread
  private var isHeld = false
  /// It was told to end: what it still waited for will not come.
  private var isEnding = false
  private var nextSnapshotAt: Int64 = 0
  package private(set) var output: [UInt8: [UInt8]] = [:]

  package init(inPieces: Bool = false) throws(Fault) {
    self.inPieces = inPieces
    core = C(forFuzzing: 1)
    thread = try SessionRig.started(SimulatedDisk(sectorBytes: 512)).1
    try begin()
  }

  /// What it keeps on its disk, and the state that is promised to be there.
  package var journal: Journal<SimulatedDisk> { thread.journal }
  package var promised: C.State { core.promised }
  package var snapshot: [UInt8] { encoded(core.wholeState) }

  private static func started(_ disk: SimulatedDisk) throws(Fault) -> (Recovery, DiskThread) {
    do throws(Recovery.Failure) {
      let (recovery, journal) = try Recovery.start(disk, snapshotFile: C.snapshotFile)
      return (recovery, DiskThread(journal, carriesNotes: C.carriesNotes))
    } catch {
      throw Fault("a start after a kill is refused: \(error)")
    }
  }

  private func begin() throws(Fault) {
    thread.snapshot(encoded(core.wholeState))
    core.goToWork(now: now)
    try settle()
  }

  // MARK: Connections

  func says(_ name: UInt8, _ bytes: [UInt8]) throws(Fault) {
    if connections[name] == nil { try open(name, UnsafeRawBufferPointer(start: nil, count: 0)) }
    guard let connection = connections[name], !connection.inputHasEnded, !connection.isDialled
    else { return }
    guard inPieces else {
      connection.pending += bytes
      return try settle()
    }
    for (index, byte) in bytes.enumerated() {
      connection.pending.append(byte)
      if index % 3 == 0 || index == bytes.count - 1 { try settle() }
    }
  }

  func open(_ name: UInt8, _ how: UnsafeRawBufferPointer) throws(Fault) {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(name), connections[name] == nil else {
      return
    }
    let from = how.first ?? UInt8(ascii: "l")
    let origin: Origin =
      switch from {
      case UInt8(ascii: "u"): .unix
      case UInt8(ascii: "o"): .owner
      case UInt8(ascii: "l"): .tcp(IPAddress(v4: 0x7f00_0001))
      default: .tcp(IPAddress(v4: 0x0a00_0000 | UInt32(from & 15)))
      }
    let key = how.count > 1 ? Identity(fingerprint: "KEY\(name)") : nil
    note(core.opened(origin, identity: key, now: now), name, isDialled: false)
    try settle()
  }

  private func note(_ id: SessionID, _ name: UInt8, isDialled: Bool) {
    let connection = Connection(id, name, isDialled: isDialled)
    connections[name] = connection
    byIndex[id.index] = connection
  }

  private func forget(_ connection: Connection) {
    if connections[connection.name] === connection { connections[connection.name] = nil }
    if byIndex[connection.id.index] === connection { byIndex[connection.id.index] = nil }
  }

  func inputEnds(_ name: UInt8) throws(Fault) {
    guard let connection = connections[name], !connection.isDialled else { return }
    connection.inputHasEnded = true
    try settle()
  }

  func gone(_ name: UInt8) throws(Fault) {
    guard let connection = connections[name] else { return }
    forget(connection)
    core.closed(connection.id, reason: "connection closed", now: now)
    try settle()
  }

  func stands(_ name: UInt8) throws(Fault) {
    guard let connection = connections[name], connection.isDialled else { return }
    connection.isDialled = false
    if name == UInt8(ascii: "s") { core.serverAnswers(now: now) }
    let route = Route(local: Endpoint("10.0.0.1:40000"), remote: Endpoint("10.0.0.100:5463"))
    core.dialled(connection.id, route, now: now)
    try settle()
  }

  func fails(_ name: UInt8) throws(Fault) {
    guard let connection = connections[name], connection.isDialled else { return }
    forget(connection)
    core.dialFailed(connection.id, reason: "connection refused", now: now)
    try settle()
  }

  func ends(_ name: UInt8) throws(Fault) {
    guard let connection = connections[name], connection.isFinishing else { return }
    forget(connection)
    core.finished(connection.id, now: now)
    try settle()
  }

  func toggleDraining() throws(Fault) {
    drains.toggle()
    try settle()
  }

  func order(_ text: String) throws(Fault) {
    lastCall += 1
    calls.insert(lastCall)
    if text == "QUIT" { isEnding = true }
    core.order(text, call: lastCall, now: now)
    try settle()
  }

  // MARK: Time

  func pass(_ milliseconds: Int64) throws(Fault) {
    let end = now.monotonicMicroseconds + milliseconds * 1_000
    var ticks = 0
    while let next = core.nextDeadlineMicroseconds, next <= end, ticks < 50 {
      move(to: max(next, now.monotonicMicroseconds))
      core.tick(now: now)
      try settle()
      ticks += 1
    }
    move(to: end)
    core.tick(now: now)
    try settle()
  }

  private func move(to time: Int64) {
    now.wallMicroseconds += time - now.monotonicMicroseconds
    now.monotonicMicroseconds = time
  }

  // MARK: A round

  /// What the core wants done is done, until it wants nothing more.
  private func settle() throws(Fault) {
    var rounds = 0
    repeat {
      rounds += 1
      try hold(rounds < 10_000, "the core never comes to rest")
      takeEffects()
      try work()
      try endRound()
      try core.tellOwner(&calls)
      let isWritten = isHeld || thread.isIdle
      let isDone = !core.hasEffects && core.fanOut.isEmpty && isWritten
      if isDone, try !pump() { break }
    } while true
    let problems = isEnding ? [] : core.problems
    try hold(problems.isEmpty, "the books are wrong: \(problems)")
  }

  private func takeEffects() {
    var effects: [Effect] = []
    core.takeEffects { effects.append($0) }
    for effect in effects {
      switch effect {
      case .persist(let record, let ticket): thread.persist(record, ticket)
      case .note(let record): thread.note(record)
      case .dial(let id, _, _):
        note(id, UInt8(ascii: "a") + UInt8(dials % 12), isDialled: true)
        dials += 1
      case .dialServer(let id): note(id, UInt8(ascii: "s"), isDialled: true)
      case .close(let id): if let gone = connection(id) { forget(gone) }
      case .overrun(let id):
        if let gone = connection(id) { forget(gone) }
        core.closed(id, reason: "too slow", now: now)
      case .finish(let id): connection(id)?.isFinishing = true
      case .resume, .event: break
      }
    }
  }

  private func connection(_ id: SessionID) -> Connection? {
    byIndex[id.index].flatMap { $0.id == id ? $0 : nil }
  }

  private func endRound() throws(Fault) {
    var heard: [(UInt32, [UInt8])] = []
    core.endRound { session, pieces in heard.append((session, pieces.flatMap { Array($0) })) }
    for (session, bytes) in heard {
      let name = byIndex[session]?.name ?? 0
      output[name, default: []] += bytes
      try check(bytes)
    }
    guard drains else { return }
    for connection in connections.values.sorted(by: { $0.name < $1.name })
    where core.awaitsDrain(connection.id) { core.drained(connection.id, now: now) }
  }

  /// Whole lines, each of them a message; a telnet client's timing mark may stand between them.
  private func check(_ bytes: [UInt8]) throws(Fault) {
    let lines = bytes.split(separator: 0xFF, omittingEmptySubsequences: false).enumerated()
      .flatMap { $0.offset == 0 ? $0.element : $0.element.dropFirst(2) }
    try hold(lines.isEmpty || lines.last == 0x0A, "what is said does not end with a line")
    for line in lines.split(separator: 0x0A) {
      let text = String(decoding: line, as: UTF8.self)
      do throws(Refusal) { _ = try Message(parsing: text) } catch {
        throw Fault("what is said is no message: \(text): \(error.text)")
      }
    }
  }

  /// The next line of everybody who may say one. Returns whether there was any.
  private func pump() throws(Fault) -> Bool {
    for connection in connections.values.sorted(by: { $0.name < $1.name })
    where core.accepts(connection.id) {
      if try pump(connection) { return true }
    }
    return false
  }

  private func pump(_ connection: Connection) throws(Fault) -> Bool {
    let bytes = connection.pending
    var position = 0
    var wasHeard = false
    bytes.withUnsafeBytes { bytes in
      if let item = connection.reader.next(bytes, &position) {
        wasHeard = true
        core.receive(item, from: connection.id, now: now)
        if case .line(let line) = item {
          core.receiveRun(after: line, &connection.reader, bytes, &position, from: connection.id)
        }
      }
    }
    connection.pending.removeFirst(position)
    try hold(
      connection.reader.carriedBytes <= 2 * WireLimits.carriedBytes, "the reader carries too much")
    guard !wasHeard, connection.inputHasEnded, connection.pending.isEmpty else { return wasHeard }
    forgetInput(connection)
    return true
  }

  private func forgetInput(_ connection: Connection) {
    connection.inputHasEnded = false
    connections[connection.name] = nil
    if let item = connection.reader.finish(isPlain: !core.speaksTags(connection.id)) {
      core.receive(item, from: connection.id, now: now)
    }
    core.inputEnded(connection.id, now: now)
  }

  // MARK: The disk

  func disk(_ operation: UInt8, _ number: Int) throws(Fault) {
    switch operation {
    case UInt8(ascii: "h"): isHeld = true
    case UInt8(ascii: "g"): isHeld = false
    case UInt8(ascii: "w"): write()
    case UInt8(ascii: "f"): fail(SimulatedDisk.noSpace, number)
    case UInt8(ascii: "e"): fail(SimulatedDisk.inputOutput, number)
    case UInt8(ascii: "z"):
      thread.disk.standingFault =
        thread.disk.standingFault == nil ? .failure(SimulatedDisk.noSpace) : nil
    case UInt8(ascii: "s"):
      if !thread.isSnapshotUnderWay { thread.snapshot(encoded(core.wholeState)) }
    case UInt8(ascii: "c"): return try restart(.chance(UInt64(number)), afterSteps: number)
    default: return
    }
    try settle()
  }

  private func fail(_ code: Int32, _ number: Int) {
    thread.disk.faults[thread.disk.steps + number] = .failure(code)
  }

  private func write() {
    if thread.begin() { thread.write() }
  }

  /// What waits is written, and the core told of it.
  private func work() throws(Fault) {
    thread.flushNotes()
    let isDue = thread.journal.isSnapshotDue || thread.hasLostNotes
    if isDue, !thread.isSnapshotUnderWay, nextSnapshotAt <= now.monotonicMicroseconds {
      thread.snapshot(encoded(core.wholeState))
    }
    if !isHeld { write() }
    while let outcome = thread.takeOutcome() {
      switch outcome {
      case .persisted(let ticket): core.persisted(ticket, now: now)
      case .failed(let ticket): core.persistFailed(ticket, reason: "no space left", now: now)
      case .snapshotTaken: nextSnapshotAt = 0
      case .snapshotFailed: nextSnapshotAt = now.monotonicMicroseconds + 1_000_000
      }
      takeEffects()
    }
  }

  private func restart(
    _ survival: SimulatedDisk.Survival, afterSteps steps: Int?
  ) throws(Fault) {
    let isAllWritten = thread.isIdle && !thread.journal.isBroken && !thread.hasLostNotes
    let promised = core.promised
    let (recovery, next) = try SessionRig.started(thread.crash(survival, afterSteps: steps))
    starts += 1
    core = C(forFuzzing: starts)
    let left = core.takeUp(recovery, now: now)
    try hold(left.isEmpty, "a start after a kill leaves out \(left)")
    let found = core.promised
    try hold(
      !isAllWritten || C.agreed(found) == C.agreed(promised),
      "a start after a kill finds\n\(found)\nwhere there was\n\(promised)")
    (thread, connections, byIndex, calls) = (next, [:], [:], [])
    (nextSnapshotAt, isEnding) = (0, false)
    try begin()
  }

  // MARK: The end

  /// The disk is well again, everybody goes, and what was promised outlives the process.
  func end() throws(Fault) {
    thread.disk.standingFault = nil
    thread.disk.faults = [:]
    (isHeld, drains) = (false, true)
    try pass(2_000)
    for name in connections.keys.sorted() { try gone(name) }
    try hold(thread.isIdle, "something waits for a disk that is well")
    try restart(.nothing, afterSteps: nil)
  }
}
