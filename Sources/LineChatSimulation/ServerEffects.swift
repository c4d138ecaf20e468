// What the core asks for, held against the model, and carried out: on the disk, on the network, on
// the connections.

import LineChatCore
import LineProtocol

extension ServerNode {
  func settle(_ world: World) {
    while directory.hasEffects && world.failure == nil {
      var effects: [Effect] = []
      directory.takeEffects { effects.append($0) }
      // Who is gone is gone before anything that follows from it.
      effects = effects.filter(isEnd) + effects.filter { !isEnd($0) }
      depth += 1
      defer { depth -= 1 }
      for effect in effects where world.failure == nil {
        do throws(Wrong) {
          try carryOut(effect, world)
        } catch {
          world.fail(error.what)
        }
      }
    }
    guard depth == 0 else { return }
    if let number = model.mustEnd.keys.min() {
      world.fail("connection \(number) should have been closed")
    }
    if !model.due.isEmpty { world.fail("a change was not handed to the disk") }
    if let dial = network.closing { world.fail("the dial to \(dial.endpoint) should be given up") }
    do throws(Wrong) { try model.checkLanes() } catch { world.fail(error.what) }
  }

  private func isEnd(_ effect: Effect) -> Bool {
    if case .close(let id) = effect { byIndex[id.index]?.id == id } else { false }
  }

  private func carryOut(_ effect: Effect, _ world: World) throws(Wrong) {
    switch effect {
    case .close(let id) where network.holds(id):
      if let dial = network.take(id) { try model.closing(dial) }
    case .close(let id) where network.stillborn.remove(id) != nil: break
    case .close(let id):
      guard let connection = byIndex[id.index] else { throw Wrong("nobody is to be closed") }
      try model.closing(connection.link.number)
      if world.options.sabotage == .forgetClose && world.chance(5) { return }
      connection.isClosing = true
    case .overrun(let id):
      guard let connection = byIndex[id.index], let caller = connection.caller,
        caller.ear.hasListing,
        last - caller.movedAt >= Limits.listingStallMicroseconds
          || directory.fanOut.heldBytes(id.index) > Limits.heldBytes
      else { throw Wrong("connection \(id.index) is called slow and is not") }
      drop(connection, reason: "slow consumer", world)
      world.reset(connection.link)
    case .resume(let id):
      if world.options.sabotage == .forgetResume && world.chance(5) { return }
      byIndex[id.index]?.isPaused = false
      requestRound(world)
    case .persist(let record, let ticket):
      world.note("record \(ticket.number) is \(Ear.text(record.line))")
      try model.persisting(record, ticket)
      journal.add(record, ticket)
      if world.options.sabotage == .forgetTicket && world.chance(5) { return }
      let most = world.isHealing ? 0 : world.options.diskDelayMicrosecondsMax
      let delay = Int64(world.random(0...most))
      // The disk takes one after the other.
      writes.append((max(world.now + delay, writes.last?.at ?? 0), ticket))
      if delay == 0 && writes.count == 1 && world.chance(2) { return finishWrite(ticket, world) }
      world.after(delay, wake: number, number: 2)
    case .note(let record):
      world.note("noted is \(Ear.text(record.line))")
      try model.noting(record)
      journal.add(record, nil)
    case .dial(let id, let endpoint, _): try dial(id, endpoint, world)
    case .dialServer: throw Wrong("a server has no server")
    case .finish(let id):
      guard let dial = network[id], dial.mustFinish else { throw Wrong("nobody is to be let go") }
      dial.mustFinish = false
      network.ending.append(dial)
    case .event: break
    }
  }

  func finishWrite(_ ticket: Ticket, _ world: World) {
    writes.removeAll { $0.ticket == ticket }
    let oneIn = world.options.diskFailsOneIn
    let fails = oneIn > 0 && !world.isHealing && world.chance(oneIn)
    let now = moment(world)
    world.note("record \(ticket.number) \(fails ? "failed" : "is on disk")")
    if fails { model.persistFailed(ticket) } else { model.persisted(ticket) }
    journal.answered(ticket, fails: fails)
    let isSpoilt: Bool =
      switch world.options.sabotage {
      case .confirmFailedWrite: fails
      case .failWrittenWrite: !fails && world.chance(5)
      default: false
      }
    if fails != isSpoilt {
      directory.persistFailed(ticket, reason: "no space left on device", now: now)
    } else {
      directory.persisted(ticket, now: now)
    }
    settle(world)
  }
}
