// How many columns text takes on a terminal, by the rule of wcwidth(3) that terminals and readline
// use: each character (Unicode scalar) for itself, 0, 1 or 2. It needs no locale. Zero is told by
// Swift's own properties of characters, two by the table in WideCharacters.
//
// A family emoji made of four joined ones counts as the sum of its parts, as it does in readline and
// in most terminals; some draw it in two columns.

/// The columns that a character takes; 0 for one that only changes the character before it. Controls
/// count 0: they are never shown raw.
package func displayWidth(of scalar: Unicode.Scalar) -> Int {
  let value = scalar.value
  if value < 0x7F { return value >= 0x20 ? 1 : 0 }
  if value < 0x300 { return value >= 0xA0 ? 1 : 0 }
  switch value {
  // The vowels and final consonants of Korean syllables stand in the syllable's own columns.
  case 0x1160...0x11FF, 0xD7B0...0xD7C6, 0xD7CB...0xD7FB: return 0
  case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3: return 2
  default: break
  }
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark: return 0
  // Signs that enclose the digits behind them are drawn, the other format characters are not.
  case .format: return isDrawnFormat(value) ? 1 : 0
  case .lineSeparator, .paragraphSeparator: return 0
  default: return WideCharacters.contain(scalar) ? 2 : 1
  }
}

private func isDrawnFormat(_ value: UInt32) -> Bool {
  switch value {
  case 0x0600...0x0605, 0x06DD, 0x070F, 0x0890...0x0891, 0x08E2, 0x110BD, 0x110CD: true
  default: false
  }
}

/// The columns that a character with all that belongs to it takes.
package func displayWidth(of character: Character) -> Int {
  if let ascii = character.asciiValue { return ascii >= 0x20 && ascii < 0x7F ? 1 : 0 }
  return character.unicodeScalars.reduce(0) { $0 + displayWidth(of: $1) }
}

/// The columns that text takes on one row. It must hold no controls, or be `escaped` first.
package func displayWidth(of text: some StringProtocol) -> Int {
  if let width = text.utf8.withContiguousStorageIfAvailable({ asciiWidth($0) }), let width {
    return width
  }
  return text.unicodeScalars.reduce(0) { $0 + displayWidth(of: $1) }
}

/// Nil if not all of it is printable ASCII.
private func asciiWidth(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
  bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F } ? bytes.count : nil
}

/// As much of the beginning of `text` as fits in `columns`, with `…` as its last column if something
/// had to go. A character is never cut from its accents.
package func truncated(_ text: String, to columns: Int) -> String {
  if text.utf8.count <= columns || displayWidth(of: text) <= columns { return text }
  var result = ""
  var width = 0
  for character in text {
    width += displayWidth(of: character)
    // One column is kept for the dots.
    if width > columns - 1 { break }
    result.append(character)
  }
  return columns > 0 ? result + "…" : ""
}
