// Many sessions with one server, in one thread: each joins the group, and when its connection ends it dials
// again, until it is a member again. What they are sent is looked at for two things only.

import CBench
import Glibc
import Histogram

final class Swarm {
  enum Pauses {
    case short, documented

    var text: String {
      switch self {
      case .short: "dialling every 10 ms"
      case .documented: "dialling after 0.5 s, doubling to 15 s"
      }
    }

    fileprivate var least: UInt64 { self == .short ? 10_000_000 : 500_000_000 }
    fileprivate var most: UInt64 { self == .short ? 10_000_000 : 15_000_000_000 }
  }

  private enum Stage { case away, greeting, joining, inGroup }

  private struct Session {
    var socket: Int32 = -1
    var stage = Stage.away
    /// What may be the beginning of what is looked for.
    var tail: [UInt8] = []
    var nextTry: UInt64 = 0
    var pause: UInt64
    var inAt: UInt64 = 0
    var hasHeard = false
  }

  /// What the message that they are to hear says.
  static let mark = "everybody-is-back"

  private let port: UInt16
  private let pauses: Pauses
  private let inbox: Inbox
  private var sessions: [Session]
  private(set) var countIn = 0
  private(set) var countHeard = 0

  init(_ count: Int, port: UInt16, _ pauses: Pauses) throws {
    inbox = try Inbox(readBytes: 1 << 18)
    self.port = port
    self.pauses = pauses
    sessions = Array(repeating: Session(pause: pauses.least), count: count)
  }

  deinit { for session in sessions where session.socket >= 0 { close(session.socket) } }

  var areAllIn: Bool { countIn == sessions.count }
  var haveAllHeard: Bool { countHeard == sessions.count }

  /// Goes on until it is so, or the time is over; whether it is so.
  func run(until isDone: @autoclosure () -> Bool, within seconds: Double) throws -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(seconds * 1e9)
    while !isDone() {
      let now = monotonicNanoseconds()
      guard now < deadline else { return false }
      for index in sessions.indices
      where sessions[index].stage == .away && sessions[index].nextTry <= now {
        try dial(index)
      }
      _ = try inbox.hear(waiting: waiting(now, deadline), hear, ended: lose)
    }
    return true
  }

  /// What was before does not count.
  func forget() {
    for index in sessions.indices { sessions[index].inAt = 0 }
  }

  /// When each was in the group again.
  func returns(since start: UInt64) -> Histogram<UInt64> {
    var histogram = Histogram<UInt64>.ofNanoseconds()
    for session in sessions where session.inAt > start { histogram.record(session.inAt - start) }
    return histogram
  }

  // MARK: Dialling

  /// Until the next one dials.
  private func waiting(_ now: UInt64, _ deadline: UInt64) -> Int32 {
    let next = sessions.lazy.filter { $0.stage == .away }.map(\.nextTry).min() ?? deadline
    return Int32(clamping: (max(min(next, deadline), now) - now + 999_999) / 1_000_000)
  }

  /// What becomes of it, its first bytes or its end tell.
  private func dial(_ index: Int) throws {
    sessions[index].socket = Connection.dialling(port: port)
    sessions[index].stage = .greeting
    if sessions[index].socket < 0 { return lose(index) }
    try inbox.add(sessions[index].socket, as: index)
  }

  /// It dials again, after a pause that doubles until it is in the group.
  private func lose(_ index: Int) {
    if sessions[index].socket >= 0 { close(sessions[index].socket) }
    if sessions[index].stage == .inGroup {
      countIn -= 1
      sessions[index].pause = pauses.least
    }
    sessions[index].socket = -1
    sessions[index].stage = .away
    sessions[index].tail = []
    sessions[index].nextTry = monotonicNanoseconds() + sessions[index].pause
    sessions[index].pause = min(2 * sessions[index].pause, pauses.most)
  }

  // MARK: What is heard

  private func hear(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    let all = sessions[index].tail + bytes
    sessions[index].tail = Array(all.suffix(64))
    switch sessions[index].stage {
    case .greeting where Self.find("INFO ", in: all):
      sessions[index].stage = .joining
      send(index, "@label=1 NICK session\(index)\n@label=2 JOIN lobby relay\n")
    case .joining where Self.find(" OK JOIN lobby ", in: all):
      sessions[index].stage = .inGroup
      sessions[index].inAt = monotonicNanoseconds()
      sessions[index].pause = pauses.least
      countIn += 1
    case .inGroup:
      if !sessions[index].hasHeard, Self.find(" MSG lobby \(Self.mark)", in: all) {
        sessions[index].hasHeard = true
        countHeard += 1
      }
      if Self.find("PING", in: Array(bytes)) { send(index, "PONG\n") }
    case .away, .greeting, .joining: break
    }
  }

  private static func find(_ text: String, in bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { cbench_find($0.baseAddress, $0.count, text) >= 0 }
  }

  private func send(_ index: Int, _ text: String) {
    let bytes = Array(text.utf8)
    let count = bytes.withUnsafeBytes {
      Glibc.send(sessions[index].socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    // A socket takes as little at once, or is no more.
    if count != bytes.count { lose(index) }
  }
}
