// What TAB offers, from what is known at the moment: it never waits for the network. The server's groups
// are those of the last listing; an old one is asked for anew, for the next TAB.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  /// A listing of the server's groups that is older is asked for again.
  private static let groupsMicroseconds: Int64 = 10_000_000

  package mutating func complete(_ request: CompletionRequest, now: Instant) -> Completion {
    self.now = now
    let completion = question == nil ? candidates(request) : .none
    if isAboutGroups(request), server == .there, !hasCall(.knowGroups),
      now.monotonicMicroseconds - (groupsKnownAt ?? 0) > Self.groupsMicroseconds
    {
      askForGroups()
    }
    return completion
  }

  private func isAboutGroups(_ request: CompletionRequest) -> Bool {
    guard case .command(let command, _) = TypedLine(request.before) else { return false }
    return command.entry.argument == .anyGroup || command.entry.argument == .targetAndText
  }

  private func candidates(_ request: CompletionRequest) -> Completion {
    let before = request.before.trimmed
    guard !before.isEmpty else { return first(request) }
    switch TypedLine(request.before) {
    case .command(let command, let arguments):
      return argument(of: command, behind: arguments, request.word)
    case .text: return inText(request.word)
    case .blank, .unknown, .slipped: return .none
    }
  }

  // MARK: The first word

  private func first(_ request: CompletionRequest) -> Completion {
    if request.word.hasPrefix("//") { return .none }
    if request.word.hasPrefix("/") { return commands(request.word, slash: "/") }
    if request.word.isEmpty, request.after.isEmpty, let correspondent {
      return Completion(["/pm \(correspondent)"])
    }
    let names = Self.matching(request.word, namesInText)
    // `bob: ` addresses somebody, unless the line goes on already.
    let end = request.after.trimmed.isEmpty || request.after.hasPrefix(" ") ? ": " : ""
    return names.isEmpty ? inText(request.word) : Completion(names, appending: end)
  }

  private func commands(_ word: String, slash: String) -> Completion {
    let all = ShellCommand.allCases
    let names = Self.matching(word, all.map { slash + $0.rawValue })
    if names.isEmpty {
      let aliases = all.flatMap(\.entry.aliases).map { slash + $0 }.sorted()
      return Completion(Self.matching(word, aliases))
    }
    // What stands alone needs no blank behind it.
    let command = names.count == 1 ? ShellCommand(named: names[0].drop { $0 == "/" }) : nil
    return Completion(names, appending: command?.entry.argument == .nothing ? "" : " ")
  }

  // MARK: Behind a command

  private func argument(
    of command: ShellCommand, behind arguments: String, _ word: String
  ) -> Completion {
    let isFirst = arguments.isEmpty
    switch command.entry.argument {
    case .nothing, .number, .words: return .none
    case .text: return inText(word)
    case .targetAndText: return isFirst ? targets(word) : inText(word)
    case .personAndText: return isFirst ? people(word) : inText(word)
    case .person: return isFirst ? people(word) : .none
    case .anyGroup: return isFirst ? groups(word, joinable + own) : .none
    case .ownGroup: return isFirst ? groups(word, own) : .none
    case .ignoredPerson:
      return Completion(Self.matching(word, memory.ignored.sorted().map(\.description)))
    case .name: return isFirst ? Completion(Self.matching(word, ["\(name)"])) : .none
    case .command: return isFirst ? commands(word, slash: word.hasPrefix("/") ? "/" : "") : .none
    }
  }

  /// Our groups, the current one last: it is the one that is meant least often.
  private var own: [String] {
    rooms.map(\.name).filter { $0 != current }.map(\.description)
      + (current.map { ["\($0)"] } ?? [])
  }

  /// The server's groups that we are not in.
  private var joinable: [String] {
    serverGroups.map(\.name).filter { index(of: $0) == nil }.map(\.description)
  }

  private func groups(_ word: String, _ names: [String]) -> Completion {
    word.hasPrefix("#")
      ? Completion(Self.matching(word, names.map { "#\($0)" }))
      : Completion(Self.matching(word, names))
  }

  /// After /msg: groups and people; what is both is told apart by the `#`.
  private func targets(_ word: String) -> Completion {
    if word.hasPrefix("#") { return groups(word, own) }
    let people = addressees.map(\.description)
    let both = Set(people.map { $0.lowercased() })
    let groups = own.map { both.contains($0.lowercased()) ? "#\($0)" : $0 }
    return Completion(Self.matching(word, groups + people))
  }

  /// After /pm: names; full members behind an `@`; addresses where a number or a bracket begins one.
  private func people(_ word: String) -> Completion {
    if word.contains("@") {
      return Completion(Self.matching(word, membersWithPlace.map { "\($0)" }))
    }
    if let first = word.first, first.isNumber || first == "[" {
      let places = membersWithPlace.compactMap { member in
        if case .direct(let endpoint) = member.place { "\(endpoint)" } else { nil }
      }
      return Completion(Self.matching(word, places))
    }
    return Completion(Self.matching(word, addressees.map(\.description)))
  }

  /// Those we had to do with first, then all others of our groups.
  private var addressees: [MemberName] {
    var seen: Set<MemberName> = [name]
    let others = rooms.flatMap { $0.names(without: name) }
    return (correspondents + namesInCurrent + others.sorted()).filter {
      seen.insert($0).inserted && !memory.ignored.contains($0)
    }
  }

  private var membersWithPlace: [Member] {
    addressees.compactMap { member($0)?.member }
  }

  // MARK: In a text

  private var namesInCurrent: [MemberName] {
    guard let current, let index = index(of: current) else { return [] }
    return rooms[index].names(without: name)
  }

  private var namesInText: [String] {
    namesInCurrent.filter { !memory.ignored.contains($0) }.map(\.description)
  }

  private func inText(_ word: String) -> Completion {
    if word.hasPrefix("@") {
      return Completion(Self.matching(word, namesInText.map { "@\($0)" }))
    }
    if word.hasPrefix("#") { return Completion(Self.matching(word, own.map { "#\($0)" })) }
    return Completion(Self.matching(word, namesInText))
  }

  /// Those that begin with the word, in capitals or not.
  private static func matching(_ word: String, _ candidates: [String]) -> [String] {
    guard !word.isEmpty else { return candidates }
    let wanted = word.lowercased()
    return candidates.filter { $0.lowercased().hasPrefix(wanted) }
  }
}
