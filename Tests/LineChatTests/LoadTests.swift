// Many at once, slow ones among them: order, fairness, and limits that hold.

import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("Load", .serialized, .ownThread, .timeLimit(.minutes(20)))
struct LoadTests {
  @Test("1,000 messages to 100 receivers: each gets all of them in order")
  func fanOut() throws {
    let server = try TestServer()
    let receivers = try (1...100).map { try server.member("receiver\($0)", of: "news") }
    let sender = try server.member("sender", of: "news")
    try sender.send((1...1_000).map { "MSG news number \($0)\n" }.joined())
    for number in 1...1_000 { try sender.expect("OK MSG news 100/100", passing: "MEMBER ", number) }
    for receiver in receivers {
      try receiver.line(startingWith: ":sender@relay JOIN news")
      for number in 1...1_000 { try receiver.expect(":sender@relay MSG news number \(number)") }
    }
  }

  @Test("several senders in several groups: each receiver has each sender's lines in order")
  func manyToMany() throws {
    let server = try TestServer()
    let groups = ["red", "green", "blue"]
    var members: [(group: String, client: TestClient)] = []
    for group in groups {
      for number in 1...8 {
        members.append((group, try server.member("\(group)\(number)", of: group)))
      }
    }
    for member in members {
      try member.client.send((1...200).map { "MSG \(member.group) \($0)\n" }.joined())
    }
    for (group, client) in members {
      var last: [Substring: Int] = [:]
      var replies = 0
      while replies < 200 || last.count < 7 || last.values.contains(where: { $0 < 200 }) {
        guard let line = try client.line() else { throw TestFailure("ended early") }
        if line.hasPrefix("OK MSG") { replies += 1 }
        let words = line.split(separator: " ")
        guard words.count == 4, words[1] == "MSG", let number = Int(words[3]) else { continue }
        #expect(words[2] == group)
        #expect(number == (last[words[0]] ?? 0) + 1)
        last[words[0]] = number
      }
    }
  }

  @Test("a slow reader is dropped at a line's end with the reason, and nobody else waits")
  func slowReader() throws {
    let server = try TestServer { $0.pendingBytesMax = 100_000 }
    let slow = try server.member("slow", receiveBuffer: 4_096)
    let quick = try server.member("quick")
    let sender = try server.member("sender")
    let text = String(repeating: "x", count: 10_000)
    var sent = 0
    // The kernel takes some megabytes for the slow one before the server has to keep anything.
    try eventually("the slow one is dropped") {
      sent += 1
      try sender.ask("MSG lobby \(sent) \(text)")
      try quick.line(startingWith: ":sender@relay MSG lobby \(sent) ")
      return server.log.all.contains { $0.contains("slow-consumer") }
    }
    try quick.line(startingWith: ":slow@relay LEAVE lobby slow consumer")
    try expectWholeLines(slow, upTo: sent, text)
    #expect(try sender.ask("MSG lobby on") == "OK MSG lobby 1/1")
  }

