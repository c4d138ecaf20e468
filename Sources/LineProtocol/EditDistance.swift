// How far a mistyped word is from a right one.

/// Edits between two short words, a swap of neighbours counting once (optimal string alignment, after
/// Damerau, 1964).
package func editDistance(_ one: [UInt8], _ other: [UInt8]) -> Int {
  guard !one.isEmpty, !other.isEmpty else { return max(one.count, other.count) }
  var before: [Int] = []
  var above = Array(0...other.count)
  for row in 1...one.count {
    var line = [row]
    for column in 1...other.count {
      var least = min(
        above[column] + 1, line[column - 1] + 1,
        above[column - 1] + (one[row - 1] == other[column - 1] ? 0 : 1))
      if row > 1 && column > 1 && one[row - 1] == other[column - 2]
        && one[row - 2] == other[column - 1]
      {
        least = min(least, before[column - 2] + 1)
      }
      line.append(least)
    }
    (before, above) = (above, line)
  }
  return above[other.count]
}
