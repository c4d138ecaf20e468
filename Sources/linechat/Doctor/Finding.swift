// What the doctor says: one finding for each thing that was looked at, for people as a line with what to
// do under it, for programs as JSON.

import CommandLineSupport
import Glibc
import LineChat

struct Finding: Encodable {
  enum State: String, Encodable {
    case ok, note, wrong
  }

  /// What was looked at: `server`, `port`, or a group's name.
  let check: String
  let state: State
  let text: String
  /// What to do.
  var advice: String?
}

/// What was found, told as it comes, or all at once.
final class Report: Encodable {
  private let writesJSON: Bool
  private(set) var findings: [Finding] = []

  init(writesJSON: Bool) { self.writesJSON = writesJSON }

  var isWell: Bool { !findings.contains { $0.state == .wrong } }

  func add(_ check: String, _ state: Finding.State, _ text: String, advice: String? = nil) {
    let finding = Finding(check: check, state: state, text: text, advice: advice)
    findings.append(finding)
    guard !writesJSON else { return }
    // Texts of others are in it.
    let mark = state.rawValue.padded(to: 5)
    var lines = ["\(mark)  \(check.padded(to: 8))  \(escaped(text, doublesBackslash: false))"]
    if let advice {
      lines.append("\("".padded(to: 17))\(escaped(advice, doublesBackslash: false))")
    }
    write(lines)
  }

  func finish() throws {
    if writesJSON {
      return write([String(decoding: try StateCoding.encode(self), as: UTF8.self)])
    }
    let count = findings.count { $0.state == .wrong }
    switch count {
    case 0: write(["all is well"])
    case 1: write(["one thing is wrong"])
    default: write(["\(count) things are wrong"])
    }
  }

  private func write(_ lines: [String]) {
    var rest = Array(lines.map { $0 + "\n" }.joined().utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      // Whoever read it has gone; the exit code is still told.
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  private enum CodingKeys: String, CodingKey { case well, checks }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(isWell, forKey: .well)
    try container.encode(findings, forKey: .checks)
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: Swift.max(0, width - count))
  }
}
