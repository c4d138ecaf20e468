// The start: what the snapshot and the journals after it say.
//
// The rules it keeps:
//   - A last line without its end is what a crash in the middle of a write leaves: if its checksum
//     does not match, it is dropped, and said.
//   - Any other line that is damaged or not understood is passed over; those after it are kept. The
//     file is copied aside before anything else happens, and it is said.
//   - A snapshot that cannot be read ends the start, and so does one that is missing where there are
//     records after it: nothing is written over, nothing begins empty in silence. The error says
//     what to do.
//   - Reading changes nothing but for the copies, so a start can be tried again and again.

import LineProtocol

/// What a start finds.
package struct Recovery: Sendable {
  /// The snapshot's file: a JSON object with the owner's members, and `crc` and `journal`. Nil: there
  /// is nothing yet.
  package internal(set) var content: [UInt8]?

  /// What was recorded since, in order.
  package internal(set) var records: [Record] = []

  /// What was found to be wrong, for the log.
  package internal(set) var reports: [Report] = []

  package struct Record: Sendable {
    package let message: Message
    /// The same as it stands in the file, without its checksum.
    package let text: JournalLine
    /// Where it stands, should the owner be unable to make sense of it.
    package let file: String
    package let line: Int
  }

  package struct Report: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
      /// The last line was never finished; whoever sent it got no OK.
      case halfWritten
      /// A record is lost.
      case damaged
      /// The end of a line was damaged; the record is not.
      case mended
      /// A file that the snapshot names is not there.
      case missing
      /// The damaged file was copied.
      case copied
    }

    package let kind: Kind
    package let file: String
    /// For a person.
    package let description: String
  }

  /// A start is not possible as things are.
  package struct Failure: Error, Sendable, CustomStringConvertible {
    package let file: String
    /// What is wrong and what to do.
    package let description: String
    package let cause: StorageError?

    package init(_ file: String, _ description: String, cause: StorageError? = nil) {
      self.file = file
      self.description = description
      self.cause = cause
    }

    /// For an owner whose decoder does not take the content.
    package static func unreadable(_ file: String, because reason: String) -> Failure {
      Failure(
        file,
        "\(file) cannot be read: \(reason). It has not been touched: mend it, or put a copy from a "
          + "backup in its place; to begin with nothing, move it away together with all journal.* "
          + "files")
    }
  }

  /// Reads what `disk` holds, and makes the journal that goes on from there, which must be given a
  /// snapshot before it takes records.
  package static func start<Disk: Storage>(
    _ disk: Disk, snapshotFile: String
  ) throws(Failure) -> (Recovery, Journal<Disk>) {
    var recovery = Recovery()
    let numbers = try attempt { () throws(StorageError) in try disk.names() }
      .compactMap(JournalName.number).sorted()
    let snapshot = try attempt { () throws(StorageError) in try disk.read(snapshotFile) }
    guard let snapshot else {
      try refuseOrphans(numbers, disk, snapshotFile)
      let highest = numbers.last ?? 0
      return (recovery, Journal(disk, snapshotFile: snapshotFile, highestNumber: highest))
    }
    let first: UInt64
    do throws(SnapshotFile.Unreadable) {
      first = try SnapshotFile.journal(of: snapshot)
    } catch {
      throw .unreadable(snapshotFile, because: error.reason)
    }
    recovery.content = snapshot
    var journal = Journal(
      disk, snapshotFile: snapshotFile, highestNumber: max(first, numbers.last ?? 0))
    if !numbers.contains(first) { recovery.reportMissing(JournalName.text(first), snapshotFile) }
    var isFirst = true
    for number in numbers where number >= first {
      let file = JournalName.text(number)
      let bytes = try attempt { () throws(StorageError) in try disk.read(file) }
      guard let bytes else { continue }
      if !recovery.read(bytes, file, includingCarried: isFirst) {
        try recovery.keepCopy(of: file, bytes, &journal.disk)
      }
      isFirst = false
    }
    return (recovery, journal)
  }

  /// A step of the storage without which there is no start.
  private static func attempt<Result>(
    _ step: () throws(StorageError) -> Result
  ) throws(Failure) -> Result {
    do throws(StorageError) { return try step() } catch {
      throw Failure(
        error.file,
        "\(error). The state cannot be read, and nothing has been changed: see to the disk and the "
          + "files' permissions, then start again", cause: error)
    }
  }

  /// Records without the snapshot they belong to: it was lost, or moved away alone.
  private static func refuseOrphans(
    _ numbers: [UInt64], _ disk: some Storage, _ snapshotFile: String
  ) throws(Failure) {
    for number in numbers {
      let file = JournalName.text(number)
      let bytes = try attempt { () throws(StorageError) in try disk.read(file) }
      if let bytes, !bytes.isEmpty {
        throw Failure(
          snapshotFile,
          "\(snapshotFile) is missing, and \(file) holds what happened after it. Nothing has been "
            + "touched: put \(snapshotFile) back; to begin with nothing, move all journal.* files "
            + "away")
      }
    }
  }
}

