// A line's words -> a Message. One case per verb says what stands behind it; what is wrong is
// refused with the code for programs, the verb, and a text from which a person learns the right
// form. Verbs of replies and data lines are held to the same rules.

extension Message {
  /// Reads what `view` has taken apart.
  package init(_ view: LineView) throws(Refusal) {
    guard let verb = view.verb else {
      let word = view.bytes.part(view.verbWord)
      throw Refusal(.unknownVerb, "\(Quote(word)) is no verb; HELP lists those there are")
    }
    var words = Words(view, verb)
    let tags = try words.tags()
    let source = try words.source()
    let content = try Content(&words, isDelivery: source != nil)
    self.init(unchecked: tags, source, content)
  }
}

extension Message.Content {
  /// What a request says whose tags and source have been dealt with.
  package init(request view: LineView) throws(Refusal) {
    guard let verb = view.verb else {
      preconditionFailure("a line without one of the verbs is no request")
    }
    var words = Words(view, verb)
    try self.init(&words, isDelivery: false)
  }

  fileprivate init(_ words: inout Words, isDelivery: Bool) throws(Refusal) {
    switch words.verb {
    case .nick:
      self = .nick(try words.memberName())
      try words.end()
    case .join:
      let group = try words.group()
      if isDelivery {
        self = .join(group, reason: words.text())
      } else {
        self = .join(group, try words.placement())
        try words.end()
      }
    case .leave:
      let group = try words.group()
      self = .leave(group, reason: isDelivery ? words.text() : nil)
      if !isDelivery { try words.end() }
    case .msg:
      self = .msg(try words.group(), try words.message())
    case .pm:
      self = .pm(try words.recipient(), try words.message())
    case .ack:
      self = .ack(try words.destination(), try words.messageID())
      try words.end()
    case .members:
      self = .members(try words.group())
      try words.end()
    case .groups:
      self = .groups
      try words.end()
    case .stats:
      self = .stats
      try words.end()
    case .quit:
      // A parting word, as in IRC, is no reason to stay.
      self = .quit
    case .forget:
      self = .forget(try words.memberName(), try words.optionalGroup())
      try words.end()
    case .ping:
      self = .ping(words.text())
    case .pong:
      self = .pong(words.text())
    case .help:
      self = .help(words.text())
    case .wait:
      let seconds = try words.number(upTo: WireLimits.waitSeconds)
      self = .wait(seconds: seconds, count: try words.optionalNumber(1...WireLimits.waitCount))
      try words.end()
    case .ok:
      self = .ok(try words.answeredVerb(), words.text() ?? "")
    case .err:
      self = .err(try words.refusal())
    case .info:
      self = .info(words.text() ?? "")
    case .member:
      self = .member(try words.group(), try words.member(), attributes: words.rest())
    case .group:
      self = .group(try words.group(), try words.number(upTo: .max))
      try words.end()
    case .stat:
      self = .stat(try words.word(), words.text() ?? "")
    }
  }
}

/// The words of one line, each taken as what the verb expects there.
private struct Words {
  private var view: LineView
  let verb: Verb

  init(_ view: LineView, _ verb: Verb) {
    self.view = view
    self.verb = verb
  }

  func tags() throws(Refusal) -> Tags {
    do {
      return try Tags.parse(view.bytes.part(view.tags))
    } catch {
      throw refusal(error.code, error.text)
    }
  }

  func source() throws(Refusal) -> Member? {
    guard !view.source.isEmpty else { return nil }
    let bytes = view.bytes.part(view.source)
    guard let source = Member(bytes: bytes) else {
      throw refusal(
        .badSyntax,
        ":\(Quote(bytes)) is no source; it is written :name@relay or :name@address:port")
    }
    return source
  }

  /// Nothing may follow.
  func end() throws(Refusal) {
    guard view.textIsBlank() else { throw wrongForm }
  }

  mutating func word() throws(Refusal) -> String {
    String(decoding: try take(), as: UTF8.self)
  }

  mutating func rest() -> [String] {
    var words: [String] = []
    while let word = view.word() { words.append(String(decoding: word, as: UTF8.self)) }
    return words
  }

  /// The rest of the line; nil if there is none.
  func text() -> String? {
    let text = view.text()
    return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
  }

  /// The rest of the line, which must say something.
  func message() throws(Refusal) -> String {
    guard !view.textIsBlank(), let text = text() else { throw wrongForm }
    return text
  }

  mutating func memberName() throws(Refusal) -> MemberName {
    let word = try take()
    guard let name = MemberName(bytes: word) else { throw badName(word) }
    return name
  }

  mutating func group() throws(Refusal) -> GroupName {
    let word = try take()
    guard let group = GroupName(bytes: word) else {
      throw refusal(
        .badGroup,
        "\(Quote(word)) is no group's name; use 1 to \(WireLimits.groupNameBytes) letters, digits, "
          + "_ . or -")
    }
    return group
  }

  mutating func optionalGroup() throws(Refusal) -> GroupName? {
    view.textIsBlank() ? nil : try group()
  }

