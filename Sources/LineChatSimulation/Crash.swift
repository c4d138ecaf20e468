// The server's disk over crashes: records in the order in which they were handed out, the latest
// snapshot, and what is left of both when the server is no more. Records are written one after the
// other, so what survives is a beginning: at least up to the last that was answered.

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

  /// At least so many records have survived; at most all.
  var surviving: ClosedRange<Int> {
    let answered = records.lastIndex { $0.state == .written }.map { $0 + 1 } ?? 0
    return max(answered, snapshot?.index ?? 0)...records.count
  }

  /// What is read at the next start.
  func read(_ count: Int) -> (DurableState?, [Record]) {
    let from = snapshot?.index ?? 0
    let carried = (snapshot?.inFlight ?? []).filter { records[$0].state != .failed }
    let later = (from..<max(from, count)).filter { records[$0].state != .failed }
    return (snapshot?.state, (carried + later).map { records[$0].record })
  }
}

extension ServerNode {
  /// The process ends between two rounds, and another takes its place.
  func crash(_ world: World) {
    let count = world.random(journal.surviving.lowerBound...journal.surviving.upperBound)
    let (state, records) = journal.read(count)
    world.note("the server crashes, \(count) of \(journal.surviving.upperBound) records are left")
    letGo(world)
    let now = moment(world)
    start(world.options)
    do throws(Wrong) {
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
      try model.restart(count, directory)
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
