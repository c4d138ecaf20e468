// A program of this package as a process of its own, as people start it. All that it gets of this
// process's environment is what is given.

import Foundation
import LineChat

package final class Program {
  package let child: Child

  /// `name` is a product of this package; it lies beside the tests' own binary.
  package init(
    _ name: String, _ arguments: [String], environment: [String: String] = [:],
    by starter: [String] = []
  ) throws {
    let words = environment.map { "\($0.key)=\($0.value)" }.sorted()
    child = try Child(["env", "-i"] + words + starter + [try Program.path(of: name)] + arguments)
  }

  package static func path(of name: String) throws -> String {
    let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent(name).path
    guard access(path, X_OK) == 0 else { throw TestFailure("there is no \(path)") }
    return path
  }

  /// `linechat node` with its profiles in a directory of the test's own.
  package static func node(
    _ arguments: [String], in directory: TemporaryDirectory, environment: [String: String] = [:]
  ) throws -> Program {
    var environment = environment
    environment["XDG_STATE_HOME"] = directory.path
    return try Program("linechat", ["node"] + arguments, environment: environment)
  }

  /// The first line of its log, from here on, that contains the text.
  @discardableResult
  package func says(_ text: String) throws -> String {
    try child.line(of: .errors, containing: text)
  }

  /// Ends it as an operator does; gives its exit code.
  package func stop(_ signal: Int32 = SIGTERM) throws -> Int32 {
    child.signal(signal)
    return try child.finish(within: .seconds(20))
  }
}
