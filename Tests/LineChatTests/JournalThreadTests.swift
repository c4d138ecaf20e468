// The thread that writes: what the loop may rely on, with a disk as slow and as broken as the test
// wants it.

import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("The thread that writes", .ownThread, .timeLimit(.minutes(20)))
struct JournalThreadTests {
  /// Plays the loop: its state is the numbers of the records that were persisted.
  private final class Loop {
    struct State: Codable, Equatable {
      var applied: [Int]
    }

    let directory: TemporaryDirectory
    let controls = ControlledStorage.Controls()
    let wake: WakePipe
    let thread: JournalThread
    var state = State(applied: [])
    var outcomes: [JournalThread.Outcome] = []
    var time: Int64 = 1_000_000

    init(carryingNotes: Bool = true) throws {
      directory = try TemporaryDirectory()
      wake = try WakePipe.make()
      let storage = try ControlledStorage(directory.path, controls)
      var (_, journal) = try Recovery.start(storage, snapshotFile: "groups.json")
      try journal.snapshot(try StateCoding.encode(state), inFlight: [])
      thread = try JournalThread.start(journal, carryingNotes: carryingNotes, wake: wake)
    }

    deinit {
      controls.release()
      _ = thread.finish(withinMicroseconds: 10_000_000)
    }

    var now: Instant { Instant(monotonicMicroseconds: time, wallMicroseconds: 0) }

    static func record(_ number: Int, bytes: Int = 0) throws -> JournalLine {
      let padding = String(repeating: "x", count: bytes)
      return try JournalLine(Message(parsing: ":alice@relay MSG lobby \(number) \(padding)!"))
    }

    @discardableResult
    func persist(_ number: Int, bytes: Int = 0) throws -> Bool {
      thread.persist(try Self.record(number, bytes: bytes), Ticket(number: UInt64(number)))
    }

    func take() {
      wake.drain()
      thread.takeOutcomes(now: now) { outcome in
        outcomes.append(outcome)
        if case .persisted(let ticket) = outcome { state.applied.append(Int(ticket.number)) }
      }
    }

    /// Takes outcomes as they come, until there are so many.
    func take(_ count: Int) throws {
      try eventually("\(count) outcomes have come") {
        take()
        return outcomes.count >= count
      }
    }

    /// What another start would find, now.
    func found() throws -> [Int] {
      let (recovery, _) = try Recovery.start(
        try FileStorage(directory.path), snapshotFile: "groups.json")
      #expect(recovery.reports.isEmpty)
      let content = try #require(recovery.content)
      let numbers = recovery.records.map { record in
        if case .msg(_, let text) = record.message.content,
          let number = text.split(separator: " ").first.flatMap({ Int($0) })
        {
          return number
        }
        return -1
      }
      return try StateCoding.decode(State.self, from: content).applied + numbers
    }
  }

