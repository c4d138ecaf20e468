// The load of a fan-out: connections to one contestant, one that speaks and many that hear.
//
// What a receiver should get is known to the byte: each message is the same bytes around a text that is a
// number and padding. The bytes around it are learnt from the first message, as each server has its own.
// So a whole read is checked with one comparison, which costs far less than the read itself.

import CBench
import Foundation
import Glibc

struct FanOutLoad: CustomStringConvertible {
  let receivers: Int
  let textBytes: Int
  /// Messages that not all receivers have at most.
  let window: Int

  var description: String {
    "\(receivers) receivers, \(textBytes) B, window \(window)"
  }

  /// Of a run that is to show how many are to be sent.
  var messagesAtFirst: Int { max(4 * window, min(20_000, 200_000 / receivers)) }

  func run(_ contestant: Contestant, _ programs: ProgramOptions, messages: Int) throws
    -> LoadResult
  {
    let contest = try contestant.start(programs, groups: 1)
    let desk = try FanOutDesk(self, contest, contestant.dialect)
    return try desk.run(messages)
  }
}

private final class FanOutDesk {
  /// Texts are numbers that begin anew after so many: more than can be under way.
  private static let numbers = 8_192

  private struct Receiver {
    let connection: Connection
    /// Bytes so far.
    var received = 0
    /// What came is not what was sent; nothing more of it counts.
    var isDerailed = false
  }

