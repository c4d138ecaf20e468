// 500 operations in the life of a server, and of a node, with what each wrote to its disk, and the state
// that was promised when it had been written: what StateCrashTests holds every start to.

import LineChatCore
import LineChatFuzzing
import LineChatSimulation
import LineProtocol
import Testing

/// A core with its journal on a disk, and what it did.
struct StateHistory<C: FuzzedCore & ~Copyable>: Sendable {
  /// One operation: a write, or a snapshot.
  struct Step: Sendable {
    enum Write: Sendable {
      case commit([JournalLine])
      case snapshot([UInt8])
    }

    /// Before it.
    let journal: Journal<SimulatedDisk>
    let write: Write
    let before: C.State
    let after: C.State
  }

  private(set) var steps: [Step] = []
  private(set) var operations = 0
  /// As it was after the last one.
  private(set) var journal: Journal<SimulatedDisk>
  private(set) var promised: C.State
  private(set) var snapshot: [UInt8]

  private init(_ rig: SessionRig<C>) {
    (journal, promised, snapshot) = (rig.journal, rig.promised, rig.snapshot)
  }

  /// Plays one operation, in as many lines of a session's script as it takes.
  private mutating func operate(_ lines: [String], _ rig: SessionRig<C>) throws {
    operations += 1
    for line in lines {
      try rig.take(line)
      guard rig.journal.journalBytes > journal.journalBytes else { continue }
      #expect(rig.journal.number == journal.number)
      let written = try Self.written(since: journal, rig.journal)
      let after = rig.promised
      steps.append(
        Step(journal: journal, write: .commit(written), before: promised, after: after))
      (journal, promised) = (rig.journal, after)
    }
  }

  private mutating func takeSnapshot(_ rig: SessionRig<C>) throws {
    operations += 1
    snapshot = rig.snapshot
    #expect(rig.promised == promised, "what was not written has changed what is promised")
    try rig.take("%s")
    #expect(rig.journal.number == journal.number + 1)
    steps.append(
      Step(journal: journal, write: .snapshot(snapshot), before: promised, after: promised))
    journal = rig.journal
  }

  /// The lines that one journal has more than it had.
  private static func written(
    since before: Journal<SimulatedDisk>, _ journal: Journal<SimulatedDisk>
  ) throws -> [JournalLine] {
    guard journal.journalBytes > before.journalBytes else { return [] }
    let records = try Recovery.start(journal.disk, snapshotFile: C.snapshotFile).0.records
    let count = try Recovery.start(before.disk, snapshotFile: C.snapshotFile).0.records.count
    return records[count...].map(\.text)
  }

  /// The journals as they were before the next one began, each with the states behind its records: of
  /// those in the middle of an operation nothing is known.
  func generations() -> [(journal: Journal<SimulatedDisk>, states: [Int: C.State])] {
    var result: [(Journal<SimulatedDisk>, [Int: C.State])] = []
    var count = 0
    var states: [Int: C.State] = [:]
    for step in steps {
      if states.isEmpty { states[0] = step.before }
      switch step.write {
      case .commit(let lines):
        count += lines.count
        states[count] = step.after
      case .snapshot:
        result.append((step.journal, states))
        (count, states) = (0, [:])
      }
    }
    return result
  }
}

// MARK: - The server's

extension StateHistory where C == Directory {
  static let server = Result { try server(operations: 500) }

  /// Nine people come and go, each from a host of its own, every other one with a key.
  private static func server(operations count: Int) throws -> StateHistory {
    let rig = try SessionRig<C>()
    var history = StateHistory(rig)
    var random = SplitMix64(state: 500)
    var names = (1...9).map { "p\($0)" }
    var isThere = [Bool](repeating: false, count: 9)
    var newest = 9
    while history.operations < count {
      if history.operations % 25 == 24 {
        try history.takeSnapshot(rig)
        continue
      }
      let one = Int.random(in: 0..<9, using: &random)
      let connection = one + 1
      let group = ["ops", "lobby", "deploys", "night"].randomElement(using: &random) ?? "ops"
      var lines: [String] = []
      if !isThere[one] {
        lines.append("+\(connection)\(connection)\(one % 2 == 0 ? "k" : "")")
        lines.append(">\(connection)\(one % 3 == 0 ? "@x=1 " : "")NICK \(names[one])")
        isThere[one] = true
      }
      switch Int.random(in: 0..<12, using: &random) {
      case 0..<4:
        let place = one % 4 == 0 ? ":500\(connection)" : "relay"
        lines.append(">\(connection)JOIN \(group) \(place)")
      case 4: lines.append(">\(connection)LEAVE \(group)")
      case 5:
        newest += 1
        names[one] = "p\(newest)"
        lines.append(">\(connection)NICK \(names[one])")
      case 6..<9: lines.append(">\(connection)MSG \(group) number \(history.operations)")
      case 9:
        let other = names.randomElement(using: &random) ?? "p1"
        lines.append(">\(connection)PM \(other) number \(history.operations)")
      default:
        lines.append("-\(connection)")
        isThere[one] = false
      }
      // Nobody answers where the server dials.
      lines += "abcdefghijkl".map { "~\($0)" } + ["=1001"]
      try history.operate(lines, rig)
    }
    history.snapshot = rig.snapshot
    return history
  }
}

