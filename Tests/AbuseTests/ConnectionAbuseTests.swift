// Connections that are there for nothing: slow ones, silent ones, too many, reset ones, half-closed ones,
// and web browsers. Each costs what it must, and the others are served.

import Foundation
import Glibc
import LineChat
import TestSupport
import Testing

@Suite("Abuse: connections", .ownThread, .timeLimit(.minutes(20)))
struct ConnectionAbuseTests {
  @Test("one byte a second without a newline: costs its bytes, and the others are served")
  func oneByteASecond() throws {
    let target = try Target()
    let alice = try target.member("alice")
    let slow = try (1...Abuse.count(1_000, or: 50)).map { _ in try target.client() }
    let before = try target.figures.memoryBytes()
    let line = "PING " + String(repeating: "x", count: 300)
    // A second is as long as the others need for a request: what counts is that the pieces are so small.
    for byte in line.utf8 {
      for client in slow { try client.send([byte]) }
      try alice.answers("PING here", "PONG here")
    }
    let grown = try target.figures.memoryBytes() - before
    #expect(grown < slow.count * 4_096 + (8 << 20), "\(grown) bytes for \(slow.count) half lines")
    Abuse.report("\(slow.count) half lines took \(Abuse.megabytes(grown))")
    for client in slow {
      try client.send("\n")
      try client.expect("PONG" + line.dropFirst(4))
    }
  }

  @Test("a line that never ends is thrown away as it comes, and refused once when it does")
  func endlessLine() throws {
    let target = try Target()
    let alice = try target.member("alice")
    let endless = try target.client()
    let before = try target.figures.memoryBytes()
    let piece = [UInt8](repeating: 0x78, count: 1 << 20)
    for _ in 1...Abuse.count(1_024, or: 32) { try endless.send(piece) }
    try alice.answers("PING here", "PONG here")
    try endless.send("\nPING after\n")
    #expect(try endless.line()?.hasPrefix("ERR line-too-long ") == true)
    try endless.expect("PONG after")
    #expect(try target.figures.memoryBytes() - before < 8 << 20)
  }

  @Test("silent connections: cost no processor time, and stay as long as they like")
  func silent() throws {
    let target = try Target()
    let watcher = try target.client()
    let silent = try (1...Abuse.count(9_000, or: 300)).map { _ in try target.client() }
    let cpu = try target.figures.cpuSeconds()
    // The server itself says when two seconds are over.
    try watcher.answers("WAIT 2", "OK WAIT 0")
    let used = try target.figures.cpuSeconds() - cpu
    #expect(used < 0.5, "\(used) s of processor time in two seconds")
    Abuse.report("\(silent.count) silent connections took \(used) s of processor time in 2 s")
    #expect(try watcher.stats()["connections"] == silent.count + 1)
    for client in silent.suffix(20) { try client.answers("PING", "PONG") }
  }

