// `linechat members`, `groups`, `status` and `log`: what there is, for people and for programs.

import Foundation
import LineChat
import LineChatCore
import TestSupport
import Testing

@Suite("linechat members, groups, status", .ownThread, .timeLimit(.minutes(20)))
struct ListTests {
  private let tools: Toolbox

  init() throws { tools = try Toolbox() }

  private func object(_ finished: Finished) throws -> [String: Any] {
    #expect(finished.exitCode == 0, "\(finished.errors)")
    #expect(finished.output.filter { $0 == "\n" }.count == 1)
    let object = try JSONSerialization.jsonObject(with: Data(finished.output.utf8))
    return try #require(object as? [String: Any])
  }

  @Test("members: of the server, and of the node that is in the group")
  func members() throws {
    let nc = try tools.server.member("nc", of: "Lobby")
    try tools.leaveBehind("bob", of: "Lobby")
    try nc.line(startingWith: ":bob@relay JOIN")
    let plain = try tools.run(["members", "lobby"])
    #expect(plain.exitCode == 0)
    #expect(plain.output == "nc@relay online\nbob@relay away\n")
    #expect(plain.errors == "")
    let json = try object(tools.run(["members", "--json", "lobby"]))
    #expect(json["group"] as? String == "Lobby")
    let members = try #require(json["members"] as? [[String: Any]])
    #expect(members.map { $0["name"] as? String } == ["nc", "bob"])
    #expect(members.map { $0["online"] as? Bool } == [true, false])
    #expect(members.map { $0["attributes"] as? [String] } == [["online"], ["away"]])
    #expect(members[0]["place"] as? String == "relay")
    // Nobody has heard of these questions.
    #expect(!nc.hasInput)

    let node = try tools.node("alice", ["Lobby"])
    tools.server.stop()
    try node.wait(for: "no server") { if case .serverIsAway = $0 { true } else { false } }
    let known = try tools.run(["members", "--name", "alice", "lobby"])
    #expect(known.exitCode == 0)
    #expect(known.output.contains("bob@relay"))
    #expect(known.output.contains("alice@127.0.0.1:"))
  }

  @Test("groups: of the server, with those of the node; without a server the node's")
  func groups() throws {
    let watcher = try tools.server.member("watcher", of: "ops")
    let alice = try tools.node("alice", ["lobby"])
    #expect(try tools.run(["groups"]).output == "lobby 1\nops 1\n")
    let yours = try tools.run(["groups", "--name", "alice"])
    #expect(yours.output == "lobby 1 yours\nops 1\n")
    let json = try object(tools.run(["groups", "--json", "--name", "alice"]))
    let groups = try #require(json["groups"] as? [[String: Any]])
    #expect(groups.map { $0["name"] as? String } == ["lobby", "ops"])
    #expect(groups.map { $0["members"] as? Int } == [1, 1])
    #expect(groups.map { $0["yours"] as? Bool } == [true, false])
    try watcher.send("QUIT\n")
    tools.server.stop()
    try alice.wait(for: "no server") { if case .serverIsAway = $0 { true } else { false } }
    let own = try tools.run(["groups", "--name", "alice"])
    #expect(own.exitCode == 0)
    #expect(own.output == "lobby 1 yours\n")
    #expect(own.errors.contains("start one: linechatd; these are the groups of your node"))
    #expect(try tools.run(["groups"]).exitCode == 3)
  }

  @Test("status: what waits for whom, whether the server is there, and neither")
  func status() throws {
    let bob = try tools.node("bob")
    let alice = try tools.node("alice")
    let there = try tools.run(["status", "--name", "alice"])
    #expect(there.exitCode == 0)
    #expect(there.output.hasPrefix("node: alice, linechat "))
    #expect(there.output.contains("\nserver: there\ngroups: lobby (2)\nlinks: "))
    #expect(there.output.hasSuffix("\nwaiting: nothing\n"))
    bob.stop()
    try tools.leaveBehind("carol")
    try alice.wait(for: "carol") {
      if case .joined(let member, _) = $0 { member.name.description == "carol" } else { false }
    }
    for text in ["one", "two"] { try alice.say(text, in: "lobby") }
    let waiting = try tools.run(["status", "--name", "alice"])
    #expect(waiting.output.contains("\nwaiting: 2 messages, for bob 2"), "\(waiting.output)")
    let json = try object(tools.run(["status", "--json", "--name", "alice"]))
    #expect(json["node"] as? String == "alice")
    #expect(json["server"] as? Bool == true)
    #expect((json["waiting"] as? [String: Int])?["bob"] == 2)
    #expect((json["stats"] as? [String: Int])?["outbox-messages"] == 2)
    #expect((json["groups"] as? [[String: Any]])?.first?["name"] as? String == "lobby")

    let server = try tools.run(["status"])
    #expect(server.exitCode == 0)
    #expect(server.output.hasPrefix("node: none runs\nserver: there, linechatd "))
    #expect(server.output.contains("\nconnections: "))
    let stats = try object(tools.run(["status", "--json"]))
    #expect(stats["node"] is NSNull)
    #expect((stats["stats"] as? [String: Int])?["groups"] == 1)

    tools.server.stop()
    try alice.wait(for: "no server") { if case .serverIsAway = $0 { true } else { false } }
    let away = try object(tools.run(["status", "--json", "--name", "alice"]))
    #expect(away["server"] as? Bool == false)
    let neither = try tools.run(["status"])
    #expect(neither.exitCode == 3)
    #expect(neither.output == "")
    #expect(neither.errors.contains("no node of yours runs, and there is no server at 127.0.0.1:"))
  }

