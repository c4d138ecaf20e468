// The numbers that order things between nodes: a message's place in its sender's stream, and a
// roster's version. Both are two 64-bit numbers with a dot between them; nothing else is read.

/// `<stream>.<seq>`: 64 random bits, one per sender's data directory and destination, and a number
/// that rises by one with each message.
public struct MessageID: Hashable, Sendable, CustomStringConvertible, WireWord {
  /// Whose messages are counted.
  public var stream: UInt64

  /// The message among them: 1 or more. In a receipt 0 says that nothing of the stream was taken yet.
  public var sequence: UInt64

  static let byteCountMax = 16 + 1 + 20

  /// Nil if `sequence` is 0.
  public init?(stream: UInt64, sequence: UInt64) {
    guard sequence > 0 else { return nil }
    self.stream = stream
    self.sequence = sequence
  }

  /// What a receipt names where nothing of a stream has been taken.
  public static func nothing(of stream: UInt64) -> MessageID { MessageID(unchecked: stream, 0) }

  private init(unchecked stream: UInt64, _ sequence: UInt64) {
    self.stream = stream
    self.sequence = sequence
  }

  /// The identifier that `text` writes (`00c0ffee00c0ffee.17`), or nil.
  public init?(_ text: some StringProtocol) {
    guard let identifier = withBytes(of: text, { MessageID(bytes: $0) }) else { return nil }
    self = identifier
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 18, bytes[16] == 0x2E,
      let sequence = bytes.part(17..<bytes.count).decimal()
    else { return nil }
    var stream: UInt64 = 0
    for byte in bytes.part(0..<16) {
      guard let digit = hexadecimalDigit(byte), byte < 65 || byte > 70 else { return nil }
      stream = stream << 4 | UInt64(digit)
    }
    self.init(unchecked: stream, sequence)
  }

  /// Sixteen lower-case hexadecimal digits, a dot, a decimal number.
  public var description: String { text }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    var count = place.write(hexadecimal: stream, digits: 16)
    count += (place + count).write(byte: 0x2E)
    return count + (place + count).write(decimal: sequence)
  }
}

/// `<start>.<n>`: when the server that numbers a roster started, and its changes since.
public struct RosterVersion: Hashable, Sendable, CustomStringConvertible, Comparable, WireWord {
  /// The server's start: rises with each of them.
  public var start: UInt64

  /// The changes since then.
  public var number: UInt64

  static let byteCountMax = 20 + 1 + 20

  /// A version of these two parts; any two go together.
  public init(start: UInt64, number: UInt64) {
    self.start = start
    self.number = number
  }

  /// The version that `text` writes (`1700000000.3`), or nil.
  public init?(_ text: some StringProtocol) {
    guard let version = withBytes(of: text, { RosterVersion(bytes: $0) }) else { return nil }
    self = version
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    guard let dot = bytes.place(of: 0x2E),
      let start = bytes.part(0..<dot).decimal(),
      let number = bytes.part(dot + 1..<bytes.count).decimal()
    else { return nil }
    self.init(start: start, number: number)
  }

  /// Two decimal numbers with a dot between them.
  public var description: String { text }

  /// A later start is later, whatever the numbers.
  public static func < (left: RosterVersion, right: RosterVersion) -> Bool {
    (left.start, left.number) < (right.start, right.number)
  }

  /// Whether it is the next one after that: of the same start, and with no change between them.
  package func follows(_ other: RosterVersion) -> Bool {
    start == other.start && number > other.number && number - other.number == 1
  }

  /// Whether it is an older one than that, of the same start. Of two starts the numbers say nothing.
  package func isBehind(_ other: RosterVersion) -> Bool {
    start == other.start && number < other.number
  }

  func write(to place: UnsafeMutableRawPointer) -> Int {
    var count = place.write(decimal: start)
    count += (place + count).write(byte: 0x2E)
    return count + (place + count).write(decimal: number)
  }
}
