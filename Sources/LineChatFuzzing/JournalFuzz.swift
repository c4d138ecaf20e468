// The reader of a state directory, with files.
//
//   first line     `server` or `node`: whose directory it is (any other: the server's)
//   up to a `%`    the snapshot's file
//   up to a `%`    journal.1, and behind that journal.2 and so on. A line that begins with `=` gets its
//                  checksum, one with `+` is carried from the journal before; others stand as they are
//
// What must hold: a start that is refused says what to do, and has changed nothing; one that is not is
// the same the next time; its records, written again, are read again; a core that takes up all of it has
// its books in order, and what it would write is taken up as the same, without a word.

import LineChatCore
import LineChatSimulation
import LineProtocol

enum JournalFuzz {
  static func feed(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    guard let end = bytes.firstIndex(of: 0x0A) else { return }
    let isNode = bytes[..<end].elementsEqual("node".utf8)
    let files = UnsafeRawBufferPointer(rebasing: bytes[(end + 1)...])
    if isNode { try JournalFuzz.start(Peer.self, files) } else { try start(Directory.self, files) }
  }

  private static func start<C: FuzzedCore & ~Copyable>(
    _ core: C.Type, _ files: UnsafeRawBufferPointer
  ) throws(Fault) {
    let disk = disk(files, C.snapshotFile)
    let recovery: Recovery
    let journal: Journal<SimulatedDisk>
    do throws(Recovery.Failure) {
      (recovery, journal) = try Recovery.start(disk, snapshotFile: C.snapshotFile)
    } catch {
      let says = ["mend it", "put \(C.snapshotFile) back", "start again"]
      return try hold(
        says.contains { error.description.contains($0) },
        "a refused start does not say what to do: \(error)")
    }
    try startAgain(journal.disk, recovery, C.snapshotFile)
    try writeAgain(recovery.records.map(\.text), C.snapshotFile)
    try C.takeUp(recovery)
  }

  private static func disk(
    _ files: UnsafeRawBufferPointer, _ snapshotFile: String
  ) -> SimulatedDisk {
    var disk = SimulatedDisk(sectorBytes: 4_096)
    var names = [snapshotFile] + (1...8).map { "journal.\($0)" }
    let file = ByteBuffer()
    let lines = files.lines
    for (index, line) in lines.enumerated() {
      if line.elementsEqual("%".utf8), names.count > 1 {
        if !file.isEmpty { disk.put(names[0], Array(file.bytes)) }
        file.truncate(to: 0)
        names.removeFirst()
        continue
      }
      let isRecord = names[0] != snapshotFile && (line.first == 0x3D || line.first == 0x2B)
      if isRecord {
        JournalLine(Record(line: Array(line.dropFirst())))
          .render(into: file, isCarried: line.first == 0x2B)
      } else {
        file.append(line)
        if index < lines.count - 1 { file.append(byte: 0x0A) }
      }
    }
    if !file.isEmpty { disk.put(names[0], Array(file.bytes)) }
    return disk
  }

  private static func startAgain(
    _ disk: SimulatedDisk, _ before: Recovery, _ snapshotFile: String
  ) throws(Fault) {
    do throws(Recovery.Failure) {
      let (recovery, journal) = try Recovery.start(disk, snapshotFile: snapshotFile)
      try same(recovery, before, journal.disk.allNames == disk.allNames)
    } catch {
      throw Fault("the second start differs: \(error)")
    }
  }

  private static func same(
    _ recovery: Recovery, _ before: Recovery, _ hasSameFiles: Bool
  ) throws(Recovery.Failure) {
    guard recovery.records.map(\.text) == before.records.map(\.text),
      recovery.content == before.content, recovery.reports == before.reports, hasSameFiles
    else { throw Recovery.Failure("", "other records, reports or files") }
  }

  private static func writeAgain(_ lines: [JournalLine], _ snapshotFile: String) throws(Fault) {
    do {
      var (_, journal) = try Recovery.start(SimulatedDisk(), snapshotFile: snapshotFile)
      try journal.snapshot(Array("{}".utf8), inFlight: [])
      try journal.commit(lines)
      let (recovery, _) = try Recovery.start(journal.disk, snapshotFile: snapshotFile)
      guard recovery.records.map(\.text) == lines, recovery.reports.isEmpty else {
        throw Fault("records that were read are not read again")
      }
    } catch {
      throw Fault("\(error)")
    }
  }
}
