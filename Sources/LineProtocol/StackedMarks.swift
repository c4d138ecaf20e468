// Marks that are set on a character: accents, vowels. A script needs some; dozens of them pile up over
// the rows around in many terminals.

/// Counts the marks on each character of a text, as it goes by.
package struct StackedMarks {
  /// A Hebrew letter of the Bible may have five.
  package static let most = 5

  private var count = 0

  package init() {}

  /// Whether the next scalar is a mark too many on its character.
  package mutating func isTooMany(_ scalar: Unicode.Scalar) -> Bool {
    // Below it there are none.
    guard scalar.value >= 0x300 else {
      count = 0
      return false
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark:
      count += 1
      return count > StackedMarks.most
    // A joiner between two marks begins no character.
    case .format: return false
    default:
      count = 0
      return false
    }
  }
}
