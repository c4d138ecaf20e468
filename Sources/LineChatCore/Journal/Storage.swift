// What the journal needs of a disk: one directory of plain files, in primitive steps. Each step can
// fail or be the last one before the power goes, and that is all that can happen in between; so a
// simulated disk can be put in the place of a real one, and be cruel at each of them.
//
// What a step promises, and no more:
//   - Bytes appended, and a file made, renamed or removed, may all be undone by a crash, in part and
//     in any order, until `sync` (for a file's bytes) or `syncDirectory` (for names) has returned.
//   - A step that failed may have happened, in part or in whole.
//   - After a failed `sync` a later one that succeeds proves nothing about the bytes before it.

import LineProtocol

/// The files of one directory. `name` is a plain file name.
package protocol Storage: Sendable {
  /// The names of all files, in any order.
  func names() throws(StorageError) -> [String]

  /// The bytes of a file; nil if there is none of that name.
  func read(_ name: String) throws(StorageError) -> [UInt8]?

  /// Adds to the end of a file; makes it, readable by its owner alone, where there is none.
  mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(StorageError)

  /// Returns when the file's bytes are on the disk.
  mutating func sync(_ name: String) throws(StorageError)

  /// Cuts a file to its first `count` bytes.
  mutating func truncate(_ name: String, to count: Int) throws(StorageError)

  /// Gives a file another name, in the place of the one that had it, if there was one.
  mutating func rename(_ name: String, to other: String) throws(StorageError)

  /// Removes a file; that there is none is no failure.
  mutating func remove(_ name: String) throws(StorageError)

  /// Returns when the names are on the disk.
  mutating func syncDirectory() throws(StorageError)
}

extension Storage {
  /// Puts `bytes` in the place of a file: after a crash at any step there is the whole old one or
  /// the whole new one.
  package mutating func replace(
    _ name: String, with bytes: UnsafeRawBufferPointer
  ) throws(StorageError) {
    try prepare(name, bytes)
    try rename(Self.temporaryName(name), to: name)
    try syncDirectory()
  }

  /// The first part of `replace`: the bytes, synced, under a temporary name.
  mutating func prepare(
    _ name: String, _ bytes: UnsafeRawBufferPointer
  ) throws(StorageError) {
    let temporary = Self.temporaryName(name)
    // What a crash may have left; appending to it would mend nothing.
    try remove(temporary)
    try append(bytes, to: temporary)
    try sync(temporary)
  }

  static func temporaryName(_ name: String) -> String { name + ".new" }

  /// Keeps what is in a damaged file as `<name>.damaged-<n>`, and returns that name. A copy that is
  /// there already, from a start before this one, is not made again.
  package mutating func copyAside(_ name: String, _ bytes: [UInt8]) throws(StorageError) -> String {
    let names = Set(try names())
    var number = 1
    while names.contains("\(name).damaged-\(number)") {
      if try read("\(name).damaged-\(number)") == bytes { return "\(name).damaged-\(number)" }
      number += 1
    }
    let copy = "\(name).damaged-\(number)"
    let buffer = ByteBuffer()
    buffer.append(bytes)
    try append(buffer.bytes, to: copy)
    try sync(copy)
    try syncDirectory()
    return copy
  }
}

extension ByteBuffer {
  func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }
}

/// A step that failed.
package struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Operation: String, Hashable, Sendable {
    case list, read, append, sync, truncate, rename, remove
    case syncDirectory = "sync the directory of"
  }

  package let operation: Operation
  package let file: String

  /// For a person: "No space left on device".
  package let reason: String

  /// The system's number for it (`errno`); 0 where it is not the system that refused.
  package let code: Int32

  package init(_ operation: Operation, _ file: String, reason: String, code: Int32 = 0) {
    self.operation = operation
    self.file = file
    self.reason = reason
    self.code = code
  }

  /// "cannot sync journal.3: Input/output error".
  package var description: String { "cannot \(operation.rawValue) \(file): \(reason)" }
}
