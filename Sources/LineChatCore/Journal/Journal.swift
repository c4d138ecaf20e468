// The journal: what must outlive a crash, as wire lines in a file, and a snapshot that makes the
// lines before it superfluous.
//
// Theory of operation. A generation is a snapshot, `groups.json` say, that names a journal, and that
// journal, `journal.N`, with what happened since. `commit` adds records to it; `snapshot` begins the
// next generation:
//
//     journal.N+1 with the records in flight, synced -> its name synced
//       -> groups.json.new, synced -> renamed to groups.json -> the name synced
//       -> journals before N+1 removed
//
// A start (Recovery.swift) reads the snapshot and every journal from the one it names on, and takes a
// snapshot of what came of it before anything else is written.
//
// The rules it keeps, whatever step of the storage fails or is the last one:
//   - What `commit` has returned for is found by every later start.
//   - A file is only added to by the process that began it, and only as long as nothing went wrong
//     with it. After a failed write or sync it is given up for good: a later success would prove
//     nothing. Nothing is committed then until a snapshot has begun a new generation.
//   - From the moment at which the snapshot may have been renamed, a crash can leave either of them.
//     So nothing is committed to the old journal any more, and neither journal is removed until the
//     new snapshot's name is synced.
//   - What is reported as failed may still be found by a start as long as its file lives, as what
//     was written cannot be known; with the next snapshot it is gone.
//   - A record in flight (written, and not in the snapshot's content yet) is carried over into the
//     new journal. It stands in two journals then; a start that reads the old one passes over it in
//     the new one.
//   - Older journals can be kept for somebody who derives something from them. They are removed from
//     the oldest on, each for good before the next, so those that are there are always an unbroken
//     end of the story (see JournalHistory.swift).

import LineProtocol

