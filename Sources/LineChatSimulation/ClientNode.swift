// Somebody who is connected to the server again and again: a person with netcat, who never sends
// tags, or a program, which speaks tags, labels what it asks and keeps replicas. It sends what the
// workload draws, goes away in every way there is, and holds the server to what can be seen from
// outside: a final reply to every request, in order, with its label, and replicas without gaps.

import LineChatCore
import LineProtocol

final class ClientNode: Node {
  private enum Wake: Int { case connect, act }

  private(set) var link: Link?
  private let server: Int
  private let isProgram: Bool
  private var origin: Origin
  private var key: Identity?
  private var number = 0
  /// Lines to be sent instead of any drawn ones, at once; then it goes.
  private let script: [String]?

  private var input: [UInt8] = []
  private var outstanding: [Sent] = []
  private var isLeaving = false
  private var isSilent = false
  /// The server said why it will close.
  private var isDismissed = false
  private var hasSent = false
  private var labels = 0

  private var name: MemberName?
  private(set) var replicas: [GroupName: Replica] = [:]
  private var listing: [Replica.Entry] = []

  init(_ world: World, server: Int, isProgram: Bool) {
    self.server = server
    self.isProgram = isProgram
    origin = world.pick(Workload.origins)
    key = world.options.hasKeys && world.chance(2) ? world.pick(Workload.keys) : nil
    script = nil
    number = world.add(self)
    world.after(Int64(world.random(0...1_000_000)), wake: number, number: Wake.connect.rawValue)
  }

  init(_ world: World, server: Int, from origin: Origin, key: Identity?, script: [String]) {
    self.server = server
    isProgram = false
    self.origin = origin
    self.key = key
    self.script = script
    number = world.add(self)
    world.after(0, wake: number, number: Wake.connect.rawValue)
  }

  // MARK: Being woken

  func wake(_ cause: Cause, in world: World) {
    switch cause {
    case .timer(Wake.connect.rawValue): connect(world)
    case .timer: act(world)
    case .arrived(let link, let bytes):
      guard link === self.link else { return }
      input += bytes
      takeLines(world)
    case .ended(let link):
      guard link === self.link else { return }
      if !input.isEmpty { world.fail("the server ended in the middle of a line") }
      if !outstanding.isEmpty && !isDismissed && !isSilent && link.pace == 0 {
        world.fail("link \(link.number) ended without an answer to \(describe(outstanding[0]))")
      }
      world.end(link, from: .client)
      lose(world)
    case .reset(let link):
      if link === self.link { lose(world) }
    case .opened, .connected, .refused, .taken: break
    }
  }

  private func connect(_ world: World) {
    guard link == nil, script != nil || !world.isHealing else { return }
    if script == nil && world.chance(5) { origin = world.pick(Workload.origins) }
    link = world.connect(number, to: server, as: origin, key: key)
    (input, outstanding, replicas, listing) = ([], [], [:], [])
    (isLeaving, isDismissed, hasSent, name) = (false, false, false, nil)
    isSilent = world.options.hasSilence && script == nil && world.chance(10)
    if let script {
      for line in script { send(.line, line, reply: "?", label: nil, world) }
    } else {
      world.after(0, wake: number, number: Wake.act.rawValue)
    }
  }

  private func lose(_ world: World) {
    link = nil
    guard !world.isHealing, script == nil else { return }
    let pause = world.random(0...world.options.pauseMicrosecondsMax)
    world.after(Int64(pause), wake: number, number: Wake.connect.rawValue)
  }

  // MARK: Sending

  private func act(_ world: World) {
    guard let link, !isLeaving, !world.isHealing else { return }
    if outstanding.count < 100 {
      for _ in 0..<world.random(1...world.options.burstMax) where !isLeaving {
        sendSomething(world)
      }
      if world.chance(15) { goAway(link, world) }
    }
    var pause = world.chance(3) ? 0 : world.random(0...world.options.pauseMicrosecondsMax)
    if isSilent { pause += 30_000_000 }
    world.after(Int64(pause), wake: number, number: Wake.act.rawValue)
  }

  private func goAway(_ link: Link, _ world: World) {
    isLeaving = true
    switch world.random(0...3) {
    case 0 where world.options.hasResets: world.reset(link)
    case 1 where world.options.hasHalfLines:
      let half = "MSG \(Workload.group(world)) half"
      // A program's half line is dropped, a person's last line counts.
      if !isProgram { expectReply(.line, Array(half.utf8), reply: "MSG", label: nil, link) }
      if isProgram { send(.line, "@a=b PING", reply: "PING", label: nil, world) }
      world.write(Array(half.utf8), to: link, from: .client)
      world.end(link, from: .client)
    case 2 where world.options.hasHalfCloses: world.end(link, from: .client)
    default: send(.line, "QUIT", reply: "QUIT", label: nil, world)
    }
  }

