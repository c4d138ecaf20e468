// What only a server's loop does: its id and the start of its versions stand in the snapshot beside
// the directory's state.

import LineChatCore
import LineProtocol

/// What the loop of a server keeps for it.
struct ServerSide {
  let serverID: UInt64
  let versionStart: UInt64
}

extension Directory: DrivenCore {
  static var noun: String { "server" }

  static var withoutDisk: String {
    "joins, leaves and names of durable members are refused, and nothing is kept"
  }

  mutating func restore(_ stored: StoredState, now: Instant) -> [String] {
    restore(stored.state, now: now)
  }

  func stored(_ side: ServerSide) -> StoredState {
    StoredState(
      server: hexadecimal(side.serverID), start: side.versionStart, state: durableState())
  }

  var storedBytes: Int { keptBytes }

  static func dialServer(_ session: SessionID, _ loop: Loop<Directory>) {
    preconditionFailure("a server has no server")
  }
}

extension Loop where C == Directory {
  /// Goes on from what was found in the data directory, before anybody is served.
  func takeUp(_ saved: SavedState<StoredState>) throws(ServerError) {
    try resume(saved)
    let path = escaped(saved.directory.path)
    let id = hexadecimal(side.serverID)
    if saved.content != nil {
      let state = core.durableState()
      let kept = state.kept.reduce(0) { $0 + $1.messages.count }
      log.inform(
        "state directory \(path): durable members: \(state.members.count), messages kept: \(kept); "
          + "this server's id is \(id)")
    } else {
      log.inform("new state directory \(path), this server's id is \(id)")
    }
    core.restored(now: now)
  }
}

/// The content of a server's snapshot, `groups.json`.
struct StoredState: StoredContent {
  static let file = "groups.json"

  /// The server's id, 16 hexadecimal digits. A new directory is a new server.
  var server: String
  /// The first half of the versions of this run; the next one's is larger.
  var start: UInt64
  var state: DurableState

  init(server: String, start: UInt64, state: DurableState) {
    self.server = server
    self.start = start
    self.state = state
  }

  init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: Key.self)
    server = try members.decode(String.self, forKey: .server)
    start = try members.decode(UInt64.self, forKey: .start)
    state = try DurableState(from: decoder)
  }

  func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: Key.self)
    try members.encode(server, forKey: .server)
    try members.encode(start, forKey: .start)
    try state.encode(to: encoder)
  }

  private enum Key: CodingKey { case server, start }

  var serverID: UInt64? { server.utf8.count == 16 ? UInt64(server, radix: 16) : nil }

  var fault: String? {
    if serverID == nil { return "\"server\" is no id of 16 hexadecimal digits" }
    return start < UInt64(Int64.max) ? nil : "\"start\" is no time in milliseconds"
  }
}
