// Finds texts in a stream that comes in pieces: each is a mark and so many bytes behind it.

import CBench

struct Finder {
  private let mark: String
  private let textBytes: Int
  /// What may be the beginning of a text; always less than one.
  private var tail: [UInt8] = []

  init(_ mark: String, followedBy bytes: Int) {
    self.mark = mark
    textBytes = mark.utf8.count + bytes
  }

  /// Calls `found` with what is behind each mark.
  mutating func scan(
    _ piece: UnsafeRawBufferPointer, _ found: (UnsafeRawBufferPointer) -> Void
  ) {
    // At most one text began in the pieces before: the tail is shorter than one.
    var end = 0
    if !tail.isEmpty {
      let seam = tail + piece.prefix(textBytes - 1)
      let next = seam.withUnsafeBytes { scan($0, from: 0, found) }
      if next > 0 { end = next - tail.count }
    }
    let start = end
    end = scan(piece, from: start, found)
    if piece.count - end >= textBytes - 1 {
      tail = Array(piece.suffix(textBytes - 1))
    } else if end > 0 {
      tail = Array(piece[end...])
    } else {
      tail = Array((tail + piece).suffix(textBytes - 1))
    }
  }

  /// Returns where the last one ends, or `start`.
  private func scan(
    _ bytes: UnsafeRawBufferPointer, from start: Int, _ found: (UnsafeRawBufferPointer) -> Void
  ) -> Int {
    var end = start
    while true {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[end...])
      let at = cbench_find(rest.baseAddress, rest.count, mark)
      guard at >= 0, at + textBytes <= rest.count else { return end }
      found(UnsafeRawBufferPointer(rebasing: rest[(at + mark.utf8.count)..<(at + textBytes)]))
      end += at + textBytes
    }
  }
}

/// The number that these digits are; bytes that are none make a wrong one.
func number(_ digits: some Collection<UInt8>) -> Int {
  digits.reduce(0) { $0 &* 10 &+ Int($1) &- 48 }
}
