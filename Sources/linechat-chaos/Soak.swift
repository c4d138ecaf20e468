// `linechat-chaos soak`: a day's use in an hour, and whether the programs take more and more for it.

import ArgumentParser
import Foundation
import LineChatCore
import TestSupport

struct Soak: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "An hour of ordinary use: memory and descriptors must stay as they are.",
    discussion: """
      A server, nodes and people with netcat: they come, speak, join, leave, take other names and go. \
      The last node is restarted every twelfth of the run, and in its first third the server is, too. \
      Meanwhile it is noted what each process takes. At the end each message of the nodes must be \
      where it belongs, and \(Life.criterion).
      """)

  @Option(help: "How long it goes on.")
  var minutes = 60.0

  @Option(help: "What is drawn: who does what. (default: by lot)")
  var seed: UInt64?

  @Option(help: "How many nodes, 2 to 8.")
  var nodes = 4

  @Option(help: "How many people with netcat, 1 to 1000.")
  var people = 10

  @Option(help: "How many things these do in a second, and the nodes say, up to 1000 each.")
  var perSecond = 10.0

  @OptionGroup var options: TownOptions

  func validate() throws {
    guard minutes > 0, minutes <= 10_080 else {
      throw ValidationError("--minutes is above 0 and at most 10080, a week")
    }
    guard (2...Town.names.count).contains(nodes) else {
      throw ValidationError("--nodes is from 2 to \(Town.names.count)")
    }
    guard (1...1_000).contains(people) else {
      throw ValidationError("--people is from 1 to 1000")
    }
    guard perSecond > 0, perSecond <= 1_000 else {
      throw ValidationError("--per-second is above 0 and at most 1000")
    }
  }

  func run() throws {
    let seed = seed ?? .random(in: 1...UInt64(UInt32.max))
    try Town.visit(nodes: nodes, hasProxies: false, seed: seed, options) { town in
      var run = SoakRun(town, seed: seed, seconds: minutes * 60, people, perSecond: perSecond)
      return try run.run()
    }
  }
}

private struct SoakRun {
  private let town: Town
  private let speakers: [Speaker]
  private var crowd: Crowd
  private let seconds: Double
  private let perSecond: Double
  private let clock = Clock()
  private var lives: [Life] = []
  private var complaints: [String] = []
  private var restarts = 0

  init(_ town: Town, seed: UInt64, seconds: Double, _ people: Int, perSecond: Double) {
    self.town = town
    self.seconds = seconds
    self.perSecond = perSecond
    var random = SplitMix64(state: seed)
    speakers = town.nodes.map { node in
      Speaker(node.name, in: town, random: SplitMix64(state: random.next()))
    }
    crowd = Crowd(people, at: town.serverAddress, random: SplitMix64(state: random.next()))
  }

  mutating func run() throws -> Bool {
    try use()
    let isDone = try calm(until: clock.seconds + 330)
    try town.stopAll()
    for resident in town.all { complaints += resident.ownEnds }
    for speaker in speakers { complaints += speaker.heardWrongly.prefix(10) }
    let verdict = Verdict(ledger, in: town, hasOthers: true)
    let isFlat = report(verdict)
    return isFlat && isDone && verdict.isGood && complaints.isEmpty
  }

  private var ledger: Ledger {
    var all = Ledger()
    for speaker in speakers { all.merge(speaker.ledger) }
    return all
  }

  // MARK: Use

  private mutating func use() throws {
    let pause = min(60, max(1, seconds / 60))
    var (nextSample, nextRestart) = (0.0, seconds / 12)
    while clock.seconds < seconds {
      try turn(perSecond: perSecond)
      crowd.turn(clock.seconds, perSecond: perSecond)
      if clock.seconds >= nextSample {
        sample()
        nextSample += pause
      }
      if clock.seconds >= nextRestart {
        try restart()
        nextRestart += seconds / 12
      }
      if Interruption.hasCome() { return clock.say("interrupted") }
    }
  }

  private mutating func restart() throws {
    restarts += 1
    // Later on it is to be seen whether the server stays as it is.
    let isServers = restarts <= 4 && restarts.isMultiple(of: 2)
    guard let resident = isServers ? town.server : town.nodes.last else { return }
    try resident.stop()
    try resident.start()
  }

  private mutating func turn(perSecond: Double?) throws {
    for resident in town.all {
      try resident.look()
      if !resident.isRunning { try resident.start() }
    }
    for (speaker, node) in zip(speakers, town.nodes) {
      speaker.turn(
        perSecond: perSecond.map { $0 / Double(speakers.count) }, isRunning: node.isRunning)
    }
    var entries = speakers.compactMap(\.descriptor).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    poll(&entries, nfds_t(entries.count), 5)
  }

  private mutating func calm(until end: Double) throws -> Bool {
    let reason = try Calm.wait(town, speakers, clock, until: end, hasOthers: true) {
      try turn(perSecond: nil)
    }
    if let reason { complaints.append(reason) }
    return reason == nil
  }

  // MARK: What is measured

  private mutating func sample() {
    var words: [String] = []
    for resident in town.all {
      guard let process = resident.process else { continue }
      if lives.last(where: { $0.name == resident.name })?.process != process {
        lives.append(Life(name: resident.name, process: process))
      }
      guard let index = lives.firstIndex(where: { $0.process == process }),
        let sample = lives[index].take(at: clock.seconds)
      else { continue }
      words.append(
        "\(resident.name) \(mebibytes(Double(sample.kibibytes))) MiB \(sample.descriptors) fd")
    }
    clock.say(words.joined(separator: " | "))
  }

  private func mebibytes(_ kibibytes: Double) -> String {
    String(format: "%.1f", kibibytes / 1_024)
  }

  // MARK: What is told

  /// False: something was not flat.
  private func report(_ verdict: Verdict) -> Bool {
    let ledger = ledger
    var rows = crowd.counts.sorted { $0.key < $1.key }.map { ("\($0.key)", "\($0.value)") }
    rows.append(("messages of nodes, accepted", "\(ledger.count(.accepted))"))
    rows.append(("delivered to nodes", "\(verdict.delivered)"))
    rows.append(("lost", "\(verdict.lost)"))
    rows.append(("twice", "\(verdict.twice)"))
    rows.append(("out of order", "\(verdict.outOfOrder)"))
    rows.append(("restarts in order", "\(restarts)"))
    print(table(rows))
    for (refusal, count) in crowd.refusals.sorted(by: { $0.key < $1.key }).prefix(20) {
      print("refused \(count) times: \(refusal)")
    }
    print(Life.criterion)
    var isFlat = true
    for life in lives where life.seconds >= seconds / 2 {
      if life.isFlat == false { isFlat = false }
      print(words(about: life))
    }
    for text in complaints + verdict.findings { print("WRONG: \(text)") }
    return isFlat
  }

  private func words(about life: Life) -> String {
    guard let memory = life.trend(\.kibibytes), let descriptors = life.trend(\.descriptors) else {
      return "\(life.name): too short a life to tell"
    }
    let judgement =
      switch life.isFlat {
      case true?: "flat"
      case false?: "NOT FLAT"
      case nil: "too short a life to tell"
      }
    return String(
      format: "%@: %.1f MiB, %+.2f MiB in %.0f s (%+.2f MiB an hour); %.1f descriptors, %+.1f: %@",
      life.name, memory.mean / 1_024, memory.rise / 1_024, life.seconds,
      memory.perHour / 1_024, descriptors.mean, descriptors.rise,
      judgement)
  }
}
