// What an unknown verb is answered with: the right request for what was probably meant. People
// come from IRC, from shells with slash commands, and from typing prose.

import LineProtocol

extension Directory {
  func unknownVerb(_ view: LineView, _ session: UInt32) -> Refusal {
    let bytes = UnsafeRawBufferPointer(rebasing: view.bytes[view.verbWord])
    let word = bytes.count <= 32 ? String(decoding: bytes, as: UTF8.self) : ""
    let line = UnsafeRawBufferPointer(rebasing: view.bytes[view.verbWord.lowerBound...])
    return Refusal(
      code: .unknownVerb, verb: nil,
      text: hint(word, Quote.plain(line, upTo: Limits.hintBytes), session))
  }

  private func hint(_ word: String, _ line: String, _ session: UInt32) -> String {
    let upper = word.uppercased()
    if word.hasPrefix("/") {
      let bare = String(upper.dropFirst())
      let meant = Self.habits[bare] ?? Self.request(near: bare).map { Help.of($0)?.syntax ?? "" }
      return "there are no slashes here: \(meant ?? "HELP lists the requests")"
    }
    if let meant = Self.habits[upper] { return "here that is: \(meant)" }
    if upper == "HISTORY" {
      return "HISTORY is reserved for a later version; HELP lists the requests"
    }
    if let near = Self.request(near: upper), let help = Help.of(near) {
      return "did you mean \(near.word)? \(help.syntax)"
    }
    let group = members[sessions[session].member].memberships.first.map {
      groups[$0.group].name.description
    }
    guard let group else {
      return "no such request; JOIN <group> first, then MSG <group> <text>; HELP lists all"
    }
    // The line that would have done comes last, so that it can be taken over as it is.
    return "no such request; HELP lists all; to say it: MSG \(group) \(line)"
  }

  /// Words of other protocols and shells, and what they are here.
  private static let habits: [String: String] = [
    "J": "JOIN <group>", "SUB": "JOIN <group>", "SUBSCRIBE": "JOIN <group>",
    "PART": "LEAVE <group>", "UNSUB": "LEAVE <group>", "UNSUBSCRIBE": "LEAVE <group>",
    "PRIVMSG": "MSG <group> <text>, or PM <name> <text> to one person",
    "NOTICE": "MSG <group> <text>, or PM <name> <text> to one person",
    "SAY": "MSG <group> <text>", "SEND": "MSG <group> <text>", "PUB": "MSG <group> <text>",
    "PUBLISH": "MSG <group> <text>", "ME": "MSG <group> <text>",
    "QUERY": "PM <name> <text>", "W": "PM <name> <text>", "WHISPER": "PM <name> <text>",
    "NAMES": "MEMBERS <group>", "WHO": "MEMBERS <group>", "LIST": "GROUPS",
    "USER": "NICK <name>", "NAME": "NICK <name>", "LOGIN": "NICK <name>", "CONNECT": "NICK <name>",
    "Q": "QUIT", "EXIT": "QUIT", "BYE": "QUIT", "DISCONNECT": "QUIT", "LOGOUT": "QUIT",
    "?": "HELP", "COMMANDS": "HELP", "INFO": "STATS",
  ]

  /// The request that a mistyped word is nearest to: at most one edit away, two in a longer word.
  private static func request(near word: String) -> Verb? {
    let typed = Array(word.utf8)
    guard typed.count >= 2 && typed.count <= 10 else { return nil }
    var best: (verb: Verb, edits: Int)?
    for help in Help.all {
      let known = Array(help.verb.word.description.utf8)
      let edits = editDistance(typed, known)
      let allowed = known.count >= 6 ? 2 : 1
      if edits <= allowed, edits < best?.edits ?? .max { best = (help.verb, edits) }
    }
    return best?.verb
  }
}
