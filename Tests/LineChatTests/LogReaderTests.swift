// Reading logs from their end: what history and search are made of.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("Reading logs", .ownThread, .timeLimit(.minutes(20)))
struct LogReaderTests {
  private let directory: TemporaryDirectory
  private let reader: LogReader<LogDirectory>
  private let lobby: LogName

  init() throws {
    directory = try TemporaryDirectory()
    reader = LogReader(try LogDirectory(in: directory.path))
    lobby = .group(try #require(GroupName("Lobby")))
  }

  private func put(_ text: String, in file: String) throws {
    mkdir("\(directory.path)/log", 0o700)
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory.path)/log/\(file)"))
  }

  private static func line(_ number: Int, _ text: String = "") -> String {
    "@msgid=00c0ffee00c0ffee.\(number);time=x :bob@relay MSG lobby \(number) \(text)!\n"
  }

  private static func lines(_ numbers: ClosedRange<Int>, bytes: Int = 0) -> String {
    numbers.map { line($0, String(repeating: "x", count: bytes)) }.joined()
  }

  private static func numbers(_ excerpt: LogExcerpt) -> [Int] {
    excerpt.messages.map { message in
      guard case .msg(_, let text) = message.content else { return -1 }
      return text.split(separator: " ").first.flatMap { Int($0) } ?? -1
    }
  }

  @Test("the last lines are found across the files that were put aside")
  func last() throws {
    // Each file larger than a block.
    try put(Self.lines(1...2_000, bytes: 100), in: "lobby.log.1")
    try put(Self.lines(2_001...4_000, bytes: 100), in: "lobby.log.2")
    try put(Self.lines(4_001...12_000), in: "lobby.log.10")
    try put(Self.lines(12_001...12_003), in: "lobby.log")
    try put(Self.lines(1...3), in: "lobby.log.log")
    for count in [0, 1, 3, 4, 100, 8_003, 8_004, 11_999, 12_000] {
      let excerpt = try reader.last(count, of: lobby)
      #expect(Self.numbers(excerpt) == Array(1...12_003).suffix(count))
      #expect(!excerpt.isComplete && excerpt.unreadableLines == 0)
    }
    let all = try reader.last(20_000, of: lobby)
    #expect(Self.numbers(all) == Array(1...12_003) && all.isComplete)
    let even = try reader.last(5, of: lobby) { message in
      if case .msg(_, let text) = message.content { text.hasSuffix("0 !") } else { false }
    }
    #expect(Self.numbers(even) == [11_960, 11_970, 11_980, 11_990, 12_000])
    // As it stands there, tags and all.
    #expect(try reader.last(1, of: lobby).messages.map { $0.render() } == [Self.line(12_003)])
  }

  @Test("wherever the blocks' edges fall, a file is read as it is")
  func edges() throws {
    // Lines of all lengths, some of them far longer than a block.
    var random = SplitMix64(state: 7)
    for round in 1...20 {
      var text = ""
      let count = Int.random(in: 1...40, using: &random)
      for number in 1...count {
        let most = number % 5 == 0 ? 60_000 : 3_000
        let bytes = Int.random(in: 0...most, using: &random)
        text += Self.line(number, String(repeating: "y", count: bytes))
      }
      try put(text, in: "lobby.log")
      let excerpt = try reader.last(100, of: lobby)
      #expect(Self.numbers(excerpt) == Array(1...count), "round \(round)")
      #expect(excerpt.messages.map { $0.render() }.joined() == text, "round \(round)")
    }
  }

  @Test("a log that is not there, or empty, has no lines")
  func empty() throws {
    #expect(try reader.logs() == [])
    #expect(try reader.last(10, of: lobby).messages == [])
    try put("", in: "lobby.log")
    #expect(try reader.last(10, of: lobby).isComplete)
    #expect(try reader.logs() == [lobby])
  }

