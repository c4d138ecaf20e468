// A terminal with a program in it and a person before it, played by a test: keys are sent, and what is
// to be seen is waited for. The program leads a session of its own, with this as its controlling
// terminal, so Ctrl-C, Ctrl-Z and changes of size reach it as they do in a terminal window.
//
// Nothing here waits by the clock alone: each wait ends with what it waits for, or fails at a limit
// and shows the screen.

import Foundation
import Glibc

package final class PseudoTerminal {
  package let process: pid_t
  /// The path of the program's side of the terminal.
  package let path: String
  package private(set) var screen: Screen
  /// All bytes that came so far.
  package private(set) var bytes: [UInt8] = []
  private let master: Int32
  private var isClosed = false
  private var hasEnded = false
  private var exitCode: Child.ExitCode?

  /// Starts a program, found on the PATH unless its name has a slash. `environment` is added to this
  /// process's own; a value of nil takes a variable away.
  package init(
    _ command: [String], columns: Int = 80, rows: Int = 24, environment: [String: String?] = [:]
  ) throws {
    var surroundings = ProcessInfo.processInfo.environment
    let usual: [String: String?] = [
      "TERM": "xterm", "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null", "TMUX": nil, "STY": nil,
      "VTE_VERSION": nil, "XTERM_VERSION": nil, "COLUMNS": nil, "LINES": nil,
      "SWIFT_BACKTRACE": nil,
    ]
    for (name, value) in usual.merging(environment, uniquingKeysWith: { $1 }) {
      surroundings[name] = value
    }
    let settings = surroundings.map { "\($0)=\($1)" }
    let program = try Child.find(command[0])
    let words = try [Child.find("setpriv"), "--pdeathsig", "KILL", program] + command.dropFirst()
    screen = Screen(columns: columns, rows: rows)
    (master, path) = try PseudoTerminal.open()
    let (master, path) = (self.master, self.path)
    PseudoTerminal.setSize(master, columns, rows)
    process = try Midwife.only.perform { try PseudoTerminal.bear(words, settings, path, master) }
  }

  deinit {
    if exitCode == nil {
      kill(-process, SIGKILL)
      var status: Int32 = 0
      waitpid(process, &status, 0)
    }
    // Who is left in the session loses its terminal, and gets SIGHUP.
    if !isClosed { close(master) }
  }

  // MARK: What a person does

  /// Types: the bytes of these keys, Enter being `\r`.
  package func send(_ keys: String) throws { try send(Array(keys.utf8)) }

  package func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    let deadline = ContinuousClock.now + .seconds(30)
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(master, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Its own output may have to be read before it takes more.
        guard try read(orWrite: true, until: deadline) else { throw failure("takes no keys") }
      } else if errno != EINTR {
        throw failure("cannot be typed into")
      }
    }
  }

  /// Pastes as terminals do: between markers if the program asked for them, line ends as CR.
  package func paste(_ text: String) throws {
    let keys = text.replacingOccurrences(of: "\n", with: "\r")
    try send(screen.marksPastes ? "\u{1B}[200~\(keys)\u{1B}[201~" : keys)
  }

  /// Gives the window another size; the program gets SIGWINCH.
  package func resize(columns: Int, rows: Int, rewraps: Bool = false) {
    screen.resize(columns: columns, rows: rows, rewraps: rewraps)
    PseudoTerminal.setSize(master, columns, rows)
  }

  /// Sends a signal to the first program in the terminal.
  package func signal(_ number: Int32) { kill(process, number) }

  // MARK: What a person sees

  /// Waits until the screen is as wanted.
  @discardableResult
  package func wait(
    for what: String, within limit: Duration = .seconds(40), _ isIt: (Screen) -> Bool
  ) throws -> Screen {
    let deadline = ContinuousClock.now + limit
    while !isIt(screen) {
      guard !hasEnded, try read(until: deadline) else {
        throw failure("should show \(what)")
      }
    }
    guard screen.unknown.isEmpty else { throw failure("wrote \(screen.unknown)") }
    return screen
  }

  /// The same, doing something again and again until then.
  @discardableResult
  package func wait(
    for what: String, within limit: Duration = .seconds(40), doing nudge: () -> Void,
    _ isIt: (Screen) -> Bool
  ) throws -> Screen {
    let deadline = ContinuousClock.now + limit
    while !isIt(screen), !hasEnded, ContinuousClock.now < deadline {
      nudge()
      _ = try read(until: min(deadline, .now + .milliseconds(300)))
    }
    return try wait(for: what, within: .zero, isIt)
  }

  /// Waits until a row is on the screen.
  @discardableResult
  package func see(_ line: String) throws -> Screen {
    try wait(for: "'\(line)'") { $0.lines.contains(line) }
  }

  /// Waits until the cursor's row is `line`, with the cursor behind it or at `column`.
  @discardableResult
  package func seeTyped(_ line: String, column: Int? = nil) throws -> Screen {
    try wait(for: "'\(line)' with the cursor at \(column.map(String.init) ?? "its end")") {
      $0.cursorLine == line.trimmingSuffix(" ") && $0.column == column ?? line.count
    }
  }

  /// Closes the window; waits for the program's end.
  package func hangUp(within limit: Duration = .seconds(40)) throws -> Child.ExitCode {
    precondition(!isClosed)
    close(master)
    isClosed = true
    hasEnded = true
    return try finish(within: limit)
  }

  /// Waits for the program's end.
  package func finish(within limit: Duration = .seconds(40)) throws -> Child.ExitCode {
    if let exitCode { return exitCode }
    let deadline = ContinuousClock.now + limit
    while !hasEnded {
      guard try read(until: deadline) else { throw failure("should end") }
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      guard errno == EINTR else { throw failure("cannot be waited for") }
    }
    let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    exitCode = code
    return code
  }

  /// The terminal's mode: what programs may change and have to restore.
  package var mode: [UInt32] {
    var mode = termios()
    tcgetattr(master, &mode)
    let characters = withUnsafeBytes(of: &mode.c_cc) { $0.map(UInt32.init) }
    return [mode.c_iflag, mode.c_oflag, mode.c_lflag, mode.c_cflag] + characters
  }

  private func failure(_ what: String) -> TestFailure {
    let (row, column) = (screen.row, screen.column)
    return TestFailure(
      """
      The terminal \(what). The cursor is in row \(row), column \(column) of:
      \(screen.lines.enumerated().map { "\($0)|\($1)" }.joined(separator: "\n"))
      Scrolled off: \(screen.scrolledOff.suffix(5))
      Last bytes: \(String(decoding: bytes.suffix(300), as: UTF8.self).debugDescription)
      """)
  }

  /// Takes in what is there, or waits for it, or until keys are taken. False: the deadline came first.
  private func read(
    orWrite: Bool = false, until deadline: ContinuousClock.Instant
  ) throws -> Bool {
    let left = deadline - ContinuousClock.now
    let events = orWrite ? POLLIN | POLLOUT : POLLIN
    var entry = pollfd(fd: master, events: Int16(events), revents: 0)
    let limit = left <= .zero ? 0 : Int32(clamping: Int64(left / .milliseconds(1)) + 1)
    let ready = poll(&entry, 1, limit)
    guard ready > 0 else { return ready < 0 && errno == EINTR }
    if entry.revents == Int16(POLLOUT) { return true }
    var piece = [UInt8](repeating: 0, count: 65_536)
    let count = Glibc.read(master, &piece, piece.count)
    if count > 0 {
      bytes += piece[..<count]
      screen.show(piece[..<count])
    } else if errno != EINTR && errno != EAGAIN {
      // EIO: nobody has the other side open any more.
      hasEnded = true
    }
    return true
  }
}

