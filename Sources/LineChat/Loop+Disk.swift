// The loop's side of the disk: records go to the journal's thread, and what became of them comes
// back through the wake pipe. Nothing here waits, but for the last snapshot, when nobody is served
// any more.

import Glibc
import LineChatCore
import LineProtocol

extension Loop where C: ~Copyable {
  /// A state directory in use.
  struct Disk {
    let journal: JournalThread
    let directory: StateDirectory
    /// Records on their way whose outcome has not come back.
    var underWay = 0
    /// One was refused, as too many waited; until all of them are over.
    var isFull = false
    /// What this turn of the round has for the disk, to be handed in at once.
    var lines: [(line: JournalLine, ticket: Ticket?)] = []
    /// Something has been noted in this round.
    var hasNotes = false
    /// Why nothing durable can be changed at the moment.
    var breakdown: String?
  }

  // MARK: The start

  /// Puts what was found in the state directory into the core, writes it back as a new generation,
  /// and goes on from there. Before anybody is served.
  func resume(_ saved: SavedState<C.Stored>) throws(ServerError) {
    for warning in saved.directory.warnings { log.warn(warning) }
    for report in saved.reports { log.warn("the data directory: \(report)") }
    if let content = saved.content {
      try saved.setAside(C.Stored.file, core.restore(content, now: now), log)
    }
    var faults: [String: [String]] = [:]
    for entry in saved.records {
      do throws(Refusal) {
        try core.replay(Record(entry.message), now: now)
      } catch {
        faults[entry.file, default: []].append("line \(entry.line): \(error.text)")
      }
    }
    for file in faults.keys.sorted() { try saved.setAside(file, faults[file] ?? [], log) }
    let journal = try saved.begin(
      with: core.stored(side), carryingNotes: C.carriesNotes, waking: wake, C.follower)
    disk = Disk(journal: journal, directory: saved.directory)
  }

  // MARK: On the way

  func persist(_ record: Record, _ ticket: Ticket) {
    guard disk != nil else { return core.persisted(ticket, now: now) }
    disk?.lines.append((JournalLine(record), ticket))
    disk?.underWay += 1
  }

  func note(_ record: Record) {
    disk?.lines.append((JournalLine(record), nil))
    disk?.hasNotes = true
  }

  /// Hands in what was collected: one sync for all of it. Where one record was refused, those behind it
  /// are until all before it are over: they may follow on it.
  func handIn() {
    guard let lines = disk?.lines, !lines.isEmpty, let journal = disk?.journal else { return }
    disk?.lines = []
    let tickets = lines.lazy.compactMap(\.ticket)
    if disk?.underWay == tickets.count { disk?.isFull = false }
    var refused: [Ticket] = []
    if disk?.isFull == true {
      refused = Array(tickets)
      if C.carriesNotes {
        _ = journal.handIn(lines.filter { $0.ticket == nil })
      } else {
        // The notes among them may be about what is refused.
        journal.refuse()
      }
    } else {
      refused = journal.handIn(lines)
    }
    guard !refused.isEmpty else { return }
    disk?.isFull = true
    disk?.underWay -= refused.count
    for ticket in refused {
      core.persistFailed(ticket, reason: "the disk does not keep up", now: now)
    }
  }

  /// Nobody waits for a note; but a message that was delivered and is not crossed out on the disk
  /// would come again after a crash, so it does not wait for the next record either.
  func flushNotes() {
    guard disk?.hasNotes == true else { return }
    disk?.hasNotes = false
    disk?.journal.flush()
  }

  func takeOutcomes() {
    disk?.journal.takeOutcomes(now: now) { outcome in
      switch outcome {
      case .persisted(let ticket):
        disk?.underWay -= 1
        core.persisted(ticket, now: now)
      case .failed(let ticket, let reason):
        disk?.underWay -= 1
        core.persistFailed(ticket, reason: reason, now: now)
      case .brokeDown(let reason): breakDown(reason)
      case .snapshotFailed(let reason): breakDown(reason)
      case .snapshotTaken(let journal, let bytes):
        log.debug("wrote a snapshot, \(bytes) bytes; journal.\(journal) goes on from there")
        if disk?.breakdown != nil { log.inform("the disk takes changes again") }
        disk?.breakdown = nil
      case .report(let report):
        let text = escaped(report.text)
        if report.isFault { log.complain(text) } else { log.inform(text) }
      }
    }
  }

  /// Said once, however often it is tried again.
  private func breakDown(_ reason: String) {
    guard disk?.breakdown == nil else { return }
    disk?.breakdown = reason
    log.complain(
      "\(escaped(reason)): \(C.withoutDisk), until this works again; it is tried once a second")
  }

  func snapshotIfDue() {
    guard let disk, let due = disk.journal.snapshotDueMicroseconds,
      due <= now.monotonicMicroseconds
    else { return }
    disk.journal.snapshot(core.stored(side))
  }

  // MARK: The end

  /// What was handed to the disk has not all come back.
  var isWriting: Bool { (disk?.underWay ?? 0) > 0 }

  /// Writes the last snapshot and lets the data directory go. What was acknowledged is safe without
  /// it; with it the next start has less to read.
  func closeDisk(by deadline: Int64) {
    guard let disk else { return }
    takeOutcomes()
    // With much to write it would take longer than an end may: the next start reads the journal instead.
    if core.storedBytes <= MachineLimits.lastSnapshotBytes || disk.breakdown != nil {
      disk.journal.snapshot(core.stored(side))
    }
    let end = deadline + MachineLimits.lastSnapshotMicroseconds
    let left = end - SystemClock.now().monotonicMicroseconds
    if disk.journal.finish(withinMicroseconds: max(left, MachineLimits.lastSnapshotMicroseconds)) {
      takeOutcomes()
    } else {
      log.warn("the disk did not take the last snapshot in time; what was answered OK is safe")
      // The thread may still write: nobody else is to use the directory while this process lives.
      _ = Unmanaged.passRetained(disk.directory)
    }
    self.disk = nil
  }
}