  @Test("lines that somebody else wrote are passed over and counted; half a last line is not read")
  func foreign() throws {
    let junk = String(repeating: "z", count: 1_000_000)
    try put(
      "note to self\n\n" + Self.line(1) + junk + "\n" + Self.line(2) + "MSG lobby no source\n"
        + Self.line(3) + "\u{0}\u{1b}[2J\n" + Self.line(4) + Self.line(5).dropLast(5),
      in: "lobby.log")
    let excerpt = try reader.last(10, of: lobby)
    #expect(Self.numbers(excerpt) == [1, 2, 3, 4])
    #expect(excerpt.unreadableLines == 3)
    // As the last line of an older file it is not being written any more.
    try put(Self.line(5) + Self.line(6).dropLast(1), in: "lobby.log.1")
    try put(Self.line(7), in: "lobby.log")
    #expect(try Self.numbers(reader.last(10, of: lobby)) == [5, 6, 7])
  }

  @Test("a file that is put aside while its log is being read is read once")
  func rotatedMeanwhile() throws {
    try put(Self.lines(1...3), in: "lobby.log.1")
    try put(Self.lines(4...6), in: "lobby.log")
    let path = "\(directory.path)/log/lobby.log"
    let files = Renaming(base: try LogDirectory(in: directory.path)) {
      rename(path, "\(path).2")
    }
    #expect(try Self.numbers(LogReader(files).last(10, of: lobby)) == Array(1...6))
    #expect(try Self.numbers(reader.last(10, of: lobby)) == Array(1...6))
  }

  @Test("words are found in what was said, in any case of letters")
  func search() throws {
    try put(
      """
      @time=a :bob@relay MSG lobby The deploy FAILED again
      @time=b :failed@relay MSG lobby this is no match
      @time=c :carol@relay JOIN lobby
      @time=d :carol@relay LEAVE lobby failed
      @time=e :bob@relay MSG lobby Größe und ÄRGER
      @time=f :bob@relay MSG lobby deploy failed
      @time=g :bob@relay MSG lobby faile
      \("")
      """, in: "lobby.log")
    func times(_ words: String, last count: Int = 10) throws -> [String?] {
      try reader.search(words, in: lobby, last: count).messages.map { $0.tags["time"] }
    }
    #expect(try times("failed") == ["a", "f"])
    #expect(try times("Deploy Failed") == ["a", "f"])
    #expect(try times("failed", last: 1) == ["f"])
    #expect(try times("ärger") == ["e"])
    #expect(try times("GRÖSSE") == [])
    #expect(try times("größe") == ["e"])
    #expect(try times("time=") == [])
    #expect(try times("") == ["a", "b", "e", "f", "g"])
    try put("@time=p :bob@relay PM alice it failed\n", in: "@bob.log")
    let bob = LogName.person(try #require(MemberName("Bob")))
    #expect(try reader.search("FAILED", in: bob, last: 3).messages.count == 1)
    #expect(try reader.logs() == [bob, lobby])
    // From the end on, across files, until there are enough.
    for number in 1...20 { try put(Self.lines(1...300, bytes: 300), in: "lobby.log.\(number)") }
    let excerpt = try reader.search("77 X", in: lobby, last: 5)
    #expect(Self.numbers(excerpt) == [277, 77, 177, 277].suffix(2) + [77, 177, 277])
  }
}

/// Files of which one gets another name as soon as the first was opened.
private struct Renaming: LogFiles {
  var base: LogDirectory
  let rename: @Sendable () -> Void

  func names() throws(StorageError) -> [String] { try base.names() }

  func open(_ name: String) throws(StorageError) -> LogFile? {
    let file = try base.open(name)
    rename()
    return file
  }

  mutating func end(of name: String) throws(StorageError) -> LogEnd { try base.end(of: name) }
  mutating func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(StorageError) {
    try base.append(bytes, to: name)
  }
  mutating func truncate(_ name: String, to count: Int) throws(StorageError) {
    try base.truncate(name, to: count)
  }
  mutating func sync(_ name: String) throws(StorageError) { try base.sync(name) }
  mutating func rename(_ name: String, to other: String) throws(StorageError) {
    try base.rename(name, to: other)
  }
  mutating func syncNames() throws(StorageError) { try base.syncNames() }
}
