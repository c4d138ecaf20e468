// Directories for what is measured. They go when it is over, and also where this process is interrupted.

import Foundation
import Glibc
import Synchronization

enum Workplace {
  private static let made = Mutex<Set<String>>([])
  /// What a signal's handler writes into: nearly nothing else may be done there.
  private static let alarm = Pipe()
  private static let alarmEnd = alarm.fileHandleForWriting.fileDescriptor

  /// Makes a new one there.
  static func make(in parent: String = NSTemporaryDirectory()) throws -> URL {
    let folder = URL(fileURLWithPath: parent).appendingPathComponent(
      "linechat-bench-\(getpid())-\(UInt32.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    _ = made.withLock { $0.insert(folder.path) }
    return folder
  }

  static func remove(_ folder: URL) {
    try? FileManager.default.removeItem(at: folder)
    _ = made.withLock { $0.remove(folder.path) }
  }

  /// Ctrl-C and the like end this process without what stands in the directories. What it has started
  /// ends with it by itself.
  static func clearWhenInterrupted() {
    // Made here, as a handler must not be the first to ask for it.
    guard alarmEnd >= 0 else { return }
    Thread {
      let code = alarm.fileHandleForReading.readData(ofLength: 1).first ?? 0
      // The lock is kept: nobody makes another one.
      made.withLock { all in
        for folder in all { try? FileManager.default.removeItem(atPath: folder) }
        _exit(128 + Int32(code))
      }
    }.start()
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signal(number) { number in
        var code = UInt8(truncatingIfNeeded: number)
        _ = write(Workplace.alarmEnd, &code, 1)
      }
    }
  }
}
