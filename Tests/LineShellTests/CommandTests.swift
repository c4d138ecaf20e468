// Each command, right and wrong: what is typed, what is asked of the node, what is on the screen.

import LineChat
import LineProtocol
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("commands")
struct CommandTests {
  /// What is shown, and nothing is asked of the node.
  private func answers(_ line: String, _ shown: String...) {
    var stage = ModelStage.inLobby()
    stage.type(line)
    #expect(stage.shown() == shown.map { "-- \($0)" })
    #expect(stage.asked.isEmpty)
  }

  // MARK: Wrong

  @Test("an unknown command is never sent, and the nearest right one is named")
  func unknown() {
    answers("/jion dev", "there is no /jion; did you mean /join? /join GROUP")
    answers("/msgg bob hi", "there is no /msgg; did you mean /msg? /msg TARGET text")
    answers("/hist", "there is no /hist; did you mean /history? /history [n]")
    answers("/STATSU", "there is no /STATSU; did you mean /status? /status")
    answers(
      "/frobnicate now",
      "there is no /frobnicate; /help lists the commands, and // at the beginning says a slash")
    answers("/ join dev", "a command's name stands right behind the slash; /help lists them")
    answers("/", "a command's name stands right behind the slash; /help lists them")
    answers("/topic beer", "/topic: groups have no topics here")
  }

  @Test(
    "an alias does what the command does",
    arguments: [
      ("/j dev", "/join dev"), ("/part", "/leave"), ("/names", "/members"),
      ("/query bob hi", "/pm bob hi"), ("/w bob hi", "/pm bob hi"), ("/JOIN dev", "/join dev"),
      ("/q", "/quit"), ("/part dev", "/leave dev"), ("/join #dev", "/join dev"),
      ("/join  dev  ", "/join dev"), ("/me  waves ", "/me waves"),
    ])
  func aliases(_ one: String, _ other: String) {
    func result(_ line: String) -> ([String], [ShellRequest]) {
      var stage = ModelStage.inLobby()
      stage.type(line)
      return (stage.shown(), stage.asked.map(\.request))
    }
    #expect(result(one) == result(other))
  }

  // MARK: Groups

