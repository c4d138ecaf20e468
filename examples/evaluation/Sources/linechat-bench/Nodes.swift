// Real nodes for a workload: a server, and members without a screen in one group, each a process at an
// address of its own (127.0.0.2 and so on play other hosts), driven through the sockets in their
// directories as any program would do it.

import ArgumentParser
import CBench
import Foundation
import Glibc

/// A node and the connection on which it is told what to do and tells what it hears.
final class MeasuredNode {
  let running: Running
  let name: String
  let owner: OwnerSide
  private let socket: String

  init(_ running: Running, name: String, socket: String) throws {
    self.running = running
    self.name = name
    self.socket = socket
    owner = OwnerSide(try Connection(path: socket))
  }

  /// On a connection of its own, so that neither stands among what is measured.
  private func answer(to request: String) throws -> [String] {
    try Connection(path: socket).answer(to: request)
  }

  /// How many are in it as far as this one knows; 0 where it is not in itself.
  func members(of group: String) throws -> Int {
    let start = "OK MEMBERS \(group) "
    let line = try answer(to: "MEMBERS \(group)").first { $0.hasPrefix(start) }
    return line.flatMap { Int($0.dropFirst(start.count)) } ?? 0
  }

  /// One of its counts.
  func count(_ name: String) throws -> Int {
    let start = "STAT \(name) "
    let line = try answer(to: "STATS").first { $0.hasPrefix(start) }
    guard let count = line.flatMap({ Int($0.dropFirst(start.count)) }) else {
      throw BenchFailure("a node does not tell its \(name)")
    }
    return count
  }
}

/// Lines of a connection, as they come.
final class OwnerSide {
  let connection: Connection
  private var tail: [UInt8] = []

  init(_ connection: Connection) { self.connection = connection }

  /// Gives each line that is whole now to `body`, without its end.
  func take(
    _ piece: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) rethrows {
    var rest = piece
    while let start = rest.baseAddress, let end = memchr(start, 0x0A, rest.count) {
      let length = UnsafeRawPointer(end) - start
      let line = UnsafeRawBufferPointer(rebasing: rest[..<length])
      if tail.isEmpty {
        try body(line)
      } else {
        tail += line
        try tail.withUnsafeBytes(body)
        tail.removeAll(keepingCapacity: true)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[(length + 1)...])
    }
    tail += rest
  }
}

/// A server and nodes, all with directories in one folder, which is gone with them.
final class NodeCrowd {
  static let group = "lobby"

  private let linechatd: String
  private let linechat: String
  private let folder: URL
  private let log: FileHandle
  private(set) var server: MeasuredServer
  private(set) var nodes: [MeasuredNode] = []

  init(_ programs: ProgramOptions, in directory: String) throws {
    linechatd = try programs.path("linechatd", given: programs.linechatd)
    linechat = try programs.path("linechat", given: programs.linechat)
    folder = try Workplace.make(in: directory)
    let file = folder.appendingPathComponent("nodes.log")
    try Data().write(to: file)
    log = try FileHandle(forWritingTo: file)
    server = try NodeCrowd.start(linechatd, folder)
  }

  deinit {
    for node in nodes { node.running.kill() }
    server.running.kill()
    Workplace.remove(folder)
  }

  private static func start(
    _ linechatd: String, _ folder: URL, port: UInt16 = 0
  ) throws -> MeasuredServer {
    let directory = folder.appendingPathComponent("server").path
    return try MeasuredServer(linechatd, ["--data-dir", directory], port: port)
  }

  // MARK: Nodes

