// `linechat-chaos faults`: people speak through nodes, in groups and alone, while links are delayed,
// stalled, silent in one direction and reset, and processes are killed. Then everything heals, and each
// node must hold what it was sent, once and in order.

import ArgumentParser
import Foundation
import LineChatCore
import TestSupport

struct Faults: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Nodes behind a bad network, killed at random: nothing lost, twice or out of order.",
    discussion: """
      Each node says a part of the messages, to two groups and to each other one alone, and is reached \
      by the server and the others through proxies that do what networks do; with four nodes or more the \
      last one is reached through the server alone. A message counts as \
      accepted when its node has answered OK. When the time is over everything heals; then each \
      accepted message must be in the log of each of those it is for, once, and in its sender's order. \
      A message whose node was killed before it answered may be there, once.
      """)

  @Option(help: "How long things go wrong.")
  var minutes = 10.0

  @Option(help: "What is drawn: when what goes wrong, and who says what. (default: by lot)")
  var seed: UInt64?

  @Option(help: "How many nodes, 2 to 8.")
  var nodes = 4

  @Option(help: "How many messages are said in a second, by all nodes together, up to 2000.")
  var messagesPerSecond = 150.0

  @Option(
    help: "How many times as often as usually something goes wrong, up to 20; 0: nothing does.")
  var pace = 1.0

  @Option(
    help: "Also add the figures as a line to this CSV file, which is made where there is none.")
  var csv: String?

  @Option(help: "How many seconds everything may take to arrive when nothing is wrong any more.")
  var patience = 330.0

  @Option(help: "A fault to put into a log at the end, to see it found: \(faults).")
  var sabotage: Sabotage?

  @OptionGroup var options: TownOptions

  private static let faults = Sabotage.allCases.map(\.rawValue).joined(separator: ", ")

  func validate() throws {
    guard minutes > 0, minutes <= 10_080 else {
      throw ValidationError("--minutes is above 0 and at most 10080, a week")
    }
    guard (2...Town.names.count).contains(nodes) else {
      throw ValidationError("--nodes is from 2 to \(Town.names.count)")
    }
    guard messagesPerSecond > 0, messagesPerSecond <= 2_000 else {
      throw ValidationError("--messages-per-second is above 0 and at most 2000")
    }
    guard pace == 0 || (0.05...20) ~= pace else {
      throw ValidationError("--pace is 0, or from 0.05 to 20")
    }
    guard patience > 0, patience <= 86_400 else {
      throw ValidationError("--patience is above 0 and at most 86400")
    }
  }

  private func addLine(to file: String, _ figures: [(name: String, value: String)]) throws {
    func line(_ cells: [String]) -> Data {
      Data((cells.map { $0.replacing(",", with: "") }.joined(separator: ",") + "\n").utf8)
    }
    if !FileManager.default.fileExists(atPath: file) {
      try line(figures.map(\.name)).write(to: URL(fileURLWithPath: file))
    }
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
    try handle.seekToEnd()
    try handle.write(contentsOf: line(figures.map(\.value)))
    try handle.close()
  }

  func run() throws {
    let seed = seed ?? .random(in: 1...UInt64(UInt32.max))
    try Town.visit(nodes: nodes, hasProxies: true, seed: seed, options) { town in
      var run = FaultRun(
        town, seed: seed, seconds: minutes * 60, pace: pace, perSecond: messagesPerSecond)
      let isGood = try run.run(patience: patience, sabotage)
      if let csv {
        try addLine(
          to: csv,
          [("pace", "\(pace)"), ("minutes", "\(minutes)"), ("seed", "\(seed)")] + run.figures)
      }
      return isGood
    }
  }
}

private struct FaultRun {
  private let town: Town
  private let speakers: [Speaker]
  private var weather: Weather
  private let seconds: Double
  private let perSecond: Double
  private let clock = Clock()
  private var complaints: [String] = []
  /// What was counted, when it is over.
  private(set) var figures: [(name: String, value: String)] = []

  init(_ town: Town, seed: UInt64, seconds: Double, pace: Double, perSecond: Double) {
    self.town = town
    self.seconds = seconds
    self.perSecond = perSecond / Double(town.nodes.count)
    var random = SplitMix64(state: seed)
    speakers = town.nodes.map { node in
      Speaker(node.name, in: town, random: SplitMix64(state: random.next()))
    }
    weather = Weather(
      over: town, for: seconds, pace: pace, random: SplitMix64(state: random.next()))
  }

