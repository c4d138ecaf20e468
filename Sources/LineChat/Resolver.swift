// Names looked up beside the loop: the system's resolver blocks for as long as it likes. Each look-up
// has a thread of its own, which ends with it; what it found comes back through the wake pipe.

import LineChatCore
import LineProtocol
import Synchronization

final class Resolver: Sendable {
  typealias Outcome = Result<[IPAddress], NameLookUp.Failure>

  private let lookUp: @Sendable (String) -> Outcome
  private let wake: WakePipe
  private let state = Mutex(State())

  private struct State {
    var underWay = 0
    var last: UInt64 = 0
    var outcomes: [(number: UInt64, outcome: Outcome)] = []
  }

  init(_ lookUp: @escaping @Sendable (String) -> Outcome, wake: WakePipe) {
    self.lookUp = lookUp
    self.wake = wake
  }

  /// Begins to look a name up. Returns the number that the outcome will have.
  func begin(_ name: String) throws(NameLookUp.Failure) -> UInt64 {
    let number = state.withLock { state -> UInt64? in
      guard state.underWay < MachineLimits.lookUps else { return nil }
      state.underWay += 1
      state.last += 1
      return state.last
    }
    guard let number else {
      throw NameLookUp.Failure("\(name) cannot be looked up: the resolver does not answer")
    }
    do throws(SystemError) {
      try Thread.start { [self] in end(number, lookUp(name)) }
    } catch {
      state.withLock { $0.underWay -= 1 }
      throw NameLookUp.Failure("\(name) cannot be looked up: \(error)")
    }
    return number
  }

  private func end(_ number: UInt64, _ outcome: Outcome) {
    state.withLock { state in
      state.underWay -= 1
      state.outcomes.append((number, outcome))
    }
    wake.wake()
  }

  /// What has been found since the last time.
  func takeOutcomes() -> [(number: UInt64, outcome: Outcome)] {
    state.withLock { state in
      defer { state.outcomes = [] }
      return state.outcomes
    }
  }
}
