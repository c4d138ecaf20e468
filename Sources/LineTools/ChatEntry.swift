// What somebody has said or done, as one line for people or one JSON object for programs: of what is heard
// now, and of what is in the logs.

import LineChatCore
import LineProtocol

package struct ChatEntry: Sendable {
  package enum Kind: String, Sendable { case message, `private`, join, leave, nick }

  package let kind: Kind
  package let from: Member
  /// The group; nil for what is between two.
  package let group: GroupName?
  /// Whom a private message is for; a new name.
  package let to: String?
  package let text: String?
  package let id: String?
  /// When it was said, in microseconds since 1970 UTC.
  package let time: Int64
  /// When it came here; what was said here came at once.
  package let arrival: Int64
  /// It came from an address that nothing proves to be the sender's.
  package let unverified: String?

  /// A line with a source; nil where nobody says or does something in it. `now` is when it came, if it
  /// does not say so.
  package init?(_ line: Message, now: Int64) {
    guard let source = line.source else { return nil }
    func moment(_ key: String) -> Int64? { line.tags[key].flatMap { Timestamp.microseconds($0) } }
    let heard = moment("heard")
    time = moment("time") ?? heard ?? now
    arrival = heard ?? moment("time") ?? now
    from = source
    id = line.tags["msgid"]
    unverified = line.tags["unverified"]
    switch line.content {
    case .msg(let name, let said): (kind, group, to, text) = (.message, name, nil, said)
    case .pm(let peer, let said): (kind, group, to, text) = (.private, nil, "\(peer)", said)
    case .join(let name, _, let reason): (kind, group, to, text) = (.join, name, nil, reason)
    case .leave(let name, let reason): (kind, group, to, text) = (.leave, name, nil, reason)
    case .nick(let new):
      (kind, group, to, text) = (
        .nick, line.tags["group"].flatMap { GroupName($0) }, "\(new)", nil
      )
    default: return nil
    }
  }

  /// `2026-11-22 12:34:56 #lobby <bob> hi`; `clock` writes moments.
  package func line(_ clock: (Int64) -> String) -> String {
    let place = group.map { "#\($0) " } ?? ""
    let reason = text.map { ": \($0)" } ?? ""
    let rest =
      switch kind {
      case .message: "<\(from.name)> \(text ?? "")"
      case .private:
        "<\(from.name)\(unverified == nil ? "" : ", unverified")> to \(to ?? ""): \(text ?? "")"
      case .join: "-- \(from) joined"
      case .leave: "-- \(from.name) left\(reason)"
      case .nick: "-- \(from.name) is \(to ?? "") now"
      }
    return escaped("\(clock(time)) \(place)\(rest)", doublesBackslash: false)
  }

  package var json: JSONValue {
    .object([
      "time": .text(Timestamp.text(time)),
      "arrival": .text(Timestamp.text(arrival)),
      "kind": .text(kind.rawValue),
      "group": group.map { .text($0.description) },
      "from": .text(from.name.description),
      "place": .text(from.place.description),
      "to": to.map { .text($0) },
      "text": text.map { .text($0) },
      "id": id.map { .text($0) },
      "unverified": unverified.map { .text($0) },
    ])
  }
}
