// Faults put in at a node's boundary, one kind at a time, to prove that the checkers find them: in what
// it reads at its start, in what it hears, in what it says, in what it writes, in what it tells its
// owner; and two in the server that the nodes live with.

import LineChatCore
import LineProtocol

package enum NodeSabotage: String, CaseIterable, Sendable {
  case forgetTick, forgetReset, believeEverybody
  // What is written, and read at the next start.
  case acknowledgeBeforeWrite, loseOwnWrite, forgetNumber, forgetHeard, forgetOutbox, forgetTime
  case forgetLeaving
  // What is heard.
  case alterText, staleRoster, misdeliver
  // What is said.
  case sayToLeaver, acknowledgeUnheard
  // What the owner is told.
  case showTwice, reorder, deliveredWhenFailed, hideFailure, stampBack, answerEarlier
  // The server.
  case serverForgets, serverRepeatsVersions
}

extension PeerMachine {
  private func isSpoilt(_ fault: NodeSabotage, _ world: World, oneIn: Int = 1) -> Bool {
    world.options.nodes.sabotage == fault && world.chance(oneIn)
  }

  // MARK: The disk

  func write(_ record: Record, _ ticket: Ticket, _ world: World) {
    if isSpoilt(.loseOwnWrite, world, oneIn: 10) { return persisted(ticket, true, world) }
    guard isSpoilt(.acknowledgeBeforeWrite, world) else { return disk.persist(record, ticket) }
    disk.note(record)
    persisted(ticket, true, world)
  }

  /// A leave of its own.
  func isForgotten(_ record: Record, _ world: World) -> Bool {
    guard world.options.nodes.sabotage == .forgetLeaving else { return false }
    let line = try? Message(parsing: String(decoding: record.line, as: UTF8.self))
    guard case .leave? = line?.content else { return false }
    return line?.tags["version"] == nil
  }

  /// Only a leave of which the server is not told before the process ends shows that it is forgotten.
  func isToLeave(_ world: World) -> Bool {
    world.options.nodes.sabotage == .forgetLeaving && !isServerThere
  }

  func spoil(_ state: inout ReplicaState, _ world: World) {
    switch world.options.nodes.sabotage {
    case .forgetNumber:
      for index in state.sent.indices {
        guard let id = MessageID(state.sent[index].latest), id.sequence > 1,
          !state.outbox.contains(where: { $0.message.contains("\(hexadecimal(id.stream)).") })
        else { continue }
        state.sent[index].latest = "\(hexadecimal(id.stream)).\(id.sequence - 1)"
      }
    case .forgetHeard: state.heard = []
    case .forgetOutbox: _ = state.outbox.popLast()
    case .forgetTime: state.time = Timestamp.text(0)
    case .forgetLeaving: (state.leaving, state.leavesAsked) = ([], nil)
    default: break
    }
  }

  // MARK: What is heard

  func spoilHeard(_ line: [UInt8], _ socket: Socket, _ world: World) -> [UInt8]? {
    guard let fault = world.options.nodes.sabotage,
      [.alterText, .staleRoster, .misdeliver].contains(fault),
      let message = try? Message(parsing: String(decoding: line, as: UTF8.self)),
      let source = message.source
    else { return line }
    switch (fault, message.content) {
    case (.alterText, .msg), (.alterText, .pm):
      guard let last = line.last, last > 0x60, last < 0x7A, world.chance(5) else { return line }
      return line.dropLast() + [last ^ 1]
    case (.misdeliver, .pm):
      guard isServer(socket), let other = neighbours.first(where: { $0 !== self && $0.hasServer })
      else { return line }
      other.overhears(line, world)
      return nil
    case (.staleRoster, .join(let group, _, _)), (.staleRoster, .leave(let group, _)):
      guard isServer(socket), message.tags["version"] != nil else { return line }
      defer { latestChange[group] = Message.Heard(source: source, content: message.content) }
      guard let stale = latestChange[group], world.chance(3),
        let spoilt = try? Message(
          tags: message.tags, source: stale.source, content: stale.content)
      else { return line }
      return Array(spoilt.render().utf8.dropLast())
    default: return line
    }
  }

  // MARK: What is said

  func spoilSaid(_ bytes: [UInt8], _ socket: Socket, _ world: World) -> [UInt8] {
    guard let fault = world.options.nodes.sabotage,
      [.sayToLeaver, .acknowledgeUnheard].contains(fault)
    else { return bytes }
    let lines = bytes.split(separator: 0x0A).map { line -> [UInt8] in
      let text = String(decoding: line, as: UTF8.self)
      guard let message = try? Message(parsing: text) else { return Array(line) }
      switch (fault, message.content) {
      case (.acknowledgeUnheard, .ack(let destination, let id)):
        guard let next = MessageID(stream: id.stream, sequence: id.sequence + 1), world.chance(5),
          let spoilt = try? Message(tags: message.tags, content: .ack(destination, next))
        else { break }
        return Array(spoilt.render().utf8.dropLast())
      case (.sayToLeaver, .msg(let group, let said)):
        guard let to = message.tags["to"], let leaver = gone[group]?.min() else { break }
        var tags = message.tags
        tags["to"] = "\(to),\(leaver)"
        guard let spoilt = try? Message(tags: tags, content: .msg(group, said)) else { break }
        return Array(spoilt.render().utf8.dropLast())
      default: break
      }
      return Array(line)
    }
    return Array(lines.joined(separator: [0x0A])) + [0x0A]
  }

  // MARK: What the owner is told

  /// What the owner hears instead.
  func spoil(_ news: News, _ world: World) -> [News] {
    switch (world.options.nodes.sabotage, news) {
    case (.showTwice, .message(let message)):
      return message.path != .own && world.chance(20) ? [news, news] : [news]
    case (.reorder, .message(let message)) where message.path != .own:
      if let held = heldNews {
        heldNews = nil
        return [news, held]
      }
      guard world.chance(5) else { return [news] }
      heldNews = news
      return []
    case (.deliveredWhenFailed, .delivery(let id, let conversation, let name, .failed)):
      return [.delivery(id, conversation, name, .delivered)]
    case (.hideFailure, .delivery(_, _, _, .failed)): return []
    case (.stampBack, .message(var message)) where message.path == .own:
      if world.chance(10) { message.timeMicroseconds -= 1_000_000_000 }
      return [.message(message)]
    case (.answerEarlier, .message(var message)) where message.path == .own:
      message.timeMicroseconds = max(actor.time + 1, min(message.timeMicroseconds, actor.believed))
      return [.message(message)]
    default: return [news]
    }
  }
}

extension Message {
  /// Somebody's line, without its tags.
  struct Heard {
    let source: Member
    let content: Content
  }
}