  mutating func run(patience: Double, _ sabotage: Sabotage?) throws -> Bool {
    try storm()
    let healed = clock.seconds
    try weather.clear()
    clock.say("everything heals; \(progress)")
    let isDone = try calm(until: healed + patience)
    let took = clock.seconds - healed
    try town.stopAll()
    for resident in town.all { complaints += resident.ownEnds }
    for speaker in speakers { complaints += speaker.heardWrongly.prefix(10) }
    try sabotage?.apply(to: town, ledger)
    let verdict = Verdict(ledger, in: town)
    report(verdict, isDone ? String(format: "%.1f", took) : "not in time")
    return verdict.isGood && complaints.isEmpty && isDone
  }

  private var ledger: Ledger {
    var all = Ledger()
    for speaker in speakers { all.merge(speaker.ledger) }
    return all
  }

  // MARK: The two parts

  private mutating func storm() throws {
    var nextWord = 0.0
    while clock.seconds < seconds {
      try weather.turn(clock.seconds)
      try turn(perSecond: perSecond)
      if clock.seconds >= nextWord {
        clock.say(progress)
        nextWord += max(2, min(30, seconds / 20))
      }
      if Interruption.hasCome() { return clock.say("interrupted") }
    }
  }

  private mutating func calm(until end: Double) throws -> Bool {
    let reason = try Calm.wait(town, speakers, clock, until: end) { try turn(perSecond: nil) }
    if let reason { complaints.append(reason) }
    return reason == nil
  }

  private mutating func turn(perSecond: Double?) throws {
    for resident in town.all {
      try resident.look()
      // Whoever was not killed is to be there; that it was not is told at the end.
      if !resident.isRunning, perSecond == nil { try resident.start() }
    }
    for (speaker, node) in zip(speakers, town.nodes) {
      speaker.turn(perSecond: perSecond, isRunning: node.isRunning)
    }
    var entries = speakers.compactMap(\.descriptor).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    poll(&entries, nfds_t(entries.count), 5)
  }

  // MARK: What is told

  private var progress: String {
    let ledger = ledger
    return "said \(ledger.said), accepted \(ledger.count(.accepted)), killed: nodes "
      + "\(weather.nodeKills), server \(weather.serverKills); faults of links "
      + "\(weather.faults.values.reduce(0, +))"
  }

  private mutating func report(_ verdict: Verdict, _ took: String) {
    let ledger = ledger
    var rows: [(name: String, value: String)] = []
    func row(_ name: String, _ count: Int) { rows.append((name: name, value: "\(count)")) }
    row("said", ledger.said)
    row("accepted", ledger.count(.accepted))
    row("without an answer, as the node was killed", ledger.count(.unknown) + ledger.count(.asked))
    row("refused", ledger.count(.refused))
    row("reported as failed", ledger.count(.failed))
    row("delivered", verdict.delivered)
    row("delivered of those without an answer", verdict.unknownDelivered)
    row("heard at once by people at nodes", speakers.reduce(0) { $0 + $1.heardCount })
    row("heard twice or out of order there", speakers.reduce(0) { $0 + $1.heardWrongly.count })
    row("lost", verdict.lost)
    row("twice", verdict.twice)
    row("out of order", verdict.outOfOrder)
    row("nobody has said it", verdict.wrong)
    row("times that do not rise", verdict.timesWrong)
    row("kills of nodes", weather.nodeKills)
    row("kills of the server", weather.serverKills)
    for fault in Weather.Fault.allCases { row(fault.name, weather.faults[fault] ?? 0) }
    row("connections through the proxies", weather.connections)
    rows.append((name: "seconds until all had arrived", value: took))
    figures = rows
    print(table(rows.map { ($0.name, $0.value) }))
    for (refusal, count) in ledger.refusals.sorted(by: { $0.key < $1.key }).prefix(20) {
      print("refused \(count) times: \(refusal)")
    }
    for text in complaints + verdict.findings { print("WRONG: \(text)") }
  }
}
