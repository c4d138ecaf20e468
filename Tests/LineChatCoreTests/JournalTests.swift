// The journal's files as they are written, and as they are read when somebody, or the disk, has
// changed them since.

import LineChatCore
import LineChatSimulation
import LineProtocol
import Testing

@Suite("The journal's files")
struct JournalTests {
  private static let file = JournalOwner.snapshotFile

  /// CRC-32C by its definition, bit by bit.
  private static func checksum(_ text: String) -> String {
    var state: UInt32 = 0xFFFF_FFFF
    for byte in text.utf8 {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state & 1 == 0 ? state >> 1 : (state >> 1) ^ 0x82F6_3B78 }
    }
    let digits = String(~state, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  private static func line(_ text: String) -> String {
    text.hasPrefix("@")
      ? "@crc=\(checksum(text));\(text.dropFirst())\n" : "@crc=\(checksum(text)) \(text)\n"
  }

  /// A disk on which `count` records were committed after the first snapshot.
  private static func disk(records count: Int) throws -> SimulatedDisk {
    var owner = try JournalOwner(SimulatedDisk())
    for _ in 0..<count { owner.run(.commit(1)) }
    return owner.journal.disk
  }

  private static func start(
    _ disk: SimulatedDisk
  ) throws(Recovery.Failure) -> (recovery: Recovery, journal: Journal<SimulatedDisk>) {
    try Recovery.start(disk, snapshotFile: file)
  }

  private static func numbers(_ recovery: Recovery) -> [Int] {
    recovery.records.map { JournalOwner.number($0.message) ?? -1 }
  }

  private static func text(_ bytes: [UInt8]?) -> String {
    String(decoding: bytes ?? [], as: UTF8.self)
  }

  // MARK: What is written

  @Test("a record is its line with the checksum as first tag; records in flight are carried over")
  func format() throws {
    #expect(Self.checksum("123456789") == "e3069283")
    var (recovery, journal) = try Self.start(SimulatedDisk())
    #expect(recovery.content == nil && recovery.records.isEmpty && recovery.reports.isEmpty)
    #expect(journal.isBroken)
    try journal.snapshot(Array("{}".utf8), inFlight: [])
    #expect(journal.disk.bytes(of: "journal.1") == [])

    let texts = [
      "@host=10.0.0.3;time=2026-11-22T09:05:07.000042Z :carol@relay JOIN lobby",
      ":carol@relay NICK zoe", "@crc=00000000;carried=1 :zoe@relay MSG lobby two  spaces",
    ]
    let messages = try texts.map { try Message(parsing: $0) }
    try journal.commit(messages[..<1].map(JournalLine.init))
    try journal.commit(messages[1...].map(JournalLine.init))
    #expect(Self.text(journal.disk.bytes(of: "journal.1")) == texts.map(Self.line).joined())
    // Eight steps of a snapshot, and for each commit one append and one sync.
    #expect(journal.disk.steps == 8 + 2 * 2)

    (recovery, journal) = try Self.start(journal.disk.afterCrash(.nothing))
    #expect(recovery.records.map(\.message) == messages)
    #expect(recovery.records.map(\.line) == [1, 2, 3])

    try journal.snapshot(Array("{\n  \"a\" : 1\n}".utf8), inFlight: messages.map(JournalLine.init))
    let carried = texts.map {
      Self.line($0).replacing("@crc=", with: "@carried=", maxReplacements: 1)
    }
    #expect(Self.text(journal.disk.bytes(of: "journal.2")) == carried.joined())
    let behind = ",\n  \"journal\" : 2,\n  \"a\" : 1\n}\n"
    #expect(
      Self.text(journal.disk.bytes(of: Self.file))
        == "{\n  \"crc\" : \"\(Self.checksum(behind))\"\(behind)")
    #expect(journal.disk.allNames == [Self.file, "journal.2"])
    (recovery, journal) = try Self.start(journal.disk.afterCrash(.nothing))
    #expect(recovery.records.map(\.message) == messages)
  }