  @Test(
    "wrong calls are 2",
    arguments: [
      (["members"], "Missing expected argument '<group>'"),
      (["members", "a b"], "a group must be 1 to 64 letters"),
      (["members", "nobodyhome"], "there is no group nobodyhome"),
      (["groups", "lobby"], "Unexpected argument 'lobby'"), (["groups", "--bogus"], "--bogus"),
      (["status", "--server", ""], "--server: "), (["status", "--name", "1"], "--name must"),
      (["members", "--data-dir", "", "lobby"], "--data-dir must be the path of a directory"),
      (["log", "--since", "yesterday"], "--since must be an age such as 2h"),
      (["log", "--order", "size"], "--order must be one of arrival, clock"),
      (["log", "-n", "0"], "-n must be a number from 1 to 100000"),
      (["log", "a b"], "a group must be 1 to 64 letters"), (["log"], "there is no profile "),
    ])
  func wrongCalls(arguments: [String], reason: String) throws {
    let finished = try tools.run(arguments)
    #expect(finished.exitCode == 2)
    #expect(finished.errors.contains(reason), "\(finished.errors)")
    #expect(finished.output == "")
  }

  @Test(
    "each explains itself",
    arguments: ["send", "tail", "members", "groups", "log", "status", "run"])
  func help(command: String) throws {
    for arguments in [[command, "--help"], ["help", command]] {
      let finished = try tools.run(arguments)
      #expect(finished.exitCode == 0)
      let text = finished.output.split { $0.isWhitespace }.joined(separator: " ")
      #expect(text.contains("USAGE: linechat \(command) "))
      #expect(text.contains("exit code is"))
      for word in ["LINECHAT_PROFILE", "LINECHAT_DATA_DIR", "LINECHAT_NAME"] {
        #expect(text.contains(word), "\(word)")
      }
    }
  }
}

@Suite("linechat log", .ownThread, .timeLimit(.minutes(20)))
struct LogTests {
  private let tools: Toolbox

  init() throws { tools = try Toolbox() }

  /// A profile whose node has heard something, and does not run any more.
  private func profile() throws {
    let directory = "\(tools.directory.path)/linechat/alice/log"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    func write(_ file: String, _ lines: [String]) throws {
      try lines.map { $0 + "\n" }.joined().write(
        toFile: "\(directory)/\(file)", atomically: true, encoding: .utf8)
    }
    func time(_ clock: String) -> String { "2026-03-01T\(clock).000000Z" }
    try write(
      "lobby.log",
      [
        "@version=7.1;time=\(time("09:00:00")) :bob@10.0.0.3:5001 JOIN lobby",
        "@heard=\(time("09:10:00"));msgid=c0ffee00c0ffee00.1;time=\(time("09:10:00")) "
          + ":bob@10.0.0.3:5001 MSG lobby early",
        "nonsense of somebody's editor",
        "@heard=\(time("11:00:00"));msgid=c0ffee00c0ffee00.2;time=\(time("09:05:00")) "
          + ":carol@relay MSG lobby late",
        "@version=7.2;time=\(time("11:30:00")) :carol@relay LEAVE lobby connection closed",
      ])
    try write(
      "@bob.log",
      [
        "@heard=\(time("10:00:00"));time=\(time("10:00:00")) :bob@10.0.0.3:5001 PM alice psst",
        "@msgid=c0ffee00c0ffee01.1;time=\(time("10:01:00")) :alice@relay PM bob yes?",
      ])
  }

