// What a server or a node finds in its state directory when it starts, and how it goes on from there.
//
//     groups.json      a server's snapshot: one JSON object, "server", "start", "members", "groups",
//                      "kept", "time"
//     replica.json     a node's, likewise: ReplicaState
//     journal.N        what happened since, as wire lines
//     log/             a node's readable logs, derived from its journal: LogBook
//     lock             held by the one process that uses the directory
//     linechatd.sock   the owner's way to speak to the server
//     node.sock        and to the node

import LineChatCore
import LineProtocol

/// The content of a snapshot's file.
protocol StoredContent: Codable, Sendable {
  static var file: String { get }
  /// Why it cannot be used although it could be decoded.
  var fault: String? { get }
}

/// A state directory, locked and read, and not written to yet.
final class SavedState<Content: StoredContent> {
  let directory: StateDirectory
  /// Nil: the directory is new.
  let content: Content?
  let records: [Recovery.Record]
  /// What was found to be wrong with the files.
  let reports: [String]
  private var journal: any StartingJournal

  static func open(
    _ path: String, _ storage: StorageMaker
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
      let (recovery, journal) = try Recovery.start(disk, snapshotFile: Content.file)
      content = try SavedState.decode(recovery.content)
      records = recovery.records
      reports = recovery.reports.map(\.description)
      self.journal = OpenJournal(journal: journal)
    } catch {
      throw ServerError(.badDataDirectory, "the data directory \(directory.path): \(error)")
    }
  }

  private static func decode(_ bytes: [UInt8]?) throws(Recovery.Failure) -> Content? {
    guard let bytes else { return nil }
    let content: Content
    do { content = try StateCoding.decode(Content.self, from: bytes) } catch {
      throw .unreadable(Content.file, because: reason(error))
    }
    if let fault = content.fault { throw .unreadable(Content.file, because: fault) }
    return content
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
    with content: Content, carryingNotes: Bool, waking wake: WakePipe,
    _ makeFollower: (StateDirectory) throws(StorageError) -> (any JournalFollower)?
  ) throws(ServerError) -> JournalThread {
    var follower: (any JournalFollower)?
    do throws(StorageError) {
      follower = try makeFollower(directory)
      try journal.begin(with: content, &follower)
    } catch {
      throw ServerError(
        .badDataDirectory,
        "the data directory \(directory.path) cannot be written: \(error); nothing in it is lost")
    }
    do throws(SystemError) {
      return try journal.start(carryingNotes: carryingNotes, waking: wake, follower)
    } catch {
      throw ServerError(.system, "cannot start a thread: \(error)", cause: error)
    }
  }
}

/// What reads and writes the files of a state directory.
package typealias StorageMaker =
  @Sendable (_ path: String) throws(StorageError) -> any Storage

/// A journal before its thread has it, whatever its storage.
private protocol StartingJournal {
  mutating func setAside(_ file: String) throws(StorageError) -> String?
  mutating func begin(
    with content: some Encodable, _ follower: inout (any JournalFollower)?
  ) throws(StorageError)
  func start(
    carryingNotes: Bool, waking wake: WakePipe, _ follower: (any JournalFollower)?
  ) throws(SystemError) -> JournalThread
}

private struct OpenJournal<Disk: Storage>: StartingJournal {
  var journal: Journal<Disk>

  mutating func setAside(_ file: String) throws(StorageError) -> String? {
    try journal.setAside(file)
  }

  mutating func begin(
    with content: some Encodable, _ follower: inout (any JournalFollower)?
  ) throws(StorageError) {
    let bytes: [UInt8]
    do { bytes = try StateCoding.encode(content) } catch {
      preconditionFailure("strings and numbers can be encoded: \(error)")
    }
    follower?.mend(from: journal.disk)
    let needed = follower?.prepareForSnapshot(of: journal.disk)
    try journal.snapshot(bytes, inFlight: [], keepingFrom: needed ?? .max)
  }

  func start(
    carryingNotes: Bool, waking wake: WakePipe, _ follower: (any JournalFollower)?
  ) throws(SystemError) -> JournalThread {
    try JournalThread.start(
      journal, carryingNotes: carryingNotes, wake: wake, follower: follower)
  }
}

extension Record {
  fileprivate static func withoutEnd(_ text: String) -> [UInt8] { Array(text.utf8.dropLast()) }

  /// A message as the line it came from.
  init(_ message: Message) { self.init(line: Record.withoutEnd(message.render())) }
}
