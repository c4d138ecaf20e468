// What a node takes of what others say: once, in order, and not before it is on disk.

import LineChatCore
import LineProtocol
import Testing

@Suite("Hearing")
struct PeerHearingTests {
  private func stage() -> PeerStage {
    let stage = PeerStage.joined(["lobby": ["bob@10.0.0.2:5001 online tags", "nora@relay online"]])
    stage.open("bob", from: "10.0.0.2")
    return stage
  }

  /// bob's message with that number.
  private func said(_ number: Int, prev: Int? = nil, _ text: String? = nil) -> String {
    "@msgid=B.\(number);time=T\(prev.map { ";prev=\($0)" } ?? "");version=9.3 "
      + ":bob@10.0.0.2:5001 MSG lobby \(text ?? "\(number)")"
  }

  private func shown(_ stage: PeerStage) -> [String] {
    stage.allNews.compactMap { one in
      guard case .message(let message) = one, message.path != .own else { return nil }
      return message.text
    }
  }

  @Test("what comes again is acknowledged again, and not shown again")
  func duplicates() {
    let stage = stage()
    stage.play(
      """
      bob> \(said(1))
      * :bob@10.0.0.2:5001 MSG lobby 1
      bob< ACK lobby B.1
      bob> \(said(1))
      bob< ACK lobby B.1
      server> @msgid=B.1;time=T :bob@10.0.0.2:5001 MSG lobby 1
      server< @to=bob ACK lobby B.1
      server> @msgid=B.2;time=T;prev=1 :bob@10.0.0.2:5001 MSG lobby 2
      * :bob@10.0.0.2:5001 MSG lobby 2 (relayed)
      server< @to=bob ACK lobby B.2
      bob> \(said(2, prev: 1))
      bob< ACK lobby B.2
      bob> \(said(5, prev: 2))
      * :bob@10.0.0.2:5001 MSG lobby 5
      bob< ACK lobby B.5
      """)
    #expect(stage.peer.replicaState().heard.map { stage.shownID($0) } == ["B.5"])
  }

  @Test("what follows on something that is missing is not taken, and the receipt says so")
  func missing() {
    stage().play(
      """
      bob> \(said(2, prev: 1))
      bob< @prev=1 ACK lobby B.0
      bob> \(said(1))
      * :bob@10.0.0.2:5001 MSG lobby 1
      bob< ACK lobby B.1
      bob> \(said(3, prev: 2))
      bob< @prev=2 ACK lobby B.1
      server> @msgid=B.4;time=T;prev=3 :bob@10.0.0.2:5001 MSG lobby 4
      server< @to=bob;prev=3 ACK lobby B.1
      bob> \(said(2))
      * :bob@10.0.0.2:5001 MSG lobby 2
      bob< ACK lobby B.2
      bob> \(said(3, prev: 2))
      * :bob@10.0.0.2:5001 MSG lobby 3
      bob< ACK lobby B.3
      """)
  }

  @Test("one receipt for what comes in one round, and each stream its own")
  func coalesced() {
    let stage = stage()
    stage.receive(
      "bob",
      [
        said(1), said(2, prev: 1),
        "@msgid=C.1;time=T;group=lobby;version=9.3 :bob@10.0.0.2:5001 PM alice psst",
        said(3, prev: 2), said(9, prev: 8),
      ])
    #expect(stage.take("bob") == ["@prev=8 ACK lobby B.3", "ACK alice C.1"])
    #expect(shown(stage) == ["1", "2", "psst", "3"])
  }

  @Test("nothing is acknowledged or shown before it is on disk; and then in order")
  func slowDisk() {
    stage().play(
      """
      % hold
      bob> \(said(1))
      bob> \(said(2, prev: 1))
      bob> \(said(1))
      bob> \(said(4, prev: 3))
      bob< @prev=3 ACK lobby B.0
      % 1
      * :bob@10.0.0.2:5001 MSG lobby 1
      bob< ACK lobby B.1
      % 1
      * :bob@10.0.0.2:5001 MSG lobby 2
      bob< ACK lobby B.2
      """)
  }

