// Text of others made fit to be shown in a log or a terminal: nothing in it can write a second line,
// move the cursor, or turn the direction of what stands around it.

/// `text` with everything that is not to be shown written as `\n`, `\t` or `\u{1b}`: controls,
/// separators of lines, what turns the direction of writing, and marks that are piled up on a
/// character. A backslash is doubled, so that
/// the original can be told; not so with `doublesBackslash: false`, for people, who write them in
/// earnest. With `boundsMarks: false` the caller sees to the marks.
package func escaped(
  _ text: String, doublesBackslash: Bool = true, boundsMarks: Bool = true
) -> String {
  if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && ($0 != 0x5C || !doublesBackslash) }) {
    return text
  }
  var result = ""
  var marks = StackedMarks()
  for scalar in text.unicodeScalars {
    let isTooMany = boundsMarks && marks.isTooMany(scalar)
    switch scalar {
    case "\\": result += doublesBackslash ? "\\\\" : "\\"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    default:
      if isTooMany || isUnsafeToShow(scalar) {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
  }
  return result
}

/// Whether a terminal, or the reader of a log, could be misled by it.
package func isUnsafeToShow(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
    true
  default: false
  }
}
