// The load of a fan-out: connections to one contestant, one that speaks and many that hear.
//
// What a receiver should get is known to the byte: each message is the same bytes around a text that is a
// number and padding. The bytes around it are learnt from the first message, as each server has its own.
// So a whole read is checked with one comparison, which costs far less than the read itself. Only where
// it is not as it should be are the numbers looked for, to tell what is lost from what came twice.

import Foundation
import Glibc
import Histogram

struct FanOutLoad: CustomStringConvertible {
  let receivers: Int
  let textBytes: Int
  /// Messages that not all receivers have at most.
  let window: Int

  var description: String {
    "\(receivers) receivers, \(textBytes) B, window \(window)"
  }

  /// Of a run that is to show how many are to be sent.
  var messagesAtFirst: Int { max(2 * window, min(100 * window, 200_000 / receivers)) }

  func run(_ contestant: Contestant, _ options: ContestOptions, messages: Int) throws
    -> LoadResult
  {
    let contest = try contestant.start(options, groups: 1)
    let desk = try FanOutDesk(self, contest, contestant.dialect)
    return try desk.run(messages)
  }
}

private final class FanOutDesk {
  /// Messages that were sent together, and when.
  private struct Batch {
    let end: Int
    let at: UInt64
    /// Receivers that have not all of it.
    var missing: Int
  }

  private let load: FanOutLoad
  private let contest: Contest
  private let dialect: any Dialect
  private let inbox: Inbox
  private let sender: Connection
  private let connections: [Connection]
  private var receivers: [Receiver]
  private var expected = Expected()
  private var batches: [Batch] = []
  /// So many are all there.
  private var batchesDone = 0
  private var result = LoadResult()

  init(_ load: FanOutLoad, _ contest: Contest, _ dialect: any Dialect) throws {
    self.load = load
    self.contest = contest
    self.dialect = dialect
    inbox = try Inbox(readBytes: Expected.readBytes)
    receivers = Array(repeating: Receiver(), count: load.receivers)
    let port = contest.port(of: 0)
    sender = try Connection(port: port)
    try sender.go(through: dialect.greeting("sender0"))
    connections = try Connection.open(
      receivers.count, dialect, port: { _ in port }, through: { dialect.entry("r\($0)", 0) })
    for index in receivers.indices { try inbox.add(connections[index], as: index) }
    try inbox.add(sender, as: receivers.count)
  }

  func run(_ messages: Int) throws -> LoadResult {
    try learn()
    let watch = Stopwatch(contest.running)
    try talk(messages)
    watch.stop(&result)
    for receiver in receivers {
      result.delivered += receiver.delivered
      result.lost += messages - receiver.delivered
      result.duplicates += receiver.duplicates
      result.wrong += receiver.isWrong ? 1 : 0
    }
    return result
  }

  // MARK: What is to be heard

  /// One message before the measured ones: what a receiver gets of it, without what it was told of others
  /// who came, is what surrounds each text.
  private func learn() throws {
    try awaitEntry()
    let first = Expected.text(Expected.numbers - 1, bytes: load.textBytes)
    try send(dialect.line(first, 0))
    var surroundings: (before: [UInt8], after: [UInt8])?
    for connection in connections {
      let found = try connection.surroundings(of: first, endingWith: dialect.lineEnd)
      guard surroundings.map({ $0 == found }) ?? true else {
        throw BenchFailure("receivers get different lines for the same message")
      }
      surroundings = found
    }
    guard let surroundings else { return }
    expected = Expected(
      surroundings.before, textBytes: load.textBytes, surroundings.after,
      interruption: dialect.interruption)
  }

  /// Where nobody says that one is in, whoever hears something is.
  private func awaitEntry() throws {
    guard dialect.entry("", 0).isEmpty else { return }
    let deadline = monotonicNanoseconds() + 10_000_000_000
    for connection in connections {
      while !connection.canRead(within: 10) {
        guard monotonicNanoseconds() < deadline else { throw BenchFailure("a receiver is not in") }
        try send(dialect.line(Array("are you there?".utf8), 0))
      }
    }
  }

  // MARK: Talking

  /// Returns when all have everything, or nothing comes for five seconds.
  private func talk(_ messages: Int) throws {
    let lines = (0..<expected.messages).map {
      dialect.line(Expected.text($0, bytes: load.textBytes), 0)
    }
    var pending: [UInt8] = []
    var written = 0
    var lastNews = monotonicNanoseconds()
    while slowest < messages {
      // Half a window at once, as a program that has much to say would.
      let room = min(messages, slowest + load.window) - result.sent
      if written == pending.count, room > 0, room >= min(load.window / 2, messages - result.sent) {
        pending.removeAll(keepingCapacity: true)
        written = 0
        for number in result.sent..<result.sent + room { pending += lines[number % lines.count] }
        result.sent += room
        batches.append(
          Batch(end: result.sent, at: monotonicNanoseconds(), missing: receivers.count))
      }
      if written < pending.count { written += sender.write(pending, from: written) }
      if try inbox.hear(waiting: written < pending.count ? 0 : 1_000, hear) {
        lastNews = monotonicNanoseconds()
      } else if monotonicNanoseconds() > lastNews + 5_000_000_000 {
        return
      }
    }
  }

