// Marks that are set on a character: accents, vowels, joiners. A script needs some; dozens of them pile up
// over the rows around in many terminals, and thousands keep one busy. So there are a few on each
// character, and U+FFFD says that there were more.

import LineProtocol

enum Marks {
  private static let accentsMax = StackedMarks.most
  /// What is not drawn by itself: the flag of a country that is made of tags has six.
  private static let invisiblesMax = 16

  /// `text` with no more marks on a character than are good for the rows around.
  static func bounded(_ text: String) -> String {
    // Below U+0300 there are none.
    if text.utf8.allSatisfy({ $0 < 0xCC }) { return text }
    var result = ""
    var accents = 0
    var invisibles = 0
    var isCut = false
    for scalar in text.unicodeScalars {
      guard displayWidth(of: scalar) == 0 else {
        (accents, invisibles, isCut) = (0, 0, false)
        result.unicodeScalars.append(scalar)
        continue
      }
      switch scalar.properties.generalCategory {
      case .nonspacingMark, .enclosingMark: accents += 1
      default: invisibles += 1
      }
      if accents <= accentsMax && invisibles <= invisiblesMax && !isCut {
        result.unicodeScalars.append(scalar)
      } else if !isCut {
        isCut = true
        result += "\u{FFFD}"
      }
    }
    return result
  }
}
