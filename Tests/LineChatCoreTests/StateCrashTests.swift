// A server's state directory, and a node's: 500 operations of the real core, and then the power goes at
// every step of the disk, every step fails, the journal is cut at every byte, and every bit is flipped.
//
// LINECHAT_DISK_FAULTS=1 in the environment has every place tried, which takes minutes in a release
// build; without it, every so manieth.

import Foundation
import LineChatCore
import LineChatFuzzing
import LineChatSimulation
import LineProtocol
import Testing

@Suite("A state directory after 500 operations", .timeLimit(.minutes(60)))
struct StateCrashTests {
  @Test("of a server, with a crash at any step: what was acknowledged is there")
  func serverCrashes() throws { try StateFaults.crashes(StateHistory.server.get()) }

  @Test("of a node, with a crash at any step")
  func nodeCrashes() throws { try StateFaults.crashes(StateHistory.node.get()) }

  @Test(
    "of a server, with any step that fails: it is reported, and the next snapshot heals",
    arguments: [SimulatedDisk.noSpace, SimulatedDisk.inputOutput])
  func serverFailures(code: Int32) throws {
    try StateFaults.failures(StateHistory.server.get(), code)
  }

  @Test(
    "of a node, with any step that fails",
    arguments: [SimulatedDisk.noSpace, SimulatedDisk.inputOutput])
  func nodeFailures(code: Int32) throws {
    try StateFaults.failures(StateHistory.node.get(), code)
  }

  @Test("of a server, its journal cut at any byte: all before the cut is there")
  func serverCuts() throws { try StateFaults.cuts(StateHistory.server.get()) }

  @Test("of a node, its journal cut at any byte")
  func nodeCuts() throws { try StateFaults.cuts(StateHistory.node.get()) }

  @Test("of a server, with any bit flipped: at most that line is lost, and it is said")
  func serverFlips() throws {
    try StateFaults.flips(StateHistory.server.get()) { state, line in
      state.without(line.peopleNamed)
    }
  }

  @Test("of a node, with any bit flipped")
  func nodeFlips() throws {
    try StateFaults.flips(StateHistory.node.get()) { state, line in
      state.without(line)
    }
  }
}
