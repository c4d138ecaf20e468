// The lines of a log from its end on, across the files that were put aside, read in blocks: however
// large the files are, no more than a block and a line is in memory.

import Glibc
import LineChatCore

struct LogLines {
  struct Line {
    /// Without LF.
    let bytes: [UInt8]
    /// Which of the files it is in, and where it begins there.
    let file: Int
    let start: Int
    /// An LF stands behind it; only a file's last line may lack it.
    let isEnded: Bool
  }

  /// The newest first.
  private let files: [LogFile]
  private let blockBytes: Int

  private var file = 0
  /// What has been read and not handed out: from `start` on in the file.
  private var block: [UInt8] = []
  private var start = 0
  private var isEnded = false
  /// A line turned out too long to be one; it is passed over.
  private var isSkipping = false

  init(_ files: [LogFile], blockBytes: Int = MachineLimits.logBlockBytes) {
    self.files = files
    self.blockBytes = blockBytes
    begin()
  }

  private mutating func begin() {
    block = []
    start = file < files.count ? files[file].bytes : 0
    isEnded = false
    isSkipping = false
  }

  /// The line before the one that came last; nil when there are no more.
  mutating func next() throws(StorageError) -> Line? {
    while file < files.count {
      if let end = lastEnd() {
        let line = take(from: end + 1)
        block.removeLast()
        defer { isEnded = true }
        if let line { return line }
      } else if start > 0 {
        try fill()
      } else {
        let line = take(from: 0)
        file += 1
        begin()
        if let line { return line }
      }
    }
    return nil
  }

  /// Takes what stands behind the LF that was found; nil if it is no line.
  private mutating func take(from at: Int) -> Line? {
    defer {
      block.removeSubrange(at...)
      isSkipping = false
    }
    guard !isSkipping, at < block.count || isEnded else { return nil }
    return Line(bytes: Array(block[at...]), file: file, start: start + at, isEnded: isEnded)
  }

  private func lastEnd() -> Int? {
    block.withUnsafeBytes { bytes in
      var at = bytes.count
      while at > 0 {
        at -= 1
        if bytes[at] == 0x0A { return at }
      }
      return nil
    }
  }

  private mutating func fill() throws(StorageError) {
    if block.count > MachineLimits.logLineBytes {
      isSkipping = true
      block = []
    }
    let range = max(0, start - blockBytes)..<start
    let piece = try files[file].read(range)
    // Somebody has cut the file meanwhile: what was behind is gone.
    if piece.count < range.count { block = [] }
    block = piece + block
    start = range.lowerBound
  }
}
