// A node in the world: the real core with its journal, a listener that follows its address, its
// owner's calls. What the core tells its owner goes to the witness.

import LineChatCore
import LineProtocol

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

final class PeerMachine: Machine<Peer> {
  /// What the owner waits for.
  enum Call {
    case join(GroupName)
    case leave(GroupName)
    case rename(MemberName)
    case say(Said)
    case members(GroupName, (GroupName, [Roster.Entry]) -> Void)
  }

  let witness: Witness
  var actor: Actor
  let isRelay: Bool
  let isTransient: Bool
  private let firstName: MemberName
  private(set) var calls: [UInt64: (call: Call, since: Int64)] = [:]
  private var callNumber: UInt64 = 0
  private(set) var isServerThere = false
  /// Somebody has the name that the server may have given it; it waits for that to be cleared up.
  private(set) var nameTaken: MemberName?
  /// The port that is taken where none was had before.
  private let port: UInt16
  private var serverSession: SessionID?
  override var key: Identity? { ownKey }
  private let ownKey: Identity?
  /// Members whose leave it knows of, by the group that they left.
  private(set) var gone: [GroupName: Set<MemberName>] = [:]

  /// Rosters on their way to the disk.
  private var listings: [Ticket: GroupName] = [:]

  // For faults that are put in.
  var neighbours: [PeerMachine] = []
  var latestChange: [GroupName: Message.Heard] = [:]
  var heldNews: News?

  init(
    _ label: String, _ name: MemberName, _ address: IPAddress, _ witness: Witness, _ world: World
  ) {
    let options = world.options.nodes
    self.witness = witness
    firstName = name
    isRelay = world.random(1...100) <= options.relayShare
    // One that does not listen either hands over what it says as a netcat does: there is no receipt, and
    // nothing that this world's witness could follow.
    isTransient = world.random(1...100) <= options.transientShare && !isRelay
    port = options.hasSamePorts ? 5_001 : UInt16(5_001 + witness.actors.count)
    // Without a key, a name belongs to the host where it was taken.
    ownKey = options.mishaps.contains(.move) ? Identity(fingerprint: "SHA256:\(label)") : nil
    actor = witness.makeActor(label, isProgram: true)
    actor.names.insert(name)
    let journal: Journal<SimulatedDisk>
    do throws(Recovery.Failure) {
      (_, journal) = try Recovery.start(SimulatedDisk(), snapshotFile: "replica.json")
    } catch {
      preconditionFailure("an empty disk can be read: \(error)")
    }
    super.init(
      label, address, Peer(Peer.Configuration(name: name)),
      DiskThread(journal, carriesNotes: Peer.carriesNotes), sectorBytes: options.sectorBytes)
  }

  // MARK: Life

  override var snapshotFile: String { "replica.json" }

  override func prepare(_ content: [UInt8]?, _ records: [Record], _ world: World) {
    var configuration = Peer.Configuration(name: firstName)
    configuration.version = "1"
    configuration.server = "server:5463"
    configuration.seed = world.random.next()
    configuration.isTransient = isTransient
    core = Peer(configuration)
    let now = moment(world)
    if let content {
      guard var state = try? JSONDecoder().decode(ReplicaState.self, from: Data(content)) else {
        return world.fail("\(label) cannot read its snapshot")
      }
      spoil(&state, world)
      let faults = core.restore(state, now: now)
      if let fault = faults.first { world.fail("in the snapshot of \(label): \(fault)") }
    }
    for record in records where !isForgotten(record, world) {
      world.note("\(label) replays \(Ear.text(record.line))")
      do throws(Refusal) { try core.replay(record, now: now) } catch {
        world.fail("\(Ear.text(record.line)) is not replayed: \(error.text)")
      }
      witness.found(record, by: self, world)
    }
    witness.checkHeard(core.replicaState(), by: self, world)
    (gone, latestChange, heldNews) = ([:], [:], nil)
  }

  override func state() -> [UInt8] { encoded(core.replicaState()) }

  override func begin(_ world: World) {
    if isRelay {
      tell(world) { core, now in core.listens(at: nil, isExplicit: false, now: now) }
    } else if let kept = core.listens, kept.address == address,
      world.streets.listeners[kept] == nil
    {
      listen(kept, world)
      tell(world) { core, now in core.listens(at: kept, isExplicit: false, now: now) }
    }
    tell(world) { core, now in core.start(now: now) }
    witness.checkOutbox(core.replicaState(), of: self, world)
    requestRound(world)
  }

  override func crash(_ world: World, losesPower: Bool) {
    guard isUp else { return }
    super.crash(world, losesPower: losesPower)
    isServerThere = false
    serverSession = nil
    for call in calls.keys.sorted() {
      switch calls[call]?.call {
      case .join(let group), .leave(let group): actor.unsure.insert(group)
      case .say(let said): said.isUntold = true
      case .rename, .members, nil: break
      }
    }
    (calls, listings) = ([:], [:])
    // What ends with the connection is not promised to be there after a crash.
    if isTransient { actor.unsure.formUnion(actor.isIn) }
    actor.generation += 1
  }

