// A stage on which one node is played with: the server's end of its uplink, the other members' ends of
// the links it dials, whoever connects to its port, the owner of its library, a disk that answers at
// once or when told, a clock that stands still until it is moved.
//
//   ? server                   the node looks its server up and dials it
//   ! server                   the connection stands (and the listener, at 10.0.0.1:5001)
//   server< @label=1 NICK alice   the server hears exactly this next; {} is a word, {*} the rest
//   server> @label=1 OK NICK alice   it says a line
//   ? 10.0.0.2:5001            a member is dialled; from here on its name is the address
//   ! 10.0.0.2:5001            the connection stands
//   ~ 10.0.0.2:5001            it could not be made, or breaks (also: ~ server)
//   $ 10.0.0.2:5001            the node has ended its side, and the other has ended too
//   + bob 10.0.0.2             somebody connects to the node's port (`unix`; `owner`: to its socket)
//   bob> PM alice hi           and says a line; bob< what it hears; . bob: its input ends;
//   - bob                      it is gone (reset); x bob: it has been closed by the node
//   me> MSG lobby hi           the library's owner asks for something
//   me< bob delivered          and is answered
//   * lobby.1 bob delivered    news: of messages each must be said here, of others those may be left
//                              out that come before one that is said
//   % hold                     the disk takes its time; % 1, % all: it has written the oldest record,
//                              all of them; % fail: not the oldest; % go: it answers at once again
//   = 30                       thirty seconds pass
//
// Streams of others are written as a letter (`B.7`), the node's own in the order in which they are
// heard of first (`S1.7`), times as `T`, `T-60` for a minute ago. At the end nobody may have heard
// anything that the script does not say.

import LineChatCore
import LineProtocol
import Testing

final class PeerStage {
  final class Reader { var lines = LineReader() }

  enum Disk { case immediate, byHand }

  var peer: Peer
  let configuration: Peer.Configuration
  var now = Instant(monotonicMicroseconds: 1_000_000, wallMicroseconds: 1_800_000_000_000_000)
  var disk = Disk.immediate
  /// The books are looked at after each round: not where many messages lie in them.
  var auditsEachRound = true
  /// The server is alive, while time passes.
  var answersPings = false
  /// Where the node listens as soon as it has reached its server; nil: nowhere.
  var listens: Endpoint? = Endpoint("10.0.0.1:5001")
  var isExplicit = false
  var serverAddress = Endpoint("10.0.0.100:5463")!
  /// Records that wait for the disk, and notes behind them.
  private(set) var waiting: [(record: Record, ticket: Ticket?)] = []
  /// What a snapshot that is taken now finds in flight, where all of it gets to the disk.
  var carried: [Record] { waiting.filter { $0.ticket != nil }.map(\.record) }
  /// What the disk has taken, in order.
  var journal: [Record] = []
  var dials: [(id: SessionID, name: String, from: IPAddress?)] = []
  var finishing: [String] = []
  private(set) var resumed: [String] = []
  private(set) var allNews: [News] = []
  var news: [News] = []
  var heard: [String: [String]] = ["me": []]
  private(set) var roundBytes = 0
  private var sessions: [String: SessionID] = [:]
  private var namesByIndex: [UInt32: String] = [:]
  private var readers: [String: Reader] = [:]
  private var closed: Set<String> = []
  private var calls: UInt64 = 0
  private(set) var streams: [String] = []

  init(
    _ name: String = "alice", groups: [String] = [], restoring state: ReplicaState? = nil,
    journal: [Record] = [], _ change: (inout Peer.Configuration) -> Void = { _ in }
  ) {
    var configuration = Peer.Configuration(name: MemberName(name)!)
    configuration.version = "1"
    configuration.server = "chat.example:5463"
    configuration.seed = 7
    configuration.groups = groups.map { GroupName($0)! }
    change(&configuration)
    self.configuration = configuration
    peer = Peer(configuration)
    if let state {
      let faults = peer.restore(state, now: now)
      #expect(faults == [])
    }
    for record in journal {
      do throws(Refusal) { try peer.replay(record, now: now) } catch {
        Issue.record("\(error) in \(String(decoding: record.line, as: UTF8.self))")
      }
    }
    start()
  }

  private func start() {
    peer.start(now: now)
    settle()
  }

  // MARK: What happens

  func id(_ name: String) -> SessionID {
    guard let id = sessions[name] else { preconditionFailure("there is no \(name)") }
    return id
  }

  func accepts(_ name: String) -> Bool { peer.accepts(id(name)) }

