// What the kernel says of a process: memory, CPU time, open descriptors.

import Foundation
import Glibc

package struct ProcessFigures {
  private let process: pid_t

  package init(of process: pid_t) { self.process = process }

  /// CPU time used so far, in seconds.
  package func cpuSeconds() throws -> Double {
    let line = try text("stat")
    // Behind the name in parentheses; user and system time are the 12th and 13th from there.
    let words = line.drop { $0 != ")" }.split(separator: " ")
    guard words.count > 13, let user = Double(words[12]), let system = Double(words[13]) else {
      throw TestFailure("cannot read \(line)")
    }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Bytes of memory in use now.
  package func memoryBytes() throws -> Int { try kilobytes("VmRSS:") * 1_024 }

  /// The most that there was in use since the start, or since `forgetPeak`.
  package func peakBytes() throws -> Int { try kilobytes("VmHWM:") * 1_024 }

  package func forgetPeak() throws {
    let file = open("/proc/\(process)/clear_refs", O_WRONLY)
    guard file >= 0 else { throw TestFailure("clear_refs: errno \(errno)") }
    defer { close(file) }
    guard write(file, "5", 1) == 1 else { throw TestFailure("clear_refs: errno \(errno)") }
  }

  /// How many descriptors are open.
  package func descriptors() throws -> Int { try numbers().count }

  package func highestDescriptor() throws -> Int { try numbers().max() ?? 0 }

  private func numbers() throws -> [Int] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")
      .compactMap { Int($0) }
  }

  private func kilobytes(_ key: String) throws -> Int {
    for line in try text("status").split(separator: "\n") where line.hasPrefix(key) {
      if let number = Int(line.split { $0 == " " || $0 == "\t" }[1]) { return number }
    }
    throw TestFailure("no \(key) of process \(process)")
  }

  private func text(_ file: String) throws -> String {
    try String(contentsOfFile: "/proc/\(process)/\(file)", encoding: .utf8)
  }
}

/// The processes that were started with this in their environment, as `NAME=value`; not those that are
/// dead, and wait for their parent.
package func processes(with variable: String) -> [String] {
  let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
  return all.filter { process in
    guard Int(process) != nil,
      let bytes = FileManager.default.contents(atPath: "/proc/\(process)/environ")
    else { return false }
    return String(decoding: bytes, as: UTF8.self).contains("\(variable)\0")
  }
}