  private func log(_ arguments: [String]) throws -> [String] {
    let finished = try tools.run(["log", "--name", "alice"] + arguments)
    #expect(finished.exitCode == 0, "\(finished.errors)")
    return finished.output.split(separator: "\n").map { String($0) }
  }

  @Test("without a node, in the order in which it came or was said, and since then")
  func reads() throws {
    try profile()
    let joined = "2026-03-01 09:00:00 #lobby -- bob@10.0.0.3:5001 joined"
    let early = "2026-03-01 09:10:00 #lobby <bob> early"
    let late = "2026-03-01 09:05:00 #lobby <carol> late"
    let left = "2026-03-01 11:30:00 #lobby -- carol left: connection closed"
    let psst = "2026-03-01 10:00:00 <bob> to alice: psst"
    let yes = "2026-03-01 10:01:00 <alice> to bob: yes?"
    #expect(try log(["lobby"]) == [joined, early, late, left])
    #expect(try log(["--order", "clock", "LOBBY"]) == [joined, late, early, left])
    #expect(try log([]) == [joined, early, psst, yes, late, left])
    #expect(try log(["-n", "2"]) == [late, left])
    #expect(try log(["@bob"]) == [psst, yes])
    #expect(try log(["--since", "2026-03-01 10:30", "lobby"]) == [late, left])
    #expect(try log(["--since", "2026-03-01T10:00:30Z", "--order", "clock"]) == [yes, left])
    #expect(try log(["--since", "2026-03-02"]) == [])
    // A local time, where that is another.
    let finished = try tools.run(
      ["log", "--name", "alice", "--since", "2026-03-01 12:15", "lobby"], ["TZ=CET-1"])
    #expect(finished.output == "2026-03-01 12:30:00 #lobby -- carol left: connection closed\n")
  }

  @Test("as JSON, an object a line")
  func json() throws {
    try profile()
    let lines = try log(["--json"])
    #expect(lines.count == 6)
    let objects = try lines.map {
      try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: String])
    }
    #expect(
      objects.map { $0["kind"] } == ["join", "message", "private", "private", "message", "leave"])
    #expect(objects[1]["id"] == "c0ffee00c0ffee00.1")
    #expect(objects[3]["to"] == "bob")
    #expect(objects[4]["time"] == "2026-03-01T09:05:00.000000Z")
    #expect(objects[4]["arrival"] == "2026-03-01T11:00:00.000000Z")
    #expect(objects[5]["text"] == "connection closed")
  }

  @Test("since then, whatever the clocks of others say; and no more than the last so many")
  func since() throws {
    let directory = "\(tools.directory.path)/linechat/alice/log"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    func heard(_ number: Int, _ clock: String) -> String {
      "@heard=2026-03-01T\(clock).000000Z;msgid=c0ffee00c0ffee00.\(number);"
        + "time=2026-03-01T\(clock).000000Z :bob@relay MSG lobby \(number)\n"
    }
    // The server's clock is a day behind, and somebody's line was two days under way.
    let lines =
      (1...50).map { heard($0, "08:00:\($0 + 9)") }.joined() + heard(51, "12:00:00")
      + "@version=7.2;time=2026-02-28T12:00:01.000000Z :dave@relay JOIN lobby\n"
      + "@heard=2026-03-01T12:00:02.000000Z;time=2026-02-27T12:00:00.000000Z "
      + ":carol@relay MSG lobby late\n" + heard(52, "12:00:03")
    try lines.write(toFile: "\(directory)/lobby.log", atomically: true, encoding: .utf8)
    let texts = try log(["--since", "2026-03-01 11:30", "lobby"]).map {
      $0.split(separator: " ").last
    }
    #expect(texts == ["51", "late", "52"])
    #expect(try log(["lobby"]).count == 54)
    #expect(try log(["-n", "3", "lobby"]).count == 3)
  }

  @Test("what a running node has heard and said")
  func running() throws {
    let alice = try tools.node("alice")
    let nc = try tools.server.member("nc")
    try nc.ask("MSG lobby hello")
    try alice.expect(["hello"])
    try alice.say("hi", in: "lobby")
    try eventually("it is in the log") {
      let lines = try log(["--since", "1h", "lobby"])
      return lines.contains { $0.hasSuffix(" #lobby <nc> hello") }
        && lines.contains { $0.hasSuffix(" #lobby <alice> hi") }
        && lines.contains { $0.hasSuffix(" #lobby -- nc@relay joined") }
    }
    let wrong = try tools.run(["log", "--name", "alice", "loby"])
    #expect(wrong.exitCode == 2)
    #expect(wrong.errors == "linechat: there is no log of loby; there are: lobby\n")
  }
}