  func open(_ name: String, from origin: String, hearsGreeting: Bool = true) {
    let from: Origin =
      switch origin {
      case "unix": .unix
      case "owner": .owner
      default: .tcp(IPAddress(origin)!)
      }
    note(peer.opened(from, identity: nil, now: now), as: name)
    settle()
    if hearsGreeting {
      let greeting = heard[name]!.removeFirst()
      #expect(greeting.hasPrefix("INFO linechat 1 protocol=1 name="))
    }
  }

  private func note(_ id: SessionID, as name: String) {
    sessions[name] = id
    namesByIndex[id.index] = name
    closed.remove(name)
    heard[name] = []
    readers[name] = Reader()
  }

  /// Sends bytes, through a line reader as a real connection's; one round.
  func send(_ name: String, bytes: [UInt8]) {
    let id = id(name)
    bytes.withUnsafeBytes { chunk in
      var position = 0
      while peer.accepts(id), let item = readers[name]!.lines.next(chunk, &position) {
        peer.receive(item, from: id, now: now)
        answerDisk()
      }
    }
    settle()
  }

  func send(_ name: String, _ line: String) {
    send(name, bytes: Array((written(line) + "\n").utf8))
  }

  /// Hands in lines without ending the round.
  func receive(_ name: String, _ lines: [String]) {
    let id = id(name)
    for line in lines {
      Array(written(line).utf8).withUnsafeBytes { peer.receive(.line($0), from: id, now: now) }
    }
    settle()
  }

  func perform(_ command: Command) {
    calls += 1
    peer.perform(command, call: calls, now: now)
    settle()
  }

  func dialled(_ name: String) {
    if name == "server" {
      peer.listens(at: listens, isExplicit: isExplicit, now: now)
      let local = listens.flatMap { Endpoint("\($0.address):40000") }
      peer.dialled(id(name), Route(local: local, remote: serverAddress), now: now)
    } else {
      peer.dialled(id(name), Route(local: nil, remote: Endpoint(name)), now: now)
    }
    settle()
  }

  func fails(_ name: String) {
    peer.closed(id(name), reason: "connection refused", now: now)
    closed.insert(name)
    settle()
  }

  func finished(_ name: String) {
    #expect(finishing.contains(name), "it has not ended its side")
    finishing.removeAll { $0 == name }
    peer.finished(id(name), now: now)
    settle()
  }

  func inputEnds(_ name: String) {
    peer.inputEnded(id(name), now: now)
    settle()
  }

  func gone(_ name: String) {
    peer.closed(id(name), reason: "connection closed", now: now)
    closed.insert(name)
    settle()
  }

  /// Time passes, from deadline to deadline.
  func pass(seconds: Double) {
    let end = now.monotonicMicroseconds + Int64(seconds * 1_000_000)
    while let next = peer.nextDeadlineMicroseconds, next <= end {
      move(to: max(next, now.monotonicMicroseconds))
      peer.tick(now: now)
      settle()
      if answersPings, let index = heard["server"]?.firstIndex(of: "PING") {
        heard["server"]!.remove(at: index)
        move(to: now.monotonicMicroseconds + 1_000)
        send("server", "PONG")
      }
    }
    move(to: max(end, now.monotonicMicroseconds))
  }

  private func move(to time: Int64) {
    now.wallMicroseconds += time - now.monotonicMicroseconds
    now.monotonicMicroseconds = time
  }

  func shutDown() {
    peer.shutDown(now: now)
    settle()
  }

  func woke() {
    peer.woke(now: now)
    settle()
  }

  func isClosed(_ name: String) -> Bool { closed.contains(name) }

  /// What somebody heard since it was asked last.
  func take(_ name: String) -> [String] {
    defer { heard[name] = [] }
    return heard[name] ?? []
  }

  // MARK: The disk

  func answerDisk() {
    peer.takeEffects { effect in
      switch effect {
      case .persist(let record, let ticket): waiting.append((record, ticket))
      case .note(let record): waiting.append((record, nil))
      case .dial(let id, let endpoint, let from):
        dials.append((id, "\(endpoint)", from))
        note(id, as: "\(endpoint)")
      case .dialServer(let id):
        dials.append((id, "server", nil))
        note(id, as: "server")
      case .finish(let id): finishing.append(namesByIndex[id.index]!)
      case .close(let id): closed.insert(namesByIndex[id.index]!)
      case .resume(let id): resumed.append(namesByIndex[id.index]!)
      case .overrun, .event: Issue.record("a node does not ask for \(effect)")
      }
    }
    takeNotes()
    while disk == .immediate, !waiting.isEmpty { writeOldest() }
  }

  /// Nobody waits for notes: they are there with what comes before them.
  private func takeNotes() {
    while let first = waiting.first, first.ticket == nil {
      journal.append(first.record)
      waiting.removeFirst()
    }
  }

