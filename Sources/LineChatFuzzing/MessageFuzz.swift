// The parser of messages, with what may be a line.
//
// What must hold: it takes nothing that the line reader would not hand out; what it takes is written as
// a line that is read as the same message, and that line is written as itself; each word that is read is
// written as a word that is read as the same, and is no longer than it may be; a refusal can be shown.

import LineProtocol

enum MessageFuzz {
  static func feed(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    try checkMessage(bytes)
    try checkView(bytes)
    for word in bytes.split(separator: 0x20, maxSplits: 8) {
      try checkWord(UnsafeRawBufferPointer(rebasing: word))
    }
  }

  private static func checkMessage(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    let message: Message
    do throws(Refusal) { message = try Message(bytes: bytes) } catch {
      return try checkRefusal(error)
    }
    // A stream begins with a byte order mark, a line does not.
    let items = ReferenceReader(refusesHTTP: false).items(of: [0x0A] + Array(bytes) + [0x0A])
    guard items.count == 1, case .line = items[0] else {
      throw Fault("\(message) is a message, and no line: \(items)")
    }
    let written = message.render()
    do throws(Refusal) {
      let again = try Message(parsing: written)
      try check(again, is: message, written)
    } catch {
      throw Fault("\(message) is refused when it is read again: \(error.text)")
    }
  }

  private static func check(
    _ again: Message, is message: Message, _ written: String
  ) throws(Refusal) {
    guard again == message, again.render() == written else {
      throw Refusal(.badSyntax, "it is another one, \(again)")
    }
  }

  private static func checkView(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    do throws(Refusal) {
      var view = try LineView(bytes)
      var words = 0
      while let word = view.word() { words += word.count }
      guard view.textIsBlank(), words <= bytes.count else {
        throw Refusal(.badSyntax, "words are left over")
      }
    } catch {
      if error.text == "words are left over" { throw Fault(error.text) }
      try checkRefusal(error)
    }
    do throws(Refusal) {
      let tags = try Tags.parse(bytes)
      let buffer = ByteBuffer()
      tags.render(into: buffer)
      // "@" before them, a space behind them, where there are any.
      let written = UnsafeRawBufferPointer(
        rebasing: buffer.bytes.dropFirst(1).dropLast(1))
      guard try Tags.parse(written) == tags else { throw Refusal(.badSyntax, "other tags") }
    } catch {
      if error.text == "other tags" { throw Fault("tags are not read as they were written") }
      try checkRefusal(error)
    }
  }

  private static func checkWord(_ word: UnsafeRawBufferPointer) throws(Fault) {
    try check(MemberName(bytes: word), { MemberName($0) }, WireLimits.memberNameBytes)
    try check(GroupName(bytes: word), { GroupName($0) }, WireLimits.groupNameBytes)
    try check(MessageID(bytes: word), { MessageID($0) }, 37)
    try check(RosterVersion(bytes: word), { RosterVersion($0) }, 41)
    try check(Endpoint(word.text), { Endpoint($0) }, WireLimits.endpointBytes)
    try check(Place(word.text), { Place($0) }, WireLimits.endpointBytes)
    try check(IPAddress(word.text), { IPAddress($0) }, WireLimits.endpointBytes)
    try check(
      Member(bytes: word), { Member($0) }, WireLimits.memberNameBytes + 1 + WireLimits.endpointBytes
    )
  }

  private static func check<Word: Equatable & CustomStringConvertible>(
    _ word: Word?, _ read: (String) -> Word?, _ bytesMax: Int
  ) throws(Fault) {
    guard let word else { return }
    let text = word.description
    try hold(read(text) == word, "\(Word.self) \(text) is not read as it was written")
    try hold(text.utf8.count <= bytesMax, "\(Word.self) \(text) is longer than it may be")
  }
}
