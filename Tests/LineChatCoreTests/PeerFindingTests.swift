// What the simulator has found in nodes, each as the shortest script that shows it.

import LineChatCore
import LineProtocol
import Testing

@Suite("Findings in nodes")
struct PeerFindingTests {
  /// A change of name whose answer is lost with the server, and the server there again. `before`:
  /// what else is said to have failed.
  private func renameLost(label: Int, _ before: String = "") -> String {
    """
    me> NICK zoe
    server< @label=\(label) NICK zoe
    ~ server
    \(before)
    me< ERR unreachable NICK {*}
    = 0.5
    ? server
    ! server
    server> INFO linechatd 1 protocol=1 server=00000000000000aa
    server< @label=\(label + 1) NICK alice
    """
  }

  @Test("the answer to an earlier leave says nothing about a later one")
  func laterLeave() {
    let stage = PeerStage.joined(["lobby": []])
    stage.play(
      """
      me> JOIN lobby
      server< @label=3 JOIN lobby :5001
      me> LEAVE lobby
      * exited lobby
      me< done
      server< @label=4 LEAVE lobby
      me> JOIN lobby
      server< @label=5 JOIN lobby :5001
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3;version=9.1 OK JOIN lobby 1
      * entered lobby 1 new
      me< {*}
      me> LEAVE lobby
      * exited lobby
      me< done
      server< @label=6 LEAVE lobby
      server> @label=4 OK LEAVE lobby
      """)
    #expect(stage.peer.replicaState().leaving == ["lobby"])
    stage.play(
      """
      server> @label=5 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=5;version=9.2 OK JOIN lobby 1
      me< ERR not-member JOIN you have left lobby meanwhile
      server> @label=6 OK LEAVE lobby
      """)
    #expect(stage.peer.replicaState().leaving == [])
    #expect(stage.peer.status(now: stage.now).groups == [])
  }

  @Test("a join that is refused ends no other question about the group")
  func refusedJoin() {
    let stage = PeerStage.joined(["ops": []])
    stage.play(
      """
      me> JOIN lobby
      server< @label=3 JOIN lobby :5001
      server> @version=9.5;time=T :bob@10.0.0.2:5001 JOIN lobby
      server< @label=4 MEMBERS lobby
      server> @label=3 ERR internal JOIN the change could not be written to disk
      me< ERR internal JOIN the change could not be written to disk
      server> @version=9.6;time=T :bob@10.0.0.2:5001 LEAVE lobby
      server> @label=4 ERR no-such-group MEMBERS there is no group lobby
      """)
    #expect(stage.peer.status(now: stage.now).groups.map(\.name) == [GroupName("ops")!])
  }

