// What is shown on the terminal: text with colours, as a value. Escape sequences come from `Style`
// alone; whatever stands in the text is escaped on its way out, so nothing that somebody sent can
// reach the terminal as a command.

import LineProtocol

/// A colour of the terminal's own palette.
package enum Color: Hashable, Sendable {
  case red, green, yellow, blue, magenta, cyan
  case brightRed, brightGreen, brightYellow, brightBlue, brightMagenta, brightCyan
  /// One of the 256 of xterm's palette.
  case palette(UInt8)

  fileprivate var code: String {
    switch self {
    case .red: "31"
    case .green: "32"
    case .yellow: "33"
    case .blue: "34"
    case .magenta: "35"
    case .cyan: "36"
    case .brightRed: "91"
    case .brightGreen: "92"
    case .brightYellow: "93"
    case .brightBlue: "94"
    case .brightMagenta: "95"
    case .brightCyan: "96"
    case .palette(let index): "38;5;\(index)"
    }
  }
}

/// How a piece of text looks.
package struct Style: Hashable, Sendable {
  package var color: Color?
  package var isBold: Bool
  package var isDim: Bool
  package var isUnderlined: Bool
  package var isReversed: Bool

  package init(
    _ color: Color? = nil, bold: Bool = false, dim: Bool = false, underlined: Bool = false,
    reversed: Bool = false
  ) {
    self.color = color
    isBold = bold
    isDim = dim
    isUnderlined = underlined
    isReversed = reversed
  }

  package static let plain = Style()
  package static let bold = Style(bold: true)
  package static let dim = Style(dim: true)

  /// The escape sequence that switches it on; empty for plain text.
  var sequence: String {
    var codes: [String] = []
    if isBold { codes.append("1") }
    if isDim { codes.append("2") }
    if isUnderlined { codes.append("4") }
    if isReversed { codes.append("7") }
    if let color { codes.append(color.code) }
    return codes.isEmpty ? "" : "\u{1B}[\(codes.joined(separator: ";"))m"
  }
}

/// A line of text in styles.
package struct StyledText: Hashable, Sendable, ExpressibleByStringInterpolation {
  package struct Span: Hashable, Sendable {
    package var text: String
    package var style: Style
  }

  package private(set) var spans: [Span] = []

  package init() {}

  package init(_ text: String, _ style: Style = .plain) { append(text, style) }

  package init(stringLiteral text: String) { append(text) }

  package mutating func append(_ text: String, _ style: Style = .plain) {
    guard !text.isEmpty else { return }
    if let last = spans.indices.last, spans[last].style == style {
      spans[last].text += text
    } else {
      spans.append(Span(text: text, style: style))
    }
  }

  package mutating func append(_ other: StyledText) {
    for span in other.spans { append(span.text, span.style) }
  }

  package static func + (left: StyledText, right: StyledText) -> StyledText {
    var sum = left
    sum.append(right)
    return sum
  }

  package static func += (left: inout StyledText, right: StyledText) { left.append(right) }

  /// The text alone, as it was given.
  package var plain: String { spans.map(\.text).joined() }

  /// What is fit to be shown: controls escaped, a few marks on each character, tabs as spaces up to
  /// each eighth column.
  package var shown: StyledText {
    var result = StyledText()
    var column = 0
    for span in spans {
      let pieces = span.text.split(separator: "\t", omittingEmptySubsequences: false)
      for (index, piece) in pieces.enumerated() {
        if index > 0 {
          let count = 8 - column % 8
          result.append(String(repeating: " ", count: count), span.style)
          column += count
        }
        let text = Marks.bounded(
          escaped(String(piece), doublesBackslash: false, boundsMarks: false))
        result.append(text, span.style)
        column += displayWidth(of: text)
      }
    }
    return result
  }

  /// The columns that it takes in one row.
  package var width: Int { shown.spans.reduce(0) { $0 + displayWidth(of: $1.text) } }
}

extension StyledText {
  /// Who reads the escape sequences.
  enum Reader {
    /// Nobody: they are left out.
    case plain
    case terminal
    /// A prompt of readline's, which has to be told that they take no columns.
    case readline
  }

  /// The bytes for a terminal. Call it on what is `shown`.
  func rendered(for reader: Reader) -> String {
    guard reader != .plain else { return plain }
    var result = ""
    for span in spans {
      let sequence = span.style.sequence
      if sequence.isEmpty {
        result += span.text
        continue
      }
      result += reader == .readline ? "\u{01}\(sequence)\u{02}" : sequence
      result += span.text
      result += reader == .readline ? "\u{01}\u{1B}[0m\u{02}" : "\u{1B}[0m"
    }
    return result
  }
}
