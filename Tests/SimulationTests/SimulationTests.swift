// Some hundred worlds of either kind, the same again, and the proof that what is spoilt is found.

import LineChatSimulation
import Testing

@Suite("Simulation")
struct SimulationTests {
  @Test("nothing is found wrong", arguments: 0..<10 as Range<UInt64>)
  func worlds(block: UInt64) {
    for seed in block * 10..<(block + 1) * 10 {
      let outcome = Simulation.run(Options(seed: seed, steps: 500))
      #expect(
        outcome.failure == nil,
        "swift run -c release linechat-sim --seeds 1 --first-seed \(seed) --steps 500")
    }
  }

  @Test("the same seed gives the same trace, another one another")
  func replay() {
    var hashes: Set<UInt64> = []
    for seed in 1...20 as ClosedRange<UInt64> {
      let first = Simulation.run(Options(seed: seed, steps: 300))
      let second = Simulation.run(Options(seed: seed, steps: 300), isRecording: true)
      #expect(first.hash == second.hash && first.steps == second.steps)
      hashes.insert(first.hash)
    }
    #expect(hashes.count == 20)
  }

  @Test("a fault that is put in is found", arguments: Sabotage.allCases)
  func proof(sabotage: Sabotage) {
    let finder = (1...200 as ClosedRange<UInt64>).first { seed in
      let options = Options(seed: seed, steps: 600, sabotage: sabotage)
      return Simulation.run(options).failure != nil
    }
    #expect(finder != nil, "\(sabotage.rawValue) was not found")
  }

  @Test("nothing is found wrong with nodes", arguments: 0..<10 as Range<UInt64>)
  func towns(block: UInt64) {
    for seed in block * 5..<(block + 1) * 5 {
      let outcome = Simulation.run(Options.withNodes(seed: seed, steps: 1_000))
      #expect(
        outcome.failure == nil,
        "swift run -c release linechat-sim --nodes --seeds 1 --first-seed \(seed) --steps 1000")
    }
  }

  @Test("the same seed gives the same trace with nodes, another one another")
  func replayOfNodes() {
    var hashes: Set<UInt64> = []
    for seed in 1...10 as ClosedRange<UInt64> {
      let first = Simulation.run(Options.withNodes(seed: seed, steps: 500))
      let second = Simulation.run(Options.withNodes(seed: seed, steps: 500), isRecording: true)
      #expect(first.hash == second.hash && first.steps == second.steps)
      hashes.insert(first.hash)
    }
    #expect(hashes.count == 10)
  }

  /// The short form: those that many a seed finds. The command `linechat-sim --prove` has all.
  @Test("a fault that is put in at a node is found", arguments: NodeSabotage.foundSoon)
  func proofOfNodes(sabotage: NodeSabotage) {
    let finder = (1...60 as ClosedRange<UInt64>).first { seed in
      let options = Options.withNodes(seed: seed, steps: 1_500, sabotage: sabotage)
      return Simulation.run(options).failure != nil
    }
    #expect(finder != nil, "\(sabotage.rawValue) was not found")
  }
}

extension NodeSabotage {
  /// The others need several mishaps one after the other, or long worlds.
  fileprivate static let foundSoon = allCases.filter {
    ![
      .forgetNumber, .forgetHeard, .forgetTime, .forgetLeaving, .believeEverybody, .forgetTick,
      .forgetReset, .acknowledgeBeforeWrite, .forgetOutbox, .serverRepeatsVersions,
    ].contains($0)
  }
}
