// What a server finds in its data directory when it starts: who it is, who its durable members are,
// and what was recorded since that was written down.
//
//     groups.json      one JSON object: "server", "start", "members", "groups", "kept", "time"
//     journal.N        what happened since, as wire lines
//     lock             held by the one server that uses the directory
//     linechatd.sock   the owner's way to speak to it

import LineChatCore
import LineProtocol

/// The content of the snapshot's file.
struct StoredState: Codable, Sendable {
  /// The server's id, 16 hexadecimal digits. A new directory is a new server.
  var server: String
  /// The first half of the versions of this run; the next one's is larger.
  var start: UInt64
  var state: DurableState

  init(server: String, start: UInt64, state: DurableState) {
    self.server = server
    self.start = start
    self.state = state
  }

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: Key.self)
    server = try members.decode(String.self, forKey: .server)
    start = try members.decode(UInt64.self, forKey: .start)
    state = try DurableState(from: decoder)
  }

  func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: Key.self)
    try members.encode(server, forKey: .server)
    try members.encode(start, forKey: .start)
    try state.encode(to: encoder)
  }

  private enum Key: CodingKey { case server, start }
}

/// A data directory, locked and read, and not written to yet.
final class SavedState {
  static let snapshotFile = "groups.json"

  let directory: StateDirectory
  let serverID: UInt64
  /// The first half of every version from now on: more than any before.
  let versionStart: UInt64
  /// Nil: the directory is new.
  let state: DurableState?
  let records: [Recovery.Record]
  /// What was found to be wrong with the files.
  let reports: [String]
  private var journal: any StartingJournal

  static func open(
    _ path: String, _ storage: Server.StorageMaker
  ) throws(ServerError) -> SavedState {
    let directory = try StateDirectory.open(path)
    let disk: any Storage
    do throws(StorageError) { disk = try storage(path) } catch {
      throw ServerError(.badDataDirectory, "the data directory \(path) cannot be used: \(error)")
    }
    return try SavedState(directory, disk)
  }

  private init(_ directory: StateDirectory, _ disk: some Storage) throws(ServerError) {
    self.directory = directory
    do throws(Recovery.Failure) {
      let (recovery, journal) = try Recovery.start(disk, snapshotFile: SavedState.snapshotFile)
      let stored = try SavedState.decode(recovery.content)
      serverID = stored?.id ?? UInt64.random(in: .min ... .max)
      versionStart = max((stored?.start ?? 0) + 1, SystemClock.unixTime)
      state = stored?.state
      records = recovery.records
      reports = recovery.reports.map(\.description)
      self.journal = OpenJournal(journal: journal)
    } catch {
      throw ServerError(.badDataDirectory, "the data directory \(directory.path): \(error)")
    }
  }

  private static func decode(
    _ content: [UInt8]?
  ) throws(Recovery.Failure) -> (id: UInt64, start: UInt64, state: DurableState)? {
    guard let content else { return nil }
    let stored: StoredState
    do { stored = try StateCoding.decode(StoredState.self, from: content) } catch {
      throw .unreadable(snapshotFile, because: reason(error))
    }
    guard stored.server.utf8.count == 16, let id = UInt64(stored.server, radix: 16) else {
      throw .unreadable(snapshotFile, because: "\"server\" is no id of 16 hexadecimal digits")
    }
    guard stored.start < UInt64(Int64.max) else {
      throw .unreadable(snapshotFile, because: "\"start\" is no time in seconds")
    }
    return (id, stored.start, stored.state)
  }

  /// Which member of the file is wrong, where the decoder says it.
  private static func reason(_ error: any Error) -> String {
    func place(_ context: DecodingError.Context, _ more: (any CodingKey)? = nil) -> String {
      let keys = context.codingPath + (more.map { [$0] } ?? [])
      return keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    guard let error = error as? DecodingError else { return "\(error)" }
    return switch error {
    case .keyNotFound(let key, let context): "\(place(context, key)) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "\(place(context)) is not what it should be"
    case .dataCorrupted: "it is no JSON"
    @unknown default: "\(error)"
    }
  }

  /// Keeps a copy of a file of which not everything could be used, and says what is missing. What
  /// cannot be kept ends the start: nothing is thrown away in silence.
  func setAside(_ file: String, _ faults: [String], _ log: EventLog) throws(ServerError) {
    guard !faults.isEmpty else { return }
    for fault in faults { log.warn("\(file): left out \(escaped(fault))") }
    do throws(StorageError) {
      if let copy = try journal.setAside(file) { log.warn("\(file) is kept as it was in \(copy)") }
    } catch {
      throw ServerError(
        .badDataDirectory,
        "\(file) cannot be used in full, and a copy of it cannot be kept: \(error)")
    }
  }

  /// Begins a new generation with the state as it is now, and the thread that goes on with it.
  func begin(
    with content: StoredState, waking wake: WakePipe
  ) throws(ServerError) -> JournalThread {
    do throws(StorageError) {
      try journal.begin(with: content)
    } catch {
      throw ServerError(
        .badDataDirectory,
        "the data directory \(directory.path) cannot be written: \(error); nothing in it is lost")
    }
    do throws(SystemError) { return try journal.start(waking: wake) } catch {
      throw ServerError(.system, "cannot start a thread: \(error)", cause: error)
    }
  }
}

/// A journal before its thread has it, whatever its storage.
private protocol StartingJournal {
  mutating func setAside(_ file: String) throws(StorageError) -> String?
  mutating func begin(with content: StoredState) throws(StorageError)
  func start(waking wake: WakePipe) throws(SystemError) -> JournalThread
}

private struct OpenJournal<Disk: Storage>: StartingJournal {
  var journal: Journal<Disk>

  mutating func setAside(_ file: String) throws(StorageError) -> String? {
    try journal.setAside(file)
  }

  mutating func begin(with content: StoredState) throws(StorageError) {
    let bytes: [UInt8]
    do { bytes = try StateCoding.encode(content) } catch {
      preconditionFailure("strings and numbers can be encoded: \(error)")
    }
    try journal.snapshot(bytes, inFlight: [])
  }

  func start(waking wake: WakePipe) throws(SystemError) -> JournalThread {
    try JournalThread.start(journal, wake: wake)
  }
}

extension Record {
  fileprivate static func withoutEnd(_ text: String) -> [UInt8] { Array(text.utf8.dropLast()) }

  /// A message as the line it came from.
  init(_ message: Message) { self.init(line: Record.withoutEnd(message.render())) }
}
