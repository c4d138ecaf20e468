// The shell's meaning, pure: lines that were typed, what the node tells and the time go in; lines to be
// shown, a prompt, and what is to be asked come out (`takeEffects`). It knows no terminal, no clock and
// no node, so a test plays a whole evening in it.
//
// Theory of operation.
//
//   room       a group that this node is in; one of them is the current one, where lines go.
//   call       something asked of the node or the logs, until it is answered.
//   queue      lines that were typed and wait: a `/join` must be answered before the next line is
//              said, or it would be said in the group before. Without a terminal everything that
//              prints waits for what was asked before it.
//   question   something that only the person can decide; the next line is the answer.
//
// Rules kept here:
//   - Nothing is sent that is not certainly meant to be: an unknown command, a request of the
//     protocol, a command behind a blank, the rest of a paste that began with a private message.
//   - What others say can neither write a line of the shell's own nor reach the terminal raw.
//   - A text for a person says what is, and what to do about it.
//   - Who is ignored is not seen, not counted, and rings no bell.

import DequeModule
import LineChat
import LineChatCore
import LineProtocol

package struct ShellModel {
  package struct Configuration: Sendable {
    package var version = "0.0.0"
    /// What this node is called, or wants to be.
    package var name: MemberName
    /// The server as it was given: `127.0.0.1:5463`.
    package var server: String
    /// A person sits at a terminal.
    package var isInteractive = true
    /// The memberships end with this run.
    package var isTransient = false
    /// To be joined; the first one is the current one.
    package var groups: [GroupName] = []
    /// Said at the beginning.
    package var notes: [String] = []
    /// Without a terminal: how long the end of the input waits for what is not delivered yet.
    package var waitSeconds = 10
    package var time = LocalTime.utc
    /// Mentions and private messages are given to a command of the user's.
    package var tellsMentions = false

    package init(name: MemberName, server: String) {
      self.name = name
      self.server = server
    }
  }

  enum Server: Hashable {
    /// The first try is under way.
    case unknown
    case there
    case away
  }

  /// What a call was made for.
  enum Purpose: Hashable {
    case join(GroupName)
    /// One of those that were asked for at the start.
    case enter(GroupName)
    case leave(GroupName)
    case rename(MemberName)
    /// What was said.
    case send(String)
    /// To know who is in a group.
    case listing(GroupName)
    case showMembers(GroupName)
    case showGroups
    case knowGroups
    case showStatus
    case showWhy(Recipient?)
    case history(Conversation)
    case search(String)
    /// What there is at the start, and at the end.
    case begin
    case quit
  }

  enum Input: Hashable {
    case line(String)
    case paste([String])
    case refused(RefusedInput)
    case end
  }

  let configuration: Configuration

  var now = Instant(monotonicMicroseconds: 0, wallMicroseconds: 0)
  var name: MemberName
  var place: Place?
  var server = Server.unknown
  var serverWasThere = false
  /// It does not let us in under our name; and that was so when it was tried last.
  var isNameTaken = false
  var isNameRefused = false

  /// In the order in which we came to be in them.
  var rooms: [Room] = []
  var current: GroupName?
  /// Those that were the current one before, the latest last.
  var visited: [GroupName] = []
  /// To be joined as soon as the server is there.
  var wanted: [GroupName]
  /// The server's groups as they were listed last.
  var serverGroups: [GroupCount] = []
  var groupsKnownAt: Int64?

  var memory: ShellMemory
  /// Those of the ignored names that somebody took who was ignored already, the latest of each.
  var disguises: Set<MemberName> = []
  /// What is to be kept has changed, and is told to be kept with the news of why.
  var isMemoryStale = false
  /// Who sent us the latest private message; nil where nobody can answer it.
  var correspondent: MemberName?
  /// Others who have written to us or were written to, the latest first.
  var correspondents: [MemberName] = []

  var calls: [UInt64: Purpose] = [:]
  /// Sends of which the node has told that they are in the journal.
  var told: Set<UInt64> = []
  var callCount: UInt64 = 0
  var queue: Deque<Input> = []
  /// The calls that hold the queue up.
  var blockers: Set<UInt64> = []
  /// The node has said who and where we are.
  var isReady = false
  /// What a newcomer should do first has been said.
  var hasHinted = false
  var question: Question?
  /// Bytes that were cut from the paste in the line being typed.
  var pasteExcess = 0

  var feedback = DeliveryFeedback()
  var comings = Comings()
  var contacts = ContactLog()

  /// The latest local day that was shown.
  var day: Int64?
  var bellAt: Int64?
  var prompt: StyledText?
  var isReading = true
  /// Something could not be done: for the exit code.
  var hasFailed = false
  var ending: Ending?
  var hasEnded = false

  var effects: [ShellEffect] = []

  /// The end is near.
  struct Ending {
    /// When it comes in any case; monotonic microseconds.
    let at: Int64
    /// Everything that was said is waited for.
    let isWaiting: Bool
  }

  package init(_ configuration: Configuration, memory: ShellMemory = ShellMemory()) {
    self.configuration = configuration
    self.memory = memory
    name = configuration.name
    wanted = configuration.groups
  }

  /// What is to be done since this was asked last.
  package mutating func takeEffects() -> [ShellEffect] {
    defer { effects.removeAll(keepingCapacity: true) }
    return effects
  }

  /// When `tick` is to be called at the latest, in microseconds of the monotonic clock; nil: never.
  package var deadline: Int64? {
    guard !hasEnded else { return nil }
    let midnight =
      configuration.isInteractive
      ? configuration.time.midnight(after: now.wallMicroseconds) - now.wallMicroseconds
        + now.monotonicMicroseconds : nil
    return [comings.deadline, feedback.deadline, ending?.at, midnight].compactMap(\.self).min()
  }
}

