// Messages on their way to a group or a person: through the node, or through the server as a guest; and
// who does not get them.

import ArgumentParser
import LineChat
import LineTools

enum Target {
  case group(GroupName)
  case peer(Recipient)

  func saying(_ text: String) -> Message.Content {
    switch self {
    case .group(let name): .msg(name, text)
    case .peer(let recipient): .pm(recipient, text)
    }
  }
}

struct Sender {
  private let target: Target
  private let need: Send.Need
  private let options: SpeakerOptions
  private var dialogue: Dialogue?
  private var sent = 0
  /// Those for whom nobody has taken something over, in the order in which that was known.
  private var missed: [String] = []
  /// Some message was taken over for nobody.
  private var isInVain = false

  init(_ target: Target, _ need: Send.Need, _ options: SpeakerOptions) {
    self.target = target
    self.need = need
    self.options = options
  }

  /// Says each of them, in order; all of them are looked at before the first is said.
  mutating func send(_ texts: [FitText]) throws {
    let dialogue = try self.dialogue ?? open()
    self.dialogue = dialogue
    for text in texts { try check(text, dialogue) }
    try say(texts, dialogue)
  }

  /// The node, where it runs; else the server.
  private func open() throws -> Dialogue {
    if let node = try options.node() {
      guard case .group(let group) = target else { return node }
      if try node.isIn(group) { return node }
      Tool.say("\(node.greeting.name)'s node is not in \(group), so a guest says it")
    }
    return try options.guest()
  }

  private func check(_ text: FitText, _ dialogue: Dialogue) throws {
    let bytes: Int
    do throws(Refusal) { bytes = try Dialogue.bytes(of: target.saying(text.text)) } catch {
      throw Tool.Failure(.wrongCall, "that can't be sent: \(error.text)")
    }
    let limit = dialogue.greeting.lineBytesMax
    guard bytes <= limit else {
      throw Tool.Failure(
        .wrongCall,
        "the text is too long: \(text.text.utf8.count) bytes, where \(limit - bytes + text.text.utf8.count)"
          + " can be sent; \(progress)")
    }
  }

  private var progress: String {
    sent == 0 ? "nothing was sent" : "\(counted(sent, "line")) sent before"
  }

  /// Each is given a second beside what is due to all: so long a server tries to reach who listens.
  private mutating func say(_ texts: [FitText], _ dialogue: Dialogue) throws {
    var outcomes: [Result<Dialogue.Answer, Refusal>] = []
    var failure: Dialogue.Failure?
    do throws(Dialogue.Failure) {
      try dialogue.askAll(
        texts.map { target.saying($0.text) }, within: Dialogue.patienceSeconds + Double(texts.count)
      ) { outcomes.append($0) }
    } catch {
      failure = error
    }
    for outcome in outcomes {
      switch outcome {
      case .success(let answer): try take(SendReceipt(answer.reply), dialogue)
      case .failure(let refusal): try refuse(refusal)
      }
    }
    if let failure { throw Tool.Failure(.unreachable, "\(failure); \(progress)") }
  }

  private mutating func take(_ receipt: SendReceipt, _ dialogue: Dialogue) throws {
    sent += 1
    guard case .group(let group) = target else { return }
    if receipt.others == 0 && sent == 1 { Tool.say("nobody else is in \(group)") }
    let missing = receipt.others - receipt.handed - receipt.kept
    if missing > 0 { note(try names(missing, receipt, in: group, dialogue)) }
    if receipt.handed + receipt.kept == 0 { isInVain = true }
  }

  private mutating func refuse(_ refusal: Refusal) throws {
    switch refusal.code {
    case .noSuchGroup, .badGroup, .badName, .badAddress, .badSyntax, .badEncoding, .lineTooLong:
      throw Tool.Failure(.wrongCall, "\(refusal.text); \(progress)")
    default:
      // What one line is refused for, the next will be.
      guard case .peer(let peer) = target else {
        throw Tool.Failure(.unreachable, "\(refusal.text); \(progress)")
      }
      throw Tool.Failure(.unreachable, "not delivered to \(peer): \(refusal.text); \(progress)")
    }
  }

  private mutating func note(_ names: [String]) {
    for name in names where !missed.contains(name) { missed.append(name) }
  }

  /// Those who do not get it. A server counts them; they are among those who are away.
  private func names(
    _ count: Int, _ receipt: SendReceipt, in group: GroupName, _ dialogue: Dialogue
  ) throws -> [String] {
    if !receipt.failed.isEmpty { return receipt.failed }
    let lines = try dialogue.ask(.members(group)).lines
    let away = lines.compactMap { line -> String? in
      guard case .member(_, let member, let attributes) = line.content else { return nil }
      return attributes.contains("away") ? member.name.description : nil
    }
    if away.count <= count { return away.isEmpty ? [counted(count, "member")] : away }
    return ["\(count) of \(away.joined(separator: ", "))"]
  }

  /// Throws where the exit code is to be another than 0.
  func finish() throws {
    switch need {
    case .all:
      guard missed.isEmpty else {
        throw Tool.Failure(
          .unreachable, "nobody has taken it over for \(missed.joined(separator: ", "))")
      }
    case .any:
      guard !isInVain else {
        let whom = missed.isEmpty ? "anybody" : missed.joined(separator: ", ")
        throw Tool.Failure(.unreachable, "nobody has taken it over for \(whom)")
      }
    }
  }
}

/// `OK MSG lobby 1/3 kept 1`, with a node's tags: how many of the others have it, and for how many it is
/// kept.
private struct SendReceipt {
  var (handed, others, kept) = (0, 0, 0)
  /// Names, where they are known.
  var failed: [String] = []

  init(_ reply: Message) {
    guard case .ok(.msg, let text) = reply.content else { return }
    let words = text.split(separator: " ")
    let counts = words.count > 1 ? words[1].split(separator: "/").compactMap { Int($0) } : []
    if counts.count == 2 { (handed, others) = (counts[0], counts[1]) }
    if words.count > 3, words[2] == "kept" { kept = Int(words[3]) ?? 0 }
    // What comes from outside must not make a sum that does not fit.
    func clamped(_ number: Int) -> Int { min(max(number, 0), 1 << 32) }
    (handed, others, kept) = (clamped(handed), clamped(others), clamped(kept))
    failed = reply.tags["failed"]?.split(separator: ",").map { String($0) } ?? []
  }
}

extension Dialogue {
  /// Of a node: its own groups.
  func groups() throws(Failure) -> [(name: GroupName, members: Int)] {
    try ask(.groups).lines.compactMap { line in
      if case .group(let name, let count) = line.content { (name, count) } else { nil }
    }
  }

  func isIn(_ group: GroupName) throws(Failure) -> Bool {
    try groups().contains { $0.name == group }
  }
}