  private let load: FanOutLoad
  private let contest: Contest
  private let dialect: any Dialect
  private let sender: Connection
  private var receivers: [Receiver]
  private let epoll: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)

  /// A whole cycle of deliveries, one behind the other, and the beginning of the next.
  private var cycle: [UInt8] = []
  private var deliveryBytes = 0
  private var cycleMessages = 0

  init(_ load: FanOutLoad, _ contest: Contest, _ dialect: any Dialect) throws {
    self.load = load
    self.contest = contest
    self.dialect = dialect
    epoll = cbench_epoll()
    let port = contest.port(of: 0)
    sender = try Connection(port: port)
    receivers = []
    try sender.go(through: dialect.greeting("sender0"))
    for index in 0..<load.receivers {
      let connection = try Connection(port: port)
      try connection.go(through: dialect.entry("r\(index)", 0))
      receivers.append(Receiver(connection: connection))
    }
    for (index, receiver) in receivers.enumerated() {
      receiver.connection.neverWait()
      guard cbench_epoll_add(epoll, receiver.connection.socket, Int32(index)) == 0 else {
        throw BenchFailure("epoll: \(String(cString: strerror(errno)))")
      }
    }
    sender.neverWait()
    guard cbench_epoll_add(epoll, sender.socket, Int32(load.receivers)) == 0 else {
      throw BenchFailure("epoll: \(String(cString: strerror(errno)))")
    }
  }

  deinit {
    close(epoll)
    buffer.deallocate()
  }

  func run(_ messages: Int) throws -> LoadResult {
    try learn()
    var result = LoadResult()
    let cpu = contest.running.scheduledSeconds
    let benchCPU = Running.ownCPUSeconds
    let start = monotonicNanoseconds()
    result.sent = try talk(messages)
    result.seconds = Double(monotonicNanoseconds() - start) / 1e9
    result.cpuSeconds = contest.running.scheduledSeconds - cpu
    result.benchCPUSeconds = Running.ownCPUSeconds - benchCPU
    for receiver in receivers {
      let delivered = receiver.received / deliveryBytes
      result.delivered += delivered
      result.lost += messages - delivered
      result.wrong += receiver.isDerailed ? 1 : 0
      result.bytes += receiver.received
    }
    return result
  }

  // MARK: What is to be heard

  private func text(_ number: Int) -> [UInt8] {
    let digits = Array(String(number % Self.numbers + 1_000_000_000_000_000).utf8)
    return digits + [UInt8](repeating: UInt8(ascii: "x"), count: load.textBytes - digits.count)
  }

  /// One message before the measured ones: what a receiver gets of it, without what it was told of others
  /// who came, is what surrounds each text.
  private func learn() throws {
    cycleMessages = max(64, min(Self.numbers, (8 << 20) / load.textBytes))
    try awaitEntry()
    let first = text(Self.numbers - 1)
    try send(dialect.line(first, 0))
    var surroundings: (before: [UInt8], after: [UInt8])?
    for index in receivers.indices {
      let found = try receivers[index].connection.surroundings(
        of: first, endingWith: dialect.lineEnd)
      guard surroundings.map({ $0 == found }) ?? true else {
        throw BenchFailure("receivers get different lines for the same message")
      }
      surroundings = found
    }
    guard let surroundings else { return }
    deliveryBytes = surroundings.before.count + load.textBytes + surroundings.after.count
    for number in 0..<cycleMessages {
      cycle += surroundings.before + text(number) + surroundings.after
    }
    cycle += cycle.prefix(buffer.count)
  }

  /// Where nobody says that one is in, whoever hears something is.
  private func awaitEntry() throws {
    guard dialect.entry("", 0).isEmpty else { return }
    let deadline = monotonicNanoseconds() + 10_000_000_000
    for receiver in receivers {
      while !receiver.connection.canRead(within: 10) {
        guard monotonicNanoseconds() < deadline else { throw BenchFailure("a receiver is not in") }
        try send(dialect.line(Array("are you there?".utf8), 0))
      }
    }
  }

  // MARK: Talking

  /// Returns when all have everything, or nothing comes for five seconds.
  private func talk(_ messages: Int) throws -> Int {
    let lines = (0..<cycleMessages).map { dialect.line(text($0), 0) }
    var (sent, slowest) = (0, 0)
    var pending: [UInt8] = []
    var written = 0
    var lastNews = monotonicNanoseconds()
    while slowest < messages {
      // Half a window at once, as a program that has much to say would.
      let room = min(messages, slowest + load.window) - sent
      if written == pending.count, room > 0, room >= min(load.window / 2, messages - sent) {
        pending.removeAll(keepingCapacity: true)
        written = 0
        for number in sent..<sent + room { pending += lines[number % cycleMessages] }
        sent += room
      }
      if written < pending.count { written += sender.write(pending, from: written) }
      if try hear(waiting: written < pending.count ? 0 : 1_000) {
        lastNews = monotonicNanoseconds()
        slowest =
          receivers.lazy.map { $0.isDerailed ? .max : $0.received / self.deliveryBytes }.min() ?? 0
      } else if monotonicNanoseconds() > lastNews + 5_000_000_000 {
        return sent
      }
    }
    return sent
  }

  private func send(_ bytes: [UInt8]) throws {
    var written = 0
    while written < bytes.count { written += sender.write(bytes, from: written) }
  }

  /// Whether anything came.
  private func hear(waiting milliseconds: Int32) throws -> Bool {
    try withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1_024) { numbers in
      let count = cbench_epoll_wait(epoll, numbers.baseAddress, milliseconds)
      for index in 0..<max(0, Int(count)) {
        let number = Int(numbers[index])
        if number == receivers.count { try sender.skip(buffer) } else { try read(number) }
      }
      return count > 0
    }
  }

  private func read(_ index: Int) throws {
    while true {
      let count = recv(receivers[index].connection.socket, buffer.baseAddress, buffer.count, 0)
      if count == 0 { throw BenchFailure("the server has ended a receiver's connection") }
      guard count > 0 else { return }
      if !receivers[index].isDerailed {
        let at = receivers[index].received % (cycleMessages * deliveryBytes)
        let isRight = cycle.withUnsafeBytes { expected in
          memcmp(expected.baseAddress! + at, buffer.baseAddress!, count) == 0
        }
        if isRight {
          receivers[index].received += count
        } else {
          receivers[index].isDerailed = true
        }
      }
      if count < buffer.count { return }
    }
  }
}
