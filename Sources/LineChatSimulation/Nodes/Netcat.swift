// People without a program among the nodes: those who chat with a netcat, some of whom listen with
// another one; and strangers who connect to a node's port and say all kinds of things that they may
// not say.

import LineChatCore
import LineProtocol

final class Netcat: Node {
  private enum Wake { static let (connect, act) = (0, 1) }

  let actor: Actor
  let name: MemberName
  let group: GroupName
  /// Where its other netcat listens.
  let listens: Endpoint?
  private let address: IPAddress
  private let witness: Witness
  private var number = -1
  private var link: Link?
  private var hasServer = false
  private var input: [Int: [UInt8]] = [:]

  init(_ name: MemberName, _ address: IPAddress, isListener: Bool, _ town: Town) {
    let world = town.world
    self.name = name
    self.address = address
    witness = town.witness
    group = PeerMachine.groups[world.random(0...world.options.nodes.groups - 1)]
    listens = isListener ? Endpoint(address: address, port: 7_000) : nil
    actor = witness.makeActor(name.description, isProgram: false)
    actor.names.insert(name)
    if let listens { actor.places.insert(.direct(listens)) }
    number = world.add(self)
    world.streets.hosts[address] = number
    if let listens { world.streets.listeners[listens] = number }
    world.after(Int64(world.random(0...5_000_000)), wake: number, number: Wake.connect)
  }

  func wake(_ cause: Cause, in world: World) {
    switch cause {
    case .timer(Wake.connect): connect(world)
    case .timer: act(world)
    case .connected(let link): greet(link, world)
    case .arrived(let link, let bytes): hear(bytes, link, world)
    case .ended(let link):
      let side: Link.Side = link === self.link ? .client : .server
      world.close(link, from: side)
      lose(link, world)
    case .refused(let link), .reset(let link): lose(link, world)
    case .opened, .taken: break
    }
  }

  private func connect(_ world: World) {
    guard link == nil, let server = ServerMachine.endpoint else { return }
    actor.generation += 1
    link = world.dial(server, from: number, at: address)
  }

  private func greet(_ link: Link, _ world: World) {
    // One that was reset meanwhile is not the one that it dials now.
    guard link === self.link else { return }
    let place = listens.map { " :\($0.port)" } ?? ""
    hasServer = true
    write("NICK \(name)\nJOIN \(group)\(place)\n", world)
    world.after(1_000_000, wake: number, number: Wake.act)
  }

  private func lose(_ link: Link, _ world: World) {
    input[link.number] = nil
    guard link === self.link else { return }
    self.link = nil
    hasServer = false
    world.after(Int64(world.random(0...10_000_000)), wake: number, number: Wake.connect)
  }

  private func write(_ text: String, _ world: World) {
    guard let link else { return }
    world.note("\(name) \(link.number)> \(text.prefix(300).debugDescription)")
    world.write(Array(text.utf8), to: link, from: .client)
  }

  private func act(_ world: World) {
    guard !world.isHealing, link != nil, hasServer else { return }
    switch world.random(1...10) {
    case 1: write("MEMBERS \(group)\n", world)
    case 2:
      if let link {
        world.close(link, from: .client)
        lose(link, world)
      }
      return
    default:
      let said = witness.ask(actor, .group(group), nil, world)
      if said.text.utf8.count < 300 { write("MSG \(group) \(said.text)\n", world) }
    }
    let pause = world.random(0...max(500_000, world.options.nodes.pauseMicrosecondsMax))
    world.after(Int64(pause), wake: number, number: Wake.act)
  }

  private func hear(_ bytes: [UInt8], _ link: Link, _ world: World) {
    var all = input[link.number, default: []] + bytes
    while let end = all.firstIndex(of: 0x0A) {
      let line = String(decoding: all[..<end], as: UTF8.self)
      all.removeFirst(end + 1)
      world.note("\(name) \(link.number)< \(line.prefix(300).debugDescription)")
      learnName(line)
      guard let message = try? Message(parsing: line), let source = message.source else { continue }
      witness.heardPlainly(message, from: source, by: actor, world)
    }
    input[link.number] = all
  }

  /// What it is called until it has its own name.
  private func learnName(_ line: String) {
    guard line.hasPrefix("INFO ") else { return }
    let word = line.split(separator: " ").first { $0.hasPrefix("you=") }
    if let name = word.flatMap({ MemberName($0.dropFirst(4)) }) { actor.names.insert(name) }
  }
}

/// Connects to a node's port, says something, and goes.
final class Stranger: Node {
  private var number = -1
  private let text: String

  init(_ town: Town, _ world: World) {
    let address = IPAddress(v4: 0x0a00_0080 + UInt32(world.random(0...7)))
    let target = world.pick(town.nodes)
    let other = world.pick(town.nodes)
    text = Stranger.line(target, other, world)
    number = world.add(self)
    guard let endpoint = target.core.listens else { return }
    _ = world.dial(endpoint, from: number, at: address)
  }

  private static func line(
    _ target: PeerMachine, _ other: PeerMachine, _ world: World
  ) -> String {
    let group = PeerMachine.groups[0]
    let name = target.member(world).name
    let source = world.pick(
      [
        other.member(world), Member(name: other.member(world).name, place: .relay),
        target.member(world),
      ])
    let id = "\(hexadecimal(world.random.next())).\(world.random(1...9))"
    let stamp = Timestamp.text(world.now + world.calendarShift)
    let lines = [
      "PM \(name) stranger here", "PM \(other.member(world).name) stranger lost",
      ":\(source) MSG \(group) forged", "@msgid=\(id);time=\(stamp) :\(source) MSG \(group) forged",
      "@msgid=\(id);version=1.1;group=\(group) :\(source) PM \(name) forged",
      "MSG \(group) forged", "JOIN \(group)", ":\(source) JOIN \(group)", "NICK \(source.name)",
      "@version=9999999999.1 :\(source) LEAVE \(group)", ":\(source) ACK \(group) \(id)",
      "OK NICK forged", "MEMBER \(group) forged@relay online", "GROUPS", "QUIT", "",
    ]
    // Above all: in the name of somebody who might say it.
    let forged = ":\(other.member(world)) MSG \(group) forged"
    return (0..<world.random(1...6)).map { _ in world.chance(3) ? forged : world.pick(lines) }
      .joined(separator: "\n")
      + (world.chance(3) ? "" : "\n")
  }

  func wake(_ cause: Cause, in world: World) {
    switch cause {
    case .connected(let link):
      world.note("a stranger says \(text.debugDescription)")
      world.write(Array(text.utf8), to: link, from: .client)
      world.end(link, from: .client)
    case .ended(let link): world.close(link, from: .client)
    case .timer, .opened, .refused, .arrived, .reset, .taken: break
    }
  }
}
