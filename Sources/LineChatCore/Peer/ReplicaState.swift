// What outlives a node's process: who it is, its groups with their rosters as it knows them, what
// waits to be sent, and one number for each stream that it has heard. A snapshot of it is one JSON
// object that a person can read (`replica.json`); the journal's records are carried out on top of it.

import LineProtocol

package struct ReplicaState: Codable, Sendable, Hashable {
  package struct Group: Codable, Sendable, Hashable {
    package var name: String
    /// The roster's, `start.n`.
    package var version: String
    /// Each as in a MEMBER line behind the group: `carol@10.0.0.4:5001 online tags reachable`.
    package var members: [String]

    /// Stands behind a newcomer of whom the server had not said yet what it can do: what it hears from
    /// us must wait until that is known.
    static let notDescribed = "undescribed"
  }

  /// One stream of ours: what has been said to a group or to one person.
  package struct Sent: Codable, Sendable, Hashable {
    /// `lobby` or `@carol`.
    package var to: String
    /// The id of the latest message, `<stream>.<seq>`; seq 0 where there was none.
    package var latest: String
  }

  package struct Waiting: Codable, Sendable, Hashable {
    /// Its record in the journal.
    package var message: String
    /// Who does not have it yet.
    package var recipients: [String]
  }

  /// A message that was on its way to the disk. If it got there, its record stands in the journal that
  /// follows, but the rosters are newer than it.
  package struct Unwritten: Codable, Sendable, Hashable {
    /// `<stream>.<seq>`
    package var message: String
    /// To whom it goes then.
    package var recipients: [String]
  }

  /// A message that one of its recipients will not get, which nobody was told yet.
  package struct Untold: Codable, Sendable, Hashable {
    /// `<stream>.<seq>`
    package var message: String
    /// `lobby` or `@carol`.
    package var to: String
    package var recipient: String
    package var reason: String
  }

  package var name: String
  /// The name that the server was asked for last, where it is not known what has come of it.
  package var askedName: String?
  /// The server that was last seen: its id, and the address it was reached at.
  package var server: String?
  package var serverAddress: String?
  /// Where this node listened last; its port is taken again.
  package var listens: String?
  /// Where the others reach it.
  package var place: String?
  package var groups: [Group] = []
  /// Groups that were left while the server was away, and it does not know yet.
  package var leaving: [String] = []
  package var sent: [Sent] = []
  package var outbox: [Waiting] = []
  /// Nil where there is none.
  package var unwritten: [Unwritten]?
  /// Groups that were to be left when the process ended, and are when it starts; nil where there are none.
  package var leavesAsked: [String]?
  /// What was found to have failed, and is told when the node starts; nil where there is nothing.
  package var untold: [Untold]?
  /// The latest message heard of each stream, `<stream>.<seq>`, the latest heard last.
  package var heard: [String] = []
  /// The latest stamp given or believed, ISO 8601 UTC.
  package var time = Timestamp.text(0)

  package init(name: String) { self.name = name }
}
