// A shell without a terminal, a clock or a node: lines go in, what is on the screen comes out. The node
// that answers it is a few values.

import Testing

@testable import LineChat
@testable import LineChatCore
@testable import LineProtocol
@testable import LineShell

/// Plays an evening in a shell's model.
struct ModelStage {
  var model: ShellModel
  /// What a node would say of itself.
  var rosters: [(group: GroupName, members: [ShellMember])] = []
  var serverGroups: [GroupCount] = []
  var status: NodeStatus
  /// Calls that have not been answered.
  var asked: [(request: ShellRequest, call: UInt64)] = []

  private(set) var lines: [String] = []
  private(set) var styled: [StyledText] = []
  private(set) var prompt = ""
  private(set) var typed: String?
  private(set) var bells = 0
  private(set) var mentions: [Mention] = []
  private(set) var clears = 0
  private(set) var memory: ShellMemory?
  private(set) var exitCode: Int32?
  private(set) var isReading = true

  /// Sunday, 22 November 2026, 12:34:56 UTC.
  var wall: Int64 = 1_795_350_896_000_000
  var monotonic: Int64 = 1_000_000_000

  private var messages: UInt64 = 0
  private var answers: [(call: UInt64, answer: ShellAnswer)] = []

  var now: Instant { Instant(monotonicMicroseconds: monotonic, wallMicroseconds: wall) }

  init(
    isInteractive: Bool = true, groups: [String] = [], memory: ShellMemory = ShellMemory(),
    _ change: (inout ShellModel.Configuration) -> Void = { _ in }
  ) {
    var configuration = ShellModel.Configuration(name: name("alice"), server: "127.0.0.1:5463")
    configuration.isInteractive = isInteractive
    configuration.isTransient = !isInteractive
    configuration.groups = groups.map { group($0) }
    change(&configuration)
    model = ShellModel(configuration, memory: memory)
    status = NodeStatus(
      name: name("alice"), place: nil, serverID: nil, isServerThere: false, serverFailure: nil,
      groups: [], contacts: [], outboxMessages: 0, outboxBytes: 0, heardDirectly: 0, heardRelayed: 0
    )
  }

  /// A shell in lobby with bob and carol, and in dev with bob, some time after its start.
  static func inLobby(
    memory: ShellMemory = ShellMemory(),
    _ change: (inout ShellModel.Configuration) -> Void = { _ in }
  ) -> ModelStage {
    var stage = ModelStage(memory: memory, change)
    stage.has("lobby", "alice@127.0.0.1:5000", "bob@127.0.0.1:5001", "carol@relay")
    stage.has("dev", "alice@127.0.0.1:5000", "bob@127.0.0.1:5001")
    stage.status.place = Place("127.0.0.1:5000")
    stage.start()
    stage.hear(.serverIsTried)
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.clear()
    return stage
  }

  /// The node is in that group, with these members.
  mutating func has(_ text: String, _ members: String...) {
    let all = members.map { ShellMember(member($0)) }
    rosters.removeAll { $0.group == group(text) }
    rosters.append((group(text), all))
    status.groups.append(GroupCount(name: group(text), members: all.count))
    serverGroups.append(GroupCount(name: group(text), members: all.count))
  }

  mutating func isAway(_ text: String) {
    for room in rosters.indices {
      for index in rosters[room].members.indices
      where rosters[room].members[index].member.name == name(text) {
        rosters[room].members[index].isOnline = false
      }
    }
    hear(.presence(member("\(text)@relay"), isOnline: false))
  }

  // MARK: What happens

  mutating func start() {
    model.start(now: now)
    collect()
  }

  mutating func type(_ line: String) { handle(.line(line)) }

  mutating func handle(_ event: TerminalEvent) {
    model.handle(event, now: now)
    collect()
  }

  mutating func hear(_ event: NodeEvent) {
    model.hear(event, now: now)
    collect()
  }

