// The server: its address looked up, reached, and what it says of itself. And the clock, of which the
// server's is the measure.

import Glibc
import LineChat

struct ServerCheck {
  private static let lookUpSeconds = 5.0

  private let configuration: PeerNode.Configuration
  private let report: Report

  init(_ configuration: PeerNode.Configuration, _ report: Report) {
    self.configuration = configuration
    self.report = report
  }

  /// Returns a guest's conversation with it, with tags.
  func look(_ node: Dialogue?, saved: SavedProfile?) -> Dialogue? {
    guard let server = configuration.server else { return nil }
    var place = "\(server)"
    do throws(NameLookUp.Failure) {
      let addresses = try server.addresses(within: Self.lookUpSeconds)
      if server.isName { place += " is \(addresses.map(\.description).joined(separator: ", "));" }
    } catch {
      report.add(
        "server", .wrong, "\(error)",
        advice:
          "see to the name's spelling (--server) and to this machine's DNS, or give an address")
      return nil
    }
    let began = wallMicroseconds()
    do throws(Dialogue.Failure) {
      let guest = try Dialogue.withServer(server, tags: true)
      let milliseconds = max(0, wallMicroseconds() - began) / 1_000
      let id = guest.greeting.serverID.map { ", id \($0)" } ?? ""
      report.add(
        "server", .ok, "\(place) greets after \(milliseconds) ms: \(guest.greeting.program)\(id)")
      compare(node, guest, saved)
      return guest
    } catch {
      report.add("server", .wrong, ServerCheck.reason(error), advice: advice(error, server))
      return nil
    }
  }

  /// Without what to do about it, for which there is more room here.
  private static func reason(_ failure: Dialogue.Failure) -> String {
    guard case .noServer(let text) = failure else { return "\(failure)" }
    return String(text.prefix { $0 != ";" })
  }

  private func advice(_ failure: Dialogue.Failure, _ server: ServerAddress) -> String {
    switch failure {
    // Where nothing more is said, the connection was refused.
    case .noServer where !ServerCheck.reason(failure).contains("("):
      "start linechatd there, or correct --server; does it --listen beyond 127.0.0.1, its default?"
    case .noServer:
      "is that machine up, and does its firewall let TCP port \(server.port) in?"
    case .silent, .lost, .refused, .noNode:
      "see what runs at that port; linechatd's is 5463 unless it was told otherwise"
    }
  }

  /// A node that runs has its own connection, maybe to another server.
  private func compare(_ node: Dialogue?, _ guest: Dialogue, _ saved: SavedProfile?) {
    guard let node else { return }
    if !hasServer(node) {
      report.add(
        "server", .wrong, "the node that runs here has no connection to its server",
        advice: "it tries again every 30 seconds; was it started with the same --server?")
    }
    if let id = guest.greeting.serverID, let known = saved?.server, known != id {
      report.add(
        "server", .note, "the profile was last at another server, with the id \(known)",
        advice: "two servers have two sets of groups: is --server the one that you mean?")
    }
  }

  private func hasServer(_ node: Dialogue) -> Bool {
    guard let lines = try? node.ask(.stats).lines else { return false }
    return lines.contains { $0.content == .stat("server-there", "1") }
  }
}

/// How far this machine's clock is from the server's: the server stamps what happens in a group, and
/// tells it to those who speak tags, the one who did it included.
struct ClockCheck {
  /// Beyond it, stamps of others are not learnt from, and logs no longer agree.
  private static let wrongSeconds = 120.0
  private static let strangeSeconds = 5.0
  private static let noticeableSeconds = 0.1

  private let guest: Dialogue
  private let report: Report

  init(_ guest: Dialogue, _ report: Report) {
    self.guest = guest
    self.report = report
  }

  func look(in group: GroupName) {
    guard let name = MemberName(group.description) else {
      preconditionFailure("a group that begins with a letter is a name")
    }
    let seconds: Double
    do throws(Dialogue.Failure) {
      try guest.ask(.join(group))
      guard let found = try difference(taking: name, in: group) else {
        return report.add("clock", .note, "the server does not tell its time")
      }
      seconds = found
    } catch {
      return report.add("clock", .note, "the server's time is not known: \(error)")
    }
    let way = seconds > 0 ? "ahead of" : "behind"
    guard abs(seconds) >= Self.noticeableSeconds else {
      return report.add("clock", .ok, "the same as the server's")
    }
    let text = "\(ClockCheck.text(abs(seconds))) \(way) the server's"
    switch abs(seconds) {
    case ..<Self.strangeSeconds: report.add("clock", .ok, text)
    case ..<Self.wrongSeconds: report.add("clock", .note, text, advice: Self.advice)
    default:
      report.add(
        "clock", .wrong, "\(text): what you say stands in a wrong place", advice: Self.advice)
    }
  }

  private static let advice =
    "set the clock that is wrong: timedatectl set-ntp true, here or on the server's machine"

  /// In seconds, ours less the server's, by the middle of the time that the answer took.
  private func difference(
    taking name: MemberName, in group: GroupName
  ) throws(Dialogue.Failure) -> Double? {
    let began = wallMicroseconds()
    try guest.ask(.nick(name))
    let ended = wallMicroseconds()
    while let message = try guest.hear(within: 1) {
      guard case .nick(name) = message.content, let time = message.tags["time"] else { continue }
      guard let theirs = Timestamp.microseconds(time) else { return nil }
      return Double(began + (ended - began) / 2 - theirs) / 1_000_000
    }
    return nil
  }

  private static func text(_ seconds: Double) -> String {
    switch seconds {
    case ..<10: "\(Double(Int(seconds * 10)) / 10) s"
    case ..<600: "\(Int(seconds.rounded())) s"
    case ..<172_800: "\(Int((seconds / 60).rounded())) minutes"
    default: "\(Int((seconds / 86_400).rounded())) days"
    }
  }
}
