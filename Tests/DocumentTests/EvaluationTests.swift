// The page of the evaluation: what it shows is made by its script, and is there when anything of it is.

import Foundation
import TestSupport
import Testing

@Suite("The evaluation", .ownThread, .timeLimit(.minutes(20)))
struct EvaluationTests {
  private static let folder = "examples/evaluation"
  private static let page = "\(folder)/README.md"

  private static func names(in folder: String) throws -> Set<String> {
    Set(try FileManager.default.contentsOfDirectory(atPath: "\(Repository.root)/\(folder)"))
  }

  /// What the page links to, and shows, among the results: `idle.md`, `idle.svg`.
  private static func shown() throws -> Set<String> {
    Set(
      try Repository.text(of: page).matches(of: #/\]\(results/([^)\s]+)\)/#)
        .map { String($0.output.1) })
  }

  /// What the script says of its scenarios, by their names.
  private static func scenarios() throws -> Set<String> {
    let script = try Repository.text(of: "\(folder)/run.sh")
    let list = try #require(script.firstMatch(of: #/\nall='([a-z ]+)'\n/#))
    return Set(list.output.1.split(separator: " ").map(String.init))
  }

  @Test("the page has every plot that is drawn and every table that is written, and no other")
  func page() throws {
    let plots = try Self.names(in: "\(Self.folder)/plots").subtracting(["style.gp"])
    let tables = try Self.scenarios().union(["machine", "ratios"])
    #expect(
      try Self.shown().sorted()
        == (plots.map { $0.replacing(".gp", with: ".svg") } + tables.map { "\($0).md" }).sorted())
  }

  @Test("a plot's first line says which files it is drawn of, and a scenario writes each")
  func plots() throws {
    let scenarios = try Self.scenarios()
    for name in try Self.names(in: "\(Self.folder)/plots") where name != "style.gp" {
      let script = try Repository.text(of: "\(Self.folder)/plots/\(name)")
      let line = try #require(script.split(separator: "\n").first)
      let sources = try #require(line.firstMatch(of: #/^# Of ((?:[a-z\-]+\.csv ?)+)$/#), "\(name)")
      for source in sources.output.1.split(separator: " ") {
        let scenario = source.replacing(".csv", with: "").replacing("-delays", with: "")
        #expect(scenarios.contains(String(scenario)), "\(name): \(source)")
        #expect(script.contains("file(\"\(source.replacing(".csv", with: ""))\")"), "\(name)")
      }
    }
  }

  /// A fresh tree may have none of it, but never a part.
  @Test("the results in the tree are whole")
  func results() throws {
    guard Repository.has("\(Repository.root)/\(Self.folder)/results") else { return }
    let there = try Self.names(in: "\(Self.folder)/results")
    #expect(try Self.shown().subtracting(there).isEmpty)
    for name in there {
      let text = try Repository.text(of: "\(Self.folder)/results/\(name)")
      switch name.split(separator: ".").last {
      case "svg": #expect(text.contains("<svg") && text.contains("</svg>"), "\(name)")
      case "md": #expect(text.hasPrefix("| ") && text.contains("|---"), "\(name)")
      case "csv": #expect(text.split(separator: "\n").count > 1, "\(name)")
      default: Issue.record("what is \(name)?")
      }
    }
  }

  @Test("links lead somewhere, but for results that are not there yet")
  func links() throws {
    for match in try Repository.text(of: Self.page).matches(of: #/\]\(([^)\s]+)\)/#) {
      let link = match.output.1
      guard !link.hasPrefix("results/"), !link.contains("://") else { continue }
      #expect(Repository.has("\(Repository.root)/\(Self.folder)/\(link)"), "\(link)")
    }
  }

  @Test("the script tells its scenarios, and what is wrong with a call")
  func calls() async throws {
    let script = "\(Repository.root)/\(Self.folder)/run.sh"
    let help = try await run([script, "--help"])
    #expect(help.exitCode == 0, "\(help.errors)")
    for scenario in try Self.scenarios() {
      #expect(help.output.contains("\n  \(scenario) "), "\(scenario)")
    }
    for (words, complaint) in [
      (["everything"], "there is no scenario everything"),
      (["--slow"], "there is no option --slow"),
      (["--results"], "--results takes a directory"),
    ] {
      let finished = try await run([script] + words)
      #expect(finished.exitCode == 1)
      #expect(finished.errors.contains(complaint), "\(finished.errors)")
    }
  }
}
