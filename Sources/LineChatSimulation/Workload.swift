// What people and programs send: requests right and wrong, drawn from the world's numbers.

import LineChatCore
import LineProtocol

enum Workload {
  static let localAddresses: Set<IPAddress> = [IPAddress(v4: 0xc0a8_010a)]
  static let listenEndpoints: Set<Endpoint> = Set(
    [Endpoint(address: IPAddress(v4: 0x7f00_0001), port: 5463)].compactMap { $0 })

  static let origins: [Origin] = [
    .tcp(IPAddress(v4: 0x7f00_0001)), .tcp(IPAddress(v4: 0x0a00_0001)),
    .tcp(IPAddress(v4: 0x0a00_0002)), .unix, .owner,
  ]
  static let keys = ["key1", "key2", "key3"].map(Identity.init(fingerprint:))

  private static let people = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory",
    "a.b-c_d",
  ]
  private static let places = ["lobby", "ops", "dev", "x", "123", "a-b", "_", "room.1", "zz"]

  private static let addresses = [
    "relay", "relay", "RELAY", ":5001", ":5002", ":5463", "10.0.0.1:5001", "10.0.0.2:5001",
    "127.0.0.1:5001", "127.0.0.1:5463", "192.168.1.10:7000", "[::1]:5001", "0.0.0.0:1",
    "224.0.0.1:5", "8.8.8.8:53", "[::ffff:10.0.0.1]:5001",
  ]

  private static let mistakes = [
    "hello there everybody", "/join lobby", "/", "PRIVMSG #lobby hi", "JOIN", "JOIN bad/name",
    "JOIN lobby 1.2.3.4:0", "JOIN lobby 256.1.1.1:5", "JOIN lobby :0", "JOIN lobby :65536",
    "JOIN lobby +80", "JOIN lobby relay now", "NICK", "NICK 9x", "NICK relay", "NICK a b",
    "NICK abcdefghijklmnopqrstuvwxyzabcdefg", "MSG", "MSG lobby", "MSG lobby   ", "MSG bad/name x",
    "PM", "PM bob", "PM b@d x", "PM bob  ", "PM 10.0.0.1 x", "PM 10.0.0.1:0 x", "PM nobody hi",
    "WAIT", "WAIT x", "WAIT 86401", "WAIT 5 0", "WAIT 1 2 3", "WAIT -1", "LEAVE", "LEAVE nowhere",
    "LEAVE a b", "MEMBERS", "MEMBERS a b", "MEMBERS nowhere", "GROUPS x", "STATS x", "QUITX",
    "HISTORY lobby", "INFO x", "MEMBER x y@relay", "GROUP x 1", "STAT x 1", ": PING", ":x PING",
    ":bob@relay MSG lobby forged", ":nobody@10.0.0.9:1 JOIN lobby", "HELP nothing", "HELP ok",
    "::::", "=", "\u{00e9}\u{00e9}",
  ]
  private static let taggedMistakes = [
    "@label= PING", "@=x PING", "@ PING", "@a=b", "@a PING", "@label=l", "@label=l :bob@relay PING",
    "@label=l MSG", "@label=l bogus", "@label=a\\sb\\: PING x", "@a=1;a=2;label=z PING",
  ]

  private static let texts = [
    "hello", " two spaces before", "tab\there", "\u{00fc}n\u{00ef}c\u{00f6}de \u{2615}",
    "e\u{0301}", ":colon first", "@at=first", "trailing ", "OK MSG lobby 9/9", "x",
  ]

  static func name(_ world: World) -> String {
    if world.chance(12) { return "guest\(world.random(1...20))" }
    let name = people[world.random(0...world.options.names - 1)]
    return world.chance(5) ? name.uppercased() : name
  }

  static func group(_ world: World) -> String {
    let name = places[world.random(0...world.options.groups - 1)]
    if world.chance(8) { return "#" + name }
    return world.chance(8) ? name.uppercased() : name
  }

  static func text(_ world: World) -> String {
    let text = world.pick(texts) + " \(world.steps)"
    return world.chance(20) ? text + String(repeating: "z", count: world.random(0...300)) : text
  }

  /// What follows the verb, tags apart; nil where the work is not a request of that kind.
  static func request(_ work: Work, _ world: World) -> (verb: String, line: String) {
    switch work {
    case .nick: ("NICK", "NICK \(name(world))")
    case .join:
      ("JOIN", "JOIN \(group(world))" + (world.chance(2) ? "" : " " + world.pick(addresses)))
    case .leave: ("LEAVE", "LEAVE \(group(world))")
    case .msg: ("MSG", "\(world.chance(9) ? "msg" : "MSG") \(group(world)) \(text(world))")
    case .pm: ("PM", "PM \(recipient(world)) \(text(world))")
    case .members: ("MEMBERS", "MEMBERS \(group(world))")
    case .groups: ("GROUPS", "GROUPS")
    case .wait:
      (
        "WAIT",
        "WAIT \(world.pick([0, 1, 1, 3, 60]))" + (world.chance(2) ? "" : " \(world.random(1...4))")
      )
    case .ping: ("PING", "PING" + (world.chance(2) ? "" : " \(text(world))"))
    case .help:
      ("HELP", "HELP" + (world.chance(2) ? "" : " " + world.pick(["join", "MSG", "quit"])))
    case .stats: ("STATS", "STATS")
    case .ack: ("", "ACK \(group(world)) 00c0ffee00c0ffee.\(world.random(1...9))")
    case .reply:
      ("", world.pick(["OK", "OK MSG lobby 1/1", "PONG", "PONG x", "ERR", "ERR internal"]))
    case .nonsense: ("?", world.pick(mistakes))
    case .source: ("PING", ":\(name(world))@relay PING")
    case .forget:
      ("FORGET", "FORGET \(name(world))" + (world.chance(2) ? "" : " \(group(world))"))
    case .quit: ("QUIT", world.chance(3) ? "QUIT good bye" : "QUIT")
    }
  }

  private static func recipient(_ world: World) -> String {
    switch world.random(0...5) {
    case 0: world.pick(["10.0.0.1:5001", "10.0.0.2:5001", "192.168.1.10:7000", "127.0.0.1:5001"])
    case 1: "\(name(world))@relay"
    case 2: "\(name(world))@10.0.0.1:5001"
    default: name(world)
    }
  }

  /// Tags before a program's request; those of listings always have a label.
  static func tags(_ work: Work, _ label: String?, _ world: World) -> String {
    var tags: [String] = []
    if let label { tags.append("label=\(label)") }
    if world.chance(4) { tags.append("+color=blue\\sgreen") }
    switch work {
    case .msg:
      if world.chance(4) {
        var words = [name(world), name(world), name(world), "relay", "nobody", "Relay", "9x", ""]
        words = Array(words.shuffled(using: &world.random).prefix(world.random(0...4)))
        if world.chance(10) { words += (1...world.random(60...66)).map { "n\($0)" } }
        tags.append("to=" + words.joined(separator: ","))
      }
      if world.chance(3) { tags.append("msgid=00c0ffee00c0ffee.\(world.steps + 1)") }
      if world.chance(3) {
        let ahead = Int64(world.pick([0, 1, 100, 100_000])) * 1_000_000
        tags.append("time=" + Timestamp.text(world.now + world.calendarShift + ahead))
      }
    case .ack: tags.append("to=\(name(world))")
    default: break
    }
    return tags.isEmpty ? "" : "@" + tags.joined(separator: ";") + " "
  }

  static func taggedMistake(_ world: World) -> String { world.pick(taggedMistakes) }

  /// Bytes that are no text: a control character first, so that they are surely refused.
  static func binary(_ world: World) -> [UInt8] {
    var bytes: [UInt8] = [1]
    for _ in 0..<world.random(0...60) {
      let byte = UInt8(world.random(0...254))
      if byte != 0x0A { bytes.append(byte) }
    }
    return bytes + [0x78]
  }

  static let telnet: [[UInt8]] = [
    [255, 251, 1], [255, 253, 3], [255, 241], [255, 250, 31, 0, 80, 10, 24, 255, 240],
  ]
}
