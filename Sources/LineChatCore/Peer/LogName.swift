// Which of a node's readable logs a record of its journal belongs to. A log holds the records of one
// group, or of one other person, as they stand in the journal, without the checksum:
//
//     log/lobby.log    what was said in lobby, and who came, went and was renamed
//     log/@alice.log   what alice and this node said to each other
//
// Names that differ in case alone are the same here as everywhere, so a file has its name in lower
// case. A log that has grown too large goes on in a new file, and the old one gets a number behind
// its name (`lobby.log.1`), the higher the newer. No name of a group or person ends in a number and
// still in `.log`, so none of these can be another's.

import LineProtocol

package enum LogName: Hashable, Sendable, CustomStringConvertible {
  case group(GroupName)
  case person(MemberName)
  /// Somebody who was written to at an address, and has no name here.
  case address(Endpoint)

  package init(_ conversation: Conversation) {
    switch conversation {
    case .group(let name): self = .group(name)
    case .person(let name): self = .person(name)
    }
  }

  /// The log that a record belongs to; nil where it belongs to none (`ACK`, `MEMBER` and others that
  /// nobody said or did).
  package init?(record: Message) {
    let buffer = ByteBuffer()
    record.render(into: buffer)
    self.init(record: buffer.bytes.clamped(0..<buffer.count - 1))
  }

  /// As above, from a record's bytes without LF. It makes no String.
  package init?(record: UnsafeRawBufferPointer) {
    guard var view = try? LineView(record), let verb = view.verb, !view.source.isEmpty else {
      return nil
    }
    switch verb {
    case .msg, .join, .leave:
      // Of a leave that is asked for it is said when it is done.
      guard LogName.tag("asked", in: view) == nil else { return nil }
      guard let group = view.word().flatMap({ GroupName(bytes: $0) }) else { return nil }
      self = .group(group)
    case .nick:
      guard let group = LogName.tag("group", in: view).flatMap({ GroupName(bytes: $0) }) else {
        return nil
      }
      self = .group(group)
    case .pm:
      // Whether we heard it or said it is not told by the source: our own name changes.
      if LogName.tag("heard", in: view) != nil {
        guard let source = Member(bytes: record.clamped(view.source)) else { return nil }
        self = .person(source.name)
      } else {
        guard let word = view.word(), let name = LogName(recipient: word) else { return nil }
        self = name
      }
    case .ack, .members, .groups, .ping, .help, .stats, .wait, .quit, .forget, .ok, .err, .pong,
      .info, .member, .group, .stat:
      return nil
    }
  }

  private init?(recipient: UnsafeRawBufferPointer) {
    switch Recipient(bytes: recipient) {
    case .name(let name): self = .person(name)
    case .member(let member): self = .person(member.name)
    case .endpoint(let endpoint): self = .address(endpoint)
    case nil: return nil
    }
  }

  /// The value of a tag, with its escapes; names have none.
  private static func tag(_ key: StaticString, in view: LineView) -> UnsafeRawBufferPointer? {
    var tags = TagView(view.bytes.clamped(view.tags))
    var value: UnsafeRawBufferPointer?
    while let tag = try? tags.next() {
      if tag.key.count == key.utf8CodeUnitCount && tag.key.begins(with: key) { value = tag.value }
    }
    return value
  }

  /// `lobby`, `@alice`, `@10.0.0.2:5001`.
  package var description: String {
    switch self {
    case .group(let name): name.description
    case .person(let name): "@\(name)"
    case .address(let endpoint): "@\(endpoint)"
    }
  }

  /// The name of the file that is being written: `lobby.log`.
  package var file: String { "\(self)".lowercased() + ".log" }
}

// The names of files.
extension LogName {
  /// The log whose file that is, and the file's number; nil for the name of anything else. The file
  /// that is being written has no number.
  package static func parse(file: String) -> (name: LogName, number: Int?)? {
    var stem = file[...]
    var number: Int?
    if !stem.hasSuffix(".log") {
      guard let dot = stem.lastIndex(of: "."), let parsed = Int(stem[stem.index(after: dot)...]),
        parsed > 0, stem[dot...] == ".\(parsed)"
      else { return nil }
      number = parsed
      stem = stem[..<dot]
    }
    guard stem.hasSuffix(".log"), let name = LogName(stem: stem.dropLast(4)),
      name.file == stem
    else { return nil }
    return (name, number)
  }

  private init?(stem: Substring) {
    if !stem.hasPrefix("@") {
      guard !stem.hasPrefix("#"), let group = GroupName(stem) else { return nil }
      self = .group(group)
    } else if let name = MemberName(stem.dropFirst()) {
      self = .person(name)
    } else if let endpoint = Endpoint(stem.dropFirst()) {
      self = .address(endpoint)
    } else {
      return nil
    }
  }

  /// `lobby.log.3`
  package func file(numbered number: Int) -> String { "\(file).\(number)" }
}
