// The names of members and groups: plain bytes in machine words, validated once, without memory
// of their own, so that a name can be read from a line, looked up and written without a String.
//
// A name is kept as it was first written, and compared without regard to case. The fold of a word,
// x | ((x & 0x4040…40) >> 1), maps A…Z to a…z and "_" to DEL, which no name holds; digits, "." and
// "-" stay: one-to-one on what is allowed, so folded words are equal exactly where the names are.
// Unused bytes are zero, and no name holds a zero, so a zero word is behind the end.

/// Up to `8 * wordCount` name bytes; the first of a word is the lowest on every machine.
@usableFromInline
struct NameWords<let wordCount: Int>: Sendable {
  @usableFromInline var words: [wordCount of UInt64] = .init(repeating: 0)

  /// The bytes must all be name bytes, and not too many; nil otherwise.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= 8 * wordCount else { return nil }
    var word: UInt64 = 0
    for at in 0..<bytes.count {
      let byte = bytes[at]
      guard NameWords.allows(byte) else { return nil }
      word |= UInt64(byte) << UInt64(8 * (at & 7))
      if at & 7 == 7 {
        words[at >> 3] = word
        word = 0
      }
    }
    if bytes.count & 7 != 0 { words[bytes.count >> 3] = word }
  }

  /// Letters, digits, "_", "." and "-": a bit for each of the 128 ASCII characters.
  @inline(__always)
  private static func allows(_ byte: UInt8) -> Bool {
    let bits: UInt64 =
      byte < 64
      ? 0b0000_0011_1111_1111_0110_0000_0000_0000 << 32
      : 0b0000_0111_1111_1111_1111_1111_1111_1110_1000_0111_1111_1111_1111_1111_1111_1110
    return byte < 128 && (bits >> UInt64(byte & 63)) & 1 == 1
  }

  @inlinable @inline(__always)
  static func fold(_ word: UInt64) -> UInt64 { word | ((word & 0x4040_4040_4040_4040) >> 1) }

  @inlinable
  static func == (left: NameWords, right: NameWords) -> Bool {
    for at in 0..<wordCount {
      if fold(left.words[at]) != fold(right.words[at]) { return false }
      if left.words[at] == 0 { return true }
    }
    return true
  }

  @inlinable
  static func < (left: NameWords, right: NameWords) -> Bool {
    for at in 0..<wordCount {
      let (one, other) = (fold(left.words[at]), fold(right.words[at]))
      if one != other { return one.byteSwapped < other.byteSwapped }
    }
    return false
  }

  @inlinable
  func hash(into hasher: inout Hasher) {
    hasher.combine(NameWords.fold(words[0]))
    for at in 1..<wordCount {
      if words[at] == 0 { return }
      hasher.combine(NameWords.fold(words[at]))
    }
  }

  @inlinable
  func isIdentical(to other: NameWords) -> Bool {
    for at in 0..<wordCount where words[at] != other.words[at] { return false }
    return true
  }

  @inlinable
  var byteCount: Int {
    for at in 0..<wordCount {
      let unused = words[at].leadingZeroBitCount >> 3
      if unused > 0 { return 8 * at + 8 - unused }
    }
    return 8 * wordCount
  }

  /// Writes all words, of which `byteCount` bytes count.
  func write(to place: UnsafeMutableRawPointer) -> Int {
    for at in 0..<wordCount {
      place.storeBytes(of: words[at].littleEndian, toByteOffset: 8 * at, as: UInt64.self)
    }
    return byteCount
  }
}

/// The name of a member: a letter, then up to 31 letters, digits, `_`, `.` or `-`; not `relay`,
/// which is a place. Names that differ in case alone are equal; each is shown as first written.
public struct MemberName: Hashable, Sendable, CustomStringConvertible, Comparable, WireWord {
  @usableFromInline let words: NameWords<4>

  static let byteCountMax = WireLimits.memberNameBytes

  /// The name that `text` writes, or nil if it is none.
  public init?(_ text: some StringProtocol) {
    guard let name = withBytes(of: text, { MemberName(bytes: $0) }) else { return nil }
    self = name
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first, (first >= 65 && first <= 90) || (first >= 97 && first <= 122),
      let words = NameWords<4>(bytes), !bytes.isLike("relay")
    else { return nil }
    self.words = words
  }

  /// The name as it was first written.
  public var description: String { text }

  package var byteCount: Int { words.byteCount }

  /// Equal with its case, too.
  package func isWrittenLike(_ other: MemberName) -> Bool { words.isIdentical(to: other.words) }

  /// Equal, the case of letters set aside.
  @inlinable
  public static func == (left: MemberName, right: MemberName) -> Bool { left.words == right.words }

  /// In the order of the lower-case names.
  @inlinable
  public static func < (left: MemberName, right: MemberName) -> Bool { left.words < right.words }

  /// The same for names that differ in case alone.
  @inlinable
  public func hash(into hasher: inout Hasher) { words.hash(into: &hasher) }

  func write(to place: UnsafeMutableRawPointer) -> Int { words.write(to: place) }
}

/// The name of a group: 1 to 64 letters, digits, `_`, `.` or `-`. A leading `#` is accepted and
/// dropped, out of courtesy to those who come from IRC. Case is treated as in `MemberName`.
public struct GroupName: Hashable, Sendable, CustomStringConvertible, Comparable, WireWord {
  @usableFromInline let words: NameWords<8>

  static let byteCountMax = WireLimits.groupNameBytes

  /// The name that `text` writes, or nil if it is none.
  public init?(_ text: some StringProtocol) {
    guard let name = withBytes(of: text, { GroupName(bytes: $0) }) else { return nil }
    self = name
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    let plain = bytes.first == 0x23 ? UnsafeRawBufferPointer(rebasing: bytes.dropFirst()) : bytes
    guard plain.count > 0, let words = NameWords<8>(plain) else { return nil }
    self.words = words
  }

  /// A member's name is written like a group's.
  package init(_ name: MemberName) {
    self.words = NameWords<8>(widening: name.words)
  }

  /// The name as it was first written, without a `#`.
  public var description: String { text }

  package var byteCount: Int { words.byteCount }

  /// Equal with its case, too.
  package func isWrittenLike(_ other: GroupName) -> Bool { words.isIdentical(to: other.words) }

  /// Equal, the case of letters set aside.
  @inlinable
  public static func == (left: GroupName, right: GroupName) -> Bool { left.words == right.words }

  /// In the order of the lower-case names.
  @inlinable
  public static func < (left: GroupName, right: GroupName) -> Bool { left.words < right.words }

  /// The same for names that differ in case alone.
  @inlinable
  public func hash(into hasher: inout Hasher) { words.hash(into: &hasher) }

  func write(to place: UnsafeMutableRawPointer) -> Int { words.write(to: place) }
}

extension NameWords {
  /// The same bytes in more words; `other` must not have more words than this.
  init<let fewer: Int>(widening other: NameWords<fewer>) {
    for at in 0..<min(fewer, wordCount) { words[at] = other.words[at] }
  }
}
