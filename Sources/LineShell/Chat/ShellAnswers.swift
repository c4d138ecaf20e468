// What comes of what was asked, and the end.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  mutating func take(_ answer: ShellAnswer, _ purpose: Purpose) {
    if case .refused(let code, let text) = answer {
      return refused(purpose, code, inShellWords(text))
    }
    switch (purpose, answer) {
    case (.begin, .status(let status)): begins(with: status)
    case (.join(let group), .members(_, let members)):
      let index = makeRoom(group)
      rooms[index].isToBeAnnounced = true
      makeCurrent(group)
      list(members, in: group)
    case (.enter(let group), .members(_, let members)):
      let index = makeRoom(group)
      rooms[index].isToBeAnnounced = true
      if current == nil || configuration.groups.first == group { makeCurrent(group) }
      list(members, in: group)
    case (.listing(let group), .members(_, let members)):
      if index(of: group) != nil { list(members, in: group) }
    case (.send, .receipt(let receipt)): taken(receipt)
    case (.knowGroups, .groups(let groups)): serverGroups = groups
    case (.showGroups, .groups(let groups)):
      serverGroups = groups
      report(groups)
    case (.showMembers(let group), .members(_, let members)):
      if let index = index(of: group) { rooms[index].isToBeAnnounced = false }
      list(members, in: group)
      report(members, in: group)
    case (.showStatus, .status(let status)): report(status)
    case (.showWhy(let peer), .status(let status)): report(status, on: peer)
    case (.history(let conversation), .found(let messages, let isComplete)):
      report(messages, of: conversation, isComplete)
    case (.search(let words), .found(let messages, _)): report(messages, with: words)
    case (.quit, .status(let status)): ends(with: status)
    default: break
    }
  }

  private mutating func refused(_ purpose: Purpose, _ code: ErrorCode?, _ text: String) {
    switch purpose {
    case .join(let group), .enter(let group):
      guard code == .unreachable, configuration.isInteractive else {
        return fail("can't join \(group): \(text)")
      }
      // What the server could not do yet is asked again when it is back.
      if !wanted.contains(group) { wanted.append(group) }
      fail(
        isNameTaken
          ? "\(group) can't be joined yet: the server \(notLetIn); you are in it as soon as it does"
          : "\(group) can't be joined yet: \(Self.away(text)); you are in it as soon as it is back")
    case .leave(let group): fail("can't leave \(group): \(text)")
    case .rename where code == .unreachable:
      let why = isNameTaken ? "that \(notLetIn)" : Self.away(text)
      fail("you are still \(name): a new name needs the server, and \(why)")
    case .rename(let new):
      // The server says behind it who we still are.
      let reason = code == .nameTaken ? String(text.prefix { $0 != ";" }) : text
      fail("you are still \(name), not \(new): \(reason)")
    case .send: fail("not sent: \(text)")
    case .history: fail("the log can't be read: \(text)")
    case .search: fail("the logs can't be read: \(text)")
    case .showMembers, .showGroups, .showStatus, .showWhy: fail(text)
    case .begin:
      isReady = true
      fail(text)
    case .quit: end(ShellExit.fine)
    case .listing, .knowGroups: break
    }
  }

  var notLetIn: String { "does not let \(name) in, as the name is not free" }

  /// A node's text on a server that is away, without what it says of itself: that is tried again.
  private static func away(_ text: String) -> String {
    let addition = "; it is tried again by itself"
    return text.hasSuffix(addition) ? String(text.dropLast(addition.count)) : text
  }

  /// Who we are, and where we were when we ended last.
  private mutating func begins(with status: NodeStatus) {
    isReady = true
    name = status.name
    if configuration.isInteractive {
      say("linechat \(configuration.version); you are \(name). /help lists the commands.")
    }
    for note in configuration.notes { complain(note) }
    place = status.place ?? place
    for group in status.groups where index(of: group.name) == nil {
      let index = makeRoom(group.name)
      rooms[index].isToBeAnnounced = true
      ask(.members(group.name), for: .listing(group.name))
    }
    if current == nil {
      let last = memory.current.flatMap { index(of: $0) }.map { rooms[$0].name }
      if let first = configuration.groups.first.flatMap({ index(of: $0) }).map({ rooms[$0].name })
        ?? last ?? rooms.first?.name
      {
        makeCurrent(first)
      }
    }
    wanted = wanted.filter { index(of: $0) == nil }
    joinWanted()
  }

  // MARK: The end

  /// How long the end waits for what there is to say about it.
  private static let quitMicroseconds: Int64 = 1_000_000

  mutating func quit() {
    guard ending == nil else { return }
    guard configuration.isInteractive else {
      ending = Ending(
        at: now.monotonicMicroseconds + Int64(configuration.waitSeconds) * 1_000_000,
        isWaiting: true)
      return
    }
    ending = Ending(at: now.monotonicMicroseconds + Self.quitMicroseconds, isWaiting: false)
    ask(.status, for: .quit)
  }

  /// A signal asks for the end.
  mutating func stop(_ signal: Int32) {
    end(configuration.isInteractive ? ShellExit.fine : 128 + signal)
  }

  mutating func endIfDone() {
    guard let ending, !hasEnded else { return }
    if ending.isWaiting, calls.isEmpty, feedback.isAllDone {
      return end(hasFailed ? ShellExit.refused : ShellExit.fine)
    }
    guard now.monotonicMicroseconds >= ending.at else { return }
    guard ending.isWaiting else { return end(ShellExit.fine) }
    let lacking = feedback.lacking.map { "\($0.name) (\(Self.count($0.messages, "message")))" }
    if lacking.isEmpty {
      complain("the node does not answer")
    } else {
      complain(
        "not delivered within \(configuration.waitSeconds) s: \(lacking.joined(separator: ", "))")
    }
    end(ShellExit.undelivered)
  }

  mutating func end(_ code: Int32) {
    guard !hasEnded else { return }
    hasEnded = true
    if isMemoryStale { remember() }
    effects.append(.exit(code))
  }

  private mutating func ends(with status: NodeStatus) {
    if !rooms.isEmpty {
      say(
        configuration.isTransient
          ? "you leave \(ownGroups)"
          : "you stay a member of \(ownGroups); what is said there waits for you")
    }
    let waiting = status.contacts.filter { $0.waiting > 0 }.map(\.member.name)
    if !waiting.isEmpty {
      say(
        "\(Self.count(status.outboxMessages, "message")) wait\(status.outboxMessages == 1 ? "s" : "") "
          + "for \(Comings.list(waiting)), and will be sent when linechat runs again")
    }
    end(ShellExit.fine)
  }

  /// `1 message`, `2 messages`
  static func count(_ number: Int, _ what: String) -> String {
    "\(number) \(what)\(number == 1 ? "" : "s")"
  }
}