  @Test("everything that waits goes to the disk with one sync, in order")
  func batches() throws {
    let loop = try Loop()
    let before = loop.controls.syncs
    loop.controls.hold()
    try loop.persist(1)
    try eventually("the first is being synced") { loop.controls.syncs == before + 1 }
    for number in 2...1_000 { #expect(try loop.persist(number)) }
    loop.controls.release()
    try loop.take(1_000)
    #expect(loop.controls.syncs == before + 2)
    #expect(loop.state.applied == Array(1...1_000))
    #expect(try loop.found() == Array(1...1_000))
  }

  @Test("what a round hands in goes to the disk with one sync, though the disk is free at once")
  func oneSyncForARound() throws {
    let loop = try Loop()
    let before = loop.controls.syncs
    let lines = try (1...1_000).map { number -> (line: JournalLine, ticket: Ticket?) in
      (try Loop.record(number), number % 3 == 0 ? nil : Ticket(number: UInt64(number)))
    }
    #expect(loop.thread.handIn(lines).isEmpty)
    try loop.take(667)
    #expect(loop.controls.syncs == before + 1)
    #expect(loop.state.applied == (1...1_000).filter { $0 % 3 != 0 })
  }

  @Test("from the first record on for which there is no room, all of a round are refused")
  func noRoomForARound() throws {
    let loop = try Loop()
    loop.controls.hold()
    // Far more than may wait; the last one, a small one, would fit.
    let lines = try (1...401).map { number -> (line: JournalLine, ticket: Ticket?) in
      (try Loop.record(number, bytes: number < 401 ? 60_000 : 0), Ticket(number: UInt64(number)))
    }
    let refused = loop.thread.handIn(lines).map(\.number)
    let taken = lines.count - refused.count
    #expect(taken > 1 && taken < 400)
    #expect(refused == (UInt64(taken + 1)...401).map { $0 })
    loop.controls.release()
    try loop.take(taken)
    #expect(loop.state.applied == Array(1...taken))
  }

  @Test("a disk that takes 200 ms for a sync makes nobody wait who calls")
  func slowSync() throws {
    let loop = try Loop()
    loop.controls.slowDown(milliseconds: 200)
    let before = loop.controls.syncs
    let start = Deadline.now
    try loop.persist(1)
    try eventually("the first is being synced") { loop.controls.syncs == before + 1 }
    let calls = Deadline.now
    for number in 2...200 { try loop.persist(number) }
    loop.thread.note(try Loop.record(0))
    #expect(loop.thread.snapshot(loop.state))
    loop.take()
    _ = loop.thread.snapshotDueMicroseconds
    // Two hundred syncs would take forty seconds. (That not even one is waited for is shown by the
    // test above, where the sync does not end at all.)
    #expect(Deadline.now - calls < 1_000_000_000)
    try loop.take(201)
    #expect(Deadline.now - start > 600_000_000)
  }

  @Test("a record on the disk, whose outcome was not taken yet, is carried over a snapshot")
  func inFlight() throws {
    let loop = try Loop()
    let before = loop.controls.syncs
    try loop.persist(1)
    try loop.take(1)
    try loop.persist(2)
    // The third is being written, so the outcome of the second has come; it is not taken.
    try eventually("the second is on the disk") { loop.controls.syncs == before + 2 }
    loop.controls.hold()
    try loop.persist(3)
    try eventually("the third is being synced") { loop.controls.syncs == before + 3 }
    #expect(loop.thread.snapshot(loop.state))
    #expect(!loop.thread.snapshot(loop.state))
    try loop.persist(4)
    // Taken now, while the snapshot waits: its content was made before.
    loop.take()
    #expect(loop.state.applied == [1, 2])
    loop.controls.release()
    try loop.take(5)
    #expect(loop.state.applied == [1, 2, 3, 4])
    #expect(try FileStorage(loop.directory.path).names().sorted() == ["groups.json", "journal.2"])
    let journal = try FileStorage(loop.directory.path).read("journal.2") ?? []
    let lines = String(decoding: journal, as: UTF8.self).split(separator: "\n")
    #expect(lines.map { $0.hasPrefix("@carried=") } == [true, true, false])
    #expect(try loop.found() == [1, 2, 3, 4])
  }

  @Test(
    "a note behind a record in flight is carried with it, if it may be about it",
    arguments: [true, false])
  func carriedNotes(areCarried: Bool) throws {
    let loop = try Loop(carryingNotes: areCarried)
    let before = loop.controls.syncs
    try loop.persist(1)
    loop.thread.note(try Loop.record(2))
    try eventually("both are on the disk") { loop.controls.syncs == before + 1 }
    #expect(loop.thread.snapshot(loop.state))
    try loop.take(2)
    #expect(try loop.found() == (areCarried ? [1, 2] : [1]))
  }

  @Test("where the owner has refused something by itself, a snapshot is due before the next record")
  func refusedByOwner() throws {
    let loop = try Loop()
    loop.thread.refuse()
    #expect(loop.thread.snapshotDueMicroseconds == 0)
    #expect(try !loop.persist(1))
    loop.thread.snapshot(loop.state)
    #expect(try loop.persist(2))
    try loop.take(2)
    #expect(try loop.found() == [2])
  }

  @Test("a sync that fails: everybody is told, and a snapshot heals")
  func failure() throws {
    let loop = try Loop()
    try loop.persist(1)
    try loop.take(1)
    #expect(loop.thread.snapshotDueMicroseconds == nil)
    loop.controls.fail(with: EIO)
    try loop.persist(2)
    try loop.take(3)
    let reason = "cannot sync journal.1: injected"
    #expect(
      loop.outcomes[1...] == [
        .brokeDown(reason: reason), .failed(Ticket(number: 2), reason: reason),
      ])
    let syncs = loop.controls.syncs
    try loop.persist(3)
    try loop.take(4)
    #expect(loop.outcomes[3] == .failed(Ticket(number: 3), reason: reason))
    #expect(loop.controls.syncs == syncs)
    #expect(loop.thread.snapshotDueMicroseconds == 0)

    // While the disk is still broken, the next try is put off.
    loop.thread.snapshot(loop.state)
    #expect(loop.thread.snapshotDueMicroseconds == nil)
    try loop.take(5)
    #expect(loop.outcomes[4] == .snapshotFailed(reason: "cannot sync journal.2: injected"))
    #expect(loop.thread.snapshotDueMicroseconds == loop.time + 1_000_000)
    #expect(try loop.found() == [1])

    loop.controls.fail(with: nil)
    loop.thread.snapshot(loop.state)
    try loop.persist(4)
    try loop.take(7)
    guard case .snapshotTaken(journal: 3, bytes: _) = loop.outcomes[5] else {
      Issue.record("\(loop.outcomes[5])")
      return
    }
    #expect(loop.thread.snapshotDueMicroseconds == nil)
    #expect(loop.state.applied == [1, 4])
    #expect(try loop.found() == [1, 4])
  }

