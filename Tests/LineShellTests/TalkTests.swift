// Saying something and hearing it: transcripts of a screen.

import LineChat
import LineChatCore
import LineProtocol
import Testing

@testable import LineShell

@Suite("talking")
struct TalkTests {
  @Test("a line is said in the current group, and shown with the time")
  func says() {
    var stage = ModelStage.inLobby()
    stage.type("hello there ")
    #expect(stage.shown() == ["12:34 <alice> hello there"])
    #expect(stage.asked.map(\.request) == [.say("hello there", group("lobby"))])
  }

  @Test("what others say is shown, with the group where that is another one")
  func hears() {
    var stage = ModelStage.inLobby()
    stage.hear("hi", from: "bob")
    stage.hear("hi", from: "bob", in: "dev")
    stage.hear("/me waves", from: "carol")
    #expect(
      stage.shown() == ["12:34 <bob> hi", "12:34 #dev <bob> hi", "12:34 * carol waves"])
  }

  @Test("two slashes begin a message with one, and blank lines say nothing")
  func slashes() {
    var stage = ModelStage.inLobby()
    stage.type("//etc/passwd")
    stage.type("   ")
    stage.type("")
    #expect(stage.shown() == ["12:34 <alice> /etc/passwd"])
    #expect(stage.asked.map(\.request) == [.say("/etc/passwd", group("lobby"))])
  }

  @Test("in no group, a line is refused")
  func homeless() {
    var stage = ModelStage()
    stage.start()
    stage.hear(.serverIsThere(id: 1, isAnother: false))
    stage.clear()
    stage.type("hello")
    #expect(
      stage.shown() == [
        "-- you are in no group, so nobody would read that; /join GROUP enters one"
      ])
    #expect(stage.asked.isEmpty)
    #expect(stage.prompt == "[no group] ")
  }

  @Test("what no line may hold is not said")
  func controls() {
    var stage = ModelStage.inLobby()
    stage.type("bell \u{7}")
    #expect(stage.shown() == ["-- not sent: byte 0x07 is a control character; leave it out"])
    #expect(stage.asked.isEmpty)
  }

  @Test("what the node refuses is said, in words of the shell")
  func refused() {
    var stage = ModelStage.inLobby()
    stage.type("hello")
    stage.clear()
    stage.answer(
      .refused(.notMember, "this node is not in lobby; JOIN lobby first, MEMBERS <group> lists"))
    #expect(
      stage.shown() == [
        "-- not sent: you are not in lobby; /join lobby first, /members GROUP lists"
      ])
  }

  @Test("our own words are not shown twice; what was said through another mouth is shown")
  func own() {
    var stage = ModelStage.inLobby()
    stage.type("hello")
    stage.type("hello")
    stage.clear()
    for _ in 1...3 {
      stage.hear(.message(stage.message("hello", from: "alice", in: "lobby", path: .own)))
    }
    #expect(stage.shown() == ["12:34 <alice> hello"])
    _ = stage.receipt("hello", [("bob", .delivered)])
    stage.hear(.message(stage.message("hello", from: "alice", in: "lobby", path: .own)))
    #expect(stage.shown() == ["12:34 <alice> hello"])
  }

  @Test("a private message is marked, rings, and can be answered")
  func privateMessages() {
    var stage = ModelStage.inLobby()
    stage.hear("psst", from: "bob", in: "@bob")
    #expect(stage.bells == 1)
    #expect(stage.shown() == ["12:34 [bob -> you] psst"])
    stage.type("/reply")
    #expect(stage.takeTyped() == "/pm bob ")
    #expect(stage.asked.isEmpty)
    stage.type("/pm bob what?")
    #expect(stage.shown() == ["12:34 [you -> bob] what?"])
    #expect(stage.asked.map(\.request) == [.tell("what?", .name(name("bob")))])
  }

  @Test("an unverified one says where it came from, and cannot be answered")
  func unverified() {
    var stage = ModelStage.inLobby()
    var message = stage.message("I am bob", from: "unverified", in: "@unverified")
    message.isUnverified = true
    message.unverifiedAddress = IPAddress("10.0.0.9")
    stage.hear(.message(message))
    message.unverifiedAddress = nil
    stage.hear(.message(message))
    #expect(
      stage.shown() == [
        "12:34 [unverified, from 10.0.0.9 -> you] I am bob",
        "12:34 [unverified, from this machine -> you] I am bob",
      ])
    stage.type("/reply")
    #expect(
      stage.shown() == ["-- nobody has sent you a private message that could be answered"])
  }

  @Test("what was said long ago shows when, and that it is late")
  func late() {
    var stage = ModelStage.inLobby()
    var message = stage.message("hello", from: "bob", in: "lobby")
    message.timeMicroseconds -= 600_000_000
    message.isLate = true
    stage.hear(.message(message))
    message.timeMicroseconds -= 86_400_000_000
    message.isFromBeforeStart = true
    stage.hear(.message(message))
    message.timeMicroseconds -= 366 * 86_400_000_000
    stage.hear(.message(message))
    #expect(
      stage.shown() == [
        "12:24 <bob> hello (late)", "21 Nov 12:24 <bob> hello (from before)",
        "2025-11-20 12:24 <bob> hello (from before)",
      ])
  }

  @Test("a new day is told once, at midnight or with what comes first")
  func days() {
    var stage = ModelStage.inLobby()
    stage.pass(12 * 3_600)
    #expect(stage.shown() == ["-- Monday, 23 November 2026 --"])
    stage.wall += 86_400_000_000
    stage.hear("morning", from: "bob")
    #expect(stage.shown() == ["-- Tuesday, 24 November 2026 --", "00:34 <bob> morning"])
    stage.hear("morning", from: "carol")
    #expect(stage.shown() == ["00:34 <carol> morning"])
  }

  @Test("times are those of the place where one is")
  func zones() {
    var stage = ModelStage.inLobby { $0.time = LocalTime { _ in -13 * 3_600 } }
    stage.hear("hello", from: "bob")
    #expect(stage.shown() == ["23:34 <bob> hello"])
    stage.pass(3_600)
    #expect(stage.shown() == ["-- Sunday, 22 November 2026 --"])
  }

  @Test(
    "a mention is our name as a word of its own",
    arguments: [
      ("alice: hi", true), ("hi Alice", true), ("hi alice.", true), ("(ALICE)", true),
      ("@alice", true), ("alice", true), ("alice's", true), ("alice-", true),
      ("malice", false), ("alices", false), ("alice2", false), ("alice_x", false),
      ("alice.b", false), ("älice", false), ("alic", false), ("", false), ("aliceä", false),
    ])
  func mentions(_ text: String, isOne: Bool) {
    var stage = ModelStage.inLobby()
    stage.hear(text.isEmpty ? "-" : text, from: "bob")
    #expect(stage.bells == (isOne ? 1 : 0))
    #expect(stage.styled.first?.spans.contains { $0.style.isReversed } == isOne)
  }

  @Test("the bell rings at most once in two seconds")
  func bell() {
    var stage = ModelStage.inLobby()
    for _ in 1...5 { stage.hear("alice!", from: "bob") }
    #expect(stage.bells == 1)
    stage.pass(1.9)
    stage.hear("alice!", from: "bob")
    #expect(stage.bells == 1)
    stage.pass(0.2)
    stage.hear("alice!", from: "bob")
    #expect(stage.bells == 2)
  }

  @Test("a name has its colour, the same in capitals and in each run")
  func colours() {
    let style = ShellModel.style(of: name("bob"))
    #expect(style == ShellModel.style(of: name("BOB")))
    #expect(style == Style(.red))
    let colours = Set((1...100).map { ShellModel.style(of: name("member\($0)")) })
    #expect(colours.count > 7)
  }

  @Test("unread groups stand in the prompt, those with a mention marked, until one looks")
  func unread() {
    var stage = ModelStage.inLobby()
    #expect(stage.prompt == "[lobby] ")
    stage.hear("one", from: "bob", in: "dev")
    #expect(stage.prompt == "[lobby dev:1] ")
    stage.hear("alice?", from: "bob", in: "dev")
    #expect(stage.prompt == "[lobby dev:2!] ")
    stage.type("/switch dev")
    #expect(stage.prompt == "[dev] ")
    stage.hear("here", from: "carol")
    #expect(stage.prompt == "[dev lobby:1] ")
    stage.type("/switch")
    #expect(stage.prompt == "[lobby] ")
    #expect(stage.memory?.current == group("lobby"))
  }

  @Test("many unread groups are counted, mentions come first")
  func manyUnread() {
    var stage = ModelStage.inLobby()
    for number in 1...5 {
      stage.has("g\(number)", "alice@relay", "bob@relay")
      stage.hear(.entered(group("g\(number)"), members: 2, isNew: true))
      stage.hear(number == 4 ? "alice" : "hm", from: "bob", in: "g\(number)")
    }
    #expect(stage.prompt == "[lobby g4:1! g1:1 g2:1 +2] ")
  }

  @Test("who is ignored is not seen, not counted, and rings no bell")
  func ignored() {
    var stage = ModelStage.inLobby(memory: ShellMemory(ignored: [name("Bob")]))
    stage.hear("alice!", from: "bob")
    stage.hear("alice!", from: "bob", in: "dev")
    stage.hear("alice!", from: "bob", in: "@bob")
    stage.hear(.left(member("bob@relay"), group("lobby"), reason: ""))
    #expect(stage.bells == 0)
    #expect(stage.shown() == [])
    #expect(stage.prompt == "[lobby] ")
  }

  @Test("another name is no way around being ignored")
  func ignoredRenamed() {
    var stage = ModelStage.inLobby(memory: ShellMemory(ignored: [name("bob")]))
    stage.hear(.renamed(member("bob@relay"), to: name("bobby")))
    #expect(stage.shown() == ["12:34 -- bob, whom you ignore, is now bobby, and still ignored"])
    #expect(stage.memory?.ignored == [name("bob"), name("bobby")])
    stage.hear("it is me", from: "bobby")
    stage.hear("it is me again, with my first name", from: "bob")
    #expect(stage.shown() == [])
  }

  @Test("whoever is ignored can neither fill the screen nor the disk with new names")
  func ignoredFlood() {
    var stage = ModelStage.inLobby(memory: ShellMemory(ignored: [name("bob")]))
    var last = "bob"
    var memories: [ShellMemory] = []
    for number in 1...200 {
      stage.hear(.renamed(member("\(last)@relay"), to: name("b\(number)")))
      last = "b\(number)"
      if let memory = stage.memory, memory != memories.last { memories.append(memory) }
    }
    stage.pass(4)
    #expect(stage.shown().count == 4)
    #expect(memories.count <= 4)
    // The names in between are free for others.
    #expect(stage.memory?.ignored == [name("bob"), name("b200")])
    stage.hear("hidden", from: "b200")
    stage.hear("somebody else", from: "b100")
    #expect(stage.shown() == ["12:35 <b100> somebody else"])
  }

  @Test(
    "a mention is a word of its own",
    arguments: [
      ("alice", true), ("hi Alice!", true), ("alice's", true), ("ask alice.", true),
      ("malice", false), ("alices", false), ("alice-b", false), ("alice.b", false),
      ("x-alice", false), ("x.alice", false), ("well -alice- well", true), ("...alice", true),
      ("@alice", true), ("alice_", false),
    ])
  func mentionWords(_ text: String, _ isMention: Bool) {
    var stage = ModelStage.inLobby()
    stage.hear(text, from: "bob")
    #expect((stage.bells == 1) == isMention)
  }
}
