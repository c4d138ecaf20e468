// What a node's core tells its owner: for the user, the log and the library's events.

import LineProtocol

package enum News: Hashable, Sendable {
  // MARK: The server

  /// Looking the server up and connecting to it.
  case serverIsTried
  /// The session stands: the name is ours there. `isAnother`: not the server that was known before.
  case serverIsThere(id: UInt64, isAnother: Bool)
  /// It can't be reached, or was lost, or does not let us in; the next try comes in so many seconds.
  case serverIsAway(reason: String, retrySeconds: Int)
  /// Somebody else has the name; it is tried again.
  case nameIsTaken(MemberName, reason: String)
  /// This node is called so from now on.
  case named(MemberName)
  /// Where this node is reached: an address, or through the server.
  case placed(Place)
  /// The server has dialled our address and found it, or not.
  case reachable(Bool)

  // MARK: Groups

  /// This node is in the group; told when it has joined, and after each reconnect with the fresh
  /// roster. `isNew`: it was not in before.
  case entered(GroupName, members: Int, isNew: Bool)
  /// This node is no longer in the group; the reason is empty where it left by itself.
  case exited(GroupName, reason: String)
  case joined(Member, GroupName)
  case left(Member, GroupName, reason: String)
  case renamed(Member, to: MemberName)
  case moved(Member, from: Place)
  /// A durable member's connection to the server came or went.
  case presence(Member, isOnline: Bool)

  // MARK: Messages

  /// A message is in the journal: heard from others, or our own said through one of our mouths (the
  /// library, the owner's socket).
  case message(ChatMessage)
  /// Something changed for a message after its `send` was answered, or where nobody waits for one.
  case delivery(MessageID, Conversation, MemberName, DeliveryState)

  // MARK: Links

  /// A connection to a member that listens for itself stands.
  case linkUp(Member)
  /// It was closed for want of use.
  case linkIdle(Member)
  /// It could not be made, or broke; not tried again before so many seconds.
  case linkDown(Member, reason: String, retrySeconds: Int)

  // MARK: Others at our port

  case connected(SessionID)
  case disconnected(SessionID, reason: String)
  /// A line of somebody was refused; nil: the server has refused something of ours.
  case refused(SessionID?, Refusal)

  // MARK: Answers to the owner's calls

  /// The call's number; 0: what was said through the owner's socket has its receipt, for the log.
  case answer(call: UInt64, Answer)

  package enum Answer: Hashable, Sendable {
    case done
    case members(GroupName, [Roster.Entry])
    case groups([GroupCount])
    case receipt(Receipt)
    case refused(Refusal)
  }
}

/// A group and how many are in it.
public struct GroupCount: Hashable, Sendable {
  public var name: GroupName
  public var members: Int

  public init(name: GroupName, members: Int) {
    self.name = name
    self.members = members
  }
}

/// What the owner of a node can ask of it by a call of the library. The answer comes as
/// `News.answer` with the call's number.
package enum Command: Hashable, Sendable {
  /// `.members` when this node is in, durably; `.refused` where the server says so or is away.
  case join(GroupName)
  /// `.done` as soon as it is on this node's disk; the server is told now or later.
  case leave(GroupName)
  case rename(MemberName)
  /// `.receipt` when it is known for every recipient whether it has the message, at most after a
  /// second; `.refused` where it could not be taken over.
  case say(GroupName, String)
  case tell(Recipient, String)
  /// From the replica.
  case members(GroupName)
  /// The server's groups where it is there, else this node's own.
  case groups
}

/// What a node knows of itself and of the others, for `/status`, `/why` and the tests.
public struct NodeStatus: Hashable, Sendable {
  public struct Contact: Hashable, Sendable {
    public var member: Member
    public var isOnline: Bool
    public var speaksTags: Bool
    /// A direct link stands.
    public var isLinked: Bool
    /// Messages in the outbox for it.
    public var waiting: Int
    /// Why the last direct try failed; nil if it did not.
    public var lastFailure: String?
    /// When it is dialled again, in seconds from now; nil where nothing keeps it from being dialled.
    public var retrySeconds: Int?
    /// Messages handed over on a direct link, and through the server, since the start.
    public var sentDirectly: Int
    public var sentRelayed: Int
  }

  public var name: MemberName
  public var place: Place?
  public var serverID: UInt64?
  public var isServerThere: Bool
  /// Why not.
  public var serverFailure: String?
  public var groups: [GroupCount]
  public var contacts: [Contact]
  /// Messages that somebody does not have yet, and what they take, in bytes.
  public var outboxMessages: Int
  public var outboxBytes: Int
  /// Messages heard directly, and through the server, since the start.
  public var heardDirectly: Int
  public var heardRelayed: Int
}
