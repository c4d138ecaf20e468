// The FanOut held against the plainest thing that does the same: every line is appended at once to
// a list for each who must hear it. What a session gets must be that, byte for byte, in an order
// that is allowed: its own lines in theirs, each channel's in its own, and after a cut everything
// said before.

import LineProtocol
import Testing

@testable import LineChatCore

@Suite("Fan-out")
struct FanOutTests {
  /// What one session must hear: its own lines and those of each channel, and what it heard.
  private final class Hearer {
    var isHeld = false
    /// Lines not heard yet, by lane; -1 is its own.
    var lanes: [Int32: [String]] = [:]
    /// Lines that must be heard before the named one.
    var before: [String: Set<String>] = [:]
    var heard: Set<String> = []
    var slots: [Int32: Int32] = [:]

    var due: Set<String> { Set(lanes.values.joined()) }
  }

  private final class Play {
    let fanOut = FanOut()
    var random: SplitMix64
    var hearers: [Hearer] = []
    var channels: [Int32] = []
    var lines = 0

    init(_ seed: UInt64) {
      random = SplitMix64(state: seed)
      for session in 0..<UInt32(1 + seed % 7) {
        fanOut.open(session)
        hearers.append(Hearer())
      }
      for _ in 0..<(1 + seed % 4) { channels.append(fanOut.makeChannel()) }
    }

    func line() -> String {
      lines += 1
      return "line \(lines) "
        + String(repeating: "x", count: Int.random(in: 0...40, using: &random))
    }

    func session() -> Int { Int.random(in: 0..<hearers.count, using: &random) }

    func append(_ line: String, _ buffer: ByteBuffer) {
      buffer.append(line)
      buffer.append("\n")
    }

    func sendOwn() {
      let (session, line) = (session(), line())
      let hearer = hearers[session]
      // Everything that it was sent so far comes first; what a channel said may come later.
      hearer.before[line] = Set(hearer.lanes[-1] ?? [])
      hearer.lanes[-1, default: []].append(line)
      fanOut.send(to: UInt32(session), isReply: false) { append(line, $0) }
    }

    func sendReply() {
      let (session, line) = (session(), line())
      let hearer = hearers[session]
      // A reply passes what is held; nothing else about its order is promised then.
      if !hearer.isHeld { hearer.before[line] = Set(hearer.lanes[-1] ?? []) }
      hearer.lanes[-2, default: []].append(line)
      fanOut.send(to: UInt32(session), isReply: true) { append(line, $0) }
    }

    func publish() {
      guard let channel = channels.randomElement(using: &random) else { return }
      let line = line()
      let but = session()
      let slot = Bool.random(using: &random) ? hearers[but].slots[channel] : nil
      for (session, hearer) in hearers.enumerated() where hearer.slots[channel] != nil {
        if slot != nil && session == but { continue }
        hearer.before[line] = Set(hearer.lanes[-1] ?? []).union(hearer.lanes[channel] ?? [])
        hearer.lanes[channel, default: []].append(line)
      }
      fanOut.publish(to: channel, except: slot) { append(line, $0) }
    }

    func cutAll() {
      let (session, line) = (session(), line())
      let hearer = hearers[session]
      for channel in channels {
        if let slot = hearer.slots[channel] { fanOut.cut(channel, slot) }
      }
      hearer.before[line] = hearer.due.subtracting(hearer.lanes[-2] ?? [])
      hearer.lanes[-1, default: []].append(line)
      fanOut.send(to: UInt32(session), isReply: false) { append(line, $0) }
    }

    func subscribeOrLeave() {
      guard let channel = channels.randomElement(using: &random) else { return }
      let session = session()
      let hearer = hearers[session]
      guard let slot = hearer.slots.removeValue(forKey: channel) else {
        hearer.slots[channel] = fanOut.subscribe(UInt32(session), to: channel)
        return
      }
      if let moved = fanOut.unsubscribe(channel, slot) {
        hearers[Int(moved)].slots[channel] = slot
      }
    }

    func replaceChannel() {
      guard let index = channels.indices.randomElement(using: &random),
        fanOut.subscriberCount(channels[index]) == 0,
        hearers.allSatisfy({ ($0.lanes[channels[index]] ?? []).isEmpty })
      else { return }
      fanOut.removeChannel(channels[index])
      channels[index] = fanOut.makeChannel()
    }

    func holdOrRelease() {
      let session = session()
      if hearers[session].isHeld {
        fanOut.release(UInt32(session))
      } else {
        fanOut.hold(UInt32(session))
      }
      hearers[session].isHeld.toggle()
    }

    func endRound() {
      var told: Set<UInt32> = []
      fanOut.endRound { session, pieces in
        #expect(told.insert(session).inserted, "a session is handed out once")
        let bytes = pieces.flatMap { Array($0) }
        #expect(bytes.last == 0x0A)
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
          hear(String(line), hearers[Int(session)])
        }
      }
      for hearer in hearers where !hearer.isHeld {
        #expect(hearer.due.isEmpty, "everything is told by the end of the round")
      }
      #expect(fanOut.isEmpty)
    }

    private func hear(_ line: String, _ hearer: Hearer) {
      guard let lane = hearer.lanes.first(where: { $0.value.first == line })?.key else {
        Issue.record("\(line) was not due, or not yet")
        return
      }
      hearer.lanes[lane]?.removeFirst()
      let missing = (hearer.before[line] ?? []).subtracting(hearer.heard)
      #expect(missing.isEmpty, "\(line) came before \(missing.sorted())")
      hearer.heard.insert(line)
    }
  }

  @Test("what was encoded once goes to each in its place, in as few pieces as can be")
  func encodedOnce() {
    let fanOut = FanOut()
    for session in 0..<UInt32(3) { fanOut.open(session) }
    let number = fanOut.number
    let one = fanOut.encode { $0.append("one\n") }
    let two = fanOut.encode { $0.append("two\n") }
    for session in 0..<UInt32(2) {
      fanOut.send(one, to: session)
      fanOut.send(two, to: session)
    }
    fanOut.send(to: 2, isReply: true) { $0.append("own\n") }
    fanOut.send(two, to: 2)
    #expect(fanOut.replyBytes(0) == 8)
    #expect(fanOut.number == number)
    var heard: [UInt32: [String]] = [:]
    fanOut.endRound { session, pieces in
      heard[session] = pieces.map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(heard == [0: ["one\ntwo\n"], 1: ["one\ntwo\n"], 2: ["own\n", "two\n"]])
    #expect(fanOut.number != number)
  }

  @Test("everybody gets exactly what is theirs", arguments: 0..<60 as Range<UInt64>)
  func againstLists(seed: UInt64) {
    let play = Play(seed)
    for _ in 0..<400 {
      switch Int.random(in: 0...19, using: &play.random) {
      case 0...2: play.sendOwn()
      case 3: play.sendReply()
      case 4...9: play.publish()
      case 10...11: play.cutAll()
      case 12...15: play.subscribeOrLeave()
      case 16: play.replaceChannel()
      case 17: play.holdOrRelease()
      default: play.endRound()
      }
    }
    for (session, hearer) in play.hearers.enumerated() where hearer.isHeld {
      play.fanOut.release(UInt32(session))
      hearer.isHeld = false
    }
    play.endRound()
  }
}
