// What a node's log says of its news, in plain words, a line each.

import LineChatCore
import LineProtocol

extension EventLog {
  /// `peer` tells where a session's connection comes from, as long as it is known.
  func record(_ news: News, now: Int64, _ peer: (SessionID) -> PeerAddress?) {
    func place(_ session: SessionID?) -> String {
      session.flatMap(peer)?.description ?? "a connection"
    }
    switch news {
    case .serverIsTried: debug("looking for the server")
    case .serverIsThere(let id, let isAnother):
      inform("connected to the server, its id is \(hexadecimal(id))")
      if isAnother {
        warn("this is not the server you knew: its rosters are taken, what waits is kept")
      }
    case .serverIsAway(let reason, let seconds):
      inform("the server is away (\(escaped(reason))); next try in \(seconds) s")
    case .nameIsTaken(let name, let reason):
      warn("the name \(name) is taken (\(escaped(reason))); it is tried again")
    case .named(let name): inform("this node is called \(name)")
    case .placed(let place): inform("others reach this node at \(place)")
    case .reachable(true): debug("the server reaches this node's address")
    case .reachable(false):
      warn("the server does not reach this node's address; others may not either")
    case .entered(let group, let members, let isNew):
      inform("\(isNew ? "joined" : "again in") \(group) (\(counted(members, "member")))")
    case .exited(let group, let reason): inform("left \(group)\(why(reason))")
    case .joined(let member, let group): inform("\(member) joined \(group)")
    case .left(let member, let group, let reason): inform("\(member) left \(group)\(why(reason))")
    case .renamed(let member, let name): inform("\(member) is now \(name)")
    case .moved(let member, let place):
      inform("\(member.name) moved from \(place) to \(member.place)")
    case .presence(let member, let isOnline): inform("\(member) is \(isOnline ? "online" : "away")")
    case .message(let message): record(message)
    case .delivery(let id, let conversation, let name, let state):
      guard mayTellDelivery(now) else { return }
      record(state, "\(id) (\(conversation))", name)
    case .linkUp(let member): inform("connected to \(member)")
    case .linkIdle(let member): inform("closed the connection to \(member), nothing goes over it")
    case .linkDown(let member, let reason, let seconds):
      inform("\(member) can't be reached (\(escaped(reason))); next try in \(seconds) s")
    case .connected(let session): inform("\(place(session)) connected")
    case .disconnected(let session, let reason):
      inform("\(place(session)) disconnected: \(escaped(reason))")
    case .refused(let session, let refusal):
      guard mayTellRefusal(now) else { return }
      let verb = refusal.verb.map { " \($0)" } ?? ""
      let who = session == nil ? "the server refused" : "refused \(place(session))"
      inform("\(who): \(refusal.code)\(verb): \(escaped(refusal.text))")
    case .answer: break
    }
  }

  private func record(_ message: ChatMessage) {
    trace(
      "\(message.from) to \(message.conversation) (\(message.path.rawValue)): "
        + escaped(message.text))
  }

  private func record(_ state: DeliveryState, _ what: String, _ name: MemberName) {
    switch state {
    case .delivered: inform("delivered \(what) to \(name)")
    case .sent: inform("sent \(what) to \(name)")
    case .relayed: debug("the server has handed \(what) to \(name)")
    case .waiting(let reason): inform("\(what) waits for \(name): \(escaped(reason))")
    case .failed(let reason): warn("\(what) will not be delivered to \(name): \(escaped(reason))")
    }
  }

  private func why(_ reason: String) -> String { reason.isEmpty ? "" : ": \(escaped(reason))" }
}