  /// For the end of a run: nobody stays.
  func leave(_ world: World) {
    guard let link, !isLeaving else { return }
    isLeaving = true
    if world.chance(2) { world.end(link, from: .client) } else { world.reset(link) }
  }

  private func sendSomething(_ world: World) {
    let work = world.pick(world.options.verbs)
    if work == .nonsense && world.chance(2) { return sendNonsense(world) }
    let (verb, line) = Workload.request(work, world)
    var label: String?
    var head = ""
    if isProgram {
      let isListing = work == .join || work == .members
      if isListing || world.chance(2) {
        labels += 1
        label = "l\(labels)"
      }
      head = Workload.tags(work, label, world)
    }
    send(.line, head + line, reply: verb.isEmpty ? nil : verb, label: label, world)
  }

  private func sendNonsense(_ world: World) {
    guard let link else { return }
    switch world.random(0...4) {
    case 0 where world.options.lineBytesMax == 512:
      send(
        .tooLong, "MSG lobby " + String(repeating: "x", count: world.random(520...1_500)),
        reply: "?", label: nil, world)
    case 1 where isProgram:
      send(.line, Workload.taggedMistake(world), reply: "?", label: nil, world)
    case 2:
      hasSent = true
      world.write(Array(world.pick(["\n", "\r\n", "\n\n"]).utf8), to: link, from: .client)
    case 3 where !hasSent && link.isTCP && world.chance(3):
      send(.http, "GET / HTTP/1.1", reply: "?", label: nil, world)
    default:
      let bytes = Workload.binary(world)
      expectReply(.badEncoding, bytes, reply: "?", label: nil, link)
      world.write(bytes + [0x0A], to: link, from: .client)
    }
  }

  private func send(
    _ kind: Sent.Kind, _ line: String, reply: String?, label: String?, _ world: World
  ) {
    guard let link else { return }
    let bytes = Array(line.utf8)
    var written = bytes + (world.chance(4) ? [0x0D, 0x0A] : [0x0A])
    if !hasSent && world.chance(10) { written.insert(contentsOf: [0xEF, 0xBB, 0xBF], at: 0) }
    if kind == .line && world.chance(15) {
      written.insert(contentsOf: world.pick(Workload.telnet), at: world.random(0...bytes.count))
    }
    expectReply(kind, bytes, reply: reply, label: label, link)
    world.write(written, to: link, from: .client)
  }

  private func expectReply(
    _ kind: Sent.Kind, _ bytes: [UInt8], reply: String?, label: String?, _ link: Link
  ) {
    hasSent = true
    let sent = Sent(kind, bytes, reply: reply.map { Sent.Reply(verb: $0, label: label) })
    link.sent.append(sent)
    if sent.reply != nil { outstanding.append(sent) }
  }

  private func describe(_ sent: Sent) -> String { Ear.text(sent.bytes) }

  // MARK: Hearing

  private func takeLines(_ world: World) {
    while let end = input.firstIndex(of: 0x0A), world.failure == nil {
      let line = Array(input[..<end])
      input.removeFirst(end + 1)
      do throws(Wrong) {
        try hear(line, world)
      } catch {
        world.fail("client \(number) on link \(link?.number ?? 0): \(error.what)")
      }
    }
  }

  private func hear(_ line: [UInt8], _ world: World) throws(Wrong) {
    let (tags, rest) = try Ear.split(line)
    if !isProgram && !tags.isEmpty { throw Wrong("a plain client got \(Ear.text(line))") }
    let words = rest.split(separator: 0x20, maxSplits: 3).map {
      String(decoding: $0, as: UTF8.self)
    }
    switch words.first {
    case "OK", "ERR", "PONG": try hearReply(words, tags, line, world)
    case "INFO":
      if words.count > 1 && words[1] == "shutting-down" { isDismissed = true }
      let you = String(decoding: line, as: UTF8.self).split(separator: " ")
        .first { $0.hasPrefix("you=") }
      if let you { name = MemberName(you.dropFirst(4)) }
    case "PING":
      if !isSilent, let link { world.write(Array("PONG\n".utf8), to: link, from: .client) }
      if !isSilent, let link { link.sent.append(Sent(.line, Array("PONG".utf8), reply: nil)) }
    case "MEMBER": try hearMember(line, isListed: tags["label"] != nil)
    default:
      guard rest.first == 0x3A && isProgram else { break }
      try hearChange(line, tags)
      // What was heard under one name is not acknowledged under another.
      if let id = tags["msgid"], words[1] == "MSG" || words[1] == "PM", !isRenaming, world.chance(2)
      {
        // It need not know who keeps the message: the server, or who is named in it.
        let source = words[0].dropFirst().split(separator: "@").first ?? ""
        let tag = world.chance(2) ? "to=\(source)" : "x=y"
        send(.line, "@\(tag) ACK \(words[2]) \(id)", reply: nil, label: nil, world)
      }
    }
  }

