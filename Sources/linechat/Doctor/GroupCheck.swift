// Who of the own groups is reached how. The rosters are the server's, else those of the node that runs,
// else those that the last run has left. Ports of nodes are tried from here; a netcat that listens may
// serve one connection and end, so it is left alone.

import LineChat

struct GroupCheck {
  private static let groupsMax = 32
  /// Each who does not answer takes two seconds; somebody waits for the whole.
  private static let dialSeconds = 2.0
  private static let patienceSeconds = 30.0

  private let report: Report
  private let node: Dialogue?
  private let guest: Dialogue?
  private let saved: SavedProfile?
  private let own: MemberName
  private let groups: [GroupName]
  /// What the node that runs counts, such as `waiting-for-bob`.
  private let counters: [String: String]

  init(
    _ configuration: PeerNode.Configuration, _ report: Report, node: Dialogue?, guest: Dialogue?,
    saved: SavedProfile?
  ) {
    self.report = report
    self.node = node
    self.guest = guest
    self.saved = saved
    own =
      node?.greeting.name
      ?? (configuration.isNameWanted ? configuration.name : saved.flatMap { MemberName($0.name) })
      ?? configuration.name
    let asked = try? node?.ask(.groups).lines.groups
    let known = asked ?? saved?.groups.compactMap { GroupName($0.name) } ?? []
    groups = known + configuration.groups.filter { !known.contains($0) }
    var counters: [String: String] = [:]
    for case .stat(let key, let value) in ((try? node?.ask(.stats).lines) ?? []).map(\.content) {
      counters[key] = value
    }
    self.counters = counters
  }

  func look() {
    guard !groups.isEmpty else {
      return report.add("groups", .note, "no group is joined; linechat GROUP joins one")
    }
    let deadline = Moment(in: Self.patienceSeconds)
    var known: [MemberName: (Finding.State, String, String?)] = [:]
    for group in groups.prefix(Self.groupsMax) {
      guard let members = roster(of: group) else {
        report.add("\(group)", .note, "nobody can say now who is in it")
        continue
      }
      let others = members.filter { $0.0.name != own }
      if others.isEmpty {
        let isIn = members.count > others.count
        report.add("\(group)", .note, isIn ? "nobody else is in it" : "nobody is in it")
      }
      for (member, attributes) in others {
        let finding = known[member.name] ?? look(at: member, attributes, by: deadline)
        known[member.name] = finding
        let text = "\(member): \(finding.1)\(waiting(for: member.name))"
        report.add("\(group)", finding.0, text, advice: finding.2)
      }
    }
    if groups.count > Self.groupsMax {
      report.add("groups", .note, "\(groups.count - Self.groupsMax) more groups were not looked at")
    }
  }

  private func waiting(for name: MemberName) -> String {
    switch counters["waiting-for-\(name)"] {
    case nil, "0": ""
    case "1": "; one message waits for it"
    case let count?: "; \(count) messages wait for it"
    }
  }

  private func roster(of group: GroupName) -> [(Member, attributes: [String])]? {
    for dialogue in [guest, node] {
      guard let dialogue else { continue }
      do throws(Dialogue.Failure) { return try dialogue.ask(.members(group)).lines.members } catch {
        // There is no such group at the server: then nobody is in it.
        if case .refused(let refusal) = error, refusal.code == .noSuchGroup, !dialogue.isNode {
          return []
        }
      }
    }
    guard let last = saved?.groups.first(where: { GroupName($0.name) == group }) else { return nil }
    return last.members.compactMap { line in
      let words = line.split(separator: " ").map(String.init)
      return words.first.flatMap { Member($0) }.map { ($0, Array(words.dropFirst())) }
    }
  }

  private func look(
    at member: Member, _ attributes: [String], by deadline: Moment
  ) -> (Finding.State, String, String?) {
    let isOnline = attributes.contains("online")
    let otherwise = isOnline ? "through the server" : "away, what you say waits for it"
    guard case .direct(let endpoint) = member.place else {
      return (isOnline ? .ok : .note, otherwise, nil)
    }
    guard attributes.contains("tags") else {
      return (.ok, "directly; a netcat that listens, which was not tried", nil)
    }
    guard !deadline.hasPassed else { return (.note, "not tried, that took too long already", nil) }
    let began = wallMicroseconds()
    do throws(Doorbell.Failure) {
      let name = try Doorbell.ring(endpoint, within: Self.dialSeconds)
      guard name == member.name else {
        return (.note, "\(otherwise); at \(endpoint) there is \(name)", nil)
      }
      return (.ok, "directly, in \(max(0, wallMicroseconds() - began) / 1_000) ms", nil)
    } catch {
      let advice =
        "if it should be: \(member.name) opens that port, and linechat doctor there tells more"
      return (.note, "\(otherwise); not directly: \(error)", isOnline ? advice : nil)
    }
  }
}
