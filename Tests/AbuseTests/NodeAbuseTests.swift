// The same at a node: anybody can connect to it, and its user is to notice nothing.

import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Abuse: a node", .ownThread, .timeLimit(.minutes(20)))
struct NodeAbuseTests {
  @Test("silent, slow, half-closed and reset strangers cost a node nothing, and it is served")
  func strangers() throws {
    let target = try Target()
    let carol = try target.member("carol")
    let node = try NodeTarget("bob", of: target, in: "lobby")
    try carol.line(startingWith: ":bob@")
    let owner = try node.owner()
    let memory = try node.figures.memoryBytes()
    let slow = try (1...50).map { _ in try node.stranger() }
    for byte in String(repeating: "x", count: 100).utf8 {
      for client in slow { try client.send([byte]) }
    }
    for number in 1...Abuse.count(20_000, or: 300) {
      let client = try TestClient(ListenAddress(IPAddress(v4: 0x7F00_0001), port: node.port))
      if number % 2 == 0 { try client.send("MEMBERS lobby\nPM bob h") }
      if number % 3 == 0 { client.shutDownOutput() }
      client.reset()
    }
    let cpu = try node.figures.cpuSeconds()
    try target.client().answers("WAIT 2", "OK WAIT 0")
    #expect(try node.figures.cpuSeconds() - cpu < 0.5)
    #expect(try node.figures.memoryBytes() - memory < 16 << 20)
    try owner.answers("MSG lobby still here", "OK MSG lobby ")
    try carol.line { $0.hasSuffix(" MSG lobby still here") }
    for client in slow {
      try client.send("\n")
      #expect(try client.line()?.hasPrefix("ERR unknown-verb") == true)
    }
  }

  @Test("more connections than a node takes: the next is told, and its user gets in")
  func oneMore() throws {
    let target = try Target()
    let node = try NodeTarget("bob", of: target, in: "lobby")
    let watcher = try node.owner()
    var strangers: [TestClient] = []
    var refusal = ""
    let address = ListenAddress(IPAddress(v4: 0x7F00_0001), port: node.port)
    while strangers.count < 1_100, refusal.isEmpty {
      let client = try TestClient(address)
      let line = try client.line() ?? ""
      if line.hasPrefix("ERR ") { refusal = line } else { strangers.append(client) }
    }
    #expect(
      refusal.hasPrefix("ERR too-many-connections - this node takes 1024 connections at once"))
    try watcher.answers("PING", "PONG")
    try node.owner().answers("PING", "PONG")
    for client in strangers { client.close() }
    try eventually("there is room again") {
      try TestClient(address).line()?.hasPrefix("INFO linechat ") == true
    }
  }

  @Test("a flood of requests whose replies nobody reads, and of messages by strangers")
  func floods() throws {
    let target = try Target()
    let node = try NodeTarget("bob", of: target, in: "lobby")
    let owner = try node.owner()
    let memory = try node.figures.memoryBytes()
    let stranger = try node.stranger()
    for number in 1...100 { try stranger.send("PM bob number \(number)\n") }
    var answers: [String: Int] = [:]
    for _ in 1...100 {
      let line = try stranger.line { $0.hasPrefix("OK ") || $0.hasPrefix("ERR ") }
      answers[line.split(separator: " ").prefix(2).joined(separator: " "), default: 0] += 1
    }
    #expect(answers == ["OK PM": 60, "ERR rate-limited": 40])
    let flood = try TestClient(
      ListenAddress(IPAddress(v4: 0x7F00_0001), port: node.port), receiveBuffer: 4_096)
    try flood.send(String(repeating: "HELP\n", count: 10_000))
    for turn in 1...50 { try owner.answers("PING \(turn)", "PONG \(turn)") }
    #expect(try node.figures.memoryBytes() - memory < 16 << 20)
    flood.readFaster()
    let drain = Drain(flood, countingLinesWith: "OK HELP")
    try eventually(within: 60, "each is answered") { drain.lines == 10_000 }
  }

  @Test("a web page can't make a browser speak to a node")
  func http() throws {
    let target = try Target()
    let node = try NodeTarget("bob", of: target, in: "lobby")
    let browser = try node.stranger()
    try browser.send("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nPM bob forged\n")
    let lines = try browser.linesToEnd()
    #expect(lines.count == 1 && lines[0].hasPrefix("ERR forbidden - "))
  }
}
