// What can befall the disk of a core with a history, and what a start must make of it then.

import Foundation
import LineChatCore
import LineChatFuzzing
import LineChatSimulation
import LineProtocol
import Testing

/// Every place is tried.
private let triesAll = ProcessInfo.processInfo.environment["LINECHAT_DISK_FAULTS"] == "1"

enum StateFaults<C: FuzzedCore & ~Copyable> {
  /// Of so many places in turn one is tried; all, where all are wanted.
  private static func every(_ number: Int) -> Int { triesAll ? 1 : number }

  private static var survivals: [SimulatedDisk.Survival] { [.nothing, .everything, .chance(7)] }

  // MARK: A start

  private struct Start {
    let recovery: Recovery
    let state: C.State
    /// What could not be used of what was read.
    let left: [String]
  }

  private static func start(_ disk: SimulatedDisk) throws(Recovery.Failure) -> Start {
    let recovery = try Recovery.start(disk, snapshotFile: C.snapshotFile).0
    var core = C(forFuzzing: 2)
    let left = core.takeUp(recovery, now: firstInstant)
    // As the programs refuse it.
    if left == [C.unreadableSnapshot] {
      throw .unreadable(C.snapshotFile, because: "it is no JSON")
    }
    core.endRound { _, _ in }
    let problems = core.problemsOfStart
    #expect(problems == [])
    // What the journal says is to be done is done then.
    core.goToWork(now: firstInstant)
    return Start(recovery: recovery, state: core.promised, left: left)
  }

  // MARK: Every step

  static func crashes(_ history: StateHistory<C>) throws {
    try forEachStep(of: history, oneIn: 37) { step, at in
      var journal = step.journal
      journal.disk.faults[at] = .crash
      // A snapshot's last steps remove what no start looks at any more.
      do throws(StorageError) {
        try write(step.write, to: &journal)
        if case .commit = step.write { Issue.record("step \(at) has not failed") }
      } catch {}
      for survival in survivals {
        try check(step, journal, survival, "a crash at step \(at), leaving \(survival)")
      }
    }
    for (index, step) in history.steps.enumerated() where index % every(37) == 0 {
      var journal = step.journal
      try write(step.write, to: &journal)
      for survival in survivals {
        let found = try start(journal.disk.afterCrash(survival))
        #expect(found.state == step.after, "acknowledged in write \(index), leaving \(survival)")
        #expect(found.left == [])
      }
    }
  }

  static func failures(_ history: StateHistory<C>, _ code: Int32) throws {
    let final = history.snapshot
    try forEachStep(of: history, oneIn: 61) { step, at in
      var journal = step.journal
      journal.disk.faults[at] = .failure(code)
      let comment: Comment = "step \(at) failed"
      var failure: StorageError?
      do throws(StorageError) { try write(step.write, to: &journal) } catch { failure = error }
      if case .commit(let lines) = step.write {
        #expect(failure?.code == code && journal.isBroken, comment)
        #expect(throws: StorageError.self, comment) { try journal.commit(lines) }
      }
      for survival in survivals { try check(step, journal, survival, comment) }
      try journal.snapshot(final, inFlight: [])
      for survival in survivals {
        let found = try start(journal.disk.afterCrash(survival))
        #expect(found.state == history.promised && found.left == [], comment)
      }
    }
  }

  /// The state before the write, or after it; where it is of several records, there may be the first of
  /// them, and then nothing is known of the state but that it is in order.
  private static func check(
    _ step: StateHistory<C>.Step, _ journal: Journal<SimulatedDisk>,
    _ survival: SimulatedDisk.Survival, _ comment: Comment
  ) throws {
    let found = try start(journal.disk.afterCrash(survival))
    #expect(found.left == [], comment)
    guard found.state != step.before, found.state != step.after else { return }
    guard case .commit(let lines) = step.write else {
      Issue.record("a snapshot has changed the state. \(comment)")
      return
    }
    let before = try Recovery.start(step.journal.disk, snapshotFile: C.snapshotFile).0.records.count
    let count = found.recovery.records.count
    let partly = count - before
    #expect(partly > 0 && partly < lines.count, "\(comment), and \(partly) of \(lines.count)")
  }

  private static func write(
    _ write: StateHistory<C>.Step.Write, to journal: inout Journal<SimulatedDisk>
  ) throws(StorageError) {
    switch write {
    case .commit(let lines): try journal.commit(lines)
    case .snapshot(let content): try journal.snapshot(content, inFlight: [])
    }
  }

  private static func forEachStep(
    of history: StateHistory<C>, oneIn rest: Int,
    _ body: (StateHistory<C>.Step, Int) throws -> Void
  ) throws {
    #expect(history.operations >= 500)
    var number = 0
    for step in history.steps {
      var whole = step.journal
      try write(step.write, to: &whole)
      for at in step.journal.disk.steps + 1..<whole.disk.steps + 1 {
        number += 1
        if number % every(rest) == 0 { try body(step, at) }
      }
    }
    #expect(number > 700)
  }

  // MARK: Every byte