  @Test("what the disk does not take was never heard: it is said so, and it comes again")
  func diskFails() {
    let stage = stage()
    stage.play(
      """
      % hold
      bob> \(said(1))
      bob> \(said(2, prev: 1))
      % fail
      bob< @msgid=B.1 ERR internal MSG it could not be written to disk (no space left); say it again
      x bob
      % fail
      + again 10.0.0.2
      % go
      again> \(said(1))
      * :bob@10.0.0.2:5001 MSG lobby 1
      again< ACK lobby B.1
      again> \(said(2, prev: 1))
      * :bob@10.0.0.2:5001 MSG lobby 2
      again< ACK lobby B.2
      """)
  }

  @Test("one that fails behind another that is still on its way does not bring that one twice")
  func diskRefuses() {
    let stage = stage()
    stage.play("% hold\nbob> \(said(1))\nbob> \(said(2, prev: 1))")
    stage.failNewest()
    stage.play(
      """
      bob< @msgid=B.2 ERR internal MSG it could not be written to disk (no space left); say it again
      x bob
      + again 10.0.0.2
      again> \(said(1))
      % all
      * :bob@10.0.0.2:5001 MSG lobby 1
      again< ACK lobby B.1
      again> \(said(1))
      again< ACK lobby B.1
      % go
      again> \(said(2, prev: 1))
      * :bob@10.0.0.2:5001 MSG lobby 2
      again< ACK lobby B.2
      """)
    #expect(shown(stage) == ["1", "2"])
  }

  @Test("and it may come another way meanwhile")
  func diskRefusesOther() {
    let stage = stage()
    stage.play("% hold\nbob> \(said(1))\nbob> \(said(2, prev: 1))\nbob> \(said(3, prev: 2))")
    stage.failNewest()
    stage.failNewest()
    _ = stage.take("bob")
    stage.play(
      """
      server> @msgid=B.3;time=T;prev=2 :bob@10.0.0.2:5001 MSG lobby 3
      server< @to=bob;prev=2 ACK lobby B.0
      server> @msgid=B.2;time=T;prev=1 :bob@10.0.0.2:5001 MSG lobby 2
      % all
      * :bob@10.0.0.2:5001 MSG lobby 1
      * :bob@10.0.0.2:5001 MSG lobby 2 (relayed)
      server< @to=bob ACK lobby B.2
      """)
  }

  @Test("with what the server says not on disk, it is left, and asked for it all again")
  func diskFailsForServer() {
    stage().play(
      """
      % hold
      server> @msgid=B.1;time=T :bob@10.0.0.2:5001 MSG lobby 1
      % fail
      x server
      * server away 1 s: what it says can't be written to disk (no space left)
      """)
  }

  @Test("while much waits for the disk nothing more is read, but from links")
  func paused() {
    let stage = stage()
    stage.auditsEachRound = false
    stage.open("nc", from: "10.0.0.9")
    stage.disk = .byHand
    let text = String(repeating: "x", count: 60_000)
    var number = 0
    while stage.accepts("bob") && number < 1_000 {
      number += 1
      stage.send("bob", said(number, text))
    }
    #expect((100...200).contains(number))
    #expect(!stage.accepts("server") && !stage.accepts("nc"))
    stage.write(number / 3)
    #expect(!stage.accepts("bob") && stage.resumed.isEmpty)
    stage.write(number / 3)
    #expect(stage.accepts("bob") && stage.accepts("server") && stage.accepts("nc"))
    #expect(Set(stage.resumed).isSuperset(of: ["bob", "server", "nc"]))
    stage.write()
    #expect(shown(stage).count == number)
    #expect(stage.peer.audit().problems == [])
  }

