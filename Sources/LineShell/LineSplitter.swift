// Lines out of standard input where that is a pipe or a file: cut at LF or CR LF, checked for UTF-8,
// bounded. Readline has no part in it.

import LineProtocol

struct LineSplitter {
  enum Piece: Hashable {
    case line(String)
    case refused(RefusedInput)
  }

  private var line: [UInt8] = []
  /// Bytes of the line under way that were too many.
  private var excess = 0

  /// Takes bytes and gives each line that is complete to `body`.
  mutating func take(_ bytes: some Collection<UInt8>, _ body: (Piece) -> Void) {
    var rest = bytes[...]
    while let end = rest.firstIndex(of: 0x0A) {
      collect(rest[..<end])
      finish(body)
      rest = rest[rest.index(after: end)...]
    }
    collect(rest)
  }

  /// The input has ended: what came behind the last line end is a line too.
  mutating func end(_ body: (Piece) -> Void) {
    if !line.isEmpty || excess > 0 { finish(body) }
  }

  private mutating func collect(_ bytes: some Collection<UInt8>) {
    let fitting = min(bytes.count, WireLimits.lineBytes - line.count)
    line += bytes.prefix(fitting)
    excess += bytes.count - fitting
  }

  private mutating func finish(_ body: (Piece) -> Void) {
    defer {
      line.removeAll(keepingCapacity: true)
      excess = 0
    }
    if excess > 0 { return body(.refused(.lineTooLong(bytes: line.count + excess))) }
    if line.last == 0x0D { line.removeLast() }
    guard let text = String(validating: line, as: UTF8.self) else {
      return body(.refused(.notUTF8(String(decoding: line, as: UTF8.self))))
    }
    body(.line(text))
  }
}