// Reading one journal.
extension Recovery {
  /// Takes the records of a journal. Returns false if there is damage in it.
  mutating func read(_ bytes: [UInt8], _ file: String, includingCarried: Bool) -> Bool {
    bytes.withUnsafeBytes { bytes in
      var isSound = true
      var start = 0
      var line = 1
      while start < bytes.count {
        let end = bytes.suffix(from: start).firstIndex(of: 0x0A)
        let text = bytes.clamped(start..<(end ?? bytes.count))
        let place = Place(file: file, line: line, includesCarried: includingCarried)
        if end == nil {
          if !takeLast(text, place) { isSound = false }
        } else if !take(text, place) {
          isSound = false
          if !takeJoined(text, place) { reportDamage(text, place) }
        }
        start = (end ?? bytes.count) + 1
        line += 1
      }
      return isSound
    }
  }

  private struct Place {
    let file: String
    let line: Int
    let includesCarried: Bool
  }

  /// Takes a whole record; false if it is none.
  private mutating func take(_ text: UnsafeRawBufferPointer, _ place: Place) -> Bool {
    guard case .record(let message, let line, let isCarried) = JournalLineReading(text) else {
      return false
    }
    if !isCarried || place.includesCarried {
      records.append(Record(message: message, text: line, file: place.file, line: place.line))
    }
    return true
  }

  /// Two records with a damaged byte between them, where the end of the first was.
  private mutating func takeJoined(_ text: UnsafeRawBufferPointer, _ place: Place) -> Bool {
    guard let second = JournalLineReading.junction(in: text) else { return false }
    let first = text.clamped(0..<second - 1)
    guard take(first, place), take(text.clamped(second..<text.count), place) else { return false }
    reportMended(place)
    return true
  }

  /// What stands behind the last LF. Returns false if a record was damaged.
  private mutating func takeLast(_ text: UnsafeRawBufferPointer, _ place: Place) -> Bool {
    if take(text, place) {
      reportMended(place)
      return true
    }
    if take(text.clamped(0..<max(0, text.count - 1)), place) || takeJoined(text, place) {
      reportMended(place)
      return false
    }
    reports.append(
      Report(
        kind: .halfWritten, file: place.file,
        description: "\(place.file): the last line, \(text.count) bytes, was never finished and is "
          + "dropped"))
    return true
  }

  private mutating func reportDamage(_ text: UnsafeRawBufferPointer, _ place: Place) {
    guard case .damaged(let reason) = JournalLineReading(text) else { return }
    reports.append(
      Report(
        kind: .damaged, file: place.file,
        description: "\(place.file), line \(place.line) is passed over: \(reason)"))
  }

  private mutating func reportMended(_ place: Place) {
    reports.append(
      Report(
        kind: .mended, file: place.file,
        description: "\(place.file), line \(place.line): its end was missing or damaged, and the "
          + "record is whole"))
  }

  private mutating func reportMissing(_ file: String, _ snapshotFile: String) {
    reports.append(
      Report(
        kind: .missing, file: file,
        description: "\(file) is missing: what happened after \(snapshotFile) was written is lost "
          + "with it"))
  }

  private mutating func keepCopy(
    of file: String, _ bytes: [UInt8], _ disk: inout some Storage
  ) throws(Failure) {
    do throws(StorageError) {
      let copy = try disk.copyAside(file, bytes)
      reports.append(
        Report(kind: .copied, file: file, description: "\(file) is kept as it was in \(copy)"))
    } catch {
      throw Failure(
        file,
        "\(file) is damaged, and a copy of it cannot be kept: \(error). Nothing has been changed: "
          + "make room or see to the permissions, then start again", cause: error)
    }
  }
}
