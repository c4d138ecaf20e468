// One direction of a connection through the fault proxy: what was read and has not been passed on,
// and what is wrong with the way.

import Glibc

extension FaultProxy {
  /// What is wrong with one direction. Changes hold from now on, for connections that stand, too.
  package struct Faults: Hashable, Sendable {
    /// Each byte waits so long.
    package var delayMilliseconds = 0
    /// Nothing is passed on, and nothing is read: the sender's socket fills up.
    package var isStalled = false
    /// Bytes are read and thrown away, and so is the end: as behind a cable that was cut.
    package var isSilent = false
    /// At most so many bytes a second are passed on.
    package var bytesPerSecond: Int?

    package init() {}
  }
}

struct FaultPipe: Sendable {
  enum End {
    case inOrder, reset
  }

  /// What a round has come to.
  enum Outcome {
    case goesOn
    /// The sender, or the receiver, has reset the connection.
    case wasReset
    /// Half a line has been passed on, and is to be the last of it.
    case isCut
  }

  private var waiting: [UInt8] = []
  /// How many of the bytes that wait may go when, in nanoseconds.
  private var due: [(bytes: Int, at: Int64)] = []
  private var budget = 0.0
  private var budgetAt: Int64 = 0
  private var isAtLineStart = true

  /// How the sender has ended.
  private(set) var end: End?
  /// The receiver has been told.
  private(set) var isEndPassedOn = false
  /// The next line is cut in half.
  var isToBeCut = false
  /// Of that half, so much has not been passed on.
  private var restOfHalf: Int?
  private(set) var passedOn = 0

  private static let bytesMax = 262_144

  var hasRoom: Bool { waiting.count < FaultPipe.bytesMax }
  var hasBytes: Bool { !waiting.isEmpty }
  var isDone: Bool { isEndPassedOn && waiting.isEmpty }

  // MARK: What to wait for

  func wantsToRead(_ faults: FaultProxy.Faults) -> Bool {
    !faults.isStalled && end == nil && hasRoom
  }

  /// Bytes may go now.
  func wantsToWrite(_ faults: FaultProxy.Faults, _ now: Int64) -> Bool {
    !faults.isStalled && !waitsForLine && ready(faults, now) > 0
  }

  /// When something will happen without anything being read or written.
  func nextTime(_ faults: FaultProxy.Faults, _ now: Int64) -> Int64? {
    guard !faults.isStalled, let first = due.first, !waitsForLine else { return nil }
    if first.at > now { return first.at }
    guard let rate = faults.bytesPerSecond, ready(faults, now) == 0 else { return nil }
    return now + 1_000_000_000 / Int64(max(1, min(rate, 200)))
  }

  // MARK: A round

  mutating func round(
    from source: Int32, to target: Int32, _ faults: FaultProxy.Faults, _ now: Int64
  ) -> Outcome {
    guard !faults.isStalled else { return .goesOn }
    if wantsToRead(faults) { read(from: source, faults, now) }
    if target >= 0 && hasBytes {
      let outcome = write(to: target, faults, now)
      if case .goesOn = outcome {} else { return outcome }
    }
    guard !faults.isSilent, target >= 0, let end, !isEndPassedOn else { return .goesOn }
    if end == .reset { return .wasReset }
    if waiting.isEmpty {
      shutdown(target, Int32(SHUT_WR))
      isEndPassedOn = true
    }
    return .goesOn
  }

  private mutating func read(from source: Int32, _ faults: FaultProxy.Faults, _ now: Int64) {
    let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
      let result = recv(source, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
      count = max(0, result)
      if result == 0 { end = .inOrder }
      if result < 0 && errno != EAGAIN && errno != EINTR { end = .reset }
    }
    guard !bytes.isEmpty, !faults.isSilent else { return }
    waiting += bytes
    due.append((bytes.count, now + Int64(faults.delayMilliseconds) * 1_000_000))
  }

  private mutating func write(
    to target: Int32, _ faults: FaultProxy.Faults, _ now: Int64
  ) -> Outcome {
    refill(faults, now)
    let count = toPassOn(ready(faults, now))
    guard count > 0 else { return .goesOn }
    let sent = waiting.withUnsafeBytes {
      send(target, $0.baseAddress, count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
    }
    guard sent > 0 else { return errno == EAGAIN || errno == EINTR ? .goesOn : .wasReset }
    isAtLineStart = waiting[sent - 1] == 0x0A
    waiting.removeFirst(sent)
    takeDue(sent)
    passedOn += sent
    if faults.bytesPerSecond != nil { budget -= Double(sent) }
    restOfHalf = restOfHalf.map { $0 - sent }
    return restOfHalf == 0 ? .isCut : .goesOn
  }

  private mutating func takeDue(_ count: Int) {
    var rest = count
    while rest > 0, let first = due.first {
      if first.bytes > rest {
        due[0].bytes -= rest
        return
      }
      rest -= first.bytes
      due.removeFirst()
    }
  }

  // MARK: Bandwidth

  private mutating func refill(_ faults: FaultProxy.Faults, _ now: Int64) {
    budget = available(faults, now)
    budgetAt = now
  }

  /// Saved up for at most a twentieth of a second, so that it is a limit and no average.
  private func available(_ faults: FaultProxy.Faults, _ now: Int64) -> Double {
    guard let rate = faults.bytesPerSecond else { return 0 }
    let earned = Double(rate) * Double(now - budgetAt) / 1_000_000_000
    return min(budget + earned, max(1, Double(rate) / 20))
  }

  /// How many bytes may go now.
  private func ready(_ faults: FaultProxy.Faults, _ now: Int64) -> Int {
    let count = due.prefix { $0.at <= now }.reduce(0) { $0 + $1.bytes }
    guard faults.bytesPerSecond != nil else { return count }
    return min(count, max(0, Int(available(faults, now))))
  }

  // MARK: Half a line

  /// The line to be cut is not here whole.
  private var waitsForLine: Bool {
    isToBeCut && isAtLineStart && restOfHalf == nil && hasRoom && end == nil
      && !waiting.contains(0x0A)
  }

  /// Of so many bytes that may go, how many do.
  private mutating func toPassOn(_ ready: Int) -> Int {
    guard isToBeCut, !waitsForLine else { return isToBeCut ? 0 : ready }
    let line = waiting.firstIndex(of: 0x0A).map { $0 + 1 } ?? waiting.count
    if restOfHalf == nil && isAtLineStart { restOfHalf = max(1, line / 2) }
    return min(ready, restOfHalf ?? line)
  }
}