  static func cuts(_ history: StateHistory<C>) throws {
    var bytes = 0
    for (journal, states) in history.generations() {
      let file = "journal.\(journal.number)"
      let whole = try #require(journal.disk.bytes(of: file))
      for cut in 0...whole.count {
        bytes += 1
        guard bytes % every(311) == 0 else { continue }
        var disk = journal.disk
        disk.put(file, Array(whole[..<cut]))
        let found = try start(disk)
        let ended = whole[..<cut].count { $0 == 0x0A }
        let isLastWhole = cut < whole.count && whole[cut] == 0x0A
        let count = ended + (isLastWhole ? 1 : 0)
        #expect(found.recovery.records.count == count && found.left == [], "cut at \(cut)")
        if let state = states[count] { #expect(found.state == state, "\(file) cut at \(cut)") }
        let isClean = cut == 0 || whole[cut - 1] == 0x0A
        let kinds = found.recovery.reports.map(\.kind)
        #expect(kinds == (isClean ? [] : [isLastWhole ? .mended : .halfWritten]))
      }
    }
    #expect(bytes > 20_000)
  }

  // MARK: Every bit

  /// - Parameter rest: what of a state has nothing to do with a line that was lost.
  static func flips(
    _ history: StateHistory<C>, _ rest: (C.State, LostLine) -> C.State
  ) throws {
    var bits = 0
    for (journal, states) in history.generations() {
      let file = "journal.\(journal.number)"
      let whole = try #require(journal.disk.bytes(of: file))
      let records = try Recovery.start(journal.disk, snapshotFile: C.snapshotFile).0.records
      let last = try #require(states[records.count])
      for bit in 0..<whole.count * 8 {
        bits += 1
        guard bits % every(2_999) == 0 else { continue }
        var flipped = whole
        flipped[bit / 8] ^= 1 << (bit % 8)
        var disk = journal.disk
        disk.put(file, flipped)
        let found = try start(disk)
        let line = whole[..<(bit / 8)].count { $0 == 0x0A }
        let comment: Comment = "\(file), bit \(bit), in \(records[line].message)"
        #expect(found.recovery.reports.last?.kind == .copied && found.left == [], comment)
        let all = records.map(\.text)
        let read = found.recovery.records.map(\.text)
        if read == all {
          #expect(found.state == last, comment)
        } else {
          #expect(read == Array(all[..<line] + all[(line + 1)...]), comment)
          let lost = LostLine(records.map(\.message), line)
          #expect(rest(found.state, lost) == rest(last, lost), comment)
        }
      }
    }
    #expect(bits > 160_000)
    try snapshotFlips(history)
  }

  /// A damaged snapshot ends the start, which says what to do, unless the bit did not matter.
  private static func snapshotFlips(_ history: StateHistory<C>) throws {
    let disk = history.journal.disk
    let state = try start(disk).state
    let whole = try #require(disk.bytes(of: C.snapshotFile))
    for bit in stride(from: 0, to: whole.count * 8, by: every(997)) {
      var flipped = whole
      flipped[bit / 8] ^= 1 << (bit % 8)
      var damaged = disk
      damaged.put(C.snapshotFile, flipped)
      do throws(Recovery.Failure) {
        let found = try start(damaged)
        #expect(found.state == state && found.left == [], "bit \(bit) of the snapshot")
      } catch {
        #expect(error.description.contains("has not been touched: mend it"))
      }
    }
  }
}

/// A line that a flipped bit has made unreadable, and what hangs together with it.
struct LostLine {
  let message: Message
  /// Who is named in it, by all the names that they have had since.
  let peopleNamed: Set<String>

  init(_ records: [Message], _ line: Int) {
    message = records[line]
    var people = LostLine.names(in: message)
    // Later ones may stand for earlier ones.
    for _ in records {
      let known = people.count
      for record in records {
        guard case .nick = record.content else { continue }
        let names = LostLine.names(in: record)
        if !people.isDisjoint(with: names) { people.formUnion(names) }
      }
      if people.count == known { break }
    }
    peopleNamed = people
  }

  private static func names(in message: Message) -> Set<String> {
    var names: Set<String> = []
    // A message that is kept is its recipient's.
    if let keeper = message.tags["for"] {
      names.insert(keeper)
    } else if let source = message.source {
      names.insert("\(source.name)")
    }
    message.tags["or"].map { _ = names.insert($0) }
    if case .nick(let name) = message.content { names.insert("\(name)") }
    return names
  }
}

extension DurableState {
  /// What the others have.
  func without(_ people: Set<String>) -> DurableState {
    var state = self
    state.members.removeAll { people.contains($0.name) }
    state.kept.removeAll { people.contains($0.member) }
    for index in state.groups.indices {
      state.groups[index].members.removeAll { people.contains($0) }
    }
    state.groups.removeAll { $0.members.isEmpty }
    return state
  }
}

extension ReplicaState {
  /// What has nothing to do with the line: all other messages where it is one, all other groups where it
  /// is about a roster, as that says whom the messages after it are for. What was heard of a stream is
  /// one number.
  func without(_ line: LostLine) -> ReplicaState {
    var state = self
    var group: String?
    switch line.message.content {
    case .join(let name, _, _), .leave(let name, _), .member(let name, _, _): group = "\(name)"
    case .ok(_, let text): group = text.split(separator: " ").first.map(String.init)
    case .ack(let destination, _): group = "\(destination)"
    case .nick: (state.name, group) = ("", line.message.tags["group"])
    default: break
    }
    if line.message.tags["heard"] != nil { state.heard = [] }
    if let id = line.message.tags["msgid"] {
      state.outbox.removeAll { $0.message.hasPrefix("@msgid=\(id);") }
    }
    state.groups.removeAll { $0.name == group }
    state.leaving.removeAll { $0 == group }
    state.outbox.removeAll { waiting in
      let words = waiting.message.split(separator: " ")
      return words.contains { $0 == group ?? "" }
    }
    // The sender's own name stands in its messages.
    for index in state.outbox.indices {
      state.outbox[index].message = state.outbox[index].message.split(separator: " ")
        .filter { !$0.hasPrefix(":") }.joined(separator: " ")
    }
    return state
  }
}
