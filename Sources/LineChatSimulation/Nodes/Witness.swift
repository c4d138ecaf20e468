// Who has said what to whom, who was told what of it, and who was shown what: an independent account of
// a world with nodes, kept from what their owners see and nothing else, and held against what is
// promised.
//
//   - A message that its sender was told is accepted is shown once to each of its recipients, or
//     reported failed. It is never shown twice, never altered, never to anybody else.
//   - Per sender and conversation it is shown in the order in which it was said.
//   - "Delivered" is said of what its recipient has in its journal.
//   - A sender's times rise, over its restarts too, and no number is given to two messages.
//   - Nothing is shown that nobody has said.
//
// Every text begins with a number of its own, by which it is known.

import LineChatCore
import LineProtocol

/// Somebody with a memory: a node's directory, or a netcat.
final class Actor {
  let number: Int
  let label: String
  let isProgram: Bool
  /// Names that it has had, or has asked for.
  var names: Set<MemberName> = []
  var places: Set<Place> = [.relay]
  /// What it remembers is lost: it is no more.
  var isGone = false
  /// Processes so far.
  var generation = 0
  /// Groups that it was told it is in, and those of which it cannot know.
  var isIn: Set<GroupName> = []
  var unsure: Set<GroupName> = []
  /// What it was shown, by number.
  var shown: Set<Int> = []
  /// The number of the latest that it was shown of each stream, and so has on its disk.
  var heardUpTo: [UInt64: UInt64] = [:]
  /// The latest time of a message it was shown whose sender's clock was not far ahead.
  var believed = Int64.min
  /// The latest that it was shown, by sender and conversation.
  var latest: [String: Int] = [:]
  /// Its own latest time, and the latest number of each of its streams.
  var time = Int64.min
  var sequences: [UInt64: UInt64] = [:]

  init(_ number: Int, _ label: String, isProgram: Bool) {
    self.number = number
    self.label = label
    self.isProgram = isProgram
  }
}

/// Something said.
final class Said {
  enum Target: Equatable {
    case group(GroupName)
    case person
  }
  enum State {
    case asked, accepted
    case refused(ErrorCode, generation: Int)
  }

  struct Report {
    let name: MemberName
    let state: DeliveryState
    let generation: Int
  }

  let number: Int
  let actor: Actor
  let target: Target
  let text: String
  /// Whom it is for; nil where that is not known.
  var recipients: [MemberName]?
  var state = State.asked
  var id: MessageID?
  var time: Int64?
  var reports: [Report] = []
  let saidAt: Int64
  /// What its sender had been shown is not after this.
  let floor: Int64
  let generation: Int
  /// Its sender was not told any more what became of it at first.
  var isUntold = false

  init(
    _ number: Int, _ actor: Actor, _ target: Target, _ recipients: [MemberName]?, _ text: String,
    _ now: Int64
  ) {
    self.number = number
    self.actor = actor
    self.target = target
    self.recipients = recipients
    self.text = text
    saidAt = now
    floor = actor.believed
    generation = actor.generation
  }

  var isAccepted: Bool { if case .accepted = state { true } else { false } }

  /// What keeps its order: what is said in a group, or to a person under one name.
  var conversation: String {
    switch target {
    // Of somebody with netcat each connection is a sender of its own.
    case .group(let group):
      "\(actor.number).\(actor.isProgram ? 0 : generation) \(group)".lowercased()
    case .person: "\(actor.number) @\(id.map { hexadecimal($0.stream) } ?? "")"
    }
  }
}

final class Witness {
  private(set) var actors: [Actor] = []
  private(set) var all: [Said] = []
  private var byID: [MessageID: Said] = [:]

  func makeActor(_ label: String, isProgram: Bool) -> Actor {
    let actor = Actor(actors.count, label, isProgram: isProgram)
    actors.append(actor)
    return actor
  }

  /// All who have had a name.
  func holders(_ name: MemberName) -> [Actor] { actors.filter { $0.names.contains(name) } }

  private static let tails = [
    "", " hello", "  two spaces", " tab\there", " \u{00fc}n\u{00ef}c\u{00f6}de \u{2615}",
    " trailing ", " :colon @at", " e\u{0301}",
  ]

