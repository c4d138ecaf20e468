// The journal on a disk that fails, or stops, at every one of its steps.

import LineChatCore
import LineChatSimulation
import Testing

@Suite("The journal, whatever step is the last")
struct JournalCrashTests {
  private static let survivals: [SimulatedDisk.Survival] = [
    .nothing, .everything, .chance(1), .chance(2), .chance(3),
  ]

  private static func script(_ count: Int, seed: UInt64) -> [JournalOwner.Operation] {
    var random = SplitMix64(state: seed)
    return (0..<count).map { _ in
      switch Int.random(in: 0..<10, using: &random) {
      case 0: .snapshot(inFlight: Int.random(in: 0...3, using: &random))
      case 1: .restart
      default: .commit(Int.random(in: 1...3, using: &random))
      }
    }
  }

  /// Calls `body` once for each step of each operation, with the owner as it is before the operation
  /// and the number of the step.
  private func forEachStep(
    of script: [JournalOwner.Operation],
    _ body: (JournalOwner, JournalOwner.Operation, Int) throws -> Void
  ) throws {
    var owner = try JournalOwner(SimulatedDisk(seed: 7))
    for operation in script {
      var after = owner
      #expect(after.run(operation) == nil)
      let first = owner.journal.disk.steps + 1
      for step in first..<max(first, after.journal.disk.steps + 1) {
        try body(owner, operation, step)
      }
      owner = after
    }
  }

  @Test("a crash at any step loses nothing that was acknowledged")
  func crashes() throws {
    var count = 0
    try forEachStep(of: Self.script(400, seed: 1)) { before, operation, step in
      var owner = before
      owner.journal.disk.faults[step] = .crash
      owner.run(operation)
      for survival in Self.survivals {
        owner.check(survival, "a crash at step \(step), in \(operation), leaving \(survival)")
      }
      count += 1
    }
    #expect(count > 1_000)
  }

  @Test("nor does a second crash, at any step of the start after the first")
  func secondCrash() throws {
    try forEachStep(of: Self.script(60, seed: 2)) { before, operation, step in
      var owner = before
      owner.journal.disk.faults[step] = .crash
      owner.run(operation)
      let survival = SimulatedDisk.Survival.chance(UInt64(step))
      var started = owner
      started.restart(survival)
      let first = owner.journal.disk.steps + 1
      for next in first..<started.journal.disk.steps + 1 {
        var disk = owner.journal.disk.afterCrash(survival)
        disk.faults[next] = .crash
        // The start itself may be what crashes; then its disk is lost to us, and started again.
        guard let (_, journal) = try? Recovery.start(disk, snapshotFile: "groups.json") else {
          continue
        }
        var second = owner
        second.journal = journal
        second.acknowledged = started.acknowledged
        second.doubtful = []
        second.run(.snapshot(inFlight: 0))
        for survival in Self.survivals {
          second.check(survival, "crashes at \(step) in \(operation), then at \(next)")
        }
      }
    }
  }

  @Test(
    "a step that fails is reported, and the next snapshot heals",
    arguments: [SimulatedDisk.noSpace, SimulatedDisk.inputOutput])
  func failures(code: Int32) throws {
    try forEachStep(of: Self.script(200, seed: 3)) { before, operation, step in
      var owner = before
      owner.journal.disk.faults[step] = .failure(code)
      let failure = owner.run(operation)
      let comment: Comment = "step \(step) of \(operation) failed"
      if case .commit = operation {
        #expect(failure?.code == code, comment)
        #expect(owner.journal.isBroken, comment)
        #expect(owner.run(.commit(1)) != nil, comment)
      }
      for survival in Self.survivals { owner.check(survival, comment) }
      // A snapshot that failed early leaves a journal that can be used.
      if !owner.journal.isBroken { #expect(owner.run(.commit(2)) == nil, comment) }
      for survival in Self.survivals { owner.check(survival, comment) }
      #expect(owner.run(.snapshot(inFlight: 2)) == nil, comment)
      #expect(!owner.journal.isBroken, comment)
      #expect(owner.run(.commit(1)) == nil, comment)
      for survival in Self.survivals { owner.check(survival, comment) }
    }
  }

  @Test("many faults, one after another, over many lives", arguments: 0..<40 as Range<UInt64>)
  func storms(seed: UInt64) throws {
    var random = SplitMix64(state: seed)
    var owner = try JournalOwner(SimulatedDisk(seed: seed))
    for operation in Self.script(150, seed: seed &+ 1_000) {
      let step = owner.journal.disk.steps + Int.random(in: 1...8, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0: owner.journal.disk.faults[step] = .crash
      case 1: owner.journal.disk.faults[step] = .failure(SimulatedDisk.inputOutput)
      case 2: owner.journal.disk.standingFault = .failure(SimulatedDisk.noSpace)
      case 3, 4: owner.journal.disk.standingFault = nil
      default: break
      }
      owner.run(operation)
      if owner.journal.disk.hasCrashed { owner.restart(.chance(random.next())) }
    }
    owner.journal.disk.standingFault = nil
    owner.journal.disk.faults = [:]
    if owner.journal.isBroken { #expect(owner.run(.snapshot(inFlight: 0)) == nil) }
    #expect(owner.run(.commit(1)) == nil)
    for survival in Self.survivals { owner.check(survival, "after the storm") }
  }

  @Test("what failed is never found again after the next snapshot")
  func noResurrection() throws {
    var owner = try JournalOwner(SimulatedDisk())
    owner.run(.commit(2))
    let step = owner.journal.disk.steps
    // The bytes are written, their sync fails, and so does taking them back.
    for fault in 2...4 { owner.journal.disk.faults[step + fault] = .failure(5) }
    #expect(owner.run(.commit(1)) != nil)
    #expect(owner.doubtful == [3])
    owner.check(.everything, "before the snapshot it may be found")
    #expect(owner.run(.snapshot(inFlight: 0)) == nil)
    #expect(owner.doubtful.isEmpty)
    for survival in Self.survivals { owner.check(survival, "after it, it may not") }
  }

  @Test("a sync that failed is not trusted when it succeeds later")
  func failedSync() throws {
    var owner = try JournalOwner(SimulatedDisk())
    owner.run(.commit(1))
    let number = owner.journal.number
    owner.journal.disk.faults[owner.journal.disk.steps + 2] = .failure(5)
    #expect(owner.run(.commit(1))?.operation == .sync)
    // It was heard once; the disk says nothing more about it. The file is not touched again.
    let before = owner.journal.disk.steps
    #expect(owner.run(.commit(1))?.description == "cannot sync journal.1: Input/output error")
    #expect(owner.journal.disk.steps == before)
    #expect(owner.journal.isSnapshotDue)
    #expect(owner.run(.snapshot(inFlight: 0)) == nil)
    #expect(owner.journal.number == number + 1)
    #expect(owner.journal.disk.allNames == ["groups.json", "journal.2"])
    #expect(owner.run(.commit(1)) == nil)
    owner.check(.nothing, "healed")
  }
}
