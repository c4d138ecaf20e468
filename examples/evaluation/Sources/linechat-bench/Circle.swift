// The load of a chat as people have it: members of one group who speak by turns, at an even pace. A delay is
// from when a message was to be sent: a load that is late must not hide what a server does.

import Glibc
import Histogram

final class Circle {
  private struct Member {
    let connection: Connection
    let speaker: Connection
    var finder = Finder(Circle.mark, followedBy: Circle.digits)
    /// How often it has heard each message.
    var heard: [UInt8] = []
  }

  private let dialect: any Dialect
  private let inbox: Inbox
  private var members: [Member] = []
  private var sent = 0
  private var delivered = 0
  private var duplicates = 0
  private var wrong = 0
  private var bytes = 0
  private var delays = Histogram<UInt64>.ofNanoseconds()
  /// When the first message is to be sent, and how long after each the next one.
  private var start: UInt64 = 0
  private var pause: UInt64 = 1

  /// A text is this, and the number of the message.
  private static let mark = "message["
  private static let digits = 20
  static let textBytes = mark.utf8.count + digits

  init(_ count: Int, _ contest: Contest, _ dialect: any Dialect) throws {
    self.dialect = dialect
    inbox = try Inbox(readBytes: 1 << 16)
    for index in 0..<count {
      let connection = try Connection(port: contest.port(of: 0))
      try connection.go(through: dialect.entry("m\(index)", 0))
      let speaker = try dialect.speaker("s\(index)", connection, port: contest.port(of: 0))
      members.append(Member(connection: connection, speaker: speaker))
      try inbox.add(connection, as: index)
      if speaker !== connection { try inbox.add(speaker, as: count + index) }
    }
  }

  /// How many hear what one says.
  var audience: Int { dialect.audience(of: members.count) }

  /// Adds what was counted.
  func count(into result: inout LoadResult) {
    result.sent += sent
    result.delivered += delivered
    result.lost += sent * audience - delivered
    result.duplicates += duplicates
    result.wrong += wrong
    result.bytes += bytes
    result.delays.add(delays)
  }

  // MARK: Talking

  /// Returns when all have everything, or nothing comes for five seconds; or else, where nobody waits for
  /// the rest, when all is said.
  func talk(perSecond: Double, for seconds: Double, waitsForRest: Bool = true) throws {
    let messages = Int((seconds * perSecond).rounded())
    begin(perSecond: perSecond)
    var lastNews = start
    while waitsForRest ? delivered < messages * audience : sent < messages {
      let now = monotonicNanoseconds()
      if sent < messages, due(sent) <= now {
        try speak()
      } else if try inbox.hear(waiting: sent < messages ? waiting(now) : 100, hear) {
        lastNews = now
      } else if now > lastNews + 5_000_000_000 {
        return
      }
    }
  }

  /// The server is no more: takes what had come from it.
  func drain() throws {
    while try inbox.hear(waiting: 0, hear, ended: leave) {}
  }

  /// Its descriptor would be ready for ever.
  private func leave(_ index: Int) { inbox.remove(index) }

  private func due(_ message: Int) -> UInt64 { start + UInt64(message) * pause }

  /// The last two milliseconds are waited for by looking again and again: a sleep's end would come late.
  private func waiting(_ now: UInt64) -> Int32 {
    Int32(clamping: (Int(due(sent) - now) - 1_000_000) / 1_000_000)
  }

  /// Nobody is measured before all are heard by all.
  func warmUp() throws {
    let deadline = monotonicNanoseconds() + 10_000_000_000
    for _ in 0..<3 {
      begin(perSecond: 1e9)
      for _ in members { try speak() }
      while delivered < members.count * audience {
        guard monotonicNanoseconds() < deadline else {
          throw BenchFailure("not all members hear each other")
        }
        // Somebody was not in yet.
        guard try inbox.hear(waiting: 1_000, hear) else { break }
      }
    }
  }

  private func begin(perSecond: Double) {
    (sent, delivered, duplicates, wrong, bytes) = (0, 0, 0, 0, 0)
    delays = Histogram<UInt64>.ofNanoseconds()
    for index in members.indices { members[index].heard = [] }
    start = monotonicNanoseconds()
    pause = UInt64(1e9 / perSecond)
  }

  private func speak() throws {
    let digits = String(sent)
    let zeros = String(repeating: "0", count: Circle.digits - digits.count)
    let line = dialect.line(Array((Circle.mark + zeros + digits).utf8), 0)
    guard members[sent % members.count].speaker.write(line, from: 0) == line.count else {
      throw BenchFailure("a member cannot be written to")
    }
    sent += 1
  }

  private func hear(_ index: Int, _ piece: UnsafeRawBufferPointer) {
    // What a speaker alone is told is of no interest.
    guard index < members.count else { return }
    let now = monotonicNanoseconds()
    bytes += piece.count
    var finder = members[index].finder
    finder.scan(piece) { hear(number($0), index, now) }
    members[index].finder = finder
  }

  private func hear(_ number: Int, _ index: Int, _ now: UInt64) {
    guard (0..<sent).contains(number) else {
      wrong += 1
      return
    }
    while members[index].heard.count <= number { members[index].heard.append(0) }
    members[index].heard[number] &+= 1
    guard members[index].heard[number] == 1 else {
      duplicates += 1
      return
    }
    delivered += 1
    delays.record(now &- due(number))
  }
}
