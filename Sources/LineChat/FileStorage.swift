// The journal's storage in a real directory.
//
// The rules it keeps:
//   - A file that is added to stays open from one append to the next, and through its sync: an error
//     in writing back is told to the descriptor that was open when it happened. There are never more
//     than three of them: the journal, the one that is to follow it, and the snapshot on its way.
//   - A file that somebody removed while it was open takes bytes and syncs without complaint. That
//     is looked for, and is a failure; and as the journal stays open, no second one is made in its
//     place.
//   - Everything goes through the directory's own descriptor, wherever its path leads by now.
//   - Only regular files are opened, and nothing waits for one: a pipe in the place of a file is a
//     failure, not a thread that hangs.

import Glibc
import LineChatCore

package struct FileStorage: Storage {
  private let directory: OpenFile
  /// Open for adding, the one used last at the end.
  private var openFiles: [OpenFile] = []

  private static let openFilesMax = 3

  /// `path` must be a directory.
  package init(_ path: String) throws(StorageError) {
    let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw FileStorage.failure(.read, path) }
    directory = OpenFile(name: path, Descriptor(owning: number))
  }

  package func names() throws(StorageError) -> [String] {
    try FileStorage.names(in: directory.number, directory.name)
  }

  /// The names in an open directory.
  static func names(in directory: Int32, _ path: String) throws(StorageError) -> [String] {
    // A descriptor of its own, as the place in the list belongs to it.
    let number = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw failure(.list, path) }
    guard let stream = fdopendir(number) else {
      let failure = failure(.list, path)
      close(number)
      throw failure
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw failure(.list, path) }
    return names
  }

  package func read(_ name: String) throws(StorageError) -> [UInt8]? {
    let file: OpenFile
    do throws(StorageError) {
      file = try openFile(name, O_RDONLY, .read)
    } catch {
      guard error.code == ENOENT else { throw error }
      return nil
    }
    var bytes: [UInt8] = []
    var failure: StorageError?
    var isAtEnd = false
    while !isAtEnd {
      // A byte more than the file is said to have, so that its end is seen in the first round.
      let room = max(4_096, try file.status(.read).size - bytes.count + 1)
      bytes += [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        let result = Glibc.read(file.number, buffer.baseAddress, room)
        count = max(0, result)
        isAtEnd = result == 0
        if result < 0 && errno != EINTR { failure = FileStorage.failure(.read, name) }
      }
      if let failure { throw failure }
    }
    return bytes
  }

  package mutating func append(
    _ bytes: UnsafeRawBufferPointer, to name: String
  ) throws(StorageError) {
    let file = try opened(name, making: true, .append)
    try FileStorage.write(bytes, to: file.number, name)
  }

  /// Writes all of it, or throws with some of it written.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to file: Int32, _ name: String
  ) throws(StorageError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: rest)
      let count = Glibc.write(file, piece.baseAddress, piece.count)
      if count < 0 && errno == EINTR { continue }
      // A disk that takes nothing of a file's bytes says why; this is for one that does not.
      guard count > 0 else { throw failure(.append, name, count < 0 ? errno : ENOSPC) }
      rest = rest.dropFirst(count)
    }
  }

  package mutating func sync(_ name: String) throws(StorageError) {
    let file = try opened(name, making: false, .sync)
    while fdatasync(file.number) != 0 {
      guard errno == EINTR else { throw FileStorage.failure(.sync, name) }
    }
    guard try file.status(.sync).links > 0 else {
      throw StorageError(.sync, name, reason: "somebody has removed the file", code: ENOENT)
    }
  }

  package mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    let file = try opened(name, making: false, .truncate)
    while ftruncate(file.number, count) != 0 {
      guard errno == EINTR else { throw FileStorage.failure(.truncate, name) }
    }
  }

  package mutating func rename(_ name: String, to other: String) throws(StorageError) {
    forget(name, other)
    guard renameat(directory.number, name, directory.number, other) == 0 else {
      throw FileStorage.failure(.rename, name)
    }
  }

  package mutating func remove(_ name: String) throws(StorageError) {
    forget(name, name)
    guard unlinkat(directory.number, name, 0) == 0 || errno == ENOENT else {
      throw FileStorage.failure(.remove, name)
    }
  }

  package mutating func syncDirectory() throws(StorageError) {
    while fsync(directory.number) != 0 {
      guard errno == EINTR else { throw FileStorage.failure(.syncDirectory, directory.name) }
    }
    guard try directory.status(.syncDirectory).links > 0 else {
      throw StorageError(
        .syncDirectory, directory.name, reason: "somebody has removed it", code: ENOENT)
    }
  }

  // MARK: Open files

  private mutating func opened(
    _ name: String, making: Bool, _ operation: StorageError.Operation
  ) throws(StorageError) -> OpenFile {
    let file: OpenFile
    if let index = openFiles.firstIndex(where: { $0.name == name }) {
      file = openFiles.remove(at: index)
    } else {
      file = try openFile(name, O_WRONLY | O_APPEND | (making ? O_CREAT : 0), operation)
    }
    openFiles.append(file)
    if openFiles.count > FileStorage.openFilesMax { openFiles.removeFirst() }
    return file
  }

  private func openFile(
    _ name: String, _ flags: Int32, _ operation: StorageError.Operation
  ) throws(StorageError) -> OpenFile {
    let flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let number = openat(directory.number, name, flags, 0o600)
    guard number >= 0 else { throw FileStorage.failure(operation, name) }
    let file = OpenFile(name: name, Descriptor(owning: number))
    guard try file.status(operation).isRegular else {
      throw StorageError(operation, name, reason: "it is no regular file", code: EINVAL)
    }
    return file
  }

  private mutating func forget(_ name: String, _ other: String) {
    openFiles.removeAll { $0.name == name || $0.name == other }
  }

  static func failure(
    _ operation: StorageError.Operation, _ name: String, _ code: Int32 = errno
  ) -> StorageError {
    let reason = SystemError(operation.rawValue, code).reason
    return StorageError(operation, name, reason: reason, code: code)
  }

  private final class OpenFile: Sendable {
    let name: String
    private let descriptor: Descriptor

    var number: Int32 { descriptor.number }

    init(name: String, _ descriptor: consuming Descriptor) {
      self.name = name
      self.descriptor = descriptor
    }

    func status(
      _ operation: StorageError.Operation
    ) throws(StorageError) -> (size: Int, links: Int, isRegular: Bool) {
      var status = stat()
      guard fstat(number, &status) == 0 else { throw FileStorage.failure(operation, name) }
      return (Int(status.st_size), Int(status.st_nlink), status.st_mode & S_IFMT == S_IFREG)
    }
  }
}
