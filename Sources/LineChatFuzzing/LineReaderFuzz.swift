// The line reader, with a stream.
//
//   first byte    @, A, B, C …: its lowest bits say whether the connection is plain, whether HTTP is
//                 refused, whether the limit is the lowest; H to O alone: `~` stretches
//   second byte   how long the pieces are in which the stream comes; 0: as a whole
//   the rest      the stream. Where `~` stretches, `~x` is the byte before it, as often as x says, up
//                 to 70,000 times in all: so a small input reaches the large limits
//
// What must hold: the items are those that the reference reader makes of the whole stream, whatever
// the pieces are (where a stretched stream comes in pieces, those that it makes of the whole: the
// reference is slow); a line handed out is within its limits; memory is bounded; a refusal can be shown.

import LineProtocol

enum LineReaderFuzz {
  static func feed(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    guard bytes.count >= 2 else { return }
    let isPlain = bytes[0] & 1 == 0
    let refusesHTTP = bytes[0] & 2 == 0
    let limit = bytes[0] & 4 == 0 ? WireLimits.lineBytes : WireLimits.lineBytesLeast
    let rest = UnsafeRawBufferPointer(rebasing: bytes[2...])
    let isStretched = bytes[0] & 0xF8 == UInt8(ascii: "H")
    let stream = isStretched ? stretched(rest) : Array(rest)
    func read(in piece: Int) throws(Fault) -> [Item] {
      var reader = LineReader(lineBytesMax: limit, refusesHTTP: refusesHTTP)
      return try items(of: stream, in: piece, &reader, isPlain: isPlain)
    }
    // What is long takes long in small pieces.
    let piece = Int(bytes[1]) * (stream.count > 4_096 ? 64 : 1)
    let whole = try read(in: max(1, stream.count))
    if !isStretched || piece == 0 {
      let expected = ReferenceReader(
        lineBytesMax: limit, refusesHTTP: refusesHTTP, isPlain: isPlain
      ).items(of: stream)
      try hold(whole == expected, "the reader says \(whole), and \(expected) is right")
    }
    guard piece > 0 else { return }
    let found = try read(in: piece)
    try hold(
      found == whole, "in pieces of \(piece) bytes the reader says \(found), and else \(whole)")
  }

  private static func items(
    of stream: [UInt8], in piece: Int, _ reader: inout LineReader, isPlain: Bool
  ) throws(Fault) -> [Item] {
    var items: [Item] = []
    // Each piece lies at the end of this memory, so that a byte read beyond it is found.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(piece, stream.count), alignment: 1)
    defer { memory.deallocate() }
    var start = 0
    while start < stream.count {
      let end = min(start + piece, stream.count)
      let chunk = UnsafeMutableRawBufferPointer(
        rebasing: memory[(memory.count - (end - start))...])
      chunk.copyBytes(from: stream[start..<end])
      try take(UnsafeRawBufferPointer(chunk), &reader, &items)
      try hold(
        reader.carriedBytes <= 2 * WireLimits.carriedBytes, "\(reader.carriedBytes) bytes carried")
      start = end
    }
    if let last = reader.finish(isPlain: isPlain) { items.append(Item(last)) }
    return items
  }

  private static func take(
    _ chunk: UnsafeRawBufferPointer, _ reader: inout LineReader, _ items: inout [Item]
  ) throws(Fault) {
    var position = 0
    while let item = reader.next(chunk, &position) {
      if case .refused(let refusal) = item { try checkRefusal(refusal) }
      items.append(Item(item))
    }
    try hold(position == chunk.count, "a reader that gives nil has not used up the chunk")
  }

  private static func stretched(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var stream: [UInt8] = []
    var at = 0
    while at < bytes.count {
      if bytes[at] == UInt8(ascii: "~"), at + 1 < bytes.count, let last = stream.last {
        let count = min(Int(bytes[at + 1]) * 256, 70_000 - stream.count)
        stream += [UInt8](repeating: last, count: max(0, count))
        at += 2
      } else {
        stream.append(bytes[at])
        at += 1
      }
    }
    return stream
  }
}

/// A refusal is sent to others, and shown: it is one line, not long, and says something.
func checkRefusal(_ refusal: Refusal) throws(Fault) {
  try hold(
    !refusal.text.isEmpty && isClean(refusal.text) && refusal.text.utf8.count <= 1_024,
    "a refusal that cannot be sent: \(refusal.text)")
}