// How it is made.
extension PseudoTerminal {
  /// A new terminal: our side of it, and the path of the other one.
  private static func open() throws -> (Int32, String) {
    let master = Glibc.open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
    var unlock: Int32 = 0
    var number: UInt32 = 0
    // TIOCSPTLCK and TIOCGPTN, which Swift does not see.
    guard master >= 0, ioctl(master, 0x4004_5431, &unlock) == 0,
      ioctl(master, 0x8004_5430, &number) == 0
    else { throw TestFailure("no pseudo-terminal: \(String(cString: strerror(errno)))") }
    return (master, "/dev/pts/\(number)")
  }

  private static func setSize(_ master: Int32, _ columns: Int, _ rows: Int) {
    var size = winsize(
      ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(master, UInt(TIOCSWINSZ), &size)
  }

  /// Starts a process that leads a session; the terminal, opened behind that, becomes its own.
  private static func bear(
    _ words: [String], _ environment: [String], _ path: String, _ master: Int32
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, 0, 1)
    posix_spawn_file_actions_adddup2(&actions, 0, 2)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t()
    var none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID, which Swift does not see.
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | 0x80))

    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var settings: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for text in arguments + settings { free(text) } }
    var child: pid_t = 0
    let failure = posix_spawn(&child, words[0], &actions, &attributes, &arguments, &settings)
    guard failure == 0 else {
      close(master)
      throw TestFailure("\(words[0]) did not start: \(String(cString: strerror(failure)))")
    }
    return child
  }
}

extension String {
  fileprivate func trimmingSuffix(_ character: Character) -> String {
    var text = self
    while text.last == character { text.removeLast() }
    return text
  }
}
