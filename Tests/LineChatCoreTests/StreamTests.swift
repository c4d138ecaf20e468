// Byte streams that nobody in their right mind would send, into the line reader and the directory:
// nothing traps, nothing grows, and a stream gives the same answers in whatever pieces it comes.
//
// LINECHAT_FUZZ_STREAMS sets the number of streams (default 2,000; a million takes minutes in a
// release build), LINECHAT_FUZZ_SEED the first seed.

import Foundation
import LineChatCore
import LineProtocol
import Testing

/// A directory with an audience, and one connection that is fed a stream.
private final class Rig {
  /// Not checked for overlapping accesses, as Swift 6.3 takes the reading in the condition of the
  /// loop below, in a release build, for one that lasts through its body, and ends the program.
  @exclusivity(unchecked) private var directory: Directory
  private var now = Instant(monotonicMicroseconds: 0, wallMicroseconds: 1_800_000_000_000_000)
  private var reader = LineReader()
  private let fed: SessionID
  private let audience: [SessionID]
  private(set) var output: [UInt32: [UInt8]] = [:]
  private(set) var carriedMost = 0
  private var isOpen = true

  init() {
    var configuration = Directory.Configuration()
    configuration.listingPieceBytes = 512
    directory = Directory(configuration)
    let host = Origin.tcp(IPAddress("127.0.0.1")!)
    audience = [
      directory.opened(host, now: now), directory.opened(.unix, now: now),
      directory.opened(host, now: now),
    ]
    fed = directory.opened(host, now: now)
    for (id, lines) in zip(
      audience,
      [
        ["NICK bob", "JOIN lobby"], ["@a=b NICK eve", "JOIN lobby"],
        ["NICK dan", "JOIN ops :5001"],
      ])
    {
      for line in lines { Array(line.utf8).withUnsafeBytes { take(.line($0), from: id) } }
    }
  }

  private func take(_ item: LineReader.Item, from id: SessionID) {
    directory.receive(item, from: id, now: now)
    settle()
  }

  /// One line a round, so that the order in which different groups are written does not depend on
  /// the pieces.
  private func settle() {
    repeat {
      var tickets: [Ticket] = []
      var dialled: [SessionID] = []
      directory.takeEffects { effect in
        switch effect {
        case .persist(_, let ticket): tickets.append(ticket)
        case .close(let id): if id == fed { isOpen = false }
        case .dial(let id, _, _), .dialServer(let id): dialled.append(id)
        case .overrun, .resume, .event, .note, .finish: break
        }
      }
      for id in dialled { directory.dialFailed(id, reason: "refused", now: now) }
      for ticket in tickets { directory.persisted(ticket, now: now) }
      directory.endRound { session, pieces in
        for piece in pieces { output[session, default: []] += piece }
      }
      for id in audience + [fed] { directory.drained(id, now: now) }
    } while directory.hasEffects || !directory.fanOut.isEmpty
  }

  /// Feeds a piece; a WAIT runs out at once.
  func feed(_ piece: UnsafeRawBufferPointer) {
    var position = 0
    while isOpen, let item = reader.next(piece, &position) {
      take(item, from: fed)
      skipWaiting()
    }
    carriedMost = max(carriedMost, reader.carriedBytes)
  }

  private func skipWaiting() {
    while isOpen, !directory.accepts(fed), let next = directory.nextDeadlineMicroseconds {
      now.monotonicMicroseconds = max(now.monotonicMicroseconds, next)
      for id in audience { directory.heard(id, now: now) }
      directory.tick(now: now)
      settle()
    }
  }

  func end() {
    guard isOpen else { return }
    if let item = reader.finish(isPlain: !directory.speaksTags(fed)) {
      take(item, from: fed)
      skipWaiting()
    }
    directory.inputEnded(fed, now: now)
    settle()
    #expect(!isOpen, "a session whose input has ended is closed")
  }
}

/// Streams made of requests, bent and broken.
private struct StreamMaker {
  var random: SplitMix64

  private static let seeds: [String] = [
    "NICK alice", "NICK bob", "NICK guest3", "JOIN lobby", "JOIN #Lobby relay", "JOIN ops :5002",
    "JOIN ops 10.0.0.1:1", "JOIN a [::1]:9", "LEAVE lobby", "LEAVE ops", "MSG lobby hello there",
    "MSG lobby   ", "MSG nowhere x", "PM bob psst", "PM 127.0.0.1:5001 x",
    "PM dan@127.0.0.1:5001 y",
    "MEMBERS lobby", "MEMBERS ops", "GROUPS", "PING", "PING token", "HELP", "HELP MSG", "STATS",
    "WAIT 1", "WAIT 60 1", "WAIT 0", "QUIT", "ACK lobby 00c0ffee00c0ffee.1", "OK MSG lobby 1/1",
    "ERR internal - x", "PONG", "INFO x", "@label=1 PING", "@label=1;to=bob MSG lobby x",
    "@to=relay MSG lobby y",
    "@msgid=00c0ffee00c0ffee.1;time=2027-01-15T08:00:00.000000Z MSG lobby z",
    "@to=eve ACK lobby 00c0ffee00c0ffee.1", "@a=\\:\\s\\\\ PM eve tagged",
    ":guest4@relay MSG lobby m",
    ":bob@relay MSG lobby forged", "/join lobby", "PRIVMSG #lobby :hi", "hello everybody",
    "GET / HTTP/1.1", "MSG lobby ünïcode ✓ 🎉", "@;;= PING", "@a PING", ": PING", "@=x PING",
  ]
  private static let splices: [[UInt8]] = [
    [0xff, 0xf4], [0xff, 0xfd, 6], [0xff, 0xfa, 24, 10, 1, 0xff, 0xf0], [0xff, 0xff], [0xff], [0],
    [13], [27, 91, 50, 74], [0xc2, 0x85], [0xe2, 0x80, 0xae], [0xe2, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xed, 0xa0, 0x80], [0xef, 0xbb, 0xbf], [9], [32, 32], [127], [0xc0, 0x80], [10], [13, 10],
  ]

