// The lines that were entered, over the runs: a text file with a line for each, oldest first, that
// only its owner can read. Each line is appended at once, so that nothing is lost with the process,
// and several shells may use the same file. It is cut now and then, so that it does not grow.
//
// A history that can't be read or written stops nobody from typing: what is wrong is kept in
// `fault`, for the shell to say once.

import Glibc
import LineChat

final class History {
  private let path: String?
  let linesMax: Int
  private(set) var lines: [String] = []

  /// What went wrong with the file, for a person; nil if all went well.
  private(set) var fault: String?

  /// Reads the file, if there is one. At most the last `linesMax` lines count.
  init(path: String?, linesMax: Int) {
    self.path = path
    self.linesMax = max(linesMax, 1)
    guard path != nil else { return }
    noting { () throws(SystemError) in
      let file = try open()
      try load(file.number)
    }
  }

  /// Remembers a line, unless it is empty or was the latest already. True: it is to be remembered.
  func add(_ line: String) -> Bool {
    guard !line.isEmpty, line != lines.last else { return false }
    lines.append(line)
    if lines.count > linesMax { lines.removeFirst(lines.count - linesMax) }
    guard path != nil, History.isFitForFile(line) else { return true }
    noting { () throws(SystemError) in
      let file = try open()
      try History.write(Array((line + "\n").utf8), to: file.number)
    }
    return true
  }

  private func noting(_ body: () throws(SystemError) -> Void) {
    do {
      try body()
    } catch {
      fault = fault ?? "\(path ?? "the history"): \(error)"
    }
  }

  /// Opens the file for reading and appending, and makes it if there is none.
  private func open() throws(SystemError) -> Descriptor {
    let number = Glibc.open(path ?? "", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw SystemError("open") }
    return Descriptor(owning: number)
  }

  private func load(_ file: Int32) throws(SystemError) {
    var status = stat()
    guard fstat(file, &status) == 0 else { throw SystemError("fstat") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError("open", EINVAL) }
    if status.st_mode & 0o077 != 0 { _ = fchmod(file, 0o600) }
    let size = Int(status.st_size)
    let start = max(0, size - ShellLimits.historyBytes)
    let bytes = try History.read(file, from: start, count: size - start)
    var pieces = bytes.split(separator: 0x0A, omittingEmptySubsequences: true)
    // The first one may be the end of a line that was cut.
    if start > 0, !pieces.isEmpty { pieces.removeFirst() }
    let found = pieces.lazy.compactMap { String(validating: $0, as: UTF8.self) }
      .filter { History.isFitForFile($0) }
    lines = Array(found.suffix(linesMax))
    // Two shells must not cut it at once; whoever comes second leaves it to the next start.
    guard start > 0 || pieces.count >= 2 * linesMax, flock(file, LOCK_EX | LOCK_NB) == 0 else {
      return
    }
    let rest = Array(lines.map { $0 + "\n" }.joined().utf8)
    guard ftruncate(file, 0) == 0 else { throw SystemError("ftruncate") }
    try History.write(rest, to: file)
  }

  /// Whether it stays one line, and does nothing to the terminal when the file is looked at.
  private static func isFitForFile(_ line: String) -> Bool {
    line.utf8.count <= ShellLimits.historyLineBytes
      && line.unicodeScalars.allSatisfy { $0 == "\t" || ($0.value >= 0x20 && $0.value != 0x7F) }
  }

  private static func read(
    _ file: Int32, from start: Int, count: Int
  ) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let result = bytes.withUnsafeMutableBytes {
        pread(file, $0.baseAddress.map { $0 + filled }, count - filled, off_t(start + filled))
      }
      if result < 0 {
        guard errno == EINTR else { throw SystemError("read") }
      } else if result == 0 {
        break
      } else {
        filled += result
      }
    }
    return Array(bytes[..<filled])
  }

  private static func write(_ bytes: [UInt8], to file: Int32) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        throw SystemError("write")
      }
    }
  }
}
