// A disk that keeps exactly what `Storage` promises, and is cruel within that.
//
// It is a value: a copy is another disk with the same past, so a test can let the same moment end in
// different ways. Whatever is left to chance comes from its seed.
//
// Bytes: a file has what a reader sees, and what is on the platter. `sync` brings the sectors that
// were written since over to the platter. When it fails, they count as clean from then on, and no
// later sync writes them, as on Linux. At a crash each sector that is not synced yet is lost,
// written, or torn.
//
// Names: making, renaming and removing wait for `syncDirectory`. At a crash each of them has happened
// or not, by itself.

import LineChatCore

package struct SimulatedDisk: Storage {
  /// What happens at a step.
  package enum Fault: Hashable, Sendable {
    /// The step fails; of an append, some bytes may have been written; a rename may have happened.
    case failure(Int32)
    /// The power goes during the step; every later one fails, until `afterCrash`.
    case crash
  }

  /// What a crash leaves of that which was not synced.
  package enum Survival: Hashable, Sendable {
    case nothing, everything
    case chance(UInt64)
  }

  package static let noSpace: Int32 = 28
  package static let inputOutput: Int32 = 5

  /// The bytes that are written in one piece. Small, so that every line lies in several.
  package let sectorBytes: Int

  /// Faults by the number of the step; see `steps`.
  package var faults: [Int: Fault] = [:]

  /// The fault of every step for which `faults` has none.
  package var standingFault: Fault?

  /// Files that cannot be read.
  package var unreadable: Set<String> = []

  /// How many steps that change something were begun.
  package private(set) var steps = 0
  package private(set) var hasCrashed = false

  private var random: SplitMix64
  private var files: [Int: File] = [:]
  private var lastFile = 0
  /// Which file has a name, as everybody sees it.
  private var directory: [String: Int] = [:]
  /// The same on the platter.
  private var syncedDirectory: [String: Int] = [:]
  private var changes: [Change] = []

  private struct File: Sendable {
    var seen: [UInt8] = []
    var platter: [UInt8] = []
    var dirty: Set<Int> = []
    /// Its length changed and was not synced.
    var isResized = false
  }

  private enum Change: Sendable {
    case make(String, Int)
    case rename(String, to: String, Int)
    case remove(String, Int)
  }

  package init(seed: UInt64 = 1, sectorBytes: Int = 16) {
    random = SplitMix64(state: seed)
    self.sectorBytes = sectorBytes
  }

  // MARK: Storage

  package func names() throws(StorageError) -> [String] {
    if hasCrashed { throw SimulatedDisk.off(.list, "the directory") }
    return directory.keys.sorted()
  }

  package func read(_ name: String) throws(StorageError) -> [UInt8]? {
    if hasCrashed { throw SimulatedDisk.off(.read, name) }
    if unreadable.contains(name) {
      throw StorageError(
        .read, name, reason: "Input/output error", code: SimulatedDisk.inputOutput)
    }
    return directory[name].flatMap { files[$0]?.seen }
  }

  package mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String)
    throws(StorageError)
  {
    let fault = try begin(.append, name)
    let file = directory[name] ?? make(name)
    switch fault {
    case nil: write(bytes, to: file)
    case .crash:
      write(bytes, to: file)
      hasCrashed = true
      throw SimulatedDisk.off(.append, name)
    case .failure(let code):
      let count = Int.random(in: 0...bytes.count, using: &random)
      write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: file)
      throw SimulatedDisk.failed(.append, name, code)
    }
  }

  package mutating func sync(_ name: String) throws(StorageError) {
    let fault = try begin(.sync, name)
    guard let file = directory[name] else { throw SimulatedDisk.failed(.sync, name, 2) }
    switch fault {
    case nil: bring(file) { _, _ in true }
    case .crash:
      hasCrashed = true
      throw SimulatedDisk.off(.sync, name)
    case .failure(let code):
      var random = random
      bring(file) { _, _ in Bool.random(using: &random) }
      self.random = random
      throw SimulatedDisk.failed(.sync, name, code)
    }
  }

  package mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    let fault = try begin(.truncate, name)
    guard let file = directory[name] else { throw SimulatedDisk.failed(.truncate, name, 2) }
    if case .failure(let code) = fault { throw SimulatedDisk.failed(.truncate, name, code) }
    if let seen = files[file]?.seen, count < seen.count {
      files[file]?.seen.removeLast(seen.count - count)
      files[file]?.isResized = true
    }
    try end(fault, .truncate, name)
  }

  package mutating func rename(_ name: String, to other: String) throws(StorageError) {
    let fault = try begin(.rename, name)
    guard let file = directory[name] else { throw SimulatedDisk.failed(.rename, name, 2) }
    if case .failure(let code) = fault, Bool.random(using: &random) {
      throw SimulatedDisk.failed(.rename, name, code)
    }
    directory[name] = nil
    directory[other] = file
    changes.append(.rename(name, to: other, file))
    try end(fault, .rename, name)
  }

  package mutating func remove(_ name: String) throws(StorageError) {
    let fault = try begin(.remove, name)
    if case .failure(let code) = fault { throw SimulatedDisk.failed(.remove, name, code) }
    if let file = directory.removeValue(forKey: name) { changes.append(.remove(name, file)) }
    try end(fault, .remove, name)
  }

  package mutating func syncDirectory() throws(StorageError) {
    let fault = try begin(.syncDirectory, "the directory")
    switch fault {
    case nil:
      syncedDirectory = directory
      changes = []
    case .crash:
      hasCrashed = true
      throw SimulatedDisk.off(.syncDirectory, "the directory")
    case .failure(let code): throw SimulatedDisk.failed(.syncDirectory, "the directory", code)
    }
  }

  // MARK: Steps

  private mutating func begin(
    _ operation: StorageError.Operation, _ name: String
  ) throws(StorageError) -> Fault? {
    if hasCrashed { throw SimulatedDisk.off(operation, name) }
    steps += 1
    return faults[steps] ?? standingFault
  }

  /// The end of a step that has happened whatever its fault is.
  private mutating func end(
    _ fault: Fault?, _ operation: StorageError.Operation, _ name: String
  ) throws(StorageError) {
    switch fault {
    case nil: break
    case .crash:
      hasCrashed = true
      throw SimulatedDisk.off(operation, name)
    case .failure(let code): throw SimulatedDisk.failed(operation, name, code)
    }
  }

  private static func off(_ operation: StorageError.Operation, _ name: String) -> StorageError {
    StorageError(operation, name, reason: "the power is off")
  }

  private static func failed(
    _ operation: StorageError.Operation, _ name: String, _ code: Int32
  ) -> StorageError {
    let reason = code == noSpace ? "No space left on device" : "Input/output error"
    return StorageError(operation, name, reason: reason, code: code)
  }

  // MARK: Bytes and names

  private mutating func make(_ name: String) -> Int {
    lastFile += 1
    files[lastFile] = File()
    directory[name] = lastFile
    changes.append(.make(name, lastFile))
    return lastFile
  }

  private mutating func write(_ bytes: UnsafeRawBufferPointer, to file: Int) {
    guard !bytes.isEmpty, let start = files[file]?.seen.count else { return }
    files[file]?.seen += Array(bytes)
    files[file]?.isResized = true
    let last = (start + bytes.count - 1) / sectorBytes
    files[file]?.dirty.formUnion(start / sectorBytes...last)
  }

  /// Brings the dirty sectors that `isWritten` over to the platter; all are clean afterwards.
  private mutating func bring(_ number: Int, where isWritten: (Int, File) -> Bool) {
    guard var file = files[number] else { return }
    if file.isResized {
      file.platter = SimulatedDisk.resized(file.platter, to: file.seen.count)
      file.isResized = false
    }
    for sector in file.dirty.sorted() where isWritten(sector, file) {
      for at in sector * sectorBytes..<(sector + 1) * sectorBytes where at < file.seen.count {
        file.platter[at] = file.seen[at]
      }
    }
    file.dirty = []
    files[number] = file
  }

  private static func resized(_ bytes: [UInt8], to count: Int) -> [UInt8] {
    Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bytes.count))
  }

  // MARK: After a crash

  /// The disk as it is when the power is back.
  package func afterCrash(_ survival: Survival) -> SimulatedDisk {
    var disk = self
    disk.hasCrashed = false
    disk.faults = [:]
    disk.standingFault = nil
    disk.changes = []
    switch survival {
    case .everything:
      for number in files.keys { disk.bring(number) { _, _ in true } }
      disk.syncedDirectory = directory
    case .nothing: break
    case .chance(let seed):
      var random = SplitMix64(state: seed)
      for number in files.keys.sorted() { disk.tear(number, &random) }
      for change in changes where Bool.random(using: &random) { disk.apply(change) }
    }
    disk.directory = disk.syncedDirectory
    for number in files.keys {
      if let platter = disk.files[number]?.platter {
        disk.files[number] = File(seen: platter, platter: platter)
      }
    }
    return disk
  }

  private mutating func tear(_ number: Int, _ random: inout SplitMix64) {
    guard let file = files[number] else { return }
    var platter = file.platter
    if file.isResized {
      let lengths = [platter.count, file.seen.count].sorted()
      platter = SimulatedDisk.resized(
        platter, to: Int.random(in: lengths[0]...lengths[1], using: &random))
    }
    for sector in file.dirty.sorted() {
      let start = sector * sectorBytes
      let written = [0, sectorBytes, Int.random(in: 0...sectorBytes, using: &random)]
        .randomElement(using: &random)
      for at in start..<start + (written ?? 0) where at < min(platter.count, file.seen.count) {
        platter[at] = file.seen[at]
      }
    }
    files[number]?.platter = platter
  }

  private mutating func apply(_ change: Change) {
    switch change {
    case .make(let name, let file): syncedDirectory[name] = file
    case .rename(let name, let other, let file):
      if syncedDirectory[name] == file { syncedDirectory[name] = nil }
      syncedDirectory[other] = file
    case .remove(let name, let file):
      if syncedDirectory[name] == file { syncedDirectory[name] = nil }
    }
  }

  // MARK: For tests

  /// Puts a file there, synced, as if it had always been there.
  package mutating func put(_ name: String, _ bytes: [UInt8]) {
    lastFile += 1
    files[lastFile] = File(seen: bytes, platter: bytes)
    directory[name] = lastFile
    syncedDirectory[name] = lastFile
  }

  /// What a reader sees of a file.
  package func bytes(of name: String) -> [UInt8]? { directory[name].flatMap { files[$0]?.seen } }

  package var allNames: [String] { directory.keys.sorted() }
}
