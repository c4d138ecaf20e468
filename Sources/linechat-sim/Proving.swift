// The proof of the checkers: every fault that can be put in is put in, and seeds are run until it is
// found.

import LineChatSimulation

struct Proof {
  static let seedsMax = 500

  let steps: Int
  /// Whether all were found.
  private(set) var isWhole = true
  private(set) var count = 0

  init(steps: Int) { self.steps = steps }

  mutating func run() {
    let steps = steps
    for fault in Sabotage.allCases {
      prove(fault.rawValue, "server") { Options(seed: $0, steps: steps, sabotage: fault) }
    }
    for fault in NodeSabotage.allCases {
      prove(fault.rawValue, "nodes") {
        Options.withNodes(seed: $0, steps: steps, sabotage: fault)
      }
    }
  }

  private mutating func prove(_ fault: String, _ world: String, _ options: (UInt64) -> Options) {
    count += 1
    for seed in 1...UInt64(Proof.seedsMax) {
      guard let failure = Simulation.run(options(seed)).failure else { continue }
      return print(
        "\(world) \(fault): found in seed \(seed) of \(Proof.seedsMax): \(failure.prefix(160))")
    }
    isWhole = false
    print("\(world) \(fault): NOT FOUND in \(Proof.seedsMax) seeds")
  }
}
