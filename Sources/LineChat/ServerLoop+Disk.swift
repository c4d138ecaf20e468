// The loop's side of the disk: records go to the journal's thread, and what became of them comes
// back through the wake pipe. Nothing here waits, but for the last snapshot, when nobody is served
// any more.

import Glibc
import LineChatCore
import LineProtocol

extension ServerLoop {
  /// A data directory in use.
  struct Disk {
    let journal: JournalThread
    let directory: StateDirectory
    let serverID: UInt64
    let versionStart: UInt64
    /// Records on their way whose outcome has not come back.
    var underWay = 0
    /// Something has been noted in this round.
    var hasNotes = false
    /// Why nothing durable can be changed at the moment.
    var breakdown: String?
  }

  // MARK: The start

  /// Puts what was found in the data directory into the core, writes it back with the new start of
  /// the versions, and goes on from there. Before anybody is served.
  func takeUp(_ saved: SavedState) throws(ServerError) {
    for warning in saved.directory.warnings { log.warn(warning) }
    for report in saved.reports { log.warn("the data directory: \(report)") }
    try restore(saved)
    let journal = try saved.begin(with: stored(saved.serverID, saved.versionStart), waking: wake)
    disk = Disk(
      journal: journal, directory: saved.directory, serverID: saved.serverID,
      versionStart: saved.versionStart)
    let path = escaped(saved.directory.path)
    let id = hexadecimal(saved.serverID)
    if saved.state != nil {
      let state = directory.durableState()
      let kept = state.kept.reduce(0) { $0 + $1.messages.count }
      log.inform(
        "state directory \(path): durable members: \(state.members.count), messages kept: \(kept); "
          + "this server's id is \(id)")
    } else {
      log.inform("new state directory \(path), this server's id is \(id)")
    }
    directory.restored(now: now)
  }

  private func restore(_ saved: SavedState) throws(ServerError) {
    if let state = saved.state {
      let faults = directory.restore(state, now: now)
      try saved.setAside(SavedState.snapshotFile, faults, log)
    }
    var faults: [String: [String]] = [:]
    for entry in saved.records {
      do throws(Refusal) {
        try directory.replay(Record(entry.message), now: now)
      } catch {
        faults[entry.file, default: []].append("line \(entry.line): \(error.text)")
      }
    }
    for file in faults.keys.sorted() { try saved.setAside(file, faults[file] ?? [], log) }
  }

  private func stored(_ serverID: UInt64, _ versionStart: UInt64) -> StoredState {
    StoredState(
      server: hexadecimal(serverID), start: versionStart, state: directory.durableState())
  }

  // MARK: On the way

  func persist(_ record: Record, _ ticket: Ticket) {
    guard disk != nil else { return directory.persisted(ticket, now: now) }
    if disk?.journal.persist(JournalLine(record), ticket) == true {
      disk?.underWay += 1
    } else {
      directory.persistFailed(ticket, reason: "the disk does not keep up", now: now)
    }
  }

  func note(_ record: Record) {
    disk?.journal.note(JournalLine(record))
    disk?.hasNotes = true
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
        directory.persisted(ticket, now: now)
      case .failed(let ticket, let reason):
        disk?.underWay -= 1
        directory.persistFailed(ticket, reason: reason, now: now)
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
      "\(escaped(reason)): joins, leaves and names of durable members are refused, and nothing is "
        + "kept, until this works again; it is tried once a second")
  }

  func snapshotIfDue() {
    guard let disk, let due = disk.journal.snapshotDueMicroseconds,
      due <= now.monotonicMicroseconds
    else { return }
    disk.journal.snapshot(stored(disk.serverID, disk.versionStart))
  }

  // MARK: The end

  /// What was handed to the disk has not all come back.
  var isWriting: Bool { (disk?.underWay ?? 0) > 0 }

  /// Writes the last snapshot and lets the data directory go. What was acknowledged is safe without
  /// it; with it the next start has less to read.
  func closeDisk(by deadline: Int64) {
    guard let disk else { return }
    takeOutcomes()
    // With much kept it would take longer than an end may: the next start reads the journal instead.
    if directory.keptBytes <= MachineLimits.lastSnapshotBytes || disk.breakdown != nil {
      disk.journal.snapshot(stored(disk.serverID, disk.versionStart))
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
