// What a world with nodes has beside what every world has: how many of whom, and what befalls them.

import LineChatCore

/// What happens to machines and ways now and then.
enum Mishap: String, CaseIterable, Sendable {
  case kill, powerCut, reset, silence, partition, sleep, clockJump
  case diskFull, diskFails, diskSlow
  /// A node starts with an empty directory.
  case nodeLost
  case serverKill, serverAway, serverSleep, serverLost, serverRestored
  case serverDiskFull, serverDiskFails, serverDiskSlow
  /// A host has another address; its old one, port and all, may be another's soon.
  case move
  case stranger
}

/// What a node's owner does.
enum Deed: String, CaseIterable, Sendable {
  case join, leave, say, tell, tellAddress, rename
}

package struct NodeOptions: Sendable {
  /// The world has nodes, and not only a server and its clients.
  package var isOn = false
  package var sabotage: NodeSabotage?
  var nodes = 3
  /// Of a hundred nodes, so many do not listen.
  var relayShare = 0
  /// Of a hundred nodes, so many cannot be dialled.
  var closedShare = 0
  /// Of a hundred, so many are in their groups only as long as they are connected.
  var transientShare = 0
  var netcats = 0
  /// Netcats that listen for themselves.
  var listeners = 0
  var groups = 1
  /// Names that anybody may take.
  var hasSharedNames = false
  /// All take the same port where it is free: one that another had is as good as one's own.
  var hasSamePorts = false
  /// Microseconds between what an owner does, at most.
  var pauseMicrosecondsMax = 1_000_000
  var burstMax = 1
  var deeds: [Deed] = [.join, .say]
  var mishaps: [Mishap] = []
  /// Microseconds between two mishaps, at most.
  var mishapPauseMicrosecondsMax = 10_000_000
  /// One round in so many comes late by seconds; 0: none.
  var stallsOneIn = 0
  /// What the disks write in one piece: a crash can leave each of those that were not synced, or not, or
  /// a part of it.
  var sectorBytes = 512
  /// A snapshot is taken in one round of so many.
  var snapshotsOneIn = 200

  init() {}

  init(_ random: inout SplitMix64) {
    func draw(_ choices: Int...) -> Int { choices.randomElement(using: &random) ?? 0 }
    isOn = true
    nodes = draw(2, 3, 3, 4, 6)
    relayShare = draw(0, 0, 30, 100)
    closedShare = draw(0, 0, 30)
    transientShare = draw(0, 0, 0, 30)
    netcats = draw(0, 0, 1, 3)
    listeners = draw(0, 0, 1)
    groups = draw(1, 1, 2, 4)
    hasSharedNames = draw(0, 0, 1) == 1
    pauseMicrosecondsMax = draw(10_000, 1_000_000, 5_000_000, 20_000_000)
    burstMax = draw(1, 1, 4, 20)
    mishapPauseMicrosecondsMax = draw(1_000_000, 10_000_000, 60_000_000)
    stallsOneIn = draw(0, 0, 200)
    snapshotsOneIn = draw(20, 200, 2_000)
    sectorBytes = draw(16, 512)
    for mishap in Mishap.allCases where draw(0, 1) == 1 { mishaps.append(mishap) }
    if draw(0, 0, 0, 1) == 1 { mishaps = [] }
    hasSamePorts = draw(0, 1) == 1
    for deed in Deed.allCases where draw(0, 1) == 1 {
      deeds += Array(repeating: deed, count: deed == .say ? draw(2, 6) : draw(1, 2))
    }
    if draw(0, 0, 1) == 1 { changeOften(&random) }
  }

  /// Rosters change all the time, while disks are slow and processes are killed.
  private mutating func changeOften(_ random: inout SplitMix64) {
    for deed in [Deed.join, .leave, .rename] {
      deeds += Array(repeating: deed, count: Int.random(in: 1...9, using: &random))
    }
    let hindrances = [Mishap.diskSlow, .serverDiskSlow, .kill, .powerCut, .serverKill, .reset]
    for mishap in hindrances where !mishaps.contains(mishap) && Bool.random(using: &random) {
      mishaps.append(mishap)
    }
    pauseMicrosecondsMax = [10_000, 100_000, 1_000_000].randomElement(using: &random) ?? 10_000
  }

  var description: String {
    let shares = "relay=\(relayShare)% closed=\(closedShare)% transient=\(transientShare)%"
    return """
      nodes=\(nodes) \(shares) netcats=\(netcats) listeners=\(listeners) groups=\(groups) \
      pause=\(pauseMicrosecondsMax)us burst=\(burstMax) sectors=\(sectorBytes) snapshots=1/\(snapshotsOneIn) \
      stalls=\(stallsOneIn == 0 ? "none" : "1/\(stallsOneIn)")\(hasSharedNames ? " shared-names" : "")\(hasSamePorts ? " same-ports" : "") \
      deeds=\(Deed.allCases.filter(deeds.contains).map(\.rawValue).joined(separator: ",")) \
      mishaps=\(mishaps.map(\.rawValue).joined(separator: ","))/\(mishapPauseMicrosecondsMax)us
      """
  }
}
