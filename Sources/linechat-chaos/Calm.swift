// The end of a run: nothing more is said, and it is waited until nothing waits for anybody, and each knows
// who is in its groups.

import TestSupport

enum Calm {
  /// Why not everything has arrived; nil where it has.
  static func wait(
    _ town: Town, _ speakers: [Speaker], _ clock: Clock, until end: Double,
    hasOthers: Bool = false, turn: () throws -> Void
  ) throws -> String? {
    var nextLook = 0.0
    while clock.seconds < end {
      try turn()
      if clock.seconds >= nextLook, speakers.allSatisfy(\.isIdle) {
        let waiting = town.nodes.map { town.stats(of: $0.name)?["outbox-messages"] }
        if waiting.allSatisfy({ $0 == 0 }) {
          return disagreement(town, hasOthers, within: end - clock.seconds)
        }
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

  /// Whether somebody's rosters are not what they were in the beginning, as nobody has left.
  private static func disagreement(
    _ town: Town, _ hasOthers: Bool, within seconds: Double
  ) -> String? {
    for node in town.nodes {
      do {
        try town.wait(until: node.name, within: max(1, seconds), hasOthers: hasOthers)
      } catch {
        return "\(error)"
      }
    }
    return nil
  }
}
