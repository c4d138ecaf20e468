// The end of a run: nothing more is said, and it is waited until nothing waits for anybody.

import TestSupport

enum Calm {
  /// Why not everything has arrived; nil where it has.
  static func wait(
    _ town: Town, _ speakers: [Speaker], _ clock: Clock, until end: Double, turn: () throws -> Void
  ) throws -> String? {
    var nextLook = 0.0
    while clock.seconds < end {
      try turn()
      if clock.seconds >= nextLook, speakers.allSatisfy(\.isIdle) {
        let waiting = town.nodes.map { town.stats(of: $0.name)?["outbox-messages"] }
        if waiting.allSatisfy({ $0 == 0 }) { return nil }
        let words = zip(town.nodes, waiting).map { "\($0.name) \($1.map(String.init) ?? "?")" }
        clock.say("messages that wait: " + words.joined(separator: ", "))
        nextLook = clock.seconds + 1
      }
      if Interruption.hasCome() {
        return "interrupted while messages were waiting"
      }
    }
    return "messages still wait, long after the end"
  }
}
