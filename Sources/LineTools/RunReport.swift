// What is said of a command that has ended: how, after what time, and what it said last.

import LineProtocol

package enum RunReport {
  /// How a command ended.
  package enum End: Hashable, Sendable {
    case exited(Int32)
    case killed(Int32, signal: String)
    case notStarted(String, isMissing: Bool)
  }

  private static let commandBytes = 200
  private static let lineBytes = 400

  /// The messages: what became of it, and the last lines behind it.
  package static func lines(
    _ command: [String], _ end: End, microseconds: Int64, last: [[UInt8]]
  ) -> [String] {
    let name = short(command.joined(separator: " "), commandBytes)
    let time = duration(microseconds)
    let heading =
      switch end {
      case .exited(0): "\(name): done after \(time)"
      case .exited(let code): "\(name): failed with \(code) after \(time)"
      case .killed(let number, let signal):
        "\(name): ended by \(signal) (\(128 + number)) after \(time)"
      case .notStarted(let reason, _): "\(name): could not be started: \(reason)"
      }
    return [heading] + last.map { "| " + short(String(decoding: $0, as: UTF8.self), lineBytes) }
  }

  private static func short(_ text: String, _ limit: Int) -> String {
    let whole = escaped(text, doublesBackslash: false)
    let cut = FitText.cut(whole, toBytes: limit)
    return cut.utf8.count < whole.utf8.count ? cut + "…" : whole
  }

  /// `0.3 s`, `42 s`, `3 min 12 s`, `2 h 5 min`
  static func duration(_ microseconds: Int64) -> String {
    let tenths = max(0, microseconds) / 100_000
    let seconds = tenths / 10
    switch seconds {
    case ..<10: return "\(seconds).\(tenths % 10) s"
    case ..<60: return "\(seconds) s"
    case ..<3_600: return "\(seconds / 60) min \(seconds % 60) s"
    default: return "\(seconds / 3_600) h \(seconds / 60 % 60) min"
    }
  }
}

/// The last lines of several streams of bytes, in the order in which they ended. Only so much of a line is
/// kept as is shown.
package struct LastLines {
  private let countMax: Int
  private let bytesMax: Int
  private var lines: [[UInt8]] = []
  /// What each stream has begun.
  private var open: [[UInt8]]

  package init(_ countMax: Int, streams: Int, bytesMax: Int = 4_096) {
    self.countMax = countMax
    self.bytesMax = bytesMax
    open = Array(repeating: [], count: streams)
  }

  /// A CR ends a line as well: what a bar of progress shows is written over.
  package mutating func take(_ chunk: some Sequence<UInt8>, from stream: Int) {
    for byte in chunk {
      if byte == 0x0A || byte == 0x0D {
        end(stream)
      } else if open[stream].count < bytesMax {
        open[stream].append(byte)
      }
    }
  }

  /// All that there are, with those that have no end.
  package mutating func finish() -> [[UInt8]] {
    for stream in open.indices { end(stream) }
    return lines
  }

  private mutating func end(_ stream: Int) {
    let line = open[stream]
    open[stream] = []
    guard line.contains(where: { $0 != 0x20 && $0 != 0x09 }), countMax > 0 else { return }
    lines.append(line)
    if lines.count > countMax { lines.removeFirst() }
  }
}
