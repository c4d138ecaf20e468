// What an ERR line says: a stable word for programs, the verb it answers, and a text for a person
// that says what happened and what to do next. The parsers of this target throw refusals; they are
// answers to a peer, never faults of ours.

/// The code of an `ERR` line: a stable word that programs decide by.
public enum ErrorCode: String, CaseIterable, Hashable, Sendable, CustomStringConvertible {
  case unreachable
  case tooManyConnections = "too-many-connections"
  case slowConsumer = "slow-consumer"
  case rateLimited = "rate-limited"
  case shuttingDown = "shutting-down"
  case internalError = "internal"

  case unknownVerb = "unknown-verb"
  case badSyntax = "bad-syntax"
  case badEncoding = "bad-encoding"
  case badName = "bad-name"
  case badGroup = "bad-group"
  case badAddress = "bad-address"
  case lineTooLong = "line-too-long"
  case nameTaken = "name-taken"
  case noSuchGroup = "no-such-group"
  case noSuchPeer = "no-such-peer"
  case notMember = "not-member"
  case notAServer = "not-a-server"
  case forbidden

  /// Asking again will not help. Where this is false, the same request may succeed later.
  public var isFinal: Bool {
    switch self {
    case .unreachable, .tooManyConnections, .slowConsumer, .rateLimited, .shuttingDown,
      .internalError:
      false
    case .unknownVerb, .badSyntax, .badEncoding, .badName, .badGroup, .badAddress, .lineTooLong,
      .nameTaken, .noSuchGroup, .noSuchPeer, .notMember, .notAServer, .forbidden:
      true
    }
  }

  /// The word on the wire.
  public var description: String { rawValue }
}

/// A request that is not carried out, as an `ERR` line tells it.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// The word for programs.
  public var code: ErrorCode

  /// The verb that is answered; nil (`-` on the wire) where none could be read.
  public var verb: Verb?

  /// For a person: what happened, and what to do next.
  public var text: String

  /// A refusal that answers `verb`. The text goes on the wire as it is, so it must be one line.
  public init(code: ErrorCode, verb: Verb? = nil, text: String) {
    self.code = code
    self.verb = verb
    self.text = text
  }

  /// For the parsers: `throw Refusal(.badSyntax, "…")`.
  package init(_ code: ErrorCode, _ text: String) {
    self.init(code: code, verb: nil, text: text)
  }

  package init(_ code: ErrorCode, _ verb: Verb?, _ text: String) {
    self.init(code: code, verb: verb, text: text)
  }

  /// The `ERR` line, without its EOL.
  public var description: String {
    let line = "ERR \(code) \(verb?.description ?? "-")"
    return text.isEmpty ? line : "\(line) \(text)"
  }
}

extension ByteBuffer {
  /// Appends the `ERR` line without its EOL.
  package func append(_ refusal: Refusal) {
    append("ERR ")
    append(refusal.code.rawValue)
    append(byte: 0x20)
    if let verb = refusal.verb { append(verb) } else { append(byte: 0x2D) }
    guard !refusal.text.isEmpty else { return }
    append(byte: 0x20)
    append(refusal.text)
  }
}
