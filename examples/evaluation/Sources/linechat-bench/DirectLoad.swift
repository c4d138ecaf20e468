// The load of one node that speaks and others that hear: lines into the sender's socket, its reports, and
// what each of the others shows.

import CBench
import Foundation
import Glibc
import Histogram

final class DirectDesk {
  private let crowd: NodeCrowd
  private let texts: NumberedText
  private let isRelayed: Bool
  private let epoll = cbench_epoll()
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)

  private var sender: MeasuredNode { crowd.nodes[0] }
  private let receivers: [MeasuredNode]

  // Of the present run.
  /// The number of its first message: they are not used again.
  private var first = 0
  private var saidAt: [UInt64] = []
  /// Of each message, how many receivers have shown it.
  private var shownBy: [Int] = []
  /// Of each receiver, how often it has shown each message, and the latest.
  private var shown: [[UInt8]] = []
  private var latest: [Int] = []
  /// So many from the first on have been shown by all.
  private var shownByAll = 0
  private var reported = 0
  private var result = LoadResult()
  private var outOfOrder = 0
  private var notHandedOver = 0
  private var untilShown = Histogram<UInt64>.ofNanoseconds()
  private var untilReported = Histogram<UInt64>.ofNanoseconds()
  private var now: UInt64 = 0

  init(_ crowd: NodeCrowd, _ texts: NumberedText, isRelayed: Bool) throws {
    self.crowd = crowd
    self.texts = texts
    self.isRelayed = isRelayed
    receivers = Array(crowd.nodes.dropFirst())
    for (index, node) in crowd.nodes.enumerated() {
      node.owner.connection.neverWait()
      guard cbench_epoll_add(epoll, node.owner.connection.socket, Int32(index)) == 0 else {
        throw BenchFailure("epoll: \(String(cString: strerror(errno)))")
      }
    }
  }

  deinit {
    close(epoll)
    buffer.deallocate()
  }

  // MARK: A run

  /// Returns two rows: what was shown, and what was reported.
  func run(window: Int, for seconds: Double) throws -> [Row] {
    begin()
    let acknowledgedBefore = try sender.count("acknowledged")
    let cpu = cpuSeconds
    let benchCPU = Running.ownCPUSeconds
    let start = monotonicNanoseconds()
    try talk(window, until: start + UInt64(seconds * 1e9))
    result.seconds = Double(monotonicNanoseconds() - start) / 1e9
    let acknowledged = try awaitReceipts(acknowledgedBefore)
    let acknowledgedSeconds = Double(monotonicNanoseconds() - start) / 1e9
    result.benchCPUSeconds = Running.ownCPUSeconds - benchCPU
    let spent = cpuSeconds
    result.lost = result.sent * receivers.count - result.delivered
    first += result.sent

    let setting =
      "\(receivers.count) \(isRelayed ? "relayed" : "direct"), \(texts.bytes) B, window \(window)"
    var row = Row("direct", "\(setting): shown")
    row.take(result)
    row.outOfOrder = outOfOrder
    row.take(untilShown)
    func perMillion(_ seconds: Double) -> Double {
      seconds * 1e6 / Double(max(1, result.delivered))
    }
    row.cpuSecondsPerMillion = perMillion(spent.sender - cpu.sender)
    row.receiversCPUSecondsPerMillion = perMillion(spent.receivers - cpu.receivers)
    row.serverCPUSecondsPerMillion = perMillion(spent.server - cpu.server)
    row.memoryMebibytes = sender.running.memoryMebibytes

    var reports = Row("direct", "\(setting): \(isRelayed ? "handed over" : "acknowledged")")
    reports.sent = result.sent
    reports.delivered = acknowledged
    reports.lost = result.sent * receivers.count - acknowledged
    reports.wrong = notHandedOver
    reports.perSecond = Double(acknowledged) / acknowledgedSeconds
    reports.take(untilReported)
    return [row, reports]
  }

  private func begin() {
    saidAt = []
    shownBy = []
    shown = Array(repeating: [], count: receivers.count)
    latest = Array(repeating: -1, count: receivers.count)
    shownByAll = 0
    reported = 0
    result = LoadResult()
    outOfOrder = 0
    notHandedOver = 0
    untilShown = .ofNanoseconds()
    untilReported = .ofNanoseconds()
  }

  private var cpuSeconds: (sender: Double, receivers: Double, server: Double) {
    (
      sender.running.scheduledSeconds,
      receivers.map(\.running.scheduledSeconds).reduce(0, +),
      crowd.server.running.scheduledSeconds
    )
  }

  /// Returns for how many deliveries the sender has a receipt; waits for the last ones.
  private func awaitReceipts(_ before: Int) throws -> Int {
    let wanted = result.sent * receivers.count
    let deadline = monotonicNanoseconds() + 10_000_000_000
    while true {
      let count = try sender.count("acknowledged") - before
      guard count < wanted, monotonicNanoseconds() < deadline else { return count }
      usleep(2_000)
    }
  }

  // MARK: Talking

  /// Returns when all is shown and reported, or nothing comes for ten seconds.
  private func talk(_ window: Int, until end: UInt64) throws {
    var pending: [UInt8] = []
    var written = 0
    now = monotonicNanoseconds()
    var lastNews = now
    while now < end || min(reported, shownByAll) < result.sent || written < pending.count {
      let room = window - (result.sent - min(reported, shownByAll))
      if now < end, written == pending.count, room >= max(1, window / 4) {
        pending.removeAll(keepingCapacity: true)
        written = 0
        for _ in 0..<room { say(into: &pending) }
      }
      if written < pending.count {
        written += sender.owner.connection.write(pending, from: written)
      }
      if try hear(waiting: written < pending.count ? 1 : 100) {
        lastNews = now
      } else if now > lastNews + 10_000_000_000 {
        return
      }
    }
  }

  private func say(into lines: inout [UInt8]) {
    lines += texts.line(0, first + result.sent)
    saidAt.append(now)
    shownBy.append(0)
    for index in shown.indices { shown[index].append(0) }
    result.sent += 1
  }

  /// Whether anything came.
  private func hear(waiting milliseconds: Int32) throws -> Bool {
    try withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1_024) { numbers in
      let count = cbench_epoll_wait(epoll, numbers.baseAddress, milliseconds)
      now = monotonicNanoseconds()
      for index in 0..<max(0, Int(count)) {
        let number = Int(numbers[index])
        try crowd.nodes[number].owner.read(through: buffer) { line in
          if number == 0 { hearReport(line) } else { hearDelivery(line, number - 1) }
        }
      }
      return count > 0
    }
  }

  private func hearDelivery(_ line: UnsafeRawBufferPointer, _ receiver: Int) {
    guard let said = texts.parse(line), said.number >= first,
      said.number - first < result.sent
    else { return }
    let message = said.number - first
    shown[receiver][message] &+= 1
    guard shown[receiver][message] == 1 else {
      result.wrong += 1
      return
    }
    result.delivered += 1
    result.bytes += line.count + 1
    if message < latest[receiver] { outOfOrder += 1 }
    latest[receiver] = max(latest[receiver], message)
    untilShown.record(now - saidAt[message])
    shownBy[message] += 1
    while shownByAll < result.sent, shownBy[shownByAll] == receivers.count { shownByAll += 1 }
  }

  /// `OK MSG lobby 10/10`; they come in the order of the messages.
  private func hearReport(_ line: UnsafeRawBufferPointer) {
    let text = String(decoding: line, as: UTF8.self)
    guard text.hasPrefix("OK MSG ") || text.hasPrefix("ERR "), reported < result.sent else {
      return
    }
    let all = receivers.count
    if text != "OK MSG \(NodeCrowd.group) \(all)/\(all)" { notHandedOver += 1 }
    untilReported.record(now - saidAt[reported])
    reported += 1
  }
}

extension Row {
  fileprivate mutating func take(_ result: LoadResult) {
    sent = result.sent
    delivered = result.delivered
    lost = result.lost
    wrong = result.wrong
    perSecond = Double(result.delivered) / result.seconds
    megabytesPerSecond = Double(result.bytes) / result.seconds / 1e6
    benchCPUSeconds = result.benchCPUSeconds
  }
}