  // MARK: Saying

  func ask(
    _ actor: Actor, _ target: Said.Target, _ recipients: [MemberName]?, _ world: World
  ) -> Said {
    let number = all.count
    var text = "m\(number)" + world.pick(Witness.tails)
    if world.chance(10) { text += String(repeating: "z", count: world.random(0...400)) }
    if world.chance(200) { text += String(repeating: "y", count: world.random(0...30_000)) }
    let said = Said(number, actor, target, recipients, text, world.now)
    all.append(said)
    return said
  }

  func find(_ text: String) -> Said? {
    guard text.utf8.first == 0x6D else { return nil }
    let digits = text.utf8.dropFirst().prefix { $0 >= 48 && $0 <= 57 }
    guard let number = Int(String(digits) ?? ""), all.indices.contains(number) else { return nil }
    return all[number]
  }

  func refused(_ said: Said, _ refusal: Refusal, _ world: World) {
    guard case .asked = said.state else {
      return world.fail("m\(said.number) is refused after it was accepted: \(refusal.text)")
    }
    said.state = .refused(refusal.code, generation: said.actor.generation)
  }

  func receipt(_ receipt: Receipt, of said: Said, to node: PeerMachine, _ world: World) {
    guard said.isAccepted, receipt.message.id == said.id else {
      return world.fail("a receipt for m\(said.number), which is not in \(node.label)'s journal")
    }
    let names = receipt.entries.map(\.recipient)
    if let recipients = said.recipients, !isFor(recipients[...], names[...], said.actor) {
      return world.fail("m\(said.number) was for \(recipients), and its receipt is for \(names)")
    }
    said.recipients = names
    for entry in receipt.entries { report(entry.state, of: said, for: entry.recipient, world) }
  }

  func told(
    _ state: DeliveryState, of id: MessageID, for name: MemberName, to node: PeerMachine,
    _ world: World
  ) {
    guard let said = byID[id], said.actor === node.actor else {
      return world.fail("\(node.label) is told \(state) of \(id), which it has not said")
    }
    report(state, of: said, for: name, world)
  }

  private func report(
    _ state: DeliveryState, of said: Said, for name: MemberName, _ world: World
  ) {
    let holders = holders(name)
    let earlier = said.reports.filter { one in
      one.generation == said.actor.generation && one.name == name && one.state.isFinal
    }
    // Several may have had the name in turn, each with its own report; and whoever takes another's name
    // gets what waits for that.
    if let last = earlier.last, earlier.count >= holders.count,
      earlier.count >= (said.recipients ?? []).count(where: { isPerhapsBehind($0, holders) })
    {
      world.fail("m\(said.number) is \(state) for \(name) after \(last.state)")
    }
    said.reports.append(
      Said.Report(name: name, state: state, generation: said.actor.generation))
    switch state {
    case .delivered:
      if !hasArrived(said, for: name) {
        world.fail("m\(said.number) is said to be delivered to \(name), who does not have it")
      }
    case .sent:
      if !holders.isEmpty && holders.allSatisfy(\.isProgram) {
        world.fail("m\(said.number) is said to be sent to \(name), who is a program")
      }
    case .takenOver, .relayed, .waiting, .failed: break
    }
  }

  /// Whether a receipt names those whom the message was for: another name may have been heard of in
  /// one group already and not in the other, one's own too; any of one's own may be oneself, and left out.
  private func isFor(
    _ recipients: ArraySlice<MemberName>, _ names: ArraySlice<MemberName>, _ actor: Actor
  ) -> Bool {
    guard let recipient = recipients.first else { return names.isEmpty }
    let rest = recipients.dropFirst()
    if let name = names.first, isPerhapsSame(recipient, name),
      isFor(rest, names.dropFirst(), actor)
    {
      return true
    }
    return actor.names.contains(recipient) && isFor(rest, names, actor)
  }

