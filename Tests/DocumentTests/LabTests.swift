// The exercises in examples/lab: that they are as they are written, that what checks them notices
// where they are not, and that nothing is left of it.

import Foundation
import TestSupport
import Testing

@Suite("The lab", .serialized, .ownThread, .timeLimit(.minutes(20)))
struct LabTests {
  private static let lab = "\(Repository.root)/examples/lab"
  private static let exercises = [
    "1-name-clash", "2-replica", "3-partition", "4-duplicates", "5-ordering", "6-failover",
  ]

  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  private var environment: [String: String] {
    ["LAB_PROGRAMS": Repository.programs, "TMPDIR": directory.path]
  }

  private func check(_ words: [String], limit: Int = 60) async throws -> Finished {
    var environment = environment
    environment["LAB_LIMIT"] = "\(limit)"
    return try await run(
      ["\(Self.lab)/check.sh"] + words, environment: environment, within: .seconds(300))
  }

  /// An exercise of the test's own.
  private func check(_ text: String, limit: Int = 60) async throws -> Finished {
    let file = "\(directory.path)/mine.md"
    try text.write(toFile: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: file) }
    return try await check([file], limit: limit)
  }

  /// Processes that were started with this test's folder, or work in it.
  private var processes: [String] { TestSupport.processes(with: "TMPDIR=\(directory.path)") }

  private func expectNothingIsLeft() throws {
    #expect(processes == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
  }

  @Test("is as it is written", arguments: exercises)
  func exercise(name: String) async throws {
    let finished = try await check(["\(Self.lab)/\(name).md"])
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(finished.output.hasPrefix("\(name).md: as it is written"))
    try expectNothingIsLeft()
  }

  @Test("has these exercises, all in its table")
  func table() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.lab)
      .filter { $0.hasSuffix(".md") && $0 != "README.md" }
    #expect(files.sorted() == Self.exercises.map { "\($0).md" })
    let overview = try Repository.text(of: "examples/lab/README.md")
    for name in Self.exercises {
      let text = try Repository.text(of: "examples/lab/\(name).md")
      let title = try #require(text.split(separator: "\n").first).dropFirst(2)
      #expect(overview.contains("| [\(title)](\(name).md) |"), "\(title)")
      #expect(text.contains("**Term:**") && text.contains("## Questions"))
      #expect(text.contains("<details><summary>Answers</summary>"))
    }
  }

  @Test("words that differ are the same word wherever they have the same name")
  func words() async throws {
    let finished = try await check(
      """
      Terminal **one**, the first:

      ```console
      $ echo $$ $$
      {pid} {pid}
      $ printf 'a [b] (c) * {d}\\n\\n2026-11-22T21:45:10.332757Z x, whatever it is\\n'
      a [b] (c) * {d}
      {time} x, {…} is
      $ kill -0 {pid} && seq 9
      1
      …
      5
      …
      ```

      Terminal **two**, the second:

      ```console
      $ cat
      > to {pid}
      to {pid}
      ^C
      $ rm -r "$LAB"
      ```
      """)
    #expect(finished.exitCode == 0, "\(finished.errors)")
    try expectNothingIsLeft()
  }

  @Test(
    "what is not as it is written is found",
    arguments: [
      ("$ echo one\ntwo", "shows something else"),
      ("$ echo one", "shows a line that is not written"),
      ("$ echo one\none\ntwo", "is at its prompt, and has not shown this"),
      ("$ echo 1 2\n{n} {n}", "shows something else"),
      ("$ echo today\n{time}", "shows something else"),
      ("$ echo 5470\n{…}x", "shows something else"),
      ("> one", "no program runs in terminal one to type this into"),
      ("^C", "no program runs in terminal one to be ended"),
      ("$ cat", "terminal one shows nothing more for 2 seconds"),
      ("$ true", "its folder is still there"),
    ])
  func differences(block: String, complaint: String) async throws {
    let finished = try await check(
      "Terminal **one**\n```console\n\(block)\n```\n", limit: block == "$ cat" ? 2 : 60)
    #expect(finished.exitCode == 1)
    #expect(finished.errors.contains(complaint), "\(finished.errors)")
    try expectNothingIsLeft()
  }

  @Test(
    "a text with nothing to do, or with a block of nobody, is no exercise",
    arguments: [
      ("# Nothing\n", "there is nothing to do in it"),
      ("```console\n$ true\n```\n", "which terminal is this block?"),
    ])
  func noExercise(text: String, complaint: String) async throws {
    let finished = try await check(text)
    #expect(finished.exitCode == 1)
    #expect(finished.errors.contains(complaint), "\(finished.errors)")
    try expectNothingIsLeft()
    #expect(try await check(["/nowhere/x.md"]).exitCode == 2)
  }

  @Test(
    "who ends the check ends all that it started", arguments: [SIGTERM, SIGINT], [false, true])
  func ended(signal: Int32, isForAll: Bool) throws {
    let file = "\(directory.path)/mine.md"
    let block = "$ linechatd\n…\nthis never comes\n"
    try "Terminal **one**\n```console\n\(block)```\n"
      .write(toFile: file, atomically: true, encoding: .utf8)
    let child = try Child(["\(Self.lab)/check.sh", file], environment: environment)
    try eventually(within: 60, "the server runs") {
      processes.contains { process in
        let words = FileManager.default.contents(atPath: "/proc/\(process)/cmdline")
        return words.map { String(decoding: $0, as: UTF8.self).hasPrefix("linechatd\0") } ?? false
      }
    }
    // A terminal and timeout(1) signal the whole group.
    kill(isForAll ? -child.process : child.process, signal)
    #expect(try child.finish(within: .seconds(60)) == 128 + signal)
    try FileManager.default.removeItem(atPath: file)
    try expectNothingIsLeft()
  }

  @Test("a terminal is entered from the top of the repository, for an exercise that there is")
  func enter() async throws {
    func enter(_ words: String, in folder: String, shell: String = "bash") async throws -> Finished
    {
      var settings = environment
      settings["LAB_FOLDER"] = "\(directory.path)/lab"
      settings["LINECHAT_NAME"] = "nobody"
      return try await run(
        [shell, "-c", "cd '\(folder)' && . '\(Self.lab)/enter.sh' \(words)"],
        environment: settings)
    }
    let root = Repository.root
    for wrong in ["", "7", "x"] {
      let finished = try await enter(wrong, in: root)
      #expect(finished.exitCode != 0)
      #expect(finished.errors.hasPrefix("which exercise?"), "\(wrong): \(finished.errors)")
    }
    #expect(try await enter("3", in: "/").errors.hasPrefix("go to the top of the repository"))
    let entered = try await enter(
      "3 && pwd && echo $LINECHAT_SERVER ${LINECHAT_NAME-none} && command -v linechatd", in: root)
    #expect(
      entered.lines == [
        "\(directory.path)/lab/3", "127.0.0.1:5470 none", "\(Repository.programs)/linechatd", "",
      ], "\(entered.errors)")
  }
}