  override func woke(_ world: World) { tell(world) { core, now in core.woke(now: now) } }

  /// Everything that was known is gone: another directory, somebody else under the same name. While it
  /// is down. What the server has it in still it can't know.
  func loseDirectory(_ world: World) {
    world.note("the directory of \(label) is lost")
    platter = emptyDisk
    actor.isGone = true
    // Until it says otherwise, the server has its name where it listened before.
    let places = actor.places
    actor = witness.makeActor(label, isProgram: true)
    actor.places = places
    actor.names.insert(firstName)
    actor.unsure.formUnion(PeerMachine.groups)
  }

  /// The machine is at another address.
  func move(to new: IPAddress, _ world: World) {
    world.note("\(label) moves to \(new)")
    if world.streets.hosts[address] == number { world.streets.hosts[address] = nil }
    stopListening(world)
    address = new
    world.streets.hosts[new] = number
    for socket in sockets {
      world.vanish(socket.link, by: socket.side)
      socket.end = .reset
    }
    guard isUp, !isAsleep else { return }
    woke(world)
    requestRound(world)
  }

  // MARK: The server

  override func dialServer(_ id: SessionID, _ world: World) {
    guard let endpoint = ServerMachine.endpoint else { return }
    serverSession = id
    dial(id, endpoint, world)
  }

  override func stands(_ socket: Socket, _ world: World) {
    if socket.id == serverSession && !isRelay { listenHere(world) }
    super.stands(socket, world)
  }

  /// At the address that the server sees us come from; the port of before is tried first.
  private func listenHere(_ world: World) {
    let listeners = world.streets.listeners
    if let present = core.listens, present.address == address, listeners[present] == number {
      return
    }
    stopListening(world)
    let ports = [core.listens?.port, port].compactMap { $0 } + Array(6_000...6_100)
    let free = ports.lazy.compactMap { Endpoint(address: self.address, port: $0) }
      .first { listeners[$0] == nil }
    guard let free else { return }
    listen(free, world)
    actor.places.insert(.direct(free))
    tell(world) { core, now in core.listens(at: free, isExplicit: false, now: now) }
  }

  // MARK: The owner

  override func timer(_ which: Int, _ world: World) {
    guard which == Wake.own, !world.isHealing, world.failure == nil else { return }
    if isUp {
      for _ in 0..<world.random(1...world.options.nodes.burstMax) { act(world) }
      requestRound(world)
    }
    let pause = world.random(0...world.options.nodes.pauseMicrosecondsMax)
    world.after(Int64(pause), wake: number, number: Wake.own)
  }

  func perform(_ command: Command, _ call: Call, _ world: World) {
    callNumber += 1
    let number = callNumber
    calls[number] = (call, world.now)
    world.note("\(label) is to \(command)")
    tell(world) { core, now in core.perform(command, call: number, now: now) }
    requestRound(world)
  }

  /// Who is in a group, as the node knows it.
  func members(_ group: GroupName, _ world: World) -> [Roster.Entry]? {
    var found: [Roster.Entry]?
    perform(.members(group), .members(group) { _, entries in found = entries }, world)
    return found
  }

  override func settled(_ world: World) {
    while core.hasNews {
      var news: [News] = []
      core.takeNews { news.append($0) }
      for one in news where world.failure == nil {
        for one in spoil(one, world) { hear(one, world) }
      }
    }
  }

  private func hear(_ news: News, _ world: World) {
    world.note("\(label): \(news)")
    switch news {
    case .answer(let call, let answer): answered(call, answer, world)
    case .message(let message): witness.heard(message, by: self, world)
    case .delivery(let id, _, let name, let state):
      witness.told(state, of: id, for: name, to: self, world)
    case .named(let name): actor.names.insert(name)
    case .placed(let place): actor.places.insert(place)
    case .serverIsThere:
      isServerThere = true
      nameTaken = nil
    case .serverIsAway: isServerThere = false
    case .exited(let group, let reason):
      gone[group] = nil
      if !reason.isEmpty { actor.unsure.insert(group) }
    case .entered(let group, _, _): gone[group] = nil
    case .left(let member, let group, _): gone[group, default: []].insert(member.name)
    case .joined(let member, let group): gone[group]?.remove(member.name)
    case .renamed(let member, let name):
      for group in gone.keys { gone[group]?.remove(name) }
      for socket in sockets where socket.peerName == member.name { socket.peerName = name }
    case .nameIsTaken(let name, _): nameTaken = name
    case .serverIsTried, .reachable, .moved, .presence, .linkUp, .linkIdle,
      .linkDown, .connected, .disconnected, .refused:
      break
    }
  }

