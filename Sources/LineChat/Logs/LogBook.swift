// A node's readable logs: what was said and heard in each group and with each person, and who came and
// went, as lines that `cat`, `grep` and `tail -f` read. They are derived from the journal, on its
// thread, after the records are on the disk.
//
//     log/lobby.log     @heard=…;msgid=…;time=… :bob@10.0.0.3:5001 MSG lobby good morning
//     log/lobby.log.2   an older part of it, put aside at 64 MiB; the higher the number, the newer
//     log/@bob.log      what bob and this node said to each other
//
// The rules it keeps:
//   - A line is in a log when it is in the journal, once, in the journal's order; never before.
//   - A log is not synced with each line, but before a journal is removed that its lines come from.
//     What a crash takes from a log is still in a journal then, and put back at the next start
//     (LogMending.swift).
//   - A log that cannot be written to does not hold the journal. It gets nothing more until all that
//     it lacks has been caught up with from the journals: tried again after growing pauses, when a
//     record comes or a snapshot is taken, and at the next start. So there are no gaps in it.
//   - Until then the journals that hold what is missing are kept, though a snapshot has made them
//     superfluous, but no more than `keptJournalBytes` of them. What goes beyond that is missing in
//     the log for good, which is said.
//   - Nothing is ever taken out of a log, apart from the half of a line, or the garbage that a crash
//     left at its end.

import LineChatCore
import LineProtocol

