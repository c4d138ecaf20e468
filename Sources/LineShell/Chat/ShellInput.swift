// From what was typed to what is done: lines one after the other, pastes, the end of the input, and the
// questions that only a person can answer.

import LineChat
import LineChatCore
import LineProtocol

/// What the person is asked; the next line is the answer.
enum Question: Hashable {
  /// `/msg x …` where x is a group and a person.
  case groupOrPerson(GroupName, MemberName, text: String)
  /// Something that looks like a command and is not written as one.
  case command(String, typed: String)
  case paste([String], Target)

  /// Where lines go.
  enum Target: Hashable {
    case group(GroupName)
    case person(Recipient)
    /// Each is carried out by itself.
    case commands
  }

  var prompt: String {
    switch self {
    case .groupOrPerson: "[group/person/no] "
    case .command: "[yes/say it/no] "
    case .paste: "[yes/no] "
    }
  }
}

extension ShellModel {
  /// Lines under way before no more are read, and few enough to go on.
  private static let queueMax = 256
  private static let queueLow = 64
  /// Messages whose receipts have not come.
  private static let sendsMax = 256

  // MARK: The queue

  mutating func enter(_ input: Input) {
    if let question { return answer(question, input) }
    queue.append(input)
  }

  /// Carries out what nothing holds up.
  mutating func goOn() {
    while ending == nil, !hasEnded, question == nil, let next = queue.first, !isHeldUp(next) {
      let input = queue.removeFirst()
      switch input {
      case .line(let text):
        pasteExcess = 0
        enter(line: text)
      case .paste(let lines):
        enter(paste: lines)
        pasteExcess = 0
      case .refused(let input): refuse(input)
      case .end: quit()
      }
    }
  }

  private func isHeldUp(_ input: Input) -> Bool {
    guard blockers.isEmpty, calls.count < Self.sendsMax else { return true }
    // Until it is known where we are, only what has nothing to do with it is carried out.
    guard !isReady || server == .unknown else { return false }
    guard configuration.isInteractive else { return true }
    switch input {
    case .end, .refused: return false
    case .paste: return true
    case .line(let text):
      guard case .command(let command, _) = TypedLine(text) else { return true }
      return ![.help, .quit, .clear, .ignore, .unignore, .status, .why].contains(command)
    }
  }

  /// Lines are read as long as there is room for them.
  mutating func read() {
    let isWanted = queue.count < (isReading ? Self.queueMax : Self.queueLow)
    guard isWanted != isReading else { return }
    isReading = isWanted
    effects.append(.reading(isWanted))
  }

  // MARK: A line

  mutating func enter(line: String) {
    switch TypedLine(line) {
    case .blank: break
    case .text(let text): enter(text: text, isEscaped: line.droppingBlanks.hasPrefix("//"))
    case .command(let command, let arguments): perform(command, arguments)
    case .unknown(let word, let arguments): refuse(word: word, arguments)
    case .slipped(let command):
      ask(
        .command(command, typed: line),
        "that begins with a blank and looks like a command. Is \(quoted(command)) meant?",
        otherwise: "without the blank it is a command; with // before it, it is said")
    }
  }

  private mutating func enter(text: String, isEscaped: Bool) {
    let habit = HabitualRequest(
      text,
      isKnownGroup: { group in
        index(of: group) != nil || serverGroups.contains { $0.name == group }
      }, isKnownPeer: { isKnown($0) })
    if let habit, !isEscaped {
      return ask(
        .command(habit.command, typed: text),
        "that is how programs talk; here it is \(habit.command). Is that meant?",
        otherwise: "to say it as it stands: /msg #\(current?.description ?? "GROUP") \(text)")
    }
    guard let current else {
      return fail("you are in no group, so nobody would read that; /join GROUP enters one")
    }
    send(text, to: current)
  }

  func isKnown(_ peer: Recipient) -> Bool {
    switch peer {
    case .name(let name): member(name) != nil
    case .endpoint(let endpoint):
      rooms.contains { $0.members.values.contains { $0.member.place == .direct(endpoint) } }
    case .member(let known): member(known.name)?.member == known
    }
  }

  /// An unknown command is not sent.
  private mutating func refuse(word: String, _ arguments: String) {
    guard !word.isEmpty else {
      return fail("a command's name stands right behind the slash; /help lists them")
    }
    let shown = truncated(word, to: 30)
    if let hint = ShellCommand.habits[word.lowercased()] { return fail("/\(shown): \(hint)") }
    guard let near = ShellCommand.nearest(to: word) else {
      return fail(
        "there is no /\(shown); /help lists the commands, and // at the beginning says a slash")
    }
    fail("there is no /\(shown); did you mean \(near.word)? \(near.syntax)")
  }

  private mutating func refuse(_ input: RefusedInput) {
    switch input {
    case .lineTooLong(let bytes):
      fail(
        "a line of \(bytes) bytes is too long, and was left out: \(WireLimits.lineBytes) at most")
    case .notUTF8(let text):
      fail("a line that is not UTF-8 was left out: \(quoted(text))")
    case .pasteCut(let bytes):
      pasteExcess = bytes
      fail("the paste was cut: its last \(bytes) bytes were too many. Look before you press Enter")
    }
  }

  func quoted(_ text: String) -> String { "\"\(truncated(text, to: 60))\"" }

