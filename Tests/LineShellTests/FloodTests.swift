// Typing while very much arrives.

import TestSupport
import Testing

@Suite("A flood", .ownThread, .timeLimit(.minutes(20)))
struct FloodTests {
  @Test(
    "a thousand lines a second: keys are echoed at once, and the line is drawn a few times only")
  func thousand() throws {
    let stage = try ShellStage()
    let quiet = try Self.slowestKey(stage)
    let before = stage.terminal.bytes.count
    let start = ContinuousClock.now
    try stage.tell("flood 3000 1000")
    // Which line is seen depends on how many come at once.
    try stage.terminal.wait(for: "a hundred lines") { screen in
      screen.lines.contains { $0.hasPrefix("flood ") && $0.count >= "flood 100".count }
    }
    let flooded = try Self.slowestKey(stage)
    try stage.terminal.see("flood 3000")
    let screen = try stage.terminal.seeTyped("> " + Self.text + Self.text)
    #expect(
      screen.transcript == ["ready"] + (1...3_000).map { "flood \($0)" } + ["> \(Self.text * 2)"])
    let took = ContinuousClock.now - start
    // One redraw for each fiftieth of a second, and for each key two.
    let drawn = String(decoding: stage.terminal.bytes[before...], as: UTF8.self)
      .split(separator: "> ").count
    let most = Int(took / .milliseconds(20)) + 4 * Self.text.count + 20
    #expect(drawn <= most, "\(drawn) times in \(took)")
    print("The slowest of \(Self.text.count) keys: \(quiet), in a flood \(flooded)")
  }

  private static let text = "typing all the while"

  /// How long it takes at most from a key to its being seen.
  private static func slowestKey(_ stage: ShellStage) throws -> Duration {
    let start = try stage.terminal.wait(for: "the prompt") { $0.cursorLine.hasPrefix(">") }
      .cursorLine
    var typed = start == ">" ? "> " : start
    var slowest = Duration.zero
    for letter in text {
      typed.append(letter)
      let start = ContinuousClock.now
      try stage.terminal.send(String(letter))
      try stage.terminal.seeTyped(typed)
      slowest = max(slowest, ContinuousClock.now - start)
    }
    return slowest
  }
}