  @Test("who comes, speaks and leaves at once is shown in that order, however slow the disk is")
  func comesAndGoes() {
    stage().play(
      """
      % hold
      server> @version=9.4;time=T :cron@relay JOIN lobby
      * joined cron@relay lobby
      server> @msgid=C.1;time=T :cron@relay MSG lobby disk full
      server> @version=9.5;time=T :cron@relay LEAVE lobby
      server> @version=9.6;time=T :dave@relay JOIN lobby
      server> @msgid=D.1;time=T :dave@relay MSG lobby hello
      server> @version=9.7;time=T :dave@relay LEAVE lobby
      % 1
      * :cron@relay MSG lobby disk full (relayed)
      * left cron@relay lobby
      * joined dave@relay lobby
      server< @to=cron ACK lobby C.1
      % fail
      x server
      * server away 1 s: what it says can't be written to disk (no space left)
      * left dave@relay lobby
      """)
  }

  @Test("replies come in the order of the requests, also where one waits for the disk")
  func order() {
    stage().play(
      """
      + nc 10.0.0.9
      % hold
      nc> PM alice one
      nc> PING a
      nc> PM alice two
      nc> nonsense
      nc> GROUPS
      % 1
      * :unverified@relay PM one (unverified 10.0.0.9)
      nc< OK PM alice
      nc< PONG a
      % 1
      * :unverified@relay PM two (unverified 10.0.0.9)
      nc< OK PM alice
      nc< ERR unknown-verb {*}
      nc< GROUP lobby 3
      nc< OK GROUPS 1
      """)
  }

  @Test("who ends its side, or says QUIT, still gets its receipts")
  func inputEnds() {
    stage().play(
      """
      + again 10.0.0.2
      % hold
      bob> \(said(1))
      . bob
      again> @msgid=C.1;time=T;group=lobby;version=9.3 :bob@10.0.0.2:5001 PM alice psst
      again> QUIT
      again< OK QUIT
      % 1
      * :bob@10.0.0.2:5001 MSG lobby 1
      bob< ACK lobby B.1
      x bob
      % 1
      * :bob@10.0.0.2:5001 PM psst
      again< ACK alice C.1
      x again
      """)
  }

  @Test("a reset takes what is on its way to the disk with it: not the message, but its receipt")
  func reset() {
    let stage = stage()
    stage.play(
      """
      % hold
      bob> \(said(1))
      - bob
      % 1
      * :bob@10.0.0.2:5001 MSG lobby 1
      + again 10.0.0.2
      again> \(said(1))
      again< ACK lobby B.1
      """)
    #expect(stage.peer.audit().pending == 0)
  }

  @Test("a time that is absurdly far ahead is not believed; one that is behind is late")
  func times() {
    let stage = stage()
    stage.play(
      """
      bob> @msgid=B.1;time=T+600;version=9.3 :bob@10.0.0.2:5001 MSG lobby from the future
      * :bob@10.0.0.2:5001 MSG lobby from the future
      bob< ACK lobby B.1
      = 20
      bob> @msgid=B.2;time=T-11;version=9.3 :bob@10.0.0.2:5001 MSG lobby slow
      * :bob@10.0.0.2:5001 MSG lobby slow (late)
      bob< ACK lobby B.2
      bob> @msgid=B.3;time=T+100;version=9.3 :bob@10.0.0.2:5001 MSG lobby a little
      * :bob@10.0.0.2:5001 MSG lobby a little
      bob< ACK lobby B.3
      """)
    let times = stage.allNews.compactMap { one -> Int64? in
      guard case .message(let message) = one else { return nil }
      return message.timeMicroseconds - message.receivedMicroseconds
    }
    #expect(times == [0, -11_000_000, 100_000_000])
    // Whoever answers comes behind it.
    stage.perform(.say(GroupName("lobby")!, "answer"))
    guard case .message(let own) = stage.allNews.last(where: { stage.isStrict($0) }) else {
      Issue.record("it was not said")
      return
    }
    #expect(own.timeMicroseconds == stage.now.wallMicroseconds + 100_000_001)
  }

  @Test("our own words, come back to us through the server, are not heard")
  func ownWords() {
    stage().play(
      """
      server> @msgid=B.1;time=T :alice@10.0.0.1:5001 MSG lobby echo
      server> :nora@relay MSG lobby plain
      * :nora@relay MSG lobby plain (relayed)
      """)
  }
}
