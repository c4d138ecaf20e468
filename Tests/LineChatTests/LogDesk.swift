// Plays a node for its readable logs: commits records to a journal in a real directory, has them
// followed as the journal's thread does it, takes snapshots, and starts again.

import Foundation
import LineChat
import LineChatCore
import LineProtocol
import Synchronization
import TestSupport

/// Files that fail as the test wants it, and remember what was synced, so that a power cut can be
/// played: what was not synced is lost, from any byte on.
struct ControlledLogFiles: LogFiles {
  final class Controls: Sendable {
    struct State {
      /// What fails, with what, for which files (all, where it is empty).
      var failures: [StorageError.Operation: Int32] = [:]
      var failingFiles: Set<String> = []
      /// So many bytes find room; then the disk is full.
      var room = Int.max
      var synced: [String: Int] = [:]
      var syncs: [String] = []
      var nameSyncs = 0
    }

    let state = Mutex(State())

    func fail(_ operation: StorageError.Operation, with code: Int32, of files: Set<String> = []) {
      state.withLock {
        $0.failures[operation] = code
        $0.failingFiles = files
      }
    }

    func heal() {
      state.withLock {
        $0.failures = [:]
        $0.room = .max
      }
    }

    func leaveRoom(_ bytes: Int) { state.withLock { $0.room = bytes } }
    var synced: [String: Int] { state.withLock { $0.synced } }
    var syncs: [String] { state.withLock { $0.syncs } }
    var nameSyncs: Int { state.withLock { $0.nameSyncs } }

    fileprivate func check(
      _ operation: StorageError.Operation, _ name: String
    ) throws(StorageError) {
      let code = state.withLock { state -> Int32? in
        guard state.failingFiles.isEmpty || state.failingFiles.contains(name) else { return nil }
        return state.failures[operation]
      }
      if let code { throw StorageError(operation, "log/\(name)", reason: "injected", code: code) }
    }
  }

  var base: LogDirectory
  let controls: Controls

  func names() throws(StorageError) -> [String] {
    try controls.check(.list, "")
    return try base.names()
  }

  func open(_ name: String) throws(StorageError) -> LogFile? {
    try controls.check(.read, name)
    return try base.open(name)
  }

  mutating func end(of name: String) throws(StorageError) -> LogEnd { try base.end(of: name) }

  mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(StorageError) {
    try controls.check(.append, name)
    let room = controls.state.withLock { state in
      defer { state.room -= min(state.room, bytes.count) }
      return state.room
    }
    try base.append(UnsafeRawBufferPointer(rebasing: bytes.prefix(room)), to: name)
    guard room < bytes.count else { return }
    throw StorageError(.append, "log/\(name)", reason: "injected", code: ENOSPC)
  }

  mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    try controls.check(.truncate, name)
    try base.truncate(name, to: count)
  }

  mutating func sync(_ name: String) throws(StorageError) {
    try controls.check(.sync, name)
    try base.sync(name)
    let bytes = try base.open(name)?.bytes
    controls.state.withLock { state in
      state.synced[name] = bytes
      state.syncs.append(name)
    }
  }

  mutating func rename(_ name: String, to other: String) throws(StorageError) {
    try controls.check(.rename, name)
    try base.rename(name, to: other)
    controls.state.withLock { state in
      state.synced[other] = state.synced.removeValue(forKey: name)
    }
  }

  mutating func syncNames() throws(StorageError) {
    try controls.check(.syncDirectory, "")
    try base.syncNames()
    controls.state.withLock { $0.nameSyncs += 1 }
  }
}

final class LogDesk {
  let directory: TemporaryDirectory
  let controls = ControlledLogFiles.Controls()
  let bounds: LogBook<ControlledLogFiles>.Bounds
  private let openFilesMax: Int
  private var journal: Journal<FileStorage>
  private var book: LogBook<ControlledLogFiles>
  /// Every record that was committed, in order.
  private(set) var records: [String] = []
  private(set) var reports: [FollowerReport] = []
  private(set) var last = 0

