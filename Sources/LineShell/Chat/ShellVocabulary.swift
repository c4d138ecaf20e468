// The words in which the shell's model and its runner speak: what the model wants shown, asked and
// remembered, and what it is answered. All are values, so that a whole session is a test.

import LineChat
import LineChatCore
import LineProtocol

/// What the model wants done, in this order.
package enum ShellEffect: Hashable, Sendable {
  /// A line above the one being typed; the second row of one that is cut is set in by so many columns.
  case print(StyledText, indent: Int)
  /// The same for what went wrong: standard error where there is no terminal.
  case complain(StyledText)
  case prompt(StyledText)
  /// Put a text into the line being typed. It is not entered.
  case text(String)
  case bell
  /// For the user's own command; only where there is one (`Configuration.tellsMentions`).
  case mention(Mention)
  case clearScreen
  /// Whether more lines are to be read: false where more are under way than should be.
  case reading(Bool)
  /// Ask the node or the logs; the answer comes with the call's number.
  case ask(ShellRequest, call: UInt64)
  /// To be kept for the next start.
  case remember(ShellMemory)
  /// The end, with the exit code of the process.
  case exit(Int32)
}

/// What is asked of the node, or of its logs.
package enum ShellRequest: Hashable, Sendable {
  case join(GroupName)
  case leave(GroupName)
  case rename(MemberName)
  case say(String, GroupName)
  case tell(String, Recipient)
  case members(GroupName)
  case groups
  case status
  /// The last messages of a conversation.
  case history(Conversation, count: Int)
  /// The last messages that hold these words, in all logs.
  case search(String, count: Int)
}

/// What came of it.
package enum ShellAnswer: Hashable, Sendable {
  case done
  case members(GroupName, [ShellMember])
  case groups([GroupCount])
  case receipt(Receipt)
  case status(NodeStatus)
  /// Oldest first. `isComplete`: there are no more of them.
  case found([ChatMessage], isComplete: Bool)
  /// The code is the wire's; nil where it was no request to a node.
  case refused(ErrorCode?, String)
}

/// Somebody in a group, as far as a shell needs to know.
package struct ShellMember: Hashable, Sendable {
  package var member: Member
  package var isOnline: Bool
  /// It acknowledges what it gets; a plain netcat does not.
  package var speaksTags: Bool

  package init(_ member: Member, isOnline: Bool = true, speaksTags: Bool = true) {
    self.member = member
    self.isOnline = isOnline
    self.speaksTags = speaksTags
  }
}

/// What a shell keeps for its next start, in its profile.
package struct ShellMemory: Hashable, Sendable {
  package var ignored: Set<MemberName>
  package var current: GroupName?

  package init(ignored: Set<MemberName> = [], current: GroupName? = nil) {
    self.ignored = ignored
    self.current = current
  }
}

/// Exit codes, after sysexits.h where that has one.
package enum ShellExit {
  package static let fine: Int32 = 0
  /// Something that was asked for could not be done.
  package static let refused: Int32 = 1
  /// EX_UNAVAILABLE: there is no server, or it does not let us in.
  package static let noServer: Int32 = 69
  /// EX_IOERR: what is to be shown can't be written.
  package static let output: Int32 = 74
  /// EX_TEMPFAIL: not everybody has it yet.
  package static let undelivered: Int32 = 75
}
