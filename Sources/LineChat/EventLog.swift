// What the server's log says, in plain words, a line each. Everything that came from a peer is
// escaped, so that nobody can write a second line, or a terminal's commands, into somebody's log.

import LineChatCore
import LineProtocol
import Logging

/// The words for what happened, on their way to a logger.
final class EventLog {
  private let logger: Logger
  private var refusals = Throttle(of: "refusals")
  private var deliveries = Throttle(of: "lines about kept messages")

  init(_ logger: Logger) { self.logger = logger }

  /// Message texts are shown at trace level only.
  var isTracing: Bool { logger.logLevel <= .trace }

  func warn(_ text: @autoclosure () -> String) { logger.warning("\(text())") }

  func inform(_ text: @autoclosure () -> String) { logger.info("\(text())") }

  func complain(_ text: @autoclosure () -> String) { logger.error("\(text())") }

  func debug(_ text: @autoclosure () -> String) { logger.debug("\(text())") }

  /// `peer` tells where a session's connection comes from, as long as it is known.
  func record(_ event: Event, now: Int64, _ peer: (SessionID) -> Peer?) {
    func place(_ session: SessionID) -> String { peer(session)?.description ?? "a connection" }
    switch event {
    case .opened(let session, let name):
      logger.info("\(place(session)) connected as \(name)")
    case .closed(let session, let name, let reason):
      logger.info("\(name) (\(place(session))) disconnected: \(escaped(reason))")
    case .joined(let member, let group, let count):
      logger.info("\(member) joined \(group) (\(members(count)))")
    case .moved(let member, let place):
      logger.info("\(member.name) moved from \(place) to \(member.place)")
    case .left(let member, let group, let count, let reason):
      let why = reason.isEmpty ? "" : ": \(escaped(reason))"
      logger.info("\(member) left \(group) (\(members(count)))\(why)")
    case .renamed(let member, let name):
      logger.info("\(member) is now \(name)")
    case .tookUp(let session, let member):
      logger.info("\(place(session)) took up \(member) again")
    case .refused(let session, let name, let refusal):
      guard refusals.mayBeSaid(now, logger) else { return }
      let verb = refusal.verb.map { " \($0)" } ?? ""
      logger.info(
        "refused \(name) (\(place(session))): \(refusal.code)\(verb): \(escaped(refusal.text))")
    case .kept(let member, let waiting):
      guard deliveries.mayBeSaid(now, logger) else { return }
      logger.info("kept a message for \(member) (\(waiting) waiting)")
    case .delivered(let member, let count, let waiting):
      guard deliveries.mayBeSaid(now, logger) else { return }
      let rest = waiting > 0 ? " (\(waiting) waiting)" : ""
      logger.info("delivered \(messages(count)) to \(member)\(rest)")
    case .unreachable(let member, let reason, let seconds):
      logger.info("\(member) can't be reached (\(escaped(reason))); next try in \(seconds) s")
    case .reachable(let member):
      logger.debug("\(member) can be reached")
    case .expired(let member):
      logger.info("\(member) was not seen for the time that members are kept")
    case .dropped(let member, let count, let reason):
      logger.info("dropped \(messages(count)) kept for \(member): \(escaped(reason))")
    case .said(let member, let destination, let text, let handed):
      logger.trace(
        "\(member) to \(escaped(destination)) (handed to \(handed)): \(escaped(text))")
    }
  }

  private func messages(_ count: Int) -> String { count == 1 ? "1 message" : "\(count) messages" }

  private func members(_ count: Int) -> String { count == 1 ? "1 member" : "\(count) members" }

  /// One peer can have thousands of lines refused in a second. So many are shown; of the others,
  /// their number.
  private struct Throttle {
    private static let perSecond = 20
    private let what: String
    private var second: Int64 = 0
    private var said = 0
    private var unsaid = 0

    init(of what: String) { self.what = what }

    mutating func mayBeSaid(_ now: Int64, _ logger: Logger) -> Bool {
      if now / 1_000_000 != second {
        if unsaid > 0 { logger.info("\(unsaid) more \(what) are not shown") }
        second = now / 1_000_000
        said = 0
        unsaid = 0
      }
      guard said < Throttle.perSecond else {
        unsaid += 1
        return false
      }
      said += 1
      return true
    }
  }
}
