// From node to node: what is sent on a link, what comes back, and what becomes of each message.

import LineChatCore
import LineProtocol
import Testing

@Suite("Delivery on links")
struct PeerDeliveryTests {
  static let bob = "bob@10.0.0.2:5001 online tags"
  static let carol = "carol@10.0.0.3:5001 online"

  /// The source and the tags that its messages have on a link.
  private func line(_ number: Int, _ text: String, prev: Int? = nil) -> String {
    let prev = prev.map { ";prev=\($0)" } ?? ""
    return "@msgid=S1.\(number);time=T\(prev);version=9.3 :alice@10.0.0.1:5001 MSG lobby \(text)"
  }

  @Test("on disk, dialled, greeted, sent, acknowledged")
  func whole() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    stage.play(
      """
      % hold
      me> MSG lobby hi
      = 0.1
      % 1
      * said MSG lobby hi
      ? 10.0.0.2:5001
      ! 10.0.0.2:5001
      10.0.0.2:5001> INFO linechat 1 protocol=1 name=Bob max-line=65536 help=HELP
      * link bob@10.0.0.2:5001
      10.0.0.2:5001< \(line(1, "hi"))
      10.0.0.2:5001> ACK lobby S1.1
      me< bob delivered
      me> MSG lobby more
      % 1
      * said MSG lobby more
      10.0.0.2:5001< \(line(2, "more"))
      10.0.0.2:5001> ACK lobby S1.2
      me< bob delivered
      """)
    #expect(stage.peer.status(now: stage.now).outboxMessages == 0)
    #expect(stage.peer.status(now: stage.now).outboxBytes == 0)
    let records = stage.journal.map { stage.shown(String(decoding: $0.line, as: UTF8.self)) }
    #expect(
      records.suffix(4) == [
        "@msgid=S1.1;time=T :alice@10.0.0.1:5001 MSG lobby hi",
        ":bob@10.0.0.2:5001 ACK lobby S1.1",
        "@msgid=S1.2;time=T :alice@10.0.0.1:5001 MSG lobby more",
        ":bob@10.0.0.2:5001 ACK lobby S1.2",
      ])
  }

  @Test("nobody is told of a message that the disk did not take, and its number is not used again")
  func diskFails() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    stage.play(
      """
      % hold
      me> MSG lobby lost
      me> MSG lobby kept
      % fail
      me< ERR internal MSG the message could not be written to disk (no space left)
      % 1
      * said MSG lobby kept
      ? 10.0.0.2:5001
      ! 10.0.0.2:5001
      10.0.0.2:5001> INFO linechat 1 protocol=1 name=bob
      10.0.0.2:5001< \(line(2, "kept"))
      10.0.0.2:5001> ACK lobby S1.2
      me< bob delivered
      """)
  }

  @Test("a stranger for whom nothing could be written is forgotten")
  func diskFailsForStranger() {
    let stage = PeerStage.joined([:])
    stage.play(
      """
      % hold
      me> PM zoe hi
      % fail
      me< ERR internal PM the message could not be written to disk (no space left)
      """)
    #expect(stage.peer.status(now: stage.now).contacts.isEmpty)
  }

  @Test("receipts are cumulative, and each message names the one before it that has none")
  func cumulative() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.play(
      """
      * said MSG lobby one
      10.0.0.2:5001< \(line(1, "one"))
      me> MSG lobby two
      * said MSG lobby two
      10.0.0.2:5001< \(line(2, "two", prev: 1))
      me> MSG lobby three
      * said MSG lobby three
      10.0.0.2:5001< \(line(3, "three", prev: 2))
      10.0.0.2:5001> ACK lobby S1.2
      me< bob delivered
      me< bob delivered
      10.0.0.2:5001> ACK lobby S1.2
      10.0.0.2:5001> ACK lobby S1.3
      me< bob delivered
      10.0.0.2:5001> ACK lobby S1.9
      me> MSG lobby four
      * said MSG lobby four
      10.0.0.2:5001< \(line(4, "four"))
      10.0.0.2:5001> ACK lobby B.4
      10.0.0.2:5001> ACK lobby
      10.0.0.2:5001> ACK lobby x
      10.0.0.2:5001> ACK lobby S1.4
      me< bob delivered
      """)
  }

  @Test("a receipt that says what is missing is answered from there, once for each number")
  func sentAgain() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.perform(.say(GroupName("lobby")!, "two"))
    stage.play(
      """
      * said MSG lobby one
      * said MSG lobby two
      10.0.0.2:5001< \(line(1, "one"))
      10.0.0.2:5001< \(line(2, "two", prev: 1))
      10.0.0.2:5001> @prev=1 ACK lobby S1.0
      10.0.0.2:5001< \(line(1, "one"))
      10.0.0.2:5001< \(line(2, "two", prev: 1))
      10.0.0.2:5001> @prev=1 ACK lobby S1.0
      10.0.0.2:5001> ACK lobby S1.1
      me< bob delivered
      10.0.0.2:5001> @prev=1 ACK lobby S1.1
      10.0.0.2:5001< \(line(2, "two"))
      10.0.0.2:5001> ACK lobby S1.2
      me< bob delivered
      """)
  }

  @Test("a receipt that comes again is no reason to send anything again")
  func receiptAgain() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.play(
      """
      * said MSG lobby one
      10.0.0.2:5001< \(line(1, "one"))
      10.0.0.2:5001> ACK lobby S1.1
      me< bob delivered
      me> MSG lobby two
      * said MSG lobby two
      10.0.0.2:5001< \(line(2, "two"))
      10.0.0.2:5001> ACK lobby S1.1
      10.0.0.2:5001> ACK lobby S1.2
      me< bob delivered
      """)
  }

  @Test("outcomes come in the order in which it was said, where all are waited for equally long")
  func outcomes() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    for number in 1...50 { stage.perform(.say(GroupName("lobby")!, "\(number)")) }
    // He does not answer the dial.
    stage.pass(seconds: 1.5)
    let outcomes = stage.allNews.compactMap { news -> String? in
      if case .answer(_, .receipt(let receipt)) = news { receipt.message.text } else { nil }
    }
    #expect(outcomes == (1...50).map(String.init))
  }

  @Test("direct, through the server, and direct again: each time from the oldest without a receipt")
  func paths() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    stage.perform(.say(GroupName("lobby")!, "one"))
    stage.answers("10.0.0.2:5001", as: "bob")
    stage.play(
      """
      * said MSG lobby one
      10.0.0.2:5001< \(line(1, "one"))
      me> MSG lobby two
      * said MSG lobby two
      10.0.0.2:5001< \(line(2, "two", prev: 1))
      ~ 10.0.0.2:5001
      * down bob@10.0.0.2:5001 1 s: connection refused
      server< @label=3;msgid=S1.1;time=T;to=bob MSG lobby one
      server< @label=4;msgid=S1.2;time=T;prev=1;to=bob MSG lobby two
      server> @label=3 OK MSG lobby 1/1
      me< bob relayed
      server> @label=4 OK MSG lobby 1/1
      me< bob relayed
      server> :bob@10.0.0.2:5001 ACK lobby S1.1
      * lobby.1 bob delivered
      = 1
      ? 10.0.0.2:5001
      me> MSG lobby three
      * said MSG lobby three
      server< @label=5;msgid=S1.3;time=T;prev=2;to=bob MSG lobby three
      ! 10.0.0.2:5001
      10.0.0.2:5001> INFO linechat 1 protocol=1 name=bob
      * link bob@10.0.0.2:5001
      10.0.0.2:5001< \(line(2, "two"))
      10.0.0.2:5001< \(line(3, "three", prev: 2))
      server> @label=5;missed=bob OK MSG lobby 0/1
      10.0.0.2:5001> ACK lobby S1.3
      * lobby.2 bob delivered
      me< bob delivered
      """)
  }

  @Test("a netcat that listens is written what is due, and let go: more can't be known")
  func netcat() {
    PeerStage.joined(["lobby": [PeerDeliveryTests.carol]]).play(
      """
      me> MSG lobby hi
      * said MSG lobby hi
      ? 10.0.0.3:5001
      me> PM carol psst
      * said PM carol psst
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@10.0.0.1:5001 MSG lobby hi
      10.0.0.3:5001< :alice@10.0.0.1:5001 PM carol psst
      me> MSG lobby more
      * said MSG lobby more
      $ 10.0.0.3:5001
      me< carol sent
      me< carol sent
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@10.0.0.1:5001 MSG lobby more
      ~ 10.0.0.3:5001
      server< @label=3;msgid=S1.2;time=T;to=carol MSG lobby more
      """)
  }

  @Test("a netcat is not dialled for what is not on disk yet")
  func netcatAndDisk() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.carol]])
    stage.play(
      """
      % hold
      me> MSG lobby hi
      server> MEMBER lobby carol@10.0.0.3:5001 away
      server> MEMBER lobby carol@10.0.0.3:5001 online
      """)
    stage.play(
      """
      % 1
      * said MSG lobby hi
      ? 10.0.0.3:5001
      ! 10.0.0.3:5001
      10.0.0.3:5001< :alice@10.0.0.1:5001 MSG lobby hi
      $ 10.0.0.3:5001
      me< carol sent
      """)
  }

  @Test("a window of a mebibyte is under way on a link, the rest goes as receipts come")
  func window() {
    let stage = PeerStage.joined(["lobby": [PeerDeliveryTests.bob]])
    let text = String(repeating: "x", count: 60_000)
    for _ in 0..<40 { stage.perform(.say(GroupName("lobby")!, text)) }
    stage.answers("10.0.0.2:5001", as: "bob")
    let first = stage.take("10.0.0.2:5001").count
    #expect(first == 18)
    stage.send("10.0.0.2:5001", "ACK lobby S1.10")
    #expect(stage.take("10.0.0.2:5001").count == 10)
    stage.send("10.0.0.2:5001", "ACK lobby S1.28")
    #expect(stage.take("10.0.0.2:5001").count == 12)
    stage.send("10.0.0.2:5001", "ACK lobby S1.40")
    #expect(stage.peer.status(now: stage.now).outboxMessages == 0)
  }
}
