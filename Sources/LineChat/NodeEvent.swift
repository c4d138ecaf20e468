// What a node tells its owner while it runs, as a value: for a bot's `for await`, for a shell's screen.

import LineChatCore
import LineProtocol

/// Something that has happened to a node, or that it has heard.
///
/// New cases may come with new versions: end a `switch` with `default`.
public enum NodeEvent: Equatable, Sendable {
  // MARK: Messages

  /// A message: heard from somebody, or said by this node itself (`path` is `.own` then), whether by a
  /// call or through the socket in its directory. It is in the node's journal before it is told, and
  /// is told once. A bot answers neither its own, nor those that are `isFromBeforeStart`.
  case message(ChatMessage)

  /// A message that was posted has been taken over: where it stands with each recipient, as `send`
  /// returns it.
  case posted(Receipt)

  /// A message that was posted has not been taken over, and why: this node is not in the group, the
  /// outbox is full. Nobody gets it.
  case notPosted(String, to: NodeTarget, NodeError)

  /// What is known of a message has changed for one recipient, after its `send` was answered or its
  /// `posted` was told.
  case delivery(MessageID, Conversation, to: MemberName, DeliveryState)

  /// So many events before the next one were dropped, as nobody took them in time; those of messages
  /// among them are in the journal. Ask `members`, `groups` and `status` for what is true now.
  case missed(Int)

  // MARK: The server

  /// The server is being looked up and connected to.
  case serverIsTried

  /// The server is there and knows this node by its name. `isAnother`: it is not the server that was
  /// known before. Its rosters are taken, and what waits is kept.
  case serverIsThere(id: UInt64, isAnother: Bool)

  /// The server can't be reached, was lost, or does not let this node in. It is tried again by itself,
  /// first in so many seconds; meanwhile members are reached directly, where they listen.
  case serverIsAway(reason: String, retrySeconds: Int)

  /// Somebody else has the name that this node wants. It is tried again by itself.
  case nameIsTaken(MemberName, reason: String)

  /// The server has refused something that this node asked of it by itself, such as to be in one of
  /// its groups again.
  case refused(Refusal)

  /// This node is called so from now on.
  case named(MemberName)

  /// The others reach this node there from now on: at an address, or through the server.
  case placed(Place)

  /// The server has dialled this node's address and found it, or not.
  case reachable(Bool)

  // MARK: Groups

  /// This node is in the group, with so many members, itself included: after a `join` (`isNew`), and
  /// after each return of the server, with a fresh roster.
  case entered(GroupName, members: Int, isNew: Bool)

  /// This node is no longer in the group. The reason is empty where it left by itself.
  case exited(GroupName, reason: String)

  /// Somebody else has joined a group that this node is in.
  case joined(Member, GroupName)

  /// Somebody else is no longer in a group that this node is in. The reason may be empty.
  case left(Member, GroupName, reason: String)

  /// A member of a group that this node is in has another name. Told once, whatever groups they share.
  case renamed(Member, to: MemberName)

  /// A member is reached at another place: the new one is the member's, the old one follows.
  case moved(Member, from: Place)

  /// A durable member's connection to the server came or went.
  case presence(Member, isOnline: Bool)

  // MARK: Links

  /// A direct connection to a member stands.
  case linkUp(Member)

  /// It was closed, as nothing more goes over it. The next message opens it again.
  case linkIdle(Member)

  /// It could not be made, or broke. It is not tried again before so many seconds have passed; what is
  /// said meanwhile goes through the server, or waits.
  case linkDown(Member, reason: String, retrySeconds: Int)
}

/// To whom something is to be said.
public enum NodeTarget: Hashable, Sendable, CustomStringConvertible {
  case group(GroupName)
  /// By name, by address, or by both.
  case person(Recipient)

  public init(_ conversation: Conversation) {
    switch conversation {
    case .group(let group): self = .group(group)
    case .person(let name): self = .person(.name(name))
    }
  }

  init(answering message: ChatMessage) throws(NodeError) {
    if message.isUnverified {
      throw NodeError(
        .refused(.noSuchPeer), "nothing shows who said that, so there is nobody to answer")
    }
    self.init(message.conversation)
  }

  /// `lobby`, `@alice`, `@127.0.0.1:5001`.
  public var description: String {
    switch self {
    case .group(let group): group.description
    case .person(let recipient): "@\(recipient)"
    }
  }

  func saying(_ text: String) -> Command {
    switch self {
    case .group(let group): .say(group, text)
    case .person(let recipient): .tell(recipient, text)
    }
  }
}

/// A member of a group, as this node's replica of the roster has it.
public struct GroupMember: Hashable, Sendable {
  /// The name, and where the member is reached.
  public var member: Member
  /// It is connected to the server, or was reached at its address.
  public var isOnline: Bool
  /// It is a program that acknowledges what it gets; a plain netcat does not.
  public var speaksTags: Bool
  /// The server has reached it at its address.
  public var isReachable: Bool

  init(_ entry: Roster.Entry) {
    member = entry.member
    isOnline = entry.isOnline
    speaksTags = entry.speaksTags
    isReachable = entry.isReachable
  }
}

extension NodeEvent {
  /// Nil where it is no affair of the owner's: who connects to the node's port, and what is refused
  /// there, is in the log alone, so that strangers cannot fill the owner's queue.
  package init?(_ news: News) {
    switch news {
    case .serverIsTried: self = .serverIsTried
    case .serverIsThere(let id, let isAnother):
      self = .serverIsThere(id: id, isAnother: isAnother)
    case .serverIsAway(let reason, let seconds):
      self = .serverIsAway(reason: reason, retrySeconds: seconds)
    case .nameIsTaken(let name, let reason): self = .nameIsTaken(name, reason: reason)
    case .named(let name): self = .named(name)
    case .placed(let place): self = .placed(place)
    case .reachable(let isReachable): self = .reachable(isReachable)
    case .entered(let group, let members, let isNew):
      self = .entered(group, members: members, isNew: isNew)
    case .exited(let group, let reason): self = .exited(group, reason: reason)
    case .joined(let member, let group): self = .joined(member, group)
    case .left(let member, let group, let reason): self = .left(member, group, reason: reason)
    case .renamed(let member, let name): self = .renamed(member, to: name)
    case .moved(let member, let place): self = .moved(member, from: place)
    case .presence(let member, let isOnline): self = .presence(member, isOnline: isOnline)
    case .message(let message): self = .message(message)
    case .delivery(let id, let conversation, let name, let state):
      self = .delivery(id, conversation, to: name, state)
    case .linkUp(let member): self = .linkUp(member)
    case .linkIdle(let member): self = .linkIdle(member)
    case .linkDown(let member, let reason, let seconds):
      self = .linkDown(member, reason: reason, retrySeconds: seconds)
    case .refused(nil, let refusal): self = .refused(refusal)
    case .connected, .disconnected, .refused, .answer: return nil
    }
  }
}
