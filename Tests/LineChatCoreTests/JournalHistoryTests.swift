// Older journals, kept for somebody who derives something from them: always an unbroken end of the
// story, each record once.

import LineChatCore
import LineProtocol
import Testing

@Suite("The history in the journals")
struct JournalHistoryTests {
  private static let file = JournalOwner.snapshotFile

  private static func lines(_ numbers: ClosedRange<Int>) -> [JournalLine] {
    numbers.map { JournalLine(JournalOwner.message($0)) }
  }

  private static func journal(on disk: SimulatedDisk = SimulatedDisk()) throws -> Journal<
    SimulatedDisk
  > {
    var (_, journal) = try Recovery.start(disk, snapshotFile: file)
    try journal.snapshot(Array("{}".utf8), inFlight: [])
    return journal
  }

  private static func numbers(_ disk: SimulatedDisk, from first: UInt64 = 0) throws -> [Int] {
    var numbers: [Int] = []
    try JournalHistory.read(disk, from: first) { _, line in
      let message = line.bytes.withUnsafeBytes { try? Message(bytes: $0) }
      numbers.append(message.flatMap { JournalOwner.number($0) } ?? -1)
    }
    return numbers
  }

  /// Three generations, each with records in flight when the next began.
  private static func kept(_ disk: SimulatedDisk = SimulatedDisk()) throws -> Journal<SimulatedDisk>
  {
    var journal = try journal(on: disk)
    try journal.commit(lines(1...3))
    try journal.snapshot(Array("{}".utf8), inFlight: lines(2...3), keepingFrom: 1)
    try journal.commit(lines(4...5))
    try journal.snapshot(Array("{}".utf8), inFlight: lines(3...5), keepingFrom: 1)
    try journal.commit(lines(6...6))
    return journal
  }

  @Test("journals that somebody needs stay, and hold each record once, in order")
  func keeping() throws {
    var journal = try Self.kept()
    #expect(journal.disk.allNames == [Self.file, "journal.1", "journal.2", "journal.3"])
    #expect(try Self.numbers(journal.disk) == [1, 2, 3, 4, 5, 6])
    // From a later one on, with what was in flight when it began.
    #expect(try Self.numbers(journal.disk, from: 2) == [2, 3, 4, 5, 6])
    #expect(try Self.numbers(journal.disk, from: 3) == [3, 4, 5, 6])
    #expect(try Self.numbers(journal.disk, from: 4) == [])
    // A start does not look at them.
    let recovery = try Recovery.start(journal.disk, snapshotFile: Self.file).0
    #expect(recovery.records.map { JournalOwner.number($0.message) } == [3, 4, 5, 6])
    #expect(recovery.records.map(\.text) == Self.lines(3...6))

    try journal.snapshot(Array("{}".utf8), inFlight: [], keepingFrom: 3)
    #expect(journal.disk.allNames == [Self.file, "journal.3", "journal.4"])
    try journal.snapshot(Array("{}".utf8), inFlight: [], keepingFrom: .max)
    #expect(journal.disk.allNames == [Self.file, "journal.5"])
  }

  @Test("wherever a crash or a failure comes between their removals, there is no gap")
  func removal() throws {
    let start = try Self.kept()
    var whole = start
    try whole.snapshot(Array("{}".utf8), inFlight: Self.lines(6...6))
    let steps = whole.disk.steps - start.disk.steps
    #expect(whole.disk.allNames == [Self.file, "journal.4"])
    for step in 1...steps {
      for fault in [SimulatedDisk.Fault.crash, .failure(SimulatedDisk.inputOutput)] {
        for seed in UInt64(1)...20 {
          var journal = start
          journal.disk.faults[start.disk.steps + step] = fault
          try? journal.snapshot(Array("{}".utf8), inFlight: Self.lines(6...6))
          let disk = journal.disk.afterCrash(.chance(seed))
          let numbers = try Self.numbers(disk)
          #expect(
            numbers == Array((numbers.first ?? 7)..<7), "step \(step), \(fault), seed \(seed)")
          #expect(numbers.last == 6)
        }
      }
    }
  }

  @Test("what is damaged in a journal is passed over")
  func damage() throws {
    var disk = try Self.kept().disk
    var bytes = try #require(disk.bytes(of: "journal.1"))
    bytes[try #require(bytes.firstIndex(of: 0x0A)) + 20] ^= 1
    disk.put("journal.1", bytes)
    let last = try #require(disk.bytes(of: "journal.3"))
    disk.put("journal.3", last.dropLast(3))
    #expect(try Self.numbers(disk) == [1, 3, 4, 5])
  }

  @Test("what cannot be read is an error")
  func unreadable() throws {
    var disk = try Self.kept().disk
    disk.unreadable = ["journal.2"]
    #expect(throws: StorageError.self) { try Self.numbers(disk) }
    #expect(try Self.numbers(disk, from: 3) == [3, 4, 5, 6])
  }
}
