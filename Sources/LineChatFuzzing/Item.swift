// What a line reader makes of a stream, as values that can be compared; and which characters no line
// holds, as plainly as the protocol's document says it.

import LineProtocol

/// What a reader makes of a stream, to be compared: the text of a refusal apart.
package enum Item: Equatable, CustomStringConvertible {
  case line([UInt8])
  case refused(ErrorCode)
  case http
  case timingMark

  package static func line(_ text: String) -> Item { .line(Array(text.utf8)) }

  package init(_ item: LineReader.Item) {
    switch item {
    case .line(let bytes): self = .line(Array(bytes))
    case .refused(let refusal): self = .refused(refusal.code)
    case .http: self = .http
    case .timingMark: self = .timingMark
    }
  }

  package var description: String {
    switch self {
    case .line(let bytes) where bytes.count > 200: "line of \(bytes.count) bytes"
    case .line(let bytes): "line(\(String(decoding: bytes, as: UTF8.self)))"
    case .refused(let code): "refused(\(code))"
    case .http: "http"
    case .timingMark: "timing mark"
    }
  }
}

/// No character that a line refuses: such a text may be sent and shown.
package func isClean(_ text: String) -> Bool {
  text.unicodeScalars.allSatisfy { !isRefused($0) }
}

/// The characters that no line holds, as the protocol's document lists them.
package func isRefused(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x09: false
  case 0x00...0x1F, 0x7F, 0x80...0x9F, 0x2028, 0x2029, 0x202A...0x202E,
    0x2066...0x2069:
    true
  default: false
  }
}
