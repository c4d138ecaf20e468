// Looking around: /history, /search, /status, /why.

import LineChat
import LineProtocol
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("looking around")
struct LookTests {
  private func contact(
    _ text: String, isOnline: Bool = true, isLinked: Bool = false, waiting: Int = 0,
    failure: String? = nil, retry: Int? = nil
  ) -> NodeStatus.Contact {
    NodeStatus.Contact(
      member: member(text), isOnline: isOnline, speaksTags: true, isLinked: isLinked,
      waiting: waiting, lastFailure: failure, retrySeconds: retry, sentDirectly: 3, sentRelayed: 1)
  }

  @Test("/history shows the last messages, each with its day where that is another one")
  func history() {
    var stage = ModelStage.inLobby()
    stage.type("/history 3")
    #expect(stage.asked.map(\.request) == [.history(.group(group("lobby")), count: 3)])
    var old = stage.message("long ago", from: "bob", in: "lobby")
    old.timeMicroseconds -= 86_400_000_000
    old.isLate = true
    let own = stage.message("mine", from: "alice", in: "lobby", path: .own)
    stage.answer(.found([old, own], isComplete: true))
    #expect(
      stage.shown() == [
        "-- everything that was said in lobby", "21 Nov 12:34 <bob> long ago",
        "12:34 <alice> mine", "-- end of the history",
      ])
    stage.type("/history")
    #expect(stage.asked.map(\.request) == [.history(.group(group("lobby")), count: 20)])
    stage.answer(.found([own], isComplete: false))
    #expect(stage.shown().first == "-- the last 1 message in lobby")
    stage.type("/history")
    stage.answer(.found([], isComplete: true))
    #expect(stage.shown() == ["-- nothing has been said in lobby yet"])
  }

  @Test("/history, wrong", arguments: ["0", "-1", "1001", "x", "1 2", "99999999999999999999"])
  func historyWrong(_ number: String) {
    var stage = ModelStage.inLobby()
    stage.type("/history \(number)")
    #expect(stage.shown() == ["-- /history takes a number from 1 to 1000, not \"\(number)\""])
  }

  @Test("/search finds words in all logs")
  func search() {
    var stage = ModelStage.inLobby()
    stage.type("/search red  herring")
    #expect(stage.asked.map(\.request) == [.search("red  herring", count: 20)])
    stage.answer(
      .found(
        [
          stage.message("a red  herring", from: "bob", in: "dev"),
          stage.message("no red  herring", from: "bob", in: "@bob"),
        ], isComplete: false))
    #expect(
      stage.shown() == [
        "-- the latest with \"red  herring\"", "12:34 #dev <bob> a red  herring",
        "12:34 [bob -> you] no red  herring", "-- end of the history",
      ])
    stage.type("/search x")
    stage.answer(.found([], isComplete: true))
    stage.type("/search")
    stage.type("/search y")
    stage.answer(.refused(nil, "log: Permission denied"))
    #expect(
      stage.shown() == [
        "-- nobody has said \"x\"", "-- /search needs a word to look for: /search WORD",
        "-- the logs can't be read: log: Permission denied",
      ])
  }

  @Test("/status: oneself, the server, the links, and what waits")
  func status() {
    var stage = ModelStage.inLobby()
    stage.status.isServerThere = true
    stage.type("/status")
    #expect(
      stage.shown() == [
        "-- you are alice, at 127.0.0.1:5000", "-- server: 127.0.0.1:5463, there",
        "-- groups: 1 lobby (3), 2 dev (2)", "-- connected directly: nobody just now",
        "-- sent: 0 directly, 0 through the server; heard: 0 directly, 0 through the server",
        "-- waiting: nothing",
      ])
    stage.status.isServerThere = false
    stage.status.serverFailure = "Connection refused"
    stage.status.place = .relay
    stage.status.outboxMessages = 3
    stage.status.contacts = [
      contact("bob@127.0.0.1:5001", isLinked: true),
      contact("carol@relay", isOnline: false, waiting: 3),
      contact(
        "dave@10.0.0.4:5001", waiting: 1, failure: "Connection refused", retry: 12),
    ]
    stage.hear(.serverIsAway(reason: "Connection refused", retrySeconds: 1))
    stage.clear()
    stage.type("/status")
    #expect(
      stage.shown() == [
        "-- you are alice, reached through the server",
        "-- server: 127.0.0.1:5463, away (Connection refused)", "-- groups: 1 lobby (3), 2 dev (2)",
        "-- connected directly: bob",
        "-- sent: 9 directly, 3 through the server; heard: 0 directly, 0 through the server",
        "-- waiting: 3 messages", "--   carol  3 messages  away",
        "--   dave   1 message   Connection refused; tried again in 12 s",
      ])
  }

  @Test("/why: how somebody is reached, and what was tried")
  func why() {
    var stage = ModelStage.inLobby()
    stage.status.contacts = [
      contact(
        "bob@127.0.0.1:5001", waiting: 2, failure: "Connection refused", retry: 4),
      contact("carol@relay", isOnline: false),
    ]
    stage.hear(.linkUp(member("bob@127.0.0.1:5001")))
    stage.pass(61)
    stage.hear(.linkIdle(member("bob@127.0.0.1:5001")))
    stage.hear(
      .linkDown(member("bob@127.0.0.1:5001"), reason: "Connection refused", retrySeconds: 4))
    #expect(stage.shown() == [])
    for peer in ["bob", "BOB", "127.0.0.1:5001", "bob@127.0.0.1:5001"] {
      stage.type("/why \(peer)")
      #expect(
        stage.shown() == [
          "-- bob@127.0.0.1:5001, in lobby, dev, there",
          "--   can't be reached directly: Connection refused; tried again in 4 s",
          "--   sent since the start: 3 directly, 1 through the server", "--   2 messages wait",
          "--   12:34:56 connected to 127.0.0.1:5001",
          "--   12:35:57 connection closed, as it was not used",
          "--   12:35:57 127.0.0.1:5001 can't be reached: Connection refused",
        ])
    }
    stage.type("/why carol")
    #expect(
      stage.shown() == [
        "-- carol@relay, in lobby, away",
        "--   has no address: what is for carol goes through the server",
        "--   sent since the start: 3 directly, 1 through the server", "--   nothing waits",
      ])
    stage.type("/why")
    #expect(stage.shown().first == "-- bob@127.0.0.1:5001, in lobby, dev, there")
  }

  @Test("/why, wrong")
  func whyWrong() {
    var stage = ModelStage.inLobby()
    stage.type("/why")
    stage.type("/why alice")
    stage.type("/why nobody")
    stage.type("/why 127.0.0.1")
    #expect(
      stage.shown() == [
        "-- nothing waits for anybody", "-- alice is you",
        "-- nobody is in none of your groups, and nothing waits there",
        "-- 127.0.0.1 is an address without its port; it looks like 10.0.0.2:5001 or [::1]:5001",
      ])
  }

  @Test("what was tried is remembered, but not without bound")
  func contactLog() {
    var log = ContactLog()
    for number in 1...100 { log.note(name("bob"), "\(number)", at: Int64(number)) }
    #expect(log.entries(of: name("bob")).map(\.text).first == "89")
    for number in 1...1_000 { log.note(name("m\(number)"), "x", at: 0) }
    #expect(log.entries(of: name("bob")).isEmpty)
    #expect(log.entries(of: name("m1000")).count == 1)
  }
}
