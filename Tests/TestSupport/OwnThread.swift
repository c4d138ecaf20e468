// Tests that wait in system calls would take the few threads of Swift's pool from all others, whose
// clients then miss signs of life and whose deadlines pass. Each case of a suite with this trait runs on
// a thread of its own instead, and only so many run at a time.

import Foundation
import Synchronization
import Testing

package struct OwnThread: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Gate.only.enter()
    let executor = ThreadExecutor()
    defer {
      executor.stop()
      Gate.only.leave()
    }
    try await withTaskExecutorPreference(executor) { try await function() }
  }
}

extension Trait where Self == OwnThread {
  /// Each case has a thread of its own; some cases run at a time.
  package static var ownThread: OwnThread { OwnThread() }
}

/// Lets so many in at a time, in the order in which they came.
private final class Gate: Sendable {
  /// Most cases wait most of the time.
  static let only = Gate(width: 8)

  private struct State {
    var free: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state: Mutex<State>

  init(width: Int) { state = Mutex(State(free: width)) }

  func enter() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        guard state.free > 0 else {
          state.waiting.append(continuation)
          return false
        }
        state.free -= 1
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  func leave() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
      state.free += 1
      return nil
    }
    next?.resume()
  }
}

/// Runs its jobs one after the other on a thread of its own.
private final class ThreadExecutor: TaskExecutor {
  private let condition = NSCondition()
  private nonisolated(unsafe) var jobs: [UnownedJob] = []
  private nonisolated(unsafe) var isStopping = false

  init() { Thread.detachNewThread { [self] in run() } }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    condition.withLock {
      // What a case left behind has nobody to wait for it, and must end all the same.
      if isStopping {
        Thread.detachNewThread { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
      } else {
        jobs.append(job)
      }
      condition.signal()
    }
  }

  func stop() {
    condition.withLock {
      isStopping = true
      condition.signal()
    }
  }

  private func run() {
    while let job = next() { job.runSynchronously(on: asUnownedTaskExecutor()) }
  }

  private func next() -> UnownedJob? {
    condition.withLock {
      while jobs.isEmpty && !isStopping { condition.wait() }
      return jobs.isEmpty ? nil : jobs.removeFirst()
    }
  }
}
