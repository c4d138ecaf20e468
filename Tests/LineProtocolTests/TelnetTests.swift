// What a telnet client mixes into the lines, wherever the stream is cut.

import Testing

@testable import LineProtocol

@Suite("Telnet")
struct TelnetTests {
  private static let negotiation: [UInt8] = [
    0xFF, 0xFB, 0x18, 0xFF, 0xFC, 0x0A, 0xFF, 0xFD, 0xFF, 0xFF, 0xFE, 0x0D,
  ]
  /// A window of 10 by 10 characters: LF is among the bytes.
  private static let windowSize: [UInt8] = [0xFF, 0xFA, 0x1F, 0x00, 0x0A, 0x00, 0x0A, 0xFF, 0xF0]
  private static let terminalType = joined(
    [0xFF, 0xFA, 0x18, 0x00], utf8("XTERM"), [0xFF, 0xFF, 0xFF, 0x61, 0xFF, 0xF0])

  @Test(
    "command sequences are skipped, wherever they stand and wherever the stream is cut",
    arguments: [
      negotiation, windowSize, terminalType,
      [0xFF, 0xF1], [0xFF, 0xF9], [0xFF, 0xEC], [0xFF, 0xF0],
      joined(negotiation, windowSize, terminalType, negotiation),
    ])
  func skipped(sequence: [UInt8]) {
    let line = utf8("MSG a hé\n")
    for place in 0...line.count {
      let stream = joined(
        Array(line[..<place]), sequence, Array(line[place...]), utf8("QUIT\r\n"))
      for at in 0...stream.count {
        let pieces = [Array(stream[..<at]), Array(stream[at...])]
        #expect(items(pieces) == [.line("MSG a hé"), .line("QUIT")], "at \(place), cut at \(at)")
      }
      #expect(items(cut(stream, every: 1)) == [.line("MSG a hé"), .line("QUIT")])
    }
  }

  /// Ctrl-C in a telnet client: IAC IP, IAC DO TIMING-MARK.
  private static let interrupt: [UInt8] = [0xFF, 0xF4, 0xFF, 0xFD, 0x06]

  @Test("a timing mark is asked for, also within a line, wherever the stream is cut")
  func timingMark() {
    let line = utf8("MSG a hé\n")
    for place in 0..<line.count {
      let stream = joined(Array(line[..<place]), Self.interrupt, Array(line[place...]))
      for at in 0...stream.count {
        let pieces = [Array(stream[..<at]), Array(stream[at...])]
        #expect(items(pieces) == [.timingMark, .line("MSG a hé")], "at \(place), cut at \(at)")
      }
    }
    #expect(items([Self.interrupt, Self.interrupt]) == [.timingMark, .timingMark])
    // WILL, WONT and DONT ask for nothing.
    #expect(items([[0xFF, 0xFB, 0x06, 0xFF, 0xFC, 0x06, 0xFF, 0xFE, 0x06]]) == [])
  }

  @Test("a line of commands alone is empty, hence nothing")
  func commandsAlone() {
    #expect(items([Self.negotiation, [0x0D, 0x0A], Self.windowSize, [0x0A]]) == [])
    #expect(items([Self.negotiation]) == [])
  }

  @Test("an EOL whose CR and LF have a command between them is one")
  func withinEOL() {
    #expect(items([utf8("a\r"), [0xFF, 0xF1, 0x0A]]) == [.line("a")])
  }

  @Test("a command may come before a byte order mark and an HTTP request")
  func first() {
    #expect(items([Self.negotiation, utf8("\u{FEFF}a\n")]) == [.line("a")])
    #expect(items([Self.negotiation, utf8("GET / HTTP/1.1\n")]) == [.http])
  }

  @Test(
    "IAC before anything else makes the line invalid, and no more than the line",
    arguments: [[0xFF], [0xFF, 0xFF], [0xFF, 0x61], [0xFF, 0x00], [0xFF, 0xEB], [0xFF, 0x80]]
      as [[UInt8]])
  func stray(sequence: [UInt8]) {
    let stream = joined(utf8("MSG a"), sequence, utf8("\ngood\n"))
    for at in 0...stream.count {
      let pieces = [Array(stream[..<at]), Array(stream[at...])]
      #expect(items(pieces) == [.refused(.badEncoding), .line("good")], "cut at \(at)")
    }
  }

  @Test("a doubled IAC is one byte of text, so what follows it is text, too")
  func doubled() {
    #expect(
      items([[0xFF, 0xFF, 0xFA, 0x0A], utf8("good\n")])
        == [.refused(.badEncoding), .line("good")])
  }

  @Test("a subnegotiation has 512 bytes from IAC to SE, and not one more")
  func subnegotiationBound() {
    func sequence(_ count: Int) -> [UInt8] {
      joined([0xFF, 0xFA], Array(repeating: 0x0A, count: count - 4), [0xFF, 0xF0])
    }
    func line(_ start: String, _ sequence: [UInt8], _ end: String) -> [UInt8] {
      joined(utf8(start), sequence, utf8(end))
    }
    for size in [4_096, 100, 1] {
      let fits = line("MSG ", sequence(512), "a x\n")
      #expect(items(cut(fits, every: size)) == [.line("MSG a x")])
      // Beyond that the line is given up: at its end, which is the next LF, it is refused.
      let over = line("MSG ", sequence(513), "a x\ngood\n")
      #expect(items(cut(over, every: size)) == [.refused(.badEncoding), .line("good")])
      let text = [UInt8](repeating: 0x61, count: 5_000)
      let endless = line("a", joined([0xFF, 0xFA], text), "\ngood\n")
      #expect(items(cut(endless, every: size)) == [.refused(.badEncoding), .line("good")])
    }
  }

  @Test("a long subnegotiation does not make a later command long")
  func lengthIsForgotten() {
    let long = joined([0xFF, 0xFA], Array(repeating: 0x61, count: 508), [0xFF, 0xF0])
    let stream = joined(long, Self.negotiation, long, Self.windowSize, utf8("a\n"))
    #expect(items([stream]) == [.line("a")])
    #expect(items(cut(stream, every: 1)) == [.line("a")])
  }

  @Test("a stream that ends within a command ends with an invalid line")
  func cutShort() {
    for tail in [[0xFF], [0xFF, 0xFD], [0xFF, 0xFA, 0x1F], [0xFF, 0xFA, 0xFF]] as [[UInt8]] {
      #expect(items([utf8("a\nb"), tail]) == [.line("a"), .refused(.badEncoding)])
      #expect(items([utf8("a\nb"), tail], isPlain: false) == [.line("a")])
    }
  }

  @Test("command bytes do not count to a line's length")
  func lengths() {
    let line = "MSG a " + String(repeating: "x", count: 190)
    var stream: [UInt8] = []
    for byte in utf8(line + "\n") { stream += [byte, 0xFF, 0xF1] }
    #expect(items([stream], lineBytesMax: 197) == [.line(line)])
    #expect(items([stream], lineBytesMax: 196) == [.refused(.lineTooLong)])
  }
}
