// What a typed line is: something to be said, a command, or something that looks like one and is not.

import LineProtocol

enum TypedLine: Hashable {
  case blank
  /// To be said, without the slash that is doubled at its beginning.
  case text(String)
  /// The arguments begin and end without blanks.
  case command(ShellCommand, arguments: String)
  /// The word without its slash, as it was typed.
  case unknown(word: String, arguments: String)
  /// Blanks before a command: said as it stands, it would tell everybody what is for one.
  case slipped(String)

  init(_ line: String) {
    let text = line.droppingBlanks
    guard !text.isEmpty else {
      self = .blank
      return
    }
    guard text.first == "/" else {
      self = .text(String(line.trimmedEnd))
      return
    }
    guard !text.hasPrefix("//") else {
      self = .text(String(text.dropFirst().trimmedEnd))
      return
    }
    let word = text.dropFirst().prefix { $0 != " " && $0 != "\t" }
    let arguments = String(text.dropFirst(1 + word.count).trimmed)
    let isAtStart = line.first == "/"
    guard let command = ShellCommand(named: word) else {
      self = isAtStart ? .unknown(word: String(word), arguments: arguments) : .slipped(String(text))
      return
    }
    self = isAtStart ? .command(command, arguments: arguments) : .slipped(String(text))
  }
}

extension StringProtocol {
  /// Without the blanks and tabs at its beginning.
  var droppingBlanks: SubSequence { drop { $0 == " " || $0 == "\t" } }

  /// Without those at its end.
  var trimmedEnd: SubSequence {
    var end = endIndex
    while end > startIndex {
      let before = index(before: end)
      guard self[before] == " " || self[before] == "\t" else { break }
      end = before
    }
    return self[..<end]
  }

  var trimmed: SubSequence { droppingBlanks.trimmedEnd }

  /// The first word, and what stands behind it and its blanks.
  var firstWord: (word: String, rest: String) {
    let text = trimmed
    let word = text.prefix { $0 != " " && $0 != "\t" }
    return (String(word), String(text[word.endIndex...].droppingBlanks))
  }
}

/// A request of the protocol that was typed by habit, as those who know netcat do.
struct HabitualRequest: Hashable {
  /// The command that does the same here.
  let command: String

  /// Nil where the line is to be said. A verb in capitals is a request; one in small letters only where
  /// nothing else makes sense, because "join us" is a sentence.
  init?(_ line: String, isKnownGroup: (GroupName) -> Bool, isKnownPeer: (Recipient) -> Bool) {
    let text = String(line.trimmed)
    guard let first = text.unicodeScalars.first, first != "@", first != ":" else { return nil }
    let (word, rest) = text.firstWord
    let isLoud = word == word.uppercased() && word.utf8.count > 1
    guard let verb = Verb(word) else {
      guard word.lowercased() == "exit", rest.isEmpty else { return nil }
      command = "/quit"
      return
    }
    guard let content = try? Message(parsing: text).content else {
      guard isLoud, let form = HabitualRequest.form(of: verb) else { return nil }
      command = form
      return
    }
    guard let command = HabitualRequest.command(for: content) else { return nil }
    let isMeant: Bool =
      switch content {
      case .quit, .help(nil): rest.isEmpty
      case .join(let group, _, _), .leave(let group, _), .members(let group):
        !rest.contains(" ") && isKnownGroup(group)
      case .msg(let group, _): isKnownGroup(group)
      case .pm(let peer, _): isKnownPeer(peer)
      default: false
      }
    guard isLoud || isMeant else { return nil }
    self.command = command
  }

  private static func command(for content: Message.Content) -> String? {
    switch content {
    case .join(let group, _, _): "/join \(group)"
    case .leave(let group, _): "/leave \(group)"
    case .msg(let group, let text): "/msg #\(group) \(text)"
    case .pm(let recipient, let text): "/pm \(recipient) \(text)"
    case .nick(let name): "/nick \(name)"
    case .members(let group): "/members \(group)"
    case .groups: "/groups"
    case .help: "/help"
    case .stats: "/status"
    case .quit: "/quit"
    case .ack, .ping, .wait, .forget, .ok, .err, .pong, .info, .member, .group, .stat: nil
    }
  }

  /// Where what stands behind the verb makes no request.
  private static func form(of verb: Verb) -> String? {
    switch verb {
    case .join: "/join"
    case .leave: "/leave"
    case .msg: "/msg"
    case .pm: "/pm"
    case .nick: "/nick"
    case .members: "/members"
    case .groups: "/groups"
    case .help: "/help"
    case .stats: "/status"
    case .quit: "/quit"
    case .ack, .ping, .wait, .forget, .ok, .err, .pong, .info, .member, .group, .stat: nil
    }
  }
}
