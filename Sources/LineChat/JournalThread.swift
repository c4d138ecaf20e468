// The one thread that writes to the disk, so that the loop never waits for it.
//
// Theory of operation. The loop hands in records and snapshots, and later takes what became of them,
// in the same order. The thread takes everything that waits at once: all records up to the next
// snapshot go to the disk with one append and one sync, however many they are.
//
//     loop: persist, note, snapshot -> [waiting] -> thread: commit, snapshot -> [outcomes]
//       -> wakes the loop -> takeOutcomes
//
// The rules it keeps:
//   - The calls are the loop's, from its one thread, and return at once.
//   - A snapshot's content is the state as it is when the loop hands it in. Records that were handed
//     in before it, and whose outcome the loop has not taken yet, are not in that content: they are
//     in flight, and carried over into the journal that follows. So an outcome must have been
//     applied when the closure given to `takeOutcomes` returns.
//   - A note is in the state already when it is handed in. It goes to the disk with the next record;
//     one that is lost on the way (a journal that broke, a full queue) is in the next snapshot, which
//     is due then.
//   - What waits is bounded in bytes; what is beyond is refused at once. From then on the state may be
//     ahead of what was handed in, and what is handed in later may build on it. So nothing more is taken
//     until a snapshot is handed in, and nothing behind that is written unless it is.
//   - A follower hears of records after they are on the disk and those who wait for them were told.
//     What it does is done on this thread, too, so a slow one holds up the next write, not the loop.

import Glibc
import LineChatCore
import LineProtocol

package final class JournalThread: Sendable {
  /// What became of what was handed in.
  package enum Outcome: Hashable, Sendable {
    /// The record is on the disk.
    case persisted(Ticket)
    /// It is not; why, for a person.
    case failed(Ticket, reason: String)
    /// The journal was given up: records fail until a snapshot has succeeded, which is due now.
    case brokeDown(reason: String)
    /// A new generation has begun.
    case snapshotTaken(journal: UInt64, bytes: Int)
    /// The state is as safe as before; another try is due in a while.
    case snapshotFailed(reason: String)
    /// The follower has something to say.
    case report(FollowerReport)
  }

  private let monitor: Monitor<State>

  private init(_ monitor: Monitor<State>) { self.monitor = monitor }

  /// What waits is still written, but nobody will hear of it.
  deinit { monitor.update { $0.isStopping = true } }

  /// Starts the thread. `journal` should have been given its first snapshot; `wake` is woken whenever
  /// there are outcomes to take. `follower` should have caught up with what is in the journal.
  /// `carryingNotes`: see `Core.carriesNotes`.
  package static func start(
    _ journal: Journal<some Storage>, carryingNotes: Bool = true, wake: WakePipe,
    follower: (any JournalFollower)? = nil
  ) throws(SystemError) -> JournalThread {
    let monitor = Monitor(State(isBroken: journal.isBroken, isLong: journal.isSnapshotDue))
    let writer = JournalWriter(journal, carryingNotes, follower, monitor, wake)
    try Thread.start {
      var writer = writer
      writer.run()
    }
    return JournalThread(monitor)
  }

  /// Hands in a record that somebody waits for. False: the queue is full or closed, or something was
  /// refused before it that no snapshot has yet; nothing is going to happen to it.
  package func persist(_ line: JournalLine, _ ticket: Ticket) -> Bool {
    monitor.update { $0.persist(line, ticket) }
  }

  /// Hands in a record that nobody waits for.
  package func note(_ line: JournalLine) { monitor.update { $0.note(line) } }

  /// Hands in what a round has for the disk, in order: it goes there with one sync. Those with a ticket
  /// are records that somebody waits for. Returns the tickets of those that are not taken: from the
  /// first on, as with `persist`.
  package func handIn(_ lines: [(line: JournalLine, ticket: Ticket?)]) -> [Ticket] {
    monitor.update { state in
      var refused: [Ticket] = []
      for (line, ticket) in lines {
        if let ticket {
          if !state.persist(line, ticket) { refused.append(ticket) }
        } else {
          state.note(line)
        }
      }
      return refused
    }
  }

  /// What the owner has was not handed in: nothing more is taken until a snapshot is.
  package func refuse() { monitor.update { $0.isBehind = true } }

  /// Has what waits go to the disk now, notes too.
  package func flush() {
    monitor.update { state in
      if !state.waiting.isEmpty { state.isUrgent = true }
    }
  }

  /// When a snapshot should be handed in, on the monotonic clock; 0 means now. Nil: not until
  /// something has been written, or taken from here.
  package var snapshotDueMicroseconds: Int64? {
    monitor.withLock { state in
      guard !state.isSnapshotUnderWay, !state.isStopping,
        state.isBroken || state.isLong || state.isBehind
      else { return nil }
      return state.nextTryMicroseconds
    }
  }

  /// Hands in the owner's whole state as it is now. It is encoded on the thread. False: one is under
  /// way already, or the thread is ending.
  @discardableResult
  package func snapshot(_ state: some Encodable & Sendable) -> Bool {
    snapshot { try StateCoding.encode(state) }
  }

  /// As above, for content that is made in another way: one JSON object.
  @discardableResult
  package func snapshot(encode: @escaping @Sendable () throws -> [UInt8]) -> Bool {
    monitor.update { state in
      guard !state.isSnapshotUnderWay, !state.isStopping else { return false }
      state.isSnapshotUnderWay = true
      state.waiting.append(
        .snapshot(appliedUpTo: state.appliedIdentifier, isNeeded: state.isBehind, encode))
      state.isBehind = false
      state.isUrgent = true
      return true
    }
  }

  /// Gives each outcome that has come to `body`, in order. The owner's state must say what it says
  /// when `body` returns, and `body` must not hand in a snapshot.
  package func takeOutcomes(now: Instant, _ body: (Outcome) -> Void) {
    let outcomes = monitor.withLock { state in
      let outcomes = state.outcomes
      state.outcomes = []
      return outcomes
    }
    guard !outcomes.isEmpty else { return }
    for entry in outcomes { body(entry.outcome) }
    monitor.withLock { state in
      for entry in outcomes { state.applied(entry, now) }
    }
  }

  /// Takes nothing more, writes what waits, and ends the thread. Returns false if it has not ended
  /// after that time: a disk may take as long as it likes. Outcomes can be taken after it.
  package func finish(withinMicroseconds limit: Int64) -> Bool {
    monitor.update { $0.isStopping = true }
    return monitor.wait(upTo: limit) { $0.hasEnded }
  }
}