  @Test("what a crash leaves of one write is not heard without what stood before it")
  func tornWrite() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]])
    stage.open("bob", from: "10.0.0.2")
    stage.play(
      "bob> @msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby 1\n"
        + "* :bob@10.0.0.2:5001 MSG lobby 1\nbob< ACK lobby B.1")
    let before = stage.journal
    stage.play("% hold")
    for number in 2...4 {
      stage.send(
        "bob",
        "@msgid=B.\(number);prev=\(number - 1);time=T;version=9.3 "
          + ":bob@10.0.0.2:5001 MSG lobby \(number)")
    }
    let written = stage.carried
    func heard(_ records: [Record]) -> [String?] {
      let restarted = PeerStage(journal: before + records)
      return restarted.peer.replicaState().heard.map { stage.shownID($0) }
    }
    #expect(heard(written) == ["B.4"])
    // The one in the middle did not reach the disk; bob was told of none of them and sends them again.
    #expect(heard([written[0], written[2]]) == ["B.2"])
    #expect(heard([written[1], written[2]]) == ["B.1"])
  }

  @Test("a list of members of which a crash has left the end is not a roster")
  func tornListing() {
    let stage = PeerStage.joined([
      "lobby": ["bob@10.0.0.2:5001 online tags", "carol@10.0.0.3:5001 online tags"]
    ])
    let lines = stage.journal.map { String(decoding: $0.line, as: UTF8.self) }
    let last = lines.lastIndex { $0.hasPrefix("MEMBER lobby bob") }
    guard let last else {
      Issue.record("the listing is not in the journal")
      return
    }
    // What stood in the journal earlier is no part of it.
    var torn = stage.journal
    torn[last] = Record(line: Array("MEMBER lobby carol@10.0.0.3:5001 away tags".utf8))
    #expect(PeerStage(journal: torn).peer.replicaState().groups.isEmpty)
    #expect(PeerStage(journal: stage.journal).peer.replicaState().groups.count == 1)
  }

  @Test("what is under way on a link is counted as it is, not after its first message")
  func window() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]])
    for _ in 0..<2 { stage.perform(.say(GroupName("lobby")!, "short")) }
    let long = String(repeating: "x", count: 30_000)
    for _ in 0..<80 { stage.perform(.say(GroupName("lobby")!, long)) }
    stage.answers("10.0.0.2:5001", as: "bob")
    #expect(stage.take("10.0.0.2:5001").count == 37)
    stage.send("10.0.0.2:5001", "ACK lobby S1.1")
    #expect(stage.take("10.0.0.2:5001").isEmpty)
    stage.send("10.0.0.2:5001", "ACK lobby S1.4")
    #expect(stage.take("10.0.0.2:5001").count == 2)
  }

  @Test("what is too long for the server that is found has failed, and holds up nothing")
  func tooLongForServer() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play("~ server")
    stage.perform(.say(GroupName("lobby")!, String(repeating: "x", count: 600)))
    stage.perform(.say(GroupName("lobby")!, "short"))
    stage.pass(seconds: 0.5)
    stage.dials = []
    stage.dialled("server")
    stage.send("server", "INFO linechatd 1 protocol=1 server=00000000000000aa max-line=512")
    stage.send("server", "@label=3 OK NICK alice")
    stage.send("server", "@label=4 MEMBER lobby alice@10.0.0.1:5001 online tags")
    stage.send("server", "@label=4 MEMBER lobby bob@relay online tags")
    stage.send("server", "@label=4;version=9.4 OK JOIN lobby 2")
    let sent = stage.take("server").filter { $0.contains("MSG") }
    #expect(sent.count == 1 && sent[0].hasSuffix(";to=bob MSG lobby short"))
    #expect(
      stage.allNews.contains {
        if case .delivery(_, _, _, .failed(let reason)) = $0 {
          reason.contains("512")
        } else {
          false
        }
      })
  }

  @Test("what is given up by a leave that a crash has left on the disk is told at the start, once")
  func tornLeave() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      me< bob waiting: not connected
      """)
    let before = stage.journal
    stage.play("% hold")
    stage.perform(.leave(GroupName("lobby")!))
    let leave = stage.carried
    #expect(leave.count == 1)
    func failures(_ journal: [Record]) -> [String] {
      let restarted = PeerStage(journal: journal)
      #expect(restarted.peer.replicaState().outbox.isEmpty)
      return restarted.allNews.compactMap { one in
        if case .delivery(_, let conversation, let name, .failed(let reason)) = one {
          "\(conversation) \(name): \(reason)"
        } else {
          nil
        }
      }
    }
    #expect(failures(before + leave) == ["lobby bob: left lobby"])
    stage.play(
      """
      % go
      * lobby.1 bob failed: left lobby
      me< done
      server< @label=3 LEAVE lobby
      """)
    #expect(stage.journal.count > before.count + 1)
    #expect(failures(stage.journal) == [])
  }

  @Test("a node is itself in a roster that does not know its new name, also after a start")
  func ownNameBehind() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      \(renameLost(label: 3))
      server> @label=4 OK NICK alice
      server< @label=5 MEMBERS lobby
      server> @label=5 MEMBER lobby zoe@10.0.0.1:5001 online tags
      server> @label=5 MEMBER lobby bob@relay away tags
      server> @label=5;version=9.4 OK MEMBERS lobby 2
      server< @label=6 NICK zoe
      server> @label=6 OK NICK zoe
      server< @label=7 JOIN lobby :5001
      """)
    let change = stage.written("@version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe")
    let restarted = PeerStage(
      restoring: stage.peer.replicaState(), journal: [Record(line: Array(change.utf8))])
    restarted.perform(.say(GroupName("lobby")!, "hi"))
    let state = restarted.peer.replicaState()
    #expect(state.outbox.map(\.recipients) == [["bob"]])
    #expect(state.groups.map(\.version) == ["9.4"])
    #expect(restarted.peer.audit().problems == [])
  }

  @Test("a listing that was under way when a snapshot was taken does not take its roster back")
  func carriedListing() {
    let stage = PeerStage.joined(["lobby": []])
    let carried = stage.journal
    stage.play(
      """
      me> NICK zoe
      server< @label=3 NICK zoe
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe
      * named zoe
      server> @label=3 OK NICK zoe
      me< done
      """)
    let state = stage.peer.replicaState()
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.peer.audit().problems == [])
    #expect(restarted.peer.replicaState().groups == state.groups)
  }

  @Test("what was under way when a snapshot was taken goes to those that it was said to")
  func carriedMessage() {
    let stage = PeerStage.joined(["lobby": ["bob@relay online", "dave@relay online"]])
    stage.disk = .byHand
    stage.play(
      """
      me> MSG lobby hi
      me> PM dave psst
      me> MSG lobby bye
      server> @version=9.4;time=T :bob@relay LEAVE lobby
      server> @version=9.5;time=T :carol@relay JOIN lobby
      server> @version=9.6;group=lobby;time=T :dave@relay NICK eve
      """)
    let state = stage.peer.replicaState()
    #expect(state.outbox.isEmpty)
    // What does not get to the disk was never said.
    let carried = Array(stage.carried.prefix(2))
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.peer.audit().problems == [])
    #expect(restarted.peer.replicaState().outbox.map(\.recipients) == [["eve"], ["eve"]])
  }

  @Test("behind the highest version there is, a change in a journal is passed over")
  func highestVersion() {
    let lines = [
      "MEMBER lobby alice@10.0.0.1:5001 online tags",
      "@version=9.18446744073709551615 OK MEMBERS lobby 1",
      "@version=9.4;time=2027-01-15T08:00:00.000000Z :bob@relay JOIN lobby",
    ]
    let stage = PeerStage(journal: lines.map { Record(line: Array($0.utf8)) })
    #expect(stage.peer.replicaState().groups.map(\.version) == ["9.18446744073709551615"])
  }

  @Test("who was missed as it had left one group is still tried in the other")
  func missedByLeaving() {
    let bob = "bob@relay online tags"
    let stage = PeerStage.joined(["lobby": [bob], "ops": [bob]])
    stage.play(
      """
      me> MSG ops one
      * said MSG ops one
      server< @label=4;msgid=S1.1;time=T;to=bob MSG ops one
      me> MSG ops two
      * said MSG ops two
      server< @label=5;msgid=S1.2;time=T;prev=1;to=bob MSG ops two
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=6;msgid=S2.1;time=T;to=bob MSG lobby hi
      """)
    stage.send("server", "@label=4;missed=bob OK MSG ops 0/0")
    stage.send("server", "@label=5;missed=bob OK MSG ops 0/0")
    stage.send("server", "@version=9.4;time=T :bob@relay LEAVE ops")
    stage.pass(seconds: 30)
    #expect(stage.take("server").contains { $0.contains("to=bob MSG lobby hi") })
  }

  @Test("a newcomer is dialled only when it is known what it is, after two starts, too")
  func newcomerNotDescribed() {
    let first = PeerStage.joined(["lobby": []])
    first.play(
      """
      server> @version=9.4;time=T :bob@10.0.0.2:5001 JOIN lobby
      """)
    let second = PeerStage(restoring: first.peer.replicaState(), journal: [])
    let third = PeerStage(restoring: second.peer.replicaState(), journal: [])
    third.perform(.say(GroupName("lobby")!, "hi"))
    third.play(
      """
      ? server
      * said MSG lobby hi
      me< bob waiting: unreachable
      """)
    #expect(third.dials.isEmpty)
    let state = third.peer.replicaState()
    #expect(state.groups.map(\.members.last) == ["bob@10.0.0.2:5001 online undescribed"])
    #expect(state.outbox.map(\.recipients) == [["bob"]])
  }

  @Test("who is known to be a program is one in a group that it has just joined, too")
  func describedElsewhere() {
    let bob = "bob@10.0.0.2:5001 online tags reachable"
    let stage = PeerStage.joined(["lobby": [bob], "ops": []])
    stage.perform(.say(GroupName("lobby")!, "hi"))
    stage.play(
      """
      * said MSG lobby hi
      ? 10.0.0.2:5001
      server> @version=9.4;time=T :bob@10.0.0.2:5001 JOIN ops
      """)
    let second = PeerStage(restoring: stage.peer.replicaState(), journal: [])
    let third = PeerStage(restoring: second.peer.replicaState(), journal: [])
    third.play(
      """
      ? server
      ? 10.0.0.2:5001
      ! 10.0.0.2:5001
      10.0.0.2:5001> INFO linechat 1 protocol=1 name=bob
      10.0.0.2:5001< @msgid=S1.1;time=T;version=9.3 :alice@10.0.0.1:5001 MSG lobby hi
      """)
  }

  @Test("nothing is taken for who has our name in a roster that is behind")
  func ownNameElsewhere() {
    PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]]).play(
      """
      me> NICK bob
      server< @label=3 NICK bob
      server> @label=3 OK NICK bob
      * named bob
      me< done
      me> PM bob@10.0.0.2:5001 hi
      me< ERR no-such-peer PM bob is you now; {*}
      me> PM 10.0.0.2:5001 hi
      me< ERR no-such-peer PM bob is you now; {*}
      """)
  }

  @Test("a name that may be ours already is asked for where somebody else has the one of before")
  func nameOfBeforeTaken() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      \(renameLost(label: 3))
      server> @label=4 ERR name-taken NICK alice belongs to a member from another host
      * name alice taken: alice belongs to a member from another host
      server< @label=5 NICK zoe
      server> @label=5 OK NICK zoe
      server< @label=6 JOIN lobby :5001
      """)
    #expect(stage.peer.replicaState().name == "zoe")
    #expect(stage.peer.replicaState().askedName == nil)
  }

  @Test("who takes the name of one who is waited for has its own fate in what was said to both")
  func bothSaidTo() {
    PeerStage.joined(["lobby": ["bob8@relay online tags", "bob2@relay online tags"]]).play(
      """
      me> PM bob8 psst
      * said PM bob8 psst
      server< @label=3;msgid=S1.1;time=T PM bob8 psst
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=4;msgid=S2.1;time=T;to=bob8,bob2 MSG lobby hi
      server> @version=9.4;time=T :bob8@relay LEAVE lobby
      * left bob8@relay lobby
      server> @version=9.5;group=lobby;time=T :bob2@relay NICK bob8
      * renamed bob2@relay bob8
      server< @label=5;msgid=S1.1;time=T PM bob8 psst
      server< @label=6;msgid=S2.1;time=T;to=bob8 MSG lobby hi
      server> @version=9.6;time=T :bob8@relay LEAVE lobby
      me< bob8 failed: left lobby, bob2 failed: left lobby
      * left bob8@relay lobby
      """)
  }

  @Test("where neither name is to be had, both are asked for again after the pause")
  func bothNamesTaken() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      \(renameLost(label: 3))
      server> @label=4 ERR name-taken NICK alice belongs to a member from another host
      server< @label=5 NICK zoe
      server> @label=5 ERR name-taken NICK zoe is in use
      - server
      = 100
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa
      server< @label=6 NICK alice
      """)
  }

  @Test(
    "a name that may be ours already is asked for where no group of ours is known to the end",
    arguments: [("OK NICK zoe", "zoe"), ("ERR name-taken NICK zoe is in use", "alice")])
  func doubtWhileJoining(answer: String, name: String) {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      me> LEAVE lobby
      server< @label=3 LEAVE lobby
      me< done
      \(renameLost(label: 4))
      server> @label=5 OK NICK alice
      server< @label=6 NICK zoe
      server> @label=6 \(answer)
      server< @label=7 LEAVE lobby
      """)
    #expect(stage.peer.replicaState().name == name)
    #expect(stage.peer.replicaState().askedName == nil)
  }

  @Test("a name that may be ours already is asked for where a join may have been carried out")
  func doubtAfterLostJoin() {
    let stage = PeerStage.joined([:])
    stage.play(
      """
      me> JOIN lobby
      server< @label=2 JOIN lobby :5001
      \(renameLost(label: 3, "me< ERR unreachable JOIN {*}"))
      server> @label=4 OK NICK alice
      server< @label=5 NICK zoe
      server> @label=5 OK NICK zoe
      """)
    #expect(stage.peer.replicaState().name == "zoe")
  }

  @Test("what comes again on another connection, before it is written, is acknowledged there")
  func repeatedOnWayToDisk() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]])
    let line = "@msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby hi"
    stage.open("bob", from: "10.0.0.2")
    stage.play("% hold\nbob> \(line)\n- bob")
    stage.open("again", from: "10.0.0.2")
    stage.play(
      """
      again> \(line)
      % all
      * :bob@10.0.0.2:5001 MSG lobby hi
      again< ACK lobby B.1
      """)
  }

  @Test("what comes again after a failure is taken, also where its first writing fails only then")
  func failsAfterComingAgain() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]])
    let lines = [
      "@msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby one",
      "@msgid=B.2;prev=1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby two",
    ]
    stage.open("bob", from: "10.0.0.2")
    stage.play(
      """
      % hold
      bob> \(lines[0])
      bob> \(lines[1])
      % fail
      bob< @msgid=B.1 ERR internal MSG it could not be written to disk {*}
      . bob
      x bob
      """)
    stage.open("again", from: "10.0.0.2")
    stage.play(
      """
      again> \(lines[0])
      again> \(lines[1])
      % fail
      % all
      * :bob@10.0.0.2:5001 MSG lobby one
      * :bob@10.0.0.2:5001 MSG lobby two
      again< ACK lobby B.2
      """)
    #expect(stage.peer.audit().problems == [])
  }

  @Test("what comes again on another connection and could not be written is not acknowledged there")
  func repeatedAndNotWritten() {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags"]])
    let line = "@msgid=B.1;time=T;version=9.3 :bob@10.0.0.2:5001 MSG lobby hi"
    stage.open("bob", from: "10.0.0.2")
    stage.play("% hold\nbob> \(line)\n- bob")
    stage.open("again", from: "10.0.0.2")
    stage.play(
      """
      again> \(line)
      % fail
      again< @msgid=B.1 ERR internal {*}
      x again
      """)
  }

  @Test("what is known of somebody who has left is not told of whoever is next in their place")
  func claimOfOneWhoLeft() {
    PeerStage.joined([
      "lobby": ["bob@relay online tags", "nora@relay online", "carol@10.0.0.3:5001 online tags"]
    ]).play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      ? 10.0.0.3:5001
      server< @label=3;msgid=S1.1;time=T;to=bob,nora MSG lobby hi
      server> @label=3;plain=nora OK MSG lobby 2/2
      server> :bob@relay ACK lobby S1.1
      server> @version=9.4;time=T :nora@relay LEAVE lobby connection closed
      me> PM rob psst
      * said PM rob psst
      server< @label=4;msgid=S2.1;time=T PM rob psst
      server> @version=9.5;group=lobby;time=T :bob@relay NICK rob
      server< @label=5;msgid=S2.1;time=T PM rob psst
      server> @label=5 OK PM rob
      me< rob relayed
      = 1
      me< bob delivered, nora sent, carol waiting: on its way
      """)
  }
}
