// The line being typed, in a terminal: GNU readline's callback interface, and everything that is done
// around it so that lines can appear above while somebody types.
//
// - Readline is one set of global variables. There is one editor at a time, used by one thread.
// - Readline gets its keys from `keys`, never from the terminal: so it cannot wait for any.
// - The line is either shown, and readline knows where the cursor is; or it is not, the cursor stands
//   at the beginning of an empty row, and readline draws nothing (`isShown`). Whatever is to be
//   written in between hides it first. It is shown again at the end of the loop's round, once,
//   however much was written.
// - A line that was entered is taken off the screen. What becomes of it is for the shell to show.
// - On a terminal that cannot move the cursor up nothing is taken off: the line stays where it is,
//   and is written again below.

import CReadline
import CSystem
import Glibc
import LineChat
import LineProtocol

final class LineEditor {
  /// Whom readline's callbacks belong to: they carry no context.
  nonisolated(unsafe) static var current: LineEditor?

  static let input: Int32 = 0
  static let output: Int32 = 1

  /// Answers TAB.
  var complete: (CompletionRequest) -> Completion = { _ in .none }

  /// What happened, to be taken by the loop in this order.
  private(set) var events: [TerminalEvent] = []

  private(set) var columns = 80
  private(set) var rows = 24

  /// When a paste under way is given up, if its end does not come.
  private(set) var pasteDeadline: ContinuousClock.Instant?

  private(set) var isColored: Bool
  let history: History
  /// The terminal can move its cursor up and erase.
  var canErase = false
  var isShown = false
  private var keys: [UInt8] = []
  private var keysTaken = 0
  private(set) var latestKey: UInt8 = 0
  private var filter = KeyFilter()
  /// Nothing will come from the terminal any more.
  private(set) var isAtEnd = false
  private var hasToldEnd = false
  private var prompt = StyledText("> ")
  private var isPromptStale = false
  private var isRaw = false
  private var rewrapping = Rewrapping.unknown

  init(isColored: Bool, history: History) {
    self.isColored = isColored
    self.history = history
  }

  // MARK: Beginning and end

  func start() throws(SystemError) {
    precondition(LineEditor.current == nil, "there is one terminal, and one editor for it")
    try openOutput()
    LineEditor.current = self
    installCallbacks()
    for line in history.lines { add_history(line) }
    canErase = rl_get_termcap("up") != nil && rl_get_termcap("ce") != nil
    isColored = isColored && canErase
    rewrapping = .of { getenv($0).map { String(cString: $0) } }
    do {
      try enterRawMode()
    } catch {
      LineEditor.current = nil
      throw error
    }
    measure()
    installHandler()
  }

  func stop() {
    guard LineEditor.current === self else { return }
    hide()
    rl_callback_handler_remove()
    leaveRawMode()
    LineEditor.current = nil
  }

  /// Readline's output goes through a stream of its own with a large buffer: taking the line away,
  /// what is written, and the line again reach the terminal in one piece, and nothing flickers.
  private func openOutput() throws(SystemError) {
    let number = fcntl(LineEditor.output, F_DUPFD_CLOEXEC, 3)
    guard number >= 0, let stream = fdopen(number, "w") else { throw SystemError("fdopen") }
    setvbuf(stream, nil, Int32(_IOFBF), 1 << 16)
    rl_outstream = stream
    // Who left it so left it so for readers; a write that is refused would tear the picture.
    let flags = fcntl(LineEditor.output, F_GETFL)
    if flags & O_NONBLOCK != 0 { _ = fcntl(LineEditor.output, F_SETFL, flags & ~O_NONBLOCK) }
  }

  private func installHandler() {
    rl_callback_handler_install(renderedPrompt, lineWasEntered)
  }

