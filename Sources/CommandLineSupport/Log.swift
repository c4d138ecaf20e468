// The log on standard error: a line per event, each written with one call, whole and escaped. A
// reader that is stuck or gone neither stalls nor ends the program: lines wait in a bounded queue for
// a thread that does nothing but write; what does not fit is dropped and counted.

import Glibc
import LineChat
import LineProtocol
import Logging

/// How a line of the log is written.
package enum LogFormat: String, CaseIterable {
  case text, json

  func line(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata = [:]) -> String {
    var fields = [("time", timestamp()), ("level", level.rawValue), ("message", message)]
    for key in metadata.keys.sorted() {
      if let value = metadata[key] { fields.append((key, value.description)) }
    }
    switch self {
    case .text: return text(fields)
    case .json: return json(fields)
    }
  }

  /// Time, level and message as they are; metadata as `key=value` behind them.
  private func text(_ fields: [(String, String)]) -> String {
    let words = fields.enumerated().map { index, field in
      index < 3 ? field.1 : "\(field.0)=\(field.1)"
    }
    let line = words.joined(separator: " ")
    // Whatever a message contains, it stays on its line. What the library says of peers is escaped
    // already; this is for everything else.
    return (line.unicodeScalars.contains(where: isUnsafeToShow) ? escaped(line) : line) + "\n"
  }

  private func json(_ fields: [(String, String)]) -> String {
    let members = fields.map { "\(quoted($0.0)):\(quoted($0.1))" }
    return "{" + members.joined(separator: ",") + "}\n"
  }

  private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      default:
        if isUnsafeToShow(scalar) {
          let digits = String(scalar.value, radix: 16)
          result += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }
}

/// Turns events into lines.
package struct LineLogHandler: LogHandler {
  package var logLevel = Logger.Level.info
  package var metadata: Logger.Metadata = [:]
  private let writer: LogWriter

  package init(_ writer: LogWriter) { self.writer = writer }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    writer.write(writer.format.line(event.level, event.message.description, all))
  }
}

/// Writes lines to a descriptor, on a thread of its own.
package final class LogWriter: @unchecked Sendable {
  /// Lines that may wait: some seconds of a busy program, and about a megabyte of memory.
  private static let linesMax = 8_192
  /// How long the end of the program waits for lines that were not written yet.
  private static let finishSeconds = 1

  // The mutex guards what follows it.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// There is something to write.
  private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// Everything is written.
  private let emptied = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var waiting: [String] = []
  private var dropped = 0
  private var isWriting = false

  private let descriptor: Int32
  let format: LogFormat

  /// Lives as long as the program.
  package init(descriptor: Int32, _ format: LogFormat) {
    self.descriptor = descriptor
    self.format = format
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(filled, nil)
    pthread_cond_init(emptied, nil)
    let context = Unmanaged.passRetained(self)
    var thread = pthread_t()
    // Without the thread, lines wait until there are too many, and the program goes on.
    if pthread_create(&thread, nil, writeLog, context.toOpaque()) == 0 {
      pthread_detach(thread)
    } else {
      context.release()
    }
  }

  /// Never blocks on the descriptor. `line` ends with a newline.
  func write(_ line: String) {
    pthread_mutex_lock(mutex)
    if waiting.count < LogWriter.linesMax { waiting.append(line) } else { dropped += 1 }
    let isFirst = waiting.count == 1 && !isWriting
    pthread_mutex_unlock(mutex)
    // Not under the lock, or the thread would wake up only to wait for that.
    if isFirst { pthread_cond_signal(filled) }
  }

  /// Waits until everything is written, for a second at most.
  package func finish() {
    var until = timespec()
    clock_gettime(CLOCK_REALTIME, &until)
    until.tv_sec += LogWriter.finishSeconds
    pthread_mutex_lock(mutex)
    while !waiting.isEmpty || isWriting {
      if pthread_cond_timedwait(emptied, mutex, &until) == ETIMEDOUT { break }
    }
    pthread_mutex_unlock(mutex)
  }

  fileprivate func writeAll() -> Never {
    while true {
      pthread_mutex_lock(mutex)
      isWriting = false
      if waiting.isEmpty { pthread_cond_broadcast(emptied) }
      while waiting.isEmpty { pthread_cond_wait(filled, mutex) }
      isWriting = true
      let lines = waiting
      let missing = dropped
      waiting.removeAll(keepingCapacity: true)
      dropped = 0
      pthread_mutex_unlock(mutex)
      var lost = 0
      for line in lines where !put(line) { lost += 1 }
      if missing + lost > 0 { note(missing, lost) }
    }
  }

  /// Says what is missing where that can be said; else it is counted on.
  private func note(_ missing: Int, _ lost: Int) {
    let total = missing + lost
    if lost == 0 && put(format.line(.warning, "\(total) lines of the log were dropped")) { return }
    pthread_mutex_lock(mutex)
    dropped += total
    pthread_mutex_unlock(mutex)
  }

  /// False where the descriptor takes nothing and will not.
  private func put(_ line: String) -> Bool {
    var line = line
    return line.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while rest.count > 0 {
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count >= 0 {
          rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } else if errno == EAGAIN {
          // Somebody else made it non-blocking; this thread has time.
          var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          poll(&entry, 1, -1)
        } else if errno != EINTR {
          return false
        }
      }
      return true
    }
  }
}

private func writeLog(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Unmanaged<LogWriter>.fromOpaque(context).takeRetainedValue().writeAll()
}
