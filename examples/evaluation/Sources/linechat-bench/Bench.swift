// linechat-bench: measures LineChat's programs from outside, as its users have them. Each workload is a
// command in a file of its own; no part of it runs in a measured process.

import ArgumentParser

@main
enum Program {
  static func main() {
    Workplace.clearWhenInterrupted()
    Bench.main()
  }
}

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linechat-bench",
    abstract: "Measure LineChat from outside.",
    discussion: """
      Figures are of this machine at this moment. Compare rows of one run, not of two.
      """,
    subcommands: [
      FanOut.self, ManyToMany.self, Idle.self, Churn.self, Typing.self, Recovery.self, Direct.self,
      Away.self, Kills.self,
    ])
}

/// What keeps a measurement from being made, for a person.
struct BenchFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
