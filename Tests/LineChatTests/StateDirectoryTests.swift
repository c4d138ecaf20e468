// The data directory and the files in it, on a real file system.

import Foundation
import Glibc
import LineChat
import LineChatCore
import TestSupport
import Testing

@Suite("A data directory")
struct StateDirectoryTests {
  private static func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o777 : nil
  }

  private static func append(
    _ text: String, to name: String, in storage: inout FileStorage
  ) throws(StorageError) {
    let bytes = Array(text.utf8)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try storage.append(UnsafeRawBufferPointer(copy), to: name)
  }

  // MARK: The directory

  @Test("is made with those above it, for its owner alone, and so are its files")
  func making() throws {
    let parent = try TemporaryDirectory()
    let path = parent.path + "/state/linechatd"
    defer {
      for name in ["lock", "groups.json", "journal.1"] { unlink("\(path)/\(name)") }
      rmdir(path)
      rmdir(parent.path + "/state")
    }
    let directory = try StateDirectory.open(path)
    #expect(directory.warnings.isEmpty)
    var (_, journal) = try Recovery.start(try directory.storage(), snapshotFile: "groups.json")
    try journal.snapshot(Array("{}".utf8), inFlight: [])
    #expect(Self.mode(parent.path + "/state") == 0o700)
    #expect(Self.mode(path) == 0o700)
    #expect(try directory.storage().names().sorted() == ["groups.json", "journal.1", "lock"])
    for name in try directory.storage().names() {
      #expect(Self.mode("\(path)/\(name)") == 0o600)
    }
  }

  @Test("that others can look into is used, left as it is, and said")
  func openToOthers() throws {
    let temporary = try TemporaryDirectory()
    chmod(temporary.path, 0o755)
    let directory = try StateDirectory.open(temporary.path)
    #expect(
      directory.warnings == [
        "the data directory \(temporary.path) is open to other users (mode 0755); chmod 700 keeps "
          + "it private"
      ])
    #expect(Self.mode(temporary.path) == 0o755)
  }

  @Test("is used by one at a time, and the second is told by whom")
  func lock() throws {
    let temporary = try TemporaryDirectory()
    var first: StateDirectory? = try StateDirectory.open(temporary.path)
    let error = #expect(throws: ServerError.self) { try StateDirectory.open(temporary.path) }
    #expect(error?.kind == .dataDirectoryInUse)
    let text = error?.description ?? ""
    #expect(text.contains(" is in use by process \(getpid()) ("))
    #expect(text.hasSuffix("stop that one, or name another directory with --data-dir"))
    withExtendedLifetime(first) {}
    first = nil
    _ = try StateDirectory.open(temporary.path)
  }

  @Test("is free when it is given up, also while a process that is being started has its lock")
  func inherited() throws {
    let temporary = try TemporaryDirectory()
    var first: StateDirectory? = try StateDirectory.open(temporary.path)
    let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      .compactMap { Int32($0) }
    let number = try #require(
      numbers.first {
        let link = "/proc/self/fd/\($0)"
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link)
        return target == temporary.path + "/lock"
      })
    // What fork makes: another descriptor of the same open file.
    let copy = fcntl(number, F_DUPFD_CLOEXEC, 0)
    defer { close(copy) }
    _ = first
    first = nil
    _ = try StateDirectory.open(temporary.path)
  }

  @Test("is free again when the process that had it is gone, whatever its lock file says")
  func otherProcess() throws {
    let temporary = try TemporaryDirectory()
    let lock = temporary.path + "/lock"
    // `flock` holds the lock as long as `cat` has not seen the end of its input.
    let holder = try #require(popen("exec flock '\(lock)' cat", "w"))
    func refusal() -> ServerError? {
      do throws(ServerError) {
        _ = try StateDirectory.open(temporary.path)
        return nil
      } catch {
        return error
      }
    }
    try eventually("the other process has the lock") { refusal() != nil }
    for (content, name) in [
      ("1\n", "process 1 ("), ("nonsense", "another process;"), ("", "another process;"),
      ("-5\n", "another process;"), ("999999999\n", "process 999999999;"),
    ] {
      let file = open(lock, O_WRONLY | O_TRUNC)
      #expect(write(file, content, content.utf8.count) == content.utf8.count)
      close(file)
      #expect(refusal()?.kind == .dataDirectoryInUse)
      #expect(refusal()?.description.contains("in use by \(name)") == true)
    }
    pclose(holder)
    #expect(refusal() == nil)
  }

  @Test("that cannot be is refused, with the cause")
  func impossible() throws {
    let temporary = try TemporaryDirectory()
    let file = temporary.path + "/file"
    close(open(file, O_CREAT | O_WRONLY, 0o600))
    #expect(throws: ServerError.self) { try StateDirectory.open("") }
    for path in [file, file + "/below", "/proc/no/such"] {
      let error = #expect(throws: ServerError.self) { try StateDirectory.open(path) }
      #expect(error?.kind == .badDataDirectory)
      #expect(error?.description.contains(path) == true)
    }
    // A link in the lock's place is not followed.
    let directory = temporary.path + "/directory"
    #expect(mkdir(directory, 0o700) == 0)
    #expect(symlink(file, directory + "/lock") == 0)
    let error = #expect(throws: ServerError.self) { try StateDirectory.open(directory) }
    #expect(error?.cause?.code == ELOOP)
    unlink(directory + "/lock")
    rmdir(directory)
  }

  @Test("lies where XDG_STATE_HOME or HOME say")
  func defaultPath() throws {
    func path(_ environment: [String: String]) throws(ServerError) -> String {
      try StateDirectory.defaultPath(for: "linechatd", in: environment)
    }
    #expect(try path(["XDG_STATE_HOME": "/s", "HOME": "/h"]) == "/s/linechatd")
    #expect(try path(["HOME": "/h"]) == "/h/.local/state/linechatd")
    #expect(try path(["XDG_STATE_HOME": "relative", "HOME": "/h"]) == "/h/.local/state/linechatd")
    #expect(try path(["XDG_STATE_HOME": "", "HOME": "/h"]) == "/h/.local/state/linechatd")
    for environment in [[:], ["HOME": ""], ["HOME": "h", "XDG_STATE_HOME": "s"]] {
      let error = #expect(throws: ServerError.self) { try path(environment) }
      #expect(error?.kind == .badDataDirectory)
      #expect(error?.description.hasSuffix("name a directory with --data-dir") == true)
    }
  }

  // MARK: Files

  @Test("keeps bytes as they are written, in as many pieces as you like")
  func files() throws {
    let temporary = try TemporaryDirectory()
    var storage = try FileStorage(temporary.path)
    #expect(try storage.names().isEmpty)
    #expect(try storage.read("a") == nil)
    try Self.append("", to: "a", in: &storage)
    #expect(try storage.read("a") == [])
    let long = String(repeating: "0123456789", count: 100_000)
    try Self.append("one\n", to: "a", in: &storage)
    try Self.append(long, to: "a", in: &storage)
    try storage.sync("a")
    #expect(try storage.read("a") == Array(("one\n" + long).utf8))
    try storage.truncate("a", to: 4)
    try Self.append("two\n", to: "b", in: &storage)
    try Self.append("three\n", to: "a", in: &storage)
    #expect(try storage.read("a") == Array("one\nthree\n".utf8))
    try storage.rename("a", to: "b")
    // The name is another file's now; what was open under it is not written to.
    try Self.append("new\n", to: "a", in: &storage)
    #expect(try storage.read("b") == Array("one\nthree\n".utf8))
    try storage.syncDirectory()
    try storage.remove("a")
    try storage.remove("a")
    #expect(try storage.names() == ["b"])
  }

  @Test("tells a file that was removed from under it, and a directory")
  func removed() throws {
    let temporary = try TemporaryDirectory()
    let path = temporary.path + "/state"
    #expect(mkdir(path, 0o700) == 0)
    var storage = try FileStorage(path)
    try Self.append("one\n", to: "a", in: &storage)
    unlink(path + "/a")
    var error = #expect(throws: StorageError.self) { try storage.sync("a") }
    #expect(error?.description == "cannot sync a: somebody has removed the file")
    rmdir(path)
    error = #expect(throws: StorageError.self) { try storage.syncDirectory() }
    #expect(error?.description == "cannot sync the directory of \(path): somebody has removed it")
    error = #expect(throws: StorageError.self) {
      try Self.append("one\n", to: "b", in: &storage)
    }
    #expect(error?.code == ENOENT)
  }

  @Test("takes nothing but files for files")
  func strangeFiles() throws {
    let temporary = try TemporaryDirectory()
    #expect(mkfifo(temporary.path + "/pipe", 0o600) == 0)
    #expect(mkdir(temporary.path + "/directory", 0o700) == 0)
    #expect(symlink("/etc/hostname", temporary.path + "/link") == 0)
    var storage = try FileStorage(temporary.path)
    for name in ["pipe", "directory", "link"] {
      #expect(throws: StorageError.self) { try storage.read(name) }
      #expect(throws: StorageError.self) { try Self.append("x", to: name, in: &storage) }
    }
    rmdir(temporary.path + "/directory")
  }

  @Test(
    "in which nothing may be written is refused",
    .enabled(if: geteuid() != 0))
  func readOnly() throws {
    let temporary = try TemporaryDirectory()
    chmod(temporary.path, 0o500)
    let error = #expect(throws: ServerError.self) { try StateDirectory.open(temporary.path) }
    #expect(error?.cause?.code == EACCES)
    chmod(temporary.path, 0o700)
  }
}
