// What is measured beside LineChat, with the same load: a plain relay as the practical limit, and whatever
// of the usual servers is installed. Each is told in a few words how its clients enter a group, say a
// line and hear it; the rest of the benchmark knows no protocol.

import ArgumentParser
import Foundation
import Glibc

enum Contestant: String, CaseIterable, ExpressibleByArgument {
  case linechat, relay, nats, redis, ngircd

  /// As its clients speak to it.
  var dialect: any Dialect {
    switch self {
    case .linechat: LineChatDialect()
    case .relay: RelayDialect()
    case .nats: NATSDialect()
    case .redis: RedisDialect()
    case .ngircd: IRCDialect()
    }
  }

  /// Debian's package and program; nil: it is built here.
  private var package: (name: String, program: String)? {
    switch self {
    case .linechat, .relay: nil
    case .nats: ("nats-server", "nats-server")
    case .redis: ("redis-server", "redis-server")
    case .ngircd: ("ngircd", "ngircd")
    }
  }

  /// Why it cannot take part, for a person; nil: it can.
  var absence: String? {
    guard let package, Contestant.find(package.program) == nil else { return nil }
    return "\(rawValue) is not installed (Debian's package \(package.name))"
  }

  static let help: ArgumentHelp = """
    Who takes part: \(allCases.map(\.rawValue).joined(separator: ", ")). (default: who is installed)
    """

  /// A line of IRC has at most 512 bytes, with all that is around the text.
  var textBytesMax: Int { self == .ngircd ? 400 : .max }

  /// Starts it on processor 0, with `groups` groups, for so many connections.
  func start(
    _ options: ContestOptions, groups: Int, connectionsMax: Int = 10_000
  ) throws -> Contest {
    if self == .linechat, let port = options.serverPort {
      return Contest(try .listening(at: port), ports: [port])
    }
    let directory = try Workplace.make()
    switch self {
    case .linechat:
      let path = try options.programs.path("linechatd", given: options.programs.linechatd)
      // 256 messages of 16 KiB under way to 1,000 are more than it keeps for slow readers by itself.
      let server = try MeasuredServer(
        path,
        [
          "--memory", "--max-connections", "\(connectionsMax)", "--max-pending-total", "8GiB",
        ], pinned: true)
      return Contest(server.running, ports: [server.port], directory, keeping: server)
    case .relay:
      let relay = try Contestant.startRelay(groups)
      return Contest(relay.running, ports: relay.ports, directory)
    case .nats, .redis, .ngircd:
      guard let package, let program = Contestant.find(package.program) else {
        throw BenchFailure(absence ?? "")
      }
      return try startInstalled(program, directory)
    }
  }

  private func startInstalled(_ program: String, _ directory: URL) throws -> Contest {
    let port = try Contestant.freePort()
    var words = [program]
    switch self {
    case .nats:
      words += ["-a", "127.0.0.1", "-p", "\(port)", "-l", "/dev/null"]
    case .redis:
      words += [
        "--bind", "127.0.0.1", "--port", "\(port)", "--save", "", "--appendonly", "no",
        "--maxclients", "65000", "--client-output-buffer-limit", "pubsub 0 0 0",
        "--dir", directory.path,
      ]
    default:
      let file = directory.appendingPathComponent("ngircd.conf")
      try """
      [Global]
      Name = bench.local
      Info = bench
      MotdPhrase = hello
      Listen = 127.0.0.1
      Ports = \(port)
      [Limits]
      MaxConnections = 0
      MaxConnectionsIP = 0
      MaxJoins = 0
      MaxNickLength = 20
      MaxPenaltyTime = 0
      PingTimeout = 3600
      PongTimeout = 3600
      [Options]
      DNS = no
      Ident = no
      PAM = no
      """.write(to: file, atomically: true, encoding: .utf8)
      words += ["-n", "-f", file.path]
    }
    let running = try Running(["taskset", "-c", "0"] + words)
    let contest = Contest(running, ports: [port], directory)
    try contest.awaitListening()
    return contest
  }

  // MARK: How it is started

