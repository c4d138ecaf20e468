// What somebody says, taken from its line once: who, where to, and the tags that a node asks for. It
// makes no String and no list of tags, as every message comes through here; the bytes are the line's.

import LineProtocol

struct HeardLine {
  enum Target {
    case group(GroupName)
    case person(Recipient)
  }

  /// Nil: whoever holds the connection.
  let source: Member?
  let target: Target
  let text: UnsafeRawBufferPointer

  // Tags; of several with one name the last counts.
  private(set) var id: MessageID?
  /// The number of the message before it that its receiver may not have.
  private(set) var prev: UInt64?
  /// When it was said, microseconds since 1970.
  private(set) var time: Int64?
  private(set) var version: RosterVersion?
  private(set) var group: GroupName?
  private(set) var label: UnsafeRawBufferPointer?

  /// Nil where the line is not a whole and right `MSG` or `PM`: a `Message` says what is wrong then.
  init?(_ line: LineView) {
    var view = line
    if view.source.isEmpty {
      source = nil
    } else {
      guard let member = Member(bytes: view.bytes.clamped(view.source)) else { return nil }
      source = member
    }
    switch view.verb {
    case .msg:
      guard let group = view.word().flatMap({ GroupName(bytes: $0) }) else { return nil }
      target = .group(group)
    case .pm:
      guard let recipient = view.word().flatMap({ Recipient(bytes: $0) }) else { return nil }
      target = .person(recipient)
    default: return nil
    }
    guard !view.textIsBlank() else { return nil }
    text = view.text()
    var tags = TagView(view.bytes.clamped(view.tags))
    do {
      while let tag = try tags.next() { take(tag.key, tag.value) }
    } catch {
      return nil
    }
  }

  private mutating func take(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if key.equals("msgid") {
      id = HeardLine.read(value) { MessageID(bytes: $0) }
    } else if key.equals("time") {
      time = HeardLine.read(value) { Timestamp.microseconds($0) }
    } else if key.equals("prev") {
      prev = HeardLine.read(value) { UInt64(String(decoding: $0, as: UTF8.self)) }
    } else if key.equals("version") {
      version = HeardLine.read(value) { RosterVersion(bytes: $0) }
    } else if key.equals("group") {
      group = HeardLine.read(value) { GroupName(bytes: $0) }
    } else if key.equals("label") {
      label = value
    }
  }

  private static func read<Value>(
    _ value: UnsafeRawBufferPointer, _ parse: (UnsafeRawBufferPointer) -> Value?
  ) -> Value? {
    guard let plain = Tags.unescaped(value) else { return parse(value) }
    return plain.withUnsafeBytes(parse)
  }

  var verb: Verb {
    switch target {
    case .group: .msg
    case .person: .pm
    }
  }

  /// What a receipt for it names.
  var destination: Destination {
    switch target {
    case .group(let group): .named(group)
    case .person(let recipient): Destination(recipient)
    }
  }

  var labelText: String? {
    label.flatMap { HeardLine.read($0) { String(decoding: $0, as: UTF8.self) } }
  }

  /// Appends the request itself: `MSG lobby hi`.
  func append(to buffer: ByteBuffer) {
    switch target {
    case .group(let group):
      buffer.append("MSG ")
      buffer.append(group)
    case .person(let recipient):
      buffer.append("PM ")
      buffer.append(recipient)
    }
    buffer.append(" ")
    buffer.append(text)
  }
}
