// `linechat-chaos` as it is started for an hour, for some seconds: that it runs, that what it checks holds,
// and that it finds what is wrong.

import Foundation
import TestSupport
import Testing

@Suite("linechat-chaos", .ownThread, .timeLimit(.minutes(20)))
struct ChaosTests {
  /// How it ended, and its table: `lost 0`.
  private struct Outcome {
    let exitCode: Int32
    let text: String

    func count(_ name: String) throws -> Int {
      for line in text.split(separator: "\n") where line.hasPrefix("\(name) ") {
        let rest = line.dropFirst(name.count).drop { $0 == " " }
        if let number = Int(rest) { return number }
      }
      throw TestFailure("there is no '\(name)' in:\n\(text)")
    }
  }

  /// `interrupting`: it is told to end by SIGINT when it has said this.
  private static func run(
    _ arguments: [String], interrupting text: String? = nil
  ) throws -> Outcome {
    // What is kept of a run that fails goes with it.
    let directory = try TemporaryDirectory()
    let program = try Program(
      "linechat-chaos", arguments,
      environment: ["TMPDIR": directory.path, "PATH": "/usr/local/bin:/usr/bin:/bin"])
    if let text {
      try program.child.line(of: .output, containing: text, within: .seconds(120))
      program.child.signal(SIGINT)
    }
    let code = try program.child.finish(within: .seconds(600))
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(left.isEmpty == (code != 1), "kept: \(left)")
    return Outcome(
      exitCode: code, text: program.child.text(of: .output) + program.child.text(of: .errors))
  }

  private static let short = ["faults", "--nodes", "3", "--messages-per-second", "60"]

  @Test("nothing is lost, twice or out of order under faults and kills")
  func faults() throws {
    let outcome = try Self.run(Self.short + ["--minutes", "0.33", "--seed", "1"])
    #expect(outcome.exitCode == 0, "\(outcome.text)")
    // A busy machine gets less said.
    #expect(try outcome.count("accepted") > 50, "\(outcome.text)")
    #expect(try outcome.count("delivered") > 50)
    for wrong in ["lost", "twice", "out of order", "nobody has said it", "refused"] {
      #expect(try outcome.count(wrong) == 0, "\(outcome.text)")
    }
    #expect(try outcome.count("kills of nodes") > 0)
    #expect(try outcome.count("kills of the server") > 0)
  }

  @Test(
    "what is wrong in a log is found",
    arguments: [
      ("lose", "lost"), ("repeat", "twice"), ("swap", "out of order"),
      ("invent", "nobody has said it"),
    ])
  func sabotage(fault: String, name: String) throws {
    let outcome = try Self.run(Self.short + ["--minutes", "0.1", "--sabotage", fault])
    #expect(outcome.exitCode == 1)
    #expect(try outcome.count(name) == 1, "\(outcome.text)")
    #expect(outcome.text.contains("WRONG: alice "))
    #expect(outcome.text.contains("the logs and what was written are in "))
  }

  @Test("without faults nobody is killed; the figures of several runs are lines of one file")
  func calm() throws {
    let directory = try TemporaryDirectory()
    let file = "\(directory.path)/figures.csv"
    for _ in 0..<2 {
      let outcome = try Self.run(Self.short + ["--minutes", "0.05", "--pace", "0", "--csv", file])
      #expect(outcome.exitCode == 0, "\(outcome.text)")
      for none in ["lost", "kills of nodes", "kills of the server", "resets", "stalls"] {
        #expect(try outcome.count(none) == 0, "\(outcome.text)")
      }
    }
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
      .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    #expect(lines.count == 3)
    #expect(lines.allSatisfy { $0.count == lines[0].count })
    let delivered = try #require(lines[0].firstIndex(of: "delivered"))
    #expect(lines[0].starts(with: ["pace", "minutes", "seed", "said", "accepted"]))
    for line in lines.dropFirst() {
      #expect(line[0] == "0.0")
      #expect(Int(line[delivered]) ?? 0 > 0, "\(line)")
    }
  }

  @Test("SIGINT ends it in order, with the table of what was seen so far")
  func interruption() throws {
    let outcome = try Self.run(Self.short + ["--minutes", "30"], interrupting: "accepted ")
    #expect(outcome.exitCode == 0, "\(outcome.text)")
    #expect(outcome.text.contains("interrupted"))
    #expect(try outcome.count("lost") == 0)
  }

  @Test("ordinary use goes on over restarts, and what it takes is told")
  func soak() throws {
    let outcome = try Self.run(["soak", "--minutes", "0.25", "--seed", "1"])
    #expect(outcome.exitCode == 0, "\(outcome.text)")
    for used in ["messages", "messages of nodes, accepted", "joins", "restarts in order"] {
      #expect(try outcome.count(used) > 0, "\(outcome.text)")
    }
    #expect(try outcome.count("lost") == 0)
    #expect(outcome.text.contains("linechatd "))
    #expect(outcome.text.contains("too short a life to tell"))
  }

  @Test(
    "wrong options are refused, and what is right is said",
    arguments: [
      (["faults", "--nodes", "9"], "--nodes is from 2 to 8"),
      (["faults", "--minutes", "0"], "--minutes is above 0"),
      (["faults", "--pace", "21"], "--pace is 0, or from 0.05 to 20"),
      (["faults", "--messages-per-second", "0"], "--messages-per-second is above 0"),
      (["soak", "--people", "0"], "--people is from 1 to 1000"), (["storm"], "storm"),
    ])
  func wrongOptions(arguments: [String], reason: String) throws {
    let outcome = try Self.run(arguments)
    #expect(outcome.exitCode == EX_USAGE)
    #expect(outcome.text.contains(reason), "\(outcome.text)")
  }
}
