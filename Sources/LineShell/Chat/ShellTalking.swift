// What is said: shown at once, sent in order, and followed until everybody has it.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  mutating func send(_ text: String, to group: GroupName) {
    guard let index = index(of: group) else {
      return fail("\(notIn(group)); /join \(group) enters it")
    }
    let name = rooms[index].name
    guard isFit(text, .msg(name, text)) else { return }
    echo(text, .group(name))
    ask(.say(text, name), for: .send(text))
  }

  mutating func tell(_ text: String, to peer: Recipient) {
    guard isFit(text, .pm(peer, text)) else { return }
    let known = knownName(peer)
    guard known != name else { return fail("\(name) is you") }
    if let known { correspond(with: known) }
    if configuration.isInteractive, let known { echo(text, .person(known)) }
    if configuration.isInteractive, known == nil { echo(text, toAddress: "\(peer)") }
    ask(.tell(text, peer), for: .send(text))
  }

  /// Whom a recipient means, as far as our groups tell.
  func knownName(_ peer: Recipient) -> MemberName? {
    switch peer {
    case .name(let name): member(name)?.member.name ?? name
    case .member(let member): member.name
    case .endpoint(let endpoint):
      rooms.lazy.flatMap(\.members.values)
        .first { $0.member.place == .direct(endpoint) }?.member.name
    }
  }

  mutating func correspond(with name: MemberName) {
    correspondents.removeAll { $0 == name }
    correspondents.insert(name, at: 0)
    if correspondents.count > Self.correspondentsMax { correspondents.removeLast() }
  }

  private static let correspondentsMax = 32

  /// What no line may hold is told before it looks as if it had been said.
  private mutating func isFit(_ text: String, _ content: Message.Content) -> Bool {
    do throws(Refusal) {
      _ = try Message(content: content)
      return true
    } catch {
      fail("not sent: \(inShellWords(error.text))")
      return false
    }
  }

  private mutating func echo(_ text: String, _ conversation: Conversation) {
    guard configuration.isInteractive else { return }
    show(
      ChatMessage(
        from: Member(name: name, place: place ?? .relay), conversation: conversation, text: text,
        timeMicroseconds: now.wallMicroseconds, receivedMicroseconds: now.wallMicroseconds,
        path: .own))
  }

  private mutating func echo(_ text: String, toAddress address: String) {
    var line = StyledText(stamp(now.wallMicroseconds) + " ", .dim)
    line.append("[you -> \(address)] ", Style(.magenta, bold: true))
    let indent = line.width
    line.append(text)
    show(line, indent: indent)
  }

  // MARK: What others say

  mutating func heard(_ message: ChatMessage) {
    guard message.path != .own else { return heardOwn(message) }
    guard !memory.ignored.contains(message.from.name) else { return }
    show(message)
    switch message.conversation {
    case .group(let group):
      guard let index = index(of: group) else { return }
      let isMention = mentions(message.text)
      rooms[index].spoke(message.from.name)
      if group != current {
        rooms[index].unread += 1
        if isMention { rooms[index].mentions += 1 }
      }
      if isMention { alert(message) }
    case .person(let name):
      correspondent = message.isUnverified ? nil : name
      if !message.isUnverified { correspond(with: name) }
      alert(message)
    }
  }

  /// Somebody wants to be heard.
  private mutating func alert(_ message: ChatMessage) {
    ring()
    guard configuration.tellsMentions else { return }
    effects.append(.mention(Mention(message, from: sender(message))))
  }

  /// What was typed here has been shown; what was said through the socket in our directory has not.
  private mutating func heardOwn(_ message: ChatMessage) {
    guard configuration.isInteractive else { return }
    if let call = calls.keys.sorted().first(where: {
      calls[$0] == .send(message.text) && !told.contains($0)
    }) {
      told.insert(call)
    } else {
      show(message)
    }
  }

  // MARK: What became of it

  mutating func taken(_ receipt: Receipt) {
    if case .group(let group) = receipt.message.conversation, let index = index(of: group) {
      if receipt.entries.isEmpty, !rooms[index].isAloneTold {
        rooms[index].isAloneTold = true
        complain("nobody else is in \(group), so nobody has it")
      }
    }
    let lines = feedback.sent(receipt, isAway: isAway, now: now.monotonicMicroseconds)
    if receipt.entries.contains(where: { if case .failed = $0.state { true } else { false } }) {
      hasFailed = true
    }
    for line in lines { complain(inShellWords(line)) }
  }

  mutating func changed(
    _ id: MessageID, _ conversation: Conversation, _ recipient: MemberName, _ state: DeliveryState
  ) {
    switch state {
    case .waiting(let reason):
      contacts.note(recipient, "waits: \(reason)", at: now.wallMicroseconds)
    case .failed: hasFailed = true
    case .delivered, .sent, .takenOver, .relayed: break
    }
    let lines = feedback.changed(
      id, conversation, recipient, state, now: now.monotonicMicroseconds)
    for line in lines { complain(inShellWords(line)) }
  }

  /// A node's texts speak of requests; here they are commands.
  func inShellWords(_ text: String) -> String {
    let text = text.replacing("this node is", with: "you are")
    return text.split(separator: " ", omittingEmptySubsequences: false).map { word in
      if word.hasPrefix("<"), word.hasSuffix(">") {
        return word.dropFirst().dropLast().uppercased()
      }
      let bare = word.prefix { $0.isLetter }
      guard bare == bare.uppercased(), let verb = Verb(bare),
        [.nick, .join, .leave, .msg, .pm, .members, .groups, .help, .quit].contains(verb)
      else { return String(word) }
      return "/" + bare.lowercased() + word.dropFirst(bare.count)
    }.joined(separator: " ")
  }
}
