// What a server that is started again knows: of the snapshot, and of the journal's records since.

import LineProtocol
import Testing

@testable import LineChatCore

@Suite("What outlives the process")
struct DurabilityTests {
  /// What a restarted server knows: of the snapshot, and of the journal's records since.
  private func restarted(_ stage: Stage, snapshot: DurableState? = nil, from: Int = 0) -> Stage {
    let next = Stage()
    if let snapshot { #expect(next.directory.restore(snapshot, now: next.now) == []) }
    for record in stage.journal[from...] { try! next.directory.replay(record, now: next.now) }
    next.directory.restored(now: next.now)
    next.settle()
    return next
  }

  private func lived() -> (Stage, DurableState, Int) {
    let stage = Stage()
    for (name, host) in [("alice", "10.0.0.1"), ("bob", "10.0.0.2"), ("carol", "10.0.0.3")] {
      stage.open(name, from: host, key: name == "bob" ? "KEY" : nil)
      stage.send(name, "NICK \(name)")
    }
    stage.send("carol", "JOIN ops relay")
    stage.send("alice", "JOIN ops :5001")
    stage.send("bob", "JOIN ops relay")
    stage.send("bob", "JOIN lobby relay")
    stage.send("carol", "JOIN bare")
    let snapshot = stage.directory.durableState()
    let from = stage.journal.count
    stage.send("bob", "LEAVE lobby")
    stage.send("carol", "NICK zoe")
    stage.gone("carol")
    stage.send("alice", "PM zoe one")
    stage.send("alice", "MSG ops two")
    return (stage, snapshot, from)
  }

  @Test("the snapshot and the journal, or the journal alone, give the same state")
  func replayed() {
    let (stage, snapshot, from) = lived()
    var expected = stage.directory.durableState()
    for index in expected.members.indices { expected.members[index].seen = "" }
    for restarted in [restarted(stage), restarted(stage, snapshot: snapshot, from: from)] {
      var state = restarted.directory.durableState()
      for index in state.members.indices { state.members[index].seen = "" }
      #expect(state.members == expected.members)
      #expect(state.groups == expected.groups)
      #expect(state.kept == expected.kept)
    }
    #expect(expected.members.map(\.name) == ["alice", "bob", "zoe"])
    #expect(expected.groups.map(\.name) == ["ops"], "bare memberships and left ones are not there")
    #expect(expected.groups[0].members == ["zoe", "alice", "bob"], "in the order of joining")
    #expect(expected.kept.map(\.messages.count) == [2])
  }

  @Test(
    "after a restart a name belongs to its host or key, and what was kept is delivered in order")
  func afterRestart() {
    let (stage, snapshot, from) = lived()
    restarted(stage, snapshot: snapshot, from: from).play(
      """
      + thief 10.0.0.9
      thief> NICK zoe
      thief< ERR name-taken {*}
      thief> NICK bob
      thief< ERR name-taken {*}
      + bob 10.7.7.7 KEY
      bob> NICK bob
      bob< OK NICK bob
      + zoe 10.0.0.3
      zoe> NICK zoe
      zoe< OK NICK zoe
      zoe< :alice@10.0.0.1:5001 PM zoe one
      zoe< :alice@10.0.0.1:5001 MSG ops two
      """)
  }

  @Test("a group is written after a restart as a passing member wrote it first")
  func writtenName() {
    let stage = Stage()
    stage.send("alice", "JOIN Ops")
    stage.send("bob", "JOIN oPS relay")
    #expect(stage.take("bob").last == "OK JOIN Ops 2")
    #expect(stage.directory.durableState().groups.map(\.name) == ["Ops"])
    #expect(restarted(stage).directory.durableState().groups.map(\.name) == ["Ops"])
  }

  @Test(
    "a group made by others while a join is on its way to the disk is written as the join has it",
    arguments: [false, true])
  func writtenMeanwhile(isThere: Bool) {
    let stage = Stage()
    if isThere { stage.send("alice", "JOIN Ops") }
    stage.disk = .byHand
    stage.send("bob", isThere ? "JOIN oPS relay" : "JOIN Ops relay")
    if isThere { stage.send("alice", "LEAVE ops") }
    stage.send("carol", "JOIN OPS")
    stage.diskTakesAll()
    stage.send("carol", "MEMBERS ops")
    #expect(stage.take("carol").last == "OK MEMBERS Ops 2")
    #expect(stage.directory.durableState().groups.map(\.name) == ["Ops"])
    #expect(restarted(stage).directory.durableState().groups.map(\.name) == ["Ops"])
    #expect(stage.directory.audit().problems == [])
  }

  @Test("who is in no group of a snapshot, by a person's hand, is left out, and it is said")
  func memberOfNothing() {
    let (_, snapshot, _) = lived()
    var edited = snapshot
    edited.groups.removeAll { $0.name == "ops" }
    edited.kept = [
      DurableState.Waiting(
        member: "carol",
        messages: [
          "@for=carol;msgid=00c0ffee00c0ffee.1;time=2027-01-15T08:00:03.000000Z "
            + ":bob@10.0.0.2:5001 MSG ops hi"
        ])
    ]
    let next = Stage()
    #expect(
      next.directory.restore(edited, now: next.now) == [
        "member alice, who is in no group", "member carol, who is in no group",
        "what is kept for carol, who is no member",
      ])
    #expect(next.directory.audit().problems == [])
    #expect(next.directory.durableState().members.map(\.name) == ["bob"])
    #expect(next.directory.durableState().kept == [])
  }