// What the loop and the thread share.
extension JournalThread {
  fileprivate enum Item: Sendable {
    case record(UInt64, Ticket, JournalLine)
    case note(JournalLine)
    /// `isNeeded`: what is handed in behind it may build on what only it says.
    case snapshot(appliedUpTo: UInt64, isNeeded: Bool, @Sendable () throws -> [UInt8])
  }

  fileprivate struct Entry: Sendable {
    /// The number of the record that it is about; nil if about none.
    let identifier: UInt64?
    let outcome: Outcome
  }

  fileprivate struct State: Sendable {
    // From the loop.
    var waiting: [Item] = []
    var waitingBytes = 0
    var noteBytes = 0
    /// Something waits for which the thread should wake up.
    var isUrgent = false
    var isStopping = false
    var lastIdentifier: UInt64 = 0
    /// The outcomes of all records up to this one are in the owner's state.
    var appliedIdentifier: UInt64 = 0
    var isSnapshotUnderWay = false
    /// Something was refused: what was handed in is behind the owner's state.
    var isBehind = false
    var nextTryMicroseconds: Int64 = 0

    // From the thread.
    var outcomes: [Entry] = []
    var isBroken: Bool
    var isLong: Bool
    var hasEnded = false

    init(isBroken: Bool, isLong: Bool) {
      self.isBroken = isBroken
      self.isLong = isLong
    }

    /// What is refused once leaves a gap, behind which nothing may come.
    private mutating func takes(_ line: JournalLine) -> Bool {
      if isStopping || waitingBytes + State.cost(line) > MachineLimits.waitingRecordBytes {
        isBehind = true
      }
      return !isBehind
    }

    mutating func persist(_ line: JournalLine, _ ticket: Ticket) -> Bool {
      guard takes(line) else { return false }
      lastIdentifier += 1
      add(.record(lastIdentifier, ticket, line), line)
      isUrgent = true
      return true
    }

    mutating func note(_ line: JournalLine) {
      guard takes(line) else { return }
      add(.note(line), line)
      noteBytes += line.bytes.count
      if noteBytes > MachineLimits.waitingNoteBytes { isUrgent = true }
    }

    private mutating func add(_ item: Item, _ line: JournalLine) {
      waiting.append(item)
      waitingBytes += State.cost(line)
    }

    mutating func applied(_ entry: Entry, _ now: Instant) {
      if let identifier = entry.identifier { appliedIdentifier = identifier }
      switch entry.outcome {
      case .persisted, .failed, .brokeDown, .report: break
      case .snapshotTaken:
        isSnapshotUnderWay = false
        nextTryMicroseconds = 0
      case .snapshotFailed:
        isSnapshotUnderWay = false
        nextTryMicroseconds =
          now.monotonicMicroseconds + MachineLimits.snapshotRetryMicroseconds
      }
    }

    /// The line and what holds it.
    static func cost(_ line: JournalLine) -> Int { line.bytes.count + 128 }
  }
}

/// The thread's own side.
private struct JournalWriter<Disk: Storage>: Sendable {
  private typealias Item = JournalThread.Item
  private typealias Entry = JournalThread.Entry

