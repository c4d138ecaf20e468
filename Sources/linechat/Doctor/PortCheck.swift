// Whether others reach the port at which this member listens. The server has a look at the address of
// whoever joins with one, and tells what it found; so it is asked what it knows of the node that runs,
// and where none runs, a port is opened and joined with for a moment.

import Glibc
import LineChat

struct PortCheck {
  /// Two seconds for the dial, two for the greeting, and some for a busy server.
  private static let patienceSeconds = 8.0

  /// Of the doctor's own; nobody else is in it.
  let group: GroupName
  private let configuration: PeerNode.Configuration
  private let guest: Dialogue
  private let report: Report

  init(_ configuration: PeerNode.Configuration, _ guest: Dialogue, _ report: Report) {
    self.configuration = configuration
    self.guest = guest
    self.report = report
    let number = String(UInt64.random(in: .min ... .max), radix: 16)
    guard let group = GroupName("doctor.\(number)") else {
      preconditionFailure("letters, digits and a dot are a group's name")
    }
    self.group = group
  }

  func look(_ node: Dialogue?, saved: SavedProfile?) {
    if let node { return ask(about: node) }
    if configuration.listening == .relay {
      return report.add(
        "port", .ok, "nothing to be reached: --relay takes everything to the server")
    }
    open(saved)
  }

  // MARK: The node that runs

  private func ask(about node: Dialogue) {
    let name = node.greeting.name
    let own = (try? node.ask(.groups).lines.groups) ?? []
    for group in own {
      let members = (try? guest.ask(.members(group)).lines.members) ?? []
      guard let (member, attributes) = members.first(where: { $0.0.name == name }) else { continue }
      guard case .direct(let endpoint) = member.place else {
        return report.add(
          "port", .ok, "\(name) does not listen: others reach it through the server")
      }
      if attributes.contains("reachable") {
        return report.add("port", .ok, "the server has reached \(name) at \(endpoint)")
      }
      return report.add(
        "port", .wrong, "the server does not reach \(name) at \(endpoint)",
        advice: advice(for: endpoint))
    }
    report.add(
      "port", .note, "\(name) is in no group, so the server has not tried to reach it",
      advice: "join one, and run this again")
  }

  // MARK: A port for a moment

  private func open(_ saved: SavedProfile?) {
    let step: Doorstep
    do throws(ServerError) { step = try doorstep(saved) } catch {
      return report.add(
        "port", .wrong, "\(error)", advice: "choose another with --listen, or take --relay")
    }
    guard let port = step.port else { return }
    do throws(Dialogue.Failure) {
      let isReached = try joined(at: placement(port), step)
      tell(isReached, step)
    } catch {
      report.add(
        "port", .wrong, "the server does not take this member's address: \(error)",
        advice: "choose one of this machine with --listen, or take --relay")
    }
  }

  /// As a node would listen, on the port that it had last where that is free. Where nothing is said,
  /// on all addresses: on its own machine the server may choose another one than we come from.
  private func doorstep(_ saved: SavedProfile?) throws(ServerError) -> Doorstep {
    let last = saved?.listens.flatMap { Endpoint($0) }?.port ?? 0
    let address: ListenAddress
    switch configuration.listening {
    case .at(let given): address = given
    case .automatic, .relay:
      let isIPv4 = guest.localAddress?.isIPv4 ?? true
      address = ListenAddress(IPAddress(isIPv4 ? "0.0.0.0" : "::") ?? .init(v4: 0), port: last)
    }
    do throws(ServerError) { return try Doorstep(at: address) } catch {
      guard case .tcp(let host, let port) = address.kind, configuration.listening == .automatic,
        port != 0
      else { throw error }
      return try Doorstep(at: ListenAddress(host, port: 0))
    }
  }

  private func placement(_ port: UInt16) -> Placement {
    if let announced = configuration.announced { return .endpoint(announced) }
    if case .at(let address) = configuration.listening, case .tcp(let host, _) = address.kind,
      let endpoint = Endpoint(address: host, port: port), "\(host)" != "0.0.0.0", "\(host)" != "::"
    {
      return .endpoint(endpoint)
    }
    return .port(port)
  }

  /// Joins with an address, lets the server look, and leaves. Gives the place, and whether the server
  /// has reached it.
  private func joined(
    at placement: Placement, _ step: Doorstep
  ) throws(Dialogue.Failure) -> (Endpoint?, isReached: Bool) {
    Interruptions.hold()
    defer { Interruptions.release() }
    // What was told before is not about this.
    while try guest.hear(within: 0) != nil {}
    let lines = try guest.ask(.join(group, placement)).lines
    guard let (own, attributes) = lines.members.last else { return (nil, false) }
    guard case .direct(let endpoint) = own.place else { return (nil, false) }
    var isReached = attributes.contains("reachable")
    var isTold = isReached
    let deadline = Moment(in: Self.patienceSeconds)
    var failure: Dialogue.Failure?
    do throws(Dialogue.Failure) {
      while !isTold, !deadline.hasPassed {
        step.greet(as: own.name)
        guard let message = try guest.hear(within: 0.02) else { continue }
        if case .member(group, let member, let words) = message.content, member.name == own.name {
          isReached = words.contains("reachable")
          isTold = true
        }
      }
    } catch {
      failure = error
    }
    try guest.ask(.leave(group))
    if let failure { throw failure }
    return (endpoint, isReached)
  }

  private func tell(_ outcome: (Endpoint?, isReached: Bool), _ step: Doorstep) {
    guard let endpoint = outcome.0 else {
      return report.add("port", .note, "the server did not say where it would reach this member")
    }
    if outcome.isReached {
      return report.add("port", .ok, "the server reaches this machine at \(endpoint)")
    }
    let what = step.hasBeenReached ? "came, and was not answered in time" : "did not get there"
    report.add(
      "port", .wrong, "the server does not reach this machine at \(endpoint): it \(what)",
      advice: advice(for: endpoint))
  }

  private func advice(for endpoint: Endpoint) -> String {
    if configuration.announced != nil {
      return "see to it that what has the address \(endpoint) forwards that port to --listen"
    }
    return
      "let TCP port \(endpoint.port) in at this machine's firewall (--listen HOST:PORT keeps it "
      + "the same), or forward one and --announce it; or take --relay"
  }
}

extension [Message] {
  var members: [(Member, attributes: [String])] {
    compactMap { line in
      if case .member(_, let member, let attributes) = line.content {
        (member, attributes)
      } else {
        nil
      }
    }
  }

  var groups: [GroupName] {
    compactMap { line in if case .group(let name, _) = line.content { name } else { nil } }
  }
}