  @Test("/join enters a group; what is typed before the answer is said there")
  func join() {
    var stage = ModelStage.inLobby()
    stage.type("/join ops")
    stage.type("hello ops")
    #expect(stage.shown() == [])
    #expect(stage.asked.map(\.request) == [.join(group("ops"))])
    stage.hear(.entered(group("ops"), members: 1, isNew: true))
    stage.answer(.members(group("ops"), [ShellMember(member("alice@relay"))]))
    #expect(
      stage.shown() == [
        "12:34 -- you are in ops; nobody else is yet", "12:34 <alice> hello ops",
      ])
    #expect(stage.asked.map(\.request) == [.say("hello ops", group("ops"))])
    #expect(stage.prompt == "[ops] ")
  }

  @Test("/join, wrong")
  func joinWrong() {
    answers(
      "/join", "/join needs a group's name (/groups lists those there are): /join GROUP")
    answers(
      "/join a b",
      "\"a b\" is no group's name: it has 1 to 64 letters, digits, _ . or -, and no blanks")
    answers("/join lobby", "you are in lobby already")
    var stage = ModelStage.inLobby()
    stage.type("/join ops")
    stage.type("meanwhile")
    stage.answer(
      .refused(.rateLimited, "ops is being left; try again when that is done"))
    #expect(
      stage.shown() == [
        "-- can't join ops: ops is being left; try again when that is done",
        "12:34 <alice> meanwhile",
      ])
  }

  @Test("/leave leaves; one is in the group before then")
  func leave() {
    var stage = ModelStage.inLobby()
    stage.type("/switch dev")
    stage.type("/leave")
    stage.type("hello")
    #expect(stage.asked.map(\.request) == [.leave(group("dev"))])
    stage.hear(.exited(group("dev"), reason: ""))
    stage.answer(.done)
    #expect(stage.shown() == ["12:34 -- you have left dev", "12:34 <alice> hello"])
    #expect(stage.asked.map(\.request) == [.say("hello", group("lobby"))])
    stage.type("/leave dev")
    stage.type("/leave nowhere")
    #expect(
      stage.shown() == [
        "-- you are not in dev; you are in lobby", "-- you are not in nowhere; you are in lobby",
      ])
  }

  @Test("/leave where there is nothing to leave")
  func leaveWrong() {
    var stage = ModelStage()
    stage.start()
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.clear()
    stage.type("/leave")
    stage.type("/leave lobby")
    stage.type("/switch")
    stage.type("/members")
    stage.type("/history")
    #expect(
      stage.shown() == [
        "-- you are in no group, so there is none to leave",
        "-- you are not in lobby, nor in any group",
        "-- you are in no other group; /join GROUP enters one",
        "-- you are in no group; /groups lists those there are",
        "-- you are in no group, so there is nothing to look back at",
      ])
  }

  @Test("/switch, right and wrong")
  func switching() {
    var stage = ModelStage.inLobby()
    stage.type("/switch 2")
    #expect(stage.prompt == "[dev] ")
    stage.type("/switch 1")
    #expect(stage.prompt == "[lobby] ")
    stage.type("/switch 3")
    stage.type("/switch 0")
    #expect(
      stage.shown() == [
        "-- you are not in 3; you are in lobby and dev",
        "-- you are not in 0; you are in lobby and dev",
      ])
    stage.type("/switch DEV")
    #expect(stage.prompt == "[dev] ")
    stage.type("/switch nowhere")
    #expect(stage.shown() == ["-- you are not in nowhere; you are in lobby and dev"])
    stage.type("/switch")
    #expect(stage.prompt == "[lobby] ")
  }

  @Test("/members lists who is where")
  func members() {
    var stage = ModelStage.inLobby()
    stage.rosters[0].members[2].isOnline = false
    stage.rosters[0].members[2].speaksTags = false
    stage.type("/members")
    #expect(
      stage.shown() == [
        "-- lobby: 3 members, 1 away", "--   alice  127.0.0.1:5000      you",
        "--   bob    127.0.0.1:5001", "--   carol  through the server  away, gives no receipts",
      ])
    answers("/members ops", "you are not in ops; you are in lobby and dev")
  }

  @Test("/groups lists the server's groups, and which are ours")
  func groups() {
    var stage = ModelStage.inLobby()
    stage.serverGroups.append(GroupCount(name: group("ops"), members: 1))
    stage.hear("hi", from: "bob", in: "dev")
    stage.clear()
    stage.type("/groups")
    #expect(
      stage.shown() == [
        "--   lobby  3 members  yours, the current one", "--   dev    2 members  yours, 1 unread",
        "--   ops    1 member",
      ])
    answers("/groups all", "/groups stands alone; what is \"all\" for?")
  }

  // MARK: Talking

  @Test("/msg: a group, a person, or both")
  func message() {
    var stage = ModelStage.inLobby()
    stage.type("/msg dev hi")
    stage.type("/msg #dev hi  there")
    stage.type("/msg bob hi")
    #expect(
      stage.shown() == [
        "12:34 #dev <alice> hi", "12:34 #dev <alice> hi  there",
        "-- bob is a person: this goes to bob alone", "12:34 [you -> bob] hi",
      ])
    #expect(
      stage.asked.map(\.request) == [
        .say("hi", group("dev")), .say("hi  there", group("dev")), .tell("hi", .name(name("bob"))),
      ])
  }

  @Test("/msg to a name that is a group and a person asks")
  func messageBoth() {
    for (answer, request) in [
      ("g", ShellRequest.say("hi", group("bob"))), ("person", .tell("hi", .name(name("bob")))),
    ] {
      var stage = ModelStage.inLobby()
      stage.has("bob", "alice@relay")
      stage.hear(.entered(group("bob"), members: 1, isNew: true))
      stage.clear()
      stage.type("/msg bob hi")
      #expect(
        stage.shown() == [
          "-- bob is a group and a person. Is it for the group, or for the person alone?"
        ])
      #expect(stage.prompt == "[group/person/no] ")
      #expect(stage.asked.isEmpty)
      stage.type("what?")
      #expect(
        stage.shown() == ["-- please answer g for the group, p for the person, or n for neither"])
      stage.type(answer)
      #expect(stage.asked.map(\.request) == [request])
      #expect(stage.prompt == "[lobby] ")
    }
  }

  @Test("a question declined sends nothing, and gives back what was typed")
  func declined() {
    var stage = ModelStage.inLobby()
    stage.has("bob", "alice@relay")
    stage.hear(.entered(group("bob"), members: 1, isNew: true))
    for event in [
      TerminalEvent.line("n"), .interrupted(discarded: ""), .interrupted(discarded: "half"),
      .ended(isFinal: false),
    ] {
      stage.type("/msg bob hi")
      stage.clear()
      stage.handle(event)
      #expect(stage.shown() == ["-- nothing was sent"])
      #expect(stage.takeTyped() == "/msg bob hi")
    }
    #expect(stage.asked.isEmpty)
    #expect(stage.exitCode == nil)
  }

  @Test("/msg, wrong")
  func messageWrong() {
    answers("/msg", "/msg needs to know to whom, and what: /msg TARGET text")
    answers("/msg bob", "/msg needs a text: /msg TARGET text")
    answers(
      "/msg nowhere hi",
      "there is no \"nowhere\" in your groups; /members and /groups list who and what there is")
    answers("/msg #ops hi", "you are not in ops; you are in lobby and dev; /join ops enters it")
    answers(
      "/msg 10.0.0.2:5001 hi",
      "10.0.0.2:5001 is an address: /pm 10.0.0.2:5001 text says it to whoever is there")
    var stage = ModelStage.inLobby()
    stage.serverGroups.append(GroupCount(name: group("ops"), members: 1))
    stage.type("/groups")
    stage.clear()
    stage.type("/msg ops hi")
    #expect(stage.shown() == ["-- you are not in ops; /join ops enters it"])
  }

  @Test("/pm by name, by address, or by both")
  func privateMessage() {
    var stage = ModelStage.inLobby()
    stage.type("/pm BOB one")
    stage.type("/pm 127.0.0.1:5001 two")
    stage.type("/pm bob@127.0.0.1:5001 three")
    stage.type("/pm stranger four")
    stage.type("/pm 10.0.0.9:5001 five")
    #expect(
      stage.shown() == [
        "12:34 [you -> bob] one", "12:34 [you -> bob] two", "12:34 [you -> bob] three",
        "12:34 [you -> stranger] four", "12:34 [you -> 10.0.0.9:5001] five",
      ])
    #expect(
      stage.asked.map(\.request) == [
        .tell("one", Recipient("BOB")!), .tell("two", Recipient("127.0.0.1:5001")!),
        .tell("three", Recipient("bob@127.0.0.1:5001")!), .tell("four", Recipient("stranger")!),
        .tell("five", Recipient("10.0.0.9:5001")!),
      ])
    stage.clear()
    for _ in 1...3 { stage.answer(.done) }
    stage.answer(.refused(.noSuchPeer, "there is no stranger in your groups"))
    #expect(stage.shown() == ["-- not sent: there is no stranger in your groups"])
  }

  @Test("nothing is said to oneself")
  func oneself() {
    var stage = ModelStage.inLobby()
    for line in ["/pm alice hi", "/pm alice@127.0.0.1:5000 hi", "/msg alice hi"] {
      stage.type(line)
      #expect(stage.shown() == ["-- alice is you"])
    }
    #expect(stage.asked.isEmpty)
  }

  @Test("/pm, wrong: the address, the port, the name, the text")
  func privateMessageWrong() {
    answers("/pm", "/pm needs to know to whom, and what: /pm PEER text")
    answers(
      "/pm 10.0.0.2 hi",
      "10.0.0.2 is an address without its port; it looks like 10.0.0.2:5001 or [::1]:5001")
    answers(
      "/pm 10.0.0.2:70000 hi", "\"70000\" is no port: that is a number from 1 to 65535")
    answers("/pm 10.0.0.2:x hi", "\"x\" is no port: that is a number from 1 to 65535")
    answers(
      "/pm 10.0.0.300:5001 hi",
      "\"10.0.0.300\" is no address: it is written in numbers, 10.0.0.2:5001 or [::1]:5001")
    answers("/pm #dev hi", "\"#dev\" is a group: /msg #dev text says it there")
    answers("/pm 4bob hi", "\"4bob\" is no name: a letter, then letters, digits, _ . or -")
    var stage = ModelStage.inLobby()
    stage.type("/pm bob")
    #expect(stage.takeTyped() == "/pm bob ")
    #expect(stage.shown() == [])
  }

  @Test("/reply never sends, and /me needs something to do")
  func replyAndAct() {
    answers("/reply", "nobody has sent you a private message that could be answered")
    answers("/me", "/me needs to know what you do: /me does something")
    var stage = ModelStage.inLobby()
    stage.hear("psst", from: "bob", in: "@bob")
    stage.hear(.renamed(member("bob@relay"), to: name("bobby")))
    stage.type("/reply yes")
    #expect(stage.takeTyped() == "/pm bobby ")
    #expect(stage.asked.isEmpty)
    stage.clear()
    stage.type("/me waves")
    #expect(stage.shown() == ["12:34 * alice waves"])
    #expect(stage.asked.map(\.request) == [.say("/me waves", group("lobby"))])
  }

  // MARK: Oneself

  @Test("/nick, right and wrong")
  func nick() {
    answers("/nick", "you are alice; /nick NAME changes that")
    answers("/nick alice", "you are alice already")
    answers(
      "/nick 4lice",
      "\"4lice\" is no name: it has 1 to 32 letters, digits, _ . or -, and begins with a letter")
    var stage = ModelStage.inLobby()
    stage.type("/nick bob")
    #expect(stage.asked.map(\.request) == [.rename(name("bob"))])
    stage.answer(.refused(.nameTaken, "bob is taken"))
    #expect(stage.shown() == ["-- you are still alice, not bob: bob is taken"])
    stage.type("/nick bob")
    stage.answer(
      .refused(.nameTaken, "bob is in use; you are still alice, choose another name"))
    #expect(stage.shown() == ["-- you are still alice, not bob: bob is in use"])
    stage.type("/nick Alice")
    stage.hear(.named(name("Alice")))
    stage.answer(.done)
    #expect(stage.shown() == ["12:34 -- you are now Alice"])
  }

  @Test("/ignore and /unignore, kept for the next time")
  func ignore() {
    answers("/ignore", "you ignore nobody")
    answers("/ignore alice", "alice is you")
    answers("/ignore #dev", "\"#dev\" is no name; /ignore NAME, or /ignore alone for the list")
    answers("/unignore", "/unignore needs a name: /unignore NAME")
    answers("/unignore bob", "you do not ignore bob")
    var stage = ModelStage.inLobby()
    stage.type("/ignore carol")
    stage.type("/ignore bob")
    stage.type("/ignore Bob")
    stage.type("/ignore")
    #expect(
      stage.shown() == [
        "-- you see nothing more of carol; /unignore carol ends that",
        "-- you see nothing more of bob; /unignore bob ends that", "-- you ignore Bob already",
        "-- you ignore bob, carol",
      ])
    #expect(
      stage.memory == ShellMemory(ignored: [name("bob"), name("carol")], current: group("lobby")))
    stage.type("/unignore bob")
    #expect(stage.memory?.ignored == [name("carol")])
  }

  @Test("/clear and /help")
  func clearAndHelp() {
    var stage = ModelStage.inLobby()
    stage.type("/clear")
    #expect(stage.clears == 1)
    stage.type("/help")
    let overview = stage.shown()
    for command in ShellCommand.allCases {
      #expect(overview.contains { $0.hasPrefix("-- \(command.syntax) ") })
    }
    #expect(overview.allSatisfy { $0.count <= 80 })
    stage.type("/help /j")
    #expect(
      stage.shown() == [
        "-- /join GROUP  enter a group, or make it; it becomes the current one",
        "--   A group's name has 1 to 64 letters, digits, _ . or -; a # before it does no harm.",
        "--   You stay a member until /leave: what is said while you are away comes when you are back.",
        "--   also: /j",
      ])
    answers("/help jion", "there is no /jion; did you mean /join?")
    answers("/clear it", "/clear stands alone; what is \"it\" for?")
  }

  @Test("no two commands share a name, and each is explained in few words")
  func table() {
    var names: Set<String> = []
    for command in ShellCommand.allCases {
      for word in [command.rawValue] + command.entry.aliases {
        #expect(names.insert(word).inserted, "\(word) is there twice")
      }
      #expect(command.syntax.hasPrefix(command.word))
      #expect(!command.entry.summary.isEmpty)
    }
    for word in ShellCommand.habits.keys { #expect(!names.contains(word)) }
  }

  // MARK: The end

  @Test("/quit says where one stays, and what waits")
  func quit() {
    var stage = ModelStage.inLobby()
    stage.status.contacts = [
      .init(
        member: member("carol@relay"), isOnline: false, speaksTags: true, isLinked: false,
        waiting: 3, lastFailure: nil, retrySeconds: nil, sentDirectly: 0, sentRelayed: 0)
    ]
    stage.status.outboxMessages = 3
    stage.type("/quit")
    #expect(
      stage.shown() == [
        "-- you stay a member of lobby and dev; what is said there waits for you",
        "-- 3 messages wait for carol, and will be sent when linechat runs again",
      ])
    #expect(stage.exitCode == 0)
  }

  @Test("/q with a name behind it is no end")
  func quitWrong() {
    answers("/q bob hi", "/quit stands alone; /pm bob writes to bob")
    answers("/quit now", "/quit stands alone")
  }

  @Test("Ctrl-D ends; Ctrl-C on an empty line says so; a signal ends at once")
  func keys() {
    var stage = ModelStage.inLobby()
    stage.handle(.interrupted(discarded: "half a line"))
    #expect(stage.shown() == [])
    stage.handle(.interrupted(discarded: ""))
    #expect(stage.shown() == ["-- Ctrl-D or /quit ends; you stay a member of your groups"])
    var copy = stage
    copy.handle(.ended(isFinal: false))
    #expect(copy.exitCode == 0)
    copy = stage
    copy.handle(.signalled(15))
    #expect(copy.exitCode == 0)
    copy = stage
    copy.handle(.ended(isFinal: true))
    #expect(copy.exitCode == 0)
  }

  @Test("the end does not wait for a node that does not answer")
  func quitWithoutAnswer() {
    var configuration = ShellModel.Configuration(name: name("alice"), server: "x:1")
    configuration.notes = []
    var model = ShellModel(configuration)
    let start = Instant(monotonicMicroseconds: 0, wallMicroseconds: 0)
    model.start(now: start)
    model.handle(.line("/quit"), now: start)
    #expect(!model.takeEffects().contains(.exit(0)))
    #expect(model.deadline == 1_000_000)
    model.tick(now: Instant(monotonicMicroseconds: 1_000_000, wallMicroseconds: 1_000_000))
    #expect(model.takeEffects().contains(.exit(0)))
  }
}
