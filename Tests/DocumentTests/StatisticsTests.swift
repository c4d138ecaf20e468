// The script that counts the tests, on a run that is written down here.

import Foundation
import TestSupport
import Testing

@Suite("The statistics of the tests", .ownThread, .timeLimit(.minutes(20)))
struct StatisticsTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func event(_ kind: String, _ test: String, _ symbol: String = "pass") -> String {
    // A test's name may hold anything.
    let text = #"Test \"\"kind\":\"testEnded\",\"testID\":\"Odd.Suite/f()/F.swift:1:1\"\" passed"#
    return #"{"kind":"event","payload":{"kind":"\#(kind)","messages":[{"symbol":"\#(symbol)","#
      + #""text":"\#(text)"}],"testID":"\#(test)"},"version":0}"#
  }

  private func statistics(_ events: [String]) async throws -> Finished {
    let file = "\(directory.path)/events"
    try events.map { "\($0)\n" }.joined().write(toFile: file, atomically: true, encoding: .utf8)
    return try await run(["\(Repository.root)/Tests/statistics.sh", file])
  }

  @Test("counts by target, and tells what was mended from what passed at once")
  func counts() async throws {
    let table = #"BTests.Small\/table(of:)\/S.swift:9:4"#
    let finished = try await statistics([
      event("testCaseEnded", table), event("testCaseEnded", table), event("testCaseEnded", table),
      event("testEnded", table), event("testEnded", #"BTests.Small\/one()\/S.swift:20:4"#),
      event("testEnded", "BTests.Small"),
      event("testEnded", #"ATests.FindingTests\/found()\/FindingTests.swift:9:4"#),
      event("testEnded", #"ATests.Other\/findingNothing()\/Other.swift:9:4"#),
      event("testEnded", #"ATests.Outer\/Inner\/deep()\/Other.swift:30:4"#),
    ])
    #expect(
      finished.output == """
        | target | tests | cases | passed at once | passed after a fix | passed in total |
        |---|---:|---:|---:|---:|---:|
        | ATests | 3 | 3 | 2 | 1 | 3 |
        | BTests | 2 | 4 | 4 | 0 | 4 |
        | all | 5 | 7 | 6 | 1 | 7 |

        """)
    #expect(finished.exitCode == 0, "\(finished.errors)")
  }

  @Test("what fails is not counted as passed, and is its exit code")
  func failures() async throws {
    let table = #"BTests.Small\/table(of:)\/S.swift:9:4"#
    let finished = try await statistics([
      event("testCaseEnded", table), event("testCaseEnded", table),
      event("testEnded", table, "fail"),
      event("testEnded", #"BTests.FindingTests\/found()\/FindingTests.swift:9:4"#),
      event("testSkipped", #"BTests.Small\/later()\/S.swift:20:4"#),
    ])
    #expect(
      finished.output.hasSuffix(
        "| BTests | 2 | 3 | 0 | 1 | 1 |\n| all | 2 | 3 | 0 | 1 | 1 |\n\nTests skipped: 1.\n"))
    #expect(finished.exitCode == 1)
    #expect(try await statistics([]).exitCode == 1)
    let missing = try await run(["\(Repository.root)/Tests/statistics.sh", "/nowhere/events"])
    #expect(missing.exitCode == 2)
    #expect(missing.errors.contains("there is no /nowhere/events"))
  }

  @Test("without a file it runs the tests, and leaves nothing of that")
  func runsTests() async throws {
    // A swift that says what it was asked for, and passes one test.
    let words = "test --event-stream-version 0 --event-stream-output-path"
    let passed = event("testEnded", #"ATests.Small\/one()\/S.swift:20:4"#)
    let script = """
      #!/bin/sh
      [ "${*% *}" = "\(words)" ] || exit 64
      echo 'building'
      echo '\(passed)' >"$5"

      """
    // Not written by this process: another that is just being started would have the file open for
    // writing, too, and what is open for writing can't be run.
    let written = try await run(
      ["sh", "-c", #"cat >"$0" && chmod 700 "$0""#, "\(directory.path)/swift"], input: script)
    #expect(written.exitCode == 0, "\(written.errors)")
    let finished = try await run(
      ["\(Repository.root)/Tests/statistics.sh"],
      environment: ["PATH": "\(directory.path):/usr/bin:/bin", "TMPDIR": directory.path])
    #expect(finished.output.hasSuffix("| all | 1 | 1 | 1 | 0 | 1 |\n"), "\(finished.errors)")
    #expect(finished.errors == "building\n")
    #expect(finished.exitCode == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["swift"])
  }

  @Test("the README's table is one that adds up")
  func readme() throws {
    let rows = try Repository.text(of: "README.md").split(separator: "\n")
      .drop { !$0.hasPrefix("| target | tests | cases |") }.dropFirst(2)
      .prefix { $0.hasPrefix("|") }
      .map { row in
        row.split(separator: "|").dropFirst().compactMap {
          Int($0.trimmingCharacters(in: .whitespaces))
        }
      }
    let sum = try #require(rows.last)
    #expect(rows.count > 2)
    for column in 0..<5 {
      #expect(rows.dropLast().reduce(0) { $0 + $1[column] } == sum[column])
    }
    #expect(rows.allSatisfy { $0[0] > 0 && $0[1] == $0[4] && $0[2] + $0[3] == $0[4] })
  }
}
