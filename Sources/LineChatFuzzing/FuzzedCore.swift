// What the two cores have in common for those who feed them: both are made, take up what a disk holds,
// write down their state, and can be asked whether their books are in order.

import LineChatCore
import LineChatSimulation
import LineProtocol

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

package protocol FuzzedCore: Core, ~Copyable {
  associatedtype State: Codable & Equatable & Sendable

  static var snapshotFile: String { get }
  /// - Parameter start: which of its starts this is; each has random numbers of its own.
  init(forFuzzing start: UInt64)

  /// The whole state, as a snapshot has it.
  var wholeState: State { get }
  /// What of it was promised to be there after a crash.
  var promised: State { get }
  /// The part of that on which any session and a start after it must agree.
  static func agreed(_ promised: State) -> State
  var problems: [String] { get }

  mutating func restore(_ state: State, now: Instant) -> [String]
  mutating func replay(_ record: Record, now: Instant) throws(Refusal)
  /// It goes to work, with what was restored.
  mutating func goToWork(now: Instant)
  /// Something that its owner, or its machine, does.
  mutating func order(_ text: String, call: UInt64, now: Instant)
  /// Its owner takes what there is to know, and says if it is wrong.
  mutating func tellOwner(_ calls: inout Set<UInt64>) throws(Fault)
  /// The connection to its server was asked for.
  mutating func serverAnswers(now: Instant)
}

/// When everything here happens: 2027-01-15T08:00:00Z.
package let firstInstant = Instant(
  monotonicMicroseconds: 1_000_000, wallMicroseconds: 1_800_000_000_000_000)

extension FuzzedCore where Self: ~Copyable {
  /// What is left where the snapshot is no JSON; the programs do not start then.
  package static var unreadableSnapshot: String { "the snapshot" }

  package static func agreed(_ promised: State) -> State { promised }

  /// Takes up what a start has found. Returns what it could not use.
  package mutating func takeUp(_ recovery: Recovery, now: Instant) -> [String] {
    var left: [String] = []
    if let content = recovery.content {
      guard let state = try? JSONDecoder().decode(State.self, from: Data(content)) else {
        return [Self.unreadableSnapshot]
      }
      left = restore(state, now: now)
    }
    for record in recovery.records {
      do throws(Refusal) {
        try replay(Record(line: JournalLine(record.message).bytes), now: now)
      } catch {
        left.append("\(record.message): \(error.text)")
      }
    }
    return left
  }

  /// What is wrong after a start. That a node is in its groups under the name that it has is for the
  /// server to tell again: a crash can come between the records of a name and of the rosters.
  package var problemsOfStart: [String] { problems.filter { !$0.hasPrefix("we are not in") } }

  /// What came of files that may hold anything.
  static func takeUp(_ recovery: Recovery) throws(Fault) {
    var core = Self(forFuzzing: 1)
    _ = core.takeUp(recovery, now: firstInstant)
    try core.checkBooks("after the start")
    let (state, promised) = (core.wholeState, core.promised)
    var second = Self(forFuzzing: 2)
    let left = second.restore(state, now: firstInstant)
    try hold(left.isEmpty, "what it would write is not taken up: \(left)")
    let again = second.promised
    try hold(
      again == promised, "what it would write is taken up as another state:\n\(again)\n\(promised)")
    core.goToWork(now: firstInstant)
    try core.checkBooks("when it goes to work")
  }

  /// They are in order at the end of a round.
  private mutating func checkBooks(_ when: String) throws(Fault) {
    repeat {
      takeEffects { _ in }
      endRound { _, _ in }
    } while hasEffects || !fanOut.isEmpty
    let problems = problemsOfStart
    try hold(problems.isEmpty, "the books are wrong \(when): \(problems)")
  }
}

extension Directory: FuzzedCore {
  package static var snapshotFile: String { "groups.json" }

  package init(forFuzzing start: UInt64) {
    var configuration = Directory.Configuration()
    configuration.version = "1"
    configuration.versionStart = 7 + start
    configuration.seed = start
    configuration.listingPieceBytes = 256
    if let endpoint = Endpoint("127.0.0.1:5463") { configuration.listenEndpoints = [endpoint] }
    self.init(configuration)
  }

  package var wholeState: DurableState { durableState() }

  /// When somebody was seen last is written with the next snapshot only, and so is the time; and where
  /// a name belongs to a key, the host does not matter.
  package var promised: DurableState {
    var state = durableState()
    state.time = ""
    for index in state.members.indices {
      state.members[index].seen = ""
      if state.members[index].key != nil { state.members[index].host = nil }
    }
    return state
  }

  /// Not the order in a group: who was in it in passing, and joined it for good later, stands where it
  /// came, and after a kill behind those who had joined for good before it.
  package static func agreed(_ promised: DurableState) -> DurableState {
    var state = promised
    for index in state.groups.indices { state.groups[index].members.sort() }
    return state
  }

  package var problems: [String] { audit().problems }

  package mutating func goToWork(now: Instant) { restored(now: now) }

  package mutating func order(_ text: String, call: UInt64, now: Instant) {
    if text == "QUIT" { shutDown(now: now) }
  }

  package mutating func tellOwner(_ calls: inout Set<UInt64>) throws(Fault) {}
  package mutating func serverAnswers(now: Instant) {}
}

extension Peer: FuzzedCore {
  package static var snapshotFile: String { "replica.json" }

  package init(forFuzzing start: UInt64) {
    guard let name = MemberName("alice") else { preconditionFailure("alice is a name") }
    var configuration = Peer.Configuration(name: name)
    configuration.version = "1"
    configuration.server = "server:5463"
    configuration.seed = start
    self.init(configuration)
  }

  package var wholeState: ReplicaState { replicaState() }

  /// Who it is, what it has said and heard, and where it is: the rosters are the server's to tell.
  package var promised: ReplicaState {
    var state = ReplicaState(name: replicaState().name)
    let whole = replicaState()
    state.outbox = whole.outbox
    state.heard = whole.heard.sorted()
    state.leaving = whole.leaving
    state.groups = whole.groups
    for index in state.groups.indices {
      state.groups[index].version = ""
      state.groups[index].members = []
    }
    return state
  }

  package var problems: [String] { audit().problems }

  package mutating func goToWork(now: Instant) { start(now: now) }

  package mutating func order(_ text: String, call: UInt64, now: Instant) {
    guard let message = try? Message(parsing: text) else { return }
    switch message.content {
    case .join(let group, _, _): perform(.join(group), call: call, now: now)
    case .leave(let group, _): perform(.leave(group), call: call, now: now)
    case .nick(let name): perform(.rename(name), call: call, now: now)
    case .msg(let group, let text): perform(.say(group, text), call: call, now: now)
    case .pm(let recipient, let text): perform(.tell(recipient, text), call: call, now: now)
    case .members(let group): perform(.members(group), call: call, now: now)
    case .groups: perform(.groups, call: call, now: now)
    case .wait: woke(now: now)
    case .quit: shutDown(now: now)
    default: break
    }
  }

  package mutating func tellOwner(_ calls: inout Set<UInt64>) throws(Fault) {
    var wrong: [UInt64] = []
    takeNews { news in
      if case .answer(let call, _) = news, call != 0, calls.remove(call) == nil {
        wrong.append(call)
      }
    }
    try hold(wrong.isEmpty, "calls \(wrong) are answered twice, or were not made")
  }

  package mutating func serverAnswers(now: Instant) {
    listens(at: Endpoint("10.0.0.1:5001"), isExplicit: false, now: now)
  }
}
