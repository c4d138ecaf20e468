// Who sends more than others take, or takes nothing of what is sent: memory stays within its limits, and
// the others go on.

import Foundation
import Glibc
import LineChat
import TestSupport
import Testing

@Suite("Abuse: floods", .ownThread, .timeLimit(.minutes(20)))
struct FloodAbuseTests {
  private static let perReader = 1 << 20
  private static let together = 8 << 20
  private static let limits = [
    "--max-pending", "\(perReader)", "--max-pending-total", "\(together)",
  ]
  private static let textBytes = 60_000

  @Test("one reader that never reads while 1 GB is offered, and another one whenever it is dropped")
  func oneDeafReader() throws {
    try offer(Abuse.count(1 << 30, or: 48 << 20), toDeaf: 1)
  }

  @Test("a hundred readers that never read while 1 GB is offered to them")
  func aHundredDeafReaders() throws {
    // Less than ten megabytes each is taken by the kernel.
    try offer(Abuse.count(1 << 30, or: 600 << 20) / 100, toDeaf: 100)
  }

  /// Says so many bytes in a group with members who read nothing, and one who reads everything.
  private func offer(_ bytes: Int, toDeaf count: Int) throws {
    let target = try Target(Self.limits)
    let quick = try target.member("quick")
    let drain = Drain(quick, countingLinesWith: ":sender@relay MSG lobby ", isNumbered: true)
    let sender = try target.client()
    try sender.answers("NICK sender", "OK NICK")
    var deaf = try (1...count).map { try target.member("deaf\($0)", receiveBuffer: 4_096) }
    try target.figures.forgetPeak()
    let before = try target.figures.memoryBytes()
    let cpu = try target.figures.cpuSeconds()
    let text = String(repeating: "x", count: Self.textBytes)
    let messages = bytes / Self.textBytes
    for number in 1...messages {
      let reply = try sender.ask("MSG lobby \(number) \(text)")
      guard reply.hasPrefix("OK MSG lobby ") else { throw TestFailure(reply) }
      // What is behind is still on its way to the quick one; here it is to be quick.
      if number % 10 == 0 {
        try eventually(within: 60, "the quick one goes on") { drain.lines >= number - 10 }
      }
      // Where there is but one, the next one takes its place; those before stay as they are.
      if count == 1, reply == "OK MSG lobby 1/1" {
        deaf.append(try target.member("deaf\(deaf.count + 1)", receiveBuffer: 4_096))
      }
    }
    try eventually(within: 60, "the quick one has all of it") { drain.lines == messages }
    let grown = try target.figures.peakBytes() - before
    // What waits, in memory that is doubled as it grows, and the buffers of a round.
    let bound = 3 * (count == 1 ? Self.perReader : Self.together) + (24 << 20)
    #expect(grown < bound, "\(grown) bytes")
    let stats = try sender.stats()
    #expect(stats["slow-consumers", default: 0] >= 1)
    #expect(stats["bytes-pending", default: .max] <= Self.together)
    Abuse.report(
      "\(Abuse.megabytes(bytes * count)) offered to \(count) who read nothing: "
        + "\(Abuse.megabytes(grown)) more memory at most, \(stats["slow-consumers"] ?? 0) dropped, "
        + "\(try target.figures.cpuSeconds() - cpu) s of processor time")
  }

  @Test("10,000 pipelined requests whose replies nobody reads: reading from it pauses")
  func pipelined() throws {
    let target = try Target()
    let alice = try target.member("alice")
    let count = 10_000
    let flood = try target.client(receiveBuffer: 4_096)
    let before = try target.figures.memoryBytes()
    try flood.send(String(repeating: "HELP\n", count: count))
    // Nothing more of it is carried out once its replies lie there.
    var lines = -1
    try eventually("reading pauses") {
      let stats = try alice.stats()
      defer { lines = stats["lines-received"] ?? 0 }
      return stats["bytes-pending", default: 0] > 0 && stats["lines-received"] == lines + 1
    }
    let stats = try alice.stats()
    #expect(stats["lines-received", default: .max] < count)
    #expect(stats["bytes-pending", default: .max] < 1 << 20)
    #expect(try target.figures.memoryBytes() - before < 8 << 20)
    for turn in 1...50 { try alice.answers("PING \(turn)", "PONG \(turn)") }
    flood.readFaster()
    let drain = Drain(flood, countingLinesWith: "OK HELP")
    try eventually(within: 60, "each is answered") { drain.lines == count }
  }

