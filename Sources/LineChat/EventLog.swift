// What a server's log says, in plain words, a line each. Everything that came from a peer is escaped, so
// that nobody can write a second line, or a terminal's commands, into somebody's log. A node's is in
// NodeLog.

import LineChatCore
import LineProtocol
import Logging

/// The words for what happened, on their way to a logger.
final class EventLog {
  private let logger: Logger
  private var refusals = LogThrottle(of: "refusals")
  private var deliveries = LogThrottle(of: "lines about kept messages")
  private var visits = LogThrottle(of: "connections and ends of connections", perSecond: 100)
  private var changes = LogThrottle(of: "joins, leaves and new names", perSecond: 100)

  init(_ logger: Logger) { self.logger = logger }

  /// Message texts are shown at trace level only.
  var isTracing: Bool { logger.logLevel <= .trace }

  func warn(_ text: @autoclosure () -> String) { logger.warning("\(text())") }

  func inform(_ text: @autoclosure () -> String) { logger.info("\(text())") }

  func complain(_ text: @autoclosure () -> String) { logger.error("\(text())") }

  func debug(_ text: @autoclosure () -> String) { logger.debug("\(text())") }

  func trace(_ text: @autoclosure () -> String) { logger.trace("\(text())") }

  /// `peer` tells where a session's connection comes from, as long as it is known.
  func record(_ event: Event, now: Int64, _ peer: (SessionID) -> PeerAddress?) {
    func place(_ session: SessionID) -> String { peer(session)?.description ?? "a connection" }
    switch event {
    case .opened(let session, let name):
      guard visits.mayBeSaid(now, self) else { return }
      logger.info("\(place(session)) connected as \(name)")
    case .closed(let session, let name, let reason):
      guard visits.mayBeSaid(now, self) else { return }
      logger.info("\(name) (\(place(session))) disconnected: \(escaped(reason))")
    case .joined(let member, let group, let count):
      guard changes.mayBeSaid(now, self) else { return }
      logger.info("\(member) joined \(group) (\(counted(count, "member")))")
    case .moved(let member, let place):
      guard changes.mayBeSaid(now, self) else { return }
      logger.info("\(member.name) moved from \(place) to \(member.place)")
    case .left(let member, let group, let count, let reason):
      guard changes.mayBeSaid(now, self) else { return }
      let why = reason.isEmpty ? "" : ": \(escaped(reason))"
      logger.info("\(member) left \(group) (\(counted(count, "member")))\(why)")
    case .renamed(let member, let name):
      guard changes.mayBeSaid(now, self) else { return }
      logger.info("\(member) is now \(name)")
    case .tookUp(let session, let member):
      logger.info("\(place(session)) took up \(member) again")
    case .refused(let session, let name, let refusal):
      guard refusals.mayBeSaid(now, self) else { return }
      let verb = refusal.verb.map { " \($0)" } ?? ""
      logger.info(
        "refused \(name) (\(place(session))): \(refusal.code)\(verb): \(escaped(refusal.text))")
    case .kept(let member, let waiting):
      guard deliveries.mayBeSaid(now, self) else { return }
      logger.info("kept a message for \(member) (\(waiting) waiting)")
    case .delivered(let member, let count, let waiting):
      guard deliveries.mayBeSaid(now, self) else { return }
      let rest = waiting > 0 ? " (\(waiting) waiting)" : ""
      logger.info("delivered \(counted(count, "message")) to \(member)\(rest)")
    case .unreachable(let member, let reason, let seconds):
      logger.info("\(member) can't be reached (\(escaped(reason))); next try in \(seconds) s")
    case .reachable(let member):
      logger.debug("\(member) can be reached")
    case .expired(let member):
      logger.info("\(member) was not seen for the time that members are kept")
    case .dropped(let member, let count, let reason):
      logger.info("dropped \(counted(count, "message")) kept for \(member): \(escaped(reason))")
    case .said(let member, let destination, let text, let handed):
      logger.trace(
        "\(member) to \(escaped(destination)) (handed to \(handed)): \(escaped(text))")
    }
  }
}

/// `1 member`, `2 members`.
func counted(_ count: Int, _ noun: String) -> String {
  count == 1 ? "1 \(noun)" : "\(count) \(noun)s"
}
