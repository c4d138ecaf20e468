// A node's replicas of its groups' rosters, as the server changes them.

import Foundation
import LineChatCore
import LineProtocol
import Testing

@Suite("A node's replicas")
struct PeerReplicaTests {
  private static let bob = "bob@10.0.0.2:5001 online tags reachable"

  private func roster(_ stage: PeerStage, _ group: String = "lobby") -> [String] {
    stage.peer.replicaState().groups.first { $0.name == group }?.members ?? []
  }

  private func version(_ stage: PeerStage) -> String? {
    stage.peer.replicaState().groups.first?.version
  }

  @Test("the next change is applied, noted, and told")
  func next() {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob]])
    stage.play(
      """
      + me2 owner
      server> @version=9.4;time=T :carol@10.0.0.3:5001 JOIN lobby
      * joined carol@10.0.0.3:5001 lobby
      me2< :carol@10.0.0.3:5001 JOIN lobby
      server> MEMBER lobby carol@10.0.0.3:5001 online tags
      server> @version=9.5;group=lobby;time=T :bob@10.0.0.2:5001 NICK rob
      * renamed bob@10.0.0.2:5001 rob
      me2< :bob@10.0.0.2:5001 NICK rob
      server> @version=9.6;time=T :rob@10.0.0.9:5009 JOIN lobby
      * moved rob@10.0.0.9:5009 from 10.0.0.2:5001
      me2< :rob@10.0.0.9:5009 JOIN lobby
      server> @version=9.7;time=T :carol@10.0.0.3:5001 LEAVE lobby
      * left carol@10.0.0.3:5001 lobby
      me2< :carol@10.0.0.3:5001 LEAVE lobby
      server> MEMBER lobby rob@10.0.0.9:5009 away tags
      * rob away
      """)
    #expect(
      roster(stage) == ["alice@10.0.0.1:5001 online tags", "rob@10.0.0.9:5009 away tags"])
    #expect(version(stage) == "9.7")
    let notes = stage.journal.map { String(decoding: $0.line, as: UTF8.self) }
    #expect(notes.contains { $0.hasSuffix(":carol@10.0.0.3:5001 JOIN lobby") })
    #expect(notes.contains { $0.contains("group=lobby") && $0.hasSuffix("NICK rob") })
    #expect(notes.last == "MEMBER lobby rob@10.0.0.9:5009 away tags")
  }

  @Test("a change that was applied already changes nothing")
  func again() {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob]])
    stage.play(
      """
      server> @version=9.3;time=T :carol@10.0.0.3:5001 JOIN lobby
      server> @version=9.1;time=T :bob@10.0.0.2:5001 LEAVE lobby
      """)
    #expect(roster(stage).count == 2)
  }

  @Test(
    "a gap, another start, or a change that does not fit: the whole roster is asked for, once",
    arguments: [
      "@version=9.5;time=T :carol@10.0.0.3:5001 JOIN lobby",
      "@version=10.4;time=T :carol@10.0.0.3:5001 JOIN lobby",
      "@version=8.9;time=T :carol@10.0.0.3:5001 JOIN lobby",
      "@version=9.4;time=T :dave@10.0.0.4:5001 LEAVE lobby",
      "@version=9.4;time=T;group=lobby :dave@10.0.0.4:5001 NICK eve",
      "@version=9.4;time=T;group=lobby :bob@10.0.0.2:5001 NICK alice",
    ])
  func gap(line: String) {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob]])
    stage.play(
      """
      server> \(line)
      server< @label=3 MEMBERS lobby
      server> @version=10.6;time=T :zoe@10.0.0.9:5001 JOIN lobby
      server> @label=3 MEMBER lobby carol@10.0.0.3:5001 online tags
      server> @label=3 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=3;version=10.5 OK MEMBERS lobby 2
      * joined carol@10.0.0.3:5001 lobby
      * left bob@10.0.0.2:5001 lobby
      * entered lobby 2
      server> @version=10.6;time=T :zoe@10.0.0.9:5001 JOIN lobby
      * joined zoe@10.0.0.9:5001 lobby
      """)
    #expect(version(stage) == "10.6")
  }

  @Test("our own name and place change in every roster, as the server says it")
  func ownChanges() {
    let stage = PeerStage.joined(["lobby": [], "ops": []])
    stage.play(
      """
      me> NICK zoe
      server< @label=4 NICK zoe
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe
      * named zoe
      server> @version=9.4;group=ops;time=T :alice@10.0.0.1:5001 NICK zoe
      server> @label=4 OK NICK zoe
      me< done
      server> @version=9.5;time=T :zoe@10.7.7.7:5001 JOIN ops
      * placed 10.7.7.7:5001
      """)
    #expect(roster(stage) == ["zoe@10.0.0.1:5001 online tags"])
    #expect(roster(stage, "ops").isEmpty == false)
  }

  @Test("a group that the server has us in, and we do not know of, is asked for and taken")
  func adopted() {
    let stage = PeerStage.joined([:])
    stage.play(
      """
      server> @version=9.4;time=T :carol@relay JOIN ops
      server< @label=2 MEMBERS ops
      server> @label=2 MEMBER ops alice@10.0.0.1:5001 online tags
      server> @label=2 MEMBER ops carol@relay online
      server> @label=2;version=9.4 OK MEMBERS ops 2
      * entered ops 2 new
      server> @msgid=B.1;time=T :dave@relay MSG attic boo
      * :dave@relay MSG attic boo (relayed)
      server< @label=3 MEMBERS attic
      server< @to=dave ACK attic B.1
      server> @label=3 MEMBER attic dave@relay online
      server> @label=3;version=9.9 OK MEMBERS attic 1
      server> @version=9.4;time=T :carol@relay JOIN nowhere
      server< @label=4 MEMBERS nowhere
      server> @label=4 ERR no-such-group MEMBERS there is no group nowhere
      """)
    // What turned out to be none of ours is not kept, and is asked for again should it come up.
    stage.play("server> @version=9.9;time=T :eve@relay JOIN attic\nserver< @label=5 MEMBERS attic")
    #expect(stage.peer.replicaState().groups.map(\.name) == ["ops"])
  }

  @Test("a listing without us, and a group that is gone, are an end of our membership")
  func listedOut() {
    PeerStage.joined(["lobby": [PeerReplicaTests.bob], "ops": []]).play(
      """
      server> @version=9.9;time=T :carol@relay JOIN lobby
      server< @label=4 MEMBERS lobby
      server> @label=4 MEMBER lobby bob@10.0.0.2:5001 online tags
      server> @label=4;version=9.9 OK MEMBERS lobby 1
      * exited lobby: the server says so
      server> @version=9.9;time=T :carol@relay JOIN ops
      server< @label=5 MEMBERS ops
      server> @label=5 ERR no-such-group MEMBERS there is no group ops
      * exited ops: there is no group ops
      me> MSG lobby hi
      me< ERR not-member MSG this node is not in lobby; JOIN lobby first
      """)
  }

  @Test("taken out by the server, the node is out, and has nothing to tell the server")
  func takenOut() {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob]])
    let before = stage.peer.replicaState()
    let known = stage.journal.count
    stage.play(
      """
      + me2 owner
      server> @version=9.4;time=T :alice@10.0.0.1:5001 LEAVE lobby forgotten by the owner
      * exited lobby: forgotten by the owner
      me2< :alice@10.0.0.1:5001 LEAVE lobby forgotten by the owner
      """)
    #expect(stage.peer.replicaState().groups.isEmpty)
    #expect(
      !stage.allNews.contains {
        if case .left(let member, _, _) = $0 { member.name == MemberName("alice") } else { false }
      })
    let restarted = PeerStage(restoring: before, journal: Array(stage.journal[known...]))
    #expect(restarted.peer.replicaState().groups.isEmpty)
    #expect(restarted.peer.replicaState().leaving.isEmpty)
  }

  @Test("who was renamed in one group is not a stranger in the other")
  func renamedInOne() {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob], "ops": [PeerReplicaTests.bob]])
    stage.play(
      """
      me> MSG ops hi
      * said MSG ops hi
      ? 10.0.0.2:5001
      ~ 10.0.0.2:5001
      server< @label=4;msgid=S1.1;time=T;to=bob MSG ops hi
      server> @version=9.4;group=lobby;time=T :bob@10.0.0.2:5001 NICK rob
      server< @label=5;msgid=S1.1;time=T;to=rob MSG ops hi
      server> @label=4;missed=bob OK MSG ops 0/0
      server> @label=5 OK MSG ops 1/1
      me< bob relayed
      server> @version=9.9;group=ops;time=T :bob@10.0.0.2:5001 NICK rob
      server< @label=6 MEMBERS ops
      server> @label=6 MEMBER ops alice@10.0.0.1:5001 online tags
      server> @label=6 MEMBER ops rob@10.0.0.2:5001 online tags reachable
      server> @label=6;version=9.9 OK MEMBERS ops 2
      """)
    #expect(stage.peer.status(now: stage.now).contacts.map(\.waiting) == [1])
  }

  @Test("a name that another had in a roster that we have not heard the last of")
  func takenName() {
    // zoe is in ops, as far as we know; in truth she has left, and bob has her name now.
    let stage = PeerStage.joined([
      "lobby": [PeerReplicaTests.bob], "ops": ["zoe@10.0.0.7:5001 away tags"],
    ])
    stage.play(
      """
      server> @version=9.4;group=lobby;time=T :bob@10.0.0.2:5001 NICK zoe
      server> @version=9.9;time=T :carol@relay JOIN ops
      server< @label=4 MEMBERS ops
      server> @label=4 MEMBER ops alice@10.0.0.1:5001 online tags
      server> @label=4;version=9.9 OK MEMBERS ops 1
      me> MSG lobby hi
      * said MSG lobby hi
      ? 10.0.0.2:5001
      ~ 10.0.0.2:5001
      server< {*}
      """)
    #expect(roster(stage, "ops") == ["alice@10.0.0.1:5001 online tags"])
  }

  @Test("our own new name was another's in a stale roster")
  func takenByUs() {
    let stage = PeerStage.joined(["lobby": [], "ops": ["zoe@10.0.0.7:5001 away tags"]])
    stage.play(
      """
      me> NICK zoe
      server< @label=4 NICK zoe
      server> @version=9.4;group=lobby;time=T :alice@10.0.0.1:5001 NICK zoe
      server> @version=9.8;group=ops;time=T :alice@10.0.0.1:5001 NICK zoe
      server< @label=5 MEMBERS ops
      server> @label=4 OK NICK zoe
      me< done
      server> @label=5 MEMBER ops zoe@10.0.0.1:5001 online tags
      server> @label=5;version=9.8 OK MEMBERS ops 1
      """)
    #expect(stage.peer.status(now: stage.now).contacts.isEmpty)
  }

  @Test("the same name written in another way is no other member")
  func writtenOtherwise() {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob]])
    stage.play(
      """
      server> @version=9.4;group=lobby;time=T :bob@10.0.0.2:5001 NICK Bob
      * renamed bob@10.0.0.2:5001 Bob
      me> NICK ALICE
      server< @label=3 NICK ALICE
      server> @version=9.5;group=lobby;time=T :alice@10.0.0.1:5001 NICK ALICE
      server> @label=3 OK NICK ALICE
      * named ALICE
      me< done
      """)
    #expect(roster(stage)[1].hasPrefix("Bob@"))
    #expect(roster(stage)[0].hasPrefix("ALICE@"))
  }

  @Test("the fresh roster after a reconnect is told as what is different")
  func reconnected() {
    let stage = PeerStage.joined(["lobby": [PeerReplicaTests.bob, "dave@relay online"]])
    stage.play(
      """
      ~ server
      = 0.5
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< {} NICK alice
      server> @label=3 OK NICK alice
      server< @label=4 JOIN lobby :5001
      server> @label=4 MEMBER lobby alice@10.0.0.1:5001 online tags
      server> @label=4 MEMBER lobby bob@10.0.0.8:5001 online tags
      server> @label=4 MEMBER lobby carol@relay online
      server> @label=4;version=11.2 OK JOIN lobby 3
      * moved bob@10.0.0.8:5001 from 10.0.0.2:5001
      * joined carol@relay lobby
      * left dave@relay lobby
      * entered lobby 3
      """)
  }

  @Test("that the place can be reached is said when it changes, not with each roster")
  func reachable() {
    let stage = PeerStage.joined(["lobby": [], "ops": []])
    stage.play(
      """
      server> MEMBER lobby alice@10.0.0.1:5001 online tags reachable
      server> MEMBER ops alice@10.0.0.1:5001 online tags reachable
      server> @version=9.9;time=T :bob@relay JOIN ops
      server< @label=4 MEMBERS ops
      server> @label=4 MEMBER ops alice@10.0.0.1:5001 online tags reachable
      server> @label=4;version=9.9 OK MEMBERS ops 1
      server> MEMBER lobby alice@10.0.0.1:5001 online tags
      server> MEMBER ops alice@10.0.0.1:5001 online tags
      """)
    let told = stage.allNews.compactMap { one -> Bool? in
      if case .reachable(let isReachable) = one { isReachable } else { nil }
    }
    #expect(told == [true, false])
    // And it outlives the process, as the rest of the roster does.
    let notes = stage.journal.map { String(decoding: $0.line, as: UTF8.self) }
    #expect(notes.contains("MEMBER lobby alice@10.0.0.1:5001 online tags reachable"))
  }

  @Test("a stream that a damaged snapshot has under another name goes with the member who waits")
  func streamMisnamed() throws {
    let snapshot = """
      {"name": "alice", "groups": [{"name": "lobby", "version": "9.3", "members": [
        "alice@10.0.0.1:5001 online tags", "bob@10.0.0.2:5001 online tags"]}],
      "sent": [{"to": "@bof", "latest": "00c0ffee00c0ff02.1"}], "leaving": [], "outbox": [],
      "heard": [], "time": "2027-01-15T08:00:00.000000Z"}
      """
    let state = try JSONDecoder().decode(ReplicaState.self, from: Data(snapshot.utf8))
    let records = [
      "@msgid=00c0ffee00c0ff02.2 :alice@10.0.0.1:5001 PM bob psst",
      "@group=lobby;version=9.4 :bob@10.0.0.2:5001 NICK rob",
    ]
    let stage = PeerStage(
      restoring: state, journal: records.map { Record(line: Array($0.utf8)) })
    #expect(stage.peer.audit().problems == [])
    #expect(stage.peer.replicaState().sent.map(\.to) == ["@rob"])
    #expect(stage.peer.replicaState().outbox.map(\.recipients) == [["rob"]])
  }
}
