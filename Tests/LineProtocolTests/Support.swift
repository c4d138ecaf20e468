// What the tests of this target share: a seeded generator, so that a failure can be run again from
// its seed; and streams cut into pieces.

import Foundation
import LineChatFuzzing

@testable import LineProtocol

/// SplitMix64: small, good enough, the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

  mutating func oneIn(_ number: Int) -> Bool { below(number) == 0 }

  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// Parts of a stream put together, in an expression that is quick to compile.
func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Everything that `reader` makes of `chunk`.
func read(_ chunk: [UInt8], with reader: inout LineReader) -> [Item] {
  var items: [Item] = []
  chunk.withUnsafeBytes { bytes in
    var position = 0
    while let item = reader.next(bytes, &position) { items.append(Item(item)) }
    precondition(position == bytes.count, "a reader that gives nil has used up the chunk")
  }
  return items
}

/// Everything that a reader makes of a stream that comes in these pieces and then ends.
func items(
  _ pieces: [[UInt8]], isPlain: Bool = true, lineBytesMax: Int = WireLimits.lineBytes,
  refusesHTTP: Bool = true
) -> [Item] {
  var reader = LineReader(lineBytesMax: lineBytesMax, refusesHTTP: refusesHTTP)
  var items: [Item] = []
  for piece in pieces { items += read(piece, with: &reader) }
  if let last = reader.finish(isPlain: isPlain) { items.append(Item(last)) }
  return items
}

func items(_ text: String, isPlain: Bool = true) -> [Item] {
  items([Array(text.utf8)], isPlain: isPlain)
}

/// The refusals of a stream, with their texts.
func refusals(_ bytes: [UInt8]) -> [Refusal] {
  var reader = LineReader()
  var refusals: [Refusal] = []
  (bytes + [0x0A]).withUnsafeBytes { bytes in
    var position = 0
    while let item = reader.next(bytes, &position) {
      if case .refused(let refusal) = item { refusals.append(refusal) }
    }
  }
  return refusals
}

/// Runs `body` on the bytes of `text`.
func withBytes<Result>(
  _ text: String, _ body: (UnsafeRawBufferPointer) throws -> Result
) rethrows -> Result {
  try Array(text.utf8).withUnsafeBytes { try body($0) }
}

/// The refusal that `body` throws, or nil.
func refusal<Value>(_ body: () throws -> Value) -> Refusal? {
  do {
    _ = try body()
    return nil
  } catch {
    return error as? Refusal
  }
}

/// How many random streams are tried; `LINECHAT_FUZZ_STREAMS=1000000` for a long run.
let fuzzStreams =
  ProcessInfo.processInfo.environment["LINECHAT_FUZZ_STREAMS"].flatMap(Int.init)
  ?? 200_000