// MARK: - What happens

extension ShellModel {
  /// The node has been started.
  package mutating func start(now: Instant) {
    begin(now)
    day = configuration.time.day(now.wallMicroseconds)
    ask(.status, for: .begin)
    settle()
  }

  /// Something happened at the terminal, or came from standard input.
  package mutating func handle(_ event: TerminalEvent, now: Instant) {
    begin(now)
    switch event {
    case .line(let text): enter(.line(text))
    case .paste(let lines): enter(.paste(lines))
    case .refused(let input): enter(.refused(input))
    case .interrupted(let discarded): interrupted(isEmpty: discarded.isEmpty)
    case .ended(let isFinal): inputEnded(isFinal: isFinal)
    case .signalled(let signal): stop(signal)
    case .outputFailed(let reason):
      complain("the output can't be written: \(reason)")
      effects.append(.exit(ShellExit.output))
    case .resized, .woken, .due: break
    }
    settle()
  }

  /// The node tells something.
  package mutating func hear(_ event: NodeEvent, now: Instant) {
    begin(now)
    take(event)
    settle()
  }

  /// A call is answered.
  package mutating func answered(_ call: UInt64, _ answer: ShellAnswer, now: Instant) {
    begin(now)
    if let purpose = calls.removeValue(forKey: call) { take(answer, purpose) }
    blockers.remove(call)
    told.remove(call)
    settle()
  }

  /// The node has ended by itself, so there is nobody to be asked any more.
  package mutating func nodeEnded(_ reason: String, now: Instant) {
    begin(now)
    fail(reason)
    end(ShellExit.noServer)
    settle()
  }

  /// Time has passed.
  package mutating func tick(now: Instant) {
    begin(now)
    settle()
  }

  private mutating func begin(_ now: Instant) {
    self.now = now
    tellDay()
  }

  /// Everything that follows from what has just happened.
  private mutating func settle() {
    for line in feedback.tell(isAway, now: now.monotonicMicroseconds) { complain(line) }
    for crowd in comings.fold(now: now.monotonicMicroseconds) {
      coming(crowd.text, in: crowd.group)
      if isMemoryStale { remember() }
    }
    goOn()
    endIfDone()
    showPrompt()
    read()
  }
}

// MARK: - Asking

extension ShellModel {
  /// `blocks`: what was typed behind it waits for the answer.
  mutating func ask(_ request: ShellRequest, for purpose: Purpose, blocks: Bool = false) {
    callCount += 1
    calls[callCount] = purpose
    if blocks { blockers.insert(callCount) }
    effects.append(.ask(request, call: callCount))
  }

  /// What prints something: without a terminal the next line waits for it.
  mutating func look(_ request: ShellRequest, for purpose: Purpose) {
    ask(request, for: purpose, blocks: !configuration.isInteractive)
  }

  func hasCall(_ purpose: Purpose) -> Bool { calls.values.contains(purpose) }

  /// Is known to be away, in any of our groups.
  func isAway(_ name: MemberName) -> Bool {
    rooms.contains { $0.members[name]?.isOnline == false }
  }

  func index(of group: GroupName) -> Int? { rooms.firstIndex { $0.name == group } }

  /// The member of that name in our groups.
  func member(_ name: MemberName) -> ShellMember? {
    rooms.lazy.compactMap { $0.members[name] }.first
  }
}
