// What stands between the model and the rest: the inbox, the file that remembers, the logs.

import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport
import Testing

@testable import LineChatCore
@testable import LineShell

@Suite("around the model", .ownThread, .timeLimit(.minutes(20)))
struct GlueTests {
  @Test("news come in order, a few at a time, and wake the reader until all are taken")
  func inbox() throws {
    let inbox = try ShellInbox()
    for number in 1...300 { inbox.offer(.answer(UInt64(number), .done)) }
    var numbers: [UInt64] = []
    while isReadable(inbox.number) {
      for case .answer(let call, _) in inbox.take() { numbers.append(call) }
    }
    #expect(numbers == Array(1...300))
    #expect(inbox.take().isEmpty)
  }

  @Test("where nobody takes them, the oldest news go, are counted, and no answer is lost")
  func fullInbox() throws {
    let inbox = try ShellInbox()
    inbox.offer(.answer(1, .done))
    for number in 1...70_000 { inbox.offer(.event(.missed(number))) }
    inbox.offer(.answer(2, .done))
    var counts: [Int] = []
    var calls: [UInt64] = []
    while isReadable(inbox.number) {
      for item in inbox.take() {
        switch item {
        case .event(.missed(let count)): counts.append(count)
        case .answer(let call, _): calls.append(call)
        default: Issue.record("nothing else was offered")
        }
      }
    }
    #expect(calls == [1, 2])
    let dropped = counts.removeFirst()
    #expect(dropped + counts.count == 70_000)
    #expect(counts.first == dropped + 1)
    #expect(counts.last == 70_000)
  }

  @Test("long news are bounded by what they hold, and taken fewer at a time")
  func longNews() throws {
    let inbox = try ShellInbox()
    var stage = ModelStage()
    let text = String(repeating: "x", count: 60_000)
    for _ in 1...1_000 {
      inbox.offer(.event(.message(stage.message(text, from: "bob", in: "lobby"))))
    }
    var dropped = 0
    var bytes = 0
    var largest = 0
    while isReadable(inbox.number) {
      var taken = 0
      for item in inbox.take() {
        switch item {
        case .event(.missed(let count)): dropped += count
        case .event(.message(let message)): taken += message.text.utf8.count
        default: Issue.record("nothing else was offered")
        }
      }
      bytes += taken
      largest = max(largest, taken)
    }
    #expect(bytes + dropped * text.utf8.count == 1_000 * text.utf8.count)
    #expect(bytes <= 32 << 20)
    #expect(largest <= 2 * text.utf8.count)
  }

  private func isReadable(_ number: Int32) -> Bool {
    var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  @Test("what is remembered is read back; what cannot be read is said, and left alone")
  func memory() throws {
    let directory = try TemporaryFolder()
    let path = directory.path("")
    let file = ShellMemoryFile(in: path)
    #expect(try file.read() == ShellMemory())
    let memory = ShellMemory(ignored: [name("bob"), name("Carol")], current: group("lobby"))
    try file.write(memory)
    #expect(try file.read() == memory)
    try "{ \"current\": 7".write(
      toFile: directory.path("shell.json"), atomically: true, encoding: .utf8)
    #expect(throws: ShellMemoryFault.self) { try file.read() }
    #expect(
      try String(contentsOfFile: directory.path("shell.json"), encoding: .utf8)
        == "{ \"current\": 7")
  }

  @Test("history and search read the node's own logs")
  func logs() throws {
    let directory = try TemporaryFolder()
    let tags = "msgid=00c0ffee00c0ffee.1;time=2026-11-22T12:00:0"
    let lobby = [
      "@heard=2026-11-22T12:00:01.000000Z;\(tags)1.000000Z :bob@relay MSG lobby a Herring",
      "@version=1.2;time=2026-11-22T12:00:02.000000Z :bob@relay LEAVE lobby",
      "@\(tags)3.000000Z :alice@127.0.0.1:5000 MSG lobby mine",
    ]
    let bob = [
      "@heard=2026-11-22T12:00:02.000000Z;\(tags)2.000000Z :bob@relay PM alice no herring",
      "@\(tags)4.000000Z :alice@127.0.0.1:5000 PM bob herring, then",
      "@heard=2026-11-22T12:00:05.000000Z;unverified=10.0.0.9 :unverified@relay PM alice herring!",
    ]
    _ = mkdir(directory.path("log"), 0o700)
    for (file, lines) in [("lobby", lobby), ("@bob", bob)] {
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: directory.path("log/\(file).log"), atomically: true, encoding: .utf8)
    }
    let logs = try ShellLogs(in: directory.path(""))
    guard case .found(let said, true) = try logs.history(.group(group("lobby")), 20),
      case .found(let found, false) = try logs.search("herring", 3)
    else {
      Issue.record("there is something to be found")
      return
    }
    #expect(said.map(\.text) == ["a Herring", "mine"])
    #expect(said.map(\.path) == [.direct, .own])
    #expect(found.map(\.text) == ["no herring", "herring, then", "herring!"])
    #expect(found.map(\.conversation.description) == ["@bob", "@bob", "@unverified"])
    #expect(found.map(\.isUnverified) == [false, false, true])
    #expect(found.last?.unverifiedAddress == IPAddress("10.0.0.9"))
  }
}
