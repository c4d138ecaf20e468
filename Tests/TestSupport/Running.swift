// Programs that run to their end while a test does something else: each on a thread of its own, so
// that the test's own waiting takes none away from them.

import Foundation
import Synchronization

/// What a program that has ended left behind.
package struct Finished: Sendable {
  package let exitCode: Child.ExitCode
  package let output: String
  package let errors: String

  package init(exitCode: Child.ExitCode, output: String, errors: String) {
    (self.exitCode, self.output, self.errors) = (exitCode, output, errors)
  }

  package var lines: [String] {
    output.split(omittingEmptySubsequences: false) { $0.isNewline }.map(String.init)
  }
}

/// A program under way.
package final class Running: Sendable {
  private enum State {
    case running(CheckedContinuation<Finished, any Error>?)
    case ended(Result<Finished, any Error>)
  }

  private let state = Mutex(State.running(nil))

  /// Starts a program. `input` is written to it, and its input closed, unless `keepsInputOpen`:
  /// then it sees no end of its input.
  package init(
    _ command: [String], input: String = "", keepsInputOpen: Bool = false,
    environment: [String: String] = [:], within limit: Duration = .seconds(60)
  ) {
    Thread.detachNewThread { [self] in
      end(
        with: Result {
          let child = try Child(command, environment: environment)
          try child.write(input, within: limit)
          if !keepsInputOpen { child.closeInput() }
          let exitCode = try child.finish(within: limit)
          return Finished(
            exitCode: exitCode, output: child.text(of: .output), errors: child.text(of: .errors))
        })
    }
  }

  private func end(with result: Result<Finished, any Error>) {
    let waiting = state.withLock { state in
      defer { state = .ended(result) }
      if case .running(let waiting) = state { return waiting }
      return nil
    }
    waiting?.resume(with: result)
  }

  package var hasEnded: Bool {
    state.withLock { if case .ended = $0 { true } else { false } }
  }

  /// Waits for its end. To be asked once.
  package var finished: Finished {
    get async throws {
      try await withCheckedThrowingContinuation { continuation in
        let result = state.withLock { state -> Result<Finished, any Error>? in
          if case .ended(let result) = state { return result }
          state = .running(continuation)
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    }
  }
}

/// Runs a program to its end.
package func run(
  _ command: [String], input: String = "", environment: [String: String] = [:],
  within limit: Duration = .seconds(60)
) async throws -> Finished {
  try await Running(command, input: input, environment: environment, within: limit).finished
}
