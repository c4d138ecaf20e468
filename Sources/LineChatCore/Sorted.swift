// Looking something up in what is in order.

extension RandomAccessCollection {
  /// Where the element with that key is; nil if there is none. The keys must rise. Takes a number of
  /// steps that grows with the logarithm of the count.
  func index<Key: Comparable>(of key: Key, in keyOf: (Element) -> Key) -> Index? {
    var (low, count) = (startIndex, count)
    while count > 0 {
      let half = count / 2
      let middle = index(low, offsetBy: half)
      if keyOf(self[middle]) < key {
        low = index(after: middle)
        count -= half + 1
      } else {
        count = half
      }
    }
    return low < endIndex && keyOf(self[low]) == key ? low : nil
  }
}
