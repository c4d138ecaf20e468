// parse(render(message)) == message, for random messages of every content.

import Testing

@testable import LineProtocol

@Suite("Messages, there and back")
struct MessageRoundTripTests {
  @Test(
    "every message that can be built is read back as itself, byte for byte: 20,000 of all kinds")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 20_000)
    var seen: [Verb: Int] = [:]
    for _ in 0..<20_000 {
      let source = random.oneIn(3) ? MessageGenerator.member(&random) : nil
      let content = MessageGenerator.content(&random, isDelivery: source != nil)
      let message = try Message(
        tags: MessageGenerator.tags(&random), source: source, content: content)
      seen[content.verb, default: 0] += 1
      let line = message.render()
      #expect(line.hasSuffix("\n"))
      let read = try Message(parsing: line)
      #expect(read == message, "\(line)")
      #expect(read.render().utf8.elementsEqual(line.utf8), "\(line)")
      // Through the reader, as a peer gets it.
      #expect(items([Array(line.utf8)], refusesHTTP: false) == [.line(Array(line.utf8.dropLast()))])
    }
    #expect(seen.count == Verb.allCases.count)
  }
}

/// Random messages of all kinds, all of which can be built.
enum MessageGenerator {
  static func content(_ random: inout SeededGenerator, isDelivery: Bool) -> Message.Content {
    let group = group(&random)
    switch random.pick(Verb.allCases) {
    case .nick: return .nick(name(&random))
    case .join:
      if isDelivery { return .join(group, reason: maybe(&random, text)) }
      return .join(group, maybe(&random, placement))
    case .leave: return .leave(group, reason: isDelivery ? maybe(&random, text) : nil)
    case .msg: return .msg(group, text(&random))
    case .pm: return .pm(recipient(&random), text(&random))
    case .ack:
      let destination = random.oneIn(2) ? Destination(recipient(&random)) : .named(group)
      return .ack(destination, identifier(&random))
    case .members: return .members(group)
    case .groups: return .groups
    case .ping: return .ping(maybe(&random, text))
    case .help: return .help(maybe(&random, text))
    case .stats: return .stats
    case .wait:
      return .wait(
        seconds: random.below(86_401), count: maybe(&random) { 1 + $0.below(1_000_000_000) })
    case .quit: return .quit
    case .forget: return .forget(name(&random), random.oneIn(2) ? group : nil)
    case .ok: return .ok(random.pick(Verb.allCases), maybe(&random, text) ?? "")
    case .err:
      return .err(
        Refusal(
          code: random.pick(ErrorCode.allCases),
          verb: maybe(&random) { $0.pick(Verb.allCases) }, text: maybe(&random, text) ?? ""))
    case .pong: return .pong(maybe(&random, text))
    case .info: return .info(maybe(&random, text) ?? "")
    case .member:
      return .member(
        group, member(&random), attributes: (0..<random.below(4)).map { _ in word(&random) })
    case .group: return .group(group, random.oneIn(9) ? .max : random.below(1_000))
    case .stat: return .stat(word(&random), maybe(&random, text) ?? "")
    }
  }

  static func tags(_ random: inout SeededGenerator) -> Tags {
    var tags = Tags()
    guard random.oneIn(3) else { return tags }
    for _ in 0..<1 + random.below(5) {
      tags[random.pick(["label", "msgid", "time", "to", "version", "x.org/y", "+z"])] =
        maybe(&random) { String(text(&$0).unicodeScalars.prefix(8)) } ?? ""
    }
    return tags
  }

  static func member(_ random: inout SeededGenerator) -> Member {
    Member(name: name(&random), place: random.oneIn(2) ? .relay : .direct(endpoint(&random)))
  }

  private static func maybe<Value>(
    _ random: inout SeededGenerator, _ make: (inout SeededGenerator) -> Value
  ) -> Value? {
    random.oneIn(2) ? make(&random) : nil
  }

  private static func name(_ random: inout SeededGenerator) -> MemberName {
    let letters = Array("abcXYZ")
    let others = Array("abcXYZ019_.-")
    let text =
      String(random.pick(letters))
      + String((0..<random.below(32)).map { _ in random.pick(others) })
    return MemberName(text)!
  }

  private static func group(_ random: inout SeededGenerator) -> GroupName {
    let characters = Array("abcXYZ019_.-")
    return GroupName(String((0..<1 + random.below(64)).map { _ in random.pick(characters) }))!
  }

  private static func endpoint(_ random: inout SeededGenerator) -> Endpoint {
    let address =
      random.oneIn(2)
      ? IPAddress(v4: UInt32(truncatingIfNeeded: random.next()))
      : IPAddress(high: random.next(), low: random.next() & random.next() & random.next())
    return Endpoint(address: address, port: UInt16(1 + random.below(65_535)))!
  }

  private static func placement(_ random: inout SeededGenerator) -> Placement {
    random.pick([.relay, .port(UInt16(1 + random.below(65_535))), .endpoint(endpoint(&random))])
  }

  private static func recipient(_ random: inout SeededGenerator) -> Recipient {
    random.pick([.name(name(&random)), .endpoint(endpoint(&random)), .member(member(&random))])
  }

  private static func identifier(_ random: inout SeededGenerator) -> MessageID {
    let sequence = random.oneIn(5) ? UInt64.max : 1 + random.next() % 1_000_000
    return MessageID(stream: random.next(), sequence: sequence)!
  }

  private static func word(_ random: inout SeededGenerator) -> String {
    let characters = Array("aZ09=:;@\\/é日😀\t")
    return String((0..<1 + random.below(6)).map { _ in random.pick(characters) })
  }

  /// Something to say: never blank, with spaces anywhere and characters of every length.
  private static func text(_ random: inout SeededGenerator) -> String {
    let characters = Array("abc xyz  :@;=\\#é߿€日本語😀\u{10FFFF}\u{301}\u{206A}\u{FEFF}\t~")
    var text = String((0..<random.below(40)).map { _ in random.pick(characters) })
    text.insert("!", at: text.index(text.startIndex, offsetBy: random.below(text.count + 1)))
    return text
  }
}
