// The proxy with which other tests make networks fail: it must do what it says, and nothing else.

import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@Suite("The fault proxy", .ownThread, .timeLimit(.minutes(20)))
struct FaultProxyTests {
  /// A client and a target with the proxy between them.
  private struct Line {
    let listener: TestListener
    let proxy: FaultProxy
    let client: TestClient
    let target: TestClient

    init(source: FaultProxy.Source = .system, from address: String? = nil) throws {
      listener = try TestListener()
      proxy = try FaultProxy(to: try listener.endpoint(), source: source)
      client = try TestClient(proxy.address, from: address.flatMap { IPAddress($0) })
      target = try listener.accept()
    }
  }

  @Test("both directions and both ends are passed on as they are, and counted")
  func passing() throws {
    let line = try Line()
    try line.client.send("one\ntwo\n")
    try line.target.expect("one")
    try line.target.send("three\n")
    try line.client.expect("three")
    try line.target.expect("two")
    line.client.shutDownOutput()
    #expect(try line.target.line() == nil && line.target.end == .inOrder)
    try line.target.send("after the end\n")
    try line.client.expect("after the end")
    #expect(line.proxy.counters.open == 1)
    line.target.close()
    #expect(try line.client.line() == nil && line.client.end == .inOrder)
    try eventually("it is over") { line.proxy.counters.open == 0 }
    let counters = line.proxy.counters
    #expect(counters.connections == 1 && counters.toTarget == 8 && counters.toClient == 20)
  }

  @Test("megabytes get through both ways at once")
  func much() throws {
    let line = try Line()
    // As much as the kernel's buffers and the proxy's take in without anybody reading.
    let text = (1...80_000).map { "line \($0)\n" }.joined()
    try line.client.send(text)
    try line.target.send(text)
    for end in [line.target, line.client] {
      for number in 1...80_000 { try end.expect("line \(number)") }
    }
    try eventually("all is counted") {
      line.proxy.counters.toTarget == text.utf8.count
        && line.proxy.counters.toClient == text.utf8.count
    }
  }

  @Test("a delay holds each byte back, in one direction alone")
  func delay() throws {
    let line = try Line()
    line.proxy.change(.toTarget) { $0.delayMilliseconds = 300 }
    let start = Deadline.now
    try line.client.send("one\n")
    try line.target.send("back\n")
    try line.client.expect("back")
    let back = Deadline.now
    try line.target.expect("one")
    #expect(Deadline.now - start >= 300_000_000)
    // However slow this machine is, the way back did not take part in the delay.
    #expect(back <= Deadline.now)
    try line.client.send("two\nthree\n")
    line.client.shutDownOutput()
    try line.target.expect("two")
    try line.target.expect("three")
    #expect(try line.target.line() == nil)
  }

  @Test("a stall takes nothing in and gives nothing out; afterwards everything comes")
  func stall() throws {
    let line = try Line()
    line.proxy.change(.toTarget) { $0.isStalled = true }
    try line.client.send("held\n")
    try line.target.send("free\n")
    try line.client.expect("free")
    // Sooner or later nobody takes anything any more.
    let piece = [UInt8](repeating: 0x78, count: 65_536)
    var sent = 0
    try eventually(within: 60, "the sender must wait") {
      let count = line.client.sendAtOnce(piece)
      sent += count
      return count == 0 && line.client.sendAtOnce(piece) == 0
    }
    #expect(!line.target.hasInput)
    #expect(line.proxy.counters.toTarget == 0)
    line.proxy.heal()
    try line.target.expect("held")
    line.client.shutDownOutput()
    #expect(try line.target.line() == nil)
    #expect(line.target.unfinishedLine.utf8.count == sent)
  }

  @Test("with one direction silent its bytes and its end are lost, and the sender does not notice")
  func silence() throws {
    let line = try Line()
    line.proxy.change(.toTarget) { $0.isSilent = true }
    try line.client.send("lost\n")
    try line.target.send("heard\n")
    try line.client.expect("heard")
    try line.client.waitUntilTaken()
    // So much would not fit into any socket.
    let piece = [UInt8](repeating: 0x78, count: 1 << 20)
    for _ in 1...20 { try line.client.send(piece) }
    try line.client.send("\n")
    try line.client.waitUntilTaken()
    #expect(!line.target.hasInput)
    try eventually("all of it is thrown away") { line.proxy.counters.toTarget == 0 }
    line.proxy.heal()
    // What the proxy has not read at that moment is not lost; a line of its own comes whole.
    try line.client.send("\nback again\n")
    #expect(try line.target.line(startingWith: "back again") == "back again")
    line.proxy.change(.toTarget) { $0.isSilent = true }
    line.client.close()
    try line.target.send("still there?\n")
    #expect(!line.target.hasInput)
    line.proxy.heal()
    while try line.target.line() != nil {}
    #expect(line.target.end != nil)
  }