  @Test("copies of a journal have nothing in common, whoever uses them at the same time")
  func copies() async throws {
    let (_, journal) = try Self.start(SimulatedDisk())
    let isRight = await withTaskGroup { group in
      for number in 0..<8 {
        group.addTask {
          var own = journal
          let text = String(repeating: "\(number)", count: 10_000)
          let line = JournalLine(try! Message(parsing: ":alice@relay MSG lobby \(text)"))
          return (0..<100).allSatisfy { _ in
            try! own.snapshot(Array("{}".utf8), inFlight: [])
            try! own.commit([line])
            let written = own.disk.bytes(of: "journal.\(own.number)")
            return Self.text(written).contains("lobby \(text)\n")
          }
        }
      }
      return await group.allSatisfy { $0 }
    }
    #expect(isRight)
  }

  @Test("a snapshot is due by size: beyond 1 MiB, and beyond twice the last one")
  func size() throws {
    var owner = try JournalOwner(SimulatedDisk(sectorBytes: 4_096))
    let text = String(repeating: "x", count: 60_000)
    let line = JournalLine(try Message(parsing: ":alice@relay MSG lobby \(text)"))
    for _ in 0..<17 { try owner.journal.commit([line]) }
    #expect(!owner.journal.isSnapshotDue)
    try owner.journal.commit([line])
    #expect(owner.journal.isSnapshotDue)
    let content = "{\"a\": \"\(String(repeating: "x", count: 600_000))\"}"
    try owner.journal.snapshot(Array(content.utf8), inFlight: [])
    for _ in 0..<19 { try owner.journal.commit([line]) }
    #expect(!owner.journal.isSnapshotDue)
    try owner.journal.commit([line, line])
    #expect(owner.journal.isSnapshotDue)
  }

  // MARK: What is read

  @Test("cut at every byte, every whole line before the cut is there")
  func cuts() throws {
    let disk = try Self.disk(records: 24)
    let whole = try #require(disk.bytes(of: "journal.1"))
    for cut in 0...whole.count {
      var damaged = disk
      damaged.put("journal.1", Array(whole[..<cut]))
      let recovery = try Self.start(damaged).recovery
      let ended = whole[..<cut].count { $0 == 0x0A }
      // A line that lacks nothing but its end is whole.
      let isLastWhole = cut < whole.count && whole[cut] == 0x0A
      #expect(Self.numbers(recovery) == Array(1...24).dropLast(24 - ended - (isLastWhole ? 1 : 0)))
      let isClean = cut == 0 || whole[cut - 1] == 0x0A
      let kinds = recovery.reports.map(\.kind)
      #expect(kinds == (isClean ? [] : [isLastWhole ? .mended : .halfWritten]), "cut at \(cut)")
    }
  }

  @Test("with any single bit flipped, at most that line's record is lost, and it is said")
  func flips() throws {
    let disk = try Self.disk(records: 8)
    let whole = try #require(disk.bytes(of: "journal.1"))
    for bit in 0..<whole.count * 8 {
      var flipped = whole
      flipped[bit / 8] ^= 1 << (bit % 8)
      var damaged = disk
      damaged.put("journal.1", flipped)
      let (recovery, journal) = try Self.start(damaged)
      let line = whole[..<(bit / 8)].count { $0 == 0x0A } + 1
      let numbers = Self.numbers(recovery)
      if numbers != Array(1...8) {
        #expect(numbers == Array(1...8).filter { $0 != line }, "bit \(bit)")
      }
      #expect(!recovery.reports.isEmpty, "bit \(bit)")
      #expect(recovery.reports.last?.kind == .copied)
      #expect(journal.disk.bytes(of: "journal.1.damaged-1") == flipped)
      #expect(journal.disk.bytes(of: "journal.1") == flipped)
    }
  }

