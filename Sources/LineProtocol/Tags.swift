// Tags: what programs say to each other before a line, `@label=7;msgid=00c0ffee00c0ffee.17 `.
// `TagView` walks over them in place, for the hot path; `Tags` holds them as strings, in order.
//
//   tags = tag *( ";" tag ) ; at most 64, the last of a name wins
//   tag  = key "=" value    ; key = 1*( ALPHA / DIGIT / "-" / "." / "/" / "+" / "_" )
//
// Values are escaped as in IRCv3: `\:` is ";", `\s` a space, `\\` a backslash, `\r` and `\n` CR and
// LF; a backslash before anything else, or at the end, is dropped. Unknown tags are kept.

/// One pass over the tags of a line, between "@" and the space, without copying them.
package struct TagView {
  private let bytes: UnsafeRawBufferPointer
  private var cursor = 0
  private var count = 0

  /// `bytes` are those of `LineView.tags`; none at all are no tags.
  package init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  /// The next tag, its value still escaped; nil behind the last. The rules are checked on the way.
  package mutating func next() throws(Refusal) -> (
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  )? {
    guard !bytes.isEmpty, cursor <= bytes.count else { return nil }
    count += 1
    guard count <= WireLimits.tags else {
      throw Refusal(.badSyntax, "a line has at most \(WireLimits.tags) tags")
    }
    let end = bytes.place(of: 0x3B, from: cursor) ?? bytes.count
    guard let equals = bytes.place(of: 0x3D, from: cursor), equals < end else {
      throw Refusal(.badSyntax, "a tag is written key=value; ; stands between two of them")
    }
    let key = bytes.part(cursor..<equals)
    let value = bytes.part(equals + 1..<end)
    guard Tags.isKey(key) else {
      throw Refusal(.badSyntax, "a tag's key is made of letters, digits, - . / + and _")
    }
    if key.isLike("label"), value.count > WireLimits.labelBytes {
      throw Refusal(.badSyntax, "a label has at most \(WireLimits.labelBytes) bytes")
    }
    cursor = end + 1
    return (key, value)
  }
}

/// The tags of a line: pairs of a key and a value, in the order of the line.
public struct Tags: Hashable, Sendable, Sequence {
  /// One tag, its value not escaped.
  public struct Tag: Hashable, Sendable {
    /// As it was written; keys are told apart by case.
    public let key: String

    /// What it says, its escapes resolved.
    public fileprivate(set) var value: String
  }

  private var tags: [Tag] = []

  /// No tags.
  public init() {}

  /// There are none.
  public var isEmpty: Bool { tags.isEmpty }

  /// How many there are: at most 64.
  public var count: Int { tags.count }

  /// One after the other, in the order of the line.
  public func makeIterator() -> IndexingIterator<[Tag]> { tags.makeIterator() }

  /// The value of a tag; nil if there is none of that name. Setting nil takes the tag out. A tag
  /// that could not be sent is not taken: a key that is none, a 65th, or a value with characters
  /// that a line refuses (CR and LF are escaped and therefore fine).
  public subscript(key: String) -> String? {
    get { tags.first { $0.key == key }?.value }
    set {
      guard let value = newValue else { return tags.removeAll { $0.key == key } }
      guard Tags.canSend(key, value) else { return }
      set(key, value)
    }
  }

  private mutating func set(_ key: String, _ value: String) {
    if let at = tags.firstIndex(where: { $0.key == key }) {
      tags[at].value = value
    } else if tags.count < WireLimits.tags {
      tags.append(Tag(key: key, value: value))
    }
  }

  /// The tags in `bytes`, which stand between "@" and the space.
  package static func parse(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> Tags {
    var tags = Tags()
    var view = TagView(bytes)
    while let (key, value) = try view.next() {
      tags.set(String(decoding: key, as: UTF8.self), Tags.unescape(value))
    }
    return tags
  }

  /// What `render` appends.
  package var byteCount: Int {
    let buffer = ByteBuffer()
    render(into: buffer)
    return buffer.count
  }

  /// Appends `@key=value;key=value ` with its space; nothing if there are no tags.
  package func render(into buffer: ByteBuffer) {
    var separator: UInt8 = 0x40
    for tag in tags {
      buffer.append(byte: separator)
      buffer.append(tag.key)
      buffer.append(byte: 0x3D)
      Tags.escape(tag.value, into: buffer)
      separator = 0x3B
    }
    if !tags.isEmpty { buffer.append(byte: 0x20) }
  }

  static func isKey(_ bytes: UnsafeRawBufferPointer) -> Bool {
    !bytes.isEmpty
      && bytes.allSatisfy { byte in
        switch byte {
        case 0x2B, 0x2D...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        default: false
        }
      }
  }

  private static func canSend(_ key: String, _ value: String) -> Bool {
    guard withBytes(of: key, { isKey($0) }) else { return false }
    let buffer = ByteBuffer()
    escape(value, into: buffer)
    return TextCheck.firstFault(in: buffer.bytes) == nil
  }

  /// A tag's value with its escapes resolved; nil where there are none, and it is as it stands.
  package static func unescaped(_ value: UnsafeRawBufferPointer) -> [UInt8]? {
    value.place(of: 0x5C) == nil ? nil : Array(unescape(value).utf8)
  }

  private static func unescape(_ value: UnsafeRawBufferPointer) -> String {
    guard value.contains(0x5C) else { return String(decoding: value, as: UTF8.self) }
    var plain: [UInt8] = []
    plain.reserveCapacity(value.count)
    var isEscaped = false
    for byte in value {
      if isEscaped {
        plain.append(unescaped(byte))
        isEscaped = false
      } else if byte == 0x5C {
        isEscaped = true
      } else {
        plain.append(byte)
      }
    }
    return String(decoding: plain, as: UTF8.self)
  }

  private static func unescaped(_ letter: UInt8) -> UInt8 {
    switch letter {
    case 0x3A: 0x3B
    case 0x73: 0x20
    case 0x72: 0x0D
    case 0x6E: 0x0A
    default: letter
    }
  }

  private static func escape(_ value: String, into buffer: ByteBuffer) {
    for byte in value.utf8 {
      switch byte {
      case 0x3B: buffer.append("\\:")
      case 0x20: buffer.append("\\s")
      case 0x5C: buffer.append("\\\\")
      case 0x0D: buffer.append("\\r")
      case 0x0A: buffer.append("\\n")
      default: buffer.append(byte: byte)
      }
    }
  }
}
