// What the nodes' logs hold against what was said: each accepted message once in each addressee's log
// and in its sender's, in the order in which it was said, and nothing that nobody said.

import Foundation
import LineProtocol

struct Verdict {
  /// Accepted messages that are in an addressee's log, counted for each of them.
  var delivered = 0
  var lost = 0
  var twice = 0
  var outOfOrder = 0
  /// Nobody has said it, or it was refused; or a line that is none.
  var wrong = 0
  /// Said no later than what the same one had said there before.
  var timesWrong = 0
  /// Those without an answer that are there.
  var unknownDelivered = 0
  /// The first of what is wrong, for people.
  private(set) var findings: [String] = []

  var isGood: Bool { lost == 0 && twice == 0 && outOfOrder == 0 && wrong == 0 && timesWrong == 0 }

  /// Of whom alone something is expected; nil: nobody else has spoken.
  private let nodes: Set<String>?

  private static let findingsMost = 20

  /// `hasOthers`: people who are no nodes have spoken, too, and are passed over.
  init(_ ledger: Ledger, in town: Town, hasOthers: Bool = false) {
    nodes = hasOthers ? Set(town.nodes.map(\.name)) : nil
    for resident in town.nodes {
      var found = found(in: "\(town.profile(of: resident.name))/log", of: resident.name)
      for (stream, fates) in ledger.fates.sorted(by: { $0.key < $1.key })
      where Verdict.isFor(resident.name, stream, town) {
        compare(fates, found.removeValue(forKey: stream) ?? [], stream, in: resident.name)
      }
      for (stream, numbers) in found.sorted(by: { $0.key < $1.key }) {
        complain(\.wrong, numbers.count, "\(resident.name) has \(numbers.count) of \(stream)")
      }
    }
  }

  private static func isFor(_ name: String, _ stream: Stream, _ town: Town) -> Bool {
    if stream.sender == name || stream.isPrivate && stream.destination == name { return true }
    return town.groups.contains { $0.name == stream.destination && $0.members.contains(name) }
      && !stream.isPrivate
  }

  private mutating func complain(
    _ kind: WritableKeyPath<Verdict, Int>, _ count: Int, _ text: String
  ) {
    self[keyPath: kind] += count
    if findings.count < Verdict.findingsMost { findings.append(text) }
  }

  // MARK: One stream in one log

  private mutating func compare(
    _ fates: [Fate], _ numbers: [Int], _ stream: Stream, in holder: String
  ) {
    var times = [Int](repeating: 0, count: fates.count)
    var last = 0
    for number in numbers {
      guard fates.indices.contains(number - 1) else {
        complain(\.wrong, 1, "\(holder) has \(stream) \(number), which nobody has said")
        continue
      }
      times[number - 1] += 1
      if times[number - 1] > 1 { continue }
      if number < last {
        complain(\.outOfOrder, 1, "\(holder) has \(stream) \(number) behind \(last)")
      }
      last = max(last, number)
    }
    for (index, fate) in fates.enumerated() {
      let what = "\(stream) \(index + 1) (\(fate))"
      if times[index] > 1 {
        complain(\.twice, times[index] - 1, "\(holder) has \(what) \(times[index]) times")
      }
      switch fate {
      case .accepted where times[index] == 0: complain(\.lost, 1, "\(holder) lacks \(what)")
      case .accepted where holder != stream.sender: delivered += 1
      case .refused where times[index] > 0: complain(\.wrong, 1, "\(holder) has \(what)")
      case .unknown, .asked:
        if holder != stream.sender && times[index] > 0 { unknownDelivered += 1 }
      case .accepted, .failed, .refused: break
      }
    }
  }

  // MARK: Logs

  /// The numbers of each stream as they stand in a node's logs, one file after the other.
  private mutating func found(in folder: String, of holder: String) -> [Stream: [Int]] {
    var found: [Stream: [Int]] = [:]
    var times: [Stream: String] = [:]
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names.sorted(by: Verdict.isOlder) where name.contains(".log") {
      guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)") else { continue }
      for line in data.split(separator: 0x0A) {
        guard let message = try? Message(parsing: String(decoding: line, as: UTF8.self)) else {
          complain(\.wrong, 1, "\(holder)'s \(name) has a line that is none")
          continue
        }
        take(message, holder, &found, &times)
      }
    }
    return found
  }

  /// `lobby.log.1` was written before `lobby.log.2`, and that before `lobby.log`.
  private static func isOlder(_ one: String, _ other: String) -> Bool {
    func parts(_ name: String) -> (String, Int) {
      let number = name.split(separator: ".").last.flatMap { Int($0) }
      return (
        number == nil ? name : String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)]),
        number ?? .max
      )
    }
    return parts(one) < parts(other)
  }

  private mutating func take(
    _ message: Message, _ holder: String, _ found: inout [Stream: [Int]],
    _ times: inout [Stream: String]
  ) {
    guard let (stream, text) = Stream.saying(message), nodes?.contains(stream.sender) != false
    else { return }
    guard let number = stream.number(in: text) else {
      return complain(\.wrong, 1, "\(holder) has '\(text)' of \(stream)")
    }
    found[stream, default: []].append(number)
    let time = message.tags["time"] ?? ""
    if time <= times[stream] ?? "" {
      complain(
        \.timesWrong, 1, "\(holder) has \(stream) \(number) of \(time), no later than before")
    }
    times[stream] = time
  }
}