  private static func startRelay(_ groups: Int) throws -> (running: Running, ports: [UInt16]) {
    // It lies beside this program.
    let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("yardstick-relay").path
    guard access(path, X_OK) == 0 else { throw BenchFailure("there is no \(path)") }
    let pipe = Pipe()
    let running = try Running(
      ["taskset", "-c", "0", path, RelayDialect.prefix, "\(groups)"],
      output: pipe.fileHandleForWriting.fileDescriptor)
    try pipe.fileHandleForWriting.close()
    var text = ""
    while text.count(where: { $0 == "\n" }) < groups {
      let data = pipe.fileHandleForReading.availableData
      guard !data.isEmpty else { throw BenchFailure("the relay ended: \(text)") }
      text += String(decoding: data, as: UTF8.self)
    }
    return (running, text.split(separator: "\n").compactMap { UInt16($0) })
  }

  private static func find(_ program: String) -> String? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return (folders.map(String.init) + ["/usr/sbin", "/sbin"]).map { "\($0)/\(program)" }
      .first { access($0, X_OK) == 0 }
  }

  /// A port that nobody listens at now.
  private static func freePort() throws -> UInt16 {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(number) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, length) == 0 ? getsockname(number, $0, &length) : -1
      }
    }
    guard result == 0 else { throw BenchFailure("there is no free port") }
    return UInt16(bigEndian: address.sin_port)
  }
}

/// A contestant that runs.
final class Contest {
  let running: Measured
  /// One for each group, or one for all.
  private let ports: [UInt16]
  private let directory: URL?
  /// What must live as long.
  private let companion: AnyObject?

  init(
    _ running: Measured, ports: [UInt16], _ directory: URL? = nil,
    keeping companion: AnyObject? = nil
  ) {
    self.running = running
    self.ports = ports
    self.directory = directory
    self.companion = companion
  }

  deinit {
    // Nothing of it is needed any more.
    kill()
    if let directory { Workplace.remove(directory) }
  }

  /// As somebody does it with `kill -9`; one that runs already is left alone.
  func kill() { (running as? Running)?.kill() }

  func port(of group: Int) -> UInt16 { ports[ports.count == 1 ? 0 : group] }

  fileprivate func awaitListening() throws {
    let deadline = monotonicNanoseconds() + 20_000_000_000
    while monotonicNanoseconds() < deadline {
      if (try? Connection(port: ports[0])) != nil { return }
      usleep(20_000)
    }
    throw BenchFailure("nobody listens at port \(ports[0])")
  }
}

// MARK: How they are spoken to

/// What a client says.
protocol Dialect {
  /// What a server says by itself to whoever comes: nothing is said, and this is waited for.
  var welcome: [(says: String, until: String?)] { get }
  /// What is said first, and how the line begins that ends the answer; nil: nothing is answered.
  func entry(_ name: String, _ group: Int) -> [(says: String, until: String?)]
  /// The same for one that only sends.
  func greeting(_ name: String) -> [(says: String, until: String?)]
  /// The same as `entry`, said all at once, and answered when the last of it is.
  func arrival(_ name: String, _ group: Int) -> [(says: String, until: String?)]
  /// How many may come at once; whoever finds the server's queue of newcomers full waits for a second.
  var newcomersMax: Int { get }
  /// What is said by one that leaves the group, and then the server.
  func departure(_ group: Int) -> [(says: String, until: String?)]
  /// A line to the group, of this text.
  func line(_ text: [UInt8], _ group: Int) -> [UInt8]
  /// What ends each delivery.
  var lineEnd: String { get }
  /// What a server may say at any time between two deliveries.
  var interruption: String { get }
  /// Whether one connection can be in a group and speak to it. If not, members hear themselves.
  var hearersSpeak: Bool { get }
}

extension Dialect {
  /// What a member that hears on this connection speaks on.
  func speaker(_ name: String, _ hearer: Connection, port: UInt16) throws -> Connection {
    if hearersSpeak { return hearer }
    let connection = try Connection(port: port)
    try connection.go(through: greeting(name))
    connection.neverWait()
    return connection
  }

  func arrival(_ name: String, _ group: Int) -> [(says: String, until: String?)] {
    let steps = entry(name, group)
    guard let last = steps.last else { return [] }
    return [(steps.map(\.says).joined(), last.until)]
  }

  /// Of so many members, how many hear what one of them says.
  func audience(of members: Int) -> Int { hearersSpeak ? members - 1 : members }

  var welcome: [(says: String, until: String?)] { [] }
  var interruption: String { "" }
  var newcomersMax: Int { 50 }
  var hearersSpeak: Bool { true }
  var lineEnd: String { "\r\n" }
}

