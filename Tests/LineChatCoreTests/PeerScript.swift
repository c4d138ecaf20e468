// The scripts of a node's stage, line by line, and how news and answers are written in them.

import LineChatCore
import LineProtocol
import Testing

extension PeerStage {
  /// Plays a script; afterwards nobody may have heard more than it says.
  func play(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) {
    for line in script.split(separator: "\n").map(String.init) {
      step(line.trimmingPrefix(while: { $0 == " " }).description, sourceLocation)
    }
    check(sourceLocation)
  }

  /// Nobody has heard anything that was not asked for.
  func check(_ location: SourceLocation = #_sourceLocation) {
    #expect(dials.map(\.name) == [], "dials that the script does not say", sourceLocation: location)
    dials = []
    for name in heard.keys.sorted() {
      #expect(
        heard[name]! == [], "\(name) heard more than the script says", sourceLocation: location)
      heard[name] = []
    }
    let more = news.filter(isStrict).map(text)
    #expect(more == [], "news that the script does not say", sourceLocation: location)
    news = []
  }

  private func step(_ line: String, _ location: SourceLocation) {
    let words = line.split(separator: " ").map(String.init)
    switch words[0] {
    case "+": open(words[1], from: words.count > 2 ? words[2] : "127.0.0.1")
    case "-": gone(words[1])
    case ".": inputEnds(words[1])
    case "x": #expect(isClosed(words[1]), "\(words[1]) is still open", sourceLocation: location)
    case "=": pass(seconds: Double(words[1])!)
    case "?":
      let asked = dials.isEmpty ? "nobody" : dials.removeFirst().name
      #expect(asked == words[1], "dialled", sourceLocation: location)
    case "!": dialled(words[1])
    case "~": fails(words[1])
    case "$": finished(words[1])
    case "%": disk(words[1])
    case "*": expectNews(String(line.dropFirst(2)), location)
    case "me>": perform(command(String(line.dropFirst(4))))
    default:
      let name = String(words[0].dropLast())
      let text = String(line.dropFirst(words[0].count + 1))
      if words[0].hasSuffix(">") {
        send(name, text)
      } else {
        hear(name, text, location)
      }
    }
  }

  private func disk(_ word: String) {
    switch word {
    case "hold": disk = .byHand
    case "go":
      disk = .immediate
      settle()
    case "all": write()
    case "fail": failOldest()
    default: write(Int(word)!)
    }
  }

  private func command(_ line: String) -> Command {
    let words = line.split(separator: " ", maxSplits: 2).map(String.init)
    return switch words[0] {
    case "JOIN": .join(GroupName(words[1])!)
    case "LEAVE": .leave(GroupName(words[1])!)
    case "NICK": .rename(MemberName(words[1])!)
    case "MSG": .say(GroupName(words[1])!, words[2])
    case "PM": .tell(Recipient(words[1])!, words[2])
    case "MEMBERS": .members(GroupName(words[1])!)
    case "GROUPS": .groups
    default: preconditionFailure("no command: \(line)")
    }
  }

  private func hear(_ name: String, _ expected: String, _ location: SourceLocation) {
    guard heard[name]?.isEmpty == false else {
      Issue.record("\(name) heard nothing, expected: \(expected)", sourceLocation: location)
      return
    }
    let line = heard[name]!.removeFirst()
    #expect(
      matches(line, expected), "\(name) heard: \(line)\nexpected:  \(expected)",
      sourceLocation: location)
  }

  private func matches(_ line: String, _ pattern: String) -> Bool {
    if pattern.hasSuffix("{*}") && !pattern.dropLast(3).contains("{}") {
      return line.hasPrefix(pattern.dropLast(3))
    }
    let parts = line.split(separator: " ", omittingEmptySubsequences: false)
    let wanted = pattern.split(separator: " ", omittingEmptySubsequences: false)
    for (index, want) in wanted.enumerated() {
      if want == "{*}" { return true }
      guard index < parts.count, want == "{}" || want == parts[index] else { return false }
    }
    return parts.count == wanted.count
  }

  // MARK: News

  /// News of messages; a script must say them.
  func isStrict(_ one: News) -> Bool {
    switch one {
    case .message, .delivery: true
    default: false
    }
  }

  private func expectNews(_ expected: String, _ location: SourceLocation) {
    while !news.isEmpty {
      let first = news.removeFirst()
      if matches(text(first), expected) { return }
      guard !isStrict(first) else {
        Issue.record("news: \(text(first))\nexpected: \(expected)", sourceLocation: location)
        return
      }
    }
    Issue.record("no news, expected: \(expected)", sourceLocation: location)
  }

  func text(_ one: News) -> String {
    switch one {
    case .serverIsTried: "server tried"
    case .serverIsThere(let id, let isAnother): "server \(id) there\(isAnother ? ", another" : "")"
    case .serverIsAway(let reason, let seconds): "server away \(seconds) s: \(reason)"
    case .nameIsTaken(let name, let reason): "name \(name) taken: \(reason)"
    case .named(let name): "named \(name)"
    case .placed(let place): "placed \(place)"
    case .reachable(let isReachable): isReachable ? "reachable" : "not reachable"
    case .entered(let group, let members, let isNew):
      "entered \(group) \(members)\(isNew ? " new" : "")"
    case .exited(let group, let reason):
      reason.isEmpty ? "exited \(group)" : "exited \(group): \(reason)"
    case .joined(let member, let group): "joined \(member) \(group)"
    case .left(let member, let group, let reason):
      reason.isEmpty ? "left \(member) \(group)" : "left \(member) \(group): \(reason)"
    case .renamed(let member, let new): "renamed \(member) \(new)"
    case .moved(let member, let place): "moved \(member) from \(place)"
    case .presence(let member, let isOnline): "\(member.name) \(isOnline ? "online" : "away")"
    case .message(let message): text(message)
    case .delivery(let id, let conversation, let name, let state):
      "\(conversation).\(id.sequence) \(name) \(text(state))"
    case .linkUp(let member): "link \(member)"
    case .linkIdle(let member): "idle \(member)"
    case .linkDown(let member, let reason, let seconds): "down \(member) \(seconds) s: \(reason)"
    case .connected: "connected"
    case .disconnected(_, let reason): "disconnected: \(reason)"
    case .refused(_, let refusal): "refused \(refusal.code)"
    case .answer(_, let answer): text(of: answer)
    }
  }

  private func text(_ message: ChatMessage) -> String {
    var marks = ""
    if message.path == .relayed { marks += " (relayed)" }
    if message.isLate { marks += " (late)" }
    if message.isFromBeforeStart { marks += " (old)" }
    if message.isUnverified {
      marks += " (unverified \(message.unverifiedAddress.map { "\($0)" } ?? "unix"))"
    }
    let verb =
      switch message.conversation {
      case .group(let group): "MSG \(group)"
      case .person(let name): message.path == .own ? "PM \(name)" : "PM"
      }
    let source = message.path == .own ? "said" : ":\(message.from)"
    return "\(source) \(verb) \(message.text)\(marks)"
  }

  private func text(_ state: DeliveryState) -> String {
    switch state {
    case .delivered: "delivered"
    case .sent: "sent"
    case .takenOver: "taken over"
    case .relayed: "relayed"
    case .waiting(let reason): "waiting: \(reason)"
    case .failed(let reason): "failed: \(reason)"
    }
  }

  func text(of answer: News.Answer) -> String {
    switch answer {
    case .done: "done"
    case .members(let group, let entries):
      "members \(group) " + entries.map { "\($0.member)" }.joined(separator: " ")
    case .groups(let groups):
      "groups " + groups.map { "\($0.name) \($0.members)" }.joined(separator: ", ")
    case .receipt(let receipt):
      receipt.entries.isEmpty
        ? "nobody"
        : receipt.entries.map { "\($0.recipient) \(text($0.state))" }.joined(separator: ", ")
    case .refused(let refusal): refusal.description
    }
  }
}