  @Test("a message delivered before the end is not delivered again")
  func deliveredOnce() {
    let (stage, snapshot, from) = lived()
    stage.open("again", from: "10.0.0.3")
    stage.send("again", "NICK zoe")
    #expect(stage.take("again").count == 3)
    let next = restarted(stage, snapshot: snapshot, from: from)
    #expect(next.directory.durableState().kept == [])
  }

  @Test("stamps rise over restarts, also where the clock went back")
  func timeRises() {
    let (stage, snapshot, from) = lived()
    let next = restarted(stage, snapshot: snapshot, from: from)
    next.now.wallMicroseconds -= 3_600_000_000
    next.send("p", "@x=1 JOIN ops")
    next.send("q", "MSG ops hi")
    let heard = next.take("p").last.flatMap { try? Message(parsing: $0) }
    #expect(heard?.tags["time"] ?? "" > stage.directory.durableState().time)
  }

  @Test("a member not seen for its time is dropped, one that answers its dial is not")
  func expires() {
    let stage = Stage { $0.memberTTLMicroseconds = 10_000_000 }
    stage.play(
      """
      + join 10.0.0.3
      join> NICK carol
      join< OK NICK carol
      join> JOIN ops :5001
      join< {*}
      join< OK JOIN ops 1
      - join
      + hosted 10.0.0.4
      hosted> NICK dan
      hosted< OK NICK dan
      hosted> JOIN ops relay
      hosted< {*}
      hosted< {*}
      hosted< OK JOIN ops 2
      - hosted
      """)
    stage.pass(seconds: 11)
    stage.play(
      """
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      $ 10.0.0.3:5001
      a> MEMBERS ops
      a< MEMBER ops carol@10.0.0.3:5001 away
      a< OK MEMBERS ops 1
      """)
    stage.pass(seconds: 11)
    stage.play(
      """
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      a> GROUPS
      a< OK GROUPS 0
      """)
  }

  @Test("the owner drops members, nobody else may")
  func forget() {
    let stage = Stage()
    stage.play(
      """
      carol> NICK carol
      carol< OK NICK carol
      carol> JOIN ops relay
      carol< {*}
      carol< OK JOIN ops 1
      carol> JOIN lobby relay
      carol< {*}
      carol< OK JOIN lobby 1
      - carol
      a> FORGET carol
      a< ERR forbidden FORGET only the server's owner may do that: linechatd forget carol, where the server runs
      + o owner
      o> FORGET carol ops
      o< OK FORGET carol 1
      o> FORGET carol ops
      o< ERR no-such-group FORGET {*}
      o> FORGET nobody
      o< ERR no-such-peer FORGET no durable member is called nobody
      o> FORGET carol
      o< OK FORGET carol 1
      o> GROUPS
      o< OK GROUPS 0
      """)
    #expect(stage.directory.durableState().members.isEmpty)
  }

  @Test("what the disk cannot take up is not counted as kept, and the one who said it goes on")
  func diskDoesNotKeepUp() throws {
    // A group whose members are all away, more of them than may wait for the disk; the first and the
    // last are at addresses of their own.
    let count = Limits.pendingChanges + 2
    var state = DurableState()
    var group = DurableState.Group(name: "ops", members: [])
    for number in 0..<count {
      var place = "relay"
      if number == 0 { place = "10.0.0.3:5001" }
      if number == count - 1 { place = "10.0.0.4:5001" }
      group.members.append("m\(number)")
      state.members.append(
        DurableState.Member(name: "m\(number)", place: place, seen: "2027-01-15T08:00:00.000000Z"))
    }
    state.groups = [group]
    let stage = Stage()
    #expect(stage.directory.restore(state, now: stage.now) == [])
    stage.disk = .byHand
    stage.send("alice", "MSG ops one")
    #expect(stage.tickets.count == Limits.pendingChanges)
    // No more is taken: neither what a dial that failed leaves behind, nor what somebody else says.
    stage.play(
      """
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      ? 10.0.0.4:5001
      bob> PM m5 two
      bob< ERR internal PM the message could not be written to disk (the disk does not keep up); nobody has it
      bob> JOIN ops relay
      bob< ERR internal JOIN the disk does not keep up; try again in a moment
      bob> PING
      bob< PONG
      """)
    stage.diskTakesAll()
    #expect(stage.take("alice") == [])
    // One dial is under way still; what was for it goes to the disk when the sender has waited.
    stage.pass(seconds: 1)
    #expect(stage.tickets.count == 1)
    stage.disk()
    #expect(
      stage.take("alice") == ["OK MSG ops 0/\(count) kept \(Limits.pendingChanges + 1)"])
    #expect(stage.directory.audit().problems == [])
  }
}
