// One run with nodes: a server, nodes and netcats under mishaps, then healing, then everything that was
// promised must be so.

import LineChatCore
import LineProtocol

final class Town {
  /// After the last mishap, the rosters of all nodes are the server's within this time: the longest
  /// pause before the server is tried again, and two seconds for a try that was under way.
  private static let rostersMicroseconds: Int64 = 35_000_000
  /// And what can be delivered is.
  private static let outboxesMicroseconds: Int64 = 120_000_000

  let world: World
  let witness = Witness()
  let server: ServerMachine
  private(set) var nodes: [PeerMachine] = []

  private static let labels = ["ann", "bob", "cat", "dan", "eva", "fay"]

  init(_ world: World) {
    self.world = world
    let options = world.options
    server = ServerMachine(options)
    server.join(world)
    for index in 0..<options.nodes.nodes {
      guard let name = MemberName(Town.labels[index]) else { continue }
      let address = IPAddress(v4: 0x0a00_0001 + UInt32(index))
      let node = PeerMachine(Town.labels[index], name, address, witness, world)
      node.join(world)
      nodes.append(node)
    }
  }

  func run() -> Outcome {
    let options = world.options
    server.start(world)
    for node in nodes {
      node.start(world)
      world.after(
        Int64(world.random(0...1_000_000)), wake: node.number, number: PeerMachine.Wake.own)
    }
    world.run(steps: options.steps)
    heal()
    let limit = options.steps * 50 + 2_000_000
    let healed = world.now
    world.run(steps: limit, until: healed + Town.rostersMicroseconds)
    checkRosters()
    world.run(steps: limit, until: healed + Town.outboxesMicroseconds)
    checkOutboxes()
    if world.failure == nil { witness.checkEverything(self) }
    return Outcome(
      options: options, steps: world.steps, hash: world.trace.hash, failure: world.failure,
      lastEvents: world.trace.last, counts: witness.counts)
  }

  private func heal() {
    world.heal()
    world.mendAll()
    for machine in nodes {
      machine.diskFault = nil
      machine.awake(world)
      machine.start(world)
    }
    server.diskFault = nil
    server.awake(world)
    server.start(world)
  }

  // MARK: In the end

  /// Who is where, as the server says it to anybody.
  private func probe() -> Probe? {
    let probe = Probe(PeerMachine.groups, world)
    world.run(steps: .max, until: world.now + 1_000_000)
    if !probe.isDone { world.fail("the server does not answer") }
    return world.failure == nil ? probe : nil
  }

  private func checkRosters() {
    guard world.failure == nil, let probe = probe() else { return }
    for node in nodes where world.failure == nil {
      guard node.isServerThere else { return world.fail("\(node.label) is not with the server") }
      for group in PeerMachine.groups { check(group, node, probe) }
    }
  }

  private func check(_ group: GroupName, _ node: PeerMachine, _ probe: Probe) {
    let own = node.core.status(now: node.moment(world)).name
    let due = probe.rosters[group] ?? []
    let isIn = due.contains { $0.member.name == own }
    if !node.actor.unsure.contains(group) && isIn != node.actor.isIn.contains(group) {
      world.fail("\(node.label) is \(isIn ? "" : "not ")in \(group) at the server")
    }
    guard isIn else { return }
    guard let known = node.members(group, world) else {
      // A join whose answer was lost: the node learns of it with the first thing that happens there.
      if node.actor.unsure.contains(group) { return }
      return world.fail("\(node.label) does not know that it is in \(group)")
    }
    // What somebody can do whose membership ends with its connection is not told.
    let told = due.map(\.member.name).filter { name in
      nodes.contains { $0.isTransient && $0.actor.names.contains(name) }
    }
    let has = known.map { entry in
      let entry = Probe.Entry(
        member: entry.member, isOnline: entry.isOnline, speaksTags: entry.speaksTags)
      return told.contains(entry.member.name) ? due.first { $0.member == entry.member } : entry
    }
    if has != due {
      world.fail(
        "the roster of \(group) at \(node.label) is \(has.map { $0?.description ?? "-" }), not \(due)"
      )
    }
  }

  private func checkOutboxes() {
    guard world.failure == nil, let probe = probe() else { return }
    for node in nodes where world.failure == nil {
      let status = node.core.status(now: node.moment(world))
      for contact in status.contacts where contact.waiting > 0 {
        guard probe.isOnline(contact.member.name) ?? true else { continue }
        world.fail(
          "\(contact.waiting) messages for \(contact.member) wait at \(node.label): \(contact)")
      }
      for number in node.calls.keys.sorted() {
        guard let (call, since) = node.calls[number], world.now - since > 60_000_000 else {
          continue
        }
        world.fail("\(node.label) was never answered: call \(number), \(call)")
      }
    }
  }
}

extension Witness {
  var counts: [String: Int] {
    let states = all.flatMap(\.reports).map(\.state)
    func count(_ isMeant: (DeliveryState) -> Bool) -> Int { states.count(where: isMeant) }
    return [
      "said": all.count, "accepted": all.count(where: \.isAccepted),
      "shown": actors.reduce(0) { $0 + $1.shown.count },
      "told delivered": count { $0 == .delivered }, "told sent": count { $0 == .sent },
      "told relayed": count { $0 == .relayed },
      "told failed": count { if case .failed = $0 { true } else { false } },
      "told waiting": count { if case .waiting = $0 { true } else { false } },
    ]
  }

  /// Everything that was accepted is where it should be.
  func checkEverything(_ town: Town) {
    for said in all where said.isAccepted && !said.actor.isGone {
      for name in said.recipients ?? [] { check(said, name, town) }
    }
  }

  private func check(_ said: Said, _ name: MemberName, _ town: Town) {
    let holders = holders(name)
    guard !holders.isEmpty else { return }
    if holders.contains(where: { $0.shown.contains(said.number) }) { return }
    let numbers = Set(holders.map(\.number))
    let reports = said.reports.filter { report in
      !numbers.isDisjoint(with: self.holders(report.name).map(\.number))
    }
    let isExcused = reports.contains { report in
      switch report.state {
      case .failed: true
      case .sent: holders.contains { !$0.isProgram }
      case .delivered, .takenOver, .relayed, .waiting: false
      }
    }
    if isExcused || holders.contains(where: \.isGone) { return }
    town.world.fail("m\(said.number) for \(name) is lost: \(reports.map(\.state))")
  }
}