  private func writeOldest() {
    let (record, ticket) = waiting.removeFirst()
    journal.append(record)
    takeNotes()
    guard let ticket else { return }
    peer.persisted(ticket, now: now)
    answerDisk()
  }

  func write(_ count: Int = .max) {
    var left = count
    while left > 0, !waiting.isEmpty {
      writeOldest()
      left -= 1
    }
    settle()
  }

  /// The oldest record can't be written; its notes are in the snapshot that follows.
  func failOldest() {
    let ticket = waiting.removeFirst().ticket!
    takeNotes()
    peer.persistFailed(ticket, reason: "no space left", now: now)
    settle()
  }

  /// The newest record is refused at once, as too many wait already.
  func failNewest() {
    let ticket = waiting.removeLast().ticket!
    peer.persistFailed(ticket, reason: "no space left", now: now)
    settle()
  }

  // MARK: The round

  /// Ends the round: everybody hears what was said, and the books must agree.
  func settle() {
    answerDisk()
    roundBytes = 0
    var heardNow: [(String, [UInt8])] = []
    repeat {
      peer.endRound { session, pieces in
        heardNow.append((namesByIndex[session]!, pieces.flatMap { Array($0) }))
      }
      answerDisk()
    } while !peer.fanOut.isEmpty
    for (name, bytes) in heardNow {
      roundBytes += bytes.count
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(text.hasSuffix("\n"), "what a session hears ends with a line")
      heard[name]! += text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
        .map { shown(String($0)) }
    }
    peer.takeNews { one in
      allNews.append(one)
      if case .answer(let call, let answer) = one {
        // What is said through the owner's socket is answered there.
        if call != 0 { heard["me"]!.append(text(of: answer)) }
      } else {
        news.append(one)
      }
    }
    if auditsEachRound { #expect(peer.audit().problems == []) }
  }

  // MARK: Names for streams and times

  /// A script's line as it goes over the wire.
  func written(_ line: String) -> String {
    var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    for index in words.indices.prefix(5) {
      if index == 0, words[0].hasPrefix("@") {
        words[0] =
          "@" + words[0].dropFirst().split(separator: ";").map(writtenTag).joined(separator: ";")
      } else if let id = writtenID(words[index]) {
        words[index] = id
      }
    }
    return words.joined(separator: " ")
  }

  private func writtenTag(_ tag: Substring) -> String {
    let parts = tag.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return String(tag) }
    if parts[0] == "time", parts[1].hasPrefix("T") {
      let seconds = Int64(parts[1].dropFirst()) ?? 0
      return "time=" + Timestamp.text(now.wallMicroseconds + seconds * 1_000_000)
    }
    if parts[0] == "msgid", let id = writtenID(parts[1]) { return "msgid=" + id }
    return String(tag)
  }

  private func writtenID(_ word: String) -> String? {
    let parts = word.split(separator: ".").map(String.init)
    guard parts.count == 2, UInt64(parts[1]) != nil else { return nil }
    if parts[0].count == 1, let letter = parts[0].first, "ABCDEF".contains(letter) {
      return String(repeating: letter.lowercased(), count: 16) + "." + parts[1]
    }
    guard parts[0].hasPrefix("S"), let number = Int(parts[0].dropFirst()),
      number >= 1, number <= streams.count
    else { return nil }
    return streams[number - 1] + "." + parts[1]
  }

  /// A line of the node as scripts write it.
  func shown(_ line: String) -> String {
    var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    for index in words.indices.prefix(5) {
      if index == 0, words[0].hasPrefix("@") {
        let tags = words[0].dropFirst().split(separator: ";").map { tag in
          let parts = tag.split(separator: "=", maxSplits: 1).map(String.init)
          switch parts[0] {
          case "time": return "time=T"
          case "msgid": return "msgid=" + (shownID(parts[1]) ?? parts[1])
          default: return String(tag)
          }
        }
        words[0] = "@" + tags.joined(separator: ";")
      } else if let id = shownID(words[index]) {
        words[index] = id
      }
    }
    return words.joined(separator: " ")
  }

  func shownID(_ word: String) -> String? {
    guard word.utf8.count >= 18, MessageID(word) != nil else { return nil }
    let stream = String(word.prefix(16))
    let rest = word.dropFirst(16)
    if let first = stream.first, Set(stream) == [first], "abcdef".contains(first) {
      return first.uppercased() + rest
    }
    if !streams.contains(stream) { streams.append(stream) }
    return "S\(streams.firstIndex(of: stream)! + 1)" + rest
  }
}
