// `--on-mention`: a command of the user's that runs when somebody mentions them or writes to them alone.
//
// - What was said is in the command's environment and nowhere else: nothing that somebody writes is
//   ever read by a shell.
// - The command has no terminal: it can neither write on it nor change its mode, and Ctrl-C is not for
//   it.
// - At most one runs at a time, and they begin some time apart. What comes in between is left out; the
//   log says so.
// - Nobody waits for it but a thread that does nothing else.

import CSystem
import Glibc
import LineChat
import LineProtocol
import Logging
import Synchronization

/// When a command may run; without a clock or a process.
struct MentionPace {
  enum Verdict: Hashable {
    case run
    /// It is too soon after the latest.
    case tooSoon
    /// The latest still runs.
    case busy
    /// The latest has run for longer than it may, and is to be ended.
    case stuck
  }

  private let gap: Duration
  private let longest: Duration
  private var startedAt: ContinuousClock.Instant?
  private var isRunning = false
  /// Those left out since the latest began.
  private(set) var skipped = 0

  init(gap: Duration, longest: Duration) {
    self.gap = gap
    self.longest = longest
  }

  /// What is to be done with one that comes now.
  mutating func verdict(_ now: ContinuousClock.Instant) -> Verdict {
    let age = startedAt.map { now - $0 }
    guard isRunning || age.map({ $0 < gap }) == true else {
      startedAt = now
      isRunning = true
      skipped = 0
      return .run
    }
    skipped += 1
    guard isRunning else { return .tooSoon }
    return age.map { $0 >= longest } == true ? .stuck : .busy
  }

  mutating func ended() { isRunning = false }
}

package final class MentionCommand: Sendable {
  /// The option as a variable of the environment.
  package static let variable = "LINECHAT_ON_MENTION"

  private struct State {
    var pace: MentionPace
    /// The one that runs. It is not reaped while it stands here, so its number is no one else's.
    var process: pid_t?
  }

  private let command: String
  private let logger: Logger
  /// What the command finds in its environment beside what was said.
  private let surroundings: [String]
  private let state: Mutex<State>

  package init(
    _ command: String, logger: Logger,
    gap: Duration = .milliseconds(ShellLimits.mentionGapMilliseconds),
    longest: Duration = .seconds(ShellLimits.mentionSeconds)
  ) {
    self.command = command
    self.logger = logger
    surroundings = MentionCommand.inherited()
    state = Mutex(State(pace: MentionPace(gap: gap, longest: longest)))
  }

  /// Runs it, or leaves it out; returns at once.
  package func run(_ mention: Mention) {
    let what = "\(mention.from)\(mention.group.map { " in \($0)" } ?? "")"
    let (verdict, left) = state.withLock { state in
      let left = state.pace.skipped
      let verdict = state.pace.verdict(.now)
      if verdict == .stuck, let process = state.process { kill(-process, SIGKILL) }
      return (verdict, left)
    }
    switch verdict {
    case .run:
      if left > 1 { logger.info("on-mention: \(left) were left out") }
      start(mention, what)
    case .stuck: logger.warning("on-mention: the command did not end, and is killed")
    case .busy, .tooSoon:
      // The first one is named, the others are counted.
      guard left == 0 else { return }
      let why = verdict == .busy ? "the command still runs" : "it ran a moment ago"
      logger.info("on-mention: \(what) is left out, as \(why)")
    }
  }

  /// Says what was left out at last. A command that runs goes on by itself.
  package func end() {
    let left = state.withLock { $0.pace.skipped }
    if left > 1 { logger.info("on-mention: \(left) were left out") }
  }

  private func start(_ mention: Mention, _ what: String) {
    do throws(SystemError) {
      try Thread.start { [self] in
        perform(mention, what)
        state.withLock { $0.pace.ended() }
      }
    } catch {
      state.withLock { $0.pace.ended() }
      logger.warning("on-mention: \(error)")
    }
  }

  // MARK: On its thread

  private func perform(_ mention: Mention, _ what: String) {
    guard let process = spawn(mention) else { return }
    logger.debug("on-mention: runs for \(what)")
    state.withLock { $0.process = process }
    // Waited for without being reaped: until it stands there no more, it may be killed.
    var information = siginfo_t()
    while waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    var status: Int32 = 0
    state.withLock { state in
      state.process = nil
      while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }
    if status & 0x7F != 0 {
      logger.info("on-mention: the command was ended by signal \(status & 0x7F)")
    } else if status != 0 {
      logger.info("on-mention: the command ended with exit code \(status >> 8 & 0xFF)")
    }
  }

  private func spawn(_ mention: Mention) -> pid_t? {
    let settings = surroundings + mention.variables.map { "\($0.name)=\($0.value)" }
    var environment: [UnsafeMutablePointer<CChar>?] = settings.map { strdup($0) }
    environment.append(nil)
    defer { for entry in environment { free(entry) } }
    var process: pid_t = 0
    let failure = csystem_spawn_shell(command, environment, &process)
    guard failure == 0 else {
      logger.warning("on-mention: \(SystemError("posix_spawn", failure))")
      return nil
    }
    return process
  }

  /// The environment of this process, but for what the command is told, and for the option itself: a
  /// linechat that the command starts must not start it again.
  private static func inherited() -> [String] {
    let own = ["FROM", "GROUP", "TEXT", "TIME"].map { "LINECHAT_\($0)=" } + ["\(variable)="]
    var settings: [String] = []
    var at = environ
    while let entry = at.pointee {
      let setting = String(cString: entry)
      if !own.contains(where: { setting.hasPrefix($0) }) { settings.append(setting) }
      at += 1
    }
    return settings
  }
}
