// From a call that is answered by a closure, on whatever thread, to a task that waits for it; and what
// that means where the task is cancelled.

import Synchronization

/// A call that a task waits for. It is answered once: by the node, or by its task being cancelled.
final class Call<Value: Sendable>: Sendable {
  private enum State {
    case asked
    case waiting(CheckedContinuation<Result<Value, NodeError>, Never>)
    case answered(Result<Value, NodeError>)
  }

  private let state = Mutex(State.asked)

  /// Has something asked, and waits for the answer. A task that is cancelled meanwhile waits no more,
  /// and what was asked goes on; one that is cancelled already asks for nothing.
  static func result(
    _ ask: (@escaping @Sendable (Result<Value, NodeError>) -> Void) -> Void
  ) async throws(NodeError) -> Value {
    if Task.isCancelled { throw NodeError(.cancelled, "the task was cancelled: nothing was asked") }
    let call = Call()
    ask { call.answer($0) }
    return try await withTaskCancellationHandler {
      await withCheckedContinuation { call.wait($0) }
    } onCancel: {
      call.answer(
        .failure(
          NodeError(.cancelled, "the task was cancelled; what it had asked for may still happen")))
    }.get()
  }

  private func wait(_ continuation: CheckedContinuation<Result<Value, NodeError>, Never>) {
    let answer = state.withLock { state -> Result<Value, NodeError>? in
      if case .answered(let answer) = state { return answer }
      state = .waiting(continuation)
      return nil
    }
    if let answer { continuation.resume(returning: answer) }
  }

  /// All but the first come too late.
  private func answer(_ answer: Result<Value, NodeError>) {
    let waiting = state.withLock {
      state -> CheckedContinuation<Result<Value, NodeError>, Never>? in
      switch state {
      case .asked: state = .answered(answer)
      case .answered: break
      case .waiting(let continuation):
        state = .answered(answer)
        return continuation
      }
      return nil
    }
    waiting?.resume(returning: answer)
  }
}

/// What a call that is not waited for says before it returns: that it is not taken. What comes later is
/// an event.
final class PostOutcome: Sendable {
  private struct State {
    var hasReturned = false
    var failure: NodeError?
  }

  private let state = Mutex(State())

  /// Whether the failure is still the call's own to throw.
  func isFailure(_ error: NodeError) -> Bool {
    switch error.kind {
    case .tooManyCalls, .stopped: break
    default: return false
    }
    return state.withLock { state in
      if state.hasReturned { return false }
      state.failure = error
      return true
    }
  }

  /// The call returns: what it throws.
  func failureBeforeReturn() -> NodeError? {
    state.withLock { state in
      state.hasReturned = true
      return state.failure
    }
  }
}
