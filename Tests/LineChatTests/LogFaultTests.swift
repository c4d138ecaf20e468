// The readable logs on a disk that fails: the journal goes on, nothing is missing in the end, and what
// is kept for them is bounded.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("Readable logs on a failing disk", .ownThread, .timeLimit(.minutes(20)))
struct LogFaultTests {
  private static let again = "the readable logs are written again"

  private static func fault(_ error: String) -> String {
    "\(error): the journal keeps what the readable logs lack, and it is added when this works"
  }

  @Test("a file in the place of the directory: said once, and caught up with when it is gone")
  func noDirectory() throws {
    let desk = try LogDesk()
    try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(desk.directory.path)/log"))
    for _ in 1...3 {
      try desk.commit(desk.heard(2) + desk.heard(1, in: "other"))
      try desk.snapshot()
    }
    #expect(desk.faults == [Self.fault("cannot list log: Not a directory")])
    #expect(desk.news == [])
    // The first of them holds what was said first.
    #expect(desk.journals == ["journal.1", "journal.2", "journal.3", "journal.4"])
    unlink("\(desk.directory.path)/log")
    try desk.commit(desk.heard(1))
    #expect(desk.text("lobby.log") == desk.wanted("lobby.log"))
    #expect(desk.text("other.log") == desk.wanted("other.log"))
    #expect(desk.news == ["the readable logs lacked 10 lines, which the journal had", Self.again])
    #expect(desk.journals.count == 4)
    try desk.snapshot()
    #expect(desk.journals == ["journal.5"])
    // The next failure is said again.
    desk.controls.fail(.append, with: EIO)
    try desk.commit(desk.heard(1))
    #expect(desk.faults.count == 2)
  }

  @Test("one log that cannot be written does not hold the others, and gets its lines in order")
  func oneLog() throws {
    let desk = try LogDesk()
    try desk.commit(desk.heard(2, in: "bad") + desk.heard(2, in: "good"))
    rename(desk.path("bad.log"), desk.path("kept"))
    mkdir(desk.path("bad.log"), 0o700)
    for _ in 1...3 {
      try desk.commit(desk.heard(1, in: "good") + desk.heard(1, in: "bad"))
      try desk.snapshot(inFlight: 1)
      #expect(desk.text("good.log") == desk.wanted("good.log"))
    }
    #expect(desk.faults == [Self.fault("cannot append log/bad.log: Is a directory")])
    rmdir(desk.path("bad.log"))
    rename(desk.path("kept"), desk.path("bad.log"))
    try desk.snapshot()
    #expect(desk.text("bad.log") == desk.wanted("bad.log"))
    #expect(desk.text("good.log") == desk.wanted("good.log"))
    #expect(desk.journals.count == 1)
  }

  @Test("a full disk takes half a line: it is taken away, and all is there when there is room")
  func fullDisk() throws {
    for room in stride(from: 0, to: 900, by: 13) {
      let desk = try LogDesk()
      try desk.commit(desk.heard(2))
      desk.controls.leaveRoom(room)
      for _ in 1...3 { try desk.commit(desk.heard(3)) }
      let text = try #require(desk.contents("lobby.log"))
      #expect(desk.wanted("lobby.log").hasPrefix(text) && text.hasSuffix("\n"))
      #expect(desk.faults == [Self.fault("cannot append log/lobby.log: injected")])
      desk.controls.heal()
      try desk.commit(desk.heard(1))
      #expect(desk.text("lobby.log") == desk.wanted("lobby.log"))
    }
  }

  @Test("a full disk whose half line cannot be taken away, then a start")
  func fullDiskAndStart() throws {
    for room in stride(from: 0, to: 500, by: 13) {
      let desk = try LogDesk()
      try desk.commit(desk.heard(2))
      desk.controls.leaveRoom(room)
      desk.controls.fail(.truncate, with: EIO)
      for _ in 1...3 { try desk.commit(desk.heard(3)) }
      desk.controls.heal()
      try desk.restart()
      #expect(desk.text("lobby.log") == desk.wanted("lobby.log"))
      #expect(desk.news.contains { $0.contains("lacked") })
      #expect(!desk.news.contains { $0.contains("changed by somebody") })
    }
  }

  @Test("after a failed sync what was written since the last one is written again")
  func failedSync() throws {
    let desk = try LogDesk()
    try desk.commit(desk.heard(2))
    try desk.snapshot()
    let synced = try desk.bytes("lobby.log").count
    try desk.commit(desk.heard(3) + desk.heard(1, in: "other"))
    desk.controls.fail(.sync, with: EIO, of: ["lobby.log"])
    try desk.snapshot()
    #expect(try desk.bytes("lobby.log").count == synced)
    #expect(desk.journals == ["journal.2", "journal.3"])
    #expect(desk.faults == [Self.fault("cannot sync log/lobby.log: injected")])
    desk.controls.heal()
    try desk.snapshot()
    #expect(desk.text("lobby.log") == desk.wanted("lobby.log"))
    #expect(try desk.controls.synced["lobby.log"] == desk.bytes("lobby.log").count)
    #expect(desk.journals == ["journal.4"])
  }

  @Test("names of new logs that are not on the disk keep the journals, too")
  func failedNames() throws {
    let desk = try LogDesk()
    desk.controls.fail(.syncDirectory, with: EIO)
    try desk.commit(desk.heard(1))
    try desk.snapshot()
    #expect(desk.journals == ["journal.1", "journal.2"])
    #expect(desk.faults.count == 1)
    desk.controls.heal()
    try desk.snapshot()
    #expect(desk.journals == ["journal.3"])
    #expect(desk.news == [Self.again])
    let syncs = desk.controls.nameSyncs
    try desk.commit(desk.heard(1))
    try desk.snapshot()
    #expect(desk.controls.nameSyncs == syncs)
  }

