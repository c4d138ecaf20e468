// Telnet's command sequences, which a person's `telnet` mixes into what is typed: skipped, wherever
// the stream is cut. Known are IAC WILL/WONT/DO/DONT and an option, IAC SB … IAC SE, and IAC with a
// single command byte (RFC 854; 236 to 249). Within SB … SE any byte may come, LF too.
//
// One of them must be answered: after Ctrl-C a telnet client sends IAC DO TIMING-MARK (RFC 860), and
// shows nothing of what comes until it hears WILL or WONT. So this one is reported.
//
// A byte 0xFF that begins none of these is left in the stream. It is no UTF-8, so the line in which
// it stands is refused by the same check as any other nonsense.

struct TelnetFilter {
  private enum State {
    case outside
    /// Behind IAC.
    case command
    /// Behind IAC and one of WILL, WONT, DO, DONT.
    case option(isAsked: Bool)
    /// Behind IAC SB.
    case subnegotiation
    /// Behind IAC within a subnegotiation.
    case subnegotiationCommand
  }

  /// What the bytes that were skipped amount to.
  enum Outcome {
    /// A sequence of which nothing has to be known, or the beginning of one.
    case nothing
    /// No sequence, or one that is too long: a stray byte 0xFF takes its place.
    case strayByte
    /// IAC DO TIMING-MARK.
    case timingMark
  }

  private static let timingMark: UInt8 = 6

  private var state = State.outside
  /// The bytes of a subnegotiation so far, from its IAC on.
  private var length: Int32 = 0

  /// The next byte belongs to a command.
  var isInside: Bool {
    switch state {
    case .outside: false
    case .command, .option, .subnegotiation, .subnegotiationCommand: true
    }
  }

  /// IAC has been read.
  mutating func begin() {
    state = .command
    length = 1
  }

  /// The stream ends. True if that cut a sequence short: a stray byte 0xFF takes its place.
  mutating func abandon() -> Bool {
    defer { state = .outside }
    return isInside
  }

  /// Reads on until the sequence ends or the chunk does.
  mutating func skip(_ chunk: UnsafeRawBufferPointer, _ position: inout Int) -> Outcome {
    while position < chunk.count {
      let byte = chunk[position]
      position += 1
      switch state {
      case .outside:
        position -= 1
        return .nothing
      case .command:
        switch byte {
        case 251...254:
          state = .option(isAsked: byte == 253)
        case 250:
          state = .subnegotiation
          length += 1
        case 236...249:
          state = .outside
          return .nothing
        case 255:
          // Telnet's way to send the byte itself.
          state = .outside
          return .strayByte
        default:
          // No command: this byte is the line's own, and may even end it.
          state = .outside
          position -= 1
          return .strayByte
        }
      case .option(let isAsked):
        state = .outside
        return isAsked && byte == TelnetFilter.timingMark ? .timingMark : .nothing
      case .subnegotiation:
        length += 1
        if byte == 255 { state = .subnegotiationCommand }
      case .subnegotiationCommand:
        length += 1
        guard byte != 240 else {
          state = .outside
          return .nothing
        }
        state = .subnegotiation
      }
      if isInside, Int(length) >= WireLimits.telnetSubnegotiationBytes {
        state = .outside
        return .strayByte
      }
    }
    return .nothing
  }
}

/// What is said to a telnet client in its own words.
package enum Telnet {
  /// IAC WONT TIMING-MARK, the answer to IAC DO TIMING-MARK.
  package static let timingMarkRefused: [UInt8] = [255, 252, 6]
}