  @Test("10,000 connections, and one more, which is told why")
  func oneMore() throws {
    let most = Abuse.count(10_000, or: 300)
    let target = try Target(["--max-connections", "\(most)"])
    let before = try target.figures.memoryBytes()
    var clients = try (1...most).map { _ in try target.client() }
    let late = try TestClient(target.address)
    #expect(
      try late.linesToEnd() == [
        "ERR too-many-connections - this server takes \(most) connections at once; try again later"
      ])
    #expect(late.end == .inOrder)
    for client in [clients[0], clients[most / 2], clients[most - 1]] {
      try client.answers("PING", "PONG")
    }
    let stats = try clients[0].stats()
    #expect(stats["connections"] == most && stats["connections-refused"] == 1)
    #expect(stats["max-connections"] == most)
    let each = (try target.figures.memoryBytes() - before) / most
    #expect(each < 8_192, "\(each) bytes for each connection")
    Abuse.report("\(most) connections, \(each) bytes for each")
    try clients.removeLast().ask("QUIT")
    try eventually("there is room again") {
      try TestClient(target.address).line()?.hasPrefix("INFO ") == true
    }
  }

  @Test("EMFILE: out of descriptors, those inside are served, nothing spins, and it recovers")
  func outOfDescriptors() throws {
    let target = try Target()
    let inside = try target.member("alice")
    let watcher = try target.client()
    try target.daemon.limitDescriptors(toMore: 8)
    let outside = try (1...40).map { _ in try TestClient(target.address) }
    try target.daemon.line(containing: "turned away a new connection")
    // Whoever was turned away knows it at once.
    #expect(try outside.last?.linesToEnd().first?.hasPrefix("INFO ") != true)
    // A listener that is ready all the time must not keep the loop busy.
    let waiting = try (1...20).map { _ in try TestClient(target.address) }
    let cpu = try target.figures.cpuSeconds()
    try watcher.answers("WAIT 1", "OK WAIT 0")
    let used = try target.figures.cpuSeconds() - cpu
    #expect(used < 0.3, "\(used) s of processor time in a second")
    for turn in 1...200 { try inside.answers("PING \(turn)", "PONG \(turn)") }
    for client in outside + waiting { client.close() }
    try eventually("there is room again") {
      try TestClient(target.address).line()?.hasPrefix("INFO ") == true
    }
  }

  @Test("1,000 resets a second: leave nothing behind, in memory, descriptors or the log")
  func resets() throws {
    let target = try Target()
    let alice = try target.member("alice")
    _ = try target.client()
    let descriptors = try target.figures.descriptors()
    let memory = try target.figures.memoryBytes()
    let count = Abuse.count(30_000, or: 1_500)
    let start = Deadline.now
    for turn in 1...count {
      let client = try TestClient(target.address)
      switch turn % 5 {
      case 0: break
      case 1: try client.send("NICK n\(turn)\nJOIN storm\n")
      case 2: try client.send("JOIN storm\nWAIT 60\nMSG storm late\n")
      case 3: try client.send("JOIN storm\nQUI")
      default: try client.line(startingWith: "INFO ")
      }
      client.reset()
      if turn % 100 == 0 { try alice.answers("PING \(turn)", "PONG \(turn)") }
    }
    let seconds = Double(Deadline.now - start) / 1_000_000_000
    try eventually("all of them are gone") {
      let stats = try alice.stats()
      return stats["connections"] == 1 && stats["names"] == 1 && stats["groups"] == 1
    }
    #expect(try target.figures.descriptors() <= descriptors)
    let grown = try target.figures.memoryBytes() - memory
    #expect(grown < 16 << 20, "\(grown) bytes are left of \(count) resets")
    let cpu = try target.figures.cpuSeconds()
    try target.stop()
    // A hundred lines of each kind in a second, and twenty refusals.
    let lines = try target.daemon.linesToEnd().count
    #expect(Double(lines) < 300 * (seconds + 3), "\(lines) lines in the log in \(seconds) s")
    Abuse.report(
      "\(Int(Double(count) / seconds)) resets a second, \(Abuse.megabytes(grown)) more memory, "
        + "\(lines) lines in the log, \(cpu) s of processor time")
  }

  @Test("half-closed for ever: whichever side is shut, the descriptor comes back")
  func halfClosed() throws {
    let target = try Target()
    let alice = try target.member("alice")
    let descriptors = try target.figures.descriptors()
    // These say no more, and do not end when the server does.
    let ended = try (1...50).map { _ in try target.client() }
    for client in ended {
      try client.send("JOIN lobby\nPING\n")
      client.shutDownOutput()
    }
    // These are let go, and do not end their own side.
    let quitting = try (1...50).map { _ in try target.client() }
    for client in quitting { try client.send("QUIT\n") }
    // These say no more while the server still waits for somebody on their behalf.
    let waiting = try (1...50).map { _ in try target.client() }
    for client in waiting {
      try client.send("JOIN lobby\nWAIT 1\n")
      client.shutDownOutput()
    }
    try eventually(within: 40, "all of them are gone") {
      try alice.stats()["connections"] == 1 && target.figures.descriptors() <= descriptors
    }
    #expect(try ended[0].linesToEnd().contains("PONG"))
    #expect(try quitting[0].linesToEnd() == ["OK QUIT"])
    #expect(try waiting[0].linesToEnd().contains { $0.hasPrefix("OK WAIT ") })
  }

  @Test(
    "lines that end like HTTP requests: as the first one they end the connection, and nothing behind is done",
    arguments: [
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nMSG lobby forged\n",
      "POST /x HTTP/1.0\r\nContent-Type: text/plain\r\n\r\nNICK mallory\nMSG lobby forged\n",
      "\r\n\r\nGET / HTTP/1.1\r\n\r\nMSG lobby forged\n",
      "MSG lobby forged HTTP/1.1\nMSG lobby forged\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nMSG lobby forged\n",
    ])
  func http(request: String) throws {
    let target = try Target()
    let alice = try target.member("alice")
    let browser = try target.client()
    try browser.send(request)
    let lines = try browser.linesToEnd()
    #expect(lines.count == 1 && lines[0].hasPrefix("ERR forbidden - "), "\(lines)")
    #expect(browser.end == .inOrder)
    // Behind a first line that is none of a browser's, such an end is a text like any other.
    let bob = try target.client()
    try bob.answers("PING", "PONG")
    try bob.answers("MSG lobby the page says GET / HTTP/1.1", "OK MSG lobby 1/1")
    #expect(try alice.line()?.hasSuffix(" MSG lobby the page says GET / HTTP/1.1") == true)
  }
}
