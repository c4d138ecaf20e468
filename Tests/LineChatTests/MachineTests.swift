// The small parts of the machine, each by itself.

import Glibc
import LineProtocol
import TestSupport
import Testing

@testable import LineChat

@Suite("Addresses to listen on", .ownThread, .timeLimit(.minutes(20)))
struct ListenAddressTests {
  @Test(
    "are written as they are read",
    arguments: [
      "127.0.0.1:5463", "0.0.0.0:0", "[::1]:5463", "[::]:65535", "localhost:5463",
      "chat.example:1", "unix:/run/linechatd.sock", "unix:socket",
    ])
  func accepted(text: String) throws {
    #expect(try ListenAddress(parsing: text).description == text)
  }

  @Test(
    "are refused with what is wrong",
    arguments: [
      ("", "has no port"), ("127.0.0.1", "has no port"), ("5463", "has no port"),
      (":5463", "name the host"), ("*:5463", "name the host"), ("::1:5463", "in brackets"),
      ("[::1]", "does not end in a port"), ("[::1]:", "does not end in a port"),
      ("[1.2.3.4]:1", "is no IPv6 address"), ("[zz]:1", "is no IPv6 address"),
      ("127.0.0.1:65536", "a port from 0 to 65535"), ("127.0.0.1:+1", "a port from 0 to 65535"),
      ("127.0.0.1:01", "a port from 0 to 65535"), ("127.1:5463", "neither an IP address nor"),
      ("1.2.3.256:1", "neither an IP address nor"), ("bad host:1", "neither an IP address nor"),
      ("unix:", "needs a path"), ("unix:/" + String(repeating: "x", count: 107), "107 bytes"),
    ])
  func refused(text: String, reason: String) {
    let error = #expect(throws: ListenAddress.Malformed.self) { try ListenAddress(parsing: text) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test("that nobody has are said to be so")
  func missing() throws {
    // 192.0.2.0/24 is for documentation; no machine has it.
    for text in ["192.0.2.1:0", "no-such-host.invalid:0"] {
      let address = try ListenAddress(parsing: text)
      let error = #expect(throws: ServerError.self) { try Listener.bind(address, for: "test") }
      #expect(error?.kind == .noSuchAddress)
    }
    let address = try ListenAddress(parsing: "unix:/no/such/directory/socket")
    #expect(throws: ServerError.self) { try Listener.bind(address, for: "test") }
  }

  @Test("beyond loopback are told apart, and get an address that others can use")
  func outward() throws {
    #expect(try !ListenAddress(parsing: "127.0.0.1:1").isBeyondLoopback)
    #expect(try !ListenAddress(parsing: "unix:/x").isBeyondLoopback)
    #expect(try ListenAddress(parsing: "0.0.0.0:1").isBeyondLoopback)
    let own = ["127.0.0.1", "10.0.0.5", "::1", "fe80::1", "2001:db8::5"].compactMap {
      IPAddress($0)
    }
    func outward(_ listeners: String...) -> String? {
      Interfaces.outwardAddress(listeners.compactMap { IPAddress($0) }, among: own)?.description
    }
    #expect(outward("127.0.0.1", "::1") == nil)
    #expect(outward("0.0.0.0") == "10.0.0.5")
    #expect(outward("::") == "2001:db8::5")
    #expect(outward("::", "0.0.0.0") == "10.0.0.5")
    #expect(outward("::", "10.0.0.5") == "10.0.0.5")
  }
}

@Suite("The poller", .ownThread, .timeLimit(.minutes(20)))
struct PollerTests {
  /// A deadline of long ago comes where the disk breaks just before the loop waits; it was a trap.
  @Test(
    "waits until a deadline, whichever number it is",
    arguments: [
      (.min, 0), (-1, 0), (0, 0), (5_000_000, 0), (5_000_001, 1), (5_250_000, 250_000),
      (.max - 1, MachineLimits.waitMicroseconds), (.max, MachineLimits.waitMicroseconds),
    ] as [(Int64, Int64)])
  func waits(deadline: Int64, microseconds: Int64) {
    #expect(Poller.wait(until: deadline, now: 5_000_000) == microseconds)
  }

  /// Pipes are told by the byte that lies in them, so that entries can't be mixed up.
  @Test("finds entries whatever was added and removed before")
  func slots() throws {
    let poller = Poller()
    var pipes: [Poller.Slot: WakePipe] = [:]
    var generator = SplitMix(seed: 7)
    for _ in 0..<2_000 {
      if pipes.count < 20 && Bool.random(using: &generator) {
        let pipe = try WakePipe.make()
        pipes[poller.add(pipe.number, .reading)] = pipe
      } else if let slot = pipes.keys.sorted().randomElement(using: &generator) {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
          poller.remove(slot)
          pipes[slot] = nil
        case 1:
          pipes[slot]?.wake()
          poller.ignore(slot)
          try poller.wait(0)
          #expect(!poller.ready.contains { $0.slot == slot })
          poller.heed(slot)
          try poller.wait(0)
          #expect(poller.ready.contains { $0.slot == slot && $0.canRead })
          pipes[slot]?.drain()
        case 2:
          pipes[slot]?.wake()
          try poller.wait(0)
          #expect(poller.ready.map(\.slot) == [slot])
          pipes[slot]?.drain()
        default:
          poller.change(slot, to: [])
          pipes[slot]?.wake()
          try poller.wait(0)
          #expect(poller.ready.isEmpty)
          pipes[slot]?.drain()
          poller.change(slot, to: .reading)
        }
      }
    }
  }

