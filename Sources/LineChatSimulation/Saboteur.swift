// Faults put in between the core and the world, one kind at a time, to prove that the checkers find
// them. What is spoilt here is what the server says; what it is told is spoilt in ServerNode.

import LineChatCore

private func isDelivery(_ line: [UInt8]) -> Bool {
  guard let (_, rest) = try? Ear.split(line) else { return false }
  return rest.first == 0x3A
}

private func isReply(_ line: [UInt8], _ word: String) -> Bool {
  guard let (_, rest) = try? Ear.split(line) else { return false }
  return rest.starts(with: word.utf8)
}

/// Spoils what a round says to each connection.
func spoilLines(_ said: inout [[[UInt8]]], _ sabotage: Sabotage, _ world: World) {
  guard !said.isEmpty, world.chance(5) else { return }
  let victim = world.random(0...said.count - 1)
  let deliveries = said[victim].indices.filter { isDelivery(said[victim][$0]) }
  let replies = said[victim].indices.filter { isReply(said[victim][$0], "OK ") }
  switch sabotage {
  case .loseDelivery: if let at = deliveries.last { said[victim].remove(at: at) }
  case .doubleDelivery:
    if let at = deliveries.first { said[victim].insert(said[victim][at], at: at) }
  case .swapDeliveries:
    if deliveries.count > 1 { said[victim].swapAt(deliveries[0], deliveries[1]) }
  case .misdeliver:
    if let at = deliveries.first { said[(victim + 1) % said.count].append(said[victim][at]) }
  case .alterText:
    if let at = deliveries.first, let last = said[victim][at].indices.last {
      said[victim][at][last] ^= 1
    }
  case .echoToSender:
    if let at = replies.first, isReply(said[victim][at], "OK MSG"), said.count > 1,
      let line = said[(victim + 1) % said.count].first(where: isDelivery)
    {
      said[victim].append(line)
    }
  case .loseReply: if let at = replies.first { said[victim].remove(at: at) }
  case .wrongLabel:
    if let at = said[victim].firstIndex(where: { $0.starts(with: "@label=".utf8) }) {
      said[victim][at].insert(0x78, at: 7)
    }
  case .wrongCount:
    if let at = replies.first(where: { isReply(said[victim][$0], "OK MSG") }),
      let last = said[victim][at].indices.last
    {
      said[victim][at][last] ^= 1
    }
  case .staleVersion:
    let prefix = Array("@version=7.".utf8)
    if let at = deliveries.first(where: { said[victim][$0].starts(with: prefix) }) {
      said[victim][at].insert(0x31, at: prefix.count)
    }
  case .splitListing:
    if let at = said[victim].indices.dropFirst().first(where: {
      isReply(said[victim][$0], "MEMBER ") && isReply(said[victim][$0 - 1], "MEMBER ")
    }) {
      said[victim].insert(Array("PING".utf8), at: at)
    }
  case .tagsToPlain:
    if let at = deliveries.first, said[victim][at].first == 0x3A {
      said[victim][at].insert(contentsOf: "@x=y ".utf8, at: 0)
    }
  case .loseOwnChange:
    // What a program hears right before the answer is what it has changed itself.
    for lines in said.indices {
      let own = said[lines].indices.dropLast().first { at in
        isDelivery(said[lines][at]) && isReply(said[lines][at + 1], "OK NICK")
          && said[lines][at].starts(with: "@version=".utf8)
      }
      if let own { said[lines].remove(at: own) }
    }
  case .loseOutcome:
    for lines in said.indices {
      for at in said[lines].indices where isReply(said[lines][at], "OK ") {
        guard let (tags, rest) = try? Ear.split(said[lines][at]), tags["plain"] != nil else {
          continue
        }
        let label = tags["label"].map { Array("@label=\($0) ".utf8) } ?? []
        said[lines][at] = label + rest
      }
    }
  case .confirmFailedWrite, .failWrittenWrite, .forgetTicket, .forgetReset, .forgetClose,
    .forgetResume, .forgetTick, .loseLine, .loseRecord, .repeatVersions:
    break
  }
}
