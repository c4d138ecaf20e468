// What is typed by habit or by accident, pasted, or piped in.

import LineChat
import LineProtocol
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("what is typed")
struct InputTests {
  @Test(
    "a request of the protocol is recognised",
    arguments: [
      ("JOIN ops", "/join ops"), ("JOIN ops :5001", "/join ops"), ("LEAVE lobby", "/leave lobby"),
      ("MSG lobby hi there", "/msg #lobby hi there"), ("PM bob hi", "/pm bob hi"),
      ("NICK bob", "/nick bob"), ("MEMBERS lobby", "/members lobby"), ("GROUPS", "/groups"),
      ("HELP", "/help"), ("HELP JOIN", "/help"), ("STATS", "/status"), ("QUIT", "/quit"),
      ("quit", "/quit"), ("exit", "/quit"), ("Exit", "/quit"), ("help", "/help"),
      ("JOIN", "/join"), ("MSG lobby", "/msg"), ("join lobby", "/join lobby"),
      ("leave dev", "/leave dev"), ("msg lobby hi", "/msg #lobby hi"), ("pm bob hi", "/pm bob hi"),
      ("members lobby", "/members lobby"),
    ])
  func habits(_ line: String, _ command: String) {
    var stage = ModelStage.inLobby()
    stage.type(line)
    #expect(
      stage.shown() == [
        "-- that is how programs talk; here it is \(command). Is that meant?"
      ])
    #expect(stage.asked.isEmpty)
    #expect(stage.prompt == "[yes/say it/no] ")
    stage.type("s")
    #expect(stage.asked.map(\.request) == [.say(line, group("lobby"))])
  }

  @Test(
    "a sentence is a sentence",
    arguments: [
      "join us", "join us for lunch", "leave it", "pm me", "msg me later", "help me", "nick it",
      "wait 5 minutes", "ok", "OK", "OK THEN", "ERR", "PING", "groups are fine", "quit it",
      "I JOIN lobby", "members", "@bob hi", ":-)", ":bob hi", "exit stage left", "I",
    ])
  func sentences(_ line: String) {
    var stage = ModelStage.inLobby()
    stage.type(line)
    #expect(stage.asked.map(\.request) == [.say(line, group("lobby"))])
  }

  @Test("a habit confirmed is carried out, declined is given back")
  func answers() {
    var stage = ModelStage.inLobby()
    stage.type("JOIN ops")
    stage.type("y")
    #expect(stage.asked.map(\.request) == [.join(group("ops"))])
    stage.answer(.members(group("ops"), [ShellMember(member("alice@relay"))]))
    stage.type("QUIT")
    stage.clear()
    stage.type("no")
    #expect(stage.shown() == ["-- nothing was sent"])
    #expect(stage.takeTyped() == "QUIT")
    #expect(stage.exitCode == nil)
  }

  @Test("a command behind a blank is not said by accident")
  func slipped() {
    var stage = ModelStage.inLobby()
    stage.type(" /pm bob a secret")
    #expect(
      stage.shown() == [
        "-- that begins with a blank and looks like a command. Is \"/pm bob a secret\" meant?"
      ])
    #expect(stage.asked.isEmpty)
    stage.type("yes")
    #expect(stage.asked.map(\.request) == [.tell("a secret", .name(name("bob")))])
  }

  // MARK: Pastes

  @Test("a short paste is said, a long one asks once")
  func pastes() {
    var stage = ModelStage.inLobby()
    stage.handle(.paste(["one", "", "two ", "three"]))
    #expect(
      stage.shown() == ["12:34 <alice> one", "12:34 <alice> two", "12:34 <alice> three"])
    stage.handle(.paste(["one", "two", "three", "/etc"]))
    #expect(stage.shown() == ["-- 4 lines, said in lobby? yes or no"])
    stage.type("perhaps")
    #expect(stage.shown() == ["-- please answer y for yes or n for no"])
    stage.type("y")
    #expect(
      stage.shown() == [
        "12:34 <alice> one", "12:34 <alice> two", "12:34 <alice> three", "12:34 <alice> /etc",
      ])
    stage.handle(.paste(["1", "2", "3", "4"]))
    stage.type("n")
    #expect(stage.shown() == ["-- 4 lines, said in lobby? yes or no", "-- nothing was sent"])
    #expect(stage.asked.count == 7)
  }

  @Test("a paste that was cut says so in the question, as the line above has gone by then")
  func cutPaste() {
    var stage = ModelStage.inLobby()
    stage.handle(.refused(.pasteCut(bytes: 12)))
    stage.clear()
    stage.handle(.paste(["1", "2"]))
    #expect(
      stage.shown() == [
        "-- 2 lines, said in lobby? (12 bytes at the end of the paste are missing) yes or no"
      ])
    stage.type("n")
    stage.handle(.refused(.pasteCut(bytes: 12)))
    stage.handle(.interrupted(discarded: "x"))
    stage.clear()
    stage.handle(.paste(["1", "2"]))
    #expect(stage.shown() == ["12:34 <alice> 1", "12:34 <alice> 2"])
  }

  @Test("a paste behind /pm goes to that person, all of it")
  func pastedSecret() {
    var stage = ModelStage.inLobby()
    for (command, target) in [
      ("/pm bob", "bob alone"), ("/msg bob", "bob alone"), ("/msg dev", "dev"),
    ] {
      stage.handle(.paste(["\(command) user alice", "password secret"]))
      let place = target == "dev" ? "said in dev" : "said to bob alone"
      #expect(stage.shown() == ["-- 2 lines, \(place)? yes or no"])
      #expect(stage.asked.isEmpty)
      stage.type("y")
      let requests: [ShellRequest] =
        target == "dev"
        ? [.say("user alice", group("dev")), .say("password secret", group("dev"))]
        : [
          .tell("user alice", .name(name("bob"))), .tell("password secret", .name(name("bob"))),
        ]
      #expect(stage.asked.map(\.request) == requests)
      stage.asked = []
      stage.clear()
    }
  }

  @Test("pasted commands are carried out one after the other, if it is meant so")
  func pastedCommands() {
    var stage = ModelStage.inLobby()
    stage.handle(.paste(["/switch dev", "/nick bob"]))
    #expect(stage.shown() == ["-- 2 commands, one after the other? yes or no"])
    stage.type("y")
    #expect(stage.prompt == "[dev] ")
    #expect(stage.asked.map(\.request) == [.rename(name("bob"))])
    stage.handle(.paste(["/switch lobby", "and hello"]))
    #expect(
      stage.shown() == [
        "-- that paste begins with /switch, and goes on with something else: nothing was done"
      ])
    #expect(stage.prompt == "[dev] ")
  }

  @Test("input that is no line is told")
  func refused() {
    var stage = ModelStage.inLobby()
    stage.handle(.refused(.pasteCut(bytes: 12)))
    stage.handle(.refused(.notUTF8("caf\u{FFFD}")))
    stage.handle(.refused(.lineTooLong(bytes: 70_000)))
    #expect(
      stage.shown() == [
        "-- the paste was cut: its last 12 bytes were too many. Look before you press Enter",
        "-- a line that is not UTF-8 was left out: \"caf\u{FFFD}\"",
        "-- a line of 70000 bytes is too long, and was left out: 65536 at most",
      ])
  }

  @Test("Ctrl-C takes back what waits")
  func interrupted() {
    var stage = ModelStage.inLobby()
    stage.type("/join ops")
    stage.type("one")
    stage.type("two")
    stage.handle(.interrupted(discarded: ""))
    #expect(stage.shown() == ["-- 2 lines that were waiting were not carried out"])
    stage.answer(.members(group("ops"), []))
    #expect(stage.asked.isEmpty)
  }

  // MARK: Without a terminal

  private func piped(_ groups: String...) -> ModelStage {
    var stage = ModelStage(isInteractive: false, groups: groups)
    stage.serverGroups = [GroupCount(name: group("lobby"), members: 2)]
    stage.start()
    return stage
  }

  private let others = [ShellMember(member("alice@relay")), ShellMember(member("bob@relay"))]

  @Test("lines from a pipe are said in the group, and the end waits until they are delivered")
  func pipe() {
    var stage = piped("lobby")
    stage.type("one")
    stage.type("two")
    stage.handle(.ended(isFinal: true))
    #expect(stage.asked.isEmpty)
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(stage.asked.map(\.request) == [.join(group("lobby"))])
    stage.answer(.members(group("lobby"), others))
    #expect(
      stage.asked.map(\.request) == [.say("one", group("lobby")), .say("two", group("lobby"))])
    _ = stage.receipt("one", [("bob", .delivered)])
    let id = stage.receipt("two", [("bob", .relayed)])
    #expect(stage.exitCode == nil)
    stage.hear(.delivery(id, .group(group("lobby")), to: name("bob"), .delivered))
    #expect(stage.exitCode == 0)
    #expect(stage.shown() == [])
    #expect(stage.prompt == "")
  }

  @Test("what is heard is shown in full")
  func pipeHears() {
    var stage = piped("lobby")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.answer(.members(group("lobby"), others))
    stage.hear("alice!", from: "bob")
    stage.hear("psst", from: "bob", in: "@bob")
    stage.hear(.joined(member("dave@relay"), group("lobby")))
    #expect(stage.bells == 0)
    #expect(
      stage.shown() == [
        "2026-11-22 12:34:56 #lobby <bob> alice!", "2026-11-22 12:34:56 [bob -> you] psst",
        "2026-11-22 12:34:56 -- #lobby: dave joined",
      ])
  }

  @Test("what is not delivered in time is told, with an exit code of its own")
  func pipeUndelivered() {
    var stage = piped("lobby")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.answer(.members(group("lobby"), others))
    stage.type("one")
    _ = stage.receipt("one", [("bob", .waiting(reason: "not connected"))])
    stage.clear()
    stage.handle(.ended(isFinal: true))
    stage.pass(9)
    #expect(stage.exitCode == nil)
    stage.pass(1)
    #expect(stage.exitCode == 75)
    #expect(stage.shown() == ["-- not delivered within 10 s: bob (1 message)"])
  }

  @Test("commands are carried out one after the other, and questions are refused")
  func pipeCommands() {
    var stage = piped()
    for line in ["/join lobby", "/members", "JOIN ops", "/msg #lobby hi", "/quit"] {
      stage.type(line)
    }
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    #expect(stage.asked.map(\.request) == [.join(group("lobby"))])
    stage.rosters = [(group("lobby"), others)]
    stage.answer(.members(group("lobby"), others))
    #expect(
      stage.shown() == [
        "-- lobby: 2 members", "--   alice  through the server  you",
        "--   bob    through the server",
        "-- that is how programs talk; here it is /join ops. Is that meant? "
          + "to say it as it stands: /msg #lobby JOIN ops",
      ])
    #expect(stage.asked.map(\.request) == [.say("hi", group("lobby"))])
    _ = stage.receipt("hi", [("bob", .delivered)])
    #expect(stage.exitCode == 1)
  }

  @Test("no server is the end, with an exit code of its own")
  func pipeWithoutServer() {
    var stage = piped("lobby")
    stage.type("one")
    stage.hear(.serverIsAway(reason: "Connection refused", retrySeconds: 1))
    #expect(stage.shown() == ["-- no server at 127.0.0.1:5463; start one: linechatd"])
    #expect(stage.exitCode == 69)
    #expect(stage.asked.isEmpty)
  }

  @Test("a wrong command does not keep the rest from being carried out")
  func pipeFailure() {
    var stage = piped("lobby")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.answer(.members(group("lobby"), others))
    stage.type("/jion ops")
    stage.handle(.refused(.notUTF8("\u{FFFD}")))
    stage.type("one")
    _ = stage.receipt("one", [("bob", .delivered)])
    stage.handle(.ended(isFinal: true))
    #expect(stage.exitCode == 1)
  }

  @Test("a long file is read as fast as it is said, and no faster")
  func pipePauses() {
    var stage = piped("lobby")
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.answer(.members(group("lobby"), others))
    var number = 0
    while stage.isReading, number < 10_000 {
      number += 1
      stage.type("line \(number)")
    }
    #expect(number < 1_000)
    #expect(stage.asked.count == 256)
    while !stage.asked.isEmpty { _ = stage.receipt("x", [("bob", .delivered)]) }
    #expect(stage.isReading)
  }

  @Test("a signal ends a pipe with its own code")
  func pipeSignal() {
    var stage = piped("lobby")
    stage.handle(.signalled(2))
    #expect(stage.exitCode == 130)
  }

  @Test("output that can't be written is the end")
  func outputFails() {
    var stage = piped("lobby")
    stage.handle(.outputFailed(reason: "Broken pipe"))
    #expect(stage.exitCode == 74)
  }
}