  mutating func next() -> [UInt8] {
    var stream: [UInt8] = []
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      stream += line()
      stream += ending()
    }
    for _ in 0..<Int.random(in: 0...4, using: &random) { bend(&stream) }
    return stream
  }

  private mutating func line() -> [UInt8] {
    switch Int.random(in: 0..<40, using: &random) {
    case 0:
      (0..<Int.random(in: 0...80, using: &random)).map { _ in .random(in: 0...255, using: &random) }
    case 1:
      Array("MSG lobby ".utf8)
        + [UInt8](repeating: 120, count: Int.random(in: 65_500...65_560, using: &random))
    case 2: [UInt8](repeating: 64, count: Int.random(in: 2_000...70_000, using: &random))
    default: Array(Self.seeds.randomElement(using: &random)!.utf8)
    }
  }

  private mutating func ending() -> [UInt8] {
    switch Int.random(in: 0..<20, using: &random) {
    case 0: []
    case 1: [13]
    case 2: [10, 10]
    case 3..<8: [13, 10]
    default: [10]
    }
  }

  private mutating func bend(_ stream: inout [UInt8]) {
    guard !stream.isEmpty else { return }
    let at = Int.random(in: 0..<stream.count, using: &random)
    switch Int.random(in: 0..<5, using: &random) {
    case 0: stream[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: stream.remove(at: at)
    case 2: stream.insert(.random(in: 0...255, using: &random), at: at)
    case 3: stream.insert(contentsOf: Self.splices.randomElement(using: &random)!, at: at)
    default: stream.removeSubrange(at...)
    }
  }
}

@Suite("Streams")
struct StreamTests {
  private func output(_ stream: [UInt8], cutAt cuts: [Int]) -> [UInt32: [UInt8]] {
    let rig = Rig()
    stream.withUnsafeBytes { bytes in
      var start = 0
      for cut in cuts + [bytes.count] {
        rig.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<cut]))
        start = cut
      }
    }
    rig.end()
    // A buffer grows by doubling.
    #expect(rig.carriedMost <= 2 * (WireLimits.lineBytes + WireLimits.prefixBytes))
    return rig.output
  }

  @Test("random and mutated streams in random pieces do no harm and give the same answers")
  func randomStreams() {
    let environment = ProcessInfo.processInfo.environment
    let streams = environment["LINECHAT_FUZZ_STREAMS"].flatMap { Int($0) } ?? 2_000
    let seed = environment["LINECHAT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    var maker = StreamMaker(random: SplitMix64(state: seed))
    for number in 0..<streams {
      let stream = maker.next()
      let pieces = Int.random(in: 0...6, using: &maker.random)
      let cuts = (0..<pieces).map { _ in Int.random(in: 0...stream.count, using: &maker.random) }
      let whole = output(stream, cutAt: [])
      let inPieces = output(stream, cutAt: cuts.sorted())
      if whole != inPieces {
        Issue.record("stream \(number) of seed \(seed) differs in pieces: \(stream) \(cuts)")
        return
      }
    }
  }

  @Test("a stream cut at every byte gives the same answers as whole")
  func everyCut() {
    let stream: [UInt8] =
      Array("\u{feff}NICK alice\r\n@label=x;to=bob MSG lobby h".utf8) + [0xff, 0xf4, 0xff, 0xfd, 6]
      + Array("ö\n\nJOIN lobby\rx\nJOIN lobby\n".utf8) + [0xff, 0xfa, 1, 10, 0xff, 0xf0]
      + Array("MSG lobby ü✓🎉\nMSG lobby \u{202e}x\nWAIT 1\nPM bob".utf8) + [0xc3]
      + Array("\nMEMBERS lobby\r\nQUI".utf8)
    let whole = output(stream, cutAt: [])
    for cut in 0...stream.count {
      #expect(output(stream, cutAt: [cut]) == whole, "cut at \(cut)")
    }
    #expect(output(stream, cutAt: Array(0...stream.count)) == whole, "byte by byte")
  }
}
