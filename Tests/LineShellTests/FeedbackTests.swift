// What became of a message: told where it helps, and no more.

import LineChat
import LineProtocol
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("what became of a message")
struct FeedbackTests {
  private let away = DeliveryState.waiting(reason: "not connected")
  private let unreachable = DeliveryState.waiting(reason: "unreachable: Connection refused")

  private func stage(saying text: String = "hello", in place: String = "lobby") -> ModelStage {
    var stage = ModelStage.inLobby()
    stage.type(place.hasPrefix("@") ? "/pm \(place.dropFirst()) \(text)" : text)
    stage.clear()
    return stage
  }

  @Test("nothing, where everybody who is there has it")
  func allHaveIt() {
    var stage = stage()
    _ = stage.receipt("hello", [("bob", .delivered), ("carol", .delivered)])
    stage.pass(60)
    #expect(stage.shown() == [])
  }

  @Test("who waits is named with the reason, once, and then when it has arrived")
  func waits() {
    var stage = stage()
    let first = stage.receipt("hello", [("bob", .delivered), ("carol", unreachable)])
    #expect(stage.shown() == ["-- 1 of 2 have it; carol waits (unreachable)"])
    stage.type("again")
    stage.clear()
    let second = stage.receipt("again", [("bob", .delivered), ("carol", unreachable)])
    stage.pass(10)
    #expect(stage.shown() == [])
    stage.hear(.delivery(first, .group(group("lobby")), to: name("carol"), .delivered))
    stage.hear(.delivery(second, .group(group("lobby")), to: name("carol"), .delivered))
    #expect(stage.shown() == ["-- carol has your 2 messages now"])
    stage.type("third")
    stage.clear()
    let third = stage.receipt("third", [("bob", .delivered), ("carol", unreachable)])
    #expect(stage.shown() == ["-- 1 of 2 have it; carol waits (unreachable)"])
    stage.hear(.delivery(third, .group(group("lobby")), to: name("carol"), .delivered))
    #expect(stage.shown() == ["-- carol has it now"])
  }

  @Test("who is known to be away is not listed, and is named when it has arrived")
  func knownAway() {
    var stage = stage()
    stage.isAway("carol")
    stage.clear()
    let id = stage.receipt("hello", [("bob", .delivered), ("carol", away)])
    #expect(stage.shown() == [])
    stage.hear(.presence(member("carol@relay"), isOnline: true))
    stage.hear(.delivery(id, .group(group("lobby")), to: name("carol"), .delivered))
    #expect(stage.shown() == ["12:34 -- carol is back", "-- carol has it now"])
  }