  @Test("joins and leaves 200 times a second: the others hear each in its order, the log a hundred")
  func joinsAndLeaves() throws {
    let directory = try TemporaryDirectory()
    let target = try Target(keepingIn: directory)
    let hearers = try (1...5).map { try target.member("hearer\($0)") }
    for hearer in hearers.prefix(4) {
      // Those who came after it.
      while try hearer.line()?.hasPrefix(":hearer5@relay JOIN") != true {}
    }
    let restless = try target.client()
    try restless.answers("NICK restless", "OK NICK")
    let count = Abuse.count(20_000, or: 600)
    let start = Deadline.now
    for turn in 1...count {
      // Every other time as a durable member, which goes to the disk twice.
      let place = turn % 2 == 0 ? " relay" : ""
      try restless.answers("JOIN lobby\(place)", "OK JOIN lobby 6")
      try restless.answers("LEAVE lobby", "OK LEAVE lobby")
      for hearer in hearers {
        try hearer.expect(":restless@relay JOIN lobby")
        try hearer.expect(":restless@relay LEAVE lobby")
      }
    }
    let seconds = Double(Deadline.now - start) / 1_000_000_000
    // All of them stay connected until the answer is there.
    let members = try withExtendedLifetime(hearers) { try hearers[0].ask("MEMBERS lobby") }
    #expect(members == "OK MEMBERS lobby 5")
    // Where all is undone nothing is left: the journal is begun anew when it has grown.
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    let sizes = try names.map { name in
      try FileManager.default.attributesOfItem(atPath: "\(directory.path)/\(name)")[.size] as? Int
        ?? 0
    }
    #expect(sizes.reduce(0, +) < 4 << 20, "\(names): \(sizes)")
    try target.stop()
    let lines = try target.daemon.linesToEnd().count
    #expect(Double(lines) < 200 * (seconds + 3), "\(lines) lines in the log in \(seconds) s")
    Abuse.report(
      "\(Int(Double(count) / seconds)) joins and leaves a second, \(lines) lines in the log")
  }

  @Test("--max-rate: over it reading pauses, nothing is lost or refused, and nobody else waits")
  func rate() throws {
    let target = try Target(["--max-rate", "20"])
    let alice = try target.client()
    let hasty = try target.client()
    let count = 50
    let start = Deadline.now
    try hasty.send((1...count).map { "PING \($0)\n" }.joined())
    for turn in 1...10 { try alice.answers("PING \(turn)", "PONG \(turn)") }
    for turn in 1...count { try hasty.expect("PONG \(turn)") }
    // A second's worth comes at once, the other thirty in a second and a half.
    let seconds = Double(Deadline.now - start) / 1_000_000_000
    #expect(seconds > 1.3, "\(count) lines in \(seconds) s")
    let stats = try alice.stats()
    #expect(stats["max-rate"] == 20 && stats["rate-pauses", default: 0] > 0)
    #expect(stats["errors"] == 0)
    // Half a line and an end behind a pause count as always.
    let ending = try target.client()
    try ending.send((1...25).map { "PING \($0)\n" }.joined() + "PING last")
    ending.shutDownOutput()
    #expect(try ending.linesToEnd().last == "PONG last")
  }

  @Test("--max-rate: a flood waits at its sender's end, and costs neither memory nor time")
  func flood() throws {
    let target = try Target(["--max-rate", "10"])
    let watcher = try target.client()
    let flood = try target.client()
    let before = try target.figures.memoryBytes()
    let piece = Array(String(repeating: "PING x\n", count: 10_000).utf8)
    // Until neither kernel takes any more.
    var sent = 0
    while true {
      let taken = flood.sendAtOnce(piece)
      sent += taken
      guard taken == 0 else { continue }
      var entry = pollfd(fd: flood.descriptor, events: Int16(POLLOUT), revents: 0)
      if poll(&entry, 1, 300) == 0 { break }
      #expect(sent < 200 << 20, "the server keeps reading")
    }
    let cpu = try target.figures.cpuSeconds()
    try watcher.answers("WAIT 2", "OK WAIT 0")
    #expect(try target.figures.cpuSeconds() - cpu < 0.5)
    #expect(try target.figures.memoryBytes() - before < 8 << 20)
    #expect(try watcher.stats()["lines-received", default: .max] < 300)
    // It is not waited for at the end.
    try target.stop()
  }
}
