// Reads a node's readable logs: for history and for search, while the node runs or not, in its process
// or in another. A log is read from its end on, in blocks, across the files that were put aside, so
// that what was said last is found at once in however much.

import LineChatCore
import LineProtocol

/// What was found in a log.
package struct LogExcerpt: Sendable {
  /// Oldest first, each as it stands in the log: with the tags `msgid` and `time`, and `heard` where
  /// it was heard.
  package internal(set) var messages: [Message] = []

  /// Lines on the way that are none of ours, because somebody has edited the file.
  package internal(set) var unreadableLines = 0

  /// The log was read to its beginning: there is no more of it.
  package internal(set) var isComplete = false
}

/// Every call reads the files as they are at that moment. From any thread.
package struct LogReader<Files: LogFiles>: Sendable {
  private let files: Files

  package init(_ files: Files) { self.files = files }

  /// The logs that there are, in the order of their names.
  package func logs() throws(StorageError) -> [LogName] {
    var logs: [String: LogName] = [:]
    for file in try files.names() {
      if let (log, _) = LogName.parse(file: file) { logs[log.file] = log }
    }
    return logs.keys.sorted().compactMap { logs[$0] }
  }

  /// The last `count` lines of a log that are wanted. Without any, the log may not be there. It is read
  /// no further back than to a line that is `beyond`.
  package func last(
    _ count: Int, of log: LogName, where isWanted: (Message) -> Bool = { _ in true },
    beyond isBeyond: (Message) -> Bool = { _ in false }
  ) throws(StorageError) -> LogExcerpt {
    try last(count, of: log, { _ in true }, isBeyond, isWanted)
  }

  /// The last `count` messages of a log whose text holds `words`, the case of letters set aside.
  package func search(
    _ words: String, in log: LogName, last count: Int
  ) throws(StorageError) -> LogExcerpt {
    let wanted = words.lowercased()
    let bytes = Array(wanted.utf8)
    // Letters beyond ASCII have their lower case elsewhere; those lines are all looked at closely.
    let isPlain = bytes.allSatisfy { $0 < 0x80 }
    func mayBeWanted(_ line: [UInt8]) -> Bool { !isPlain || line.mentions(bytes) }
    func isWanted(_ message: Message) -> Bool {
      switch message.content {
      case .msg(_, let text), .pm(_, let text): text.lowercased().contains(wanted)
      default: false
      }
    }
    return try last(count, of: log, mayBeWanted, { _ in false }, isWanted)
  }

  private func last(
    _ count: Int, of log: LogName, _ mayBeWanted: ([UInt8]) -> Bool,
    _ isBeyond: (Message) -> Bool, _ isWanted: (Message) -> Bool
  ) throws(StorageError) -> LogExcerpt {
    var excerpt = LogExcerpt()
    var lines = LogLines(try files.open(log))
    while excerpt.messages.count < count {
      guard let line = try lines.next() else {
        excerpt.isComplete = true
        break
      }
      // A last line that is not finished is being written.
      guard line.isEnded || line.file > 0, !line.bytes.isEmpty, mayBeWanted(line.bytes) else {
        continue
      }
      let message = line.bytes.withUnsafeBytes { try? Message(bytes: $0) }
      guard let message, message.source != nil else {
        excerpt.unreadableLines += 1
        continue
      }
      if isBeyond(message) { break }
      if isWanted(message) { excerpt.messages.append(message) }
    }
    excerpt.messages.reverse()
    return excerpt
  }
}

extension [UInt8] {
  /// Holds `word`, which is in lower case and ASCII, the case of letters set aside.
  fileprivate func mentions(_ word: [UInt8]) -> Bool {
    guard let first = word.first else { return true }
    return withUnsafeBytes { bytes in
      word.withUnsafeBytes { word in
        var at = 0
        while at + word.count <= bytes.count {
          if lower(bytes[at]) == first {
            var length = 1
            while length < word.count, lower(bytes[at + length]) == word[length] { length += 1 }
            if length == word.count { return true }
          }
          at += 1
        }
        return false
      }
    }
  }
}

@inline(__always)
private func lower(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte | 0x20 : byte }