  private func enterRawMode() throws(SystemError) {
    guard csystem_guard_terminal(LineEditor.input) == 0 else { throw SystemError("tcgetattr") }
    rl_prep_terminal(1)
    // Ctrl-S would stop the whole terminal until somebody thinks of Ctrl-Q; here it searches forward.
    var mode = termios()
    if tcgetattr(LineEditor.input, &mode) == 0 {
      mode.c_iflag &= ~tcflag_t(IXON)
      _ = tcsetattr(LineEditor.input, TCSADRAIN, &mode)
    }
    isRaw = true
  }

  private func leaveRawMode() {
    guard isRaw else { return }
    isRaw = false
    rl_deprep_terminal()
    csystem_unguard_terminal()
  }

  // MARK: Keys

  /// The terminal is readable: takes what is there.
  func receive() {
    var bytes = [UInt8](repeating: 0, count: ShellLimits.readBytes)
    let count = read(LineEditor.input, &bytes, bytes.count)
    if count > 0 {
      filter.take(bytes[..<count], into: &keys)
      pasteDeadline =
        filter.isHolding ? .now + .milliseconds(ShellLimits.pasteSilenceMilliseconds) : nil
    } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
      isAtEnd = true
    }
  }

  /// The end of a paste did not come.
  func givePasteUp() {
    pasteDeadline = nil
    filter.endPaste(into: &keys)
  }

  /// The next thing that happened. With `takingKeys` readline gets keys for as long as nothing came
  /// of them; what follows stays in the queue, so that the shell can answer before it is looked at.
  func nextEvent(takingKeys: Bool) -> TerminalEvent? {
    while takingKeys, events.isEmpty, hasKeys || rl_pending_input != 0 {
      rl_callback_read_char()
    }
    let excess = filter.takeExcess()
    if excess > 0 { events.append(.refused(.pasteCut(bytes: excess))) }
    if events.isEmpty, isAtEnd, !hasToldEnd {
      hasToldEnd = true
      events.append(.ended(isFinal: true))
    }
    return events.isEmpty ? nil : events.removeFirst()
  }

  var hasKeys: Bool { keysTaken < keys.count }

  func nextKey() -> UInt8? {
    guard hasKeys else { return nil }
    let key = keys[keysTaken]
    keysTaken += 1
    latestKey = key
    if keysTaken == keys.count {
      keys.removeAll(keepingCapacity: true)
      keysTaken = 0
    }
    return key
  }

  /// Waits for something to come from the terminal, in the middle of a command that cannot do
  /// without. False: nothing came in time, or a signal did, or the terminal has gone.
  func wait(milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: LineEditor.input, events: Int16(POLLIN), revents: 0)
    guard !isAtEnd, poll(&entry, 1, milliseconds) > 0 else { return false }
    receive()
    return !isAtEnd
  }

  // MARK: What is shown

  /// Takes the line off the screen.
  func hide() {
    guard isShown else { return }
    isShown = false
    if canErase {
      rl_clear_visible_line()
    } else {
      rl_crlf()
    }
  }

  /// Shows the line where the cursor is, if it is not shown.
  func show() {
    if isPromptStale, !isInMessage {
      isPromptStale = false
      hide()
      rl_set_prompt(renderedPrompt)
    }
    guard !isShown else { return }
    isShown = true
    rl_on_new_line()
    rl_redisplay()
  }

  /// Writes lines above the one being typed. Each is as it shall be seen, escape sequences included.
  /// They reach the terminal together with the line, when that is shown again.
  func write(_ lines: [String]) {
    hide()
    for line in lines {
      fputs(line, rl_outstream)
      fputs("\n", rl_outstream)
    }
  }

  /// Lets the terminal have what was written, where the line is not to be shown again.
  func flush() { fflush(rl_outstream) }

  /// Empties the screen.
  func clearScreen() {
    hide()
    if canErase { fputs("\u{1B}[H\u{1B}[2J", rl_outstream) }
  }

  func bell() {
    rl_ding()
    fflush(rl_outstream)
  }

  func setPrompt(_ prompt: StyledText) {
    guard prompt != self.prompt else { return }
    self.prompt = prompt
    isPromptStale = true
  }

  private var renderedPrompt: String {
    prompt.shown.truncated(to: max(1, columns / ShellLimits.promptShare))
      .rendered(for: isColored ? .readline : .plain)
  }

  /// Readline shows something else in place of the prompt, such as what is searched for.
  private var isInMessage: Bool {
    rl_readline_state & UInt(RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_NUMERICARG) != 0
  }
}

