// What is fed with any bytes there are: by libFuzzer (Tests/Fuzz, a package of its own), which looks for
// bytes that lead to code not seen yet, and by a test that feeds the corpus it has collected.
//
// The rules that each of them keeps:
//   - The same bytes always do the same: time, chance and the disk's faults are drawn from them.
//   - Whatever the bytes are, nothing traps and memory stays bounded; and beyond that, what each file
//     says at its beginning must hold. What does not is thrown as a Fault.

import LineChatCore

/// A part of LineChat that can be fed.
public enum FuzzTarget: String, CaseIterable, Sendable {
  case lineReader = "line-reader"
  case messageParser = "message-parser"
  case journalReader = "journal-reader"
  case directorySession = "directory-session"
  case peerSession = "peer-session"

  /// Feeds it once. Throws what should hold and does not.
  public func feed(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    switch self {
    case .lineReader: try LineReaderFuzz.feed(bytes)
    case .messageParser: try MessageFuzz.feed(bytes)
    case .journalReader: try JournalFuzz.feed(bytes)
    case .directorySession: try SessionFuzz<Directory>.feed(bytes)
    case .peerSession: try SessionFuzz<Peer>.feed(bytes)
    }
  }
}

/// Something that should hold, and does not.
public struct Fault: Error, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

func hold(
  _ isRight: @autoclosure () -> Bool, _ what: @autoclosure () -> String
) throws(Fault) {
  if !isRight() { throw Fault(what()) }
}

extension UnsafeRawBufferPointer {
  /// Its lines without their ends; what is behind the last LF is one, too, unless it is empty.
  var lines: [UnsafeRawBufferPointer] {
    split(separator: 0x0A, omittingEmptySubsequences: false)
      .map { UnsafeRawBufferPointer(rebasing: $0) }
  }

  var text: String { String(decoding: self, as: UTF8.self) }
}
