// The server's disk over crashes: records in the order in which they were handed out, the latest
// snapshot, and what is left of both when the server is no more: whatever was answered, and of the rest
// what the real journal finds on a disk on which the last write was torn, lost in part, or reordered.
// (A record that was reported as failed is not found again here; in the worlds with nodes, whose disks
// fail under the real journal, it may be.)

import LineChatCore
import LineProtocol

/// What is on the disk, and what is on its way there.
final class Ledger {
  enum State { case underWay, written, failed, note }

  /// A snapshot, when it was taken, and which records were on their way then.
  private struct Snapshot {
    var state: DurableState
    var index: Int
    var inFlight: [Int]
  }

  private var records: [(record: Record, ticket: Ticket?, state: State)] = []
  private var snapshot: Snapshot?
  /// The one being written: it counts when all before it has been.
  private var next: Snapshot?

  func add(_ record: Record, _ ticket: Ticket?) {
    records.append((record, ticket, ticket == nil ? .note : .underWay))
  }

  func answered(_ ticket: Ticket, fails: Bool) {
    guard let at = records.lastIndex(where: { $0.ticket == ticket }) else { return }
    records[at].state = fails ? .failed : .written
    if let next, !next.inFlight.contains(where: { records[$0].state == .underWay }) {
      snapshot = next
      self.next = nil
    }
  }

  func take(_ state: DurableState) {
    // A note may be about what is on its way before it, and is carried over behind it.
    let from = records.firstIndex { $0.state == .underWay } ?? records.endIndex
    let inFlight = records.indices[from...].filter {
      records[$0].state == .underWay || records[$0].state == .note
    }
    next = Snapshot(state: state, index: records.count, inFlight: inFlight)
    if inFlight.isEmpty { (snapshot, next) = (next, nil) }
  }

  /// The snapshot with which a server begins.
  func begin(_ state: DurableState) {
    (records, next) = ([], nil)
    snapshot = Snapshot(state: state, index: 0, inFlight: [])
  }

  var count: Int { records.count }

  /// Which records are there after a crash.
  func survivors(_ world: World) throws(Wrong) -> Set<Int> {
    let answered = records.lastIndex { $0.state == .written }.map { $0 + 1 } ?? 0
    let synced = max(answered, snapshot?.index ?? 0)
    let isThere = { (index: Int) in self.records[index].state != .failed }
    let open = (synced..<records.count).filter(isThere)
    var survivors = Set((0..<synced).filter(isThere))
    var found = try left(of: open.map { JournalLine(records[$0].record) }, world)[...]
    for index in open where found.first == JournalLine(records[index].record) {
      found.removeFirst()
      survivors.insert(index)
    }
    guard found.isEmpty else { throw Wrong("the journal holds what was not written: \(found)") }
    return survivors
  }

  /// What a journal holds when the power went while these lines were written.
  private func left(of lines: [JournalLine], _ world: World) throws(Wrong) -> [JournalLine] {
    guard !lines.isEmpty else { return [] }
    let disk = SimulatedDisk(seed: world.random.next(), sectorBytes: world.pick([16, 64, 512]))
    do throws(Recovery.Failure) {
      var (_, journal) = try Recovery.start(disk, snapshotFile: "groups.json")
      try? journal.snapshot(Array("{}".utf8), inFlight: [])
      // In the middle of the append, or of the sync behind it.
      journal.disk.faults[journal.disk.steps + world.random(1...2)] = .crash
      try? journal.commit(lines)
      let after = journal.disk.afterCrash(.chance(world.random.next()))
      return try Recovery.start(after, snapshotFile: "groups.json").0.records.map(\.text)
    } catch {
      throw Wrong("\(error)")
    }
  }

  /// What is read at the next start.
  func read(_ survivors: Set<Int>) -> (DurableState?, [Record]) {
    let from = snapshot?.index ?? 0
    let found = ((snapshot?.inFlight ?? []) + Array(from..<max(from, records.count)))
      .filter(survivors.contains)
    return (snapshot?.state, found.map { records[$0].record })
  }
}

extension ServerNode {
  /// The process ends between two rounds, and another takes its place.
  func crash(_ world: World) {
    letGo(world)
    let now = moment(world)
    start(world.options)
    let (state, records): (DurableState?, [Record])
    do throws(Wrong) {
      let survivors = try journal.survivors(world)
      (state, records) = journal.read(survivors)
      world.note("the server crashes, \(survivors.count) of \(journal.count) records are left")
      if let state {
        let faults = directory.restore(state, now: now)
        if let fault = faults.first { throw Wrong("in the snapshot: \(fault)") }
      }
      for record in records {
        if world.options.sabotage == .loseRecord && world.chance(5) { continue }
        world.note("replayed is \(Ear.text(record.line))")
        do throws(Refusal) { try directory.replay(record, now: now) } catch {
          throw Wrong("\(Ear.text(record.line)) is not replayed: \(error.text)")
        }
      }
      try model.restart(survivors, directory)
    } catch {
      return world.fail(error.what)
    }
    let times = records.compactMap { record in
      (try? Ear.split(record.line))?.0["time"]
    }
    model.stampFloor = max(times.max() ?? "", state?.time ?? "")
    journal.begin(directory.durableState())
    directory.restored(now: now)
    settle(world)
  }
}
