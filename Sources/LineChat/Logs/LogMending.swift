// Brings the readable logs up to what the journals hold: at a start, and when a log can be written to
// again after a failure. The same is done in both cases, and doing it again changes nothing.
//
// Theory of operation. Everything that was not synced in a log is in the journals that are there
// (LogBook.swift). So of the records in them that belong to a log, the first ones end the log, and the
// others are missing: the log's end is compared with the records' beginning, and what is missing is
// added.
//
// The rules it keeps, as a log is a file that anybody may change:
//   - Where the log's end is not what some of the records are, the last record that is found near it
//     counts: it and those before it are not added again, whatever has become of them.
//   - A half line at the end is taken away if it is the beginning of a record; otherwise it stays, and
//     gets the end it lacks.
//   - The zeros that a crash can leave where bytes should be are taken away with what is behind them,
//     as long as all of that is in the journals.
//   - A log that was removed begins anew with what the journals still hold.

import LineChatCore
import LineProtocol

extension LogBook {
  package mutating func mend(from disk: some Storage) {
    catchUp(from: disk, isStart: true)
  }

  mutating func catchUp(from disk: some Storage, isStart: Bool = false) {
    // Before so much is read: whether any of them can be written to.
    guard isStart || behind.contains(where: { (try? place(in: $0)) != nil }) else { return }
    var records: [LogName: [JournalLine]] = [:]
    do throws(StorageError) {
      let first = isStart ? 0 : journals.first?.number ?? .max
      try JournalHistory.read(disk, from: first) { journal, line in
        if isStart { count(line.bytes.count, in: journal) }
        let log = line.bytes.withUnsafeBytes { LogName(record: $0) }
        guard let log, isStart || behind.contains(log) else { return }
        records[log, default: []].append(line)
      }
    } catch {
      return say(error)
    }
    var added = 0
    let logs = isStart ? Array(records.keys) : Array(behind)
    for log in logs.sorted(by: { $0.file < $1.file }) {
      do throws(StorageError) {
        added += try mend(log, records[log] ?? [])
        behind.remove(log)
      } catch {
        fallBehind(log, error)
      }
    }
    guard added > 0 else { return }
    report("the readable logs lacked \(counted(added)), which the journal had")
  }

  /// Adds what is missing at the end of a log; returns how many lines that was.
  private mutating func mend(
    _ log: LogName, _ records: [JournalLine]
  ) throws(StorageError) -> Int {
    let found = try LogTail(try files.open(log), records.map(\.bytes))
    // The process before this one may have written them, and not synced.
    if let start = found.start { isUnsynced(log, from: start) }
    if let cut = found.cut {
      try self.cut(log, to: cut)
      report("log/\(log.file): its end was damaged, and is written again")
    }
    if found.changed > 0 {
      report(
        "log/\(log.file) was changed by somebody, and lacks \(counted(found.changed)) that the journal "
          + "has; they are not added again")
    }
    let missing = ByteBuffer()
    for record in records[found.written...] {
      record.bytes.withUnsafeBytes { missing.append($0) }
      missing.append(byte: 0x0A)
    }
    try add(missing.bytes, to: log)
    return records.count - found.written
  }
}

private func counted(_ lines: Int) -> String { lines == 1 ? "1 line" : "\(lines) lines" }

/// What the end of a log says about which records are in it.
struct LogTail {
  /// So many of the records count as written.
  private(set) var written = 0
  /// Of these, so many are not there.
  private(set) var changed = 0
  /// What stands behind this in the newest file is to be taken away.
  private(set) var cut: Int?
  /// Where in the newest file lines begin that may not be synced; nil: nothing in it is in the
  /// journals.
  private(set) var start: Int?

  /// `files` are those of the log, the newest first.
  init(_ files: [LogFile], _ records: [[UInt8]]) throws(StorageError) {
    guard !records.isEmpty else { return }
    var lines = LogLines(files)
    // The newest first.
    var tail: [LogLines.Line] = []
    var bytes = records.reduce(0) { $0 + $1.count + 1 }
    try LogTail.read(&lines, &tail, bytes)
    dropDamage(&tail, records)
    written = LogTail.overlap(tail, records)
    if written > 0 { start = tail[written - 1].file == 0 ? tail[written - 1].start : 0 }
    guard !records[..<written].contains(where: LogTail.isUnique) else { return }
    bytes += MachineLimits.logSearchBytes
    try LogTail.read(&lines, &tail, bytes)
    search(tail, records)
  }

  /// Reads on until `tail` holds so many bytes.
  private static func read(
    _ lines: inout LogLines, _ tail: inout [LogLines.Line], _ bytes: Int
  ) throws(StorageError) {
    var count = tail.reduce(0) { $0 + $1.bytes.count + 1 }
    while count < bytes, let line = try lines.next() {
      tail.append(line)
      count += line.bytes.count + 1
    }
  }

  /// How many of the first records are exactly the end of the log.
  private static func overlap(_ tail: [LogLines.Line], _ records: [[UInt8]]) -> Int {
    var count = min(tail.count, records.count)
    while count > 0 {
      if (0..<count).allSatisfy({ tail[$0].bytes == records[count - 1 - $0] }) { return count }
      count -= 1
    }
    return 0
  }

  /// Half a record at the end, or zeros where all that is behind them can be written again.
  private mutating func dropDamage(_ tail: inout [LogLines.Line], _ records: [[UInt8]]) {
    if let last = tail.first, !last.isEnded, last.file == 0,
      records.contains(where: { $0.starts(with: last.bytes) })
    {
      cut = last.start
      tail.removeFirst()
    }
    guard tail.contains(where: { $0.bytes.contains(0) }) else { return }
    let known = Set(records)
    var count = 0
    for (index, line) in tail.enumerated() {
      guard line.file == 0 else { break }
      if line.bytes.contains(0) {
        count = index + 1
        cut = line.start
      } else if !known.contains(line.bytes) {
        break
      }
    }
    tail.removeFirst(count)
  }

  /// Looks for the last record that is there at all.
  private mutating func search(_ tail: [LogLines.Line], _ records: [[UInt8]]) {
    let known = Set(tail.map(\.bytes))
    let unique = records.indices.filter { LogTail.isUnique(records[$0]) }
    guard let last = unique.last(where: { known.contains(records[$0]) }) else { return }
    written = max(written, last + 1)
    // Nothing of a file that somebody has changed is ever written again.
    if written == last + 1 { start = tail.first.map { $0.start + $0.bytes.count + 1 } }
    changed = unique.prefix { $0 < last }.count { !known.contains(records[$0]) }
  }

  /// Tags tell it from every other; without them nothing does: who leaves twice says the same twice.
  private static func isUnique(_ record: [UInt8]) -> Bool { record.first == 0x40 }
}