  /// Starts so many more nodes; those that are relayed do not listen. Returns when each is in the group
  /// and knows of all.
  func add(_ count: Int, relayed: Bool = false) throws {
    for _ in 0..<count {
      let name = "n\(nodes.count)"
      let place = relayed ? ["--relay"] : ["--listen", "127.0.0.\(nodes.count + 2):0"]
      let words = [
        linechat, "node", "--name", name, "--server", "127.0.0.1:\(server.port)", "--data-dir",
        folder.path,
      ]
      let running = try Running(words + place + [NodeCrowd.group], errors: log.fileDescriptor)
      let socket = folder.appendingPathComponent(name).appendingPathComponent("node.sock").path
      var node: MeasuredNode?
      try wait("\(name) does not start") {
        node = try? MeasuredNode(running, name: name, socket: socket)
        return node != nil
      }
      if let node { nodes.append(node) }
    }
    for node in nodes {
      try wait("\(node.name) does not know all others") {
        try node.members(of: NodeCrowd.group) == nodes.count
      }
    }
  }

  /// Until it is so, half a minute at most.
  private func wait(_ what: String, until isSo: () throws -> Bool) throws {
    let deadline = monotonicNanoseconds() + 30_000_000_000
    while try !isSo() {
      guard monotonicNanoseconds() < deadline else {
        let file = folder.appendingPathComponent("nodes.log")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        throw BenchFailure("\(what): \(text.suffix(500))")
      }
      usleep(5_000)
    }
  }

  /// One says something until its report is that all have it: every link of it stands then, and nothing
  /// is under way.
  func warmUp(_ node: MeasuredNode) throws {
    let speaker = node.owner.connection
    try wait("not everybody hears \(node.name)") {
      try speaker.send("MSG \(NodeCrowd.group) is everybody there?\n")
      let answer = try speaker.line(startingWith: "OK MSG")
      return answer == "OK MSG \(NodeCrowd.group) \(nodes.count - 1)/\(nodes.count - 1)"
    }
    try wait("\(node.name) has no receipts") { try node.count("outbox-messages") == 0 }
  }

  // MARK: The server

  func killServer() { server.running.kill() }

  func startServerAgain() throws {
    server = try NodeCrowd.start(linechatd, folder, port: server.port)
  }
}

extension Connection {
  /// Asks, and returns what comes up to the OK or ERR, for ten seconds at most.
  func answer(to request: String) throws -> [String] {
    try send(request + "\n")
    var text = ""
    let deadline = monotonicNanoseconds() + 10_000_000_000
    while monotonicNanoseconds() < deadline {
      text += try read(waiting: 100)
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      if lines.contains(where: { $0.hasPrefix("OK ") || $0.hasPrefix("ERR ") }) {
        return lines.map(String.init)
      }
    }
    throw BenchFailure("\(request) was not answered: \(text)")
  }
}

/// What nodes say: who of them it is, the number of the message, and padding.
struct NumberedText {
  /// 16 at least.
  let bytes: Int

  func line(_ speaker: Int, _ number: Int) -> [UInt8] {
    let speaker = String(speaker + 10_000).dropFirst()
    let digits = speaker + String(number + 1_000_000_000_000).dropFirst()
    let padding = [UInt8](repeating: UInt8(ascii: "x"), count: bytes - 16)
    return Array("MSG \(NodeCrowd.group) \(digits)".utf8) + padding + [0x0A]
  }

  /// What a line that ends with such a text says; nil for any other line.
  func parse(_ line: UnsafeRawBufferPointer) -> (speaker: Int, number: Int)? {
    guard line.count > bytes else { return nil }
    let start = line.count - bytes
    guard let speaker = number(line, start..<start + 4),
      let number = number(line, start + 4..<start + 16)
    else { return nil }
    return (speaker, number)
  }

  private func number(_ line: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
    var number = 0
    for index in range {
      guard case 48...57 = line[index] else { return nil }
      number = number * 10 + Int(line[index] - 48)
    }
    return number
  }
}

/// Where the nodes' directories are.
struct DirectoryOption: ParsableArguments {
  @Option(help: "Where the directories of the nodes are made; the disk there is the one measured.")
  var directory = FileManager.default.temporaryDirectory.path
}
