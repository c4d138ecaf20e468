// A storage in a real directory whose syncs a test counts, holds up, slows down, and lets fail.

import Glibc
import LineChat
import LineChatCore
import Synchronization

struct ControlledStorage: Storage {
  final class Controls: Sendable {
    struct State {
      var syncs = 0
      var isHeld = false
      var delayMilliseconds: Int32 = 0
      var failure: Int32?
    }

    private let state = Mutex(State())

    var syncs: Int { state.withLock { $0.syncs } }

    /// From now on every sync waits until `release`.
    func hold() { state.withLock { $0.isHeld = true } }
    func release() { state.withLock { $0.isHeld = false } }
    func slowDown(milliseconds: Int32) { state.withLock { $0.delayMilliseconds = milliseconds } }

    /// What every sync fails with; nil: it does not.
    func fail(with code: Int32?) { state.withLock { $0.failure = code } }

    func sync(_ name: String) throws(StorageError) {
      let (delay, failure) = state.withLock { state in
        state.syncs += 1
        return (state.delayMilliseconds, state.failure)
      }
      if delay > 0 { poll(nil, 0, delay) }
      while state.withLock({ $0.isHeld }) { poll(nil, 0, 1) }
      if let failure { throw StorageError(.sync, name, reason: "injected", code: failure) }
    }
  }

  var files: FileStorage
  let controls: Controls

  init(_ path: String, _ controls: Controls) throws {
    files = try FileStorage(path)
    self.controls = controls
  }

  func names() throws(StorageError) -> [String] { try files.names() }

  func read(_ name: String) throws(StorageError) -> [UInt8]? { try files.read(name) }

  mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(StorageError) {
    try files.append(bytes, to: name)
  }

  mutating func sync(_ name: String) throws(StorageError) {
    try controls.sync(name)
    try files.sync(name)
  }

  mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    try files.truncate(name, to: count)
  }

  mutating func rename(_ name: String, to other: String) throws(StorageError) {
    try files.rename(name, to: other)
  }

  mutating func remove(_ name: String) throws(StorageError) { try files.remove(name) }

  mutating func syncDirectory() throws(StorageError) { try files.syncDirectory() }
}
