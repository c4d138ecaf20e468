// Bytes in any pieces -> lines, for text that may be anything: no line is held beyond what could be sent.

package struct InputLines {
  /// A line as it was read, without its end.
  package struct Line: Hashable, Sendable {
    package let bytes: [UInt8]
    /// It was longer; what was beyond has been dropped.
    package let isCut: Bool
  }

  private let bytesMax: Int
  private var line: [UInt8] = []
  private var isCut = false

  package init(bytesMax: Int) { self.bytesMax = bytesMax }

  /// Hands out the lines that end in `chunk`.
  package mutating func take(_ chunk: some Sequence<UInt8>) -> [Line] {
    var lines: [Line] = []
    for byte in chunk {
      if byte == 0x0A {
        lines.append(end())
      } else if line.count < bytesMax {
        line.append(byte)
      } else {
        isCut = true
      }
    }
    return lines
  }

  /// What stands behind the last line's end; nil if nothing does.
  package mutating func finish() -> Line? {
    line.isEmpty && !isCut ? nil : end()
  }

  private mutating func end() -> Line {
    defer { (line, isCut) = ([], false) }
    if !isCut && line.last == 0x0D { line.removeLast() }
    return Line(bytes: line, isCut: isCut)
  }
}
