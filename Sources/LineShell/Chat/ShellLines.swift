// What is shown, line by line.
//
//   12:34 <bob> hello                     in the current group
//   12:34 #dev <bob> hello                in another one
//   12:34 * bob waves
//   12:34 [bob -> you] hello              private
//   12:34 -- bob joined                   what happened
//   -- there is no /jion; did you mean /join?
//
// A message always begins with a time and its sender, and the rows behind its first are set in: no text
// of others' can look like a line of the shell's own.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  /// At most one bell in this time.
  private static let bellMicroseconds: Int64 = 2_000_000

  // MARK: The shell's own

  /// An answer to what was typed.
  mutating func say(_ text: String) { show(StyledText("-- ", .dim) + StyledText(text)) }

  /// Something went wrong, or needs attention.
  mutating func complain(_ text: String) {
    let line = StyledText("-- ", .dim) + StyledText(text, Style(.yellow))
    effects.append(.complain(line.shown))
  }

  /// What was asked for could not be done.
  mutating func fail(_ text: String) {
    hasFailed = true
    complain(text)
  }

  /// Something happened: dim, with the time.
  mutating func tell(_ text: String) {
    show(StyledText("\(stamp(now.wallMicroseconds)) -- \(text)", .dim))
  }

  /// Somebody comes or goes.
  mutating func coming(_ text: String, in group: GroupName?) {
    guard let group, isMarked(group) else { return tell(text) }
    tell("#\(group): \(text)")
  }

  mutating func show(_ line: StyledText, indent: Int = 3) {
    effects.append(.print(line.shown, indent: indent))
  }

  /// A new day is told by itself.
  mutating func tellDay() {
    let today = configuration.time.day(now.wallMicroseconds)
    guard let day, day != today, configuration.isInteractive else { return }
    self.day = today
    show(dateLine(now.wallMicroseconds))
  }

  func dateLine(_ microseconds: Int64) -> StyledText {
    StyledText("-- \(configuration.time.date(microseconds)) --", .dim)
  }

  // MARK: Messages

  mutating func show(_ message: ChatMessage) {
    let (line, indent) = self.line(message)
    show(line, indent: indent)
  }

  func line(_ message: ChatMessage, isPast: Bool = false) -> (line: StyledText, indent: Int) {
    var line = StyledText(stamp(message.timeMicroseconds) + " ", .dim)
    let isOwn = message.path == .own
    let isMention = !isOwn && mentions(message.text)
    switch message.conversation {
    case .group(let group):
      if isPast ? group != current : isMarked(group) { line.append("#\(group) ", Style(.cyan)) }
      let style = isOwn ? Style.bold : Self.style(of: message.from.name, isMention: isMention)
      if let action = Self.action(message.text) {
        line.append("* \(message.from.name)", style)
        line.append(" \(action)")
      } else {
        line.append("<", .dim)
        line.append("\(message.from.name)", style)
        line.append("> ", .dim)
        let indent = line.width
        line.append(message.text, isMention ? .bold : .plain)
        return (line + mark(message), indent)
      }
    case .person(let name):
      let style = Style(.magenta, bold: true)
      line.append(isOwn ? "[you -> \(name)] " : "[\(sender(message)) -> you] ", style)
      let indent = line.width
      if let action = Self.action(message.text) {
        line.append("* \(isOwn ? self.name : message.from.name) \(action)")
      } else {
        line.append(message.text)
      }
      return (line + mark(message), indent)
    }
    return (line + mark(message), line.width > 8 ? 8 : 0)
  }

  func sender(_ message: ChatMessage) -> String {
    guard message.isUnverified else { return message.from.name.description }
    let origin = message.unverifiedAddress.map { "from \($0)" } ?? "from this machine"
    return "unverified, \(origin)"
  }

  private func mark(_ message: ChatMessage) -> StyledText {
    if message.path == .own { return StyledText() }
    if message.isFromBeforeStart { return StyledText(" (from before)", .dim) }
    return message.isLate ? StyledText(" (late)", .dim) : StyledText()
  }

  /// The convention of many chats, XEP-0245 among them: a text that begins with `/me `.
  private static func action(_ text: String) -> String? {
    text.hasPrefix("/me ") ? String(text.dropFirst(4).droppingBlanks) : nil
  }

  func stamp(_ microseconds: Int64) -> String {
    configuration.isInteractive
      ? configuration.time.stamp(microseconds, now: now.wallMicroseconds)
      : configuration.time.full(microseconds)
  }

  /// Whether the group stands before what is said there. Without a terminal nobody sees a prompt.
  private func isMarked(_ group: GroupName) -> Bool {
    group != current || !configuration.isInteractive
  }

  // MARK: Names

  /// The colour of a name is the same in each run: FNV-1a of its small letters.
  static func style(of name: MemberName, isMention: Bool = false) -> Style {
    if isMention { return Style(.yellow, bold: true, reversed: true) }
    var hash: UInt32 = 2_166_136_261
    for byte in name.description.lowercased().utf8 {
      hash = (hash ^ UInt32(byte)) &* 16_777_619
    }
    return Style(colors[Int(hash % UInt32(colors.count))])
  }

  /// Those that can be read on dark and on light.
  private static let colors: [Color] = [
    .green, .blue, .cyan, .magenta, .red, .brightGreen, .brightBlue, .brightCyan, .brightMagenta,
    .brightRed,
  ]

  /// Whether a text names us, as a word of its own.
  func mentions(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let own = Array(name.description.lowercased().utf8)
    guard bytes.count >= own.count else { return false }
    for start in 0...(bytes.count - own.count)
    where Self.lower(bytes[start]) == own[0] && Self.isWord(own, in: bytes, at: start) {
      return true
    }
    return false
  }

  private static func isWord(_ own: [UInt8], in bytes: [UInt8], at start: Int) -> Bool {
    for offset in 1..<max(1, own.count) where lower(bytes[start + offset]) != own[offset] {
      return false
    }
    if start > 0, isNameByte(bytes[start - 1]) { return false }
    if start > 1, isNameSign(bytes[start - 1]), isNameByte(bytes[start - 2]) { return false }
    let end = start + own.count
    guard end < bytes.count else { return true }
    // A full stop behind a name ends a sentence, unless a name goes on behind it.
    if isNameSign(bytes[end]) {
      return end + 1 >= bytes.count || !isNameByte(bytes[end + 1])
    }
    return !isNameByte(bytes[end])
  }

  /// A full stop or a hyphen.
  private static func isNameSign(_ byte: UInt8) -> Bool { byte == 0x2E || byte == 0x2D }

  private static func lower(_ byte: UInt8) -> UInt8 {
    byte >= 65 && byte <= 90 ? byte | 0x20 : byte
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch lower(byte) {
    case 97...122, 48...57, 0x5F, 0x80...: true
    default: false
    }
  }

  // MARK: The bell

  mutating func ring() {
    guard configuration.isInteractive else { return }
    if let bellAt, now.monotonicMicroseconds - bellAt < Self.bellMicroseconds { return }
    bellAt = now.monotonicMicroseconds
    effects.append(.bell)
  }

  // MARK: The prompt

  mutating func showPrompt() {
    guard configuration.isInteractive else { return }
    let next = question.map { StyledText($0.prompt, .bold) } ?? makePrompt()
    guard next != prompt else { return }
    prompt = next
    effects.append(.prompt(next.shown))
  }

  /// Groups with something unread that are shown, and columns of a group's name: a prompt takes at most
  /// half of a row, and the beginning is what counts.
  private static let unreadMax = 3
  private static let groupColumnsMax = 20

  /// `[lobby dev:3 ops:2!] `; with the server away, `[lobby (server away) dev:3] `; where it does not
  /// let us in under our name, `[lobby (name taken)] `.
  private func makePrompt() -> StyledText {
    var text = StyledText("[", .dim)
    if let current {
      text.append(Self.short(current), .bold)
    } else {
      text.append("no group", .dim)
    }
    if server == .away {
      text.append(isNameTaken ? " (name taken)" : " (server away)", Style(.red))
    }
    let unread = rooms.filter { $0.unread > 0 && $0.name != current }
    let shown = unread.filter { $0.mentions > 0 } + unread.filter { $0.mentions == 0 }
    for room in shown.prefix(Self.unreadMax) {
      text.append(" ")
      let mark = room.mentions > 0 ? "!" : ""
      text.append(
        "\(Self.short(room.name)):\(room.unread)\(mark)",
        room.mentions > 0 ? Style(.yellow, bold: true) : Style(.cyan))
    }
    if shown.count > Self.unreadMax { text.append(" +\(shown.count - Self.unreadMax)") }
    text.append("]", .dim)
    text.append(" ")
    return text
  }

  private static func short(_ group: GroupName) -> String {
    truncated(group.description, to: groupColumnsMax)
  }
}
