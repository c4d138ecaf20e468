// MSG with `to`, and what the replies to programs say about those who got a message and those who did
// not.

import LineChatCore
import LineProtocol
import Testing

@Suite("Narrowcasts")
struct NarrowcastTests {
  /// In the lobby: alice and bob, plain; eve and dan, programs; carol and fred, durable and away,
  /// carol at an address of her own.
  private func lobby() -> Stage {
    let stage = Stage()
    for (name, place) in [("carol", ":5001"), ("fred", "relay")] {
      stage.open(name, from: "10.0.0.3")
      stage.send(name, "NICK \(name)")
      stage.send(name, "JOIN lobby \(place)")
      stage.gone(name)
    }
    for name in ["alice", "bob", "eve", "dan"] {
      let head = name < "c" ? "" : "@x=1 "
      stage.send(name, "\(head)NICK \(name)")
      stage.send(name, "\(head)JOIN lobby")
    }
    for name in ["carol", "fred", "alice", "bob", "eve", "dan"] { _ = stage.take(name) }
    return stage
  }

  @Test("the reply names who was missed and who is plain, in the order of to=")
  func outcome() {
    lobby().play(
      """
      eve> @label=l;to=fred,dan,bob,carol,alice MSG lobby psst
      eve< @label=l;missed=fred,carol;plain=bob,alice OK MSG lobby 3/5
      dan< {} :eve@relay MSG lobby psst
      bob< :eve@relay MSG lobby psst
      alice< :eve@relay MSG lobby psst
      eve> @to=dan MSG lobby psst
      eve< OK MSG lobby 1/1
      dan< {} :eve@relay MSG lobby psst
      eve> @to=bob MSG lobby psst
      eve< @plain=bob OK MSG lobby 1/1
      bob< :eve@relay MSG lobby psst
      eve> @to=carol MSG lobby psst
      eve< @missed=carol OK MSG lobby 0/1
      """)
  }

  @Test("who is named twice is told once, who is not there is missed, the speaker is neither")
  func names() {
    lobby().play(
      """
      eve> @to=bob,nobody,BOB,Eve,NoBody MSG lobby psst
      eve< @missed=nobody;plain=bob OK MSG lobby 1/1
      bob< :eve@relay MSG lobby psst
      other> NICK other
      other< OK NICK other
      eve> @to=other,EVE MSG lobby psst
      eve< @missed=other OK MSG lobby 0/0
      eve> @to= MSG lobby psst
      eve< OK MSG lobby 0/0
      eve> @to=,b@d,9x,, MSG lobby psst
      eve< OK MSG lobby 0/0
      eve> @to=ALICE MSG lobby psst
      eve< @plain=alice OK MSG lobby 1/1
      alice< :eve@relay MSG lobby psst
      """)
  }

  @Test("relay stands for all that the server hosts, in the order of the group")
  func relay() {
    lobby().play(
      """
      eve> @to=Relay MSG lobby to the hosted
      eve< @missed=fred;plain=alice,bob OK MSG lobby 3/4
      alice< :eve@relay MSG lobby to the hosted
      bob< :eve@relay MSG lobby to the hosted
      dan< {} :eve@relay MSG lobby to the hosted
      eve> @to=carol,bob,relay MSG lobby to them and carol
      eve< @missed=carol,fred;plain=bob,alice OK MSG lobby 3/5
      alice< {*}
      bob< {*}
      dan< {*}
      """)
  }

  @Test("without to= the reply names nobody; a person who says something gets no tags")
  func toAll() {
    let stage = lobby()
    stage.play(
      """
      eve> @label=l MSG lobby hello
      eve< @label=l OK MSG lobby 3/5
      alice< {*}
      bob< {*}
      dan< {*}
      """)
    stage.send("alice", "MSG lobby hello")
    stage.play(
      """
      ? 10.0.0.3:5001
      ~ 10.0.0.3:5001
      alice< OK MSG lobby 3/5 kept 2
      """, ignoringHeard: true)
  }

