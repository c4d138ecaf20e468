// The disk of a machine in the world: the real journal over a simulated disk, and the thread that
// writes to it, as the real one does: what waits goes to the disk at once, in order, with one append
// and one sync; what became of it is taken later, in a round of the loop. A crash may come in the
// middle of a write.

import LineChatCore
import LineProtocol

package final class DiskThread {
  package enum Outcome {
    case persisted(Ticket)
    case failed(Ticket)
    case snapshotTaken
    case snapshotFailed
  }

  private struct Item {
    enum What {
      case record(UInt64, Ticket, JournalLine)
      case note(JournalLine)
      case snapshot(appliedUpTo: UInt64, [UInt8])
    }

    let what: What
    /// Failures that the loop had been told of when it handed this in.
    let failures: Int

    var isRecord: Bool { if case .record = what { true } else { false } }

    var line: JournalLine? {
      switch what {
      case .record(_, _, let line), .note(let line): line
      case .snapshot: nil
      }
    }
  }

  package private(set) var journal: Journal<SimulatedDisk>
  private var waiting: [Item] = []
  /// What the thread writes at the moment.
  private var batch: [Item] = []
  private var outcomes: [(number: UInt64?, outcome: Outcome)] = []
  /// Records on the disk that may not be in the core's state yet.
  private var inFlight: [(number: UInt64, line: JournalLine)] = []
  private var last: UInt64 = 0
  private var applied: UInt64 = 0
  private var isUrgent = false
  package private(set) var isSnapshotUnderWay = false
  /// Writes that failed, and how many of them the loop knows of. A record that was handed in before
  /// it knew fails too: nothing is written behind what is missing.
  private var failures = 0
  /// Notes that were not written: the next snapshot has what they say.
  package private(set) var hasLostNotes = false
  private var failuresTold = 0
  /// Something has been noted in this round.
  private var hasNotes = false

  /// As `JournalThread.start` has it.
  private let carriesNotes: Bool

  package init(_ journal: Journal<SimulatedDisk>, carriesNotes: Bool) {
    self.journal = journal
    self.carriesNotes = carriesNotes
  }

  package var disk: SimulatedDisk {
    get { journal.disk }
    set { journal.disk = newValue }
  }

  package var isBusy: Bool { !batch.isEmpty }
  package var hasOutcomes: Bool { !outcomes.isEmpty }
  package var isIdle: Bool { batch.isEmpty && waiting.isEmpty && outcomes.isEmpty }

  private func add(_ what: Item.What) { waiting.append(Item(what: what, failures: failuresTold)) }

  // MARK: The loop's side

  package func persist(_ record: Record, _ ticket: Ticket) {
    last += 1
    add(.record(last, ticket, JournalLine(record)))
    isUrgent = true
  }

  package func note(_ record: Record) {
    add(.note(JournalLine(record)))
    hasNotes = true
  }

  package func flushNotes() {
    if hasNotes { isUrgent = true }
    hasNotes = false
  }

  package func snapshot(_ content: [UInt8]) {
    isSnapshotUnderWay = true
    hasLostNotes = false
    add(.snapshot(appliedUpTo: applied, content))
    isUrgent = true
  }

  /// The next outcome; what it means must be in the core's state before this is called again.
  package func takeOutcome() -> Outcome? {
    guard !outcomes.isEmpty else {
      failuresTold = failures
      return nil
    }
    let (number, outcome) = outcomes.removeFirst()
    if let number { applied = number }
    switch outcome {
    case .snapshotTaken, .snapshotFailed: isSnapshotUnderWay = false
    case .persisted, .failed: break
    }
    return outcome
  }

  // MARK: The thread's side

  /// Takes what waits. Returns whether there is something to be written.
  package func begin() -> Bool {
    guard batch.isEmpty, isUrgent else { return false }
    (batch, waiting) = (waiting, [])
    isUrgent = false
    return !batch.isEmpty
  }

  /// Writes what was taken.
  package func write() {
    let items = batch
    batch = []
    let appliedBefore = applied
    var lines: [Item] = []
    var hadSnapshot = false
    for item in items {
      guard case .snapshot(let appliedUpTo, let content) = item.what else {
        lines.append(item)
        continue
      }
      hadSnapshot = true
      commit(lines)
      lines = []
      inFlight.removeAll { $0.number <= appliedUpTo }
      let isTaken = (try? journal.snapshot(content, inFlight: inFlight.map(\.line))) != nil
      outcomes.append((nil, isTaken ? .snapshotTaken : .snapshotFailed))
    }
    commit(lines)
    if !hadSnapshot { inFlight.removeAll { $0.number <= appliedBefore } }
  }

  private func commit(_ items: [Item]) {
    let late = items.filter { $0.isRecord && $0.failures < failures }
    if !late.isEmpty { journal.giveUp(because: "records were refused") }
    answer(late, isWritten: false)
    let timely = items.filter { !$0.isRecord || $0.failures == failures }
    guard !timely.isEmpty else { return }
    let isWritten = (try? journal.commit(timely.compactMap(\.line))) != nil
    if !isWritten {
      failures += 1
      hasLostNotes = hasLostNotes || timely.contains { !$0.isRecord }
    }
    answer(timely, isWritten: isWritten)
  }

  private func answer(_ items: [Item], isWritten: Bool) {
    for item in items {
      switch item.what {
      case .note(let line):
        // It may be about a record in flight, and must stand behind it wherever that is carried.
        guard isWritten, carriesNotes, let last = inFlight.last?.number else { continue }
        inFlight.append((last, line))
      case .record(let number, let ticket, let line):
        if isWritten { inFlight.append((number, line)) }
        outcomes.append((number, isWritten ? .persisted(ticket) : .failed(ticket)))
      case .snapshot: break
      }
    }
  }

  // MARK: The end

  /// What is on the disk when the process is no more. Where `steps` is given, it ends in the middle of
  /// the write under way, that many steps of the disk after its beginning.
  package func crash(_ survival: SimulatedDisk.Survival, afterSteps steps: Int?) -> SimulatedDisk {
    if let steps, isBusy {
      journal.disk.faults[journal.disk.steps + steps] = .crash
      write()
    }
    return journal.disk.afterCrash(survival)
  }
}
