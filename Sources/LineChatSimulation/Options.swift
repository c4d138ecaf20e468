// What can go wrong in a world, and how much happens there: everything that differs between two
// runs. All of it is drawn from the seed; each seed leaves some faults and verbs out (swarm testing,
// Groce et al., 2012), because a world with everything in it rarely gets far in any one direction.

import LineChatCore

package struct Options: CustomStringConvertible, Sendable {
  package var seed: UInt64
  /// Events until the healing begins.
  package var steps: Int
  package var sabotage: Sabotage?

  var clients: Int
  /// Of a hundred clients, so many speak tags.
  var programShare: Int
  var groups: Int
  var names: Int
  var pieceBytesMax: Int
  var latencyMicrosecondsMax: Int
  /// How long the server sleeps at most between two rounds while something is ready.
  var roundMicrosecondsMax: Int
  var pauseMicrosecondsMax: Int
  var burstMax: Int
  var lineBytesMax: Int
  var listingPieceBytes: Int
  /// Bytes that may wait for one reader before it is dropped.
  var pendingBytesMax: Int
  var hasLoopbackSubstitute: Bool
  var verbs: [Work]

  var hasSlowReaders: Bool
  var hasResets: Bool
  var hasHalfCloses: Bool
  var hasHalfLines: Bool
  var hasSilence: Bool
  var hasKeys: Bool
  /// Of four dials so many go wrong.
  var dialFaults: Int
  /// In one round of so many the server crashes; 0: never.
  var crashesOneIn: Int
  var diskDelayMicrosecondsMax: Int
  /// One write in so many fails; 0: none.
  var diskFailsOneIn: Int
  var hasClockJumps: Bool
  var hasLateTimers: Bool
  var endsByShutdown: Bool
  /// Nodes and what befalls them; off in a world with a server and its clients alone.
  package var nodes = NodeOptions()

  package init(seed: UInt64, steps: Int = 3_000, sabotage: Sabotage? = nil) {
    // Apart from the world's own numbers, so that the work does not follow the options.
    var random = SplitMix64(state: seed ^ 0x9e37_79b9_0f0f_0f0f)
    func draw(_ choices: Int...) -> Int { choices.randomElement(using: &random) ?? 0 }
    func flag() -> Bool { Bool.random(using: &random) }
    self.seed = seed
    self.steps = steps
    self.sabotage = sabotage
    clients = draw(2, 3, 5, 8, 13, 30)
    programShare = draw(0, 30, 60, 100)
    groups = draw(1, 2, 4, 9)
    names = draw(3, 6, 12)
    pieceBytesMax = draw(1, 7, 64, 1_024, 65_536)
    latencyMicrosecondsMax = draw(0, 200, 5_000, 300_000)
    roundMicrosecondsMax = draw(0, 100, 10_000)
    pauseMicrosecondsMax = draw(1_000, 100_000, 2_000_000, 20_000_000)
    burstMax = draw(1, 3, 10, 40)
    lineBytesMax = draw(512, 512, 65_536)
    listingPieceBytes = draw(64, 300, 65_536)
    pendingBytesMax = draw(4_000, 60_000, 8 << 20)
    hasLoopbackSubstitute = flag()
    hasSlowReaders = flag()
    hasResets = flag()
    hasHalfCloses = flag()
    hasHalfLines = flag()
    hasSilence = draw(0, 0, 1) == 1
    hasKeys = flag()
    dialFaults = draw(0, 1, 2, 4)
    crashesOneIn = draw(0, 0, 30, 300)
    diskDelayMicrosecondsMax = draw(0, 0, 1_000, 400_000)
    diskFailsOneIn = draw(0, 0, 2, 10)
    hasClockJumps = draw(0, 0, 1) == 1
    hasLateTimers = flag()
    endsByShutdown = draw(0, 0, 0, 1) == 1
    var verbs: [Work] = [.join, .msg]
    for work in Work.allCases where work != .quit && draw(0, 1, 1) == 1 {
      verbs += Array(repeating: work, count: work == .msg ? draw(1, 4, 9) : draw(1, 1, 2))
    }
    self.verbs = verbs
  }

  /// A world with nodes.
  package static func withNodes(
    seed: UInt64, steps: Int = 3_000, sabotage: NodeSabotage? = nil
  ) -> Options {
    var options = Options(seed: seed, steps: steps)
    var random = SplitMix64(state: seed ^ 0x5eed_0f0d_e5e5_0000)
    options.nodes = NodeOptions(&random)
    options.nodes.sabotage = sabotage
    return options
  }

  /// Nobody may know a name any more that the server keeps for its node.
  var canForgetNames: Bool {
    diskFailsOneIn > 0
      || nodes.mishaps.contains { [.serverRestored, .diskFails, .diskFull].contains($0) }
  }

  /// What the seed has drawn.
  package var description: String {
    let faults = [
      hasSlowReaders ? "slow-readers" : "", hasResets ? "resets" : "",
      hasHalfCloses ? "half-closes" : "", hasHalfLines ? "half-lines" : "",
      hasSilence ? "silence" : "", hasKeys ? "keys" : "",
      crashesOneIn > 0 ? "crashes=1/\(crashesOneIn)" : "",
      dialFaults > 0 ? "dials=\(dialFaults)/4" : "",
      diskFailsOneIn > 0 ? "disk-fails=1/\(diskFailsOneIn)" : "",
      hasClockJumps ? "clock-jumps" : "", hasLateTimers ? "late-timers" : "",
      endsByShutdown ? "shutdown" : "",
    ].filter { !$0.isEmpty }.joined(separator: ",")
    if nodes.isOn {
      return """
        steps=\(steps) piece=\(pieceBytesMax) latency=\(latencyMicrosecondsMax)us \
        round=\(roundMicrosecondsMax)us listing=\(listingPieceBytes) pending=\(pendingBytesMax) \
        disk=\(diskDelayMicrosecondsMax)us faults=\(faults) \(nodes.description)
        """
    }
    let work = Work.allCases.filter(verbs.contains).map(\.rawValue).joined(separator: ",")
    return """
      steps=\(steps) clients=\(clients) programs=\(programShare)% groups=\(groups) names=\(names) \
      piece=\(pieceBytesMax) latency=\(latencyMicrosecondsMax)us round=\(roundMicrosecondsMax)us \
      pause=\(pauseMicrosecondsMax)us burst=\(burstMax) line=\(lineBytesMax) \
      listing=\(listingPieceBytes) pending=\(pendingBytesMax) \
      disk=\(diskDelayMicrosecondsMax)us faults=\(faults) work=\(work)
      """
  }
}

/// Kinds of things that clients do.
enum Work: String, CaseIterable, Sendable {
  case nick, join, leave, msg, pm, members, groups, wait, ping, help, stats, ack, nonsense, reply
  case source, forget, quit
}

/// Faults put in at the core's boundary, to prove that they are found.
package enum Sabotage: String, CaseIterable, Sendable {
  case loseDelivery, doubleDelivery, swapDeliveries, misdeliver, alterText, echoToSender
  case loseReply, wrongLabel, wrongCount, staleVersion, splitListing, tagsToPlain
  case loseOwnChange, loseOutcome
  case confirmFailedWrite, failWrittenWrite, forgetTicket, forgetReset, forgetClose, forgetResume
  case forgetTick, loseLine, loseRecord, repeatVersions
}