  /// Loosened, as in `show`: another may have the next name of whom it was for. And who has had another
  /// name may be in a roster twice, the second time as somebody whose directory is lost: what was said
  /// later, and was heard under the one name, covers what waits for the other.
  func hasArrived(_ said: Said, for name: MemberName) -> Bool {
    actors.contains { actor in
      guard actor.names.contains(where: { isPerhapsSame(name, $0) }) else { return false }
      if actor.shown.contains(said.number) { return true }
      guard let id = said.id, actor.names.count > 1 else { return false }
      return actor.heardUpTo[id.stream] ?? 0 > id.sequence
    }
  }

  /// Whether somebody of that name, and one of those, have had the same name in turn.
  private func isPerhapsBehind(_ name: MemberName, _ others: [Actor]) -> Bool {
    holders(name).contains { one in
      others.contains { other in one.names.contains { other.names.contains($0) } }
    }
  }

  /// Two names that one and the same has had.
  private func isPerhapsSame(_ one: MemberName, _ other: MemberName) -> Bool {
    one == other || holders(one).contains { $0.names.contains(other) }
  }

  // MARK: Hearing

  func heard(_ message: ChatMessage, by node: PeerMachine, _ world: World) {
    if message.path == .own { return own(message, of: node, world) }
    if message.isUnverified {
      if !message.text.hasPrefix("stranger") {
        world.fail("\(node.label) is shown \(message.text) as unverified")
      }
      return
    }
    guard let said = find(message.text) else {
      return world.fail("\(node.label) is shown \(message.text), which nobody has said")
    }
    do throws(Wrong) {
      try check(message, said)
      try show(said, to: node.actor)
      let ahead = message.timeMicroseconds - message.receivedMicroseconds
      if ahead != 0, ahead <= Limits.clockSkewMicroseconds {
        node.actor.believed = max(node.actor.believed, message.timeMicroseconds)
      }
    } catch {
      world.fail("\(node.label) is shown m\(said.number): \(error.what)")
    }
  }

  private func check(_ message: ChatMessage, _ said: Said) throws(Wrong) {
    guard message.text.utf8.elementsEqual(said.text.utf8) else {
      throw Wrong("it reads \(message.text), not \(said.text)")
    }
    switch (message.conversation, said.target) {
    case (.group(let one), .group(let other)) where one == other: break
    case (.person(let name), .person) where said.actor.names.contains(name): break
    default: throw Wrong("it was not said in \(message.conversation)")
    }
    let isGuest = !said.actor.isProgram && "\(message.from.name)".hasPrefix("guest")
    guard isGuest || said.actor.names.contains(message.from.name),
      said.actor.places.contains(message.from.place) || !said.actor.isProgram
    else { throw Wrong("it is from \(message.from), not from \(said.actor.label)") }
    guard let id = message.id, said.id == nil || said.id == id else {
      throw Wrong("its id is \(message.id?.description ?? "none")")
    }
    try learn(id, of: said)
    if case .refused(let code, let generation) = said.state {
      // What could not be written may be found after a crash.
      guard code == .internalError, said.actor.generation > generation else {
        throw Wrong("it was refused (\(code))")
      }
    }
    if case .asked = said.state, said.actor.isProgram, said.actor.generation == said.generation {
      throw Wrong("its sender does not know yet whether it is on the disk")
    }
    let skew = abs(message.timeMicroseconds - message.receivedMicroseconds)
    if let time = said.time, message.timeMicroseconds != time, skew > 0 {
      throw Wrong("its time is another")
    }
  }

  private func learn(_ id: MessageID, of said: Said) throws(Wrong) {
    if let other = byID[id], other !== said {
      throw Wrong("its id \(id) is that of m\(other.number)")
    }
    said.id = id
    byID[id] = said
  }

