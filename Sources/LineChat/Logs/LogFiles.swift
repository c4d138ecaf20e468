// What the readable logs need of a disk: one directory of files that grow at their end. Apart from
// the journal's Storage because a log may be far larger than memory: it is read in pieces.

import Glibc
import LineChatCore

/// The files of a node's logs. `name` is a plain file name.
package protocol LogFiles: Sendable {
  /// The names of all files, in any order; none where there is no directory yet.
  func names() throws(StorageError) -> [String]

  /// Opens a file for reading; nil if there is none of that name.
  func open(_ name: String) throws(StorageError) -> LogFile?

  /// Sees to it that the file can be added to, and makes it, readable by its owner alone, where
  /// there is none.
  mutating func end(of name: String) throws(StorageError) -> LogEnd

  /// Adds to the end of a file. Where it throws, some of the bytes may be there.
  mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(StorageError)

  /// Cuts a file to its first `count` bytes, which it has.
  mutating func truncate(_ name: String, to count: Int) throws(StorageError)

  /// Returns when the file's bytes are on the disk. That there is none is no failure.
  mutating func sync(_ name: String) throws(StorageError)

  /// Gives a file a name that nothing has yet.
  mutating func rename(_ name: String, to other: String) throws(StorageError)

  /// Returns when the names are on the disk.
  mutating func syncNames() throws(StorageError)
}

/// The end of a file that is added to.
package struct LogEnd: Hashable, Sendable {
  package let bytes: Int
  /// Its last byte is an LF, or it is empty.
  package let isAfterLine: Bool

  package init(bytes: Int, isAfterLine: Bool) {
    self.bytes = bytes
    self.isAfterLine = isAfterLine
  }
}

/// A file open for reading, whatever becomes of its name. It is read as it was when it was opened:
/// what is added later is not seen.
package final class LogFile: Sendable {
  /// For people: `log/lobby.log`.
  package let name: String
  package let bytes: Int
  /// The same for two that are one file.
  package let identity: Identity
  private let descriptor: Descriptor

  package struct Identity: Hashable, Sendable {
    let device: UInt
    let number: UInt

    init(_ status: stat) {
      device = UInt(status.st_dev)
      number = UInt(status.st_ino)
    }
  }

  init(_ name: String, _ descriptor: consuming Descriptor) throws(StorageError) {
    var status = stat()
    guard fstat(descriptor.number, &status) == 0 else { throw FileStorage.failure(.read, name) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw StorageError(.read, name, reason: "it is no regular file", code: EINVAL)
    }
    self.name = name
    self.descriptor = descriptor
    bytes = Int(status.st_size)
    identity = Identity(status)
  }

  /// The bytes of `range`, or fewer where somebody has cut the file.
  func read(_ range: Range<Int>) throws(StorageError) -> [UInt8] {
    var failure: StorageError?
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      while count < range.count {
        let result = pread(
          descriptor.number, buffer.baseAddress.map { $0 + count }, range.count - count,
          range.lowerBound + count)
        if result < 0 && errno == EINTR { continue }
        if result < 0 { failure = FileStorage.failure(.read, name) }
        if result <= 0 { return }
        count += result
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

extension LogFiles {
  /// The files of one log that were put aside, by number.
  package func rotated(_ log: LogName) throws(StorageError) -> [Int] {
    try names().compactMap { file in
      guard let (name, number) = LogName.parse(file: file), name == log else { return nil }
      return number
    }.sorted()
  }

  /// All files of one log, the newest first. One that is renamed meanwhile is there once.
  func open(_ log: LogName) throws(StorageError) -> [LogFile] {
    var files: [LogFile] = []
    if let file = try open(log.file) { files.append(file) }
    for number in try rotated(log).reversed() {
      guard let file = try open(log.file(numbered: number)) else { continue }
      if file.identity != files.first?.identity { files.append(file) }
    }
    return files
  }
}
