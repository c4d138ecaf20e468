// What the witness holds against a node's disk and its receipts: what it was shown, and what it has said
// and is still to be delivered, must be there after every start; nobody acknowledges what it has not.
// And in the end: nothing was shown to somebody who lacks what came before it, and was not told why.

import LineChatCore
import LineProtocol

extension Witness {
  /// What a node that starts knows of before: what it has heard.
  func checkHeard(_ state: ReplicaState, by node: PeerMachine, _ world: World) {
    let actor = node.actor
    var heard: [UInt64: UInt64] = [:]
    for id in state.heard.compactMap({ MessageID($0) }) { heard[id.stream] = id.sequence }
    for stream in actor.heardUpTo.keys.sorted() {
      let (before, now) = (actor.heardUpTo[stream] ?? 0, heard[stream] ?? 0)
      guard now < before else { continue }
      return world.fail(
        "\(node.label) was shown \(hexadecimal(stream)).\(before), and knows of \(now) after a start"
      )
    }
    for entry in state.outbox {
      if let message = try? Message(parsing: entry.message) { foundOwn(message, node, world) }
    }
  }

  /// And what it has said; asked when it has told what failed meanwhile.
  func checkOutbox(_ state: ReplicaState, of node: PeerMachine, _ world: World) {
    let waiting = outbox(state)
    for said in all where said.actor === node.actor && said.isAccepted {
      guard let id = said.id, !waiting.contains(id) else { continue }
      for name in said.recipients ?? [] where !isSettled(said, name) {
        return world.fail("m\(said.number) for \(name) is not in the outbox after a start")
      }
    }
  }

  /// The messages that somebody does not have yet.
  func outbox(_ state: ReplicaState) -> Set<MessageID> {
    Set(
      state.outbox.compactMap { entry in
        (try? Message(parsing: entry.message))?.tags["msgid"].flatMap { MessageID($0) }
      })
  }

  /// It is there, or its sender knows that it will not be.
  func isSettled(_ said: Said, _ name: MemberName) -> Bool {
    let holders = holders(name)
    if holders.allSatisfy(\.isGone) { return true }
    if hasArrived(said, for: name) { return true }
    // Its first receipt was lost with the process.
    if said.isUntold { return true }
    // Loosened, as in `show`: whoever has taken a name that another gave up may get what waits for
    // that, and what becomes of it is told by the name that it has then.
    let names = holders.reduce(into: Set<MemberName>()) { $0.formUnion($1.names) }
    return said.reports.contains { report in
      let isPerhapsSame = self.holders(report.name).contains { !names.isDisjoint(with: $0.names) }
      guard isPerhapsSame else { return false }
      switch report.state {
      case .failed: return true
      case .sent: return holders.contains { !$0.isProgram }
      case .delivered, .takenOver, .relayed, .waiting: return false
      }
    }
  }

  /// Nobody has what was said later and lacks this, for which no failure was reported. (Who has had
  /// another name may be in a roster twice, and have got what was said later under the other one.)
  func checkGap(before said: Said, _ name: MemberName, _ world: World) {
    let holders = holders(name).filter { !$0.isGone }
    guard let id = said.id, holders.count == 1, holders[0].names.count == 1,
      !isSettled(said, name)
    else { return }
    guard let heard = holders[0].heardUpTo[id.stream], heard > id.sequence else { return }
    world.fail(
      "\(name) was shown \(hexadecimal(id.stream)).\(heard), and m\(said.number) before it waits")
  }

  /// A receipt is for what is on the disk.
  func acknowledged(_ id: MessageID, by node: PeerMachine, _ world: World) {
    let has = node.actor.heardUpTo[id.stream] ?? 0
    guard id.sequence > has else { return }
    world.fail("\(node.label) acknowledges \(id), and has \(has)")
  }

  // MARK: People without a program

  /// They may hear again what they heard before: they can't say that they have it.
  func heardPlainly(_ message: Message, from source: Member, by actor: Actor, _ world: World) {
    let text: String
    let target: Said.Target
    switch message.content {
    case .msg(let group, let said): (text, target) = (said, .group(group))
    case .pm(_, let said): (text, target) = (said, .person)
    default: return
    }
    guard let said = find(text), text.utf8.elementsEqual(said.text.utf8) else {
      return world.fail("\(actor.label) reads \(text), which nobody has said")
    }
    // Until it has its name it is called something else.
    let isKnown =
      said.actor.names.contains(source.name)
      || (!said.actor.isProgram && "\(source.name)".hasPrefix("guest"))
    guard said.target == target, isKnown else {
      return world.fail("\(actor.label) reads m\(said.number) as \(source)'s to \(target)")
    }
    if let recipients = said.recipients,
      !recipients.contains(where: { actor.names.contains($0) || "\($0)".hasPrefix("guest") })
    {
      return world.fail("\(actor.label) reads m\(said.number), which was for \(recipients)")
    }
    actor.shown.insert(said.number)
  }
}