  // MARK: A paste

  /// Pasted lines that are sent without a question.
  private static let pasteLinesMax = 3

  private mutating func enter(paste lines: [String]) {
    let lines = lines.filter { !$0.trimmed.isEmpty }
    guard let first = lines.first else { return }
    guard lines.count > 1 else { return enter(line: first) }
    switch TypedLine(first) {
    case .command(let command, let arguments):
      if let (target, text) = target(of: command, arguments) {
        return ask(paste: [text] + lines.dropFirst(), target)
      }
      guard lines.allSatisfy({ if case .command = TypedLine($0) { true } else { false } }) else {
        return fail(
          "that paste begins with \(command.word), and goes on with something else: nothing was done"
        )
      }
      ask(paste: lines, .commands)
    default:
      guard let current else {
        return fail("you are in no group, so nobody would read that; /join GROUP enters one")
      }
      // A line of a paste is said as it stands, slash or not.
      if lines.count <= Self.pasteLinesMax, pasteExcess == 0,
        !lines.contains(where: { $0.hasPrefix("/") })
      {
        for line in lines { send(String(line.trimmedEnd), to: current) }
      } else {
        ask(paste: lines, .group(current))
      }
    }
  }

  /// Where a paste goes that was begun with a command for one message.
  private func target(
    of command: ShellCommand, _ arguments: String
  ) -> (target: Question.Target, text: String)? {
    let (word, text) = arguments.firstWord
    guard !text.isEmpty else { return nil }
    if command == .pm, let peer = Recipient(word) { return (.person(peer), text) }
    guard command == .msg else { return nil }
    switch whom(word) {
    case .group(let group): return (.group(group), text)
    case .person(let name): return (.person(.name(name)), text)
    case .both, .nobody: return nil
    }
  }

  private mutating func ask(paste lines: [String], _ target: Question.Target) {
    guard configuration.isInteractive else { return send(lines, to: target) }
    let what =
      switch target {
      case .group(let group): "\(lines.count) lines, said in \(group)"
      case .person(let peer): "\(lines.count) lines, said to \(peer) alone"
      case .commands: "\(lines.count) commands, one after the other"
      }
    question = .paste(lines, target)
    // It was said above the line; but a line that is as long as this one leaves nothing above it.
    let cut = pasteExcess > 0 ? " (\(pasteExcess) bytes at the end of the paste are missing)" : ""
    say("\(what)?\(cut) yes or no")
  }

  private mutating func send(_ lines: [String], to target: Question.Target) {
    for line in lines {
      switch target {
      case .group(let group): send(String(line.trimmedEnd), to: group)
      case .person(let peer): tell(String(line.trimmedEnd), to: peer)
      case .commands: queue.append(.line(line))
      }
    }
  }

  // MARK: Questions

  /// Asks, where there is somebody to be asked.
  mutating func ask(_ question: Question, _ text: String, otherwise: String) {
    guard configuration.isInteractive else { return fail("\(text) \(otherwise)") }
    self.question = question
    say(text)
  }

  private mutating func answer(_ question: Question, _ input: Input) {
    guard case .line(let text) = input else {
      if case .end = input { return decline(question) }
      return complain("please answer the question first; Ctrl-C means no")
    }
    let word = text.trimmed.lowercased()
    func isShort(for words: String...) -> Bool {
      !word.isEmpty && words.contains { $0.hasPrefix(word) }
    }
    if isShort(for: "no") { return decline(question) }
    switch question {
    case .groupOrPerson(let group, let name, let said):
      if isShort(for: "group") {
        self.question = nil
        return send(said, to: group)
      }
      if isShort(for: "person", "member") {
        self.question = nil
        return tell(said, to: .name(name))
      }
      complain("please answer g for the group, p for the person, or n for neither")
    case .command(let command, let typed):
      if isShort(for: "yes") {
        self.question = nil
        return enter(line: command)
      }
      guard isShort(for: "say it") else {
        return complain("please answer y for yes, s to say it as it stands, or n for neither")
      }
      self.question = nil
      guard let current else { return fail("you are in no group; /join GROUP enters one") }
      send(String(typed.trimmed), to: current)
    case .paste(let lines, let target):
      guard isShort(for: "yes") else { return complain("please answer y for yes or n for no") }
      self.question = nil
      send(lines, to: target)
    }
  }

  /// What was typed comes back into the line.
  private mutating func decline(_ question: Question) {
    self.question = nil
    say("nothing was sent")
    switch question {
    case .groupOrPerson(_, let name, let text): effects.append(.text("/msg \(name) \(text)"))
    case .command(_, let typed): effects.append(.text(typed))
    case .paste: break
    }
  }

  // MARK: Ctrl-C and the end

  mutating func interrupted(isEmpty: Bool) {
    pasteExcess = 0
    if let question { return decline(question) }
    if !queue.isEmpty {
      say("\(queue.count) lines that were waiting were not carried out")
      queue.removeAll()
    } else if isEmpty {
      say("Ctrl-D or /quit ends; you stay a member of your groups")
    }
  }

  mutating func inputEnded(isFinal: Bool) {
    // A terminal that has gone shows nothing any more.
    if isFinal && configuration.isInteractive { return end(ShellExit.fine) }
    if let question { return decline(question) }
    enter(.end)
  }
}
