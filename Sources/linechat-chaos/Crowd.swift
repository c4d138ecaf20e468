// People with netcat, as the server sees them on a day: members who come and go, change their names, speak
// and listen; and scripts that say one thing and are gone.

import LineChat
import LineChatCore
import TestSupport

struct Crowd {
  private(set) var counts: [String: Int] = [:]
  private(set) var refusals: [String: Int] = [:]
  private let server: ListenAddress
  private var random: SplitMix64
  private var members: [Guest]
  private var credit = 0.0
  private var lastTurn = 0.0

  private struct Guest {
    let number: Int
    var client: TestClient?
    var rooms: Set<Int> = []
  }

  private static let rooms = 6
  /// Names are taken again: people have one.
  private static let scripts = 20

  init(_ count: Int, at server: ListenAddress, random: SplitMix64) {
    self.server = server
    self.random = random
    members = (0..<count).map { Guest(number: $0) }
  }

  private mutating func note(_ what: String) { counts[what, default: 0] += 1 }

  /// Does what is due, and reads what has come.
  mutating func turn(_ now: Double, perSecond: Double) {
    // After the server was away, all that it has missed is not done at once.
    credit = min(credit + perSecond * (now - lastTurn), max(perSecond, 1))
    lastTurn = now
    while credit >= 1 {
      credit -= 1
      act()
    }
    for index in members.indices { hear(index) }
  }

  private mutating func act() {
    let index = Int.random(in: 0..<members.count, using: &random)
    let dice = Int.random(in: 0..<100, using: &random)
    if dice >= 85 { return runScript() }
    guard let client = members[index].client else { return come(index) }
    do {
      switch dice {
      case 0..<45: try ask(client, "MSG lobby \(dice) is what I have to say", "messages")
      case 45..<50: try ask(client, "PM alice psst \(dice)", "private messages")
      case 50..<62: try move(index, client)
      case 62..<68:
        let ending = Bool.random(using: &random) ? "" : "-b"
        try ask(client, "NICK person\(index)\(ending)", "name changes")
      case 68..<76: try ask(client, "MEMBERS lobby", "lists asked for")
      case 76..<80: try ask(client, "GROUPS", "lists asked for")
      default:
        note("hang-ups")
        members[index].client = nil
        members[index].rooms = []
      }
    } catch {
      members[index].client = nil
      members[index].rooms = []
    }
  }

  private mutating func ask(_ client: TestClient, _ request: String, _ what: String) throws {
    let reply = try client.ask(request)
    note(what)
    if reply.hasPrefix("ERR ") { refusals["\(reply)", default: 0] += 1 }
  }

  private mutating func come(_ index: Int) {
    guard let client = try? TestClient(server) else { return }
    do {
      try ask(client, "NICK person\(index)", "arrivals")
      try ask(client, "JOIN lobby", "joins")
      members[index].client = client
    } catch {
      // The server went away meanwhile.
      members[index].client = nil
    }
  }

  private mutating func move(_ index: Int, _ client: TestClient) throws {
    let room = Int.random(in: 0..<Crowd.rooms, using: &random)
    if members[index].rooms.remove(room) != nil {
      try ask(client, "LEAVE room\(room)", "leaves")
    } else {
      try ask(client, "JOIN room\(room)", "joins")
      members[index].rooms.insert(room)
    }
  }

  /// `printf 'NICK …\nMSG …\nQUIT\n' | nc …`
  private mutating func runScript() {
    let number = Int.random(in: 0..<Crowd.scripts, using: &random)
    guard let client = try? TestClient(server) else { return }
    let lines = "NICK script\(number)\nMSG lobby this is script \(number)\nQUIT\n"
    guard (try? client.send(lines)) != nil, (try? client.linesToEnd()) != nil else { return }
    note("scripts of three lines")
  }

  private mutating func hear(_ index: Int) {
    while let client = members[index].client, client.hasInput {
      // An orderly end is a line that is none.
      let line = try? client.line()
      if line == nil { members[index].client = nil }
    }
  }
}
