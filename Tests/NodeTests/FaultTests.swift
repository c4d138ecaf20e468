// A node behind a network that does what networks do: its link to another is delayed, stalled, cut in
// the middle of a line, reset, or silent in one direction. Whatever happens, it hears everything, once
// and in order.

import Foundation
import LineChat
import TestSupport
import Testing

@Suite("Nodes behind a bad network", .ownThread, .timeLimit(.minutes(20)))
struct FaultTests {
  enum Fault: String, CaseIterable, Sendable {
    case delay, stall, silenceThere, silenceBack, reset, halfLine, halfReceipt, nobodyListens
  }

  private static func put(_ fault: Fault, on proxy: FaultProxy) throws {
    switch fault {
    case .delay: proxy.change { $0.delayMilliseconds = 150 }
    case .stall: proxy.change { $0.isStalled = true }
    case .silenceThere: proxy.change(.toTarget) { $0.isSilent = true }
    case .silenceBack: proxy.change(.toClient) { $0.isSilent = true }
    case .reset: proxy.reset()
    case .halfLine: proxy.cutNextLine(.toTarget)
    case .halfReceipt: proxy.cutNextLine(.toClient)
    case .nobodyListens:
      try proxy.refuse(true)
      proxy.reset()
    }
  }

  /// With a server what the link does not carry goes through it; without one it waits.
  @Test("hears everything, once and in order", arguments: Fault.allCases, [true, false])
  func fault(_ fault: Fault, hasServer: Bool) async throws {
    let server = try TestServer()
    let alice = try await TestNode.member("alice", server) {
      $0.listening = .at(try ListenAddress(parsing: "127.0.0.2:0"))
    }
    let host = try #require(IPAddress("127.0.0.3"))
    let port = try TestListener.unusedPort(of: host)
    let target = try #require(Endpoint(address: host, port: port))
    let proxy = try FaultProxy(to: target, at: host, source: .client)
    let bob = try await TestNode.member("bob", server, with: ["alice"]) {
      $0.listening = .at(ListenAddress(host, port: port))
      $0.announced = proxy.endpoint
    }
    try await alice.meets(["bob"])
    try await alice.isLinked(to: ["bob"])
    let first = try await alice.node.send("0", to: group("lobby"))
    try await alice.delivery(of: first, to: "bob") { $0 == .delivered }
    #expect(proxy.counters.connections > 0)
    if !hasServer { server.stop() }

    try Self.put(fault, on: proxy)
    for number in 1...20 { try alice.node.post("\(number)", to: group("lobby")) }
    // Half of it is said while something is wrong; with a server it gets there all the same.
    if hasServer || fault == .delay { try await bob.hears(10) }
    for number in 21...40 { try alice.node.post("\(number)", to: group("lobby")) }
    proxy.heal()
    try proxy.refuse(false)
    let heard = try await bob.hears(41)
    #expect(heard.map(\.text) == (0...40).map(String.init))
    try await until("nothing waits any more") {
      try await alice.node.status().outboxMessages == 0
    }
    #expect(bob.heard.count == 41)
  }
}