// MARK: - Scenes

extension PeerStage {
  /// alice with her server, in groups with these others, each as in a MEMBER line:
  /// `bob@10.0.0.2:5001 online tags`. Every roster's version is 9.3.
  static func joined(
    _ rosters: KeyValuePairs<String, [String]>,
    _ change: (inout Peer.Configuration) -> Void = { _ in }
  ) -> PeerStage {
    let stage = PeerStage(groups: rosters.map(\.key), change)
    stage.reachServer(rosters)
    stage.check()
    return stage
  }

  /// The server is dialled, answers, and lets the node into the groups that it asks for.
  func reachServer(_ rosters: KeyValuePairs<String, [String]> = [:], version: String = "9.3") {
    #expect(dials.map(\.name) == ["server"])
    dials = []
    dialled("server")
    send("server", PeerStage.greeting)
    let words = take("server")[0].split(separator: " ").map(String.init)
    send("server", "\(words[0]) OK NICK \(words[2])")
    letIn(rosters, version: version)
  }

  static let greeting =
    "INFO linechatd 1 protocol=1 server=00000000000000aa you=guest1 max-line=65536 help=HELP"

  /// The server answers the JOIN or MEMBERS for each of these groups. What else it has heard stays.
  func letIn(_ rosters: KeyValuePairs<String, [String]>, version: String = "9.3") {
    for line in take("server") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count > 2, words[1] == "JOIN" || words[1] == "MEMBERS" else {
        heard["server"]!.append(line)
        continue
      }
      guard let others = rosters.first(where: { $0.key == words[2] })?.value else { continue }
      let place =
        words[1] == "JOIN" && words.count < 4 || words.last == "relay"
        ? "relay" : listens.map { "\($0)" } ?? "relay"
      let own = "\(configuration.name)@\(place) online tags"
      for member in [own] + others { send("server", "\(words[0]) MEMBER \(words[2]) \(member)") }
      send(
        "server",
        "\(words[0]);version=\(version) OK \(words[1]) \(words[2]) \(others.count + 1)")
    }
    news = news.filter(isStrict)
  }

  /// A member's end of a link that was dialled: it stands, and says who is there.
  func answers(_ address: String, as name: String) {
    #expect(dials.map(\.name).contains(address))
    dials.removeAll { $0.name == address }
    dialled(address)
    send(address, "INFO linechat 1 protocol=1 name=\(name) max-line=65536 help=HELP")
  }
}