  @Test("a state that cannot be encoded is a snapshot that failed")
  func encoding() throws {
    let loop = try Loop()
    loop.thread.snapshot { throw TestFailure("no JSON for this") }
    try loop.take(1)
    #expect(loop.outcomes == [.snapshotFailed(reason: "no JSON for this")])
    try loop.persist(1)
    try loop.take(2)
    #expect(try loop.found() == [1])
  }

  @Test("notes go with the next record, by themselves when they are many, and at the end")
  func notes() throws {
    let loop = try Loop()
    let before = loop.controls.syncs
    loop.thread.note(try Loop.record(1))
    try loop.persist(2)
    try loop.take(1)
    #expect(loop.controls.syncs == before + 1)
    #expect(try loop.found() == [1, 2])
    for number in 3...10 { loop.thread.note(try Loop.record(number, bytes: 10_000)) }
    try eventually("many notes are written") { try loop.found().count > 8 }
    loop.thread.note(try Loop.record(11))
    #expect(loop.thread.finish(withinMicroseconds: 10_000_000))
    #expect(try loop.found() == Array(1...11))
  }

  @Test("what waits is bounded; what is beyond is refused at once, and what was taken is written")
  func bound() throws {
    let loop = try Loop()
    let taken = try fill(loop)
    #expect(taken > 200 && taken < 300)
    // The state may be ahead of what was taken: nothing more is, until a snapshot has it, which is due.
    #expect(loop.thread.snapshotDueMicroseconds == 0)
    #expect(try !loop.persist(taken + 1), "though there is room")
    loop.thread.note(try Loop.record(0))
    loop.thread.snapshot(loop.state)
    #expect(try loop.persist(taken + 1, bytes: 60_000))
    try loop.take(taken + 2)
    #expect(loop.thread.snapshotDueMicroseconds == nil)
    #expect(try loop.found() == Array(1...taken + 1))
  }

  @Test("a note for which there is no room is in the next snapshot, which is due")
  func lostNote() throws {
    let loop = try Loop()
    loop.controls.hold()
    let note = try Loop.record(1, bytes: 60_000)
    for _ in 0..<1_000 where loop.thread.snapshotDueMicroseconds == nil { loop.thread.note(note) }
    #expect(loop.thread.snapshotDueMicroseconds == 0)
    #expect(try !loop.persist(2))
  }

  @Test("where the snapshot fails that has what was refused, so does all that came behind it")
  func neededSnapshot() throws {
    let loop = try Loop()
    let taken = try fill(loop)
    loop.thread.snapshot { throw TestFailure("no JSON for this") }
    #expect(try loop.persist(taken + 1))
    try loop.take(taken + 2)
    let reason = "what was refused could not be written to a snapshot"
    #expect(
      loop.outcomes[taken...] == [
        .snapshotFailed(reason: "no JSON for this"),
        .failed(Ticket(number: UInt64(taken + 1)), reason: "cannot append journal.1: " + reason),
      ])
    #expect(loop.thread.snapshotDueMicroseconds == loop.time + 1_000_000)
    loop.thread.snapshot(loop.state)
    try loop.persist(taken + 2)
    try loop.take(taken + 4)
    #expect(try loop.found() == Array(1...taken) + [taken + 2])
  }

  /// Hands in records until one is refused, and takes what became of the others. Returns their number.
  private func fill(_ loop: Loop) throws -> Int {
    loop.controls.hold()
    var taken = 0
    while taken < 1_000, try loop.persist(taken + 1, bytes: 60_000) { taken += 1 }
    loop.controls.release()
    try loop.take(taken)
    #expect(loop.state.applied == Array(1...taken))
    return taken
  }

  @Test("the end waits for what was handed in, but not for ever")
  func end() throws {
    let loop = try Loop()
    try loop.persist(1)
    loop.thread.snapshot(loop.state)
    try loop.persist(2)
    #expect(loop.thread.finish(withinMicroseconds: 10_000_000))
    #expect(try !loop.persist(3))
    #expect(!loop.thread.snapshot(loop.state))
    loop.take()
    #expect(loop.outcomes.count == 3)
    #expect(try loop.found() == [1, 2])

    let stuck = try Loop()
    stuck.controls.hold()
    try stuck.persist(1)
    #expect(!stuck.thread.finish(withinMicroseconds: 20_000))
  }

  @Test("with its directory removed, records fail and say why")
  func removed() throws {
    let loop = try Loop()
    unlink(loop.directory.path + "/journal.1")
    try loop.persist(1)
    try loop.take(2)
    let reason = "cannot sync journal.1: somebody has removed the file"
    #expect(
      loop.outcomes == [.brokeDown(reason: reason), .failed(Ticket(number: 1), reason: reason)])
    unlink(loop.directory.path + "/groups.json")
    rmdir(loop.directory.path)
    loop.thread.snapshot(loop.state)
    try loop.take(3)
    #expect(
      loop.outcomes[2]
        == .snapshotFailed(reason: "cannot append journal.2: No such file or directory"))
  }
}