  private var journal: Journal<Disk>
  private var follower: (any JournalFollower)?
  private let monitor: Monitor<JournalThread.State>
  private let wake: WakePipe
  private let carriesNotes: Bool
  /// Records on the disk that may not be in the owner's state yet, in order.
  private var inFlight: [(identifier: UInt64, line: JournalLine)] = []

  init(
    _ journal: Journal<Disk>, _ carriesNotes: Bool, _ follower: (any JournalFollower)?,
    _ monitor: Monitor<JournalThread.State>, _ wake: WakePipe
  ) {
    self.journal = journal
    self.carriesNotes = carriesNotes
    self.follower = follower
    self.monitor = monitor
    self.wake = wake
  }

  mutating func run() {
    publishReports()
    while let (items, applied) = next() {
      var batch: [Item] = []
      var hadSnapshot = false
      for item in items {
        guard case .snapshot(let applied, let isNeeded, let encode) = item else {
          batch.append(item)
          continue
        }
        hadSnapshot = true
        write(batch)
        batch = []
        forget(upTo: applied)
        snapshot(encode, isNeeded: isNeeded)
      }
      write(batch)
      // Where a snapshot was among them, it was older than what is applied now.
      if !hadSnapshot { forget(upTo: applied) }
    }
    monitor.update { $0.hasEnded = true }
    wake.wake()
  }

  /// Waits for work; nil when there will be none any more.
  private func next() -> (items: [Item], applied: UInt64)? {
    monitor.waitThenUpdate { state in
      guard state.isUrgent || state.isStopping else { return nil }
      let items = state.waiting
      state.waiting = []
      state.isUrgent = false
      state.noteBytes = 0
      return items.isEmpty ? .some(nil) : (items, state.appliedIdentifier)
    }
  }

  private mutating func write(_ batch: [Item]) {
    guard !batch.isEmpty else { return }
    let wasBroken = journal.isBroken
    let lines = batch.compactMap(\.line)
    var failure: StorageError?
    do throws(StorageError) { try journal.commit(lines) } catch { failure = error }
    var entries: [Entry] = []
    if let failure, !wasBroken {
      entries.append(Entry(identifier: nil, outcome: .brokeDown(reason: failure.description)))
    }
    for item in batch {
      if case .note(let line) = item, carriesNotes, failure == nil,
        let last = inFlight.last?.identifier
      {
        // It may be about a record in flight (a message delivered before its outcome was taken), and
        // must stand behind it wherever that is carried.
        inFlight.append((last, line))
      }
      guard case .record(let identifier, let ticket, let line) = item else { continue }
      if let failure {
        let outcome = JournalThread.Outcome.failed(ticket, reason: failure.description)
        entries.append(Entry(identifier: identifier, outcome: outcome))
      } else {
        inFlight.append((identifier, line))
        entries.append(Entry(identifier: identifier, outcome: .persisted(ticket)))
      }
    }
    publish(entries, freeing: lines.reduce(0) { $0 + JournalThread.State.cost($1) })
    guard failure == nil else { return }
    follower?.follow(lines, in: journal.number, of: journal.disk)
    publishReports()
  }

  private mutating func snapshot(_ encode: () throws -> [UInt8], isNeeded: Bool) {
    let outcome: JournalThread.Outcome
    do {
      let content = try encode()
      let needed = follower?.prepareForSnapshot(of: journal.disk)
      publishReports()
      try journal.snapshot(
        content, inFlight: inFlight.lazy.map(\.line), keepingFrom: needed ?? .max)
      outcome = .snapshotTaken(journal: journal.number, bytes: journal.snapshotBytes)
    } catch {
      outcome = .snapshotFailed(reason: "\(error)")
      if isNeeded { journal.giveUp(because: "what was refused could not be written to a snapshot") }
    }
    publish([Entry(identifier: nil, outcome: outcome)], freeing: 0)
  }

  private mutating func forget(upTo applied: UInt64) {
    inFlight.removeAll { $0.identifier <= applied }
  }

  private mutating func publishReports() {
    guard let reports = follower?.takeReports(), !reports.isEmpty else { return }
    publish(reports.map { Entry(identifier: nil, outcome: .report($0)) }, freeing: 0)
  }

  private func publish(_ entries: [Entry], freeing bytes: Int) {
    let (isBroken, isLong) = (journal.isBroken, journal.isSnapshotDue)
    monitor.withLock { state in
      state.outcomes += entries
      state.waitingBytes -= bytes
      state.isBroken = isBroken
      state.isLong = isLong
    }
    wake.wake()
  }
}

extension JournalThread.Item {
  fileprivate var line: JournalLine? {
    switch self {
    case .record(_, _, let line), .note(let line): line
    case .snapshot: nil
    }
  }
}
