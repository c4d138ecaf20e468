// What TAB offers.

import LineChat
import LineProtocol
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("TAB")
struct ShellCompletionTests {
  private func stage() -> ModelStage {
    var stage = ModelStage.inLobby(memory: ShellMemory(ignored: [name("mallory")]))
    stage.has("Design", "alice@relay")
    stage.hear(.entered(group("Design"), members: 1, isNew: true))
    stage.hear(.joined(member("dave@[::1]:5003"), group("lobby")))
    stage.hear(.joined(member("mallory@relay"), group("lobby")))
    stage.serverGroups += [
      GroupCount(name: group("ops"), members: 1), GroupCount(name: group("delta"), members: 9),
    ]
    stage.type("/groups")
    return stage
  }

  private func check(
    _ line: String, _ candidates: [String], appending end: String = " ", after: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(
      stage().complete(line, after: after) == Completion(candidates, appending: end),
      sourceLocation: sourceLocation)
  }

  @Test("commands, and other names for them where nothing else fits")
  func commands() {
    check("/jo", ["/join"])
    check("/me", ["/members", "/me"])
    check("/ST", ["/status"], appending: "")
    check("/his", ["/history"])
    check("/la", ["/lastlog"])
    check("/xyz", [])
    check("//jo", [])
    check("/help jo", ["join"])
    check("/help /jo", ["/join"])
    #expect(stage().complete("/").candidates.count == ShellCommand.allCases.count)
  }

  @Test("groups: the server's that are not ours yet first where one is joined")
  func groups() {
    check("/join ", ["delta", "ops", "dev", "Design", "lobby"].sortedLikeTheServer)
    check("/join de", ["delta", "dev", "Design"])
    check("/j #de", ["#delta", "#dev", "#Design"])
    check("/switch ", ["dev", "Design", "lobby"])
    check("/switch de", ["dev", "Design"])
    check("/leave lo", ["lobby"])
    check("/members d", ["dev", "Design"])
    check("/join ops mo", [])
  }

  @Test("after /pm: names, full members, addresses")
  func people() {
    check("/pm ", ["bob", "carol", "dave"])
    check("/pm C", ["carol"])
    check("/query c", ["carol"])
    check("/pm bob@", ["bob@127.0.0.1:5001"])
    check("/pm 127", ["127.0.0.1:5001"])
    check("/pm 127.0.0.1:50", ["127.0.0.1:5001"])
    check("/pm [", ["[::1]:5003"])
    check("/why d", ["dave"])
    check("/ignore da", ["dave"])
    check("/unignore ", ["mallory"])
    check("/nick ", ["alice"])
    check("/why dave b", [])
    check("/history ", [])
    check("/status x", [])
  }

  @Test("after /msg: groups and names, and what is both told apart")
  func targets() {
    var stage = stage()
    stage.has("bob", "alice@relay")
    stage.hear(.entered(group("bob"), members: 1, isNew: true))
    #expect(stage.complete("/msg b").candidates == ["bob"])
    #expect(stage.complete("/msg #b").candidates == ["#bob"])
    #expect(stage.complete("/msg d").candidates == ["dev", "Design", "dave"])
  }

  @Test("names: whoever spoke last comes first")
  func names() {
    var stage = stage()
    #expect(stage.complete("c") == Completion(["carol"], appending: ": "))
    #expect(stage.complete("hi c") == Completion(["carol"], appending: " "))
    #expect(stage.complete("hi ").candidates == ["bob", "carol", "dave"])
    stage.hear("one", from: "dave")
    stage.hear("two", from: "carol")
    #expect(stage.complete("hi ").candidates == ["carol", "dave", "bob"])
    #expect(stage.complete("/pm bob ask ").candidates == ["carol", "dave", "bob"])
    #expect(stage.complete("/me waves at d").candidates == ["dave"])
    #expect(stage.complete("ask @d").candidates == ["@dave"])
    #expect(stage.complete("see #de").candidates == ["#dev", "#Design"])
    stage.hear(.left(member("carol@relay"), group("lobby"), reason: ""))
    stage.hear(.renamed(member("dave@relay"), to: name("eve")))
    #expect(stage.complete("hi ").candidates == ["eve", "bob"])
  }

  @Test("who was written with is offered first after /pm, and on an empty line")
  func correspondents() {
    var stage = stage()
    #expect(stage.complete("").candidates == ["bob", "carol", "dave"])
    stage.hear("psst", from: "dave", in: "@dave")
    stage.type("/pm carol hello")
    #expect(stage.complete("/pm ").candidates == ["carol", "dave", "bob"])
    #expect(stage.complete("") == Completion(["/pm dave"]))
  }

  @Test("in the middle of a line nothing is set twice")
  func middle() {
    check("c", ["carol"], appending: ": ", after: " hello")
    check("c", ["carol"], appending: "", after: "x hello")
  }

  @Test("it never waits: what is old is asked for anew, for the next time")
  func neverWaits() {
    var stage = stage()
    stage.pass(11)
    let request = CompletionRequest(before: "/join ", word: "", after: "")
    _ = stage.model.complete(request, now: stage.now)
    let asked = stage.model.takeEffects()
    #expect(asked.count == 1)
    guard case .ask(.groups, let call) = asked.first else {
      Issue.record("the groups should be asked for")
      return
    }
    // One question at a time.
    _ = stage.model.complete(request, now: stage.now)
    #expect(stage.model.takeEffects().isEmpty)
    let new = GroupCount(name: group("new"), members: 1)
    stage.model.answered(call, .groups([new]), now: stage.now)
    #expect(stage.complete("/join n").candidates == ["new"])
    _ = stage.model.complete(
      CompletionRequest(before: "hello ", word: "", after: ""), now: stage.now)
    #expect(stage.model.takeEffects().isEmpty)
  }

  @Test("a question is not completed")
  func question() {
    var stage = stage()
    stage.type("JOIN ops")
    #expect(stage.complete("") == .none)
  }
}

extension [String] {
  /// The server's groups in its own order, then ours.
  fileprivate var sortedLikeTheServer: [String] { ["ops", "delta", "dev", "Design", "lobby"] }
}
