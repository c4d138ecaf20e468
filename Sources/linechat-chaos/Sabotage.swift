// Faults that are put into a log at the end, so that it can be seen that they are found.

import ArgumentParser
import Foundation
import LineProtocol
import TestSupport

enum Sabotage: String, CaseIterable, ExpressibleByArgument {
  case lose, `repeat`, swap, invent

  /// Changes the first node's log of the first group, where two accepted messages of the second node follow
  /// each other.
  func apply(to town: Town, _ ledger: Ledger) throws {
    let (holder, sender) = (town.nodes[0].name, town.nodes[1].name)
    let stream = Stream(sender: sender, destination: town.groups[0].name, isPrivate: false)
    let path = "\(town.profile(of: holder))/log/\(stream.destination).log"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    var lines = text.split(separator: "\n").map(String.init)
    let fates = ledger.fates[stream] ?? []
    let accepted = lines.indices.filter { index in
      guard let message = try? Message(parsing: lines[index]),
        case .msg(_, let text) = message.content, message.source?.name.description == sender,
        let number = stream.number(in: text), fates.indices.contains(number - 1)
      else { return false }
      return fates[number - 1] == .accepted
    }
    guard accepted.count >= 2 else {
      throw TestFailure("too little of \(stream) was accepted to put a fault in")
    }
    let (first, second) = (accepted[0], accepted[1])
    switch self {
    case .lose: lines.remove(at: first)
    case .repeat: lines.append(lines[first])
    case .swap: lines.swapAt(first, second)
    case .invent:
      let next = stream.text(fates.count + 1)
      lines.append(":\(sender)@relay MSG \(stream.destination) \(next)")
    }
    try (lines.joined(separator: "\n") + "\n").write(
      toFile: path, atomically: true, encoding: .utf8)
  }
}
