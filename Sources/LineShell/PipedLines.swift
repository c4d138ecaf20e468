// Standard input and output where there is no terminal: lines in, lines out, nothing else.

import Glibc
import LineChat

final class PipedLines {
  private(set) var isAtEnd = false
  private var splitter = LineSplitter()
  private var events: [TerminalEvent] = []
  private var eventsTaken = 0
  private var failure: String?
  private var hasFailed = false
  /// Readable when a signal has asked for the end.
  private let signals: Int32
  /// The end was asked for while nobody read what was written: it is not waited for.
  private var isGivenUp = false

  init(signals: Int32) { self.signals = signals }

  /// Standard input is readable: takes what is there.
  func receive() {
    var bytes = [UInt8](repeating: 0, count: ShellLimits.readBytes)
    let count = read(LineEditor.input, &bytes, bytes.count)
    if count > 0 {
      splitter.take(bytes[..<count]) { events.append(PipedLines.event($0)) }
    } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
      isAtEnd = true
      splitter.end { events.append(PipedLines.event($0)) }
      events.append(.ended(isFinal: true))
    }
  }

  var hasEvents: Bool { eventsTaken < events.count }

  func nextEvent() -> TerminalEvent? {
    guard hasEvents else { return nil }
    let event = events[eventsTaken]
    eventsTaken += 1
    if eventsTaken == events.count {
      events.removeAll(keepingCapacity: true)
      eventsTaken = 0
    }
    return event
  }

  /// Writes lines, all of them, or notes why not; after that nothing is written any more.
  func write(_ lines: [String]) {
    guard !hasFailed else { return }
    do throws(SystemError) {
      try write(lines.map { $0 + "\n" }.joined(), to: LineEditor.output)
    } catch {
      failure = error.reason
      hasFailed = true
    }
  }

  /// The same on standard error; of that nobody could be told that it fails.
  func complain(_ line: String) { try? write(line + "\n", to: STDERR_FILENO) }

  /// A pipe that is ready takes so many bytes without making its writer wait.
  private static let pieceBytes = 4_096

  private func write(_ text: String, to number: Int32) throws(SystemError) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty, !isGivenUp {
      var entries = [
        pollfd(fd: number, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
      ]
      if poll(&entries, 2, -1) < 0, errno == EINTR { continue }
      guard entries[0].revents != 0 else {
        isGivenUp = true
        return
      }
      let piece = rest.prefix(PipedLines.pieceBytes)
      let count = piece.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR && errno != EAGAIN {
        throw SystemError("write")
      }
    }
  }

  /// Why output failed, once.
  func takeFailure() -> String? {
    defer { failure = nil }
    return failure
  }

  private static func event(_ piece: LineSplitter.Piece) -> TerminalEvent {
    switch piece {
    case .line(let text): .line(text)
    case .refused(let refused): .refused(refused)
    }
  }
}
