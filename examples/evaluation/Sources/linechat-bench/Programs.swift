// The programs that are measured: where they are, and how they are started so that none outlives the
// benchmark.

import ArgumentParser
import CBench
import Foundation
import Glibc
import Synchronization

struct ProgramOptions: ParsableArguments {
  @Option(help: "The linechatd to be measured. (default: built in release from this tree)")
  var linechatd: String?

  @Option(help: "The linechat to be measured. (default: built in release from this tree)")
  var linechat: String?

  func path(_ name: String, given: String?) throws -> String {
    if let given {
      guard access(given, X_OK) == 0 else { throw BenchFailure("\(given) is no program") }
      return given
    }
    return try ProgramOptions.built.withLock { built in
      if let path = built[name] { return path }
      let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../..").standardizedFileURL
      try ProgramOptions.run(["swift", "build", "-c", "release", "--product", name], in: root)
      let path = root.appendingPathComponent(".build/release/\(name)").path
      built[name] = path
      return path
    }
  }

  /// Once is enough.
  private static let built = Mutex<[String: String]>([:])

  private static func run(_ words: [String], in directory: URL) throws {
    say(words.joined(separator: " "))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.currentDirectoryURL = directory
    process.standardOutput = FileHandle.standardError
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw BenchFailure("\(words.joined(separator: " ")) failed")
    }
  }
}

/// What is going on, on standard error.
func say(_ text: String) { FileHandle.standardError.write(Data("== \(text)\n".utf8)) }

/// This process keeps off the processor of what it measures, where there is another.
func pinLoad() {
  _ = cbench_pin(Int32(min(1, ProcessInfo.processInfo.processorCount - 1)))
}

/// For as many connections.
func raiseDescriptorLimit(to wanted: Int) throws {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  guard limit.rlim_cur < rlim_t(wanted) else { return }
  guard limit.rlim_max >= rlim_t(wanted) else {
    throw BenchFailure("\(wanted) descriptors are needed, and ulimit -Hn is \(limit.rlim_max)")
  }
  limit.rlim_cur = rlim_t(wanted)
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// A process that runs, from outside.
class Measured {
  let process: pid_t

  init(_ process: pid_t) { self.process = process }

  /// Processor time so far, its own and the kernel's for it, in seconds.
  var cpuSeconds: Double {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return 0 }
    let fields = text[end...].split(separator: " ")
    guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13])
    else { return 0 }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// The same to the nanosecond, as the scheduler counts it; it is less by what interrupts took.
  var scheduledSeconds: Double {
    let threads =
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
    let nanoseconds = threads.compactMap { thread -> Double? in
      let path = "/proc/\(process)/task/\(thread)/schedstat"
      return (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: " ").first
        .flatMap { Double($0) }
    }
    return nanoseconds.reduce(0, +) / 1e9
  }

  /// What it has in memory.
  var memoryMebibytes: Double? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first
    else { return nil }
    return Double(kibibytes).map { $0 / 1_024 }
  }
}

/// A process of ours; it ends with this object.
final class Running: Measured {
  private var isReaped = false

  /// `terminal`: the path of a terminal that is to be its own; else its standard output and error go to
  /// `output` and `errors`, or nowhere.
  init(
    _ words: [String], terminal: String? = nil, output: Int32? = nil, errors: Int32? = nil
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The leader of a session gets the first terminal that it opens.
    _ = cbench_set_own_session(&attributes)
    posix_spawn_file_actions_addopen(&actions, 0, terminal ?? "/dev/null", O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, output ?? 0, 1)
    posix_spawn_file_actions_adddup2(&actions, errors ?? 0, 2)
    // So that nothing is left where the benchmark is killed.
    let all = ["setpriv", "--pdeathsig", "KILL"] + words
    var arguments = all.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var started: pid_t = 0
    let failure = posix_spawnp(&started, "setpriv", &actions, &attributes, &arguments, environ)
    guard failure == 0 else {
      throw BenchFailure("cannot start \(words[0]): \(String(cString: strerror(failure)))")
    }
    super.init(started)
  }

  deinit { end() }

  func end() { end(by: SIGTERM) }

  /// As the system does it to a process, or somebody with `kill -9`.
  func kill() { end(by: SIGKILL) }

  private func end(by signal: Int32) {
    guard !isReaped else { return }
    isReaped = true
    Glibc.kill(process, signal)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }

  /// Processor time of this process, in seconds.
  static var ownCPUSeconds: Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}

/// linechatd with nothing on the disk unless it is given a directory, on a free port unless it is given one.
final class MeasuredServer {
  let running: Running
  let port: UInt16
  private let log: FileHandle

  /// `pinned`: to processor 0.
  init(
    _ path: String, _ arguments: [String] = ["--memory"], port: UInt16 = 0, pinned: Bool = false
  ) throws {
    let pipe = Pipe()
    running = try Running(
      (pinned ? ["taskset", "-c", "0"] : []) + [path, "--listen", "127.0.0.1:\(port)"] + arguments,
      errors: pipe.fileHandleForWriting.fileDescriptor)
    try pipe.fileHandleForWriting.close()
    log = pipe.fileHandleForReading
    var text = ""
    var found: UInt16?
    while found == nil {
      let data = log.availableData
      guard !data.isEmpty else { throw BenchFailure("linechatd ended: \(text)") }
      text += String(decoding: data, as: UTF8.self)
      found =
        text.split(separator: "\n").lazy.filter { $0.contains("listening on ") }
        .compactMap { $0.split(separator: ":").last.flatMap { UInt16($0) } }.first
    }
    guard let found else { throw BenchFailure("linechatd does not listen: \(text)") }
    self.port = found
    // A log that nobody reads would stop it.
    log.readabilityHandler = { _ = $0.availableData }
  }
}