  @Test("up to 64 may be named; of one more nobody is told")
  func tooMany() {
    let stage = lobby()
    let others = (2...WireLimits.recipients).map { "n\($0)" }
    stage.send("eve", "@to=bob,\(others.joined(separator: ",")) MSG lobby psst")
    #expect(
      stage.take("eve") == ["@missed=\(others.joined(separator: ","));plain=bob OK MSG lobby 1/1"])
    #expect(stage.take("bob").count == 1)
    stage.play(
      """
      eve> @to=bob,dan,\(others.joined(separator: ",")) MSG lobby psst
      eve< ERR bad-syntax MSG to names 65 members, and at most 64 may be named; say it again to the others
      """)
  }

  @Test("the longest list of names that fits into a request is answered in full, and to programs")
  func longest() {
    let stage = lobby()
    let label = String(repeating: "l", count: 64)
    let names = (0..<59).map { "m\($0)" + String(repeating: "x", count: 32 - "m\($0)".count) }
    let list = names.joined(separator: ",") + ",dan"
    stage.send("eve", "@label=\(label);to=\(list) MSG lobby psst")
    #expect(
      stage.take("eve") == [
        "@label=\(label);missed=\(names.joined(separator: ",")) OK MSG lobby 1/1"
      ])
    #expect(stage.take("dan").first?.hasSuffix(" :eve@relay MSG lobby psst") == true)
  }

  @Test("names beyond the room before a reply are told of by a star; who was missed comes first")
  func noRoom() {
    for (away, here) in [(0, 400), (400, 0), (200, 200), (1, 400), (400, 1)] {
      let stage = Stage()
      stage.send("eve", "@x=1 NICK eve")
      for number in 0..<away {
        stage.send("a\(number)", "NICK away\(number)")
        stage.send("a\(number)", "JOIN lobby relay")
        stage.gone("a\(number)")
      }
      for number in 0..<here {
        stage.send("h\(number)", "NICK here\(number)")
        stage.send("h\(number)", "JOIN lobby")
      }
      let label = String(repeating: "l", count: 64)
      stage.send("eve", "@label=\(label);to=relay MSG lobby psst")
      let line = stage.take("eve").last ?? ""
      let reply = try? Message(parsing: line)
      #expect(reply?.content == .ok(.msg, "lobby \(here)/\(away + here)"), "\(line)")
      #expect(line.split(separator: " ")[0].utf8.count + 1 <= WireLimits.prefixBytes)
      let missed = (reply?.tags["missed"] ?? "").split(separator: ",").map(String.init)
      let plain = (reply?.tags["plain"] ?? "").split(separator: ",").map(String.init)
      #expect(isFirst(missed, of: away, "away") && isFirst(plain, of: here, "here"), "\(line)")
      #expect(missed.isEmpty == (away == 0) && plain.isEmpty == (here == 0))
      #expect(line.utf8.count > WireLimits.prefixBytes - 20, "there was room for more")
    }
  }

  /// All the names, or the first of them and a star.
  private func isFirst(_ words: [String], of count: Int, _ name: String) -> Bool {
    let all = (0..<count).map { "\(name)\($0)" }
    if words == all { return true }
    let first = words.dropLast()
    return words.last == "*" && first.count < count && first.elementsEqual(all.prefix(first.count))
  }

  @Test("what is narrowed keeps its place among what is said to all")
  func order() {
    let stage = lobby()
    stage.receive("eve", "@x=1 MSG lobby one")
    stage.receive("eve", "@to=bob MSG lobby two")
    stage.receive("eve", "@x=1 MSG lobby three")
    stage.settle()
    #expect(
      stage.take("bob") == ["one", "two", "three"].map { ":eve@relay MSG lobby \($0)" })
    #expect(stage.take("alice") == ["one", "three"].map { ":eve@relay MSG lobby \($0)" })
  }

  @Test("a program that says something to one person learns that there will be no receipt")
  func privately() {
    lobby().play(
      """
      eve> @label=l PM BOB a word
      eve< @label=l;plain=bob OK PM bob
      bob< :eve@relay PM bob a word
      eve> @label=l PM dan a word
      eve< @label=l OK PM dan
      dan< {} :eve@relay PM dan a word
      eve> @label=l PM fred a word
      eve< @label=l ERR unreachable PM {*}
      eve> PM bob as a person would
      eve< OK PM bob
      bob< :eve@relay PM bob as a person would
      """)
  }
}
