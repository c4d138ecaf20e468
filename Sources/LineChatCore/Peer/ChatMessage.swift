// What a node tells its user about messages: the words shared by the core, the library's events,
// the owner's socket and the shell.

import LineProtocol

/// Where a message was said.
public enum Conversation: Hashable, Sendable, CustomStringConvertible {
  case group(GroupName)
  /// Private; the other one of the two.
  case person(MemberName)

  /// `lobby`, or `@alice`.
  public var description: String {
    switch self {
    case .group(let name): name.description
    case .person(let name): "@\(name)"
    }
  }
}

/// A message that was heard or said. It is in the node's journal before anybody is shown it.
public struct ChatMessage: Hashable, Sendable {
  /// How it came.
  public enum Path: String, Hashable, Sendable {
    /// From the sender itself.
    case direct
    /// Through the server.
    case relayed
    /// It is our own.
    case own
  }

  /// Its place in the sender's stream; nil where the sender is no program (a netcat at our port).
  public var id: MessageID?
  public var from: Member
  public var conversation: Conversation
  public var text: String
  /// When it was said, microseconds since 1970 UTC, as the sender says it; the time of receipt where
  /// that is absurdly far ahead.
  public var timeMicroseconds: Int64
  /// When it was received (or said, if it is our own), microseconds since 1970 UTC.
  public var receivedMicroseconds: Int64
  public var path: Path
  /// It was said before this node was started. A bot that answers what it hears should not answer.
  public var isFromBeforeStart = false
  /// It was under way for more than `Limits.lateMicroseconds`: it waited for us.
  public var isLate = false
  /// Nothing shows who said it: a private message of somebody who just connected to our port. `from` is
  /// `unverified@relay`.
  public var isUnverified = false
  /// The address that an unverified one came from; nil for a Unix socket.
  public var unverifiedAddress: IPAddress?

  public init(
    id: MessageID? = nil, from: Member, conversation: Conversation, text: String,
    timeMicroseconds: Int64, receivedMicroseconds: Int64, path: Path
  ) {
    self.id = id
    self.from = from
    self.conversation = conversation
    self.text = text
    self.timeMicroseconds = timeMicroseconds
    self.receivedMicroseconds = receivedMicroseconds
    self.path = path
  }
}

/// What is known of a message on its way to one recipient.
public enum DeliveryState: Hashable, Sendable {
  /// It is in the recipient's journal.
  case delivered
  /// It was written to a member without tags, a netcat: more cannot be known.
  case sent
  /// The server delivers it: it has handed it over, or keeps it on its disk until it can. So it is with
  /// what a node says that is there for one run and does not listen; nothing more will be told.
  case takenOver
  /// The server has handed it to the recipient's connection; no receipt has come yet.
  case relayed
  /// It waits in the outbox, on disk, until the recipient can be reached; why it can't be now.
  case waiting(reason: String)
  /// It will not be delivered; why.
  case failed(reason: String)

  /// No more is known yet, a second after it was said.
  package static let underWay = DeliveryState.waiting(reason: "on its way")

  /// Nothing more will come of it.
  public var isFinal: Bool {
    switch self {
    case .delivered, .sent, .takenOver, .failed: true
    case .relayed, .waiting: false
    }
  }
}

/// What a send has come to: the message, and where it stands with each recipient.
public struct Receipt: Hashable, Sendable {
  public struct Entry: Hashable, Sendable {
    public var recipient: MemberName
    public var state: DeliveryState

    public init(_ recipient: MemberName, _ state: DeliveryState) {
      self.recipient = recipient
      self.state = state
    }
  }

  public var message: ChatMessage
  /// In the order of the roster. Empty where nobody else is in the group.
  public var entries: [Entry]

  public init(message: ChatMessage, entries: [Entry]) {
    self.message = message
    self.entries = entries
  }
}
