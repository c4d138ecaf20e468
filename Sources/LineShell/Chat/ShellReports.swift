// The longer answers: /members, /groups, /status, /why, /history, /search.

import LineChat
import LineChatCore
import LineProtocol

extension ShellModel {
  /// Rows of a list that are shown at a terminal; the rest is counted.
  private static let rowsMax = 100

  /// Columns, each as wide as its widest word.
  private mutating func table(_ rows: [[String]], more: Int = 0) {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? displayWidth(of: $0[column]) : 0 }.max() ?? 0
    }
    for row in rows {
      var line = "  "
      for (column, word) in row.enumerated() {
        line += word
        guard column < row.count - 1 else { break }
        line += String(repeating: " ", count: widths[column] - displayWidth(of: word) + 2)
      }
      say(String(line.trimmedEnd))
    }
    if more > 0 { say("  … and \(more) more") }
  }

  private func rowsMax(_ count: Int) -> Int {
    configuration.isInteractive ? min(count, Self.rowsMax) : count
  }

  // MARK: Who and what there is

  mutating func report(_ members: [ShellMember], in group: GroupName) {
    let away = members.count { !$0.isOnline }
    say(
      "\(group): \(Self.count(members.count, "member"))" + (away > 0 ? ", \(away) away" : ""))
    let shown = members.prefix(rowsMax(members.count))
    table(
      shown.map { entry in
        var words: [String] = []
        if entry.member.name == name { words.append("you") }
        if !entry.isOnline { words.append("away") }
        if !entry.speaksTags { words.append("gives no receipts") }
        if memory.ignored.contains(entry.member.name) { words.append("ignored") }
        return [
          "\(entry.member.name)", Self.place(entry.member.place), words.joined(separator: ", "),
        ]
      }, more: members.count - shown.count)
  }

  private static func place(_ place: Place) -> String {
    switch place {
    case .relay: "through the server"
    case .direct(let endpoint): "\(endpoint)"
    }
  }

  mutating func report(_ groups: [GroupCount]) {
    if server == .away { say("the server is away; these are yours") }
    guard !groups.isEmpty else { return say("there is no group yet; /join GROUP makes one") }
    let shown = groups.prefix(rowsMax(groups.count))
    table(
      shown.map { group in
        var words: [String] = []
        if let index = index(of: group.name) {
          words.append(group.name == current ? "yours, the current one" : "yours")
          if rooms[index].unread > 0 { words.append("\(rooms[index].unread) unread") }
        }
        return [
          "\(group.name)", Self.count(group.members, "member"), words.joined(separator: ", "),
        ]
      }, more: groups.count - shown.count)
  }

  // MARK: How it goes

  mutating func report(_ status: NodeStatus) {
    switch status.place {
    case nil: say("you are \(status.name); where others reach you is not known yet")
    case .relay?: say("you are \(status.name), reached through the server")
    case .direct(let endpoint)?: say("you are \(status.name), at \(endpoint)")
    }
    if status.isServerThere {
      say("server: \(configuration.server), there")
    } else if isNameTaken {
      say("server: \(configuration.server), there, but it \(notLetIn)")
    } else {
      say(
        "server: \(configuration.server), away"
          + (status.serverFailure.map { " (\(inShellWords($0)))" } ?? ""))
    }
    let groups = rooms.enumerated().map { number, room in
      "\(number + 1) \(room.name) (\(room.members.count))"
    }
    say(groups.isEmpty ? "groups: none" : "groups: \(groups.joined(separator: ", "))")
    let linked = status.contacts.filter(\.isLinked).map(\.member.name)
    say(
      "connected directly: "
        + (linked.isEmpty ? "nobody just now" : Comings.list(linked, most: Self.rowsMax)))
    let sent = status.contacts.reduce((0, 0)) { ($0.0 + $1.sentDirectly, $0.1 + $1.sentRelayed) }
    say(
      "sent: \(sent.0) directly, \(sent.1) through the server; heard: \(status.heardDirectly) "
        + "directly, \(status.heardRelayed) through the server")
    let waiting = status.contacts.filter { $0.waiting > 0 }
    guard !waiting.isEmpty else { return say("waiting: nothing") }
    say("waiting: \(Self.count(status.outboxMessages, "message"))")
    let shown = waiting.prefix(rowsMax(waiting.count))
    table(shown.map { waitingRow($0) }, more: waiting.count - shown.count)
  }

  private func waitingRow(_ contact: NodeStatus.Contact) -> [String] {
    [
      "\(contact.member.name)", Self.count(contact.waiting, "message"),
      contact.isOnline ? reason(contact) : "away",
    ]
  }

  private func reason(_ contact: NodeStatus.Contact) -> String {
    var text = contact.lastFailure ?? (server == .away ? "the server is away" : "on its way")
    if let seconds = contact.retrySeconds { text += "; tried again in \(seconds) s" }
    return text
  }

  mutating func report(_ status: NodeStatus, on peer: Recipient?) {
    guard let peer else {
      let waiting = status.contacts.filter { $0.waiting > 0 }
      guard !waiting.isEmpty else { return say("nothing waits for anybody") }
      for contact in waiting { report(contact) }
      return
    }
    let contact = status.contacts.first { contact in
      switch peer {
      case .name(let name): contact.member.name == name
      case .member(let member): contact.member.name == member.name
      case .endpoint(let endpoint): contact.member.place == .direct(endpoint)
      }
    }
    guard let contact else {
      if let known = knownName(peer), known == status.name { return say("\(known) is you") }
      return fail("\(peer) is in none of your groups, and nothing waits there")
    }
    report(contact)
  }

  private mutating func report(_ contact: NodeStatus.Contact) {
    let name = contact.member.name
    let groups = rooms.filter { $0.members[name] != nil }.map { $0.name.description }
    let shared = groups.isEmpty ? "in none of your groups" : "in \(groups.joined(separator: ", "))"
    say("\(contact.member), \(shared), \(contact.isOnline ? "there" : "away")")
    switch contact.member.place {
    case .relay: say("  has no address: what is for \(name) goes through the server")
    case .direct:
      if contact.isLinked {
        say("  connected directly")
      } else if let failure = contact.lastFailure {
        let again = contact.retrySeconds.map { "; tried again in \($0) s" } ?? ""
        say("  can't be reached directly: \(failure)\(again)")
      } else {
        say("  not connected just now; it is when there is something to say")
      }
    }
    say(
      "  sent since the start: \(contact.sentDirectly) directly, \(contact.sentRelayed) through the "
        + "server")
    say(
      contact.waiting == 0
        ? "  nothing waits"
        : "  \(Self.count(contact.waiting, "message")) wait\(contact.waiting == 1 ? "s" : "")"
          + (contact.isOnline ? "" : ": away"))
    for entry in contacts.entries(of: name) {
      say("  \(configuration.time.exactClock(entry.time)) \(entry.text)")
    }
  }

  // MARK: What was said

  mutating func report(
    _ messages: [ChatMessage], of conversation: Conversation, _ isComplete: Bool
  ) {
    guard !messages.isEmpty else { return say("nothing has been said in \(conversation) yet") }
    say(
      isComplete
        ? "everything that was said in \(conversation)"
        : "the last \(Self.count(messages.count, "message")) in \(conversation)")
    reportPast(messages)
  }

  mutating func report(_ messages: [ChatMessage], with words: String) {
    guard !messages.isEmpty else { return say("nobody has said \(quoted(words))") }
    say("the latest with \(quoted(words))")
    reportPast(messages)
  }

  private mutating func reportPast(_ messages: [ChatMessage]) {
    for message in messages where !memory.ignored.contains(message.from.name) {
      var past = message
      // Old as they are, there is nothing to be said about when they came.
      past.isLate = false
      past.isFromBeforeStart = false
      let (line, indent) = self.line(past)
      show(line, indent: indent)
    }
    say("end of the history")
  }
}
