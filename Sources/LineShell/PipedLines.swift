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
    var rest = Array(lines.map { $0 + "\n" }.joined().utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(LineEditor.output, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        var entry = pollfd(fd: LineEditor.output, events: Int16(POLLOUT), revents: 0)
        _ = poll(&entry, 1, -1)
      } else if errno != EINTR {
        failure = SystemError("write").reason
        hasFailed = true
        return
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
