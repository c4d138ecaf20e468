// What the workloads that LineChat and others take part in have in common.

import ArgumentParser
import Foundation
import Glibc

struct ContestOptions: ParsableArguments {
  @Option(parsing: .upToNextOption, help: Contestant.help)
  var contestants: [Contestant] = []

  @Option(
    help: """
      How many rounds, 1 to 99. Each takes part once in each of them; LineChat's run and another's in the \
      same round are a pair.
      """)
  var pairs = 9

  @Option(
    help: """
      The linechatd to be measured runs already, at this address: 127.0.0.1:PORT. Pin it to a processor \
      other than the load's; what its memory was before counts as its own. (default: one is started for \
      each run)
      """)
  var server: String?

  @OptionGroup var programs: ProgramOptions

  static let ratios = """
    The ratios are of LineChat to the row's contestant, of processor time for a delivery and of \
    deliveries a second: the median of the pairs, the least and the most. Counts are of all \
    runs, delays of the one whose 99th percentile is in the middle, the rest are medians. "server" \
    and "load" are how much of a processor each had; what is bound by the load says so.
    """

  func validate() throws {
    guard (1...99) ~= pairs else { throw ValidationError("--pairs is from 1 to 99") }
    if server != nil, serverPort == nil {
      throw ValidationError("--server is 127.0.0.1:PORT, not '\(server ?? "")'")
    }
  }

  var serverPort: UInt16? {
    guard let server, server.hasPrefix("127.0.0.1:") else { return nil }
    return UInt16(server.dropFirst("127.0.0.1:".count)).flatMap { $0 > 0 ? $0 : nil }
  }

  /// These, or all that are installed.
  func takingPart() throws -> [Contestant] {
    if let absence = contestants.lazy.compactMap(\.absence).first { throw BenchFailure(absence) }
    guard contestants.isEmpty else { return contestants }
    for absence in Contestant.allCases.compactMap(\.absence) { say("left out: \(absence)") }
    return Contestant.allCases.filter { $0.absence == nil }
  }
}

extension Measured {
  /// Whoever listens at this port of this machine.
  static func listening(at port: UInt16) throws -> Measured {
    let wanted = ":" + String(format: "%04X", port)
    let table = (try? String(contentsOfFile: "/proc/net/tcp", encoding: .utf8)) ?? ""
    let sockets = table.split(separator: "\n").compactMap { line -> String? in
      let fields = line.split(separator: " ")
      guard fields.count > 9, fields[1].hasSuffix(wanted), fields[3] == "0A" else { return nil }
      return "socket:[\(fields[9])]"
    }
    guard !sockets.isEmpty else { throw BenchFailure("nobody listens at 127.0.0.1:\(port)") }
    let files = FileManager.default
    for process in ((try? files.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap(pid_t.init)
    {
      let folder = "/proc/\(process)/fd"
      let descriptors = (try? files.contentsOfDirectory(atPath: folder)) ?? []
      let owns = descriptors.contains { descriptor in
        (try? files.destinationOfSymbolicLink(atPath: "\(folder)/\(descriptor)"))
          .map(sockets.contains) ?? false
      }
      if owns { return Measured(process) }
    }
    throw BenchFailure(
      "the process that listens at 127.0.0.1:\(port) cannot be looked at: be its owner, or root")
  }
}