// What is done to the line from outside.
extension LineEditor {
  /// The text being typed.
  var text: String { rl_line_buffer.map { String(cString: $0) } ?? "" }

  /// Replaces the text being typed and sets the cursor behind it. Undo brings back what was there.
  func setText(_ text: String) {
    if isInMessage {
      rl_callback_sigcleanup()
      isPromptStale = true
    }
    rl_begin_undo_group()
    rl_delete_text(0, rl_end)
    rl_point = 0
    rl_insert_text(text)
    rl_end_undo_group()
    if isShown { rl_redisplay() }
  }

  /// Ctrl-C: the line is emptied, and whatever readline was in the middle of is over.
  func interrupt() {
    let discarded = text
    hide()
    rl_callback_sigcleanup()
    rl_replace_line(discarded, 1)
    rl_kill_text(0, rl_end)
    rl_free_line_state()
    rl_replace_line("", 1)
    keys.removeAll()
    keysTaken = 0
    filter.abandonPaste()
    installHandler()
    isPromptStale = false
    events.append(.interrupted(discarded: discarded))
  }

  /// Ctrl-Z: gives the terminal back and stops; returns when somebody brings us to the front again.
  /// True: the size is another one by now.
  func suspend() -> Bool {
    hide()
    leaveRawMode()
    _ = csystem_stop_process()
    try? enterRawMode()
    return resize()
  }

  /// The process goes on after it was stopped without being asked: its shell has the terminal in
  /// another mode by now, and something stands where the line was. True: the size is another one.
  func resume() -> Bool {
    var mode = termios()
    guard tcgetattr(LineEditor.input, &mode) == 0, mode.c_lflag & tcflag_t(ICANON) != 0 else {
      return false
    }
    isShown = false
    leaveRawMode()
    try? enterRawMode()
    return resize()
  }

  /// The terminal has, or may have, another size. True: it has.
  func resize() -> Bool {
    let old = columns
    let oldRows = rows
    let typed = seenPrompt + String(decoding: text.utf8.prefix(Int(rl_point)), as: UTF8.self)
    measure()
    guard columns != old || rows != oldRows else { return false }
    if isShown, canErase, columns != old {
      isShown = false
      let above = rewrapping.rowsAbove(typed, from: old, to: columns)
      fputs("\r" + (above > 0 ? "\u{1B}[\(above)A" : "") + "\u{1B}[J", rl_outstream)
    }
    isPromptStale = true
    return true
  }

  private func measure() {
    rl_reset_screen_size()
    var height: Int32 = 0
    var width: Int32 = 0
    rl_get_screen_size(&height, &width)
    rows = max(1, Int(height))
    columns = max(1, Int(width))
  }

  /// The rows that the prompt and the line take.
  var typedHeight: Int { typedRows(seenPrompt + text, columns: columns) + 1 }

  /// What is to be seen of the prompt, or of what stands in its place.
  private var seenPrompt: String {
    var seen = ""
    var isHidden = false
    for scalar in (rl_display_prompt.map { String(cString: $0) } ?? "").unicodeScalars {
      switch scalar.value {
      case 1: isHidden = true
      case 2: isHidden = false
      default: if !isHidden { seen.unicodeScalars.append(scalar) }
      }
    }
    return seen
  }
}

// What readline tells.
extension LineEditor {
  func enter(_ text: String) {
    isShown = false
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    while lines.count > 1, lines.last == "" { lines.removeLast() }
    for line in lines where history.add(line) { add_history(line) }
    events.append(lines.count > 1 ? .paste(lines) : .line(lines[0]))
  }

  func endInput() {
    hide()
    rl_eof_found = 0
    events.append(.ended(isFinal: false))
  }
}