  @Test("the count is of those who are there")
  func counts() {
    var stage = stage()
    stage.isAway("carol")
    stage.clear()
    _ = stage.receipt(
      "hello",
      [
        ("bob", .delivered), ("carol", away), ("dave", unreachable), ("erin", .sent),
        ("frank", unreachable), ("gina", unreachable), ("hans", unreachable),
      ])
    #expect(
      stage.shown() == [
        "-- erin gives no receipts: sent is all that can be known",
        "-- 2 of 6 have it; dave waits (unreachable); frank waits (unreachable); gina waits "
          + "(unreachable); 1 more wait",
      ])
  }

  @Test("what is under way gets some seconds, and is told only if they were not enough")
  func grace() {
    var stage = stage()
    let id = stage.receipt("hello", [("bob", .relayed), ("carol", .underWay)])
    #expect(stage.shown() == [])
    stage.pass(2)
    stage.hear(.delivery(id, .group(group("lobby")), to: name("bob"), .delivered))
    #expect(stage.shown() == [])
    stage.pass(2)
    #expect(stage.shown() == ["-- 1 of 2 have it; carol waits (on its way)"])
    stage.hear(.delivery(id, .group(group("lobby")), to: name("carol"), .delivered))
    #expect(stage.shown() == ["-- carol has it now"])
    stage.type("again")
    stage.clear()
    _ = stage.receipt("again", [("bob", .relayed)])
    stage.pass(5)
    #expect(
      stage.shown() == [
        "-- bob has not confirmed it (the server handed it over)"
      ])
  }

  @Test("a group where nobody is there, or nobody else is at all, is told once")
  func empty() {
    var stage = stage()
    stage.isAway("bob")
    stage.isAway("carol")
    stage.clear()
    _ = stage.receipt("hello", [("bob", away), ("carol", away)])
    #expect(stage.shown() == ["-- nobody is there now; it waits for bob and carol"])
    for _ in 1...2 {
      stage.type("hello")
      stage.clear()
      _ = stage.receipt("hello", [("bob", away), ("carol", away)])
      #expect(stage.shown() == [])
    }
    for isFirst in [true, false] {
      stage.type("/switch dev")
      stage.type("echo")
      stage.clear()
      _ = stage.receipt("echo", [], in: "dev")
      #expect(stage.shown() == (isFirst ? ["-- nobody else is in dev, so nobody has it"] : []))
    }
  }

  @Test("a private message to somebody who is away says so")
  func privateMessage() {
    var stage = stage(in: "@carol")
    stage.isAway("carol")
    stage.clear()
    let id = stage.receipt("hello", [("carol", away)], in: "@carol")
    #expect(stage.shown() == ["-- carol is away; it waits"])
    stage.hear(.delivery(id, .person(name("carol")), to: name("carol"), .delivered))
    #expect(stage.shown() == ["-- carol has it now"])
    stage.type("/pm bob hi")
    stage.clear()
    _ = stage.receipt("hi", [("bob", unreachable)], in: "@bob")
    #expect(stage.shown() == ["-- bob waits (unreachable)"])
  }

  @Test("what will not be delivered is told with its beginning")
  func failures() {
    var stage = stage()
    let text = String(repeating: "word ", count: 20)
    _ = stage.receipt(
      "hello", [("bob", .failed(reason: "there is no bob; MEMBERS lobby lists who is"))])
    #expect(
      stage.shown() == ["-- not delivered to bob: there is no bob; /members lobby lists who is"])
    stage.type(text)
    stage.clear()
    let id = stage.receipt(text, [("carol", unreachable)])
    stage.clear()
    stage.hear(
      .delivery(
        id, .group(group("lobby")), to: name("carol"), .failed(reason: "it waited for seven days")))
    #expect(
      stage.shown() == [
        "-- \"word word word word word word…\" was not delivered to carol: it waited for seven days"
      ])
  }

  @Test("what waited from an earlier run is counted when it arrives")
  func earlierRun() {
    var stage = ModelStage.inLobby()
    for sequence in 1...5 {
      stage.hear(
        .delivery(
          MessageID(stream: 3, sequence: UInt64(sequence))!, .group(group("lobby")),
          to: name("carol"), .delivered))
    }
    stage.pass(1)
    #expect(stage.shown() == ["-- carol has your 5 messages now"])
  }

  @Test("a member who waits may be renamed")
  func renamed() {
    var stage = stage()
    let id = stage.receipt("hello", [("carol", unreachable)])
    stage.clear()
    stage.hear(.renamed(member("carol@relay"), to: name("caro")))
    stage.hear(.delivery(id, .group(group("lobby")), to: name("caro"), .delivered))
    #expect(stage.shown() == ["12:34 -- carol is now caro", "-- caro has it now"])
  }

  @Test("a hundred netcats are told in one line, and so are a hundred failures")
  func crowdOfReaders() {
    var stage = stage()
    let names = (100...199).map { "n\($0)" }
    _ = stage.receipt("hello", names.map { ($0, .sent) })
    #expect(
      stage.shown() == [
        "-- n100, n101, n102 and 97 more give no receipts: sent is all that can be known"
      ])
    stage.type("again")
    stage.clear()
    _ = stage.receipt(
      "again",
      names.map { ($0, .failed(reason: $0 == "n150" ? "too long" : "gone")) } + [("bob", .sent)])
    #expect(
      stage.shown() == [
        "-- not delivered to n100, n101, n102 and 96 more: gone",
        "-- not delivered to n150: too long",
        "-- bob gives no receipts: sent is all that can be known",
      ])
  }

  @Test("where it arrives at many, they are told together, a little later")
  func crowdOfArrivals() {
    var stage = stage()
    let names = (100...199).map { "n\($0)" }
    let id = stage.receipt("hello", names.map { ($0, unreachable) })
    stage.clear()
    for one in names {
      stage.hear(.delivery(id, .group(group("lobby")), to: name(one), .delivered))
    }
    stage.pass(4)
    #expect(
      stage.shown() == [
        "-- n100 has it now", "-- n101 has it now", "-- n102 has it now",
        "-- 97 have it now (n103, n104, n105 and 94 more)",
      ])
    stage.pass(20)
    #expect(stage.shown() == [])
    stage.type("two")
    let second = stage.receipt("two", [("n100", unreachable)])
    stage.clear()
    stage.hear(.delivery(second, .group(group("lobby")), to: name("n100"), .delivered))
    #expect(stage.shown() == ["-- n100 has it now"])
  }

  @Test("so many that wait cost no more than their number")
  func bounded() {
    var feedback = DeliveryFeedback()
    func message(_ sequence: UInt64) -> Receipt {
      var stage = ModelStage()
      var message = stage.message("x", from: "alice", in: "lobby", path: .own)
      message.id = MessageID(stream: 9, sequence: sequence)
      return Receipt(message: message, entries: [.init(name("carol"), unreachable)])
    }
    var receipt = message(1)
    for sequence in 1...10_000 {
      receipt.message.id = MessageID(stream: 9, sequence: UInt64(sequence))
      _ = feedback.sent(receipt, isAway: { _ in false }, now: 0)
    }
    #expect(feedback.lacking.map(\.messages) == [4_096])
    for sequence in 1...10_000 {
      _ = feedback.changed(
        MessageID(stream: 9, sequence: UInt64(sequence))!, .group(group("lobby")), name("carol"),
        .delivered, now: 0)
    }
    #expect(feedback.isAllDone)
    #expect(feedback.tell({ _ in false }, now: 2_000_000) == ["carol has your 10000 messages now"])
  }
}
