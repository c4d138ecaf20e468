// A real directory behind a gate: the test says when a sync may go on, and what fails.

import LineChat
import LineChatCore
import Synchronization

/// What the test and the journal's thread share.
package final class TestDisk: Sendable {
  package init() {}

  private struct State {
    /// Syncs wait until this is false.
    var isHeld = false
    /// Syncs that wait, or have waited.
    var syncs = 0
    /// Everything that writes fails, as on a full disk.
    var isFull = false
  }

  private let state = Mutex(State())

  package func make(_ path: String) throws(StorageError) -> any Storage {
    TestStorage(base: try FileStorage(path), disk: self)
  }

  package func hold() { state.withLock { $0.isHeld = true } }
  package func letGo() { state.withLock { $0.isHeld = false } }
  package func fill() { state.withLock { $0.isFull = true } }
  package func makeRoom() { state.withLock { $0.isFull = false } }

  fileprivate var isFull: Bool { state.withLock { $0.isFull } }

  fileprivate func waitAtGate() {
    state.withLock { if $0.isHeld { $0.syncs += 1 } }
    while state.withLock({ $0.isHeld }) { pauseBriefly() }
  }

  /// Waits until something is about to be synced and must wait.
  package func waitForSync() throws {
    try eventually("something is synced") { state.withLock { $0.isHeld && $0.syncs > 0 } }
  }
}

private struct TestStorage: Storage {
  var base: FileStorage
  let disk: TestDisk

  private func write(_ name: String) throws(StorageError) {
    if disk.isFull {
      throw StorageError(.append, name, reason: "No space left on device", code: 28)
    }
  }

  func names() throws(StorageError) -> [String] { try base.names() }
  func read(_ name: String) throws(StorageError) -> [UInt8]? { try base.read(name) }

  mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(StorageError) {
    try write(name)
    try base.append(bytes, to: name)
  }

  mutating func sync(_ name: String) throws(StorageError) {
    disk.waitAtGate()
    try base.sync(name)
  }

  mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    try base.truncate(name, to: count)
  }

  mutating func rename(_ name: String, to other: String) throws(StorageError) {
    try base.rename(name, to: other)
  }

  mutating func remove(_ name: String) throws(StorageError) { try base.remove(name) }
  mutating func syncDirectory() throws(StorageError) { try base.syncDirectory() }
}
