// The readable logs in a real directory, `log` in a node's own.
//
// The rules it keeps:
//   - Somebody may move, remove or replace the directory and its files while the node runs: what is
//     written goes where the names lead now, and what is missing is made anew.
//   - At most `openFilesMax` files are open at a time; the one that was used longest ago is closed. One
//     that is synced may have been closed and opened again since it was written to. An error in
//     writing back that happened in between is still told then, unless the kernel has forgotten the
//     file meanwhile; for a log, which anybody may change at any time, that is good enough.
//   - Only regular files are opened, and nothing waits for one.

import Glibc
import LineChatCore

package struct LogDirectory: LogFiles {
  /// The node's directory.
  private let parent: Place
  /// Where files are written; nil before the first, and after it has gone.
  private var directory: Place?
  /// Open for writing, the one used last at the end.
  private var openFiles: [File] = []
  private let openFilesMax: Int
  private var isParentChanged = false

  private static let name = "log"

  /// `path` is the node's directory, which must be there. `log` in it is made when it is needed.
  package init(
    in path: String, openFilesMax: Int = MachineLimits.openLogs
  ) throws(StorageError) {
    let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw FileStorage.failure(.list, path) }
    parent = try Place(Descriptor(owning: number))
    self.openFilesMax = openFilesMax
  }

  /// For people.
  private static func path(_ file: String) -> String { "\(name)/\(file)" }

  // MARK: Reading

  package func names() throws(StorageError) -> [String] {
    guard let place = try found() else { return [] }
    return try FileStorage.names(in: place.number, LogDirectory.name)
  }

  package func open(_ name: String) throws(StorageError) -> LogFile? {
    guard let place = try found() else { return nil }
    let flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let number = openat(place.number, name, flags)
    if number < 0 && errno == ENOENT { return nil }
    guard number >= 0 else { throw FileStorage.failure(.read, LogDirectory.path(name)) }
    return try LogFile(LogDirectory.path(name), Descriptor(owning: number))
  }

  /// The directory as it is now; nil if there is none.
  private func found() throws(StorageError) -> Place? {
    let number = openat(parent.number, LogDirectory.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if number < 0 && errno == ENOENT { return nil }
    guard number >= 0 else { throw FileStorage.failure(.list, LogDirectory.name) }
    return try Place(Descriptor(owning: number))
  }

  // MARK: Writing

  package mutating func end(of name: String) throws(StorageError) -> LogEnd {
    let file = try opened(name)
    var status = stat()
    guard fstat(file.number, &status) == 0 else {
      throw FileStorage.failure(.append, LogDirectory.path(name))
    }
    let bytes = Int(status.st_size)
    guard bytes > 0 else { return LogEnd(bytes: 0, isAfterLine: true) }
    var last: UInt8 = 0
    guard pread(file.number, &last, 1, bytes - 1) == 1 else {
      throw FileStorage.failure(.append, LogDirectory.path(name))
    }
    return LogEnd(bytes: bytes, isAfterLine: last == 0x0A)
  }

  package mutating func append(
    _ bytes: UnsafeRawBufferPointer, to name: String
  ) throws(StorageError) {
    try FileStorage.write(bytes, to: try opened(name).number, LogDirectory.path(name))
  }

  package mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    let file = try opened(name)
    while ftruncate(file.number, count) != 0 {
      guard errno == EINTR else {
        throw FileStorage.failure(.truncate, LogDirectory.path(name))
      }
    }
  }

  package mutating func sync(_ name: String) throws(StorageError) {
    // It is not made here: where it was removed, so was what is to be synced.
    guard let place = try found(), place.identity(of: name) != nil else { return }
    let file = try opened(name)
    while fdatasync(file.number) != 0 {
      guard errno == EINTR else { throw FileStorage.failure(.sync, LogDirectory.path(name)) }
    }
  }

  package mutating func rename(_ name: String, to other: String) throws(StorageError) {
    let place = try makeDirectory()
    openFiles.removeAll { $0.name == name || $0.name == other }
    guard renameat(place.number, name, place.number, other) == 0 else {
      throw FileStorage.failure(.rename, LogDirectory.path(name))
    }
  }

  package mutating func syncNames() throws(StorageError) {
    if isParentChanged {
      guard fsync(parent.number) == 0 || errno == EINVAL else {
        throw FileStorage.failure(.syncDirectory, LogDirectory.name)
      }
      isParentChanged = false
    }
    guard let place = try found() else { return }
    guard fsync(place.number) == 0 || errno == EINVAL else {
      throw FileStorage.failure(.syncDirectory, LogDirectory.name)
    }
  }

  // MARK: Open files

  /// The directory to write to, made where there is none.
  private mutating func makeDirectory() throws(StorageError) -> Place {
    if let directory, parent.identity(of: LogDirectory.name, following: true) == directory.identity
    {
      return directory
    }
    openFiles = []
    directory = nil
    if mkdirat(parent.number, LogDirectory.name, 0o700) == 0 {
      isParentChanged = true
    } else if errno != EEXIST {
      throw FileStorage.failure(.append, LogDirectory.name)
    }
    guard let place = try found() else {
      throw FileStorage.failure(.append, LogDirectory.name, ENOENT)
    }
    directory = place
    return place
  }

  private mutating func opened(_ name: String) throws(StorageError) -> File {
    let place = try makeDirectory()
    if let index = openFiles.firstIndex(where: { $0.name == name }) {
      let file = openFiles.remove(at: index)
      if place.identity(of: name) == file.identity {
        openFiles.append(file)
        return file
      }
    }
    let flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let number = openat(place.number, name, flags, 0o600)
    guard number >= 0 else { throw FileStorage.failure(.append, LogDirectory.path(name)) }
    let file = try File(name, Descriptor(owning: number))
    if openFiles.count >= openFilesMax { openFiles.removeFirst() }
    openFiles.append(file)
    return file
  }

  private final class File: Sendable {
    let name: String
    let identity: LogFile.Identity
    private let descriptor: Descriptor

    var number: Int32 { descriptor.number }

    init(_ name: String, _ descriptor: consuming Descriptor) throws(StorageError) {
      var status = stat()
      guard fstat(descriptor.number, &status) == 0 else {
        throw FileStorage.failure(.append, LogDirectory.path(name))
      }
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw StorageError(
          .append, LogDirectory.path(name), reason: "it is no regular file", code: EINVAL)
      }
      self.name = name
      self.descriptor = descriptor
      identity = LogFile.Identity(status)
    }
  }

  /// An open directory.
  private final class Place: Sendable {
    let identity: LogFile.Identity
    private let descriptor: Descriptor

    var number: Int32 { descriptor.number }

    init(_ descriptor: consuming Descriptor) throws(StorageError) {
      var status = stat()
      guard fstat(descriptor.number, &status) == 0 else {
        throw FileStorage.failure(.list, LogDirectory.name)
      }
      self.descriptor = descriptor
      identity = LogFile.Identity(status)
    }

    /// Which file has that name now.
    func identity(of name: String, following: Bool = false) -> LogFile.Identity? {
      var status = stat()
      guard fstatat(number, name, &status, following ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else {
        return nil
      }
      return LogFile.Identity(status)
    }
  }
}
