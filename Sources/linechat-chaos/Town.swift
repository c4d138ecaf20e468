// A server and some nodes as processes of their own, each with a directory, and the fault proxies that
// stand between them: one on each node's way to the server, and one before the address at which the
// others reach it.

import ArgumentParser
import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport

/// A program of this package that is started again and again, with the same words.
final class Resident {
  let name: String
  private let words: [String]
  private let log: String
  private var child: Child?
  /// Nobody has ended it, and it is gone.
  private(set) var ownEnds: [String] = []

  init(name: String, log: String, _ words: [String]) {
    self.name = name
    self.log = log
    self.words = words
  }

  var isRunning: Bool { child != nil }
  var process: pid_t? { child?.process }

  /// Its log goes to a file, so that nobody needs to read it; of our environment it gets nothing.
  func start() throws {
    guard child == nil else { return }
    child = try Child(
      ["env", "-i", "/bin/sh", "-c", "exec \"$@\" 2>>\"$0\"", log] + words)
  }

  func kill() throws {
    guard let child else { return }
    child.signal(SIGKILL)
    _ = try child.finish(within: .seconds(60))
    self.child = nil
  }

  /// As its operator ends it.
  func stop() throws {
    guard let child else { return }
    child.signal(SIGTERM)
    let code = try child.finish(within: .seconds(60))
    self.child = nil
    if code != 0 { ownEnds.append("\(name) ended with \(code) when it was told to end") }
  }

  /// Notes where it has ended by itself; whoever sees it so can start it again.
  func look() throws {
    guard let child, child.hasEnded else { return }
    let code = try child.finish(within: .seconds(60))
    self.child = nil
    ownEnds.append("\(name) ended by itself, with \(code)")
  }
}

final class Town {
  /// With so many nodes or more the last one does not listen: it is reached through the server alone.
  private static let relayLeast = 4

  static let names = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]

  let directory: String
  let server: Resident
  let nodes: [Resident]
  let groups: [(name: String, members: [String])]
  /// On the way to the server, one for each node; and to each node that listens.
  let uplinks: [FaultProxy]
  let inlets: [FaultProxy]
  let serverAddress: ListenAddress

  var all: [Resident] { [server] + nodes }

  /// Starts the server and `count` nodes, and waits until each knows all others of its groups.
  init(nodes count: Int, hasProxies: Bool) throws {
    let ending = String(repeating: "X", count: 6)
    var template = Array("\(NSTemporaryDirectory())/linechat-chaos-\(ending)".utf8CString)
    guard let made = mkdtemp(&template) else { throw TestFailure("mkdtemp: errno \(errno)") }
    let directory = String(cString: made).replacingOccurrences(of: "//", with: "/")
    self.directory = directory
    let names = Array(Town.names.prefix(count))
    // One who is not in the second group: what is said there is not for all.
    groups = [("lobby", names), ("ops", Array(names.dropLast()))]

    let loopback = IPAddress(v4: 0x7F00_0001)
    guard let target = Endpoint(address: loopback, port: try TestListener.unusedPort()) else {
      throw TestFailure("there is no port to be had")
    }
    serverAddress = ListenAddress(target.address, port: target.port)
    server = Resident(
      name: "linechatd", log: "\(directory)/linechatd.err",
      [
        try Town.path(of: "linechatd"), "--listen", "\(target)", "--data-dir",
        "\(directory)/linechatd",
      ])
    var (uplinks, inlets, nodes): ([FaultProxy], [FaultProxy], [Resident]) = ([], [], [])
    for (index, name) in names.enumerated() {
      var words = [try Town.path(of: "linechat"), "node", "--name", name]
      words += ["--data-dir", "\(directory)/profiles"]
      // Whoever looks at where a connection comes from sees no difference.
      if hasProxies { uplinks.append(try FaultProxy(to: target, source: .client)) }
      words += ["--server", "\(uplinks.last?.endpoint ?? target)"]
      if count >= Town.relayLeast && index == count - 1 {
        words += ["--relay"]
      } else {
        let host = IPAddress(v4: 0x7F00_0002 + UInt32(index))
        guard let own = Endpoint(address: host, port: try TestListener.unusedPort()) else {
          throw TestFailure("there is no port to be had")
        }
        words += ["--listen", "\(own)"]
        if hasProxies {
          let inlet = try FaultProxy(to: own, at: host, source: .client)
          inlets.append(inlet)
          words += ["--announce", "\(inlet.endpoint)"]
        }
      }
      words += groups.filter { $0.members.contains(name) }.map(\.name)
      nodes.append(Resident(name: name, log: "\(directory)/\(name).err", words))
    }
    (self.uplinks, self.inlets, self.nodes) = (uplinks, inlets, nodes)
    for resident in all { try resident.start() }
    for name in names { try wait(until: name, within: 60) }
  }

  /// The programs lie beside this one, wherever it was built.
  private static func path(of name: String) throws -> String {
    let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent(name).path
    guard access(path, X_OK) == 0 else {
      throw TestFailure("there is no \(path); build it: swift build -c release --product \(name)")
    }
    return path
  }

  func profile(of name: String) -> String { "\(directory)/profiles/\(name)" }

  func socket(of name: String) -> ListenAddress? {
    try? ListenAddress(parsing: "unix:\(profile(of: name))/node.sock")
  }

  /// Until a node knows all who are in its groups; and nobody else, unless people are there who are no
  /// nodes.
  func wait(until name: String, within seconds: Double, hasOthers: Bool = false) throws {
    try eventually(within: seconds, "\(name) knows everybody; see \(directory)") {
      for group in groups where group.members.contains(name) {
        let known = known(to: name, in: group.name)
        let wanted = Set(group.members)
        guard hasOthers ? known.isSuperset(of: wanted) : known == wanted else { return false }
      }
      return true
    }
  }

  private func known(to name: String, in group: String) -> Set<String> {
    guard let group = GroupName(group),
      let dialogue = try? Dialogue.withNode(in: profile(of: name)),
      let answer = try? dialogue.ask(.members(group))
    else { return [] }
    return Set(
      answer.lines.compactMap { line in
        guard case .member(_, let member, _) = line.content else { return nil }
        return member.name.description
      })
  }

  /// What a node counts; nil where it does not answer.
  func stats(of name: String) -> [String: Int]? {
    guard let dialogue = try? Dialogue.withNode(in: profile(of: name)),
      let answer = try? dialogue.ask(.stats)
    else { return nil }
    var stats: [String: Int] = [:]
    for case .stat(let key, let value) in answer.lines.map(\.content) { stats[key] = Int(value) }
    return stats
  }

  func stopAll() throws {
    for resident in nodes + [server] { try resident.stop() }
    for proxy in uplinks + inlets { proxy.stop() }
  }

  /// Starts a town and does something with it that says whether all was well; ends with exit code 1, and
  /// keeps the directory, where it was not.
  static func visit(
    nodes count: Int, hasProxies: Bool, seed: UInt64, _ options: TownOptions,
    _ body: (Town) throws -> Bool
  ) throws {
    let town = try Town(nodes: count, hasProxies: hasProxies)
    print("seed \(seed), \(count) nodes, in \(town.directory)")
    let outcome = Result { try body(town) }
    if case .success(true) = outcome, !options.keep {
      town.removeDirectory()
    } else {
      print("the logs and what was written are in \(town.directory)")
    }
    if try !outcome.get() { throw ExitCode(1) }
  }

  private func removeDirectory() { try? FileManager.default.removeItem(atPath: directory) }
}
