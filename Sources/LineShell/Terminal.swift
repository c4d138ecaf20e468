// The terminal as the shell sees it: events come in (`TerminalEvent`), and lines, a prompt and a text
// to be typed on go out. What stands on top can be a plain state machine; it never sees readline, a
// signal or an escape sequence.
//
//     let terminal = try Terminal.open(configuration)
//     terminal.prompt = "lobby> "
//     terminal.run(waking: pipe.number) { event in
//       switch event {
//       case .line(let text): …
//       case .woken: pipe.drain(); for line in … { terminal.print(line) }
//       case .ended, .signalled: terminal.stop()
//       …
//     }
//     terminal.close()
//
// Where standard input and output are not both a terminal, lines are read and written as they are,
// without a prompt, colours or editing.
//
// All of it is for one thread, the one that opened it. Other threads wake the loop through a
// descriptor of their own.

import Glibc
import LineChat

package final class Terminal {
  package struct Configuration {
    /// Styles are shown. Without a terminal, and where TERM is `dumb`, they are not in any case.
    package var isColored = true
    /// Styles are written to a pipe or a file, too.
    package var isColoredWithoutTerminal = false
    /// Where the history is kept; nil: nowhere. Used with a terminal alone.
    package var historyPath: String?
    /// The lines of history that are kept and can be gone back to.
    package var historyLinesMax = 1_000

    package init() {}
  }

  /// A person sits at a terminal.
  package let isInteractive: Bool

  /// What does not work as it should, each a sentence for a person.
  package var warnings: [String] {
    var warnings = localeWarning
    if let fault = editor?.history.fault { warnings.append("no history: \(fault)") }
    return warnings
  }

  /// Lines are taken in. Set it to false while there is more under way than can be held: what is
  /// typed or piped waits.
  package var isReading = true

  private var isColoredWithoutTerminal = false
  private let localeWarning: [String]
  private let signals: Signals
  private let editor: LineEditor?
  private let pipes: PipedLines?
  private var isRunning = false
  private var isClosed = false
  private var pending: [(text: StyledText, indent: Int)] = []
  private var latestBatch = ContinuousClock.now

  private init(
    _ signals: Signals, _ editor: LineEditor?, _ pipes: PipedLines?, _ localeWarning: [String]
  ) {
    self.signals = signals
    self.editor = editor
    self.pipes = pipes
    self.localeWarning = localeWarning
    isInteractive = editor != nil
  }

  /// Takes the terminal over: its mode, signals, and with a terminal readline. There can be one at a
  /// time. To be called before other threads run, as it may set LC_CTYPE in the environment.
  package static func open(_ configuration: Configuration) throws(SystemError) -> Terminal {
    // A reader of ours that has gone is an error of `write`, and is told as such.
    signal(SIGPIPE, SIG_IGN)
    let isInteractive = isatty(LineEditor.input) == 1 && isatty(LineEditor.output) == 1
    let signals = try Signals.make(isInteractive: isInteractive)
    guard isInteractive else {
      let terminal = Terminal(signals, nil, PipedLines(signals: signals.number), [])
      terminal.isColoredWithoutTerminal = configuration.isColoredWithoutTerminal
      return terminal
    }
    let warning =
      Locale.ensureUTF8()
      ? [] : ["this system has no locale with UTF-8; only ASCII can be typed well"]
    let editor = LineEditor(
      isColored: configuration.isColored,
      history: History(path: configuration.historyPath, linesMax: configuration.historyLinesMax))
    try editor.start()
    return Terminal(signals, editor, nil, warning)
  }

  deinit { close() }

  /// Writes what is due and gives the terminal back as it was. The line being typed is taken off.
  package func close() {
    guard !isClosed else { return }
    isClosed = true
    writePending()
    editor?.stop()
  }

  // MARK: What is shown

  /// The columns and rows of the terminal; without one, 80 and 24.
  package var columns: Int { editor?.columns ?? 80 }
  package var rows: Int { editor?.rows ?? 24 }

  /// What stands before the line being typed, with the blank behind it. It can be changed at any
  /// time. It is cut to half of the width of the terminal.
  package var prompt: StyledText = "> " {
    didSet { editor?.setPrompt(prompt) }
  }

  /// Answers TAB. It must not wait for anything.
  package var complete: (CompletionRequest) -> Completion = { _ in .none } {
    didSet { editor?.complete = complete }
  }

  /// Shows a line above the one being typed, which stays as it is, cursor and all. It is cut into
  /// rows between words; the second and further ones are set in by `indent` columns. It appears with
  /// the end of this round of the loop, or a fiftieth of a second later where many come.
  package func print(_ line: StyledText, indent: Int = 0) { pending.append((line, indent)) }

  /// The same for what went wrong: without a terminal, on standard error, and at once.
  package func complain(_ line: StyledText) {
    if let pipes { pipes.complain(line.shown.plain) } else { print(line, indent: 3) }
  }

  /// Rings once, as far as the user's inputrc allows it.
  package func bell() { editor?.bell() }

  /// Empties the screen; what was printed before and is not shown yet is shown and gone with it.
  package func clearScreen() {
    writePending()
    editor?.clearScreen()
  }

  /// The text being typed.
  package var text: String { editor?.text ?? "" }

  /// Puts a text into the line, in place of what is being typed (Ctrl-_ brings that back), and the
  /// cursor behind it. It is not entered.
  package func setText(_ text: String) { editor?.setText(text) }

  // MARK: The loop

  /// Ends `run` as soon as the closure returns.
  package func stop() { isRunning = false }

  /// Waits for what happens and hands it to `handle`, one thing at a time, until `stop`. What is
  /// typed comes first, so that a flood at `wake` (a descriptor that is polled for reading; -1: none)
  /// cannot hold it up for longer than one call of `handle` takes. `deadline` is asked in each round.
  package func run(
    waking wake: Int32 = -1, until deadline: () -> ContinuousClock.Instant? = { nil },
    _ handle: (TerminalEvent) -> Void
  ) {
    isRunning = true
    while isRunning {
      settle(handle)
      let due = deadline()
      var entries = [inputNumber, signals.number, wake].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      let hasEvents = poll(&entries, nfds_t(entries.count), milliseconds(until: due)) > 0
      // Asked for in any case: a signal may have come as poll was returning, and Ctrl-C comes before
      // what was typed behind it.
      takeSignals(handle)
      takeInput(isReadable: hasEvents && entries[0].revents != 0, handle)
      if isRunning, hasEvents, entries[2].revents != 0 { handle(.woken) }
      if isRunning, let due, ContinuousClock.now >= due { handle(.due) }
    }
    writePending()
    editor?.flush()
  }

  private var inputNumber: Int32 {
    guard isReading, !(editor?.isAtEnd ?? pipes?.isAtEnd ?? true) else { return -1 }
    return LineEditor.input
  }

  /// Shows what is due, all at once.
  private func settle(_ handle: (TerminalEvent) -> Void) {
    if !pending.isEmpty, batchDue <= ContinuousClock.now { writePending() }
    editor?.show()
    if let reason = pipes?.takeFailure() { handle(.outputFailed(reason: reason)) }
  }

  /// When lines may appear again: at once where the line being typed is not on the screen anyway.
  private var batchDue: ContinuousClock.Instant {
    guard let editor, editor.isShown else { return latestBatch }
    let isTall = editor.typedHeight > editor.rows
    return latestBatch
      + .milliseconds(
        isTall ? ShellLimits.tallBatchMilliseconds : ShellLimits.batchMilliseconds)
  }

  private func writePending() {
    guard !pending.isEmpty else { return }
    latestBatch = .now
    let lines = pending
    pending.removeAll(keepingCapacity: true)
    if let editor {
      let reader = editor.isColored ? StyledText.Reader.terminal : .plain
      editor.write(
        lines.flatMap { line in
          line.text.shown.wrapped(to: editor.columns, indent: line.indent).map {
            $0.rendered(for: reader)
          }
        })
    } else {
      let reader = isColoredWithoutTerminal ? StyledText.Reader.terminal : .plain
      pipes?.write(lines.map { $0.text.shown.rendered(for: reader) })
    }
  }

  private func takeSignals(_ handle: (TerminalEvent) -> Void) {
    for signal in signals.take() where isRunning {
      switch (signal, editor) {
      case (SIGINT, let editor?): editor.interrupt()
      case (SIGTSTP, let editor?):
        writePending()
        if editor.suspend() { handle(.resized) }
      case (SIGCONT, let editor?): if editor.resume() { handle(.resized) }
      case (SIGWINCH, let editor?): if editor.resize() { handle(.resized) }
      default: handle(.signalled(signal))
      }
    }
  }

  private func takeInput(isReadable: Bool, _ handle: (TerminalEvent) -> Void) {
    if isReadable {
      editor?.receive()
      pipes?.receive()
    }
    if let late = editor?.pasteDeadline, late <= ContinuousClock.now { editor?.givePasteUp() }
    while isRunning, let event = nextEvent() { handle(event) }
  }

  /// Something that came in waits to be looked at, and may be now.
  private var hasInput: Bool { isReading && (editor?.hasKeys ?? pipes?.hasEvents ?? false) }

  private func nextEvent() -> TerminalEvent? {
    // Ctrl-C is for now, whatever waits.
    if let editor { return editor.nextEvent(takingKeys: isReading) }
    return isReading ? pipes?.nextEvent() : nil
  }

  /// Until the earliest of all deadlines, rounded up; -1 where there is none.
  private func milliseconds(until due: ContinuousClock.Instant?) -> Int32 {
    if hasInput { return 0 }
    let batch = pending.isEmpty ? nil : batchDue
    let all = [due, batch, editor?.pasteDeadline]
    guard let first = all.compactMap(\.self).min() else { return -1 }
    let left = first - ContinuousClock.now
    return left <= .zero ? 0 : Int32(clamping: Int64(left / .milliseconds(1)) + 1)
  }
}

/// What a shell asks of its terminal, as a value, for shells that are state machines.
package enum TerminalEffect: Hashable, Sendable {
  case print(StyledText, indent: Int)
  case prompt(StyledText)
  case text(String)
  case bell
  case clearScreen
  case stop
}

extension Terminal {
  /// Carries it out.
  package func perform(_ effect: TerminalEffect) {
    switch effect {
    case .print(let line, let indent): print(line, indent: indent)
    case .prompt(let text): prompt = text
    case .text(let text): setText(text)
    case .bell: bell()
    case .clearScreen: clearScreen()
    case .stop: stop()
    }
  }
}
