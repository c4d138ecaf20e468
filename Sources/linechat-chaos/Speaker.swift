// One who speaks through a node's own socket: says what is due, reads the answers and what others say, and
// comes back when the node was away. It never waits.

import LineChat
import LineChatCore
import LineProtocol
import TestSupport

final class Speaker {
  let name: String
  private(set) var ledger = Ledger()
  private let address: ListenAddress?
  /// To whom it speaks, and how many of a hundred messages are for each.
  private let streams: [(stream: Stream, share: Double)]
  private var random: SplitMix64
  private var client: TestClient?
  private var lastTry: Int64 = 0
  /// What has no answer yet, by its label.
  private var asked: [Int: (stream: Stream, number: Int)] = [:]
  private var labels = 0
  private var credit = 0.0
  private var lastTurn = Deadline.now
  /// The latest that was heard of each who speaks to it.
  private var heard: [Stream: Int] = [:]
  private(set) var heardCount = 0
  /// What was heard again, or behind a later one.
  private(set) var heardWrongly: [String] = []

  /// A node takes 1,024 at a time; beyond this nothing more is said until it has answered.
  private static let askedMost = 400

  init(_ name: String, in town: Town, random: SplitMix64) {
    self.name = name
    self.random = random
    address = town.socket(of: name)
    let groups = town.groups.filter { $0.members.contains(name) }.map(\.name)
    let others = town.nodes.map(\.name).filter { $0 != name }
    streams =
      groups.map { (Stream(sender: name, destination: $0, isPrivate: false), 4.0) }
      + others.map {
        (Stream(sender: name, destination: $0, isPrivate: true), 2.0 / Double(others.count))
      }
  }

  var isIdle: Bool { asked.isEmpty }
  /// What to wait for.
  var descriptor: Int32? { client?.descriptor }

  /// Says what is due at so many messages a second, none of it where the rate is nil, and reads.
  func turn(perSecond: Double?, isRunning: Bool) {
    let now = Deadline.now
    defer { lastTurn = now }
    guard isRunning else { return lose() }
    if client == nil { connect(now) }
    guard client != nil else { return }
    if let perSecond { credit += perSecond * Double(now - lastTurn) / 1e9 }
    do {
      // What is due gathers for some turns: people do not speak in step with a clock.
      if perSecond != nil, credit >= 1, Double.random(in: 0..<1, using: &random) < 0.2 {
        try sayAllDue()
      }
      try readAll()
    } catch {
      lose()
    }
  }

  private func connect(_ now: Int64) {
    guard now - lastTry > 50_000_000, let address else { return }
    lastTry = now
    client = try? TestClient(address)
    credit = 0
  }

  /// The node is gone: what it has not answered may have happened.
  func lose() {
    guard client != nil || !asked.isEmpty else { return }
    // Answers that were on their way count.
    _ = try? readAll()
    client = nil
    for (stream, number) in asked.values { ledger.settle(stream, number, .unknown) }
    asked = [:]
  }

  // MARK: Saying

  private func sayAllDue() throws {
    var lines = ""
    while credit >= 1, asked.count < Speaker.askedMost {
      credit -= 1
      let stream = drawStream()
      let number = ledger.ask(stream)
      labels += 1
      asked[labels] = (stream, number)
      let verb = stream.isPrivate ? "PM" : "MSG"
      lines += "@label=\(labels) \(verb) \(stream.destination) \(stream.text(number))\n"
    }
    credit = min(credit, 200)
    try client?.send(lines)
  }

  private func drawStream() -> Stream {
    var left = Double.random(in: 0..<streams.reduce(0) { $0 + $1.share }, using: &random)
    for (stream, share) in streams {
      left -= share
      if left < 0 { return stream }
    }
    return streams[0].stream
  }

  // MARK: Reading

  private func readAll() throws {
    while let client, client.hasInput {
      guard let line = try client.line() else { throw TestFailure("the node has gone") }
      guard let message = try? Message(parsing: line) else { continue }
      if message.source == nil { take(message) } else { hear(message) }
    }
  }

  /// Not all of it is heard here, as the node may be killed before it has told it; the logs have it all.
  private func hear(_ message: Message) {
    guard let (stream, text) = Stream.saying(message), let number = stream.number(in: text) else {
      return
    }
    heardCount += 1
    let last = heard[stream] ?? 0
    if number <= last { heardWrongly.append("\(name) heard \(stream) \(number) behind \(last)") }
    heard[stream] = max(last, number)
  }

  private func take(_ message: Message) {
    guard
      let label = message.tags["label"].flatMap({ Int($0) }),
      let (stream, number) = asked.removeValue(forKey: label)
    else { return }
    switch message.content {
    case .ok:
      ledger.settle(stream, number, message.tags["failed"] == nil ? .accepted : .failed)
    case .err(let refusal):
      ledger.settle(stream, number, .refused)
      ledger.note(refusal: "\(refusal)")
    default: ledger.settle(stream, number, .unknown)
    }
  }
}