  @Test("begins with whom the loop had no room for")
  func rotation() throws {
    let poller = Poller()
    let pipes = try (0..<4).map { _ in try WakePipe.make() }
    let slots = pipes.map { poller.add($0.number, .reading) }
    for pipe in pipes { pipe.wake() }
    try poller.wait(0)
    #expect(poller.ready.map(\.slot) == slots)
    poller.begin(with: slots[2])
    try poller.wait(0)
    #expect(poller.ready.map(\.slot) == [slots[2], slots[3], slots[0], slots[1]])
    try poller.wait(0)
    #expect(poller.ready.map(\.slot) == slots)
    // The pipes must not be closed before.
    withExtendedLifetime(pipes) {}
  }

  @Test("does not give a slot to another in the round in which it was returned")
  func returnedSlots() throws {
    let poller = Poller()
    let (one, two) = (try WakePipe.make(), try WakePipe.make())
    let slot = poller.add(one.number, .reading)
    poller.remove(slot)
    let other = poller.add(two.number, .reading)
    #expect(other != slot)
    try poller.wait(0)
    #expect(poller.add(one.number, .reading) == slot)
  }

  @Test("rounds its time up", arguments: [1, 400, 1_000, 1_001])
  func rounding(microseconds: Int64) throws {
    let start = Deadline.now
    try Poller().wait(microseconds)
    #expect(Deadline.now - start >= microseconds * 1_000)
  }
}

/// A small generator with a seed, so that a failure comes again.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

@Suite("Small parts", .ownThread, .timeLimit(.minutes(20)))
struct SmallPartsTests {
  @Test("deadlines of one kind come in order, each once")
  func deadlines() {
    var deadlines = Deadlines(delayMicroseconds: 10)
    #expect(deadlines.next == nil)
    for slot in 0..<3_000 {
      #expect(deadlines.add(Int32(slot), now: Int64(slot)) == Int64(slot) + 10)
    }
    #expect(deadlines.takeDue(now: 9) == nil)
    for slot in 0..<3_000 {
      #expect(deadlines.next == Int64(slot) + 10)
      #expect(deadlines.takeDue(now: 5_000)?.slot == Int32(slot))
    }
    #expect(deadlines.takeDue(now: .max) == nil && deadlines.next == nil)
  }

  @Test("what is repeated is said once in a while, with the number of times")
  func repeatedEvents() {
    var event = RepeatedEvent()
    #expect(event.note(now: 0) == 0)
    #expect(event.note(now: 1) == nil)
    #expect(event.note(now: 2) == nil)
    #expect(event.note(now: 10_000_000) == 2)
    #expect(event.note(now: 20_000_000) == 0)
  }

  @Test(
    "what came from others is escaped in the log",
    arguments: [
      ("plain text", "plain text"), ("héllo", "héllo"), ("two\nlines", "two\\nlines"),
      ("a\tb\r", "a\\tb\\r"), ("\u{1b}[31m", "\\u{1b}[31m"), ("back\\slash", "back\\\\slash"),
      ("\u{202e}abc", "\\u{202e}abc"), ("\u{85}\u{7f}", "\\u{85}\\u{7f}"),
    ])
  func escapes(text: String, shown: String) {
    #expect(escaped(text) == shown)
  }

  @Test("a backlog is cut at a line's end")
  func backlog() throws {
    var ends: (Int32, Int32) = (0, 0)
    let result = withUnsafeMutablePointer(to: &ends) {
      $0.withMemoryRebound(to: Int32.self, capacity: 2) {
        socketpair(AF_UNIX, Descriptor.streamKind, 0, $0)
      }
    }
    #expect(result == 0)
    let other = Descriptor(owning: ends.1)
    let connection = Connection(
      Descriptor(owning: ends.0), .unix, slot: 0, session: nil, lineBytesMax: 65_536)
    func keep(_ texts: [String], behind written: Int) {
      // The texts are kept alive while their bytes are lent.
      let joined = ByteBuffer()
      var ranges: [Range<Int>] = []
      for text in texts {
        ranges.append(joined.count..<joined.count + text.utf8.count)
        joined.append(text)
      }
      let pieces = ranges.map { joined.bytes($0) }
      pieces.withUnsafeBufferPointer { connection.keep($0, behind: written) }
    }
    func sent(_ count: Int) -> String {
      var bytes = [UInt8](repeating: 0, count: count)
      let read = recv(other.number, &bytes, count, 0)
      return String(decoding: bytes.prefix(max(0, read)), as: UTF8.self)
    }
    // In the middle of a line: it is completed.
    keep(["one\n", "two\nthree\n"], behind: 6)
    keep(["four\n"], behind: 0)
    #expect(connection.backlogBytes == 13)
    connection.replaceBacklog(with: "ERR\n")
    #expect(connection.sendBacklog().bytes == 6)
    #expect(sent(100) == "o\nERR\n")
    // Between two lines: nothing is left of it.
    keep(["one\n", "two\n"], behind: 4)
    connection.replaceBacklog(with: "ERR\n")
    _ = connection.sendBacklog()
    #expect(sent(100) == "ERR\n")
  }
}