  mutating func placement() throws(Refusal) -> Placement? {
    guard let word = view.word() else { return nil }
    guard let placement = Placement(bytes: word) else { throw badAddress(word) }
    return placement
  }

  mutating func recipient() throws(Refusal) -> Recipient {
    let word = try take()
    if let recipient = Recipient(bytes: word) { return recipient }
    throw word.contains(0x3A) ? badAddress(word) : badName(word)
  }

  mutating func destination() throws(Refusal) -> Destination {
    let word = try take()
    if let destination = Destination(bytes: word) { return destination }
    throw word.contains(0x3A) ? badAddress(word) : badName(word)
  }

  mutating func member() throws(Refusal) -> Member {
    guard let member = Member(bytes: try take()) else { throw wrongForm }
    return member
  }

  mutating func messageID() throws(Refusal) -> MessageID {
    guard let identifier = MessageID(bytes: try take()) else { throw wrongForm }
    return identifier
  }

  mutating func number(upTo limit: Int) throws(Refusal) -> Int {
    guard let number = try take().decimal(upTo: UInt64(limit)) else { throw wrongForm }
    return Int(number)
  }

  mutating func optionalNumber(_ range: ClosedRange<Int>) throws(Refusal) -> Int? {
    guard !view.textIsBlank() else { return nil }
    let number = try number(upTo: range.upperBound)
    guard number >= range.lowerBound else { throw wrongForm }
    return number
  }

  mutating func answeredVerb() throws(Refusal) -> Verb {
    guard let verb = Verb(bytes: try take()) else { throw wrongForm }
    return verb
  }

  /// What an `ERR` says. A code that is not known here comes from a later version: it is taken as
  /// `internal`, so that nothing is given up because of it, and kept in the text.
  mutating func refusal() throws(Refusal) -> Refusal {
    let code = try word()
    let verb = Verb(bytes: try take())
    let text = text() ?? ""
    guard let known = ErrorCode(rawValue: code) else {
      return Refusal(.internalError, verb, "\(code): \(text)")
    }
    return Refusal(known, verb, text)
  }

  private mutating func take() throws(Refusal) -> UnsafeRawBufferPointer {
    guard let word = view.word() else { throw wrongForm }
    return word
  }
}

// What a person is told.
extension Words {
  private func refusal(_ code: ErrorCode, _ text: String) -> Refusal { Refusal(code, verb, text) }

  private var wrongForm: Refusal { refusal(.badSyntax, verb.form) }

  private func badName(_ word: UnsafeRawBufferPointer) -> Refusal {
    if word.isLike("relay") {
      return refusal(.badName, "relay is a place and no name; choose another")
    }
    return refusal(
      .badName,
      "\(Quote(word)) is no name; use a letter, then up to \(WireLimits.memberNameBytes - 1) "
        + "letters, digits, _ . or -")
  }

  private func badAddress(_ word: UnsafeRawBufferPointer) -> Refusal {
    if Endpoint.port(word) != nil {
      return refusal(.badAddress, "a port alone is written :\(Quote.plain(word))")
    }
    if let address = IPAddress(bytes: word) {
      return refusal(
        .badAddress,
        "an address needs its port: \(address.isIPv4 ? "\(address)" : "[\(address)]"):5001"
      )
    }
    return refusal(
      .badAddress,
      "\(Quote(word)) is no address; write 10.0.0.2:5001 or [2001:db8::2]:5001, with a port from 1 "
        + "to 65535 (names are not looked up)")
  }
}

extension Verb {
  /// What stands behind the verb, for a person.
  package var form: String {
    switch self {
    case .nick: "NICK takes one name: NICK <name>"
    case .join: "JOIN takes a group, and a place if you like: JOIN <group> [<address>|relay]"
    case .leave: "LEAVE takes one group: LEAVE <group>"
    case .msg: "MSG takes a group and a text: MSG <group> <text>"
    case .pm: "PM takes a name or an address, and a text: PM <peer> <text>"
    case .ack: "ACK takes a destination and a message's id: ACK <destination> <msgid>"
    case .members: "MEMBERS takes one group: MEMBERS <group>"
    case .groups: "GROUPS stands alone: GROUPS"
    case .ping: "PING takes a word if you like: PING [<token>]"
    case .help: "HELP takes a verb if you like: HELP [<verb>]"
    case .stats: "STATS stands alone: STATS"
    case .wait:
      "WAIT takes seconds up to \(WireLimits.waitSeconds), and a number of messages if you like: "
        + "WAIT <seconds> [<count>]"
    case .quit: "QUIT stands alone: QUIT"
    case .forget: "FORGET takes a name, and a group if you like: FORGET <name> [<group>]"
    case .ok: "OK takes the verb it answers: OK <verb> ..."
    case .err: "ERR takes a code and the verb it answers: ERR <code> <verb> <text>"
    case .pong: "PONG takes the token of its PING: PONG [<token>]"
    case .info: "INFO takes a text: INFO <text>"
    case .member: "MEMBER takes a group and a member: MEMBER <group> <name>@<place> ..."
    case .group: "GROUP takes a group and a count: GROUP <group> <count>"
    case .stat: "STAT takes a key and a value: STAT <key> <value>"
    }
  }
}
