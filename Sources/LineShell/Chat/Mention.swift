// What somebody said that wants to be heard at once, for the user's own command.

import LineChat
import LineChatCore
import LineProtocol

package struct Mention: Hashable, Sendable {
  /// A name, or `unverified, from 10.0.0.9` where it is not certain who it was.
  let from: String
  /// Nil: it was said to us alone.
  let group: GroupName?
  /// Without controls, and of bounded length.
  let text: String
  /// Microseconds since 1970 UTC.
  let time: Int64

  /// Enough for anything that is to be shown beside the screen, in bytes; and so small that the
  /// environment of a process always has room for it.
  static let textBytesMax = 8_192

  init(_ message: ChatMessage, from sender: String) {
    from = sender
    text = Mention.fit(message.text)
    time = message.timeMicroseconds
    if case .group(let name) = message.conversation { group = name } else { group = nil }
  }

  private static func fit(_ text: String) -> String {
    let shown = escaped(text, doublesBackslash: false)
    guard shown.utf8.count > textBytesMax else { return shown }
    var cut = ""
    var bytes = "…".utf8.count
    for scalar in shown.unicodeScalars {
      bytes += scalar.utf8.count
      if bytes > textBytesMax { break }
      cut.unicodeScalars.append(scalar)
    }
    return cut + "…"
  }

  /// For the command's environment.
  var variables: [(name: String, value: String)] {
    [
      ("LINECHAT_FROM", from), ("LINECHAT_GROUP", group?.description ?? ""),
      ("LINECHAT_TEXT", text), ("LINECHAT_TIME", Timestamp.text(time)),
    ]
  }
}
