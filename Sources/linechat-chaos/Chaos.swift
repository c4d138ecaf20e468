// linechat-chaos: LineChat's programs as people run them, while everything goes wrong that goes wrong in
// networks and machines, or for as long as they are in use. Each command ends with a table, and with
// exit code 1 where something was not as it is promised.

import ArgumentParser
import CommandLineSupport
import Foundation
import TestSupport

@main
struct Chaos: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linechat-chaos",
    abstract: "Run linechatd and nodes for long, under faults or in ordinary use, and check them.",
    discussion: """
      The programs are those that lie beside this one. What they write is in a directory under the \
      temporary one, which is kept where something was wrong, or with --keep. SIGINT ends a run in \
      order, with the table of what was seen so far; a second one at once.
      """,
    subcommands: [Faults.self, Soak.self])

  static func main() {
    // Before any other thread is there: each takes this over.
    Signals.block()
    main(nil)
  }
}

/// What both commands have.
struct TownOptions: ParsableArguments {
  @Flag(help: "Keep the directory, also where nothing was wrong.")
  var keep = false
}

/// SIGINT and SIGTERM are looked for where there is time for them; nothing runs in a handler.
enum Interruption {
  /// Whether one has come since the last time.
  static func hasCome() -> Bool {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    var atOnce = timespec()
    return sigtimedwait(&set, nil, &atOnce) > 0
  }
}

/// Seconds since the program started, and what is written about them.
struct Clock {
  private let start = Deadline.now

  var seconds: Double { Double(Deadline.now - start) / 1e9 }

  /// A line that is there at once, also in a pipe.
  func say(_ text: String) {
    print(String(format: "%6.0f s  ", seconds) + text)
    fflush(nil)
  }
}

/// Numbers by what they count, as a table of two columns.
func table(_ rows: [(String, String)]) -> String {
  let widths = (rows.map(\.0.count).max() ?? 0, rows.map(\.1.count).max() ?? 0)
  return rows.map { name, value in
    name + String(repeating: " ", count: widths.0 - name.count + 2 + widths.1 - value.count) + value
  }.joined(separator: "\n")
}
