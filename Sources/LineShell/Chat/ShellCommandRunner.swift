// What each command does.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  mutating func perform(_ command: ShellCommand, _ arguments: String) {
    switch command {
    case .join: join(arguments)
    case .leave: leave(arguments)
    case .switch: switchTo(arguments)
    case .msg: message(arguments)
    case .pm: privateMessage(arguments)
    case .reply: reply()
    case .me: act(arguments)
    case .members: listMembers(arguments)
    case .groups: if takesNothing(command, arguments) { look(.groups, for: .showGroups) }
    case .history: history(arguments)
    case .search: search(arguments)
    case .status: if takesNothing(command, arguments) { look(.status, for: .showStatus) }
    case .why: why(arguments)
    case .nick: nick(arguments)
    case .ignore: ignore(arguments)
    case .unignore: unignore(arguments)
    case .clear: if takesNothing(command, arguments) { effects.append(.clearScreen) }
    case .help: help(arguments)
    case .quit: quit(arguments)
    }
  }

  /// `/join needs a group's name: /join GROUP`
  private mutating func usage(_ command: ShellCommand, _ what: String) {
    fail("\(command.word) \(what): \(command.syntax)")
  }

  private mutating func takesNothing(_ command: ShellCommand, _ arguments: String) -> Bool {
    if arguments.isEmpty { return true }
    fail("\(command.word) stands alone; what is \(quoted(arguments)) for?")
    return false
  }

  // MARK: Groups

  /// The group that a word names; nil, and it was said why, if it names none.
  private mutating func group(named word: String) -> GroupName? {
    if let group = GroupName(word) { return group }
    fail(
      "\(quoted(word)) is no group's name: it has 1 to 64 letters, digits, _ . or -, and no blanks")
    return nil
  }

  private mutating func join(_ arguments: String) {
    guard !arguments.isEmpty else {
      return usage(.join, "needs a group's name (/groups lists those there are)")
    }
    guard let group = group(named: arguments) else { return }
    if index(of: group) != nil {
      say("you are in \(group) already")
      return makeCurrent(group)
    }
    ask(.join(group), for: .join(group), blocks: true)
  }

  private mutating func leave(_ arguments: String) {
    guard let word = arguments.isEmpty ? current?.description : arguments else {
      return fail("you are in no group, so there is none to leave")
    }
    guard let group = group(named: word) else { return }
    if index(of: group) == nil, let index = wanted.firstIndex(of: group) {
      wanted.remove(at: index)
      return say("\(group) is not joined any more when the server is back")
    }
    guard index(of: group) != nil else { return fail(notIn(group)) }
    ask(.leave(group), for: .leave(group), blocks: true)
  }

  private mutating func switchTo(_ arguments: String) {
    guard arguments.isEmpty else {
      guard let group = group(named: arguments) else { return }
      if index(of: group) == nil, let number = Int(arguments), rooms.indices.contains(number - 1) {
        return makeCurrent(rooms[number - 1].name)
      }
      guard index(of: group) != nil else { return fail(notIn(group)) }
      return makeCurrent(group)
    }
    let others = rooms.filter { $0.name != current }
    let next =
      others.first { $0.mentions > 0 } ?? others.first { $0.unread > 0 }
      ?? visited.last.flatMap { last in others.first { $0.name == last } } ?? others.first
    guard let next else { return fail("you are in no other group; /join GROUP enters one") }
    makeCurrent(next.name)
  }

  func notIn(_ group: GroupName) -> String {
    guard !rooms.isEmpty else { return "you are not in \(group), nor in any group" }
    return "you are not in \(group); you are in \(ownGroups)"
  }

  /// `lobby, dev and ops`
  var ownGroups: String {
    let names = rooms.map { $0.name.description }
    guard let last = names.last, names.count > 1 else { return names.joined() }
    return names.dropLast().joined(separator: ", ") + " and \(last)"
  }

  private mutating func listMembers(_ arguments: String) {
    guard let word = arguments.isEmpty ? current?.description : arguments else {
      return fail("you are in no group; /groups lists those there are")
    }
    guard let group = group(named: word) else { return }
    guard index(of: group) != nil else { return fail(notIn(group)) }
    look(.members(group), for: .showMembers(group))
  }

  // MARK: Talking

  enum Whom: Hashable {
    case group(GroupName)
    case person(MemberName)
    case both(GroupName, MemberName)
    case nobody
  }

  /// `#x` is a group; else a person of our groups, a group of ours, or both.
  func whom(_ word: String) -> Whom {
    let group = GroupName(word)
    if word.hasPrefix("#") { return group.map { .group($0) } ?? .nobody }
    let person = MemberName(word).flatMap { member($0)?.member.name }
    let own = group.flatMap { index(of: $0) }.map { rooms[$0].name }
    switch (own, person) {
    case (let group?, let name?): return .both(group, name)
    case (let group?, nil): return .group(group)
    case (nil, let name?): return .person(name)
    case (nil, nil): return .nobody
    }
  }

  private mutating func message(_ arguments: String) {
    let (word, text) = arguments.firstWord
    guard !text.isEmpty else {
      return usage(.msg, word.isEmpty ? "needs to know to whom, and what" : "needs a text")
    }
    switch whom(word) {
    case .group(let group): send(text, to: group)
    case .person(let person):
      if person != name { say("\(person) is a person: this goes to \(person) alone") }
      tell(text, to: .name(person))
    case .both(let group, let name):
      ask(
        .groupOrPerson(group, name, text: text),
        "\(word) is a group and a person. Is it for the group, or for the person alone?",
        otherwise: "/msg #\(group) is the group, /pm \(name) the person")
    case .nobody:
      if Recipient(word) != nil, MemberName(word) == nil {
        return fail("\(word) is an address: /pm \(word) text says it to whoever is there")
      }
      if let group = GroupName(word), serverGroups.contains(where: { $0.name == group }) {
        return fail("you are not in \(group); /join \(group) enters it")
      }
      fail(
        "there is no \(quoted(word)) in your groups; /members and /groups list who and what there is"
      )
    }
  }

  private mutating func privateMessage(_ arguments: String) {
    let (word, text) = arguments.firstWord
    guard !word.isEmpty else { return usage(.pm, "needs to know to whom, and what") }
    guard let peer = peer(named: word) else { return }
    guard !text.isEmpty else {
      guard configuration.isInteractive else { return usage(.pm, "needs a text") }
      return effects.append(.text("/pm \(word) "))
    }
    tell(text, to: peer)
  }

  /// Whom a word names; nil, and it was said why, if nobody.
  private mutating func peer(named word: String) -> Recipient? {
    if let peer = Recipient(word) { return peer }
    if word.hasPrefix("#") {
      fail("\(quoted(word)) is a group: /msg \(word) text says it there")
    } else if IPAddress(word) != nil {
      fail("\(word) is an address without its port; it looks like 10.0.0.2:5001 or [::1]:5001")
    } else if let colon = word.lastIndex(of: ":") {
      let port = word[word.index(after: colon)...]
      if Int(port).map({ !(1...65_535).contains($0) }) ?? true {
        fail("\(quoted(String(port))) is no port: that is a number from 1 to 65535")
      } else {
        fail(
          "\(quoted(String(word[..<colon]))) is no address: it is written in numbers, "
            + "10.0.0.2:5001 or [::1]:5001")
      }
    } else {
      fail("\(quoted(word)) is no name: a letter, then letters, digits, _ . or -")
    }
    return nil
  }

  private mutating func reply() {
    guard let correspondent else {
      return fail("nobody has sent you a private message that could be answered")
    }
    guard configuration.isInteractive else {
      return fail("/reply needs a terminal; /pm \(correspondent) text says it at once")
    }
    effects.append(.text("/pm \(correspondent) "))
  }

  private mutating func act(_ text: String) {
    guard !text.isEmpty else { return usage(.me, "needs to know what you do") }
    guard let current else { return fail("you are in no group; /join GROUP enters one") }
    send("/me \(text)", to: current)
  }

  // MARK: Looking

  private static let historyCount = 20
  private static let historyCountMax = 1_000

  private mutating func history(_ arguments: String) {
    guard let current else {
      return fail("you are in no group, so there is nothing to look back at")
    }
    let count = arguments.isEmpty ? Self.historyCount : Int(arguments) ?? 0
    guard (1...Self.historyCountMax).contains(count) else {
      return fail(
        "/history takes a number from 1 to \(Self.historyCountMax), not \(quoted(arguments))")
    }
    look(.history(.group(current), count: count), for: .history(.group(current)))
  }

  private mutating func search(_ words: String) {
    guard !words.isEmpty else { return usage(.search, "needs a word to look for") }
    look(.search(words, count: Self.historyCount), for: .search(words))
  }

  private mutating func why(_ arguments: String) {
    guard !arguments.isEmpty else { return look(.status, for: .showWhy(nil)) }
    guard let peer = peer(named: arguments) else { return }
    look(.status, for: .showWhy(peer))
  }

  // MARK: Oneself

  private mutating func nick(_ arguments: String) {
    guard !arguments.isEmpty else { return say("you are \(name); /nick NAME changes that") }
    guard let new = MemberName(arguments) else {
      return fail(
        "\(quoted(arguments)) is no name: it has 1 to 32 letters, digits, _ . or -, and begins with a "
          + "letter")
    }
    guard new.description != name.description else { return say("you are \(name) already") }
    look(.rename(new), for: .rename(new))
  }

  private mutating func ignore(_ arguments: String) {
    guard !arguments.isEmpty else {
      let names = memory.ignored.sorted().map(\.description)
      return say(
        names.isEmpty ? "you ignore nobody" : "you ignore \(names.joined(separator: ", "))")
    }
    guard let wanted = MemberName(arguments) else {
      return fail("\(quoted(arguments)) is no name; /ignore NAME, or /ignore alone for the list")
    }
    guard wanted != name else { return fail("\(name) is you") }
    guard memory.ignored.insert(wanted).inserted else { return say("you ignore \(wanted) already") }
    remember()
    say("you see nothing more of \(wanted); /unignore \(wanted) ends that")
  }

  private mutating func unignore(_ arguments: String) {
    guard let wanted = MemberName(arguments) else { return usage(.unignore, "needs a name") }
    disguises.remove(wanted)
    guard memory.ignored.remove(wanted) != nil else { return fail("you do not ignore \(wanted)") }
    remember()
    say("you see again what \(wanted) says")
  }

  mutating func remember() {
    isMemoryStale = false
    effects.append(.remember(memory))
  }

  private mutating func quit(_ arguments: String) {
    guard arguments.isEmpty else {
      let (word, _) = arguments.firstWord
      let hint =
        MemberName(word).flatMap { member($0) } != nil ? "; /pm \(word) writes to \(word)" : ""
      return fail("/quit stands alone\(hint)")
    }
    quit()
  }

  private mutating func help(_ arguments: String) {
    guard !arguments.isEmpty else { return sayAll(ShellModel.overview) }
    let word = arguments.hasPrefix("/") ? String(arguments.dropFirst()) : arguments
    guard let command = ShellCommand(named: word) else {
      let near = ShellCommand.nearest(to: word).map { "; did you mean \($0.word)?" } ?? ""
      return fail("there is no /\(truncated(word, to: 30))\(near)")
    }
    let entry = command.entry
    var lines = ["\(entry.syntax)  \(entry.summary)"] + entry.details.map { "  \($0)" }
    if !entry.aliases.isEmpty {
      lines.append("  also: " + entry.aliases.map { "/\($0)" }.joined(separator: " "))
    }
    sayAll(lines)
  }

  mutating func sayAll(_ lines: [String]) { for line in lines { say(line) } }

  private static let overview: [String] = {
    let width = ShellCommand.allCases.map(\.syntax.count).max() ?? 0
    let commands = ShellCommand.allCases.map { command in
      let blanks = String(repeating: " ", count: width + 2 - command.syntax.count)
      return command.syntax + blanks + command.entry.summary
    }
    return ["a line is said in the current group; // at its beginning says a slash"] + commands
      + ["TAB completes, Ctrl-R searches what you typed, /help COMMAND says more"]
  }()
}