  @Test("damage in the middle costs its line alone, and the file is copied aside once")
  func damage() throws {
    var disk = try Self.disk(records: 5)
    var lines = Self.text(disk.bytes(of: "journal.1")).split(separator: "\n")
    lines[1] = "@crc=00000000 :alice@relay MSG lobby 2 !"
    lines[3] = "anything"
    lines.insert(Substring(Self.line("FROB by a later version").dropLast()), at: 4)
    let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
    disk.put("journal.1", bytes)
    var (recovery, journal) = try Self.start(disk)
    #expect(Self.numbers(recovery) == [1, 3, 5])
    #expect(
      recovery.reports.map(\.description) == [
        "journal.1, line 2 is passed over: its checksum does not match",
        "journal.1, line 4 is passed over: it has no checksum",
        "journal.1, line 5 is passed over: it is whole and not understood: \"FROB\" is no verb; HELP "
          + "lists those there are", "journal.1 is kept as it was in journal.1.damaged-1",
      ])
    // Starting again makes no second copy; other damage does.
    (recovery, journal) = try Self.start(journal.disk)
    #expect(recovery.reports.last?.description.hasSuffix("in journal.1.damaged-1") == true)
    journal.disk.put("journal.1", Array("nonsense\n".utf8) + bytes)
    (recovery, journal) = try Self.start(journal.disk)
    #expect(recovery.reports.last?.description.hasSuffix("in journal.1.damaged-2") == true)
    #expect(journal.disk.bytes(of: "journal.1.damaged-1") == bytes)
    // The copies outlive the journal.
    try journal.snapshot(Array("{}".utf8), inFlight: [])
    #expect(
      journal.disk.allNames
        == [Self.file, "journal.1.damaged-1", "journal.1.damaged-2", "journal.2"])
  }

  @Test("a text that looks like a record does not become one when the line around it is damaged")
  func forgery() throws {
    var owner = try JournalOwner(SimulatedDisk())
    let forged = Self.line(":carol@relay LEAVE lobby").dropLast()
    let message = try Message(parsing: ":alice@relay MSG lobby J\(forged)")
    try owner.journal.commit([JournalLine(message)])
    let whole = try #require(owner.journal.disk.bytes(of: "journal.1"))
    let at = try #require(whole.lastIndex(of: UInt8(ascii: "J")))
    for offset in 0..<at {
      var damaged = whole
      damaged[offset] ^= 1
      owner.journal.disk.put("journal.1", damaged)
      let recovery = try Self.start(owner.journal.disk).recovery
      #expect(recovery.records.isEmpty)
    }
  }

  @Test("what stands in two journals is applied once")
  func carriedOnce() throws {
    var owner = try JournalOwner(SimulatedDisk())
    owner.run(.commit(3))
    // Everything but the snapshot's new name is on the disk.
    owner.journal.disk.faults[owner.journal.disk.steps + 7] = .crash
    #expect(owner.run(.snapshot(inFlight: 2)) != nil)
    let disk = owner.journal.disk.afterCrash(.nothing)
    #expect(disk.allNames.filter { $0.hasPrefix("journal.") } == ["journal.1", "journal.2"])
    #expect(Self.numbers(try Self.start(disk).recovery) == [1, 2, 3])
  }

  // MARK: Snapshots

  @Test("any single bit flipped in a snapshot is noticed, unless it does not matter")
  func snapshotFlips() throws {
    let disk = try Self.disk(records: 1)
    let whole = try #require(disk.bytes(of: Self.file))
    for bit in 0..<whole.count * 8 {
      var flipped = whole
      flipped[bit / 8] ^= 1 << (bit % 8)
      var damaged = disk
      damaged.put(Self.file, flipped)
      do throws(Recovery.Failure) {
        let recovery = try Self.start(damaged).recovery
        #expect(Self.numbers(recovery) == [1], "bit \(bit)")
        #expect(JournalOwner.applied(recovery.content) == 0, "bit \(bit)")
      } catch {
        #expect(error.file == Self.file)
        #expect(error.description.contains("has not been touched: mend it"))
      }
    }
  }

  @Test(
    "a snapshot that cannot be used ends the start, and the error says what to do",
    arguments: [
      "", "{", "[]", "{\"journal\": 1", "{\"journal\": 1} x", "{\"journal\": \"1\"}",
      "{\"journal\": 0}",
      "{\"journal\": 99999999999999999999}", "{\"crc\": 5, \"journal\": 1}", "{\"a\": 1}",
      "\u{0}\u{0}",
      "{\"crc\": \"\", \"journal\": 1}", "{\"a\": \"\\", "{\"a\"}", "{\"a\": }", "{\"a\": ]}",
      "{\"journal\" 1}", "{\"crc\": \"00000000\", \"journal\": 1}",
    ])
  func unreadable(content: String) throws {
    var disk = try Self.disk(records: 1)
    disk.put(Self.file, Array(content.utf8))
    let failure = #expect(throws: Recovery.Failure.self) { try Self.start(disk) }
    #expect(failure?.description.contains("has not been touched: mend it") == true)
    #expect(disk.bytes(of: Self.file) == Array(content.utf8))
  }

  @Test("who edits a snapshot takes its checksum out; order and spaces do not matter")
  func edited() throws {
    var disk = try Self.disk(records: 2)
    for content in [
      "{\"applied\": 0, \"x\": {\"journal\": 9, \"s\": \"}\\\"]\"}, \"y\": [1, [\"{\"]],\t\"journal\":1 }\n",
      "{\"journal\":1,\"applied\": 0}", " { \"journal\" : 1 } ",
    ] {
      disk.put(Self.file, Array(content.utf8))
      let recovery = try Self.start(disk).recovery
      #expect(Self.numbers(recovery) == [1, 2])
      #expect(recovery.content == Array(content.utf8))
    }
  }

  @Test("nothing begins empty in silence")
  func missing() throws {
    var disk = try Self.disk(records: 2)
    var lost = disk
    try lost.remove(Self.file)
    let failure = #expect(throws: Recovery.Failure.self) { try Self.start(lost) }
    #expect(
      failure?.description
        == "groups.json is missing, and journal.1 holds what happened after it. Nothing has been "
        + "touched: put groups.json back; to begin with nothing, move all journal.* files away")
    // A start that was killed before its first snapshot leaves an empty journal.
    lost.put("journal.1", [])
    #expect(try Self.start(lost).recovery.reports.isEmpty)

    try disk.remove("journal.1")
    let recovery = try Self.start(disk).recovery
    #expect(recovery.records.isEmpty)
    #expect(
      recovery.reports.map(\.description) == [
        "journal.1 is missing: what happened after groups.json was written is lost with it"
      ])
  }

  @Test("a disk that cannot be read ends the start, with the cause")
  func cannotRead() throws {
    for file in [Self.file, "journal.1"] {
      var disk = try Self.disk(records: 1)
      disk.unreadable = [file]
      let failure = #expect(throws: Recovery.Failure.self) { try Self.start(disk) }
      #expect(failure?.cause?.code == SimulatedDisk.inputOutput)
      #expect(
        failure?.description
          == "cannot read \(file): Input/output error. The state cannot be read, and nothing has "
          + "been changed: see to the disk and the files' permissions, then start again")
    }
  }

  @Test("damage without room for a copy ends the start; nothing is lost")
  func noRoomForCopy() throws {
    var disk = try Self.disk(records: 2)
    let damaged = Array("nonsense\n".utf8) + (disk.bytes(of: "journal.1") ?? [])
    disk.put("journal.1", damaged)
    disk.standingFault = .failure(SimulatedDisk.noSpace)
    let failure = #expect(throws: Recovery.Failure.self) { try Self.start(disk) }
    #expect(failure?.description.contains("No space left on device") == true)
    #expect(failure?.description.contains("make room") == true)
    disk.standingFault = nil
    #expect(Self.numbers(try Self.start(disk).recovery) == [1, 2])
  }

  @Test("files of other names are left alone")
  func strangers() throws {
    let names = [
      "journal.01", "journal.-1", "journal.+1", "journal.0", "journal.99999999999999999999",
      "journal.1000000000000001", "journal.", "journal.x", "journal", "lock", "journal.2.damaged-1",
    ]
    var disk = try Self.disk(records: 2)
    for name in names { disk.put(name, Array("x".utf8)) }
    var (recovery, journal) = try Self.start(disk)
    #expect(recovery.reports.isEmpty)
    #expect(Self.numbers(recovery) == [1, 2])
    try journal.snapshot(Array("{}".utf8), inFlight: [])
    #expect(journal.disk.allNames == (names + [Self.file, "journal.2"]).sorted())
  }
}
