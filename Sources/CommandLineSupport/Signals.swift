// The process's surroundings: signals, and the three standard streams.

import Glibc
import Logging

/// SIGTERM and SIGINT are waited for on a thread, so that nothing runs inside a handler.
package enum Signals {
  private static var awaited: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    return set
  }

  /// Before any other thread exists: each takes this over from the one that made it.
  package static func block() {
    signal(SIGPIPE, SIG_IGN)
    // A file that may not grow is a write that fails, and is said as such.
    signal(SIGXFSZ, SIG_IGN)
    var set = awaited
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// On the thread that handles them itself, once it does.
  package static func unblock() {
    var set = awaited
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }

  /// The first signal ends the program in order, by calling `stop` on a thread of its own; a SIGINT
  /// while it ends, at once.
  package static func handle(
    _ logger: Logger, _ writer: LogWriter, stop: @escaping @Sendable () -> Void
  ) {
    let context = Unmanaged.passRetained(Context(logger: logger, writer: writer, stop: stop))
    var thread = pthread_t()
    guard pthread_create(&thread, nil, waitForSignals, context.toOpaque()) == 0 else {
      // Then the signals do what they do without a program's help.
      context.release()
      var set = awaited
      pthread_sigmask(SIG_UNBLOCK, &set, nil)
      return
    }
    pthread_detach(thread)
  }

  fileprivate static func wait(_ context: Context) -> Never {
    var set = awaited
    var stoppingSince: timespec?
    while true {
      var signal: Int32 = 0
      guard sigwait(&set, &signal) == 0 else { continue }
      if let stoppingSince {
        guard signal == SIGINT, hasPassed(since: stoppingSince) else { continue }
        context.logger.notice("SIGINT again: ending at once")
        context.writer.finish()
        _exit(128 + signal)
      }
      stoppingSince = monotonicTime()
      context.logger.notice("\(signal == SIGINT ? "SIGINT" : "SIGTERM"): stopping")
      context.stop()
    }
  }

  /// A person needs longer than a fifth of a second to press ^C again. What comes sooner is the same
  /// signal, sent to the process and to its group, as timeout(1) does.
  private static func hasPassed(since start: timespec) -> Bool {
    let now = monotonicTime()
    return (now.tv_sec - start.tv_sec) * 1_000 + (now.tv_nsec - start.tv_nsec) / 1_000_000 >= 200
  }

  private static func monotonicTime() -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time
  }

  fileprivate final class Context: Sendable {
    let logger: Logger
    let writer: LogWriter
    let stop: @Sendable () -> Void

    init(logger: Logger, writer: LogWriter, stop: @escaping @Sendable () -> Void) {
      self.logger = logger
      self.writer = writer
      self.stop = stop
    }
  }
}

private func waitForSignals(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Signals.wait(Unmanaged<Signals.Context>.fromOpaque(context).takeRetainedValue())
}

package enum StandardStreams {
  /// A stream that was closed by whoever started us must not become a connection's number: the log
  /// would be written to somebody.
  package static func open() {
    for number: Int32 in 0...2 where fcntl(number, F_GETFD) < 0 && errno == EBADF {
      // The lowest free number is this one, as all below are open by now.
      _ = Glibc.open("/dev/null", O_RDWR)
    }
  }
}