package struct LogBook<Files: LogFiles>: JournalFollower {
  /// Where the numbers come from is in MachineLimits.
  package struct Bounds: Sendable {
    /// A log of this size is put aside. A single line may be longer.
    package var logBytes = MachineLimits.logBytes
    package var keptJournalBytes = MachineLimits.journalBytesForLogs
    package var retryMicroseconds = MachineLimits.logRetryLeastMicroseconds

    package init() {}
  }

  private(set) var files: Files
  private let bounds: Bounds

  /// Logs that lack something, and get nothing until it has been caught up with.
  var behind: Set<LogName> = []

  /// Journals whose records may not be in the logs and synced, the oldest first, with the bytes of
  /// their records as far as they are known.
  private(set) var journals: [(number: UInt64, bytes: Int)] = []

  /// Logs that have been written to since they were synced, and how long they were before.
  private var unsynced: [LogName: Int] = [:]
  private var areNamesUnsynced = false

  /// When the logs that are behind are tried again, on the monotonic clock.
  private var retryAt: Int64 = .min
  private var pause: Int64
  /// The failure has been said.
  private var isFailing = false
  private var hasGivenUp = false
  /// Logs that could not be put aside, and go on growing.
  private var unmovable: Set<LogName> = []
  private var reports: [FollowerReport] = []

  package init(_ files: Files, _ bounds: Bounds = Bounds()) {
    self.files = files
    self.bounds = bounds
    pause = bounds.retryMicroseconds
  }

  // MARK: What the journal's thread says

  package mutating func follow(
    _ lines: [JournalLine], in journal: UInt64, of disk: some Storage
  ) {
    count(lines.reduce(0) { $0 + $1.bytes.count }, in: journal)
    // What is caught up with now has these lines already: they are in the journal.
    let passed = behind
    if !behind.isEmpty { catchUpIfDue(from: disk) }
    for (log, buffer) in LogBook.sorted(lines) where !passed.contains(log) {
      do throws(StorageError) { try add(buffer.bytes, to: log) } catch { fallBehind(log, error) }
    }
  }

  package mutating func prepareForSnapshot(of disk: some Storage) -> UInt64? {
    if !behind.isEmpty { catchUpIfDue(from: disk) }
    sync()
    guard behind.isEmpty && !areNamesUnsynced else {
      giveUpOldest()
      return journals.first?.number
    }
    journals = []
    recover()
    return nil
  }

  package mutating func takeReports() -> [FollowerReport] {
    defer { reports = [] }
    return reports
  }

  /// What belongs to each log, as its lines, in the order in which they were first mentioned.
  private static func sorted(_ lines: [JournalLine]) -> [(LogName, ByteBuffer)] {
    var places: [LogName: Int] = [:]
    var sorted: [(LogName, ByteBuffer)] = []
    for line in lines {
      line.bytes.withUnsafeBytes { bytes in
        guard let log = LogName(record: bytes) else { return }
        let place = places[log] ?? sorted.count
        if place == sorted.count {
          places[log] = place
          sorted.append((log, ByteBuffer()))
        }
        sorted[place].1.append(bytes)
        sorted[place].1.append(byte: 0x0A)
      }
    }
    return sorted
  }

  // MARK: Journals that are needed

  /// So many bytes of records stand in that journal, or so many more than were known.
  mutating func count(_ bytes: Int, in journal: UInt64) {
    if let last = journals.last, last.number == journal {
      journals[journals.count - 1].bytes += bytes
    } else {
      journals.append((journal, bytes))
    }
  }

  /// Keeps what journals are kept for the logs within its bound.
  private mutating func giveUpOldest() {
    var total = journals.reduce(0) { $0 + $1.bytes }
    guard total > bounds.keptJournalBytes else { return }
    while total > bounds.keptJournalBytes, let oldest = journals.first {
      total -= oldest.bytes
      journals.removeFirst()
    }
    guard !hasGivenUp else { return }
    hasGivenUp = true
    report(
      "the readable logs could not be written for so long that the journal no longer keeps all they "
        + "lack: it will be missing in log/", isFault: true)
  }

  // MARK: Writing

  /// Adds whole lines to a log. Where it throws, none of the last of them is there by half.
  mutating func add(_ lines: UnsafeRawBufferPointer, to log: LogName) throws(StorageError) {
    guard !lines.isEmpty else { return }
    var end = try place(in: log)
    if end.bytes == 0 { areNamesUnsynced = true }
    if !end.isAfterLine {
      report("log/\(log.file) does not end with a whole line; it goes on with a new one")
      end = try append(LogBook.lineFeed, to: log, at: end)
    }
    var rest = lines
    while !rest.isEmpty {
      var room = bounds.logBytes - end.bytes
      if end.bytes > 0 && rest.wholeLines(within: 0) > room {
        end = try rotate(log, end)
        // A log that could not be put aside takes everything.
        room = end.bytes == 0 ? bounds.logBytes : .max
      }
      let count = rest.wholeLines(within: room)
      end = try append(rest.clamped(0..<count), to: log, at: end)
      rest = rest.clamped(count..<rest.count)
    }
  }

  /// Where the next line goes; throws where none can be added.
  mutating func place(in log: LogName) throws(StorageError) -> LogEnd {
    try files.end(of: log.file)
  }

  private mutating func append(
    _ bytes: UnsafeRawBufferPointer, to log: LogName, at end: LogEnd
  ) throws(StorageError) -> LogEnd {
    isUnsynced(log, from: end.bytes)
    do throws(StorageError) { try files.append(bytes, to: log.file) } catch {
      // A disk that just failed need not obey; mending will see to it then.
      try? cut(log, to: end.bytes)
      throw error
    }
    return LogEnd(bytes: end.bytes + bytes.count, isAfterLine: true)
  }

  private static var lineFeed: UnsafeRawBufferPointer {
    let text: StaticString = "\n"
    return UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }

  /// Puts a log's file aside. Where that is not possible, the log goes on in the same file.
  private mutating func rotate(_ log: LogName, _ end: LogEnd) throws(StorageError) -> LogEnd {
    guard !unmovable.contains(log) else { return end }
    // Under its new name nobody would sync it.
    try sync(log)
    do throws(StorageError) {
      let number = (try files.rotated(log).last ?? 0) + 1
      try files.rename(log.file, to: log.file(numbered: number))
    } catch {
      unmovable.insert(log)
      report("\(error): the log goes on in the same file, however large it gets", isFault: true)
      return end
    }
    areNamesUnsynced = true
    return try place(in: log)
  }

  /// Takes away what stands behind.
  mutating func cut(_ log: LogName, to bytes: Int) throws(StorageError) {
    if try place(in: log).bytes > bytes { try files.truncate(log.file, to: bytes) }
  }

  // MARK: Syncing

  private mutating func sync() {
    for log in unsynced.keys.sorted(by: { $0.file < $1.file }) {
      do throws(StorageError) { try sync(log) } catch { fallBehind(log, error) }
    }
    guard areNamesUnsynced else { return }
    do throws(StorageError) {
      try files.syncNames()
      areNamesUnsynced = false
    } catch {
      say(error)
    }
  }

  /// What stands behind that in a log's file may not be on the disk.
  mutating func isUnsynced(_ log: LogName, from bytes: Int) {
    unsynced[log] = min(unsynced[log] ?? bytes, bytes)
  }

  private mutating func sync(_ log: LogName) throws(StorageError) {
    guard let bytes = unsynced.removeValue(forKey: log) else { return }
    do throws(StorageError) { try files.sync(log.file) } catch {
      // What was written since the last sync may only look as if it were there: it is written again.
      try? cut(log, to: bytes)
      throw error
    }
  }

  // MARK: What does not work

  mutating func report(_ text: String, isFault: Bool = false) {
    reports.append(FollowerReport(isFault: isFault, text))
  }

  mutating func fallBehind(_ log: LogName, _ error: StorageError) {
    behind.insert(log)
    say(error)
  }

  /// Said once until everything works again.
  mutating func say(_ error: StorageError) {
    guard !isFailing else { return }
    isFailing = true
    rest()
    report(
      "\(error): the journal keeps what the readable logs lack, and it is added when this works",
      isFault: true)
  }

  private mutating func rest() {
    retryAt = SystemClock.now().monotonicMicroseconds + pause
    pause = min(2 * pause, MachineLimits.logRetryMostMicroseconds)
  }

  private mutating func catchUpIfDue(from disk: some Storage) {
    guard SystemClock.now().monotonicMicroseconds >= retryAt else { return }
    catchUp(from: disk)
    if behind.isEmpty { recover() } else { rest() }
  }

  private mutating func recover() {
    guard isFailing else { return }
    isFailing = false
    hasGivenUp = false
    pause = bounds.retryMicroseconds
    report("the readable logs are written again")
  }
}

extension UnsafeRawBufferPointer {
  /// The length of as many whole lines as fit into so many bytes; of the first one where none does.
  fileprivate func wholeLines(within bytes: Int) -> Int {
    if bytes >= count { return count }
    if bytes > 0, let end = self[..<bytes].lastIndex(of: 0x0A) { return end + 1 }
    return (firstIndex(of: 0x0A) ?? count - 1) + 1
  }
}
