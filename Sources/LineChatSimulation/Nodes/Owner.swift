// What a node's owner does: joins, leaves, says things, takes another name.

import LineChatCore
import LineProtocol

extension PeerMachine {
  static let groups = ["lobby", "ops", "dev", "x"].compactMap { GroupName($0) }
  /// Names that anybody may take in turn.
  static let shared = ["zoe", "yan"].compactMap { MemberName($0) }

  func act(_ world: World) {
    guard isUp, !isAsleep, world.failure == nil else { return }
    if actor.isIn.isEmpty && world.chance(3) {
      let group = group(world)
      return perform(.join(group), .join(group), world)
    }
    if isToLeave(world), let group = actor.isIn.min() {
      return perform(.leave(group), .leave(group), world)
    }
    switch world.pick(world.options.nodes.deeds) {
    case .join:
      let group = group(world)
      if actor.isIn.count < 3 || world.chance(4) { perform(.join(group), .join(group), world) }
    case .leave:
      guard world.chance(3) else { return }
      let group = group(world)
      perform(.leave(group), .leave(group), world)
    case .say: say(world)
    case .tell: tellSomebody(world)
    case .tellAddress: tellAddress(world)
    case .rename: rename(world)
    }
  }

  private func group(_ world: World) -> GroupName {
    PeerMachine.groups[world.random(0...world.options.nodes.groups - 1)]
  }

  private func say(_ world: World) {
    let groups = actor.isIn.sorted()
    let group = groups.isEmpty || world.chance(20) ? group(world) : world.pick(groups)
    // Whom it will be for, as the node knows it at this moment.
    guard let members = members(group, world) else { return }
    let own = core.status(now: moment(world)).name
    let others = members.map(\.member.name).filter { $0 != own }
    let said = witness.ask(actor, .group(group), others, world)
    perform(.say(group, said.text), .say(said), world)
  }

  private func tellSomebody(_ world: World) {
    // What the server calls somebody until it has said its name is nobody's name for long.
    let names = witness.actors.flatMap { $0.names.sorted() }
      .filter { !"\($0)".hasPrefix("guest") }
    let name = world.pick(names)
    tell(.name(name), [name], world)
  }

  private func tellAddress(_ world: World) {
    guard let members = members(group(world), world), !members.isEmpty else { return }
    let member = world.pick(members).member
    guard case .direct(let endpoint) = member.place else {
      return tell(.member(member), [member.name], world)
    }
    if world.chance(2) {
      tell(.member(member), [member.name], world)
    } else {
      tell(.endpoint(endpoint), nil, world)
    }
  }

  private func tell(_ recipient: Recipient, _ names: [MemberName]?, _ world: World) {
    let said = witness.ask(actor, .person, names, world)
    perform(.tell(recipient, said.text), .say(said), world)
  }

  private func rename(_ world: World) {
    guard world.chance(3) else { return }
    let name: MemberName?
    if world.options.nodes.hasSharedNames && world.chance(2) {
      name = world.pick(PeerMachine.shared)
    } else {
      name = MemberName("\(label)\(world.chance(3) ? "" : "\(world.random(1...9))")")
    }
    guard let name else { return }
    actor.names.insert(name)
    perform(.rename(name), .rename(name), world)
  }
}