struct LineChatDialect: Dialect {
  func entry(_ name: String, _ group: Int) -> [(says: String, until: String?)] {
    greeting(name) + [("JOIN g\(group)\n", "OK JOIN")]
  }

  func greeting(_ name: String) -> [(says: String, until: String?)] {
    welcome + [("NICK \(name)\n", "OK NICK")]
  }

  var welcome: [(says: String, until: String?)] { [("", "INFO")] }

  func departure(_ group: Int) -> [(says: String, until: String?)] {
    [("LEAVE g\(group)\n", "OK LEAVE"), ("QUIT\n", "OK QUIT")]
  }

  func line(_ text: [UInt8], _ group: Int) -> [UInt8] {
    Array("MSG g\(group) ".utf8) + text + [0x0A]
  }

  var lineEnd: String { "\n" }
}

struct RelayDialect: Dialect {
  /// As many bytes as LineChat puts before a line.
  static let prefix = ":sender0@relay MSG g0 "

  func entry(_ name: String, _ group: Int) -> [(says: String, until: String?)] { [] }
  func greeting(_ name: String) -> [(says: String, until: String?)] { [] }
  func departure(_ group: Int) -> [(says: String, until: String?)] { [] }
  func line(_ text: [UInt8], _ group: Int) -> [UInt8] { text + [0x0A] }
  var lineEnd: String { "\n" }
}

struct NATSDialect: Dialect {
  /// Each client is asked two seconds after it came.
  let interruption = "PING\r\n"

  func entry(_ name: String, _ group: Int) -> [(says: String, until: String?)] {
    greeting(name) + [("SUB g\(group) 1\r\nPING\r\n", "PONG")]
  }

  func greeting(_ name: String) -> [(says: String, until: String?)] {
    welcome + [("CONNECT {\"verbose\":false,\"echo\":false}\r\nPING\r\n", "PONG")]
  }

  var welcome: [(says: String, until: String?)] { [("", "INFO")] }

  /// Its answers cannot be told from each other, so there is one.
  func arrival(_ name: String, _ group: Int) -> [(says: String, until: String?)] {
    [("CONNECT {\"verbose\":false,\"echo\":false}\r\nSUB g\(group) 1\r\nPING\r\n", "PONG")]
  }

  func departure(_ group: Int) -> [(says: String, until: String?)] {
    [("UNSUB 1\r\nPING\r\n", "PONG")]
  }

  func line(_ text: [UInt8], _ group: Int) -> [UInt8] {
    Array("PUB g\(group) \(text.count)\r\n".utf8) + text + [0x0D, 0x0A]
  }
}

struct RedisDialect: Dialect {
  func entry(_ name: String, _ group: Int) -> [(says: String, until: String?)] {
    [("SUBSCRIBE g\(group)\r\n", ":1")]
  }

  func greeting(_ name: String) -> [(says: String, until: String?)] { [("PING\r\n", "+PONG")] }

  var hearersSpeak: Bool { false }

  func departure(_ group: Int) -> [(says: String, until: String?)] {
    [("UNSUBSCRIBE g\(group)\r\n", ":0"), ("QUIT\r\n", "+OK")]
  }

  func line(_ text: [UInt8], _ group: Int) -> [UInt8] {
    let channel = "g\(group)"
    let head =
      "*3\r\n$7\r\nPUBLISH\r\n$\(channel.utf8.count)\r\n\(channel)\r\n$\(text.count)\r\n"
    return Array(head.utf8) + text + [0x0D, 0x0A]
  }
}

struct IRCDialect: Dialect {
  /// ngircd's queue has room for ten.
  let newcomersMax = 8

  func entry(_ name: String, _ group: Int) -> [(says: String, until: String?)] {
    greeting(name) + [("JOIN #g\(group)\r\n", ":bench.local 366")]
  }

  func greeting(_ name: String) -> [(says: String, until: String?)] {
    [("NICK \(name)\r\nUSER bench 0 * :bench\r\n", ":bench.local 376")]
  }

  func departure(_ group: Int) -> [(says: String, until: String?)] {
    [("PART #g\(group)\r\n", ":"), ("QUIT\r\n", "ERROR")]
  }

  func line(_ text: [UInt8], _ group: Int) -> [UInt8] {
    Array("PRIVMSG #g\(group) :".utf8) + text + [0x0D, 0x0A]
  }
}
