// What was said before, from the node's readable logs.

import LineChat
import LineChatCore
import LineProtocol

struct ShellLogs {
  private let reader: LogReader<LogDirectory>

  init(in directory: String) throws(StorageError) {
    reader = LogReader(try LogDirectory(in: directory))
  }

  func history(_ conversation: Conversation, _ count: Int) throws(StorageError) -> ShellAnswer {
    let excerpt = try reader.last(count, of: LogName(conversation)) { $0.content.isSaid }
    return .found(excerpt.messages.compactMap { ChatMessage($0) }, isComplete: excerpt.isComplete)
  }

  /// In all logs; of what was found, what was said last.
  func search(_ words: String, _ count: Int) throws(StorageError) -> ShellAnswer {
    var found: [ChatMessage] = []
    for log in try reader.logs() {
      let excerpt = try reader.search(words, in: log, last: count)
      found += excerpt.messages.compactMap { ChatMessage($0) }
    }
    found.sort { $0.timeMicroseconds < $1.timeMicroseconds }
    return .found(found.suffix(count), isComplete: found.count <= count)
  }
}

extension Message.Content {
  fileprivate var isSaid: Bool {
    switch self {
    case .msg, .pm: true
    default: false
    }
  }
}

extension ChatMessage {
  /// A line of a log; nil where nobody says something in it. What we said ourselves has no time of
  /// receipt.
  fileprivate init?(_ line: Message) {
    guard let from = line.source else { return nil }
    let heard = line.tags["heard"].flatMap { Timestamp.microseconds($0) }
    let time = line.tags["time"].flatMap { Timestamp.microseconds($0) } ?? heard ?? 0
    let conversation: Conversation
    let said: String
    switch line.content {
    case .msg(let group, let text): (conversation, said) = (.group(group), text)
    case .pm(_, let text) where heard != nil: (conversation, said) = (.person(from.name), text)
    case .pm(.name(let name), let text): (conversation, said) = (.person(name), text)
    case .pm(.member(let member), let text): (conversation, said) = (.person(member.name), text)
    default: return nil
    }
    self.init(
      id: line.tags["msgid"].flatMap { MessageID($0) }, from: from, conversation: conversation,
      text: said, timeMicroseconds: time, receivedMicroseconds: heard ?? time,
      path: heard == nil ? .own : .direct)
    if let unverified = line.tags["unverified"] {
      isUnverified = true
      unverifiedAddress = IPAddress(unverified)
    }
  }
}
