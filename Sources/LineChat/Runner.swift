// The life of a server or a node, as the threads that share it see it: bound once, run once, stopped
// from anywhere, waited for.

import LineChatCore
import Synchronization

final class Runner<C: DrivenCore & ~Copyable>: Sendable {
  private let shouldStop = StopFlag()
  private let hasStopped = Latch()
  private let state = Mutex(State())

  private struct State {
    var phase = Phase.new
    var wake: WakePipe?
  }

  private enum Phase {
    case new
    case bound(Handover)
    case running
    case stopped
  }

  /// The loop on its way from the thread that binds to the one that runs it. Only one thread has it
  /// at a time: it is made and taken under the lock, and taken once.
  private final class Handover: @unchecked Sendable {
    private var loop: Loop<C>?

    init(_ loop: Loop<C>) { self.loop = loop }

    func take() -> Loop<C> {
      guard let loop else { preconditionFailure("the loop has been taken") }
      self.loop = nil
      return loop
    }
  }

  /// Has the loop made.
  func start(
    _ make: (WakePipe, StopFlag) throws(ServerError) -> Loop<C>
  ) throws(ServerError) {
    try state.withLock { (state) throws(ServerError) in
      guard case .new = state.phase else {
        throw ServerError(.wrongOrder, "this \(C.noun) has been started before")
      }
      let wake: WakePipe
      do throws(SystemError) { wake = try WakePipe.make() } catch {
        throw ServerError(.system, "cannot make a pipe: \(error)", cause: error)
      }
      state.phase = .bound(Handover(try make(wake, shouldStop)))
      state.wake = wake
      // A stop that came before is found when the loop looks.
      wake.wake()
    }
  }

  /// Runs the loop on the calling thread until `stop`. At its end `end` is called, before those who
  /// wait for it hear of it.
  func run(end: () -> Void = {}) throws(ServerError) {
    let handover = try state.withLock { (state) throws(ServerError) -> Handover in
      guard case .bound(let handover) = state.phase else {
        throw ServerError(.wrongOrder, "start the \(C.noun) before it runs, and run it once")
      }
      state.phase = .running
      return handover
    }
    defer {
      end()
      state.withLock { $0.phase = .stopped }
      hasStopped.open()
    }
    do throws(SystemError) {
      // Nobody else has it: what it holds is let go before those who wait for the end hear of it.
      try handover.take().run()
    } catch {
      throw ServerError(.system, "the \(C.noun) cannot go on: \(error)", cause: error)
    }
  }

  /// Runs `body`, which calls `run`, on a thread of its own.
  func runOnOwnThread(_ body: @escaping @Sendable () -> Void) throws(ServerError) {
    do throws(SystemError) { try Thread.start(body) } catch {
      throw ServerError(.system, "cannot start a thread: \(error)", cause: error)
    }
  }

  /// Ends the loop. Returns at once; may be called again, and before the loop runs.
  func stop() {
    shouldStop.set()
    state.withLock { $0.wake }?.wake()
  }

  /// Waits until a running loop has ended.
  func waitUntilStopped() { hasStopped.wait() }
}