  @Test("a log that cannot be put aside grows, which is said once")
  func failedRename() throws {
    let desk = try LogDesk { $0.logBytes = 500 }
    desk.controls.fail(.rename, with: EACCES)
    for _ in 1...10 { try desk.commit(desk.heard(2)) }
    #expect(desk.contents("lobby.log") == desk.wanted("lobby.log"))
    #expect(desk.files == ["lobby.log"])
    #expect(
      desk.faults == [
        "cannot rename log/lobby.log: injected: the log goes on in the same file, however large it gets"
      ])
  }

  @Test("while it fails it is tried again after a pause, not with every record")
  func pause() throws {
    let desk = try LogDesk { $0.retryMicroseconds = 3_600_000_000 }
    desk.controls.fail(.append, with: EIO)
    try desk.commit(desk.heard(1))
    desk.controls.heal()
    try desk.commit(desk.heard(1) + desk.heard(1, in: "other"))
    try desk.snapshot()
    #expect(desk.contents("lobby.log") == "")
    #expect(desk.text("other.log") == desk.wanted("other.log"))
    try desk.restart()
    #expect(desk.text("lobby.log") == desk.wanted("lobby.log"))
  }

  @Test("journals are kept for the logs up to a bound; beyond it lines are lost, which is said")
  func bound() throws {
    let desk = try LogDesk { $0.keptJournalBytes = 5_000 }
    desk.controls.fail(.append, with: EIO)
    for _ in 1...20 {
      try desk.commit(desk.heard(4, bytes: 100))
      try desk.snapshot()
    }
    #expect(desk.journals.count == 6)
    #expect(desk.faults.count == 2)
    #expect(desk.faults[1].contains("no longer keeps all they lack"))
    desk.controls.heal()
    try desk.snapshot()
    #expect(desk.journals.count == 1)
    let kept = desk.records.suffix(20).map { $0 + "\n" }.joined()
    #expect(desk.text("lobby.log") == kept)
    let line = desk.heard()
    try desk.commit(line)
    #expect(desk.text("lobby.log") == kept + line + "\n")
  }

  @Test("a start that cannot write logs keeps the journals for the next one")
  func start() throws {
    let desk = try LogDesk()
    try desk.commit(desk.heard(2))
    try desk.commitOnly(desk.heard(3))
    desk.controls.fail(.append, with: EACCES)
    for _ in 1...3 {
      try desk.restart()
      #expect(desk.faults == [Self.fault("cannot append log/lobby.log: injected")])
      try desk.commit(desk.heard(1) + desk.heard(1, in: "other"))
    }
    #expect(desk.journals.count == 4)
    desk.controls.heal()
    try desk.restart()
    #expect(desk.text("lobby.log") == desk.wanted("lobby.log"))
    #expect(desk.text("other.log") == desk.wanted("other.log"))
    #expect(desk.journals.count == 1)
  }

  // MARK: Everything together

  @Test(
    "whatever fails and whenever it crashes, the logs end up as the journal has it",
    arguments: 1...20)
  func anything(seed: UInt64) throws {
    var random = SplitMix64(state: seed)
    let desk = try LogDesk(openFilesMax: 2) {
      $0.logBytes = [400, 2_000, 1_000_000][Int(seed % 3)]
    }
    let groups = ["lobby", "Lobby", "other", "third"]
    func batch() -> [String] {
      (0..<Int.random(in: 0...6, using: &random)).map { _ in
        desk.heard(
          in: groups.randomElement(using: &random) ?? "",
          bytes: Int.random(in: 0...60, using: &random))
      }
    }
    for _ in 1...40 {
      switch Int.random(in: 0...19, using: &random) {
      case 0...9: try desk.commit(batch())
      case 10...12: try desk.snapshot(inFlight: min(3, desk.records.count))
      case 13: desk.controls.heal()
      case 14:
        let operation = [StorageError.Operation.append, .sync, .syncDirectory, .truncate, .read]
          .randomElement(using: &random)
        desk.controls.fail(
          operation ?? .append, with: EIO, of: Bool.random(using: &random) ? ["lobby.log"] : [])
      case 15: desk.controls.leaveRoom(Int.random(in: 0...400, using: &random))
      case 16, 17: try desk.restart()
      default:
        try desk.commitOnly(batch())
        try cutPower(desk, &random)
        try desk.restart()
      }
    }
    desk.controls.heal()
    try desk.restart()
    for file in ["lobby.log", "other.log", "third.log"] {
      let isRight = desk.text(file) ?? "" == desk.wanted(file)
      #expect(isRight, "\(file): \(numbers(desk.text(file))) not \(numbers(desk.wanted(file)))")
    }
    #expect(desk.journals.count == 1)
    #expect(!desk.news.contains { $0.contains("changed by somebody") })
  }

  private func numbers(_ text: String?) -> [Substring] {
    (text ?? "").split(separator: "\n").map {
      $0.matches(of: /ee\.([0-9]+);/).first?.output.1 ?? $0
    }
  }

  /// What was not synced is gone from any byte on; or zeros are there.
  private func cutPower(_ desk: LogDesk, _ random: inout SplitMix64) throws {
    for file in desk.files {
      var bytes = try desk.bytes(file)
      let synced = min(desk.controls.synced[file] ?? 0, bytes.count)
      let cut = Int.random(in: synced...bytes.count, using: &random)
      if Bool.random(using: &random) {
        bytes.removeLast(bytes.count - cut)
      } else {
        for at in cut..<bytes.count { bytes[at] = 0 }
      }
      try desk.put(bytes, in: file)
    }
  }
}
