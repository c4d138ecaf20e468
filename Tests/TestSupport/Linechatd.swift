// linechatd as a process of its own, the program that people start: its standard error is read line
// by line, its end is waited for, and it never outlives the test.

import CSystem
import Glibc
import LineChat
import LineProtocol

package final class Linechatd {
  package let process: pid_t
  private let log: Int32
  private var buffer: [UInt8] = []
  private var isAtEnd = false
  private var status: Int32?
  /// What has been read of standard error so far.
  package private(set) var lines: [String] = []

  /// What becomes of the program's standard error.
  package enum StandardError { case read, unread, closed }

  /// Starts the program that was built with the tests. `environment` holds all it gets, but that it
  /// keeps nothing where that is left open. With a `descriptorLimit` it is started by
  /// prlimit, whose place it takes.
  package init(
    _ arguments: [String], environment: [String: String] = [:],
    standardError: StandardError = .read, output: Int32? = nil, descriptorLimit: Int? = nil
  ) throws {
    var ends: (Int32, Int32) = (-1, -1)
    let failed = withUnsafeMutablePointer(to: &ends) {
      $0.withMemoryRebound(to: Int32.self, capacity: 2) { csystem_pipe($0) != 0 }
    }
    if failed { throw TestFailure("pipe: errno \(errno)") }
    var environment = environment
    if !arguments.contains("--data-dir") && environment["LINECHATD_DATA_DIR"] == nil
      && environment["LINECHATD_MEMORY"] == nil
    {
      environment["LINECHATD_MEMORY"] = "1"
    }
    // Only our end stays non-blocking.
    _ = fcntl(ends.1, F_SETFL, 0)
    defer { close(ends.1) }
    log = ends.0

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    switch standardError {
    case .read, .unread: posix_spawn_file_actions_adddup2(&actions, ends.1, 2)
    case .closed: posix_spawn_file_actions_addclose(&actions, 2)
    }
    if let output { posix_spawn_file_actions_adddup2(&actions, output, 1) }
    // Whatever else is open here is none of its business, and would count against its limit.
    for number: Int32 in 3..<1_000 { posix_spawn_file_actions_addclose(&actions, number) }

    var command = [try Linechatd.program] + arguments
    if let limit = descriptorLimit {
      command = ["prlimit", "--nofile=\(limit):\(limit)"] + command
    }
    var pid = pid_t()
    let result = Linechatd.withStrings(command) { argv in
      Linechatd.withStrings(environment.map { "\($0.key)=\($0.value)" }.sorted()) { envp in
        posix_spawnp(&pid, command[0], &actions, nil, argv, envp)
      }
    }
    guard result == 0 else {
      close(log)
      throw TestFailure("cannot start \(command[0]): errno \(result)")
    }
    process = pid
  }

  deinit {
    if status == nil {
      kill(process, SIGKILL)
      var status: Int32 = 0
      waitpid(process, &status, 0)
    }
    close(log)
  }

  /// Beside the test bundle, where the package manager puts both.
  private static var program: String {
    get throws {
      let bundle = CommandLine.arguments.first { $0.contains(".xctest") } ?? ""
      let directory = bundle.split(separator: "/", omittingEmptySubsequences: false)
        .prefix { !$0.hasSuffix(".xctest") }
      let path = (directory + ["linechatd"]).joined(separator: "/")
      guard access(path, X_OK) == 0 else { throw TestFailure("there is no \(path)") }
      return path
    }
  }

  private static func withStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
  ) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { list in
      guard let base = list.baseAddress else { preconditionFailure("it holds a nil at least") }
      return body(base)
    }
  }

  // MARK: What it says

  /// Reads standard error until a line contains `text`, and returns that line.
  @discardableResult
  package func line(containing text: String, within seconds: Double = 20) throws -> String {
    if let line = lines.first(where: { $0.contains(text) }) { return line }
    let deadline = Deadline(seconds: seconds)
    while let line = try nextLine(deadline) {
      if line.contains(text) { return line }
    }
    throw TestFailure("it never said '\(text)'; it said \(lines)")
  }

  private func nextLine(_ deadline: Deadline) throws -> String? {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: buffer[..<end], as: UTF8.self)
        buffer.removeFirst(end + 1)
        lines.append(line)
        return line
      }
      if isAtEnd { return nil }
      var entry = pollfd(fd: log, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, deadline.milliseconds) > 0 || !deadline.hasPassed else {
        throw TestFailure("no line in time; it said \(lines)")
      }
      withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 1) { scratch in
        let count = read(log, scratch.baseAddress, scratch.count)
        if count > 0 {
          buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: scratch[..<count]))
        } else if count == 0 {
          isAtEnd = true
        }
      }
    }
  }

  /// The rest of what it says, once it has ended.
  package func linesToEnd() throws -> [String] {
    let deadline = Deadline(seconds: 20)
    while try nextLine(deadline) != nil {}
    return lines
  }

  /// Where it listens, as it says itself.
  package func addresses(_ count: Int = 1) throws -> [ListenAddress] {
    var found: [ListenAddress] = []
    let deadline = Deadline(seconds: 20)
    while found.count < count {
      guard let line = try nextLine(deadline) else {
        throw TestFailure("it ended before it listened; it said \(lines)")
      }
      guard let start = line.end(of: "listening on ") else { continue }
      let address = line[start...].prefix { $0 != "\"" }
      found.append(try ListenAddress(parsing: String(address)))
    }
    return found
  }

  // MARK: Its end

  package func signal(_ number: Int32) { kill(process, number) }

  /// Waits until it has ended; its exit code, or minus the signal that ended it.
  package func exitCode(within seconds: Double = 20) throws -> Int32 {
    try eventually(within: seconds, "linechatd ends") { hasEnded }
    let status = status ?? 0
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
  }

  /// Whether it has ended by now.
  package var hasEnded: Bool {
    if status != nil { return true }
    var status: Int32 = 0
    guard waitpid(process, &status, WNOHANG) == process else { return false }
    self.status = status
    return true
  }

  /// Lowers the limit of open descriptors while it runs, to so many more than it has; with the
  /// program prlimit, as Swift's module has not the call.
  package func limitDescriptors(toMore more: Int) throws {
    let number = try figures.highestDescriptor() + 1 + more
    var pid = pid_t()
    let arguments = ["prlimit", "--pid", "\(process)", "--nofile=\(number):\(number)"]
    let result = Linechatd.withStrings(arguments) {
      posix_spawnp(&pid, "prlimit", nil, nil, $0, nil)
    }
    guard result == 0 else { throw TestFailure("there is no prlimit: errno \(result)") }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    guard status == 0 else { throw TestFailure("prlimit failed") }
  }

  package var figures: ProcessFigures { ProcessFigures(of: process) }
}

extension String {
  /// Where the first `start` ends.
  fileprivate func end(of start: String) -> String.Index? {
    var at = startIndex
    while at < endIndex {
      if self[at...].hasPrefix(start) { return index(at, offsetBy: start.count) }
      at = index(after: at)
    }
    return nil
  }
}
