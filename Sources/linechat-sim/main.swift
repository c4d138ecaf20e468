// The simulator's main, for long runs: one seed after the other until one of the limits is reached.
// What is found wrong is printed with the one command that shows it again.

import ArgumentParser
import LineChatSimulation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

struct LineChatSim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linechat-sim",
    abstract: "Runs the cores in simulated worlds, each drawn from a seed, and checks them.")

  @Option(help: "How many seeds to run; without it and --minutes, 100.")
  var seeds: Int?

  @Option(help: "The first seed.")
  var firstSeed: UInt64 = 1

  @Option(help: "Events of each world before it heals.")
  var steps = 3_000

  @Option(help: "How long to go on.")
  var minutes: Double?

  @Option(help: "A fault to put in, to see it found: \(faults); with --nodes: \(nodeFaults).")
  var sabotage: String?

  @Flag(help: "Worlds with nodes.")
  var nodes = false

  @Flag(help: "Put in every fault, one after the other, until a seed of the first 500 finds it.")
  var prove = false

  @Flag(help: "Print every event as it happens.")
  var trace = false

  @Option(help: "How many of the last events of a failing seed to print.")
  var events = 40

  private static let faults = Sabotage.allCases.map(\.rawValue).joined(separator: ", ")
  private static let nodeFaults = NodeSabotage.allCases.map(\.rawValue).joined(separator: ", ")

  func run() throws {
    watchForTraps()
    guard !prove else { return try proveCheckers() }
    let fault = nodes ? nil : try known(Sabotage.self, Self.faults)
    let nodeFault = nodes ? try known(NodeSabotage.self, Self.nodeFaults) : nil
    let end = minutes.map { seconds() + $0 * 60 } ?? .infinity
    let count = seeds ?? (minutes == nil ? 100 : .max)
    let start = seconds()
    var (done, failed, stepsDone) = (0, 0, 0)
    var hash: UInt64 = 0
    var counts: [String: Int] = [:]
    while done < count && seconds() < end && failed < 10 {
      let seed = firstSeed &+ UInt64(done)
      presentSeed = seed
      let options =
        nodes
        ? Options.withNodes(seed: seed, steps: steps, sabotage: nodeFault)
        : Options(seed: seed, steps: steps, sabotage: fault)
      let outcome = Simulation.run(options, follower: trace ? { sayAtOnce($0) } : nil)
      for (what, count) in outcome.counts { counts[what, default: 0] += count }
      done += 1
      stepsDone += outcome.steps
      hash = (hash &* 31) ^ outcome.hash
      if outcome.failure != nil {
        failed += 1
        report(Simulation.run(options, isRecording: true))
      }
    }
    let time = max(seconds() - start, 0.001)
    let speed = Int(Double(stepsDone) / time)
    print(
      "seeds \(done) (from \(firstSeed)), steps \(stepsDone), \(speed) steps a second, "
        + "failed \(failed), hash \(String(hash, radix: 16))")
    if !counts.isEmpty {
      print(counts.keys.sorted().map { "\($0) \(counts[$0] ?? 0)" }.joined(separator: ", "))
    }
    if failed > 0 { throw ExitCode(1) }
  }

  private func known<Fault: RawRepresentable<String>>(
    _ kind: Fault.Type, _ all: String
  ) throws -> Fault? {
    guard let sabotage else { return nil }
    guard let fault = Fault(rawValue: sabotage) else {
      throw ValidationError("there is no fault \(sabotage); there are: \(all)")
    }
    return fault
  }

  private func proveCheckers() throws {
    var proof = Proof(steps: steps)
    proof.run()
    print("\(proof.count) faults, \(proof.isWhole ? "all" : "NOT all") found")
    if !proof.isWhole { throw ExitCode(1) }
  }

  private func report(_ outcome: Outcome) {
    let seed = outcome.options.seed
    print("seed \(seed) FAILED: \(outcome.failure ?? "not when it was run again")")
    print("  \(outcome.options)")
    for event in outcome.lastEvents.suffix(events) { print("  \(event)") }
    var command =
      "swift run -c release linechat-sim --seeds 1 --first-seed \(seed) --steps \(steps)"
    if nodes { command += " --nodes" }
    if let sabotage { command += " --sabotage \(sabotage)" }
    print("  again: \(command)")
  }

  private func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Prints a line so that it is there even if a trap comes next.
private func sayAtOnce(_ line: String) {
  var text = line + "\n"
  text.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
}

/// The seed being run, for the handler of a trap.
nonisolated(unsafe) private var presentSeed: UInt64 = 0

/// A trap ends the process; before that, the seed is said. Only calls that a signal handler may make.
private func watchForTraps() {
  for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT, SIGBUS] {
    signal(number) { number in
      var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
      withUnsafeMutableBytes(of: &digits) { bytes in
        var (rest, at) = (presentSeed, bytes.count - 1)
        bytes[at] = 0x0A
        repeat {
          at -= 1
          bytes[at] = UInt8(48 + rest % 10)
          rest /= 10
        } while rest > 0 && at > 0
        _ = write(2, "trapped in seed ", 16)
        _ = write(2, bytes.baseAddress! + at, bytes.count - at)
      }
      signal(number, SIG_DFL)
      raise(number)
    }
  }
}

LineChatSim.main()
