// How long it takes until everything is as before when the server was killed: sessions that dial again
// and join their group again, until a message reaches all of them; and the start of a server that has
// many members on its disk.

import ArgumentParser
import Foundation
import Glibc
import Histogram

struct Recovery: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Sessions that come back after a kill, and the server's start with many members.",
    discussion: """
      Sessions speak tags, as programs do, and are durable members of one group. The server is killed \
      with SIGKILL, and started again on the same directory after --away seconds. Times are from that \
      start. Sessions dial again every 10 ms in the one row, and in the other as nodes do: after half a \
      second, doubling up to 15 seconds.
      """)

  @Option(help: "How many sessions, up to 9000.")
  var sessions = 1_000

  @Option(help: "How many members are on the disk, up to 190000; 0 leaves that out.")
  var members = 100_000

  @Option(help: "Seconds between the kill and the start, up to 600.")
  var away = 3.0

  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...9_000).contains(sessions), (0...190_000).contains(members), (0...600) ~= away else {
      throw ValidationError(
        "--sessions is from 1 to 9000, --members from 0 to 190000, --away from 0 to 600")
    }
  }

  func run() throws {
    let linechatd = try programs.path("linechatd", given: programs.linechatd)
    try raiseDescriptorLimit(to: sessions + 500)
    var rows: [Row] = []
    for pauses in [Swarm.Pauses.short, .documented] {
      let desk = try RecoveryDesk(linechatd)
      rows += try desk.measureReturn(of: sessions, pauses, away: away)
    }
    if members > 0 { rows += try RecoveryDesk(linechatd).measureStart(with: members) }
    try report.print(rows)
  }
}

/// A server with a directory of its own, killed and started again.
private final class RecoveryDesk {
  private let linechatd: String
  private let folder: URL
  private var server: MeasuredServer

  init(_ linechatd: String) throws {
    self.linechatd = linechatd
    folder = try Workplace.make()
    server = try MeasuredServer(linechatd, ["--data-dir", folder.path])
  }

  deinit {
    server.running.kill()
    Workplace.remove(folder)
  }

  private func startAgain() throws {
    server = try MeasuredServer(linechatd, ["--data-dir", folder.path], port: server.port)
  }

  // MARK: Sessions

  func measureReturn(of count: Int, _ pauses: Swarm.Pauses, away: Double) throws -> [Row] {
    let swarm = try Swarm(count, port: server.port, pauses)
    guard try swarm.run(until: swarm.areAllIn, within: 120) else {
      throw BenchFailure("only \(swarm.countIn) of \(count) sessions are in the group at first")
    }
    server.running.kill()
    let killed = monotonicNanoseconds()
    // They see it, and dial in vain.
    _ = try swarm.run(until: false, within: away)
    let start = monotonicNanoseconds()
    swarm.forget()
    try startAgain()
    _ = try swarm.run(until: swarm.areAllIn, within: 300)
    var back = Row("recovery", "\(count) sessions back, \(pauses.text)")
    back.sent = count
    back.delivered = swarm.countIn
    back.lost = count - swarm.countIn
    back.seconds = Double(monotonicNanoseconds() - start) / 1e9
    back.cpuSeconds = server.running.cpuSeconds
    back.memoryMebibytes = server.running.memoryMebibytes
    back.take(swarm.returns(since: start))
    say(String(format: "away for %.1f s", Double(start - killed) / 1e9))

    let speaker = try Connection(port: server.port)
    try speaker.send("MSG lobby \(Swarm.mark)\n")
    _ = try swarm.run(until: swarm.haveAllHeard, within: 60)
    var heard = Row("recovery", "a message reaches all of them")
    heard.sent = count
    heard.delivered = swarm.countHeard
    heard.lost = count - swarm.countHeard
    heard.seconds = Double(monotonicNanoseconds() - start) / 1e9
    heard.cpuSeconds = server.running.cpuSeconds
    return [back, heard]
  }

  // MARK: Members on the disk

  private static let membersInGroup = 50
  private static let atOnce = 200

  func measureStart(with members: Int) throws -> [Row] {
    var made = Row("recovery", "\(members) members join, a connection each")
    var start = monotonicNanoseconds()
    for first in stride(from: 0, to: members, by: Self.atOnce) {
      try join(first..<min(first + Self.atOnce, members))
    }
    made.sent = members
    made.seconds = Double(monotonicNanoseconds() - start) / 1e9
    made.perSecond = Double(members) / (made.seconds ?? 1)
    made.cpuSeconds = server.running.cpuSeconds
    made.memoryMebibytes = server.running.memoryMebibytes
    server.running.kill()
    made.diskMebibytes = diskMebibytes

    var row = Row("recovery", "a start with \(members) members on the disk")
    start = monotonicNanoseconds()
    try startAgain()
    let client = try Connection(port: server.port)
    try client.send("PING\n")
    try client.line(startingWith: "PONG")
    row.seconds = Double(monotonicNanoseconds() - start) / 1e9
    row.cpuSeconds = server.running.cpuSeconds
    row.memoryMebibytes = server.running.memoryMebibytes
    row.diskMebibytes = diskMebibytes
    // They are there, the last one too.
    let group = (members - 1) / Self.membersInGroup
    try client.send("MEMBERS g\(group)\n")
    let answer = try client.line(startingWith: "OK MEMBERS")
    let wanted = (members - 1) % Self.membersInGroup + 1
    guard answer == "OK MEMBERS g\(group) \(wanted)" else {
      throw BenchFailure("\(wanted) members of g\(group) were on the disk, and now: \(answer)")
    }
    return [made, row]
  }

  /// Each is a member from here on, though its connection ends.
  private func join(_ range: Range<Int>) throws {
    var connections: [Connection] = []
    for number in range {
      let connection = try Connection(port: server.port)
      let group = number / Self.membersInGroup
      try connection.send("NICK member\(number)\nJOIN g\(group) relay\nQUIT\n")
      connections.append(connection)
    }
    for connection in connections {
      let answer = try connection.toEnd()
      guard answer.contains("\nOK JOIN ") else {
        throw BenchFailure("a member could not join: \(answer.suffix(200))")
      }
    }
  }

  private var diskMebibytes: Double {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let bytes = names.reduce(0) { sum, name in
      let path = folder.appendingPathComponent(name).path
      let attributes = try? FileManager.default.attributesOfItem(atPath: path)
      return sum + ((attributes?[.size] as? Int) ?? 0)
    }
    return Double(bytes) / 1_048_576
  }
}
