// Who is where in a world, and which ways are cut: hosts by their addresses, listeners by address and
// port, and for every two hosts whether what one sends reaches the other. A way that is cut keeps what
// is sent on it until it is open again, or until the two ends give the connection up, as TCP does.

import LineChatCore
import LineProtocol

struct Streets {
  /// How long a connection on which nothing comes through lives, at least and at most.
  static let giveUpMicroseconds: ClosedRange<Int> = 60_000_000...150_000_000

  private struct Way: Hashable {
    let from: Int
    let to: Int
  }

  /// The host at an address: the number of its node.
  var hosts: [IPAddress: Int] = [:]
  /// The node that listens at an address and port.
  var listeners: [Endpoint: Int] = [:]
  /// Hosts that let nobody in but what they have asked for.
  var closed: Set<Int> = []
  /// Since when a way has been cut.
  private var cut: [Way: Int64] = [:]
  /// Links that were dialled, for those who look for one to break.
  var dialled: [Link] = []

  /// What waits for its way to be open: bytes, and word of a link's end.
  var stuck: [(Link, Link.Side)] = []
  var unheard: [(Link, Link.Side)] = []
  /// Links whose one end is gone without a word: who is at the other one finds out by and by.
  var vanished: [(Link, Link.Side)] = []

  func cuts(_ from: Int, _ to: Int) -> Bool { !cut.isEmpty && cut[Way(from: from, to: to)] != nil }

  func isCut(_ one: Int, _ other: Int) -> Bool { cuts(one, other) || cuts(other, one) }

  /// Since when one of the two ways has been cut.
  func cutSince(_ one: Int, _ other: Int) -> Int64? {
    let ways = [Way(from: one, to: other), Way(from: other, to: one)]
    return ways.compactMap { cut[$0] }.min()
  }

  mutating func close(_ from: Int, _ to: Int, _ now: Int64) {
    if cut[Way(from: from, to: to)] == nil { cut[Way(from: from, to: to)] = now }
  }

  mutating func open(_ from: Int, _ to: Int) { cut[Way(from: from, to: to)] = nil }

  mutating func openAll() { cut = [:] }
}

extension World {
  /// Connects to an address. The node is told `connected` or `refused`, or nothing where nobody is
  /// there.
  func dial(
    _ endpoint: Endpoint, from node: Int, at source: IPAddress, key: Identity? = nil
  ) -> Link {
    let link = makeLink(node, -1, .tcp(source), key: key, endpoint: endpoint)
    link.pace = isHealing ? 0 : drawPace()
    note("link \(link.number): \(source) dials \(endpoint)")
    streets.dialled.removeAll(where: \.isGone)
    streets.dialled.append(link)
    later(latency(), knockAt: link)
    return link
  }

  func knock(_ link: Link) {
    guard !link.isGone, let endpoint = link.endpoint else { return }
    guard let host = streets.hosts[endpoint.address], !streets.isCut(link.client, host),
      !streets.closed.contains(host) || host == link.client
    else { return later(1_000_000, knockAt: link) }
    guard let server = streets.listeners[endpoint] else {
      return later(latency(), wake: link.client, .refused(link))
    }
    link.server = server
    later(0, wake: server, .opened(link))
    later(latency(), wake: link.client, .connected(link))
  }

  /// Whoever closes its socket writes what it has written, and takes nothing any more.
  func close(_ link: Link, from side: Link.Side) {
    guard !link.isGone else { return }
    if link.node(side.other) < 0 { return reset(link, by: side) }
    end(link, from: side)
    link[side].isClosed = true
    if link[side.other].isClosed && link[side].bytes.isEmpty { link.isGone = true }
  }

  /// A process ends in the middle of its work: some of what it wrote arrives, and then a clean end;
  /// or a reset.
  func abandon(_ link: Link, by side: Link.Side) {
    guard !link.isGone else { return }
    if chance(3) { return reset(link, by: side) }
    let count = random(0...link[side].bytes.count)
    link[side].bytes.removeLast(link[side].bytes.count - count)
    close(link, from: side)
  }

  /// The power goes: nobody hears of it before asking.
  func vanish(_ link: Link, by side: Link.Side) {
    guard !link.isGone else { return }
    link.isGone = true
    let delay = Int64(random(Streets.giveUpMicroseconds))
    guard link.node(side.other) >= 0 else { return }
    streets.vanished.append((link, side.other))
    later(isHealing ? 10 : delay, wake: link.node(side.other), .reset(link))
  }

  // MARK: Ways

  /// From now on nothing comes through on one way.
  func cut(_ from: Int, _ to: Int) {
    note("nothing from \(from) reaches \(to)")
    streets.close(from, to, now)
    for link in streets.dialled where !link.isGone && link.server >= 0 {
      let ends = [link.client, link.server]
      guard ends.contains(from), ends.contains(to) else { continue }
      later(Int64(random(Streets.giveUpMicroseconds)), giveUp: link)
    }
  }

  func mend(_ from: Int, _ to: Int) {
    note("what \(from) sends reaches \(to) again")
    streets.open(from, to)
    goOnWithStuck()
  }

  func mendAll() {
    streets.openAll()
    goOnWithStuck()
    for (link, side) in streets.vanished { later(10, wake: link.node(side), .reset(link)) }
    streets.vanished = []
  }

  private func goOnWithStuck() {
    let stuck = streets.stuck
    streets.stuck = []
    for (link, side) in stuck where !link.isGone { goOn(link, side) }
    let unheard = streets.unheard
    streets.unheard = []
    for (link, side) in unheard { tellReset(link, side, after: latency()) }
  }

  /// Nothing came through for too long: each end finds that out by itself.
  func giveUp(_ link: Link) {
    guard let since = streets.cutSince(link.client, link.server),
      now - since >= Int64(Streets.giveUpMicroseconds.lowerBound)
    else { return }
    let wasUnheard = streets.unheard.filter { $0.0 === link }
    streets.unheard.removeAll { $0.0 === link }
    for (_, side) in wasUnheard { later(0, wake: link.node(side), .reset(link)) }
    guard !link.isGone else { return }
    note("link \(link.number) is given up")
    link.isGone = true
    later(0, wake: link.client, .reset(link))
    later(Int64(random(0...1_000_000)), wake: link.server, .reset(link))
  }
}