  private func message(_ line: [UInt8]) throws(Wrong) -> Message {
    guard let message = try? Message(parsing: String(decoding: line, as: UTF8.self)) else {
      throw Wrong("\(Ear.text(line)) cannot be read")
    }
    return message
  }

  private func hearMember(_ line: [UInt8], isListed: Bool) throws(Wrong) {
    guard isProgram, case .member(let group, let member, let attributes) = try message(line).content
    else { return }
    if isListed {
      listing.append(Replica.Entry(member: member, attributes: attributes))
    } else {
      try replicas[group]?.note(member, attributes)
    }
  }

  private func hearChange(_ line: [UInt8], _ tags: Tags) throws(Wrong) {
    guard let text = tags["version"], let version = RosterVersion(text) else { return }
    let message = try message(line)
    let group: GroupName? =
      switch message.content {
      case .join(let group, _, _), .leave(let group, _): group
      default: tags["group"].flatMap { GroupName($0) }
      }
    guard let group else { throw Wrong("\(Ear.text(line)) names no group") }
    try replicas[group]?.apply(message, version)
    // It was taken out, and told why; or it takes up another's name: then it leaves as who it was, and is
    // in as the other.
    if case .leave(_, let reason) = message.content, message.source?.name == name,
      !isRenaming || reason != nil
    {
      replicas[group] = nil
    }
  }

  private var isRenaming: Bool { outstanding.contains { $0.reply?.verb == "NICK" } }

  private func hearReply(
    _ words: [String], _ tags: Tags, _ line: [UInt8], _ world: World
  ) throws(Wrong) {
    if words.count == 4 && words[0] == "ERR" && words[2] == "-" {
      if words[1] == "forbidden" { isDismissed = true }
      if words[1] == "name-taken" || words[1] == "slow-consumer" {
        isDismissed = true
        // What still comes may follow a listing that was broken off.
        replicas = [:]
        return
      }
    }
    guard let sent = outstanding.first, let reply = sent.reply else {
      throw Wrong("\(Ear.text(line)) answers nothing")
    }
    outstanding.removeFirst()
    let verb = words[0] == "PONG" ? "PING" : words.count > 1 ? words[words[0] == "OK" ? 1 : 2] : ""
    guard verb == reply.verb || reply.verb == "?" else {
      throw Wrong("\(Ear.text(line)) answers \(describe(sent))")
    }
    if reply.verb != "?" && tags["label"] != reply.label {
      throw Wrong("\(Ear.text(line)) has not the label of \(describe(sent))")
    }
    if words[0] == "OK" && verb == "QUIT" { isDismissed = true }
    if words[0] == "OK" && isProgram { try note(words, tags) }
    if verb == "NICK" { dropOthersReplicas() }
    listing = []
  }

  // MARK: Replicas

  private func note(_ words: [String], _ tags: Tags) throws(Wrong) {
    guard let own = name else { throw Wrong("no name was given") }
    switch words[1] {
    case "NICK": name = MemberName(words[2])
    case "LEAVE": replicas[GroupName(words[2])!] = nil
    case "JOIN", "MEMBERS":
      guard let version = tags["version"].flatMap({ RosterVersion($0) }),
        let group = GroupName(words[2]), words[3] == "\(listing.count)"
      else { throw Wrong("OK \(words[1]) without a version or with another count") }
      guard listing.contains(where: { $0.member.name == own }) else { return }
      replicas[group] = Replica(version, listing)
    default: break
    }
  }

  /// Of its groups it has heard before; those where it is not, as the one that it is now, it left.
  private func dropOthersReplicas() {
    guard let name else { return }
    replicas = replicas.filter { $0.value.contains(name) }
  }

  /// It asked to be answered later, and nothing came yet.
  var isWaiting: Bool { link != nil && outstanding.first?.reply?.verb == "WAIT" }

  /// When all is quiet: everything has been answered, and every replica is the group as it is.
  func check(against model: Model, _ world: World) {
    guard let link, let caller = model.callers[link.number], world.failure == nil else { return }
    if let sent = outstanding.first {
      return world.fail("\(describe(sent)) of link \(link.number) was never answered")
    }
    for name in replicas.keys.sorted() {
      guard let group = model.groups[name], group.seat(of: caller.person) != nil else {
        world.fail("link \(link.number) has a replica of \(name), where it is not")
        continue
      }
      do throws(Wrong) {
        try replicas[name]?.compare(with: group, version: model.version(group), but: caller.person)
      } catch {
        world.fail("link \(link.number): \(error.what)")
      }
    }
  }
}
