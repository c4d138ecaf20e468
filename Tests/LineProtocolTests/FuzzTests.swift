// Random and mutated streams, in pieces of random length, against the reference reader. Every
// failure names the seed of its stream.

import LineChatFuzzing
import Testing

@testable import LineProtocol

@Suite("Random streams")
struct FuzzTests {
  private static let parts = 8

  @Test(
    "any stream, in any pieces, gives what the reference reader makes of it as a whole",
    arguments: 0..<parts)
  func streams(part: Int) {
    for number in 0..<fuzzStreams / Self.parts {
      let seed = UInt64(part) << 40 | UInt64(number)
      guard check(seed: seed) else {
        Issue.record("stream of seed \(seed)")
        return
      }
    }
  }

  private func check(seed: UInt64) -> Bool {
    var random = SeededGenerator(seed: seed)
    let stream = StreamGenerator.stream(&random)
    let isPlain = random.oneIn(2)
    let limit = random.oneIn(3) ? WireLimits.lineBytes : 128 + random.below(80)
    let refusesHTTP = !random.oneIn(4)
    let expected = ReferenceReader(
      lineBytesMax: limit, refusesHTTP: refusesHTTP, isPlain: isPlain
    ).items(of: stream)
    var reader = LineReader(lineBytesMax: limit, refusesHTTP: refusesHTTP)
    var items: [Item] = []
    var at = 0
    let longest = random.pick(stream.count < 1_000 ? [1, 3, 20, 1 << 20] : [300, 5_000, 1 << 20])
    while at < stream.count {
      let size = min(stream.count - at, 1 + random.below(longest))
      items += read(Array(stream[at..<at + size]), with: &reader)
      at += size
      if reader.carriedBytes > 2 * WireLimits.carriedBytes { return false }
    }
    if let last = reader.finish(isPlain: isPlain) { items.append(Item(last)) }
    return items == expected
  }

  @Test("whatever the bytes are, no view, message or word of them traps: 30,000 lines")
  func lines() {
    var random = SeededGenerator(seed: 42)
    for _ in 0..<30_000 {
      let bytes = StreamGenerator.line(&random)
      bytes.withUnsafeBytes { line in
        if var view = try? LineView(line) {
          while view.word() != nil { _ = view.textIsBlank() }
          _ = view.text()
        }
        if let refusal = refusal({ try Message(bytes: line) }) {
          #expect(isClean(refusal.text) && !refusal.text.isEmpty)
        }
        _ = (MemberName(bytes: line), GroupName(bytes: line), Destination(bytes: line))
        _ = (Placement(bytes: line), MessageID(bytes: line), RosterVersion(bytes: line))
        _ = (Verb(bytes: line), try? Tags.parse(line))
      }
    }
  }

  @Test("what is read as a message is written as a line that is read as the same message")
  func rereading() throws {
    var random = SeededGenerator(seed: 7)
    var read = 0
    for _ in 0..<30_000 {
      let text = String(decoding: StreamGenerator.line(&random), as: UTF8.self)
      guard let message = try? Message(parsing: text) else { continue }
      read += 1
      #expect(try Message(parsing: message.render()) == message, "\(text)")
    }
    #expect(read > 1_000)
  }
}

/// Streams made of what occurs, what nearly occurs, and noise.
enum StreamGenerator {
  private static let texts = [
    "\n", "\n", "\n", "\r\n", "\r\n", "\r", " ", "  ", "\t", "@a=1 ", "@a=1;b=\\s\\: ",
    ":alice@relay ",
    ":bob@10.0.0.2:5001 ", "MSG ", "lobby ", "#ops ", "JOIN ", "nick ", "PM ", "QUIT", "ACK ",
    "relay",
    ":5001", "1.2.3.4:5001 ", "[::1]:5001 ", "00c0ffee00c0ffee.17", "héllo", "日本語", "😀", "WAIT ",
    "60 ",
    "GET / HTTP/1.1", " HTTP/1.0", "\u{FEFF}", "\u{85}", "\u{2028}", "\u{202E}", "\u{2066}",
    "\u{7F}",
    "\0", "\u{4}", "\u{1B}[31m", "ERR ", "OK ", "bad-syntax ", "MEMBER ", "GROUP ", "STAT ",
    "INFO ",
    "alice", "bob@relay ", "@", ":", ";", "=", "\\", "PING", "PONG ", "LEAVE ", "MEMBERS ",
    "HELP ",
    "some words of a text that is longer than a block of sixteen bytes",
  ]

  private static let noise: [[UInt8]] = [
    [0xFF], [0xFF, 0xFB, 0x18], [0xFF, 0xFD, 0x0A], [0xFF, 0xF4, 0xFF, 0xFD, 0x06],
    [0xFF, 0xFA, 0x1F],
    [0xFF, 0xF0], [0xFF, 0xFA, 0x1F, 0x0A, 0x00, 0xFF, 0xFF, 0xFF, 0xF0], [0xFF, 0xFF],
    [0xFF, 0x0A],
    [0xC3], [0xE2, 0x80], [0xF0, 0x9F], [0xC0, 0x80], [0xED, 0xA0, 0x80],
    [0xF4, 0x90, 0x80, 0x80],
    [0xEF, 0xBB], [0xBF], [0x80],
  ]

  private static let fragments = texts.map(utf8) + noise

  static func stream(_ random: inout SeededGenerator) -> [UInt8] {
    var stream: [UInt8] = []
    for _ in 0..<random.below(14) { stream += random.pick(fragments) }
    if random.oneIn(4) { stretch(&stream, [100, 120, 128, 200], &random) }
    if random.oneIn(200) {
      stretch(&stream, [505, 512, 2_030, 2_048, 2_060, 65_500, 65_536, 67_600], &random)
    }
    mutate(&stream, &random)
    return stream
  }

  /// A line as a peer might send it, or nearly.
  static func line(_ random: inout SeededGenerator) -> [UInt8] {
    var line: [UInt8] = []
    if random.oneIn(5) { line += Array("@label=1;x=\\s ".utf8) }
    if random.oneIn(4) { line += Array(":bob@10.0.0.2:5001 ".utf8) }
    line += Array(random.pick(Verb.allCases).description.utf8) + [0x20]
    for _ in 0..<random.below(5) { line += random.pick(fragments) }
    if random.oneIn(3) { mutate(&line, &random) }
    return line
  }

  /// Somewhere a run of one byte that is near or beyond one of the limits.
  private static func stretch(
    _ stream: inout [UInt8], _ counts: [Int], _ random: inout SeededGenerator
  ) {
    let count = random.pick(counts) + random.below(40)
    let at = random.below(stream.count + 1)
    let byte = random.pick([0x61, 0x61, 0x20, 0xFF, 0x0A, 0xC3] as [UInt8])
    stream.insert(contentsOf: [UInt8](repeating: byte, count: count), at: at)
  }

  private static func mutate(_ stream: inout [UInt8], _ random: inout SeededGenerator) {
    for _ in 0..<random.pick([0, 0, 1, 3]) where !stream.isEmpty {
      let at = random.below(stream.count)
      switch random.below(4) {
      case 0: stream[at] = UInt8(truncatingIfNeeded: random.next())
      case 1: stream[at] ^= 1 << UInt8(random.below(8))
      case 2: stream.remove(at: at)
      default: stream.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
      }
    }
  }
}