  /// So many messages all receivers have.
  private var slowest: Int { batchesDone == 0 ? 0 : batches[batchesDone - 1].end }

  private func send(_ bytes: [UInt8]) throws {
    var written = 0
    while written < bytes.count { written += sender.write(bytes, from: written) }
  }

  private func hear(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    // What the sender is told is of no interest.
    guard index < receivers.count else { return }
    result.bytes += bytes.count
    var from = receivers[index].position
    receivers[index].take(bytes, expected)
    let position = receivers[index].position
    guard position > from else { return }
    let now = monotonicNanoseconds()
    while from < position, receivers[index].batch < batches.count {
      let number = receivers[index].batch
      let end = min(position, batches[number].end)
      result.delays.record(now - batches[number].at, count: UInt64(end - from))
      from = end
      if end == batches[number].end {
        receivers[index].batch += 1
        batches[number].missing -= 1
      }
    }
    while batchesDone < batches.count, batches[batchesDone].missing == 0 { batchesDone += 1 }
  }
}

/// What each receiver should get, byte by byte.
private struct Expected {
  /// Texts are numbers that begin anew after so many at the most: more than can be under way.
  static let numbers = 8_192
  static let readBytes = 1 << 18

  /// What every text begins with; four digits follow.
  static let mark = "100000000000"

  private(set) var messages = 0
  private(set) var messageBytes = 1
  /// All messages, one behind the other, and the beginning of the next turn.
  private var cycle: [UInt8] = []
  /// What may come between two messages, once.
  private(set) var interruption: [UInt8] = []

  init() {}

  init(_ before: [UInt8], textBytes: Int, _ after: [UInt8], interruption: String) {
    self.interruption = Array(interruption.utf8)
    messages = max(64, min(Expected.numbers, (8 << 20) / textBytes))
    messageBytes = before.count + textBytes + after.count
    for number in 0..<messages {
      cycle += before + Expected.text(number, bytes: textBytes) + after
    }
    cycle += cycle.prefix(Expected.readBytes)
  }

  static func text(_ number: Int, bytes: Int) -> [UInt8] {
    let digits = Array(String(number % numbers + 1_000_000_000_000_000).utf8)
    return digits + [UInt8](repeating: UInt8(ascii: "x"), count: bytes - digits.count)
  }

  /// Whether these are the bytes behind so many that came before.
  func matches(_ bytes: UnsafeRawBufferPointer, from received: Int) -> Bool {
    let at = received % (messages * messageBytes)
    return cycle.withUnsafeBytes { memcmp($0.baseAddress! + at, bytes.baseAddress!, bytes.count) }
      == 0
  }

  /// How many of them are.
  func matching(_ bytes: UnsafeRawBufferPointer, from received: Int) -> Int {
    let at = received % (messages * messageBytes)
    return zip(cycle[at...], bytes).prefix { $0 == $1 }.count
  }

  /// What has come of the message that the byte behind so many is in.
  func beginning(before received: Int) -> ArraySlice<UInt8> {
    let at = received % (messages * messageBytes)
    return cycle[(at - received % messageBytes)..<at]
  }
}

/// What one receiver has.
private struct Receiver {
  /// Every message before this one came, or will not any more.
  private(set) var position = 0
  private(set) var duplicates = 0
  /// The batch that the message is in.
  var batch = 0
  private var lost = 0
  /// Bytes, as long as all were as they should be.
  private var received = 0
  /// Of an interruption that has begun, what is still to come.
  private var rest: ArraySlice<UInt8> = []
  /// Since they are not.
  private var finder: Finder?

  var delivered: Int { position - lost }
  /// It was sent something that nobody has said.
  var isWrong: Bool { finder != nil && lost == 0 && duplicates == 0 }

  mutating func take(_ bytes: UnsafeRawBufferPointer, _ expected: Expected) {
    if finder == nil, rest.isEmpty, expected.matches(bytes, from: received) {
      return advance(bytes.count, expected)
    }
    guard finder == nil else { return search(bytes, expected) }
    var bytes = bytes
    if rest.isEmpty {
      let count = expected.matching(bytes, from: received)
      advance(count, expected)
      bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
      rest = expected.interruption[...]
    }
    let skipped = zip(rest, bytes).prefix { $0 == $1 }.count
    if skipped > 0, skipped == min(rest.count, bytes.count) {
      rest = rest.dropFirst(skipped)
      guard skipped < bytes.count else { return }
      return take(UnsafeRawBufferPointer(rebasing: bytes[skipped...]), expected)
    }
    finder = Finder(Expected.mark, followedBy: 4)
    Array(expected.beginning(before: received)).withUnsafeBytes { search($0, expected) }
    search(bytes, expected)
  }

  private mutating func advance(_ bytes: Int, _ expected: Expected) {
    received += bytes
    position = received / expected.messageBytes
  }

  private mutating func search(_ bytes: UnsafeRawBufferPointer, _ expected: Expected) {
    var finder = finder
    finder?.scan(bytes) { digits in
      let ahead = number(digits) - position % expected.messages
      let skipped = ahead < 0 ? ahead + expected.messages : ahead
      // What is far ahead is behind by a turn.
      if skipped > expected.messages / 2 {
        duplicates += 1
      } else {
        lost += skipped
        position += skipped + 1
      }
    }
    self.finder = finder
  }
}