  /// What a slow reader gets in the end: messages without a gap, the reason, and an end.
  private func expectWholeLines(_ client: TestClient, upTo sent: Int, _ text: String) throws {
    var heard = 0
    var reason: String?
    for line in try client.linesToEnd() {
      if line.hasPrefix(":sender@relay MSG lobby ") {
        heard += 1
        #expect(reason == nil)
        #expect(line == ":sender@relay MSG lobby \(heard) \(text)")
      } else if line.hasPrefix("ERR ") {
        reason = line
      }
    }
    #expect(heard > 0 && heard < sent)
    // Where it does not read in time, it is reset and the reason may be lost.
    if let reason { #expect(reason.hasPrefix("ERR slow-consumer - ")) }
    #expect(reason != nil || client.end == .reset)
    if client.end == .inOrder { #expect(client.unfinishedLine.isEmpty) }
  }

  @Test("a slow reader that begins to read in time is told why it is dropped")
  func slowReaderIsTold() throws {
    let server = try TestServer { $0.pendingBytesMax = 50_000 }
    let slow = try server.member("slow", receiveBuffer: 4_096)
    let sender = try server.member("sender")
    let text = String(repeating: "x", count: 5_000)
    try eventually("the slow one is dropped") {
      try sender.ask("MSG lobby \(text)")
      return server.log.all.contains { $0.contains("slow-consumer") }
    }
    let lines = try slow.linesToEnd()
    #expect(lines.last?.hasPrefix("ERR slow-consumer - ") == true)
    #expect(slow.end == .inOrder)
    for line in lines.dropLast() where line.hasPrefix(":sender@relay MSG") {
      #expect(line == ":sender@relay MSG lobby \(text)")
    }
  }

  @Test("a slow reader that never reads is reset after two seconds")
  func slowReaderIsReset() throws {
    let server = try TestServer { $0.pendingBytesMax = 50_000 }
    let slow = try server.member("slow", receiveBuffer: 4_096)
    let sender = try server.member("sender")
    let text = String(repeating: "x", count: 10_000)
    try eventually("the slow one is dropped") {
      try sender.ask("MSG lobby \(text)")
      return server.log.all.contains { $0.contains("slow-consumer") }
    }
    try eventually("it is reset") {
      var entry = pollfd(fd: slow.descriptor, events: 0, revents: 0)
      return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP | POLLERR) != 0
    }
  }

  @Test("where all together have too much waiting, the one with the most goes")
  func totalLimit() throws {
    let server = try TestServer {
      $0.pendingBytesMax = 8 << 20
      $0.pendingBytesTotalMax = 1 << 20
    }
    // Two slow ones; the first is in one more group, where more is said.
    let first = try server.member("first", receiveBuffer: 4_096)
    try first.ask("JOIN busy")
    let second = try server.member("second", receiveBuffer: 4_096)
    let sender = try server.member("sender")
    let text = String(repeating: "x", count: 20_000)
    try eventually("one is dropped") {
      try sender.ask("MSG busy \(text)")
      try sender.ask("MSG lobby \(text)")
      return server.log.all.contains { $0.contains("slow-consumer") }
    }
    try eventually("it is the first") {
      server.log.all.contains { $0.contains("first@relay left lobby (2 members): slow consumer") }
    }
    #expect(try sender.ask("MSG lobby still here") == "OK MSG lobby 1/1")
    // Enough room again: the other goes on from where it stands.
    try second.line { $0.hasSuffix("MSG lobby still here") }
  }

  @Test("a client that sends much and reads nothing is not read from, and serves itself later")
  func pausedReading() throws {
    let server = try TestServer()
    let client = try server.client(receiveBuffer: 4_096)
    let request = "PING " + String(repeating: "x", count: 1_000) + "\n"
    let piece = Array(String(repeating: request, count: 100).utf8)
    var sent = 0
    // Until neither kernel takes any more: the server has stopped reading.
    var isFull = false
    while !isFull {
      let taken = client.sendAtOnce(piece)
      sent += taken
      if taken < piece.count {
        var entry = pollfd(fd: client.descriptor, events: Int16(POLLOUT), revents: 0)
        isFull = poll(&entry, 1, 500) == 0
        // A whole number of requests, whatever the kernel took.
        let rest = Array(piece.dropFirst(taken))
        if isFull { break }
        try client.send(rest)
        sent += rest.count
      }
      #expect(sent < 200 << 20, "the server keeps reading")
    }
    let others = try server.client()
    try others.ask("PING")
    let whole = sent / request.utf8.count
    for _ in 0..<whole { #expect(try client.line()?.hasPrefix("PONG xxx") == true) }
  }

  @Test("connections over the limit are told so, and let in when there is room")
  func tooManyConnections() throws {
    let server = try TestServer { $0.connectionsMax = 3 }
    var clients = try (1...3).map { _ in try server.client() }
    let late = try TestClient(server.address)
    try late.send("NICK late\n")
    let lines = try late.linesToEnd()
    #expect(lines.count == 1 && lines[0].hasPrefix("ERR too-many-connections - "))
    #expect(late.end == .inOrder)
    try clients.removeLast().ask("QUIT")
    try eventually("there is room") {
      let next = try TestClient(server.address)
      return try next.line()?.hasPrefix("INFO ") == true
    }
    #expect(server.log.all.contains { $0.contains("too-many-connections") })
  }

  @Test("a storm of connections over the limit leaves those inside alone")
  func stormOverTheLimit() throws {
    let server = try TestServer { $0.connectionsMax = 5 }
    let inside = try server.member("alice")
    let storm = try (1...300).map { _ in try TestClient(server.address) }
    #expect(try inside.ask("PING here") == "PONG here")
    for client in storm { client.close() }
    try eventually("there is room") {
      let next = try TestClient(server.address)
      return try next.line()?.hasPrefix("INFO ") == true
    }
  }

  @Test("a long listing does not keep the others waiting")
  func longListing() throws {
    let server = try TestServer()
    let clients = try (1...400).map { try server.member("m\($0)", of: "g\($0)") }
    let lister = try server.client()
    try lister.send(String(repeating: "GROUPS\n", count: 2_000))
    for client in clients.prefix(50) { #expect(try client.ask("PING") == "PONG") }
    for _ in 1...2_000 {
      try lister.expect("GROUP g1 1")
      try lister.line(startingWith: "OK GROUPS 400")
    }
  }
}

extension TestClient {
  /// The next line but for those that begin with `start` must be `wanted`.
  fileprivate func expect(_ wanted: String, passing start: String, _ number: Int) throws {
    let line = try line { !$0.hasPrefix(start) }
    guard line == wanted else {
      throw TestFailure("\(number): expected '\(wanted)', got '\(line)'")
    }
  }
}
