// What was said, and what became of it as far as its sender was told. Messages of one sender to one
// destination are numbered from 1; sender, destination and number are their text, so each can be told
// from every other in whatever log it is found.

import LineProtocol

/// Everything that one says to one group, or to one person.
struct Stream: Hashable, Comparable, CustomStringConvertible {
  let sender: String
  let destination: String
  let isPrivate: Bool

  var description: String { "\(sender) to \(destination)" }

  static func < (one: Stream, other: Stream) -> Bool {
    (one.sender, one.destination) < (other.sender, other.destination)
  }

  func text(_ number: Int) -> String { "\(sender) \(destination) \(number)" }

  /// The number that such a text has; nil where it is another's.
  func number(in text: String) -> Int? {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[0] == sender, words[1] == destination else { return nil }
    return Int(words[2])
  }
}

extension Stream {
  /// Whose stream a message is of that was heard, or is in a log, and its text.
  static func saying(_ message: Message) -> (Stream, String)? {
    guard let sender = message.source?.name.description else { return nil }
    switch message.content {
    case .msg(let group, let text):
      return (Stream(sender: sender, destination: group.description, isPrivate: false), text)
    case .pm(let recipient, let text):
      return (Stream(sender: sender, destination: "\(recipient)", isPrivate: true), text)
    default: return nil
    }
  }
}

enum Fate {
  /// No answer yet.
  case asked
  case accepted
  /// Taken, and for some recipients reported as failed.
  case failed
  case refused
  /// The node was killed before it had answered: it may be there, once.
  case unknown
}

struct Ledger {
  private(set) var fates: [Stream: [Fate]] = [:]
  private(set) var refusals: [String: Int] = [:]

  /// A further message; its number.
  mutating func ask(_ stream: Stream) -> Int {
    fates[stream, default: []].append(.asked)
    return fates[stream]?.count ?? 0
  }

  mutating func settle(_ stream: Stream, _ number: Int, _ fate: Fate) {
    fates[stream]?[number - 1] = fate
  }

  mutating func note(refusal: String) { refusals[refusal, default: 0] += 1 }

  func count(_ fate: Fate) -> Int {
    fates.values.reduce(0) { $0 + $1.count { $0 == fate } }
  }

  var said: Int { fates.values.reduce(0) { $0 + $1.count } }

  mutating func merge(_ other: Ledger) {
    fates.merge(other.fates) { _, new in new }
    refusals.merge(other.refusals, uniquingKeysWith: +)
  }
}
