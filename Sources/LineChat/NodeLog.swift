// What a node's log says, in plain words, a line each: the server, groups, links, who connects, what is
// refused, and what becomes of messages. What they say is told at the level trace alone.
//
// Others decide how often most of this happens, so of each kind no more than a few lines a second are
// written, and the number of the rest.

import LineChatCore
import LineProtocol

/// The words for a node's news, on their way to a logger.
final class NodeLog {
  private let log: EventLog
  private let server: String
  /// What the node is called.
  var name: MemberName
  /// Who has connected to the node's listener.
  private var guests: [SessionID: PeerAddress] = [:]

  private var changes = LogThrottle(of: "lines about groups")
  private var links = LogThrottle(of: "lines about links to members")
  private var connections = LogThrottle(of: "lines about connections")
  private var refusals = LogThrottle(of: "refusals")
  private var deliveries = LogThrottle(of: "lines about messages on their way")

  init(_ log: EventLog, name: MemberName, server: ServerAddress?) {
    self.log = log
    self.name = name
    self.server = server?.description ?? "none"
  }

  /// `peer` tells where a connection that has just been made comes from.
  func record(_ news: News, now: Int64, _ peer: (SessionID) -> PeerAddress?) {
    switch news {
    case .serverIsTried, .serverIsThere, .serverIsAway, .nameIsTaken, .named, .placed, .reachable:
      recordServer(news)
    case .entered, .exited, .joined, .left, .renamed, .moved, .presence:
      recordGroup(news, now)
    case .message(let message): record(message)
    case .delivery(let id, let conversation, let name, let state):
      record(state, "message \(id) to \(conversation)", name, now)
    case .answer(_, .receipt(let receipt)): record(receipt, now)
    case .answer: break
    case .linkUp, .linkIdle, .linkDown: recordLink(news, now)
    case .connected(let session):
      guests[session] = peer(session)
      guard connections.mayBeSaid(now, log) else { return }
      log.inform("\(place(session)) connected")
    case .disconnected(let session, let reason):
      defer { guests[session] = nil }
      guard connections.mayBeSaid(now, log) else { return }
      log.inform("\(place(session)) disconnected: \(escaped(reason))")
    case .refused(let session, let refusal):
      guard refusals.mayBeSaid(now, log) else { return }
      let who = session.map { "refused \(place($0))" } ?? "the server refused"
      let verb = refusal.verb.map { " \($0)" } ?? ""
      log.inform("\(who): \(refusal.code)\(verb): \(escaped(refusal.text))")
    }
  }

  private func place(_ session: SessionID) -> String {
    guests[session]?.description ?? "a connection"
  }

  // MARK: The server

  private func recordServer(_ news: News) {
    switch news {
    case .serverIsTried: log.debug("looking for the server at \(server)")
    case .serverIsThere(let id, let isAnother):
      log.inform("connected to the server at \(server) as \(name), its id is \(hexadecimal(id))")
      if isAnother {
        log.warn("this is not the server you knew: its rosters are taken, what waits is kept")
      }
    case .serverIsAway(let reason, let seconds):
      log.inform("no server at \(server) (\(escaped(reason))); next try in \(seconds) s")
    case .nameIsTaken(let name, let reason):
      log.warn("cannot be called \(name): \(escaped(reason))")
    case .named(let name):
      self.name = name
      log.inform("called \(name) from now on")
    case .placed(.relay): log.inform("others reach this node through the server")
    case .placed(let place): log.inform("others reach this node at \(place)")
    case .reachable(true): log.inform("the server reaches this node at its address")
    case .reachable(false):
      log.warn("the server does not reach this node at its address, and others may not either")
    default: break
    }
  }

  // MARK: Groups

  private func recordGroup(_ news: News, _ now: Int64) {
    guard changes.mayBeSaid(now, log) else { return }
    switch news {
    case .entered(let group, let members, let isNew):
      log.inform("\(isNew ? "joined" : "in") \(group) (\(counted(members, "member")))")
    case .exited(let group, let reason): log.inform("left \(group)\(why(reason))")
    case .joined(let member, let group): log.inform("\(member) joined \(group)")
    case .left(let member, let group, let reason):
      log.inform("\(member) left \(group)\(why(reason))")
    case .renamed(let member, let name): log.inform("\(member) is now \(name)")
    case .moved(let member, let place):
      log.inform("\(member.name) moved from \(place) to \(member.place)")
    case .presence(let member, let isOnline):
      log.inform("\(member) is \(isOnline ? "online" : "away")")
    default: break
    }
  }

  private func why(_ reason: String) -> String { reason.isEmpty ? "" : ": \(escaped(reason))" }

  // MARK: Links

  private func recordLink(_ news: News, _ now: Int64) {
    guard links.mayBeSaid(now, log) else { return }
    switch news {
    case .linkUp(let member): log.inform("linked to \(member)")
    case .linkIdle(let member):
      log.inform("closed the link to \(member): nothing more goes over it")
    case .linkDown(let member, let reason, let seconds):
      log.inform("no link to \(member) (\(escaped(reason))); next try in \(seconds) s")
    default: break
    }
  }

  // MARK: Messages

  private func record(_ message: ChatMessage) {
    guard log.isTracing else { return }
    let to = message.path == .own ? "\(message.conversation)" : place(message.conversation)
    log.trace("\(message.from) to \(to) (\(message.path.rawValue)): \(escaped(message.text))")
  }

  /// Where something was heard.
  private func place(_ conversation: Conversation) -> String {
    if case .group(let group) = conversation { "\(group)" } else { "@\(name)" }
  }

  /// What a message has come to, where somebody does not have it.
  private func record(_ receipt: Receipt, _ now: Int64) {
    guard let id = receipt.message.id else { return }
    var waiting: [(MemberName, String)] = []
    for entry in receipt.entries {
      switch entry.state {
      case .waiting(let reason): waiting.append((entry.recipient, reason))
      case .failed:
        let what = "message \(id) to \(receipt.message.conversation)"
        record(entry.state, what, entry.recipient, now)
      case .delivered, .sent, .takenOver, .relayed: break
      }
    }
    guard let (_, reason) = waiting.first, deliveries.mayBeSaid(now, log) else { return }
    let shown = waiting.prefix(NodeLog.namesMax).map { "\($0.0)" }.joined(separator: ", ")
    let more = waiting.count - NodeLog.namesMax
    log.inform(
      "message \(id) to \(receipt.message.conversation) waits for \(shown)"
        + (more > 0 ? " and \(more) more" : "") + ": \(escaped(reason))")
  }

  /// Names in one line; a person reads no more of them.
  private static let namesMax = 5

  private func record(
    _ state: DeliveryState, _ what: @autoclosure () -> String, _ name: MemberName, _ now: Int64
  ) {
    guard deliveries.mayBeSaid(now, log) else { return }
    let what = what()
    switch state {
    case .delivered: log.inform("\(name) has \(what)")
    case .sent: log.inform("\(what) was written to \(name)")
    case .takenOver: log.inform("the server delivers \(what) to \(name), or keeps it")
    case .relayed: log.inform("the server has handed \(what) to \(name)")
    case .waiting(let reason): log.inform("\(what) waits for \(name): \(escaped(reason))")
    case .failed(let reason): log.warn("\(name) will not get \(what): \(escaped(reason))")
    }
  }
}