  private func show(_ said: Said, to actor: Actor) throws(Wrong) {
    guard actor.shown.insert(said.number).inserted else { throw Wrong("for the second time") }
    if let latest = actor.latest[said.conversation], latest > said.number {
      throw Wrong("after m\(latest)")
    }
    actor.latest[said.conversation] = said.number
    if let id = said.id {
      actor.heardUpTo[id.stream] = max(actor.heardUpTo[id.stream] ?? 0, id.sequence)
    }
    guard let recipients = said.recipients else { return }
    // Loosened: what waits for somebody follows it to its next name. Where it has given that up, too, and
    // another has it before the sender hears of that, the server knows the name's new owner alone.
    let isMeant = recipients.contains { name in
      actor.names.contains { isPerhapsSame(name, $0) }
    }
    // Loosened: what was on its way to a slow disk when the state was written down is found behind it
    // at a start, and goes to whoever was in the group then.
    let isOfBefore = said.actor.generation > said.generation
    if case .group = said.target, isOfBefore { return }
    if !isMeant { throw Wrong("it was for \(recipients)") }
  }

  /// A record that is found in a node's journal at its start: what it heard it has been shown, or is
  /// shown now.
  func found(_ record: Record, by node: PeerMachine, _ world: World) {
    guard let message = try? Message(parsing: String(decoding: record.line, as: UTF8.self)),
      message.tags["unverified"] == nil
    else { return }
    guard message.tags["heard"] != nil else { return foundOwn(message, node, world) }
    let text: String
    switch message.content {
    case .msg(_, let said), .pm(_, let said): text = said
    default: return
    }
    // What stood before it in the journal is lost: it is taken for not heard.
    if let id = message.tags["msgid"].flatMap({ MessageID($0) }),
      let prev = message.tags["prev"].flatMap({ UInt64($0) }),
      prev > node.actor.heardUpTo[id.stream] ?? 0
    {
      return
    }
    guard let said = find(text) else {
      return world.fail("\(node.label) has \(text) in its journal, which nobody has said")
    }
    guard !node.actor.shown.contains(said.number) else { return }
    do throws(Wrong) {
      if let id = message.tags["msgid"].flatMap({ MessageID($0) }) { try learn(id, of: said) }
      try show(said, to: node.actor)
    } catch {
      world.fail("\(node.label) finds m\(said.number): \(error.what)")
    }
  }

  /// What it has said is on its disk: so it is said, whatever its owner was told.
  func foundOwn(_ message: Message, _ node: PeerMachine, _ world: World) {
    let text: String
    switch message.content {
    case .msg(_, let said), .pm(_, let said): text = said
    default: return
    }
    guard let id = message.tags["msgid"].flatMap({ MessageID($0) }), let said = find(text),
      said.actor === node.actor
    else { return world.fail("\(node.label) finds \(message) in its journal, and has not said it") }
    guard !said.isAccepted else { return }
    if case .refused(let code, _) = said.state, code != .internalError {
      return world.fail("m\(said.number) was refused (\(code)), and is in the journal")
    }
    said.state = .accepted
    said.isUntold = true
    do throws(Wrong) { try learn(id, of: said) } catch { return world.fail(error.what) }
    actor(said, had: id, message.tags["time"].flatMap { Timestamp.microseconds($0) } ?? .min)
  }

  private func actor(_ said: Said, had id: MessageID, _ time: Int64) {
    let actor = said.actor
    said.time = time
    actor.time = max(actor.time, time)
    actor.sequences[id.stream] = max(actor.sequences[id.stream] ?? 0, id.sequence)
  }

  private func own(_ message: ChatMessage, of node: PeerMachine, _ world: World) {
    guard let said = find(message.text), said.actor === node.actor, let id = message.id else {
      return world.fail("\(node.label) is shown \(message.text) as its own")
    }
    guard case .asked = said.state else {
      return world.fail("m\(said.number) is accepted twice, or after it was refused")
    }
    said.state = .accepted
    said.time = message.timeMicroseconds
    let actor = said.actor
    do throws(Wrong) { try learn(id, of: said) } catch { return world.fail(error.what) }
    if message.timeMicroseconds <= actor.time {
      world.fail("the times of \(node.label) do not rise")
    }
    if message.timeMicroseconds <= said.floor {
      world.fail("m\(said.number) is stamped before what its sender had read")
    }
    actor.time = message.timeMicroseconds
    if id.sequence <= actor.sequences[id.stream] ?? 0 {
      world.fail("the number of m\(said.number) has been had already")
    }
    actor.sequences[id.stream] = id.sequence
  }
}
