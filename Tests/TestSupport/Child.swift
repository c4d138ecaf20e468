// Other programs, run by the tests: started with pipes at their three standard streams, talked to
// with a time limit on everything, and never left behind.
//
// Rules: a program that is not installed is an error that says how to install it, not a skipped
// test. Each child leads a process group of its own, and ending it ends the group; if this process
// ends in whatever way, the kernel ends the children. Reading waits in poll(2) for bytes or the
// limit; nothing here waits by the clock alone.

import Foundation
import Glibc
import Synchronization

package final class Child {
  package enum Stream: Int { case output, errors }

  /// How a child ended, as a shell would say it: 128 and the signal's number for a killed one.
  package typealias ExitCode = Int32

  package let command: [String]
  package let process: pid_t
  private var input: Int32
  private var outputs: [Int32]
  private var received: [[UInt8]] = [[], []]
  private var taken = [0, 0]
  private var exitCode: ExitCode?

  /// Writing to a child that has gone must fail, not end the tests.
  private static let ignoreBrokenPipes: Void = { _ = Glibc.signal(SIGPIPE, SIG_IGN) }()

  /// Starts a program, found on the PATH unless its name has a slash. `environment` is added to
  /// this process's own.
  package init(_ command: [String], environment: [String: String] = [:]) throws {
    self.command = command
    Child.ignoreBrokenPipes
    // setpriv becomes the program, after it has asked the kernel to end it with its parent.
    let words =
      try ["setpriv", "--pdeathsig", "TERM", Child.find(command[0])] + command.dropFirst()
    let surroundings = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    (process, input, outputs) = try Midwife.only.perform {
      try Child.bear(words, surroundings.map { "\($0)=\($1)" })
    }
  }

  /// Starts a process; gives its id, and our ends of the pipes at its standard streams.
  private static func bear(
    _ words: [String], _ environment: [String]
  ) throws -> (pid_t, input: Int32, outputs: [Int32]) {
    let program = try find(words[0])
    let (childInput, ourInput) = try Child.pipe()
    let (ourOutput, childOutput) = try Child.pipe()
    let (ourErrors, childErrors) = try Child.pipe()
    defer { for descriptor in [childInput, childOutput, childErrors] { close(descriptor) } }

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, childInput, 0)
    posix_spawn_file_actions_adddup2(&actions, childOutput, 1)
    posix_spawn_file_actions_adddup2(&actions, childErrors, 2)

    // What this process ignores or blocks (a server ignores SIGPIPE) is not to be inherited.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t()
    var none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var settings: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for text in arguments + settings { free(text) } }

    var child: pid_t = 0
    let failure = posix_spawn(&child, program, &actions, &attributes, &arguments, &settings)
    guard failure == 0 else {
      for descriptor in [ourInput, ourOutput, ourErrors] { close(descriptor) }
      throw TestFailure("\(program) did not start: \(String(cString: strerror(failure)))")
    }
    // A write to a child that reads no more must not hang the test.
    _ = fcntl(ourInput, F_SETFL, O_NONBLOCK)
    return (child, ourInput, [ourOutput, ourErrors])
  }

  deinit {
    if exitCode == nil {
      kill(-process, SIGKILL)
      var status: Int32 = 0
      waitpid(process, &status, 0)
    }
    closeInput()
    for descriptor in outputs where descriptor >= 0 { close(descriptor) }
  }

  /// Writes all of it, or fails at the limit. Somebody who has gone already is no failure: what it
  /// did with the rest is told by its output.
  package func write(_ text: String, within limit: Duration = .seconds(20)) throws {
    var rest = Array(text.utf8)[...]
    let deadline = ContinuousClock.now + limit
    while !rest.isEmpty {
      var entry = pollfd(fd: input, events: Int16(POLLOUT), revents: 0)
      guard poll(&entry, 1, milliseconds(until: deadline)) > 0 else {
        throw failure("does not read what is written to it")
      }
      let count = rest.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EPIPE { return }
        guard errno == EAGAIN || errno == EINTR else { throw failure("cannot be written to") }
      } else {
        rest = rest.dropFirst(count)
      }
    }
  }

  package func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// The next line of a stream, without its end; nil at the stream's end.
  package func line(of stream: Stream, within limit: Duration = .seconds(20)) throws -> String? {
    let deadline = ContinuousClock.now + limit
    while true {
      let fresh = received[stream.rawValue].dropFirst(taken[stream.rawValue])
      if let end = fresh.firstIndex(of: 0x0A) {
        taken[stream.rawValue] = end + 1
        return String(decoding: fresh[..<end], as: UTF8.self)
      }
      if outputs[stream.rawValue] < 0 {
        taken[stream.rawValue] = fresh.endIndex
        return fresh.isEmpty ? nil : String(decoding: fresh, as: UTF8.self)
      }
      guard try read(until: deadline) else { throw failure("says nothing more") }
    }
  }

  /// The first line of a stream, from here on, that contains `text`.
  @discardableResult
  package func line(
    of stream: Stream, containing text: String, within limit: Duration = .seconds(20)
  ) throws -> String {
    let deadline = ContinuousClock.now + limit
    while let line = try line(of: stream, within: deadline - ContinuousClock.now) {
      if line.contains(text) { return line }
    }
    throw failure("ended without saying '\(text)'")
  }

  /// Reads to the end of both streams and waits for the exit.
  package func finish(within limit: Duration = .seconds(20)) throws -> ExitCode {
    if let exitCode { return exitCode }
    let deadline = ContinuousClock.now + limit
    while outputs.contains(where: { $0 >= 0 }) {
      guard try read(until: deadline) else { throw failure("does not end") }
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      guard errno == EINTR else { throw failure("cannot be waited for") }
    }
    let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    exitCode = code
    return code
  }

  /// It has ended, by itself or not; `finish` tells how.
  package var hasEnded: Bool {
    var information = siginfo_t()
    let options = Int32(WEXITED) | Int32(WNOHANG) | Int32(WNOWAIT)
    guard exitCode == nil else { return true }
    return waitid(P_PID, id_t(process), &information, options) == 0 && information.si_signo != 0
  }

  package func signal(_ number: Int32) {
    if exitCode == nil { kill(process, number) }
  }

  /// Ends it at once, and what it started.
  package func end() throws {
    if exitCode == nil { kill(-process, SIGKILL) }
    _ = try finish()
  }

  /// All that came on a stream so far.
  package func text(of stream: Stream) -> String {
    String(decoding: received[stream.rawValue], as: UTF8.self)
  }

  /// Takes in what is there, or waits for it. False: the deadline came first.
  private func read(until deadline: ContinuousClock.Instant) throws -> Bool {
    var entries = outputs.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let ready = poll(&entries, nfds_t(entries.count), milliseconds(until: deadline))
    if ready == 0 { return false }
    if ready < 0 {
      guard errno == EINTR else { throw failure("cannot be polled") }
      return true
    }
    for (index, entry) in entries.enumerated() where entry.revents != 0 {
      var piece = [UInt8](repeating: 0, count: 65_536)
      let count = Glibc.read(outputs[index], &piece, piece.count)
      if count > 0 {
        received[index] += piece[..<count]
      } else if count == 0 || errno != EINTR {
        close(outputs[index])
        outputs[index] = -1
      }
    }
    return true
  }

  private func failure(_ what: String) -> TestFailure {
    TestFailure(
      """
      \(command.joined(separator: " ")) \(what).
      Standard output so far: \(text(of: .output))
      Standard error so far: \(text(of: .errors))
      """)
  }

  private func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
    let left = deadline - ContinuousClock.now
    return left <= .zero ? 0 : Int32(clamping: Int64(left / .milliseconds(1)) + 1)
  }

  /// Both ends close on exec: a child gets copies of the ones that are its own.
  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard Glibc.pipe(&ends) == 0 else {
      throw TestFailure("no pipe: \(String(cString: strerror(errno)))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// The path of a program.
  package static func find(_ name: String) throws -> String {
    if name.contains("/") { return name }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(
      separator: ":")
    for folder in folders where access("\(folder)/\(name)", X_OK) == 0 {
      return "\(folder)/\(name)"
    }
    throw TestFailure(
      "\(name) is not installed, and this test needs it: run Tests/run.sh, which installs it")
  }
}

/// The thread on which all children are born. Between making a pipe and closing its ends on exec no
/// other may be born, as it would keep the pipe open; and a child ends with the thread that bore it,
/// so that thread must last as long as this process.
final class Midwife: Sendable {
  static let only = Midwife()

  private let work = Mutex<[@Sendable () -> Void]>([])
  private let hasWork = DispatchSemaphore(value: 0)

  private init() {
    Thread.detachNewThread { [self] in
      while true {
        hasWork.wait()
        work.withLock { $0.removeFirst() }()
      }
    }
  }

  func perform<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let outcome = Outcome<Value>()
    work.withLock { $0.append { outcome.set(Result { try body() }) } }
    hasWork.signal()
    return try outcome.wait().get()
  }

  private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    func set(_ outcome: Result<Value, any Error>) {
      result.withLock { $0 = outcome }
      isThere.signal()
    }

    func wait() -> Result<Value, any Error> {
      isThere.wait()
      guard let outcome = result.withLock({ $0 }) else {
        preconditionFailure("it is set before it is told")
      }
      return outcome
    }
  }
}