// MARK: - A node's

extension StateHistory where C == Peer {
  static let node = Result { try node(operations: 500) }

  /// A node talks in two groups through its server, whose part is played here.
  private static func node(operations count: Int) throws -> StateHistory {
    let rig = try SessionRig<C>()
    var history = StateHistory(rig)
    var player = ServerPlayer()
    var random = SplitMix64(state: 501)
    try history.operate(
      ["!s", ">sINFO linechatd 1 protocol=1 server=00c0ffee00c0ffee you=guest1"], rig)
    while history.operations < count {
      if history.operations % 25 == 24 {
        try history.takeSnapshot(rig)
        continue
      }
      let group = ["ops", "lobby"].randomElement(using: &random) ?? "ops"
      let text = "number \(history.operations)"
      var lines: [String] = []
      switch Int.random(in: 0..<20, using: &random) {
      case 0..<3: lines = ["*JOIN \(group)"]
      case 3: lines = ["*LEAVE \(group)"]
      case 4: lines = ["*NICK alice\(history.operations)"]
      case 5..<10: lines = ["*MSG \(group) \(text)"]
      case 10: lines = ["*PM bob \(text)"]
      case 11..<15: lines = player.says(text, in: group)
      case 15: lines = player.changes(group)
      default: lines = player.acknowledges(&random)
      }
      try history.operate(lines + ["=10"], rig)
      var rounds = 0
      while let answers = player.answers(to: rig.output[UInt8(ascii: "s")] ?? []), rounds < 10 {
        try history.operate(answers, rig)
        history.operations -= 1
        rounds += 1
      }
    }
    history.snapshot = rig.snapshot
    return history
  }

  /// The server's end of the uplink.
  private struct ServerPlayer {
    private var taken = 0
    private var name = "alice"
    private var groups: Set<String> = []
    private var versions: [String: Int] = [:]
    private var guests: [String: Int] = [:]
    private var waiting: [(group: String, id: String)] = []
    private var sequence = 0

    /// What it says to what it has heard since it was asked last; nil: nothing.
    mutating func answers(to heard: [UInt8]) -> [String]? {
      let new = heard[taken...].split(separator: 0x0A)
        .compactMap { try? Message(parsing: String(decoding: $0, as: UTF8.self)) }
      taken = heard.count
      let lines = new.flatMap { answer($0) }
      return lines.isEmpty ? nil : lines
    }

    private mutating func answer(_ message: Message) -> [String] {
      guard let label = message.tags["label"] else { return [] }
      let tag = "@label=\(label)"
      switch message.content {
      case .nick(let new):
        let told = groups.sorted().map { group in
          versions[group, default: 1] += 1
          let tags = "@group=\(group);version=7.\(versions[group] ?? 1)"
          return ">s\(tags) :\(name)@10.0.0.1:5001 NICK \(new)"
        }
        name = "\(new)"
        return told + [">s\(tag) OK NICK \(new)"]
      case .join(let group, _, _): return roster(tag, "\(group)", "JOIN")
      case .members(let group): return roster(tag, "\(group)", "MEMBERS")
      case .leave(let group, _):
        groups.remove("\(group)")
        versions["\(group)", default: 1] += 1
        return [">s\(tag) OK LEAVE \(group)"]
      case .msg(let group, _):
        message.tags["msgid"].map { waiting.append(("\(group)", $0)) }
        return [">s\(tag) OK MSG \(group) 1/1"]
      case .pm:
        message.tags["msgid"].map { waiting.append(("bob", $0)) }
        return [">s\(tag) OK PM bob"]
      default: return []
      }
    }

    private mutating func roster(_ tag: String, _ group: String, _ verb: String) -> [String] {
      groups.insert(group)
      var members = ["\(name)@10.0.0.1:5001 online tags", "bob@relay online tags"]
      if (guests[group] ?? 0) % 2 == 1 { members.append("guest@relay online") }
      return members.map { ">s\(tag) MEMBER \(group) \($0)" }
        + [">s\(tag);version=7.\(versions[group] ?? 1) OK \(verb) \(group) \(members.count)"]
    }

    mutating func says(_ text: String, in group: String) -> [String] {
      sequence += 1
      return [">s@msgid=bbbbbbbbbbbbbbbb.\(sequence) :bob@relay MSG \(group) \(text)"]
    }

    mutating func changes(_ group: String) -> [String] {
      versions[group, default: 1] += 1
      guests[group, default: 0] += 1
      let verb = (guests[group] ?? 0) % 2 == 1 ? "JOIN" : "LEAVE"
      return [">s@version=7.\(versions[group] ?? 1) :guest@relay \(verb) \(group)"]
    }

    mutating func acknowledges(_ random: inout SplitMix64) -> [String] {
      guard !waiting.isEmpty else { return [] }
      let index = Int.random(in: 0..<waiting.count, using: &random)
      let (destination, id) = waiting[index]
      waiting.removeFirst(index + 1)
      return [">s:bob@relay ACK \(destination) \(id)"]
    }
  }
}
