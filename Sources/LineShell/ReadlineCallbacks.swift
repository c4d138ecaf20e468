// The functions that readline calls, and how it is told of them. They are plain functions, as C takes
// no others, and find the editor through `LineEditor.current`.

import CReadline
import Glibc

extension LineEditor {
  /// Everything that is set once. What ~/.inputrc says comes in with `rl_initialize`; what this
  /// program depends on is set behind it.
  func installCallbacks() {
    rl_readline_name = LineEditor.name
    rl_catch_signals = 0
    rl_catch_sigwinch = 0
    // Other threads look at the environment while the terminal is resized.
    rl_change_environment = 0
    // A list above the line disturbs nobody, so one TAB is enough for it. Before inputrc is read: that
    // may want two.
    rl_variable_bind("show-all-if-ambiguous", "on")
    rl_initialize()
    // The terminal's mode is ours: it does not change with each line.
    rl_prep_term_function = nil
    rl_deprep_term_function = nil
    rl_getc_function = nextKeyForReadline
    rl_input_available_hook = areKeysThere
    rl_redisplay_function = redisplayIfShown
    rl_attempted_completion_function = completeWord
    rl_completion_display_matches_hook = showMatches
    rl_completer_word_break_characters = LineEditor.wordBreaks
    using_history()
    stifle_history(Int32(clamping: history.linesMax))
    bindAccept()
  }

  /// Whatever key enters a line takes it off the screen too.
  func bindAccept() {
    for name in ["emacs", "vi-insert", "vi-command"] {
      guard let map = rl_get_keymap_by_name(name),
        let sequences = rl_invoking_keyseqs_in_map(rl_newline, map)
      else { continue }
      var at = sequences
      while let sequence = at.pointee {
        rl_bind_keyseq_in_map(sequence, acceptLine, map)
        free(sequence)
        at += 1
      }
      free(sequences)
    }
  }

  /// Readline keeps the pointers.
  private nonisolated(unsafe) static let name = UnsafePointer(strdup("LineChat"))
  private nonisolated(unsafe) static let wordBreaks = UnsafePointer(strdup(" \t\n"))
}

func lineWasEntered(_ line: UnsafeMutablePointer<CChar>?) {
  guard let editor = LineEditor.current else { return free(line) }
  guard let line else { return editor.endInput() }
  editor.enter(String(cString: line))
  free(line)
}

private func acceptLine(_ count: Int32, _ key: Int32) -> Int32 {
  guard let editor = LineEditor.current, editor.canErase else { return rl_newline(count, key) }
  editor.hide()
  // Readline would move below the line and begin a new row.
  let echoes = rl_tty_set_echoing(0)
  defer { rl_tty_set_echoing(echoes) }
  return rl_newline(count, key)
}

private func nextKeyForReadline(_ stream: UnsafeMutablePointer<FILE>?) -> Int32 {
  guard let editor = LineEditor.current else { return EOF }
  while true {
    if let key = editor.nextKey() { return Int32(key) }
    // Only in the middle of a command that needs another key. A signal ends the waiting, and with
    // it the command.
    guard editor.wait(milliseconds: -1) else { return EOF }
  }
}

private func areKeysThere() -> Int32 {
  guard let editor = LineEditor.current else { return 0 }
  if editor.hasKeys { return 1 }
  // In vi's mode a lone ESC is a key of its own; the rest of an arrow key comes at once.
  let isWaiting = editor.latestKey == 0x1B
  let hasCome = editor.wait(milliseconds: isWaiting ? ShellLimits.escapeMilliseconds : 0)
  return hasCome && editor.hasKeys ? 1 : 0
}

private func redisplayIfShown() {
  if LineEditor.current?.isShown ?? true { rl_redisplay() }
}

private typealias Matches = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

private func completeWord(
  _ text: UnsafePointer<CChar>?, _ start: Int32, _ end: Int32
) -> Matches? {
  // Never the names of files; never a question that waits for a key, whatever inputrc says after it
  // was read again (and no pages: the list is ours); and in the order given.
  rl_attempted_completion_over = 1
  rl_completion_query_items = -1
  rl_sort_completion_matches = 0
  rl_ignore_completion_duplicates = 0
  rl_completion_append_character = 0
  guard let editor = LineEditor.current else { return nil }
  let line = Array(editor.text.utf8)
  let word = Int(start)..<Int(end)
  func part(_ range: Range<Int>) -> String {
    String(decoding: line[range.clamped(to: 0..<line.count)], as: UTF8.self)
  }
  let request = CompletionRequest(
    before: part(0..<word.lowerBound), word: part(word), after: part(word.upperBound..<line.count))
  guard let answer = editor.complete(request).answer(to: request) else { return nil }
  let matches = [answer.replacement] + answer.list
  // Readline frees the array and all that is in it.
  let size = MemoryLayout<UnsafeMutablePointer<CChar>?>.stride * (matches.count + 1)
  guard
    let array = malloc(size)?.bindMemory(
      to: UnsafeMutablePointer<CChar>?.self, capacity: matches.count + 1)
  else { return nil }
  for (at, match) in matches.enumerated() { array[at] = strdup(match) }
  array[matches.count] = nil
  return array
}

/// Readline would leave the line as it is and begin a new one below the list; here the list stands
/// above it, as everything else does.
private func showMatches(_ matches: Matches?, _ count: Int32, _ longest: Int32) {
  guard let editor = LineEditor.current, let matches, count > 0 else { return }
  let names = (1...Int(count)).compactMap { matches[$0].map { String(cString: $0) } }
  let list = listed(names, columns: editor.columns, rowsMax: max(2, editor.rows - 3))
  let reader = editor.isColored ? StyledText.Reader.terminal : .plain
  editor.write(list.map { $0.rendered(for: reader) })
  editor.show()
}
