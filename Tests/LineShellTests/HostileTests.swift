// Nothing that another can send reaches the terminal raw, or looks like a line of the shell's own.

import LineChat
import LineProtocol
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("hostile texts")
struct HostileTests {
  private static let nasty: [String] = [
    "\u{1B}]0;title\u{7}", "\u{1B}[2J", "\u{9B}31m", "\r", "\n", "\t", "\u{0}", "\u{8}", "\u{7F}",
    "\u{202E}", "\u{2066}", "\u{200F}", "\u{2028}", "\u{85}", "\u{FEFF}", "\u{1}", "\u{2}", "%s",
    "a", " ", "é", "世界", "👩‍👩‍👧", "e\u{301}", "-- ", "12:34 -- ", "/quit", "<bob>", "alice",
    String(repeating: "x", count: 5_000), String(repeating: "界 ", count: 2_000),
  ]

  private func text(_ random: inout SplitMix64) -> String {
    (0..<Int.random(in: 0...8, using: &random)).map { _ in
      Self.nasty.randomElement(using: &random) ?? ""
    }.joined()
  }

  private func isFit(_ line: StyledText) -> Bool {
    line.spans.allSatisfy { span in
      span.text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !isUnsafeToShow($0) }
    }
  }

  @Test("whatever comes, no control reaches the screen", arguments: 1...40)
  func anything(_ seed: UInt64) {
    var random = SplitMix64(state: seed)
    var stage = ModelStage.inLobby { $0.isInteractive = seed % 4 != 0 }
    for _ in 1...60 {
      happens(&stage, &random)
      #expect(stage.styled.allSatisfy(isFit), "seed \(seed)")
      #expect(stage.prompt.unicodeScalars.allSatisfy { !isUnsafeToShow($0) }, "seed \(seed)")
      stage.clear()
    }
  }

  private func happens(_ stage: inout ModelStage, _ random: inout SplitMix64) {
    let text = text(&random)
    let who = ["bob", "carol", "dave"].randomElement(using: &random) ?? "bob"
    let place = ["lobby", "dev", "other", "@\(who)"].randomElement(using: &random) ?? "lobby"
    switch Int.random(in: 0...13, using: &random) {
    case 0...3: stage.hear(text, from: who, in: place)
    case 4: stage.hear(.serverIsAway(reason: text, retrySeconds: 1))
    case 5: stage.hear(.serverIsThere(id: 1, isAnother: Bool.random(using: &random)))
    case 6: stage.hear(.left(member("\(who)@relay"), group("lobby"), reason: text))
    case 7: stage.hear(.linkDown(member("\(who)@relay"), reason: text, retrySeconds: 1))
    case 8: stage.hear(.refused(Refusal(code: .forbidden, text: text)))
    case 9: stage.hear(.exited(group("other"), reason: text))
    case 10: stage.hear(.nameIsTaken(name("alice"), reason: text))
    case 11: stage.type(text)
    case 12: stage.type("/why \(who)")
    default:
      if stage.asked.isEmpty {
        stage.handle(.refused(.notUTF8(text)))
      } else {
        stage.answer(.refused(.internalError, text))
      }
    }
    if Int.random(in: 0...5, using: &random) == 0 { stage.pass(3) }
    if Int.random(in: 0...3, using: &random) == 0 { stage.handle(.interrupted(discarded: "")) }
  }

  @Test("a message is one line, begins with its sender, and its rows are set in")
  func oneLine() {
    var model = ModelStage.inLobby().model
    var stage = ModelStage()
    let text = String(repeating: "-- you have left lobby ", count: 40)
    model.hear(.message(stage.message(text, from: "bob", in: "lobby")), now: stage.now)
    guard case .print(let line, let indent) = model.takeEffects().first else {
      Issue.record("it should be shown")
      return
    }
    let rows = line.wrapped(to: 60, indent: indent).map(\.plain)
    #expect(rows.first?.hasPrefix("12:34 <bob> -- you") == true)
    #expect(rows.dropFirst().allSatisfy { $0.hasPrefix("            ") && $0.count <= 60 })
  }

  @Test("marks are not piled up over the rows around")
  func stacks() {
    var stage = ModelStage.inLobby()
    let marks = { String(repeating: "\u{301}", count: $0) }
    stage.hear("a\(marks(5))b\(marks(2))", from: "bob")
    #expect(stage.shown() == ["12:34 <bob> a\(marks(5))b\(marks(2))"])
    stage.hear("a\(marks(6))b", from: "bob")
    stage.hear("a\(marks(20_000))b", from: "bob")
    #expect(
      stage.shown() == Array(repeating: "12:34 <bob> a\(marks(5))\u{FFFD}b", count: 2))
    stage.hear(marks(300), from: "bob")
    #expect(stage.shown() == ["12:34 <bob> \(marks(5))\u{FFFD}"])
    // A flag made of tags, and a family.
    let flag = "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}"
    stage.hear(flag + "👩‍👩‍👧", from: "bob")
    #expect(stage.shown() == ["12:34 <bob> \(flag)👩‍👩‍👧"])
    let invisible = String(repeating: "\u{E0041}", count: 400)
    stage.hear("x\(invisible)y", from: "bob")
    #expect(stage.shown().first?.unicodeScalars.count ?? 0 < 40)
  }

  @Test("wide characters and tabs are set in as wide as they are")
  func wide() {
    var stage = ModelStage.inLobby()
    stage.hear("界\tx", from: "bob")
    #expect(stage.shown() == ["12:34 <bob> 界  x"])
    stage.hear("e\u{301}\u{1B}[31m", from: "bob")
    #expect(stage.shown() == ["12:34 <bob> e\u{301}\\u{1b}[31m"])
  }

  @Test("a screen of members with long names stays a table")
  func table() {
    var stage = ModelStage.inLobby()
    let long = String(repeating: "n", count: 32)
    stage.rosters[0].members.append(ShellMember(member("\(long)@relay")))
    stage.type("/members")
    #expect(stage.shown().contains("--   \(long)  through the server"))
  }
}
