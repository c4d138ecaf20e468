// A line as a typed value of its own: for everybody who is not on the hot path (nodes, journals,
// tests, scripts). Whatever can be built can be sent, and is read back as itself:
//
//   parse(render(message)) == message
//
// That is not left to care: `init(tags:source:content:)` reads what it would send, and refuses what
// does not come back as it was. How a line is read is in MessageParser.swift.

/// One line: a request, a delivery (a request with its sender as source), a reply or a data line.
public struct Message: Hashable, Sendable, CustomStringConvertible {
  /// What programs say about the line, before it.
  public let tags: Tags

  /// Who caused this line; nil: whoever holds the connection.
  public let source: Member?

  /// The verb and what stands behind it.
  public let content: Content

  /// What a line says, a case for each verb. Texts are kept as they are, spaces included.
  public enum Content: Hashable, Sendable {
    case nick(MemberName)
    /// A request may name a place; a delivery may end with a text.
    case join(GroupName, Placement? = nil, reason: String? = nil)
    /// A delivery may end with a text.
    case leave(GroupName, reason: String? = nil)
    case msg(GroupName, String)
    case pm(Recipient, String)
    case ack(Destination, MessageID)
    case members(GroupName)
    case groups
    case ping(String? = nil)
    /// The request with what it asks about, and a line of the answer, too: they are written alike.
    case help(String? = nil)
    case stats
    case wait(seconds: Int, count: Int? = nil)
    case quit
    case ok(Verb, String = "")
    case err(Refusal)
    case pong(String? = nil)
    case info(String)
    case member(GroupName, Member, attributes: [String] = [])
    case group(GroupName, Int)
    case stat(String, String)
  }

  /// Throws where the parts make no line that is read back as the same: a text with a line break,
  /// a `MSG` of spaces, a request's reason, a line or tags beyond the limits.
  public init(
    tags: Tags = Tags(), source: Member? = nil, content: Content
  ) throws(Refusal) {
    self.init(unchecked: tags, source, content)
    let buffer = ByteBuffer()
    render(into: buffer)
    guard try Message(bytes: buffer.bytes) == self else {
      throw Refusal(
        .badSyntax, content.verb,
        "a \(content.verb) of these parts cannot be told from another line; see its form in HELP")
    }
  }

  /// For the parser, which has seen that the parts make a line.
  init(unchecked tags: Tags, _ source: Member?, _ content: Content) {
    self.tags = tags
    self.source = source
    self.content = content
  }

  /// Reads one line, with or without its EOL. The refusal has the code and the verb with which a
  /// server would answer it, and says what to do.
  public init(parsing text: String) throws(Refusal) {
    var text = text
    let result = text.withUTF8 { utf8 -> Result<Message, Refusal> in
      Result { () throws(Refusal) in try Message(bytes: UnsafeRawBufferPointer(utf8)) }
    }
    self = try result.get()
  }

  /// Reads one line from bytes that nobody has looked at yet.
  package init(bytes: UnsafeRawBufferPointer) throws(Refusal) {
    try self.init(LineView(LineReader.whole(bytes)))
  }

  /// The line with its LF.
  public func render() -> String {
    let buffer = ByteBuffer()
    render(into: buffer)
    return String(decoding: buffer.bytes, as: UTF8.self)
  }

  /// The line without its EOL.
  public var description: String { String(render().dropLast()) }

  /// Appends the line with its LF.
  package func render(into buffer: ByteBuffer) {
    tags.render(into: buffer)
    if let source {
      buffer.append(byte: 0x3A)
      buffer.append(source)
      buffer.append(byte: 0x20)
    }
    content.render(into: buffer, isDelivery: source != nil)
    buffer.append(byte: 0x0A)
  }
}

extension Message.Content {
  /// The verb of the line.
  public var verb: Verb {
    switch self {
    case .nick: .nick
    case .join: .join
    case .leave: .leave
    case .msg: .msg
    case .pm: .pm
    case .ack: .ack
    case .members: .members
    case .groups: .groups
    case .ping: .ping
    case .help: .help
    case .stats: .stats
    case .wait: .wait
    case .quit: .quit
    case .ok: .ok
    case .err: .err
    case .pong: .pong
    case .info: .info
    case .member: .member
    case .group: .group
    case .stat: .stat
    }
  }

  fileprivate func render(into buffer: ByteBuffer, isDelivery: Bool) {
    if case .err(let refusal) = self { return buffer.append(refusal) }
    buffer.append(verb)
    switch self {
    case .groups, .stats, .quit, .err:
      break
    case .nick(let name):
      buffer.append(byte: 0x20)
      buffer.append(name)
    case .members(let group):
      buffer.append(spaceAnd: group)
    case .join(let group, let placement, let reason):
      buffer.append(spaceAnd: group)
      if let placement, !isDelivery {
        buffer.append(byte: 0x20)
        buffer.append(placement)
      }
      if isDelivery { buffer.append(spaceAnd: reason) }
    case .leave(let group, let reason):
      buffer.append(spaceAnd: group)
      buffer.append(spaceAnd: reason)
    case .msg(let group, let text):
      buffer.append(spaceAnd: group)
      buffer.append(spaceAnd: text)
    case .pm(let recipient, let text):
      buffer.append(byte: 0x20)
      buffer.append(recipient)
      buffer.append(spaceAnd: text)
    case .ack(let destination, let identifier):
      buffer.append(byte: 0x20)
      buffer.append(destination)
      buffer.append(byte: 0x20)
      buffer.append(identifier)
    case .ping(let text), .pong(let text), .help(let text):
      buffer.append(spaceAnd: text)
    case .wait(let seconds, let count):
      buffer.append(byte: 0x20)
      buffer.append(decimal: seconds)
      if let count {
        buffer.append(byte: 0x20)
        buffer.append(decimal: count)
      }
    case .ok(let verb, let text):
      buffer.append(byte: 0x20)
      buffer.append(verb)
      buffer.append(spaceAnd: text.isEmpty ? nil : text)
    case .info(let text):
      buffer.append(spaceAnd: text)
    case .member(let group, let member, let attributes):
      buffer.append(spaceAnd: group)
      buffer.append(byte: 0x20)
      buffer.append(member)
      for attribute in attributes { buffer.append(spaceAnd: attribute) }
    case .group(let group, let count):
      buffer.append(spaceAnd: group)
      buffer.append(byte: 0x20)
      buffer.append(decimal: count)
    case .stat(let key, let value):
      buffer.append(spaceAnd: key)
      buffer.append(spaceAnd: value)
    }
  }
}

extension ByteBuffer {
  fileprivate func append(spaceAnd text: String?) {
    guard let text else { return }
    append(byte: 0x20)
    append(text)
  }

  fileprivate func append(spaceAnd group: GroupName) {
    append(byte: 0x20)
    append(group)
  }
}
