// The directory in which a node keeps what must outlive it: who it belongs to, where it is by
// default, and that only one process uses it at a time.
//
// The lock is held with flock(2) on the file `lock`, in which the holder's process id is written for
// others to read. The kernel drops it with the process, however that ends, so there is no stale lock;
// the file itself stays, as removing it would let two in.

import Glibc
import LineChatCore

package final class StateDirectory: Sendable {
  package let path: String

  /// What the person who runs the node should know, each a sentence for the log.
  package let warnings: [String]

  // Open for as long as the directory is ours.
  private let lock: Descriptor

  private init(_ path: String, _ warnings: [String], _ lock: consuming Descriptor) {
    self.path = path
    self.warnings = warnings
    self.lock = lock
  }

  // Said, not left to closing: a process that another thread is just starting has the descriptor too,
  // until it has become another program, and a lock lasts as long as any of them.
  deinit { flock(lock.number, LOCK_UN) }

  /// Makes the directory where there is none (and those above it), for its owner alone, and takes
  /// it for this process until this object is gone.
  package static func open(_ path: String) throws(ServerError) -> StateDirectory {
    guard !path.isEmpty else {
      throw ServerError(.badDataDirectory, "the data directory's name is empty; name one")
    }
    do throws(SystemError) { try make(path) } catch {
      throw ServerError(badDirectory: path, error)
    }
    let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw ServerError(badDirectory: path, SystemError("open")) }
    let directory = Descriptor(owning: number)
    let warnings = try check(directory, path)
    return StateDirectory(path, warnings, try takeLock(in: directory, path))
  }

  /// The journal's storage in this directory.
  package func storage() throws(StorageError) -> FileStorage { try FileStorage(path) }

  /// `$XDG_STATE_HOME/<program>`, or `~/.local/state/<program>` (XDG Base Directory Specification,
  /// which has a relative path ignored).
  package static func defaultPath(
    for program: String, in environment: [String: String] = processEnvironment()
  ) throws(ServerError) -> String {
    func directory(_ name: String) -> String? {
      environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil }
    }
    if let state = directory("XDG_STATE_HOME") { return "\(state)/\(program)" }
    if let home = directory("HOME") { return "\(home)/.local/state/\(program)" }
    throw ServerError(
      .badDataDirectory,
      "neither XDG_STATE_HOME nor HOME says where to keep what must be remembered; name a directory "
        + "with --data-dir")
  }

  /// The two variables that `defaultPath` looks at, as they are now.
  package static func processEnvironment() -> [String: String] {
    var environment: [String: String] = [:]
    for name in ["XDG_STATE_HOME", "HOME"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    return environment
  }

  // MARK: Making

  private static func make(_ path: String) throws(SystemError) {
    if mkdir(path, 0o700) == 0 { return try syncParent(of: path) }
    if errno == EEXIST { return }
    guard errno == ENOENT, let parent = parent(of: path) else { throw SystemError("mkdir") }
    try make(parent)
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SystemError("mkdir") }
    try syncParent(of: path)
  }

  /// A directory that was made is there after a crash when the one above it is on the disk.
  private static func syncParent(of path: String) throws(SystemError) {
    let number = Glibc.open(parent(of: path) ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else {
      // It may be entered and not read; the rest of the system will have to see to it.
      if errno == EACCES { return }
      throw SystemError("open")
    }
    let directory = Descriptor(owning: number)
    // Some file systems do not sync directories, and say so with EINVAL.
    guard fsync(directory.number) == 0 || errno == EINVAL else { throw SystemError("fsync") }
  }

  private static func parent(of path: String) -> String? {
    var path = path[...]
    while path.count > 1 && path.hasSuffix("/") { path = path.dropLast() }
    guard path != "/", let slash = path.lastIndex(of: "/") else { return nil }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// What is wider open than it should be is said and left as it is: the path may be a mistake, and
  /// somebody else's directory. The files in it are for their owner alone in any case.
  private static func check(
    _ directory: borrowing Descriptor, _ path: String
  ) throws(ServerError) -> [String] {
    var status = stat()
    guard fstat(directory.number, &status) == 0 else {
      throw ServerError(badDirectory: path, SystemError("fstat"))
    }
    let mode = status.st_mode & 0o777
    guard mode & 0o077 != 0 else { return [] }
    return [
      "the data directory \(path) is open to other users (mode 0\(String(mode, radix: 8))); "
        + "chmod 700 keeps it private"
    ]
  }

  // MARK: The lock

  private static func takeLock(
    in directory: borrowing Descriptor, _ path: String
  ) throws(ServerError) -> Descriptor {
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let number = openat(directory.number, "lock", flags, 0o600)
    guard number >= 0 else { throw ServerError(badDirectory: path, SystemError("open")) }
    let lock = Descriptor(owning: number)
    while flock(lock.number, LOCK_EX | LOCK_NB) != 0 {
      switch errno {
      case EINTR: continue
      case EWOULDBLOCK:
        throw ServerError(
          .dataDirectoryInUse,
          "the data directory \(path) is in use by \(holder(of: lock)); stop that one, or name "
            + "another directory with --data-dir")
      default: throw ServerError(badDirectory: path, SystemError("flock"))
      }
    }
    let text = Array("\(getpid())\n".utf8)
    guard ftruncate(lock.number, 0) == 0, pwrite(lock.number, text, text.count, 0) == text.count
    else { throw ServerError(badDirectory: path, SystemError("write")) }
    return lock
  }

  /// "process 4711 (linechatd)", as far as it can be told.
  private static func holder(of lock: borrowing Descriptor) -> String {
    let digits = text(of: lock).prefix { $0 != "\n" }
    guard let process = Int32(digits), process > 0 else { return "another process" }
    let number = Glibc.open("/proc/\(process)/comm", O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return "process \(process)" }
    let file = Descriptor(owning: number)
    let program = text(of: file).prefix { $0 != "\n" }
    return program.isEmpty ? "process \(process)" : "process \(process) (\(program))"
  }

  private static func text(of file: borrowing Descriptor) -> String {
    let number = file.number
    return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
      let count = pread(number, buffer.baseAddress, buffer.count, 0)
      return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
  }
}

extension ServerError {
  fileprivate init(badDirectory path: String, _ cause: SystemError) {
    self.init(
      .badDataDirectory,
      "the data directory \(path) cannot be used: \(cause); see to its permissions and its disk, or "
        + "name another with --data-dir", cause: cause)
  }
}
