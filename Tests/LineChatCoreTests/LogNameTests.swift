// Which readable log a record belongs to, and what the files are called.

import LineChatCore
import LineProtocol
import Testing

@Suite("The names of readable logs")
struct LogNameTests {
  @Test(
    "messages, and what changed in a group, belong to a log; nothing else does",
    arguments: [
      ("@msgid=00c0ffee00c0ffee.1 :alice@10.0.0.2:5001 MSG Lobby hi", "lobby.log"),
      ("@heard=x;msgid=00c0ffee00c0ffee.1 :bob@10.0.0.3:5001 MSG lobby hi", "lobby.log"),
      (":bob@relay MSG lobby hi", "lobby.log"),
      // Said by us: the recipient in the line. Heard: whoever said it.
      ("@msgid=00c0ffee00c0ffee.1 :alice@10.0.0.2:5001 PM Bob hi", "@bob.log"),
      ("@msgid=00c0ffee00c0ffee.1 :alice@10.0.0.2:5001 PM bob@10.0.0.3:5001 hi", "@bob.log"),
      (":alice@relay PM 10.0.0.3:5001 hi", "@10.0.0.3:5001.log"),
      (":alice@relay PM [2001:DB8::1]:5001 hi", "@[2001:db8::1]:5001.log"),
      ("@heard=x;msgid=00c0ffee00c0ffee.1 :Bob@10.0.0.3:5001 PM alice hi", "@bob.log"),
      ("@unverified=1;heard=x :unverified@10.0.0.9:40000 PM alice hi", "@unverified.log"),
      (":alice@relay PM heard=x hi", nil),
      ("@a=heard;xheard=1;heardx=1 :alice@relay PM bob hi", "@bob.log"),
      // Who came, went, moved and was renamed.
      ("@version=7.12;time=t :carol@relay JOIN a.b-C", "a.b-c.log"),
      ("@version=7.13;time=t :carol@relay LEAVE lobby connection closed", "lobby.log"),
      ("@version=7.14;group=Lobby;time=t :carol@relay NICK dora", "lobby.log"),
      (":carol@relay NICK dora", nil),
      (":alice@relay LEAVE lobby", "lobby.log"), ("@taken=1 :alice@relay LEAVE lobby", "lobby.log"),
      ("@asked=1 :alice@relay LEAVE lobby", nil),
      ("@group=a/b :carol@relay NICK dora", nil),
      // Nobody says these to a group or to a person.
      ("NICK dora", nil), ("JOIN lobby", nil), ("LEAVE lobby", nil), ("MSG lobby hi", nil),
      (":bob@relay ACK lobby 00c0ffee00c0ffee.1", nil), ("MEMBER lobby bob@relay online", nil),
      (":bob@relay MEMBERS lobby", nil), ("@version=7.12 OK MEMBERS lobby 3", nil),
      ("INFO linechat", nil), (":bob@relay PING", nil), ("hello", nil), (":bob@relay", nil),
      ("", nil),
      (":nobody MSG lobby hi", "lobby.log"),
    ] as [(String, String?)])
  func records(_ line: String, _ file: String?) {
    let name = Array(line.utf8).withUnsafeBytes { LogName(record: $0) }
    #expect(name?.file == file)
    if let message = try? Message(parsing: line) {
      #expect(LogName(record: message)?.file == file)
    }
  }

  @Test(
    "a file's name says which log it is, and its number",
    arguments: [
      ("lobby.log", "lobby", nil), ("lobby.log.1", "lobby", 1), ("lobby.log.12", "lobby", 12),
      // Groups may be called like this.
      ("x.log.1.log", "x.log.1", nil), ("x.log.1.log.2", "x.log.1", 2), ("x.log.log", "x.log", nil),
      ("..log", ".", nil), (".log.log.7", ".log", 7), ("relay.log", "relay", nil),
      ("@alice.log", "@alice", nil), ("@alice.log.3", "@alice", 3),
      ("@10.0.0.3:5001.log", "@10.0.0.3:5001", nil), ("@[::1]:5001.log.1", "@[::1]:5001", 1),
    ] as [(String, String, Int?)])
  func files(_ file: String, _ log: String, _ number: Int?) throws {
    let parsed = try #require(LogName.parse(file: file))
    #expect("\(parsed.name)" == log)
    #expect(parsed.number == number)
    #expect(number.map { parsed.name.file(numbered: $0) } ?? parsed.name.file == file)
  }

  @Test(
    "what is none of our files is none of them",
    arguments: [
      "", "log", ".log", "lobby", "lobby.log.", "lobby.log.0", "lobby.log.01", "lobby.log.-1",
      "lobby.log.+1", "lobby.log.1.2", "lobby.log.99999999999999999999", "Lobby.log", "#lobby.log",
      "@.log", "@relay.log", "@1a.log", "@10.0.0.3:5001", "a b.log", "lobby.txt", "lobby.log~",
      "@[2001:DB8::1]:5001.log",
    ])
  func others(_ file: String) {
    #expect(LogName.parse(file: file) == nil)
  }

  @Test("a conversation is the log of its group or person")
  func conversations() throws {
    let group = Conversation.group(try #require(GroupName("Lobby")))
    let person = Conversation.person(try #require(MemberName("Alice")))
    #expect(LogName(group).file == "lobby.log")
    #expect(LogName(person).file == "@alice.log")
    #expect(LogName(group) == .group(try #require(GroupName("LOBBY"))))
  }
}