  mutating func hear(_ text: String, from sender: String, in place: String = "lobby") {
    hear(.message(message(text, from: sender, in: place)))
  }

  /// Seconds go by, and whatever is due happens.
  mutating func pass(_ seconds: Double) {
    let end = monotonic + Int64(seconds * 1_000_000)
    while let due = model.deadline, due <= end {
      wall += max(0, due - monotonic)
      monotonic = max(monotonic, due)
      model.tick(now: now)
      collect()
    }
    wall += end - monotonic
    monotonic = end
  }

  mutating func answer(_ answer: ShellAnswer) {
    guard !asked.isEmpty else {
      Issue.record("nothing was asked")
      return
    }
    let first = asked.removeFirst()
    model.answered(first.call, answer, now: now)
    collect()
  }

  /// The node has taken a message over: where it stands with each recipient.
  mutating func receipt(
    _ text: String, _ states: [(String, DeliveryState)], in place: String = "lobby"
  )
    -> MessageID
  {
    let said = message(text, from: "alice", in: place, path: .own)
    let entries = states.map { Receipt.Entry(name($0.0), $0.1) }
    guard let id = said.id else { preconditionFailure("each has one") }
    answer(.receipt(Receipt(message: said, entries: entries)))
    return id
  }

  mutating func message(
    _ text: String, from sender: String, in place: String, path: ChatMessage.Path = .direct
  ) -> ChatMessage {
    messages += 1
    let from = Member(name: name(sender), place: .relay)
    return ChatMessage(
      id: MessageID(stream: 7, sequence: messages), from: from,
      conversation: place.hasPrefix("@")
        ? .person(name(String(place.dropFirst()))) : .group(group(place)),
      text: text, timeMicroseconds: wall, receivedMicroseconds: wall, path: path)
  }

  // MARK: What comes out

  /// What has been shown since this was asked last.
  mutating func shown() -> [String] {
    defer { clear() }
    return lines
  }

  mutating func clear() {
    lines = []
    styled = []
    bells = 0
  }

  mutating func takeTyped() -> String? {
    defer { typed = nil }
    return typed
  }

  private mutating func collect() {
    carryOut()
    while !answers.isEmpty {
      let (call, answer) = answers.removeFirst()
      model.answered(call, answer, now: now)
      carryOut()
    }
  }

  private mutating func carryOut() {
    for effect in model.takeEffects() {
      switch effect {
      case .print(let line, _), .complain(let line):
        lines.append(line.plain)
        styled.append(line)
      case .prompt(let text): prompt = text.plain
      case .text(let text): typed = text
      case .bell: bells += 1
      case .mention(let mention): mentions.append(mention)
      case .clearScreen: clears += 1
      case .reading(let isOn): isReading = isOn
      case .remember(let state): memory = state
      case .exit(let code): exitCode = code
      case .ask(let request, let call): take(request, call)
      }
    }
  }

  /// What is known is answered at once.
  private mutating func take(_ request: ShellRequest, _ call: UInt64) {
    let answer: ShellAnswer? =
      switch request {
      case .status: .status(status)
      case .groups: .groups(serverGroups)
      case .members(let wanted):
        rosters.first { $0.group == wanted }.map { .members(wanted, $0.members) }
      case .join, .leave, .rename, .say, .tell, .history, .search: nil
      }
    if let answer { answers.append((call, answer)) } else { asked.append((request, call)) }
  }

  func complete(_ line: String, after: String = "") -> Completion {
    var copy = model
    let start = line.lastIndex { $0 == " " || $0 == "\t" }.map { line.index(after: $0) }
    let word = String(line[(start ?? line.startIndex)...])
    return copy.complete(
      CompletionRequest(
        before: String(line[..<(start ?? line.startIndex)]), word: word, after: after), now: now)
  }
}

func name(_ text: String) -> MemberName { MemberName(text)! }
func group(_ text: String) -> GroupName { GroupName(text)! }
func member(_ text: String) -> Member { Member(text)! }