  private func answered(_ number: UInt64, _ answer: News.Answer, _ world: World) {
    guard let (call, _) = calls.removeValue(forKey: number) else {
      return world.fail("\(label): call \(number) is answered and was not made, or twice")
    }
    switch (call, answer) {
    case (.join(let group), .members):
      actor.isIn.insert(group)
      actor.unsure.remove(group)
    case (.leave(let group), .done):
      actor.isIn.remove(group)
      actor.unsure.remove(group)
    case (.say(let said), .receipt(let receipt)):
      witness.receipt(receipt, of: said, to: self, world)
    case (.say(let said), .refused(let refusal)): witness.refused(said, refusal, world)
    case (.members(_, let body), .members(let group, let entries)): body(group, entries)
    case (.join(let group), .refused), (.leave(let group), .refused): actor.unsure.insert(group)
    case (.rename, .refused), (.members, .refused), (.rename, .done): break
    default: world.fail("\(label): \(answer) answers \(call)")
    }
  }

  // MARK: Books

  override func check(_ world: World) {
    guard world.failure == nil else { return }
    if let problem = core.audit().problems.first {
      return world.fail("the books of \(label) are wrong: \(problem)")
    }
    if sockets.count > 200 { world.fail("\(label) has \(sockets.count) connections") }
  }

  // MARK: Lines

  var hasServer: Bool { isUp && isServerThere && serverSession.flatMap { socket(of: $0) } != nil }
  func isServer(_ socket: Socket) -> Bool { socket.id != nil && socket.id == serverSession }
  func member(_ world: World) -> Member {
    let status = core.status(now: moment(world))
    return Member(name: status.name, place: status.place ?? .relay)
  }

  /// A line that was for another.
  func overhears(_ line: [UInt8], _ world: World) {
    guard let session = serverSession, core.accepts(session) else { return }
    line.withUnsafeBytes { bytes in
      tell(world) { core, now in core.receive(.line(bytes), from: session, now: now) }
    }
    requestRound(world)
  }

  override func persists(_ record: Record, _ ticket: Ticket, _ world: World) {
    if let group = listedGroup(record) { listings[ticket] = group }
    write(record, ticket, world)
  }
  /// Loosened: a roster that could not be written is not known after a crash; the server tells of it with
  /// what happens next in the group.
  override func persisted(_ ticket: Ticket, _ isWritten: Bool, _ world: World) {
    super.persisted(ticket, isWritten, world)
    if let group = listings.removeValue(forKey: ticket), !isWritten { actor.unsure.insert(group) }
  }

  private func listedGroup(_ record: Record) -> GroupName? {
    let line = try? Message(parsing: String(decoding: record.line, as: UTF8.self))
    guard case .ok(.members, let text)? = line?.content else { return nil }
    return text.split(separator: " ").first.flatMap { GroupName($0) }
  }

  override func hears(_ line: [UInt8], _ socket: Socket, _ world: World) -> [UInt8]? {
    spoilHeard(line, socket, world)
  }
  override func says(_ bytes: [UInt8], _ socket: Socket, _ world: World) -> [UInt8] {
    spoilSaid(bytes, socket, world)
  }

  override func listens(_ bytes: UnsafeRawBufferPointer, _ socket: Socket) {
    guard socket.side == .client, !isServer(socket), bytes.starts(with: "INFO ".utf8) else {
      return
    }
    let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    let name = words.first { $0.hasPrefix("name=") }
    socket.peerName = name.flatMap { MemberName($0.dropFirst(5)) }
  }

  override func wrote(_ all: [(Socket, [UInt8])], _ world: World) {
    for (socket, bytes) in all {
      for line in bytes.split(separator: 0x0A) where world.failure == nil {
        check(line, socket, world)
      }
    }
  }

  /// Whether its copy of the roster has somebody of that name: the news of it may be held back behind a
  /// message that waits for the disk.
  private func knows(_ name: MemberName, in group: GroupName) -> Bool {
    core.replicaState().groups.contains { known in
      known.name == group.description
        && known.members.contains { MemberName($0.prefix { $0 != "@" }) == name }
    }
  }

  /// It acknowledges what it has, and says nothing in a group to those who it knows have left it.
  private func check(_ line: ArraySlice<UInt8>, _ socket: Socket, _ world: World) {
    guard line.contains(0x4D) || line.contains(0x41) else { return }
    guard let message = try? Message(parsing: String(decoding: line, as: UTF8.self)) else { return }
    switch message.content {
    case .ack(_, let id): witness.acknowledged(id, by: self, world)
    case .msg(let group, _):
      var names = (message.tags["to"] ?? "").split(separator: ",").compactMap { MemberName($0) }
      if let name = socket.peerName { names.append(name) }
      guard
        let leaver = names.first(where: { name in
          gone[group]?.contains(name) == true && !knows(name, in: group)
        })
      else { return }
      world.fail("\(label) says something in \(group) to \(leaver), who it knows has left")
    default: break
    }
  }
}