package struct Journal<Disk: Storage>: Sendable {
  package var disk: Disk

  /// The snapshot's file name.
  package let snapshotFile: String

  /// The number of the journal that records go to; 0 before the first snapshot.
  package private(set) var number: UInt64 = 0

  /// The highest number that was ever tried.
  private var highestNumber: UInt64

  /// Bytes of the present journal that are known to be on the disk.
  package private(set) var journalBytes = 0

  /// Bytes of the present snapshot.
  package private(set) var snapshotBytes = 0

  /// Why nothing can be committed; nil if all is well.
  package private(set) var breakdown: StorageError?

  private var scratch = Scratch()

  /// For a start: see `Recovery`. Nothing can be committed before the first snapshot.
  init(_ disk: Disk, snapshotFile: String, highestNumber: UInt64) {
    self.disk = disk
    self.snapshotFile = snapshotFile
    self.highestNumber = highestNumber
    breakdown = StorageError(
      .append, "a journal", reason: "there is none before the first snapshot")
  }

  /// Nothing can be committed until a snapshot has succeeded.
  package var isBroken: Bool { breakdown != nil }

  /// The journal has grown so long, or is broken: a snapshot should be taken.
  package var isSnapshotDue: Bool {
    isBroken || journalBytes > max(Limits.journalBytes, 2 * snapshotBytes)
  }

  /// Writes the records with one append and one sync. When it returns they are on the disk.
  package mutating func commit(_ lines: some Sequence<JournalLine>) throws(StorageError) {
    if let breakdown { throw breakdown }
    let buffer = emptyBuffer()
    for line in lines { line.render(into: buffer, isCarried: false) }
    guard !buffer.isEmpty else { return }
    let file = JournalName.text(number)
    do throws(StorageError) {
      try disk.append(buffer.bytes, to: file)
      try disk.sync(file)
      journalBytes += buffer.count
    } catch {
      giveUp(file, after: error)
      throw error
    }
  }

  /// Begins a new generation. `content` is one JSON object, the owner's whole state; `inFlight` are
  /// the records that were committed and are not in it yet, in their order. Older journals from
  /// number `kept` on stay. If it throws, the state is as safe as before: call it again, with a
  /// content of then, to begin anew.
  package mutating func snapshot(
    _ content: [UInt8], inFlight: some Sequence<JournalLine>, keepingFrom kept: UInt64 = .max
  ) throws(StorageError) {
    let next = highestNumber + 1
    guard next <= Limits.journalNumber else {
      throw StorageError(.append, JournalName.text(next), reason: "the numbers have run out")
    }
    highestNumber = next
    let file = JournalName.text(next)
    let carried = emptyBuffer()
    for line in inFlight { line.render(into: carried, isCarried: true) }
    let composed = SnapshotFile.compose(content, journal: next)
    do throws(StorageError) {
      try disk.append(carried.bytes, to: file)
      try disk.sync(file)
      // A snapshot must never be found without the journal it names.
      try disk.syncDirectory()
      try disk.prepare(snapshotFile, composed.bytes)
    } catch {
      // The present generation stands, in whatever condition it is. What is left of this attempt
      // says nothing new; a start passes over it.
      try? disk.remove(file)
      try? disk.remove(Disk.temporaryName(snapshotFile))
      throw error
    }
    do throws(StorageError) {
      try disk.rename(Disk.temporaryName(snapshotFile), to: snapshotFile)
      try disk.syncDirectory()
    } catch {
      // Either snapshot may be the one that a start will find.
      breakdown = error
      throw error
    }
    number = next
    breakdown = nil
    journalBytes = carried.count
    snapshotBytes = composed.count
    removeOlder(than: min(kept, next))
  }

  /// Keeps a copy of a file that a start could not wholly use, under the name it returns.
  @discardableResult
  package mutating func setAside(_ file: String) throws(StorageError) -> String? {
    guard let bytes = try disk.read(file) else { return nil }
    return try disk.copyAside(file, bytes)
  }

  /// This journal's own: a copy of it may be in use elsewhere at the same time.
  private mutating func emptyBuffer() -> ByteBuffer {
    if !isKnownUniquelyReferenced(&scratch) { scratch = Scratch() }
    return scratch.empty()
  }

  /// Nothing more is committed until a snapshot has succeeded: something that the owner's state has, and
  /// that what comes next may build on, is not in the journal.
  package mutating func giveUp(because reason: String) {
    if breakdown == nil {
      breakdown = StorageError(.append, JournalName.text(number), reason: reason)
    }
  }

  private mutating func giveUp(_ file: String, after error: StorageError) {
    breakdown = error
    // So that a start before the next snapshot does not find what was reported as failed. It is the
    // best that can be done: a disk that just failed need not obey.
    try? disk.truncate(file, to: journalBytes)
    try? disk.sync(file)
  }

  /// They are passed over by every start from now on, so it does not matter if this fails.
  private mutating func removeOlder(than kept: UInt64) {
    guard let names = try? disk.names() else { return }
    let older = names.compactMap(JournalName.number).filter { $0 < kept }.sorted()
    do throws(StorageError) {
      for number in older {
        // Otherwise a crash could bring the one before back, and not this one.
        if number != older.first { try disk.syncDirectory() }
        try disk.remove(JournalName.text(number))
      }
    } catch {
      // The rest stays for the next time, and there is no gap before it.
    }
  }
}

/// Memory for the lines of one write, kept from one to the next. It is used only by the one journal that
/// has it, and that by one thread at a time, as its mutating functions demand.
private final class Scratch: @unchecked Sendable {
  private let buffer = ByteBuffer()

  func empty() -> ByteBuffer {
    buffer.removeAll(keeping: Limits.journalBytes)
    return buffer
  }
}

/// `journal.3`
enum JournalName {
  static func text(_ number: UInt64) -> String { "journal.\(number)" }

  /// The number in a journal's name; nil for the name of anything else.
  static func number(_ name: String) -> UInt64? {
    let prefix = "journal."
    guard name.hasPrefix(prefix), let number = UInt64(name.dropFirst(prefix.count)),
      number > 0, number <= Limits.journalNumber, text(number) == name
    else { return nil }
    return number
  }
}
