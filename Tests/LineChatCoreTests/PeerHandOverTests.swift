// A node that is there for one run, and does not listen: the server delivers for it.

import LineChatCore
import LineProtocol
import Testing

@Suite("A node for one run")
struct PeerHandOverTests {
  /// In the lobby with bob, and with carol, who is away.
  private static func stage() -> PeerStage {
    let stage = PeerStage(groups: ["lobby"]) { $0.isTransient = true }
    stage.listens = nil
    stage.play(
      """
      ? server
      ! server
      server> \(PeerStage.greeting)
      server< @label=1 NICK alice
      server> @label=1 OK NICK alice
      server< @label=2 JOIN lobby
      server> @label=2 MEMBER lobby bob@10.0.0.2:5001 online tags
      server> @label=2 MEMBER lobby carol@10.0.0.3:5001 away tags
      server> @label=2 MEMBER lobby alice@relay online tags
      server> @label=2;version=9.3 OK JOIN lobby 3
      """)
    return stage
  }

  @Test("says it without tags, so that the server keeps it for who is away")
  func kept() {
    let stage = Self.stage()
    stage.play(
      """
      me> MSG lobby hi
      server< MSG lobby hi
      server> OK MSG lobby 1/2 kept 1
      * said MSG lobby hi
      me< bob taken over, carol taken over
      me> PM carol psst
      server< PM carol psst
      server> OK PM carol kept
      * said PM carol psst
      me< carol taken over
      """)
    #expect(stage.peer.status(now: stage.now).outboxMessages == 0)
  }

  @Test("answers in the order in which it was asked, whatever else is asked between")
  func order() {
    Self.stage().play(
      """
      me> MSG lobby one
      server< MSG lobby one
      me> GROUPS
      server< @label=4 GROUPS
      me> MSG lobby two
      server< MSG lobby two
      server> OK MSG lobby 1/2 kept 1
      * said MSG lobby one
      me< bob taken over, carol taken over
      server> @label=4 GROUP lobby 3
      server> @label=4 OK GROUPS 1
      me< groups lobby 3
      server> ERR no-such-group MSG there is no group lobby
      me< ERR no-such-group MSG there is no group lobby
      """)
  }

  @Test("names those for whom nobody takes it over")
  func notKept() {
    Self.stage().play(
      """
      me> MSG lobby hi
      server< MSG lobby hi
      server> OK MSG lobby 1/2
      * said MSG lobby hi
      me< bob taken over, carol failed: away, and the server does not keep it for 1 of those who are
      me> MSG lobby hi
      server< MSG lobby hi
      server> OK MSG lobby 99999999999999999999/4 kept 88888888888888888888888
      * said MSG lobby hi
      me< bob taken over, carol taken over
      """)
  }

  @Test("says that it is not known whether the server has it, where that is lost before its answer")
  func lost() {
    Self.stage().play(
      """
      me> MSG lobby hi
      server< MSG lobby hi
      ~ server
      me< ERR unreachable MSG the server was lost before it answered, so it may have the message or not
      me> MSG lobby hi
      me< ERR unreachable MSG the server at chat.example:5463 is away (connection refused); it is tried again by itself
      """)
  }
}
