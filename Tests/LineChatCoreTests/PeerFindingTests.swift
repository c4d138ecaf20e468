// What the simulator has found in nodes, each as the shortest script that shows it.

import LineChatCore
import LineProtocol
import Testing

@Suite("Findings in nodes")
struct PeerFindingTests {
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
}
