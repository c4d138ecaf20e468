// `linechat status`: how the node of the profile is, or the server where no node runs.

import ArgumentParser
import LineChat
import LineTools

struct Status: ParsableCommand {
  static let name = "status"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Show how your node is, or the server where no node runs.",
    discussion: """
      Of a node: whether its server is there, its groups, direct links, and what waits for whom. With \
      --json one object: node (its name), server (true if it is there), groups, links, linked, waiting \
      (messages by name), and stats with all that is counted. Of a server, asked where no node runs: node \
      is null, server is true, and stats.

      The exit code is 0; 2 for a wrong call; 3 when there is neither a node nor a server.
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var speaker: SpeakerOptions

  func validate() throws { try speaker.check() }

  func run() throws {
    if let node = try speaker.node() {
      let groups = try node.groups()
      let stats = try Stats(node)
      try json ? Tool.put(object(node, groups, stats).description) : show(node, groups, stats)
    } else {
      let address = try speaker.serverAddress()
      let server: Dialogue
      do throws(Dialogue.Failure) { server = try Dialogue.withServer(address) } catch {
        throw Tool.Failure(.unreachable, "no node of yours runs, and there is \(error)")
      }
      let stats = try Stats(server)
      try json ? Tool.put(object(server, stats).description) : show(server, stats)
    }
  }

  // MARK: A node

  private func object(
    _ node: Dialogue, _ groups: [(name: GroupName, members: Int)], _ stats: Stats
  ) -> JSONValue {
    .object([
      "node": .text(node.greeting.name.description), "server": .flag(stats["server-there"] == 1),
      "groups": .list(
        groups.map {
          JSONValue.object(["name": .text($0.name.description), "members": .number($0.members)])
        }),
      "links": .number(stats["links"] ?? 0), "linked": .list(stats.linked.map { .text($0) }),
      "waiting": .object(sorted: stats.waitingByName), "stats": stats.json,
    ])
  }

  private func show(
    _ node: Dialogue, _ groups: [(name: GroupName, members: Int)], _ stats: Stats
  ) throws {
    try Tool.put("node: \(node.greeting.name), \(escaped(node.greeting.program))")
    try Tool.put("server: \(stats["server-there"] == 1 ? "there" : "away")")
    let list = groups.map { "\($0.name) (\($0.members))" }.joined(separator: ", ")
    try Tool.put("groups: \(list.isEmpty ? "none" : list)")
    let linked = stats.linked.isEmpty ? "" : ": \(stats.linked.joined(separator: ", "))"
    try Tool.put("links: \(stats["links"] ?? 0)\(linked)")
    let waiting = stats.waiting.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
    let messages = stats["outbox-messages"] ?? 0
    try Tool.put(
      "waiting: "
        + (waiting.isEmpty ? "nothing" : "\(counted(messages, "message")), for \(waiting)"))
  }

  // MARK: A server

  private func object(_ server: Dialogue, _ stats: Stats) -> JSONValue {
    JSONValue.object(["node": .null, "server": .flag(true), "stats": stats.json])
  }

  private func show(_ server: Dialogue, _ stats: Stats) throws {
    try Tool.put("node: none runs")
    try Tool.put("server: there, \(escaped(server.greeting.program))")
    for (key, value) in stats.all { try Tool.put("\(escaped(key)): \(value)") }
  }
}

/// What is counted, in the order in which it comes.
private struct Stats {
  private(set) var all: [(key: String, value: Int)] = []
  private(set) var linked: [String] = []
  private(set) var waiting: [(name: String, count: Int)] = []

  init(_ dialogue: Dialogue) throws {
    for case .stat(let key, let text) in try dialogue.ask(.stats).lines.map(\.content) {
      guard let value = Int(text) else { continue }
      if let name = Stats.name(in: key, after: "linked-with-") {
        linked.append(name)
      } else if let name = Stats.name(in: key, after: "waiting-for-") {
        waiting.append((name, value))
      } else {
        all.append((key, value))
      }
    }
  }

  private static func name(in key: String, after start: String) -> String? {
    key.hasPrefix(start) ? MemberName(key.dropFirst(start.count))?.description : nil
  }

  subscript(_ key: String) -> Int? { all.first { $0.key == key }?.value }

  var json: JSONValue {
    .object(all.map { JSONValue.Member(key: $0.key, value: .number($0.value)) })
  }

  var waitingByName: [String: JSONValue] {
    Dictionary(waiting.map { ($0.name, JSONValue.number($0.count)) }) { first, _ in first }
  }
}
