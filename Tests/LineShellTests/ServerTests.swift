// What the shell says of the server, of ourselves, and of who comes and goes.

import LineChat
import LineChatCore
import LineProtocol
import Testing

@testable import LineShell

@Suite("the server, and the others")
struct ServerTests {
  @Test("the first start: who one is, where, and what to do next")
  func firstStart() {
    var stage = ModelStage { $0.notes = ["alice runs here already, so you are alice2"] }
    stage.start()
    stage.hear(.serverIsTried)
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(
      stage.shown() == [
        "-- linechat 0.0.0; you are alice. /help lists the commands.",
        "-- alice runs here already, so you are alice2",
        "12:34 -- connected to the server at 127.0.0.1:5463",
        "-- you are in no group; /groups lists those there are, /join GROUP enters or makes one",
      ])
  }

  @Test("groups that are named at the start are joined, and the first is the current one")
  func groupsAtStart() {
    var stage = ModelStage(groups: ["dev", "lobby"])
    stage.start()
    stage.type("typed early")
    stage.clear()
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(stage.shown() == ["12:34 -- connected to the server at 127.0.0.1:5463"])
    #expect(stage.asked.map(\.request) == [.join(group("dev")), .join(group("lobby"))])
    let members = [ShellMember(member("alice@relay")), ShellMember(member("bob@relay"))]
    stage.answer(.members(group("dev"), members))
    #expect(stage.shown() == ["12:34 -- you are in dev with bob"])
    stage.answer(.members(group("lobby"), [ShellMember(member("alice@relay"))]))
    #expect(
      stage.shown() == [
        "12:34 -- you are in lobby; nobody else is yet", "12:34 <alice> typed early",
      ])
    #expect(stage.prompt == "[dev] ")
    #expect(stage.asked.map(\.request) == [.say("typed early", group("dev"))])
  }

  @Test("back again, one is where one was")
  func back() {
    var stage = ModelStage(memory: ShellMemory(current: group("dev")))
    stage.has("lobby", "alice@relay", "bob@relay", "carol@relay")
    stage.has("dev", "alice@relay", "bob@relay")
    stage.rosters[0].members[2].isOnline = false
    stage.start()
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(
      Array(stage.shown().dropFirst()) == [
        "12:34 -- you are in lobby with bob; carol is away", "12:34 -- you are in dev with bob",
        "12:34 -- connected to the server at 127.0.0.1:5463",
      ])
    #expect(stage.prompt == "[dev] ")
  }

  @Test("no server: said with what to do, once")
  func noServer() {
    var stage = ModelStage()
    stage.start()
    stage.clear()
    for _ in 1...3 { stage.hear(.serverIsAway(reason: "Connection refused", retrySeconds: 1)) }
    #expect(
      stage.shown() == [
        "-- no server at 127.0.0.1:5463; start one: linechatd", "-- it is tried again by itself",
      ])
    #expect(stage.prompt == "[no group (server away)] ")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(
      stage.shown().first == "12:34 -- connected to the server at 127.0.0.1:5463")
  }

  @Test("a server lost and found again")
  func lost() {
    var stage = ModelStage.inLobby()
    stage.hear(.serverIsAway(reason: "the server closed the connection", retrySeconds: 1))
    stage.hear(.serverIsAway(reason: "Connection refused", retrySeconds: 2))
    #expect(
      stage.shown() == [
        "12:34 -- the server is away (the server closed the connection); whoever listens is "
          + "reached directly, the rest waits"
      ])
    #expect(stage.prompt == "[lobby (server away)] ")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(stage.shown() == ["12:34 -- the server is back"])
    #expect(stage.prompt == "[lobby] ")
    stage.hear(.serverIsThere(id: 2, isAnother: true))
    #expect(
      stage.shown() == [
        "-- this is not the server you knew at 127.0.0.1:5463: its groups and members are its own"
      ])
  }

  @Test("a name that is taken is told once, and what to do")
  func nameTaken() {
    var stage = ModelStage()
    stage.start()
    stage.clear()
    for _ in 1...2 {
      stage.hear(
        .nameIsTaken(
          name("alice"), reason: "alice is in use; you are still guest14, choose another name"))
      stage.hear(.serverIsAway(reason: "the name alice is not to be had", retrySeconds: 5))
    }
    #expect(
      stage.shown() == [
        "-- the name alice is not free: alice is in use",
        "-- it is asked for again by itself; for another one, /quit and start again with --name NAME",
      ])
    #expect(stage.prompt == "[no group (name taken)] ")
    stage.type("/nick bertha")
    stage.answer(
      .refused(.unreachable, "the server at x is away (no); it is tried again by itself"))
    #expect(
      stage.shown() == [
        "-- you are still alice: a new name needs the server, and that does not let alice in, as the "
          + "name is not free"
      ])
    stage.type("/status")
    #expect(
      stage.shown().prefix(2) == [
        "-- you are alice; where others reach you is not known yet",
        "-- server: 127.0.0.1:5463, there, but it does not let alice in, as the name is not free",
      ])
    stage.hear(.serverIsTried)
    stage.hear(.serverIsAway(reason: "connection refused", retrySeconds: 5))
    #expect(stage.prompt == "[no group (server away)] ")
    #expect(stage.shown().first == "-- no server at 127.0.0.1:5463; start one: linechatd")
    stage.hear(.serverIsTried)
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(stage.prompt == "[no group] ")
  }

  @Test("a group that is joined while the server is away is joined when it is back")
  func joinLater() {
    var stage = ModelStage()
    stage.start()
    stage.hear(.serverIsAway(reason: "connection refused", retrySeconds: 1))
    stage.clear()
    for name in ["lobby", "dev"] {
      stage.type("/join \(name)")
      stage.answer(
        .refused(.unreachable, "the server at x is away (no); it is tried again by itself"))
    }
    #expect(
      stage.shown() == [
        "-- lobby can't be joined yet: the server at x is away (no); you are in it as soon as it is "
          + "back",
        "-- dev can't be joined yet: the server at x is away (no); you are in it as soon as it is "
          + "back",
      ])
    stage.type("/leave dev")
    #expect(stage.shown() == ["-- dev is not joined any more when the server is back"])
    stage.has("lobby", "alice@relay")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(stage.asked.map(\.request) == [.join(group("lobby"))])
    stage.answer(.members(group("lobby"), [ShellMember(member("alice@relay"))]))
    #expect(stage.prompt == "[lobby] ")
  }

  @Test("many new names are told together, a little later")
  func foldingNames() {
    var stage = ModelStage.inLobby()
    var last = "bob"
    for number in 1...200 {
      stage.hear(.renamed(member("\(last)@relay"), to: name("b\(number)")))
      last = "b\(number)"
    }
    stage.hear(.renamed(member("carol@relay"), to: name("caro")))
    stage.hear(.renamed(member("caro@relay"), to: name("carol")))
    stage.pass(4)
    #expect(
      stage.shown() == [
        "12:34 -- bob is now b1", "12:34 -- b1 is now b2", "12:34 -- b2 is now b3",
        "12:34 -- b3 is now b200",
      ])
    for number in 1...5 {
      stage.hear(.renamed(member("x\(number)@relay"), to: name("y\(number)")))
    }
    stage.pass(4)
    #expect(
      stage.shown() == [
        "12:35 -- 5 have new names (x1 is y1, x2 is y2, x3 is y3 and 2 more)"
      ])
  }

  @Test("where others reach us is told when it changes")
  func places() {
    var stage = ModelStage.inLobby()
    stage.hear(.placed(.relay))
    stage.hear(.placed(.relay))
    stage.hear(.placed(Place("10.0.0.2:5001")!))
    stage.hear(.reachable(true))
    stage.hear(.reachable(false))
    #expect(
      stage.shown() == [
        "12:34 -- others reach you through the server",
        "12:34 -- others reach you at 10.0.0.2:5001",
        "12:34 -- the server can't connect to your address: what others say comes through the "
          + "server",
      ])
  }

  @Test("joins, leaves and names, dim, with the group where that is another one")
  func comings() {
    var stage = ModelStage.inLobby()
    stage.hear(.joined(member("dave@relay"), group("lobby")))
    stage.hear(.left(member("dave@relay"), group("lobby"), reason: "connection closed"))
    stage.hear(.joined(member("erin@relay"), group("dev")))
    stage.hear(.presence(member("bob@relay"), isOnline: false))
    stage.hear(.presence(member("bob@relay"), isOnline: true))
    stage.hear(.renamed(member("bob@relay"), to: name("bobby")))
    stage.hear(.moved(member("bobby@10.0.0.3:5001"), from: .relay))
    #expect(stage.styled.allSatisfy { $0.spans.allSatisfy(\.style.isDim) })
    #expect(
      stage.shown() == [
        "12:34 -- dave joined", "12:34 -- dave left (connection closed)",
        "12:34 -- #dev: erin joined", "12:34 -- bob is away", "12:34 -- bob is back",
        "12:34 -- bob is now bobby",
      ])
  }

  @Test("where many come and go, they are told together, a little later")
  func folding() {
    var stage = ModelStage.inLobby()
    for number in 1...12 { stage.hear(.joined(member("m\(number)@relay"), group("lobby"))) }
    for number in [5, 6] {
      stage.hear(.left(member("m\(number)@relay"), group("lobby"), reason: "bye"))
    }
    stage.hear(.left(member("carol@relay"), group("lobby"), reason: ""))
    #expect(
      stage.shown() == ["12:34 -- m1 joined", "12:34 -- m2 joined", "12:34 -- m3 joined"])
    stage.hear(.joined(member("x@relay"), group("dev")))
    #expect(stage.shown() == ["12:34 -- #dev: x joined"])
    stage.pass(3)
    #expect(
      stage.shown() == [
        "12:34 -- 7 joined (m4, m7, m8 and 4 more), carol left, 2 came and went (m5 and m6)"
      ])
    // The storm goes on, folded from its beginning; then it is over.
    stage.hear(.joined(member("y@relay"), group("lobby")))
    #expect(stage.shown() == [])
    stage.pass(4)
    #expect(stage.shown() == ["12:35 -- y joined"])
    stage.pass(20)
    stage.hear(.joined(member("z@relay"), group("lobby")))
    #expect(stage.shown() == ["12:35 -- z joined"])
  }

  @Test("away and back again within a storm is no news")
  func foldingPresence() {
    var stage = ModelStage.inLobby()
    for text in ["b1", "b2", "b3"] {
      stage.hear(.presence(member("\(text)@relay"), isOnline: false))
    }
    stage.clear()
    stage.hear(.presence(member("b4@relay"), isOnline: false))
    stage.hear(.presence(member("b4@relay"), isOnline: true))
    stage.pass(5)
    #expect(stage.shown() == [])
  }

  @Test("a group of many is presented by numbers")
  func manyMembers() {
    var stage = ModelStage.inLobby()
    stage.rosters.append(
      (
        group("big"),
        (1...20).map { ShellMember(member("m\($0)@relay"), isOnline: $0 > 5) }
          + [ShellMember(member("alice@relay"))]
      ))
    stage.hear(.entered(group("big"), members: 21, isNew: true))
    #expect(stage.shown() == ["12:34 -- you are in big with 20 others; 15 of them are there"])
    // A fresh roster after the server's return is nothing to talk about.
    stage.hear(.entered(group("big"), members: 21, isNew: false))
    #expect(stage.shown() == [])
  }

  @Test("events that were missed are counted, and rosters asked for again")
  func missed() {
    var stage = ModelStage.inLobby()
    stage.hear(.missed(7))
    #expect(
      stage.shown() == [
        "-- too much came at once: 7 things are not shown here; /history shows messages"
      ])
  }

  @Test("put out of a group, one hears why, and is in the one before")
  func putOut() {
    var stage = ModelStage.inLobby()
    stage.hear(.exited(group("lobby"), reason: "the server took us out"))
    #expect(stage.shown() == ["12:34 -- you have left lobby: the server took us out"])
    #expect(stage.prompt == "[dev] ")
  }
}
