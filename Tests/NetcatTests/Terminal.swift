// A terminal in which a program runs and a person types: tmux in its control mode, which tells on a
// pipe whenever something appears on the screen. So a test waits for what it wants to see, and
// looks again each time something changed; it never waits by the clock.

import Foundation
import TestSupport

final class Terminal {
  private let tmux: Child
  private let folder: URL

  /// A terminal of 100 columns and 40 lines that runs a command.
  init(_ command: String) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "linechat-terminal-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // The shell waits for a word, so that the terminal has its size before anything is shown.
    tmux = try Child(
      [
        "tmux", "-u", "-S", folder.appendingPathComponent("socket").path, "-f", "/dev/null", "-C",
        "new-session", "read -r start && exec \(command)",
      ],
      environment: ["LC_ALL": "C.UTF-8", "TERM": "screen", "TMUX": "", "SHELL": "/bin/sh"])
    // Before that, tmux knows of no client that could be told anything.
    try tmux.line(of: .output, containing: "%session-changed")
    // If this process dies, the terminal goes too.
    _ = try ask("set-option -g exit-unattached on")
    _ = try ask("refresh-client -C 100x40")
    _ = try ask("send-keys Enter")
  }

  deinit {
    _ = try? ask("kill-server")
    _ = try? tmux.finish()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Types a line and Enter.
  func type(_ line: String) throws {
    precondition(!line.contains("'"), "the text stands in single quotes")
    _ = try ask("send-keys -l -- '\(line)'")
    _ = try ask("send-keys Enter")
  }

  /// Presses a key by tmux's name for it, such as C-c.
  func press(_ key: String) throws { _ = try ask("send-keys \(key)") }

  /// The lines on the screen, without the empty ones.
  func screen() throws -> [String] {
    try ask("capture-pane -p").filter { !$0.isEmpty }
  }

  /// Waits until a line is on the screen, and gives the screen.
  @discardableResult
  func see(_ line: String) throws -> [String] { try see("'\(line)'") { $0 == line } }

  /// Waits until a line that begins so is on the screen, and gives the screen.
  @discardableResult
  func see(startingWith start: String) throws -> [String] {
    try see("'\(start)…'") { $0.hasPrefix(start) }
  }

  private func see(
    _ what: String, within limit: Duration = .seconds(20), _ isIt: (String) -> Bool
  ) throws -> [String] {
    let deadline = ContinuousClock.now + limit
    while true {
      let lines = try screen()
      if lines.contains(where: isIt) { return lines }
      // Something new has to appear before it is worth another look.
      while true {
        let left = deadline - ContinuousClock.now
        guard left > .zero, let event = try? tmux.line(of: .output, within: left) else {
          throw TestFailure(
            "\(what) should be on the screen, which is:\n"
              + lines.joined(separator: "\n"))
        }
        if event.hasPrefix("%output") || event.hasPrefix("%exit") { break }
      }
    }
  }

  /// Gives tmux a command and reads its answer: the lines between `%begin` and `%end`.
  private func ask(_ command: String) throws -> [String] {
    try tmux.write(command + "\n")
    var answer: [String]?
    while let line = try tmux.line(of: .output) {
      if line.hasPrefix("%begin "), line.hasSuffix(" 1") {
        answer = []
      } else if line.hasPrefix("%end "), let answer {
        return answer
      } else if line.hasPrefix("%error "), let answer {
        throw TestFailure("tmux: \(command): \(answer.joined(separator: " "))")
      } else if line.hasPrefix("%exit") {
        break
      } else if answer != nil {
        answer?.append(line)
      }
    }
    throw TestFailure("tmux ended at '\(command)'")
  }
}