  init(
    openFilesMax: Int = 64, _ change: (inout LogBook<ControlledLogFiles>.Bounds) -> Void = { _ in }
  ) throws {
    var bounds = LogBook<ControlledLogFiles>.Bounds()
    // In most tests whatever can be tried again is tried again at once.
    bounds.retryMicroseconds = 0
    change(&bounds)
    self.bounds = bounds
    self.openFilesMax = openFilesMax
    directory = try TemporaryDirectory()
    (journal, book) = try LogDesk.start(directory, controls, bounds, openFilesMax)
    reports = book.takeReports()
  }

  /// What a node does when it starts. The state in its snapshots is nothing at all.
  private static func start(
    _ directory: TemporaryDirectory, _ controls: ControlledLogFiles.Controls,
    _ bounds: LogBook<ControlledLogFiles>.Bounds, _ openFilesMax: Int
  ) throws -> (Journal<FileStorage>, LogBook<ControlledLogFiles>) {
    let storage = try FileStorage(directory.path)
    var (_, journal) = try Recovery.start(storage, snapshotFile: "replica.json")
    let files = ControlledLogFiles(
      base: try LogDirectory(in: directory.path, openFilesMax: openFilesMax), controls: controls)
    var book = LogBook(files, bounds)
    book.mend(from: storage)
    let needed = book.prepareForSnapshot(of: storage)
    try journal.snapshot(Array("{}".utf8), inFlight: [], keepingFrom: needed ?? .max)
    return (journal, book)
  }

  /// The process ends here and now, and starts again. What it said then are the only reports.
  func restart() throws {
    (journal, book) = try LogDesk.start(directory, controls, bounds, openFilesMax)
    reports = book.takeReports()
  }

  /// In one batch, as the journal's thread would do it.
  func commit(_ lines: [String]) throws {
    try commitOnly(lines)
    book.follow(lines.map(LogDesk.line), in: journal.number, of: journal.disk)
    reports += book.takeReports()
  }

  func commit(_ lines: String...) throws { try commit(lines) }

  /// A crash comes before the logs are written.
  func commitOnly(_ lines: [String]) throws {
    try journal.commit(lines.map(LogDesk.line))
    records += lines
  }

  func snapshot(inFlight: Int = 0) throws {
    let needed = book.prepareForSnapshot(of: journal.disk)
    reports += book.takeReports()
    try journal.snapshot(
      Array("{}".utf8), inFlight: records.suffix(inFlight).map(LogDesk.line),
      keepingFrom: needed ?? .max)
  }

  static func line(_ text: String) -> JournalLine { JournalLine(Record(line: Array(text.utf8))) }

  /// A line that was heard in a group, unlike any before.
  func heard(in group: String = "lobby", bytes: Int = 0) -> String {
    last += 1
    let stamp = Timestamp.text(1_800_000_000_000_000 + Int64(last))
    return "@heard=\(stamp);msgid=00c0ffee00c0ffee.\(last);time=\(stamp) :bob@10.0.0.3:5001 MSG "
      + "\(group) \(last) \(String(repeating: "ü", count: bytes / 2))"
  }

  func heard(_ count: Int, in group: String = "lobby", bytes: Int = 0) -> [String] {
    (0..<count).map { _ in heard(in: group, bytes: bytes) }
  }

  // MARK: Looking

  /// What should stand in a log.
  func wanted(_ file: String) -> String {
    records.filter { record in
      Array(record.utf8).withUnsafeBytes { LogName(record: $0) }?.file == file
    }.map { $0 + "\n" }.joined()
  }

  func path(_ file: String) -> String { "\(directory.path)/log/\(file)" }

  /// A log with all that was put aside, oldest first; nil: there is none.
  func text(_ file: String) -> String? {
    var number = 1
    var texts: [String] = []
    while let text = contents("\(file).\(number)") {
      texts.append(text)
      number += 1
    }
    let newest = contents(file)
    return newest == nil && texts.isEmpty ? nil : (texts + [newest ?? ""]).joined()
  }

  func contents(_ file: String) -> String? {
    try? String(contentsOfFile: path(file), encoding: .utf8)
  }

  func bytes(_ file: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path(file))))
  }

  func put(_ bytes: [UInt8], in file: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path(file)))
  }

  var files: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/log")) ?? []).sorted()
  }

  var journals: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
    return names.filter { $0.hasPrefix("journal.") }.sorted()
  }

  var faults: [String] { reports.filter(\.isFault).map(\.text) }
  var news: [String] { reports.filter { !$0.isFault }.map(\.text) }
}
