// How fast the disk is by itself: what nodes promise is on it before anybody hears of it, so this is what
// their figures are compared with.

import Foundation
import Glibc
import Histogram

enum DiskRate {
  /// As many bytes as a short message takes in a journal.
  private static let recordBytes = 160

  /// Appends a record and calls `fdatasync`, again and again, in so many files at once.
  static func measure(writers: Int, in directory: String, for seconds: Double) throws -> Row {
    let folder = try Workplace.make(in: directory)
    defer { Workplace.remove(folder) }
    let desk = DiskDesk(writers)
    let start = monotonicNanoseconds()
    let end = start + UInt64(seconds * 1e9)
    let threads = (0..<writers).map { index in
      Thread { desk.write("\(folder.path)/\(index)", Self.recordBytes, until: end) }
    }
    for thread in threads { thread.start() }
    let (latencies, failure) = desk.wait()
    if let failure { throw BenchFailure("the disk: \(String(cString: strerror(failure)))") }
    let count = Int(latencies.totalCount)
    let files = writers == 1 ? "one file" : "\(writers) files at once"
    var row = Row("disk", "fdatasync after \(recordBytes) B, \(files)")
    row.sent = count
    row.perSecond = Double(count) / (Double(monotonicNanoseconds() - start) / 1e9)
    row.take(latencies)
    return row
  }
}

/// What the writers share.
private final class DiskDesk: @unchecked Sendable {
  private let condition = NSCondition()
  private var underWay: Int
  private var latencies = Histogram<UInt64>.ofNanoseconds()
  private var failure: Int32?

  init(_ writers: Int) { underWay = writers }

  func write(_ path: String, _ bytes: Int, until end: UInt64) {
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    let record = [UInt8](repeating: UInt8(ascii: "x"), count: bytes)
    var taken: [UInt64] = []
    var isWell = file >= 0
    while isWell {
      let start = monotonicNanoseconds()
      guard start < end else { break }
      isWell = Glibc.write(file, record, record.count) == record.count && fdatasync(file) == 0
      if isWell { taken.append(monotonicNanoseconds() - start) }
    }
    let code = errno
    if file >= 0 { close(file) }
    condition.lock()
    if !isWell { failure = code }
    for time in taken { latencies.record(time) }
    underWay -= 1
    condition.signal()
    condition.unlock()
  }

  func wait() -> (Histogram<UInt64>, Int32?) {
    condition.lock()
    defer { condition.unlock() }
    while underWay > 0 { condition.wait() }
    return (latencies, failure)
  }
}
