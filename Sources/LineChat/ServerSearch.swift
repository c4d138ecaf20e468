// The way to the server: its name is looked up beside the loop, anew each time, as a laptop's or a
// server's address may be another by now; then its addresses are dialled, one after the other.

import LineChatCore
import LineProtocol

struct ServerSearch {
  /// The core's session for it.
  let session: SessionID
  /// The look-up under way, and when it has taken too long, on the monotonic clock.
  var lookUp: UInt64?
  var lookUpEnds: Int64?
  /// Still to be tried.
  var addresses: [Endpoint] = []
  /// What is being tried.
  var present: Endpoint?
  /// What became of those before it.
  var failures: [(endpoint: Endpoint, reason: String)] = []

  /// For people; where every address failed in the same way, that is said once.
  var failure: String {
    guard let first = failures.first else { return "it has no address" }
    if failures.allSatisfy({ $0.reason == first.reason }) { return first.reason }
    return failures.map { "\($0.endpoint): \($0.reason)" }.joined(separator: "; ")
  }
}

extension Loop where C == Peer {
  /// The core wants its server.
  func searchServer(_ session: SessionID) {
    guard let server = side.configuration.server else {
      preconditionFailure("a node without a server never looks for one")
    }
    side.search = ServerSearch(session: session)
    switch server.host {
    case .literal(let address): dialInTurn([address])
    case .name(let name):
      do throws(NameLookUp.Failure) {
        let lookUp = try side.resolver.begin(name)
        side.search?.lookUp = lookUp
        side.search?.lookUpEnds = now.monotonicMicroseconds + MachineLimits.lookUpMicroseconds
      } catch {
        endSearch(error.description)
      }
    }
  }

  /// Names that have been looked up.
  func takeLookUps() {
    for (number, outcome) in side.resolver.takeOutcomes() where side.search?.lookUp == number {
      side.search?.lookUp = nil
      side.search?.lookUpEnds = nil
      switch outcome {
      case .success(let addresses): dialInTurn(addresses)
      case .failure(let failure): endSearch(failure.description)
      }
    }
  }

  func lookAfterSearch() {
    guard let ends = side.search?.lookUpEnds, ends <= now.monotonicMicroseconds else { return }
    giveUpLookUp("no answer within \(MachineLimits.lookUpMicroseconds / 1_000_000) s")
  }

  /// Its outcome, should it come, is nobody's any more.
  func giveUpLookUp(_ reason: String) {
    guard side.search?.lookUp != nil, let server = side.configuration.server else { return }
    endSearch("\(server) cannot be looked up: \(reason)")
  }

  private func dialInTurn(_ addresses: [IPAddress]) {
    guard let server = side.configuration.server else { return }
    side.search?.addresses = addresses.prefix(MachineLimits.serverAddresses).compactMap {
      Endpoint(address: $0, port: server.port)
    }
    dialNext()
  }

  private func dialNext() {
    guard let search = side.search else { return }
    guard let next = search.addresses.first else { return endSearch(search.failure) }
    side.search?.addresses.removeFirst()
    side.search?.present = next
    dial(search.session, next, from: ownEnd(towards: next.address))
  }

  /// The address being dialled is not to be had.
  func searchOn(_ reason: String) {
    if let present = side.search?.present { side.search?.failures.append((present, reason)) }
    dialNext()
  }

  private func endSearch(_ reason: String) {
    guard let search = side.search else { return }
    side.search = nil
    core.dialFailed(search.session, reason: reason, now: now)
  }
}
