// What befalls machines and the ways between them, drawn from the seed: until the world heals, every
// now and then something breaks, and a while later it is mended.

import LineChatCore
import LineProtocol

final class Fate: Node {
  private unowned let town: Town
  private var number = -1
  /// What ends a mishap, by the number of its timer.
  private var ends: [Int: (World) -> Void] = [:]
  private var lastEnd = 0

  init(_ town: Town) {
    self.town = town
    number = town.world.add(self)
  }

  func begin() {
    guard !town.world.options.nodes.mishaps.isEmpty else { return }
    goOn(town.world)
  }

  func wake(_ cause: Cause, in world: World) {
    guard case .timer(let which) = cause, !world.isHealing, world.failure == nil else { return }
    guard which == 0 else {
      ends.removeValue(forKey: which)?(world)
      return
    }
    strike(world.pick(world.options.nodes.mishaps), world)
    goOn(world)
  }

  private func goOn(_ world: World) {
    let pause = world.random(0...world.options.nodes.mishapPauseMicrosecondsMax)
    world.after(Int64(pause), wake: number, number: 0)
  }

  /// After a while, short or long.
  private func later(_ world: World, _ seconds: Int = 120, _ end: @escaping (World) -> Void) {
    lastEnd += 1
    ends[lastEnd] = end
    let most = world.pick([100_000, 5_000_000, seconds * 1_000_000])
    world.after(Int64(world.random(0...most)), wake: number, number: lastEnd)
  }

  // MARK: What there is

  private func strike(_ mishap: Mishap, _ world: World) {
    let (server, node) = (town.server, world.pick(town.nodes))
    switch mishap {
    case .kill, .powerCut:
      node.crash(world, losesPower: mishap == .powerCut)
      later(world, 60) { node.start($0) }
    case .reset:
      let links = world.streets.dialled.filter { !$0.isGone && $0.server >= 0 }
      if !links.isEmpty { world.reset(world.pick(links)) }
    case .silence: cut([(pickHost(world), pickHost(world))], world)
    case .partition: partition(world)
    case .sleep: node.sleep(Int64(world.random(0...world.pick([3_000_000, 200_000_000]))), world)
    case .clockJump: jump(world)
    case .diskFull: spoil(node, SimulatedDisk.noSpace, world)
    case .diskFails: spoil(node, SimulatedDisk.inputOutput, world)
    case .diskSlow: slowDown(node, world)
    case .nodeLost:
      node.crash(world, losesPower: true)
      node.loseDirectory(world)
      later(world, 60) { node.start($0) }
    case .serverKill, .serverAway:
      server.crash(world, losesPower: world.chance(2))
      later(world, mishap == .serverKill ? 5 : 300) { server.start($0) }
    case .serverLost:
      server.crash(world, losesPower: true)
      server.loseDirectory(world)
      later(world, 60) { server.start($0) }
    case .serverRestored:
      if world.chance(2) { return server.backUp(world) }
      server.crash(world, losesPower: true)
      server.restoreBackup(world)
      // Loosened: it has those again who had left since, and not those who have joined.
      for node in town.nodes {
        node.actor.unsure.formUnion(Set(PeerMachine.groups).subtracting(node.actor.isIn))
      }
      later(world, 60) { server.start($0) }
    case .serverSleep:
      server.sleep(Int64(world.random(0...world.pick([3_000_000, 200_000_000]))), world)
    case .serverDiskFull: spoil(server, SimulatedDisk.noSpace, world)
    case .serverDiskFails: spoil(server, SimulatedDisk.inputOutput, world)
    case .serverDiskSlow: slowDown(server, world)
    case .move: move(node, world)
    case .stranger: _ = Stranger(town, world)
    }
  }

  /// For a while every write fails.
  private func spoil<C: ~Copyable>(_ machine: Machine<C>, _ code: Int32, _ world: World) {
    machine.diskFault = .failure(code)
    later(world, 60) { _ in machine.diskFault = nil }
  }

  private func slowDown<C: ~Copyable>(_ machine: Machine<C>, _ world: World) {
    machine.diskDelayMicroseconds = world.pick([100_000, 2_000_000, 20_000_000])
    later(world, 60) { _ in machine.diskDelayMicroseconds = 0 }
  }

  private func pickHost(_ world: World) -> Int {
    world.pick([town.server.number] + town.nodes.map(\.number))
  }

  private func cut(_ ways: [(Int, Int)], _ world: World) {
    for (from, to) in ways where from != to { world.cut(from, to) }
    later(world, 200) { world in
      for (from, to) in ways where from != to { world.mend(from, to) }
    }
  }

  /// Some hosts on one side, the rest on the other; or two nodes that only the server reaches both.
  private func partition(_ world: World) {
    var hosts = town.nodes.map(\.number)
    hosts.shuffle(using: &world.random)
    let here = hosts.prefix(world.random(1...hosts.count))
    var there = hosts.dropFirst(here.count) + []
    if world.chance(2) || there.isEmpty { there.append(town.server.number) }
    cut(here.flatMap { one in there.flatMap { [(one, $0), ($0, one)] } }, world)
  }

  private func jump(_ world: World) {
    let hours = Int64(3_600_000_000)
    let by = world.pick([-hours * 5, -60_000_000, -500_000, 500_000, 60_000_000, hours * 30])
    // A directory that is put back and a calendar that goes back could give the same versions again:
    // nothing on the disk shows that they were given.
    let isKept = world.options.nodes.mishaps.contains(.serverRestored)
    if world.chance(4) && (!isKept || by > 0) {
      world.note("the server's clock jumps by \(by)")
      town.server.calendarShift += by
    } else {
      let node = world.pick(town.nodes)
      world.note("the clock of \(node.label) jumps by \(by)")
      node.calendarShift += by
    }
  }

  /// To a new address, or to one that another has had.
  private func move(_ node: PeerMachine, _ world: World) {
    let address = IPAddress(v4: 0x0a00_0001 + UInt32(world.random(0...town.nodes.count + 1)))
    guard world.streets.hosts[address] == nil else { return }
    node.move(to: address, world)
  }
}