  @Test("a reset reaches both sides of all connections")
  func reset() throws {
    let line = try Line()
    let other = try TestClient(line.proxy.address)
    let otherTarget = try line.listener.accept()
    line.proxy.reset()
    for end in [line.client, line.target, other, otherTarget] {
      #expect(try end.line() == nil && end.end == .reset)
    }
    #expect(line.proxy.counters.open == 0)
    // One side's own reset is passed on.
    let third = try TestClient(line.proxy.address)
    let thirdTarget = try line.listener.accept()
    third.reset()
    #expect(try thirdTarget.line() == nil && thirdTarget.end == .reset)
  }

  @Test("half a line, then an orderly end; only lines before it are whole")
  func halfLine() throws {
    for direction in FaultProxy.Direction.allCases {
      let line = try Line()
      let (sender, receiver) =
        direction == .toTarget ? (line.client, line.target) : (line.target, line.client)
      try sender.send("whole\nbeg")
      try receiver.expect("whole")
      try eventually("the beginning is on its way") {
        line.proxy.counters.toTarget + line.proxy.counters.toClient == 9
      }
      line.proxy.cutNextLine(direction)
      try sender.send("un\n0123")
      try receiver.expect("begun")
      try sender.send("456789\nnever\n")
      #expect(try receiver.line() == nil && receiver.end == .inOrder)
      #expect(receiver.unfinishedLine == "01234")
      receiver.close()
      #expect(try sender.line() == nil && sender.end == .reset)
      try eventually("it is over") { line.proxy.counters.open == 0 }
      // The next connection is whole.
      let next = try TestClient(line.proxy.address)
      try next.send("fine\n")
      try line.listener.accept().expect("fine")
    }
  }

  @Test("a limit of bandwidth holds for what is sent at once, too")
  func bandwidth() throws {
    let line = try Line()
    line.proxy.change(.toTarget) { $0.bytesPerSecond = 100_000 }
    let start = Deadline.now
    try line.client.send(String(repeating: "x", count: 49_999) + "\n")
    #expect(try line.target.line()?.utf8.count == 49_999)
    // Less what was saved up: a twentieth of a second.
    #expect(Deadline.now - start >= 440_000_000)
    line.proxy.heal()
    try line.client.send(String(repeating: "x", count: 999_999) + "\n")
    #expect(try line.target.line()?.utf8.count == 999_999)
  }

  @Test("while it refuses nobody is at the port, and who is connected stays so")
  func refusal() throws {
    let line = try Line()
    try line.proxy.refuse(true)
    try line.proxy.refuse(true)
    #expect(throws: TestFailure.self) { try TestClient(line.proxy.address) }
    try line.client.send("still\n")
    try line.target.expect("still")
    try line.proxy.refuse(false)
    let next = try TestClient(line.proxy.address)
    try next.send("again\n")
    try line.listener.accept().expect("again")
    #expect(line.proxy.counters.connections == 2)
  }

  @Test("it comes from the address that it is told, or from its client's")
  func sources() throws {
    let fixed = try Line(source: .address(try #require(IPAddress("127.0.0.7"))))
    #expect(try fixed.target.peerHost() == IPAddress("127.0.0.7"))
    let like = try Line(source: .client, from: "127.0.0.8")
    #expect(try like.target.peerHost() == IPAddress("127.0.0.8"))
    let plain = try Line(from: "127.0.0.8")
    #expect(try plain.target.peerHost() == IPAddress("127.0.0.1"))
  }

  @Test("a target that is not there resets its client; another can be named")
  func targets() throws {
    let gone = try #require(Endpoint("127.0.0.1:\(TestListener.unusedPort())"))
    let proxy = try FaultProxy(to: gone, at: try #require(IPAddress("127.0.0.3")))
    #expect("\(proxy.endpoint)".hasPrefix("127.0.0.3:"))
    let client = try TestClient(proxy.address)
    #expect(try client.line() == nil && client.end == .reset)
    #expect(proxy.counters.failedDials == 1)
    let listener = try TestListener()
    proxy.lead(to: try listener.endpoint())
    let next = try TestClient(proxy.address)
    try next.send("hello\n")
    let target = try listener.accept()
    try target.expect("hello")
    proxy.stop()
    proxy.stop()
    #expect(try target.line() == nil && target.end == .reset)
    #expect(throws: TestFailure.self) { try TestClient(proxy.address) }
  }
}
