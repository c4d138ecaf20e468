// Text of any kind made fit to be sent: one line of UTF-8 without what a line refuses. Nothing is lost in
// silence: what was replaced is counted.

/// Text that can be sent.
package struct FitText: Hashable, Sendable {
  package let text: String
  /// Control characters, and what is no UTF-8, each replaced by U+FFFD.
  package let replaced: Int
  /// Line breaks, each replaced by a blank.
  package let breaks: Int

  /// Any bytes. Blanks and line breaks at the end are left out, and nobody needs to know.
  package init(_ bytes: some Sequence<UInt8>) {
    var scalars = String.UnicodeScalarView()
    var (replaced, breaks) = (0, 0)
    var iterator = bytes.makeIterator()
    var decoder = UTF8()
    var isAfterCR = false
    // Breaks that count where something follows on them.
    var pendingBreaks = 0
    decoding: while true {
      var scalar: Unicode.Scalar
      switch decoder.decode(&iterator) {
      case .emptyInput: break decoding
      case .scalarValue(let value): scalar = value
      case .error: scalar = "\0"
      }
      defer { isAfterCR = scalar == "\r" }
      if scalar == "\n" || scalar == "\r" {
        // CR LF is one break.
        if scalar == "\n" && isAfterCR { continue }
        pendingBreaks += 1
        scalars.append(" ")
        continue
      }
      if scalar != " " && scalar != "\t" {
        breaks += pendingBreaks
        pendingBreaks = 0
      }
      if FitText.isRefused(scalar) {
        replaced += 1
        scalars.append("\u{FFFD}")
      } else {
        scalars.append(scalar)
      }
    }
    while let last = scalars.last, last == " " || last == "\t" { scalars.removeLast() }
    text = String(scalars)
    self.replaced = replaced
    self.breaks = breaks
  }

  /// There is nothing to be said: a message of blanks is none.
  package var isBlank: Bool { text.unicodeScalars.allSatisfy { $0 == " " || $0 == "\t" } }

  /// What a line must not hold; see "What is refused" in protocol.md.
  private static func isRefused(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09: false
    case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// The beginning of `text` that has at most so many bytes, cut between characters.
  package static func cut(_ text: String, toBytes limit: Int) -> String {
    guard text.utf8.count > limit else { return text }
    var end = text.startIndex
    for index in text.indices {
      guard text.utf8.distance(from: text.startIndex, to: index) <= limit else { break }
      end = index
    }
    return String(text[..<end])
  }
}
