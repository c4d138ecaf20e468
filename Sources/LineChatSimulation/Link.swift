// One connection between two nodes: two pipes, the host and key that the one who opened it has, and
// how fast it reads. What was sent is remembered line by line beside the bytes, so that the other
// end can be held to it however the bytes were cut.

import LineChatCore

final class Link {
  enum Side { case client, server }

  /// What one side has written and the other has not got yet.
  struct Pipe {
    var bytes: [UInt8] = []
    var hasEnded = false
    var hasToldEnd = false
    var isMoving = false
  }

  let number: Int
  let client: Int
  let server: Int
  let origin: Origin
  let key: Identity?
  /// Microseconds that the client takes over each piece.
  var pace: Int64 = 0
  var isGone = false
  /// When the server learns of it; nothing arrives before.
  var opensAt: Int64 = 0
  /// The lines that the client wrote and the server has not read yet.
  var sent: [Sent] = []
  private var pipes = (Pipe(), Pipe())

  init(number: Int, client: Int, server: Int, origin: Origin, key: Identity?) {
    self.number = number
    self.client = client
    self.server = server
    self.origin = origin
    self.key = key
  }

  var isTCP: Bool { if case .tcp = origin { true } else { false } }

  /// What that side has written.
  subscript(_ side: Side) -> Pipe {
    get { side == .client ? pipes.0 : pipes.1 }
    _modify {
      switch side {
      case .client: yield &pipes.0
      case .server: yield &pipes.1
      }
    }
  }
}

/// A line as its sender meant it.
final class Sent {
  enum Kind { case line, badEncoding, tooLong, http }

  let kind: Kind
  /// Without its end of line, telnet commands and byte order mark.
  let bytes: [UInt8]
  /// What its final reply names; nil where there will be none.
  let reply: Reply?

  struct Reply {
    let verb: String
    let label: String?
  }

  init(_ kind: Kind, _ bytes: [UInt8], reply: Reply?) {
    self.kind = kind
    self.bytes = bytes
    self.reply = reply
  }
}
