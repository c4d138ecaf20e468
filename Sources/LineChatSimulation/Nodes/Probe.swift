// Somebody with netcat who asks the server who is where, for the end of a run: what the nodes know is
// held against its answer.

import LineChatCore
import LineProtocol

final class Probe: Node {
  struct Entry: Equatable, CustomStringConvertible {
    let member: Member
    let isOnline: Bool
    let speaksTags: Bool

    var description: String {
      "\(member)\(isOnline ? " online" : "")\(speaksTags ? " tags" : "")"
    }
  }

  private(set) var rosters: [GroupName: [Entry]] = [:]
  private(set) var isDone = false
  private let script: String
  private var number = 0
  private var input: [UInt8] = []

  init(_ groups: [GroupName], _ world: World) {
    script = groups.map { "MEMBERS \($0)\n" }.joined() + "QUIT\n"
    number = world.add(self)
    let address = IPAddress(v4: 0x0a00_00fb)
    world.streets.hosts[address] = number
    guard let endpoint = ServerMachine.endpoint else { return }
    _ = world.dial(endpoint, from: number, at: address)
  }

  func wake(_ cause: Cause, in world: World) {
    switch cause {
    case .connected(let link): world.write(Array(script.utf8), to: link, from: .client)
    case .arrived(_, let bytes): input += bytes
    case .ended(let link):
      world.close(link, from: .client)
      read()
    case .refused, .reset, .opened, .taken, .timer: break
    }
  }

  private func read() {
    isDone = true
    for line in input.split(separator: 0x0A) {
      let text = String(decoding: line, as: UTF8.self)
      guard
        case .member(let group, let member, let attributes)? =
          (try? Message(parsing: text))?.content
      else { continue }
      rosters[group, default: []].append(
        Entry(
          member: member, isOnline: attributes.contains("online"),
          speaksTags: attributes.contains("tags")))
    }
  }

  /// Somebody is connected under that name; nil where it is in no group.
  func isOnline(_ name: MemberName) -> Bool? {
    for roster in rosters.values {
      if let entry = roster.first(where: { $0.member.name == name }) { return entry.isOnline }
    }
    return nil
  }
}
