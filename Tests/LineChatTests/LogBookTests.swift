// The readable logs: what goes into them, and that after a crash at any moment they hold what the
// journal holds, each line once, in order.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("Readable logs", .ownThread, .timeLimit(.minutes(20)))
struct LogBookTests {
  // MARK: What goes in

  @Test("messages and changes of groups are there as in the journal; nothing else is")
  func contents() throws {
    let desk = try LogDesk()
    let lines = [
      "@msgid=00c0ffee00c0ffee.1;time=2026-11-22T09:05:07.000042Z :alice@10.0.0.2:5001 MSG Lobby  two  ",
      "@version=7.12;time=2026-11-22T09:05:07.000043Z :carol@relay JOIN lobby",
      "MEMBER lobby carol@relay online", "@version=7.12 OK MEMBERS lobby 1",
      "@msgid=00c0ffee00c0ffef.1;time=2026-11-22T09:05:07.000044Z :alice@10.0.0.2:5001 PM Bob hi",
      "@heard=2026-11-22T09:05:07.000045Z;msgid=00c0ffee00c0fff0.1;time=x :bob@10.0.0.3:5001 PM alice ho",
      ":bob@10.0.0.3:5001 ACK bob 00c0ffee00c0ffef.1",
      "@version=7.13;group=LOBBY;time=2026-11-22T09:05:07.000046Z :carol@relay NICK dora",
      "@unverified=10.0.0.9;heard=2026-11-22T09:05:07.000047Z :unverified@relay PM alice \u{a0}?",
      "@version=8.1 :dora@relay LEAVE x.log.1 connection closed",
    ]
    try desk.commit(lines)
    #expect(desk.files == ["@bob.log", "@unverified.log", "lobby.log", "x.log.1.log"])
    #expect(
      desk.contents("lobby.log") == [lines[0], lines[1], lines[7], ""].joined(separator: "\n"))
    #expect(desk.contents("@bob.log") == [lines[4], lines[5], ""].joined(separator: "\n"))
    #expect(desk.contents("@unverified.log") == lines[8] + "\n")
    #expect(desk.contents("x.log.1.log") == lines[9] + "\n")
    #expect(desk.reports.isEmpty)
    // Nobody else reads them.
    #expect(try mode("\(desk.directory.path)/log") == 0o40700)
    #expect(try mode(desk.path("lobby.log")) == 0o100600)
  }

  private func mode(_ path: String) throws -> UInt32 {
    var status = stat()
    guard stat(path, &status) == 0 else { throw TestFailure("stat: errno \(errno)") }
    return status.st_mode
  }

  @Test("a journal's thread with a follower writes logs, and tells what it has to say")
  func thread() throws {
    let directory = try TemporaryDirectory()
    let wake = try WakePipe.make()
    var (_, journal) = try Recovery.start(
      try FileStorage(directory.path), snapshotFile: "replica.json")
    try journal.snapshot(Array("{}".utf8), inFlight: [])
    let book = LogBook(try LogDirectory(in: directory.path))
    let thread = try JournalThread.start(journal, wake: wake, follower: book)
    var wanted = ""
    // A file in the place of the directory, to begin with.
    try Data().write(to: URL(fileURLWithPath: "\(directory.path)/log"))
    for number in 1...1_000 {
      let line = "@msgid=00c0ffee00c0ffee.\(number) :alice@relay MSG lobby \(number)"
      let record = JournalLine(Record(line: Array(line.utf8)))
      if number % 10 == 0 {
        thread.note(record)
      } else {
        #expect(thread.persist(record, Ticket(number: UInt64(number))))
      }
      wanted += line + "\n"
    }
    var outcomes: [JournalThread.Outcome] = []
    func take(until isEnough: (JournalThread.Outcome) -> Bool) throws {
      try eventually(within: 60, "the outcome has come") {
        thread.takeOutcomes(now: Instant(monotonicMicroseconds: 0, wallMicroseconds: 0)) {
          outcomes.append($0)
        }
        return outcomes.contains(where: isEnough)
      }
    }
    try take { if case .report(let report) = $0 { report.isFault } else { false } }
    unlink("\(directory.path)/log")
    #expect(thread.snapshot { Array("{}".utf8) })
    try take { if case .snapshotTaken = $0 { true } else { false } }
    // The journal is there until the logs have what is in it.
    var number = 1_000
    try eventually(within: 60, "it is tried again") {
      number += 1
      let line = "@msgid=00c0ffee00c0ffee.\(number) :alice@relay MSG lobby \(number)"
      #expect(thread.persist(LogDesk.line(line), Ticket(number: UInt64(number))))
      wanted += line + "\n"
      thread.takeOutcomes(now: Instant(monotonicMicroseconds: 0, wallMicroseconds: 0)) {
        outcomes.append($0)
      }
      return outcomes.contains {
        if case .report(let report) = $0 { !report.isFault } else { false }
      }
    }
    #expect(thread.finish(withinMicroseconds: 60_000_000))
    #expect(try directory.text(of: "log/lobby.log") == wanted)
    #expect(
      outcomes.count { if case .report(let report) = $0 { report.isFault } else { false } } == 1)
  }

  // MARK: A crash

  /// A log of which the first part is synced, and the rest is not.
  private func deskBeforeCrash(
    _ change: (inout LogBook<ControlledLogFiles>.Bounds) -> Void = { _ in }
  ) throws -> LogDesk {
    let desk = try LogDesk(openFilesMax: 64, change)
    for _ in 1...5 { try desk.commit(desk.heard(3)) }
    try desk.commit(":alice@relay LEAVE lobby")
    try desk.snapshot(inFlight: 2)
    try desk.commit(desk.heard(4))
    try desk.commit(":alice@relay LEAVE lobby")
    try desk.commit(desk.heard(4, bytes: 10))
    return desk
  }

  /// What a start does before its first snapshot: the journals stay, so it can be done again.
  private func mend(
    _ directory: TemporaryDirectory, logBytes: Int = 1 << 20
  ) throws -> [FollowerReport] {
    var bounds = LogBook<LogDirectory>.Bounds()
    bounds.logBytes = logBytes
    var book = LogBook(try LogDirectory(in: directory.path), bounds)
    book.mend(from: try FileStorage(directory.path))
    return book.takeReports()
  }

  @Test("cut at any byte that was not synced, a log is mended; doing it again changes nothing")
  func cuts() throws {
    let desk = try deskBeforeCrash()
    let whole = try desk.bytes("lobby.log")
    let synced = try #require(desk.controls.synced["lobby.log"])
    #expect(synced > 1_000 && whole.count - synced > 900)
    for cut in synced...whole.count {
      try desk.put(Array(whole[..<cut]), in: "lobby.log")
      let first = try mend(desk.directory)
      #expect(try desk.bytes("lobby.log") == whole, "cut at \(cut)")
      #expect(first.contains { $0.text.contains("lacked") } == (cut < whole.count), "cut at \(cut)")
      #expect(!first.contains { $0.isFault || $0.text.contains("changed") }, "cut at \(cut)")
      #expect(try mend(desk.directory) == [], "cut at \(cut)")
      #expect(try desk.bytes("lobby.log") == whole, "cut at \(cut)")
    }
  }

  @Test("zeros from any byte on that was not synced, as a crash can leave them, are mended")
  func zeros() throws {
    let desk = try deskBeforeCrash()
    let whole = try desk.bytes("lobby.log")
    let synced = try #require(desk.controls.synced["lobby.log"])
    for cut in stride(from: synced, to: whole.count, by: 7) {
      for end in [whole.count, min(whole.count, cut + 100)] {
        var damaged = whole
        for at in cut..<end { damaged[at] = 0 }
        try desk.put(damaged, in: "lobby.log")
        _ = try mend(desk.directory)
        #expect(try desk.bytes("lobby.log") == whole, "zeros from \(cut) to \(end)")
      }
    }
  }

  @Test("a crash between journal and log, then a start: nothing missing, nothing twice")
  func restarts() throws {
    let desk = try LogDesk()
    for round in 1...20 {
      try desk.commit(desk.heard(round % 4, in: "lobby") + desk.heard(1, in: "Other"))
      if round % 5 == 0 { try desk.snapshot(inFlight: 1) }
      try desk.commitOnly(desk.heard(round % 3, in: "LOBBY") + desk.heard(round % 2, in: "third"))
      try desk.restart()
      for file in ["lobby.log", "other.log", "third.log"] {
        #expect(desk.text(file) ?? "" == desk.wanted(file))
      }
      #expect(desk.journals.count == 1)
    }
  }

  @Test("without its directory, logs begin anew with what the journal still holds")
  func missing() throws {
    let desk = try deskBeforeCrash()
    try FileManager.default.removeItem(atPath: "\(desk.directory.path)/log")
    let kept = desk.records.suffix(11).map { $0 + "\n" }.joined()
    try desk.restart()
    #expect(desk.contents("lobby.log") == kept)
    #expect(desk.news == ["the readable logs lacked 11 lines, which the journal had"])
    // And once more, with nothing to be had.
    try FileManager.default.removeItem(atPath: "\(desk.directory.path)/log")
    try desk.restart()
    #expect(desk.files == [] && desk.reports == [])
  }

  // MARK: Somebody was there

  @Test("what somebody took out or changed is not put back, and what is missing behind it is added")
  func edited() throws {
    let desk = try deskBeforeCrash()
    var lines = try #require(desk.contents("lobby.log")).split(separator: "\n").map(String.init)
    lines.remove(at: lines.count - 7)
    lines[lines.count - 3] += " (sic)"
    lines.removeLast()
    lines.append("note to self")
    try desk.put(Array(lines.map { $0 + "\n" }.joined().utf8), in: "lobby.log")
    let last = try #require(desk.records.last)
    try desk.restart()
    #expect(desk.contents("lobby.log") == (lines + [last, ""]).joined(separator: "\n"))
    #expect(
      desk.news == [
        "log/lobby.log was changed by somebody, and lacks 2 lines that the journal has; they are not "
          + "added again", "the readable logs lacked 1 line, which the journal had",
      ])
  }

  @Test("a last line without its end that is nobody's half is kept, and gets its end")
  func foreignEnd() throws {
    let desk = try deskBeforeCrash()
    let before = try #require(desk.contents("lobby.log"))
    try desk.put(Array((before + "note to self").utf8), in: "lobby.log")
    try desk.restart()
    #expect(desk.contents("lobby.log") == before + "note to self")
    let line = desk.heard()
    try desk.commit(line)
    #expect(desk.contents("lobby.log") == before + "note to self\n" + line + "\n")
    #expect(
      desk.news == ["log/lobby.log does not end with a whole line; it goes on with a new one"])
  }

  @Test("zeros with something behind them that no journal has are not touched")
  func foreignZeros() throws {
    let desk = try deskBeforeCrash()
    let before = try desk.bytes("lobby.log") + [0, 0, 0x0A] + Array("mine\n".utf8)
    try desk.put(before, in: "lobby.log")
    let line = desk.heard()
    try desk.commitOnly([line])
    try desk.restart()
    #expect(try desk.bytes("lobby.log") == before + Array((line + "\n").utf8))
  }

  @Test("a log that was cut by hand gets what the journal has, however little is left")
  func truncated() throws {
    let desk = try deskBeforeCrash()
    let kept = desk.records.suffix(11).map { $0 + "\n" }.joined()
    try desk.put(Array("".utf8), in: "lobby.log")
    try desk.restart()
    #expect(desk.contents("lobby.log") == kept)
  }

  @Test("removed, moved or cut while the node runs, a log goes on where its name leads")
  func changedMeanwhile() throws {
    let desk = try LogDesk()
    try desk.commit(desk.heard(3))
    let first = desk.contents("lobby.log")
    rename(desk.path("lobby.log"), desk.path("mine.txt"))
    let second = desk.heard(2)
    try desk.commit(second)
    #expect(desk.contents("mine.txt") == first)
    #expect(desk.contents("lobby.log") == second.map { $0 + "\n" }.joined())
    truncate(desk.path("lobby.log"), 10)
    let third = desk.heard()
    try desk.commit(third)
    #expect(desk.contents("lobby.log") == "\(second[0].prefix(10))\n\(third)\n")
    try FileManager.default.moveItem(
      atPath: "\(desk.directory.path)/log", toPath: "\(desk.directory.path)/old")
    let fourth = desk.heard()
    try desk.commit(fourth)
    #expect(desk.contents("lobby.log") == "\(fourth)\n")
    // The snapshot asks for files to be synced that are elsewhere now.
    try desk.snapshot()
    #expect(desk.journals.count == 1 && desk.faults == [])
  }

  // MARK: Size

  @Test("a log that is full is put aside under a number, and nothing is lost on the way")
  func rotation() throws {
    let desk = try LogDesk { $0.logBytes = 1_000 }
    // Names that look alike.
    for _ in 1...10 {
      for group in ["lobby", "lobby.log", "lobby.log.1"] {
        try desk.commit(desk.heard(3, in: group, bytes: 100))
      }
    }
    try desk.commit(desk.heard(1, bytes: 5_000) + desk.heard(1))
    for file in ["lobby.log", "lobby.log.log", "lobby.log.1.log"] {
      #expect(desk.text(file) == desk.wanted(file))
      #expect(desk.files.contains("\(file).7"))
    }
    let sizes = try desk.files.map { try desk.bytes($0).count }.sorted()
    #expect(sizes.dropLast().allSatisfy { $0 > 0 && $0 <= 1_000 } && (sizes.last ?? 0) > 5_000)
    // What was put aside is on the disk.
    let aside = desk.files.filter { !$0.hasSuffix(".log") }
    #expect(try aside.allSatisfy { try desk.controls.synced[$0] == desk.bytes($0).count })
    // The highest number counts, not how many there are.
    unlink(desk.path("lobby.log.3"))
    let highest =
      desk.files.compactMap { $0.wholeMatch(of: /lobby\.log\.([0-9]+)/)?.output.1 }
      .compactMap { Int($0) }.max() ?? 0
    try desk.commit(desk.heard(8, bytes: 100))
    #expect(desk.files.contains("lobby.log.\(highest + 1)"))
    #expect(!desk.files.contains("lobby.log.3"))
    #expect(desk.reports == [])
  }

  @Test("a log is mended across the files that were put aside")
  func mendingAcrossFiles() throws {
    let desk = try deskBeforeCrash { $0.logBytes = 700 }
    let whole = try #require(desk.text("lobby.log"))
    #expect(desk.files.count > 3)
    let newest = try desk.bytes("lobby.log")
    for cut in 0...newest.count {
      try desk.put(Array(newest[..<cut]), in: "lobby.log")
      _ = try mend(desk.directory, logBytes: 700)
      #expect(desk.text("lobby.log") == whole, "cut at \(cut)")
    }
    // The crash came when it had been put aside, and there was no new one yet.
    rename(desk.path("lobby.log"), desk.path("lobby.log.\(desk.files.count)"))
    #expect(try mend(desk.directory, logBytes: 700) == [])
    #expect(desk.text("lobby.log") == whole)
  }

  @Test("more logs than may be open at once")
  func manyLogs() throws {
    let desk = try LogDesk(openFilesMax: 4)
    for _ in 1...5 {
      for group in 1...30 { try desk.commit(desk.heard(1, in: "g\(group)")) }
      try desk.commit((1...30).map { desk.heard(in: "g\($0)") })
      #expect(try openLogs(desk) == 4)
    }
    try desk.snapshot()
    #expect(desk.controls.syncs.count == 30)
    for group in 1...30 { #expect(desk.text("g\(group).log") == desk.wanted("g\(group).log")) }
  }

  /// Descriptors of this process that are open on the logs.
  private func openLogs(_ desk: LogDesk) throws -> Int {
    let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
    let targets = numbers.compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
    }
    return targets.count { $0.hasPrefix("\(desk.directory.path)/log/") }
  }
}
