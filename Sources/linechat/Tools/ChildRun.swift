// A command under way: its standard output and error pass through pipes of ours, its last lines are kept on
// the way, and signals that come to us are sent to it.
//
// The rules it keeps:
//   - Nothing is written before there is room for it, so that signals are passed on whatever happens to
//     the output. Where nobody reads that any more, the command finds its pipe broken, as it would without
//     us.
//   - A signal that a terminal sends has come to the command as well, and is not sent again.
//   - Who is left behind by a command that has ended, and still has its output, is listened to for two
//     seconds.

import CSystem
import Glibc
import LineChat
import LineTools

final class ChildRun {
  private let words: [String]
  /// Signals that the command takes as programs do by default.
  private let defaults: [Int32]
  private var last: LastLines
  private var streams: [Stream] = []
  private var signals: Descriptor?
  private var process: pid_t = 0
  private var end: RunReport.End?
  private var endedAt: Int64?

  private static let passedOn = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]
  private static let lingeringSeconds = 2.0
  /// What a pipe takes without waiting, where there is room.
  private static let pieceBytes = 4_096

  /// One of the two that pass through.
  private final class Stream {
    /// Nil: at its end, or nobody is left who reads it.
    private var source: Descriptor?
    let target: Int32
    var pending: ArraySlice<UInt8> = []

    init(_ source: consuming Descriptor, _ target: Int32) {
      self.source = consume source
      self.target = target
    }

    /// What to poll for reading; -1: nothing.
    var number: Int32 {
      switch source {
      case .some(let source): source.number
      case .none: -1
      }
    }

    /// Who writes to it finds its pipe broken from here on.
    func close() { source = nil }
  }

  init(_ words: [String], lastLines: Int, defaults: [Int32]) {
    self.words = words
    self.defaults = defaults
    last = LastLines(lastLines, streams: 2)
  }

  /// Runs it to its end. Throws where the system gives no pipes.
  func run() throws -> (end: RunReport.End, microseconds: Int64, last: [[UInt8]]) {
    let began = Moment.now
    do throws(SystemError) {
      try openSignals()
      try start()
    } catch {
      throw Tool.Failure(.unreachable, "\(words[0]) cannot be started: \(error)")
    }
    if process > 0 { try passThrough() }
    return (end ?? .exited(0), (endedAt ?? Moment.now) - began, last.finish())
  }

  // MARK: Starting

  private func openSignals() throws(SystemError) {
    var set = sigset_t()
    sigemptyset(&set)
    // Those that whoever started us has ignored stay ignored, by the command too.
    let numbers = ChildRun.passedOn.filter { !Tool.isIgnored($0) } + [SIGCHLD]
    for number in numbers { sigaddset(&set, number) }
    sigprocmask(SIG_BLOCK, &set, &before)
    // Without it nobody would be told of the end.
    signal(SIGCHLD, SIG_DFL)
    let number = csystem_open_signals(numbers, Int32(numbers.count))
    guard number >= 0 else { throw SystemError("signalfd") }
    signals = Descriptor(owning: number)
  }

  private var before = sigset_t()

  private func start() throws(SystemError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    let output = try ChildRun.pipe()
    let errors = try ChildRun.pipe()
    defer { for number in [output.write, errors.write] { close(number) } }
    streams = [
      Stream(Descriptor(owning: output.read), STDOUT_FILENO),
      Stream(Descriptor(owning: errors.read), STDERR_FILENO),
    ]
    posix_spawn_file_actions_adddup2(&actions, output.write, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, errors.write, STDERR_FILENO)
    var set = sigset_t()
    sigemptyset(&set)
    for number in defaults { sigaddset(&set, number) }
    posix_spawnattr_setsigdefault(&attributes, &set)
    posix_spawnattr_setsigmask(&attributes, &before)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var arguments = ChildRun.lastArguments(words.count) + [nil]
    guard let program = arguments[0] else { throw SystemError("exec", EINVAL) }
    let failure = posix_spawnp(&process, program, &actions, &attributes, &arguments, environ)
    guard failure != 0 else { return }
    process = 0
    let reason = SystemError("exec", failure).reason
    end = .notStarted(reason, isMissing: failure == ENOENT)
    Tool.say("\(words[0]) cannot be started: \(reason)")
  }

  /// The command is what stands last on our command line, and is handed on byte for byte: as a String, a
  /// name that is no UTF-8 would be another.
  private static func lastArguments(_ count: Int) -> [UnsafeMutablePointer<CChar>?] {
    let all = Int(CommandLine.argc)
    return (max(0, all - count)..<all).map { CommandLine.unsafeArgv[$0] }
  }

  /// Ours does not block; both close on exec.
  private static func pipe() throws(SystemError) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard Glibc.pipe(&ends) == 0 else { throw SystemError("pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    return (ends[0], ends[1])
  }

  // MARK: Under way

  private func passThrough() throws {
    var lingers: Moment?
    while true {
      if end != nil && lingers == nil { lingers = Moment(in: ChildRun.lingeringSeconds) }
      let isDone = streams.allSatisfy { $0.number < 0 && $0.pending.isEmpty }
      let isDry = streams.allSatisfy(\.pending.isEmpty)
      if let lingers, isDone || (isDry && lingers.hasPassed) { return }
      var entries = [pollfd(fd: signals?.number ?? -1, events: Int16(POLLIN), revents: 0)]
      for stream in streams {
        if !stream.pending.isEmpty {
          entries.append(pollfd(fd: stream.target, events: Int16(POLLOUT), revents: 0))
        } else {
          entries.append(pollfd(fd: stream.number, events: Int16(POLLIN), revents: 0))
        }
      }
      _ = poll(&entries, nfds_t(entries.count), isDry ? lingers?.milliseconds ?? -1 : -1)
      if entries[0].revents != 0 { takeSignals() }
      for (index, stream) in streams.enumerated() where entries[index + 1].revents != 0 {
        if stream.pending.isEmpty { read(index) } else { write(stream) }
      }
    }
  }

  private func read(_ index: Int) {
    let stream = streams[index]
    var piece = [UInt8](repeating: 0, count: 65_536)
    let count = Glibc.read(stream.number, &piece, piece.count)
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
    guard count > 0 else {
      stream.close()
      return
    }
    last.take(piece[..<count], from: index)
    stream.pending = piece[..<count]
  }

  private func write(_ stream: Stream) {
    let piece = stream.pending.prefix(ChildRun.pieceBytes)
    let count = piece.withUnsafeBytes { Glibc.write(stream.target, $0.baseAddress, $0.count) }
    if count >= 0 {
      stream.pending = stream.pending.dropFirst(count)
    } else if errno != EAGAIN && errno != EINTR {
      // Nobody takes it: so the command is to be told.
      stream.pending = []
      stream.close()
    }
  }

  // MARK: Signals

  private func takeSignals() {
    guard let number = signals?.number else { return }
    var isFromTerminal: Int32 = 0
    while true {
      let signal = csystem_take_signal(number, &isFromTerminal)
      if signal == 0 { return }
      if signal == SIGCHLD {
        reap()
      } else if end == nil {
        // What the terminal sends, it sends to the command as well.
        if isFromTerminal == 0 { kill(process, signal) }
      } else if let end {
        // It waits for nobody but those who read its output.
        _exit(ChildRun.code(end))
      }
    }
  }

  private func reap() {
    var status: Int32 = 0
    guard waitpid(process, &status, WNOHANG) == process else { return }
    endedAt = Moment.now
    let signal = status & 0x7F
    end =
      signal == 0
      ? .exited((status >> 8) & 0xFF)
      : .killed(signal, signal: ChildRun.name(of: signal))
  }

  static func code(_ end: RunReport.End) -> Int32 {
    switch end {
    case .exited(let code): code
    case .killed(let number, _): 128 + number
    // As shells have it.
    case .notStarted(_, let isMissing): isMissing ? 127 : 126
    }
  }

  /// `SIGTERM`, or its number where it is none of those that people know.
  private static func name(of signal: Int32) -> String {
    let names = [
      SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGABRT: "SIGABRT",
      SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1",
      SIGSEGV: "SIGSEGV", SIGUSR2: "SIGUSR2", SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM",
      SIGTERM: "SIGTERM", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ", SIGTRAP: "SIGTRAP",
      SIGSYS: "SIGSYS",
    ]
    return names[signal] ?? "signal \(signal)"
  }

  /// From here on, while others are told, a signal ends this program with the command's code.
  func endOnSignal(_ code: Int32) {
    guard let number = signals?.number else { return }
    try? Thread.start {
      var isFromTerminal: Int32 = 0
      while true {
        var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        poll(&entry, 1, -1)
        let signal = csystem_take_signal(number, &isFromTerminal)
        if signal != 0 && signal != SIGCHLD { _exit(code) }
      }
    }
  }
}

extension Moment {
  /// Microseconds on a clock that goes on while the machine sleeps.
  fileprivate static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }
}
