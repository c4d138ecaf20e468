// What a node makes of its journal where something happened while a record was on its way to the disk,
// or a snapshot was taken then.

import LineChatCore
import LineProtocol
import Testing

@Suite("Findings in the journal of a node")
struct ReplayFindingTests {
  @Test("a receipt that came before a snapshot crosses out nothing of who has the name since")
  func formerName() {
    let stage = PeerStage.joined(["lobby": ["bob@relay online tags", "carol@relay away tags"]])
    stage.play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 OK MSG lobby 1/1
      me< {*}
      % hold
      me> PM carol psst
      server> :bob@relay ACK lobby S1.1
      * lobby.1 bob delivered
      server> @version=9.4;group=lobby;time=T :bob@relay NICK eve
      server> @version=9.5;group=lobby;time=T :carol@relay NICK bob
      """)
    let state = stage.peer.replicaState()
    #expect(state.outbox.map(\.recipients) == [["bob"]])
    let carried = stage.carried
    let restarted = PeerStage(restoring: state, journal: carried)
    let after = restarted.peer.replicaState()
    #expect(after.outbox.map { String($0.message.split(separator: " ").last!) } == ["psst", "hi"])
    #expect(after.outbox.map(\.recipients) == [["bob"], ["bob"]])
  }

  @Test("what failed for one is not taken from the next of that name")
  func leftThenNamed() {
    let stage = PeerStage.joined(["lobby": ["bob@relay online tags", "carol@relay away tags"]])
    stage.disk = .byHand
    stage.play(
      """
      me> MSG lobby hi
      server> @version=9.4;time=T :bob@relay LEAVE lobby
      server> @version=9.5;group=lobby;time=T :carol@relay NICK bob
      """)
    let state = stage.peer.replicaState()
    let carried = stage.carried
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.peer.replicaState().outbox.map(\.recipients) == [["bob"]])
    // What the user is told when the disk has it.
    stage.write()
    stage.pass(seconds: 1)
    #expect(stage.take("me") == ["bob failed: left lobby, carol waiting: not connected"])
  }

  @Test("a list that comes while a leave is on its way to the disk does not undo it")
  func listingWhileLeaving() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play("% hold")
    stage.perform(.leave(GroupName("lobby")!))
    stage.play(
      """
      server> @version=9.5;time=T :carol@relay JOIN lobby
      server< @label=3 MEMBERS lobby
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3 MEMBER lobby bob@relay away tags
      server> @label=3 MEMBER lobby carol@relay online tags
      server> @label=3;version=9.5 OK MEMBERS lobby 3
      % go
      me< done
      server< @label=4 LEAVE lobby
      """)
    let state = stage.peer.replicaState()
    #expect(state.groups.isEmpty && state.leaving == ["lobby"])
    let restarted = PeerStage(journal: stage.journal)
    let after = restarted.peer.replicaState()
    #expect(after.groups == [])
    #expect(after.leaving == ["lobby"])
    stage.play("server> @label=4 OK LEAVE lobby")
    let later = PeerStage(journal: stage.journal).peer.replicaState()
    #expect(later.groups == [])
    #expect(later.leaving == [])
  }

  @Test("what is said behind a leave has failed, also after a snapshot between")
  func saidWhileLeaving() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play("% hold")
    stage.perform(.leave(GroupName("lobby")!))
    stage.perform(.say(GroupName("lobby")!, "hi"))
    let before = stage.journal
    let state = stage.peer.replicaState()
    let carried = stage.carried
    let plain = PeerStage(journal: before + carried).peer.replicaState()
    #expect(plain.outbox.isEmpty && plain.groups.isEmpty)
    // What the user is told, when the disk has both.
    stage.write()
    #expect(stage.take("me") == ["done", "bob failed: left lobby"])
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.peer.replicaState().groups == [])
    #expect(restarted.peer.replicaState().outbox == [])
    stage.news = []
  }

  @Test("who is renamed while a leave is on its way to the disk is known by the new name")
  func renamedWhileLeaving() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      me> PM bob hi
      * said PM bob hi
      me< bob waiting: not connected
      % hold
      """)
    stage.perform(.leave(GroupName("lobby")!))
    stage.send("server", "@version=9.4;group=lobby;time=T :bob@relay NICK eve")
    stage.disk = .immediate
    stage.settle()
    #expect(stage.peer.replicaState().outbox.map(\.recipients) == [["eve"]])
    let restarted = PeerStage(journal: stage.journal)
    #expect(restarted.peer.replicaState().outbox.map(\.recipients) == [["eve"]])
  }

  @Test("what is delivered while a leave is on its way to the disk has not failed")
  func deliveredWhileLeaving() {
    let stage = PeerStage.joined(["lobby": ["bob@relay online tags"]])
    stage.play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby hi
      server> @label=3 OK MSG lobby 1/1
      me< {*}
      % hold
      """)
    stage.perform(.leave(GroupName("lobby")!))
    stage.play(
      """
      server> :bob@relay ACK lobby S1.1
      * lobby.1 bob delivered
      """)
    stage.disk = .immediate
    stage.settle()
    #expect(failures(stage) == [])
    #expect(failures(PeerStage(journal: stage.journal)) == [])
  }

  @Test("what failed by a leave is told once, whoever was renamed before it")
  func failedOnce() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      me< bob waiting: not connected
      % hold
      """)
    stage.perform(.leave(GroupName("lobby")!))
    stage.send("server", "@version=9.4;group=lobby;time=T :bob@relay NICK eve")
    stage.disk = .immediate
    stage.settle()
    #expect(failures(stage) == ["lobby.1 eve: left lobby"])
    #expect(failures(PeerStage(journal: stage.journal)) == [])
  }

  @Test("what was said of one before a snapshot does not describe a newcomer of that name")
  func describedBefore() {
    let stage = PeerStage.joined(["lobby": ["carol@relay away"]])
    stage.disk = .byHand
    stage.play(
      """
      me> MSG lobby hi
      server> MEMBER lobby carol@relay online
      server> @version=9.4;time=T :carol@10.0.0.4:5001 JOIN lobby
      server< @label=3 MEMBERS lobby
      """)
    let state = stage.peer.replicaState()
    #expect(state.groups[0].members.last == "carol@10.0.0.4:5001 online undescribed")
    let carried = stage.carried
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.dials.map(\.name) == ["server"])
    guard restarted.dials.count == 2 else { return }
    restarted.dialled("10.0.0.4:5001")
    #expect(restarted.take("10.0.0.4:5001") == [])
    restarted.finished("10.0.0.4:5001")
    #expect(restarted.peer.replicaState().outbox.map(\.recipients) == [["carol"]])
  }

  @Test("what failed is told by the next start that goes on")
  func startThatEnds() {
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
    // A start up to the snapshot that it begins with, and then its listener cannot be bound.
    var peer = Peer(stage.configuration)
    for record in before + stage.carried { try! peer.replay(record, now: stage.now) }
    let snapshot = peer.replicaState()
    #expect(failures(PeerStage(restoring: snapshot)) == ["lobby.1 bob: left lobby"])
  }

  @Test("the name that the owner wants is in doubt as long as the server has not answered")
  func wantedName() {
    let first = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    let stage = PeerStage("zoe", restoring: first.peer.replicaState()) { $0.isNameWanted = true }
    stage.play(
      """
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      server< @label=2 NICK zoe
      server< @label=3 JOIN lobby :5001
      ~ server
      """)
    #expect(stage.peer.replicaState().askedName == "zoe")
    stage.play(
      """
      = 0.5
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa
      server< @label=4 NICK alice
      server> @label=4 OK NICK alice
      server< @label=5 MEMBERS lobby
      """)
  }

  @Test("a list from before a restart of the server does not take a roster back")
  func listingOfBefore() {
    let stage = PeerStage.joined(["lobby": ["carol@relay away tags"]])
    stage.disk = .byHand
    stage.play(
      """
      me> MSG lobby hi
      server> @version=9.5;time=T :carol@relay JOIN lobby
      server< @label=3 MEMBERS lobby
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3 MEMBER lobby carol@relay away tags
      server> @label=3;version=9.5 OK MEMBERS lobby 2
      server> @version=9.6;group=lobby;time=T :carol@relay NICK dora
      ~ server
      = 0.5
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa
      server< @label=4 NICK alice
      server> @label=4 OK NICK alice
      server< @label=5 JOIN lobby :5001
      server> @label=5 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=5 MEMBER lobby dora@relay away tags
      server> @label=5;version=10.3 OK JOIN lobby 2
      """)
    let state = stage.peer.replicaState()
    #expect(state.unwritten?.map(\.recipients) == [["dora"]])
    let carried = stage.carried
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.peer.replicaState().groups == state.groups)
    #expect(restarted.peer.replicaState().outbox.map(\.recipients) == [["dora"]])
    #expect(failures(restarted) == [])
  }

  @Test("who was taken out and came back is in after a crash")
  func takenOutAndIn() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"], "ops": []])
    stage.disk = .byHand
    stage.play(
      """
      me> PM bob psst
      server> @version=9.4;time=T :alice@10.0.0.1:5001 LEAVE lobby forgotten
      me> JOIN lobby
      server< @label=4 JOIN lobby :5001
      server> @label=4 MEMBER lobby bob@relay away tags
      server> @label=4 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=4;version=9.7 OK JOIN lobby 2
      """)
    let state = stage.peer.replicaState()
    let carried = stage.carried
    let restarted = PeerStage(restoring: state, journal: carried)
    #expect(restarted.peer.replicaState().groups == state.groups)
  }

  @Test("a leave stands behind the join that is answered meanwhile")
  func joinThenLeave() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.disk = .byHand
    stage.play(
      """
      me> JOIN lobby
      server< @label=3 JOIN lobby :5001
      me> LEAVE lobby
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3 MEMBER lobby bob@relay away tags
      server> @label=3;version=9.3 OK JOIN lobby 2
      % go
      me< done
      me< ERR not-member JOIN you have left lobby meanwhile
      server< @label=4 LEAVE lobby
      server> @label=4 OK LEAVE lobby
      """)
    #expect(stage.peer.replicaState().groups == [])
    #expect(PeerStage(journal: stage.journal).peer.replicaState().groups == [])
  }

  @Test("a new name is asked for when it is on the disk that it is")
  func nameOnDisk() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.disk = .byHand
    stage.play(
      """
      me> NICK zoe
      % 1
      server< @label=3 NICK zoe
      """)
    #expect(PeerStage(journal: stage.journal).peer.replicaState().askedName == "zoe")
    stage.play(
      """
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe
      * named zoe
      server> @label=3 OK NICK zoe
      me< done
      me> NICK eve
      """)
    stage.failOldest()
    stage.play("me< ERR internal NICK the change could not be written to disk (no space left)")
    #expect(stage.peer.replicaState().name == "zoe")
    #expect(stage.peer.replicaState().askedName == nil)
  }

  @Test(
    "a name that was refused before the server was asked for it is not asked for later",
    arguments: ["1", "fail"], [true, false])
  func refusedName(write: String, isMember: Bool) {
    let stage = PeerStage.joined(isMember ? ["lobby": ["bob@relay away tags"]] : [:])
    let label = isMember ? 3 : 2
    stage.disk = .byHand
    stage.play(
      """
      me> NICK zoe
      ~ server
      * {*}
      % \(write)
      me< ERR {*}
      = 0.5
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa
      server< @label=\(label) NICK alice
      server> @label=\(label) ERR name-taken NICK alice is taken
      """)
    #expect(stage.take("server") == [])
    stage.news = []
    stage.write()
    #expect(stage.peer.replicaState().askedName == nil)
    #expect(PeerStage(journal: stage.journal).peer.replicaState().askedName == nil)
  }

  @Test("a name that waits for the disk over a loss of the server is refused, and not in doubt")
  func nameOverLoss() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.disk = .byHand
    stage.play(
      """
      me> NICK zoe
      ~ server
      * {*}
      = 0.5
      ? server
      ! server
      server> INFO linechatd 1 protocol=1 server=00000000000000aa
      server< @label=3 NICK alice
      server> @label=3 OK NICK alice
      server< @label=4 JOIN lobby :5001
      * {*}
      """)
    let (state, carried) = (stage.peer.replicaState(), stage.carried)
    let before = stage.journal.count
    stage.play(
      """
      me> NICK eve
      me< ERR rate-limited NICK {*}
      % go
      me< ERR unreachable NICK the server was lost before it was asked; say it again
      """)
    let behind = stage.journal[before...].drop { carried.contains($0) }
    let restarted = PeerStage(restoring: state, journal: carried + behind)
    #expect(restarted.peer.replicaState().askedName == nil)
  }

  @Test("a name is not in doubt behind an end before the server was asked for it")
  func nameAtTheEnd() {
    let stage = PeerStage.joined([:])
    stage.disk = .byHand
    stage.perform(.rename(MemberName("zoe")!))
    stage.shutDown()
    stage.write()
    #expect(stage.take("me").map { $0.prefix(20) } == ["ERR unreachable NICK"])
    #expect(stage.peer.replicaState().askedName == nil)
    #expect(PeerStage(journal: stage.journal).peer.replicaState().askedName == nil)
  }

  @Test("a name asked for behind another way to write ours is in doubt after a crash, too")
  func writtenOtherwise() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.play(
      """
      me> NICK Alice
      server< @label=3 NICK Alice
      me> NICK zoe
      server< @label=4 NICK zoe
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK Alice
      * named Alice
      server> @label=3 OK NICK Alice
      me< done
      """)
    #expect(stage.peer.replicaState().askedName == "zoe")
    #expect(PeerStage(journal: stage.journal).peer.replicaState().askedName == "zoe")
  }

  @Test("of LEAVE, JOIN and LEAVE the last holds")
  func leaveJoinLeave() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.disk = .byHand
    stage.play(
      """
      me> LEAVE lobby
      me> JOIN lobby
      me> LEAVE lobby
      me< ERR not-member JOIN you have left lobby meanwhile
      % go
      me< done
      server< @label=3 LEAVE lobby
      me< done
      server< @label=4 LEAVE lobby
      """)
    #expect(stage.peer.replicaState().groups == [])
    let lines = stage.journal.map { String(decoding: $0.line, as: UTF8.self) }
    let logged = lines.compactMap { try? Message(parsing: $0) }.filter {
      LogName(record: $0) != nil
    }
    #expect(logged.count == 1, "\(lines)")
  }

  @Test("a group of the configuration is joined at a start, wherever it is found that it was left")
  func configuredGroup() {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.disk = .byHand
    stage.perform(.leave(GroupName("lobby")!))
    let (before, asked, state) = (stage.journal, stage.carried, stage.peer.replicaState())
    stage.write()
    #expect(stage.take("me") == ["done"])
    let starts = [
      PeerStage(groups: ["lobby"], journal: stage.journal),
      PeerStage(groups: ["lobby"], journal: before + asked),
      PeerStage(groups: ["lobby"], restoring: state, journal: asked),
      PeerStage(groups: ["lobby"], restoring: stage.peer.replicaState()),
    ]
    for start in starts {
      start.dials = []
      start.dialled("server")
      start.send("server", PeerStage.greeting)
      start.send("server", "@label=1 OK NICK alice")
      #expect(
        start.take("server").suffix(2) == ["@label=2 LEAVE lobby", "@label=3 JOIN lobby :5001"])
      start.news = []
    }
  }

  @Test("at the end nobody is told of what is not on the disk yet", arguments: [true, false])
  func end(isWritten: Bool) {
    let stage = PeerStage.joined(["lobby": ["bob@relay away tags"]])
    stage.disk = .byHand
    stage.open("o", from: "owner")
    stage.perform(.say(GroupName("lobby")!, "hi"))
    stage.send("o", "MSG lobby hi")
    stage.shutDown()
    #expect(stage.take("o") == ["INFO shutting-down the node is stopping; connect again later"])
    #expect(stage.take("me") == [])
    if isWritten {
      stage.write()
      #expect(stage.take("me") == ["bob waiting: on its way"])
    } else {
      stage.failOldest()
      #expect(stage.take("me").map { $0.prefix(16) } == ["ERR internal MSG"])
    }
    stage.news = []
  }

  /// What was told to have failed.
  private func failures(_ stage: PeerStage) -> [String] {
    stage.allNews.compactMap { one in
      guard case .delivery(let id, let conversation, let name, .failed(let reason)) = one else {
        return nil
      }
      return "\(conversation).\(id.sequence) \(name): \(reason)"
    }
  }
}
