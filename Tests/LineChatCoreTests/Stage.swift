// A stage on which a directory is played with: connections by name, a clock that stands still until
// it is moved, a disk that answers at once or when told, and transcripts as scripts.
//
//   alice> NICK alice        alice's connection sends a line (opened at its first use)
//   alice< OK NICK alice     it hears exactly this next; {} stands for one word or the end of
//                            one, {*} for the rest of the line
//   + alice 10.0.0.2         opens it from that address (default 127.0.0.1; `unix`; a key after it)
//   - alice                  it is gone (reset)
//   . alice                  its input ends
//   x alice                  it has been closed by the server
//   ? 10.0.0.2:5001          the server dials that address; from here on its name is the address
//   ! 10.0.0.2:5001          the connection stands
//   ~ 10.0.0.2:5001          it could not be made, or breaks
//   $ 10.0.0.2:5001          the server has ended its side, and the other has ended too
//   = 30                     thirty seconds pass
//
// At the end nobody may have heard anything that the script does not say.

import LineChatCore
import LineProtocol
import Testing

final class Stage {
  private final class Reader { var lines = LineReader() }

  enum Disk { case immediate, byHand }

  var directory: Directory
  var now = Instant(monotonicMicroseconds: 1_000_000, wallMicroseconds: 1_800_000_000_000_000)
  var disk = Disk.immediate
  /// Whether long listings wait until `drained` is said.
  var drainsByHand = false
  private(set) var tickets: [(record: Record, ticket: Ticket)] = []
  /// Everything handed out for the journal, in order, that the disk has taken.
  private(set) var journal: [Record] = []
  private(set) var dials: [(id: SessionID, endpoint: Endpoint)] = []
  private(set) var finishing: [String] = []
  private(set) var events: [Event] = []
  private(set) var resumed: [String] = []
  private(set) var overrun: [String] = []
  private var sessions: [String: SessionID] = [:]
  private var namesByIndex: [UInt32: String] = [:]
  private var closed: Set<String> = []
  private(set) var heard: [String: [String]] = [:]
  private var readers: [String: Reader] = [:]
  /// How many bytes the last round gave each.
  private(set) var roundBytes: [String: Int] = [:]

  init(_ change: (inout Directory.Configuration) -> Void = { _ in }) {
    var configuration = Directory.Configuration()
    configuration.version = "1"
    configuration.localAddresses = [IPAddress("192.168.1.10")!]
    configuration.listenEndpoints = [Endpoint("127.0.0.1:5463")!]
    configuration.versionStart = 7
    change(&configuration)
    directory = Directory(configuration)
  }

  func open(
    _ name: String, from origin: String = "127.0.0.1", key: String? = nil,
    hearsGreeting: Bool = true
  ) {
    let from: Origin =
      switch origin {
      case "unix": .unix
      case "owner": .owner
      default: .tcp(IPAddress(origin)!)
      }
    let id = directory.opened(from, identity: key.map(Identity.init(fingerprint:)), now: now)
    sessions[name] = id
    namesByIndex[id.index] = name
    closed.remove(name)
    heard[name] = []
    readers[name] = Reader()
    settle()
    if hearsGreeting {
      let greeting = heard[name]!.removeFirst()
      #expect(greeting.hasPrefix("INFO linechatd 1 protocol=1 server=0000000000000000 you="))
    }
  }

  func id(_ name: String) -> SessionID {
    if sessions[name] == nil { open(name) }
    return sessions[name]!
  }

  func accepts(_ name: String) -> Bool { directory.accepts(id(name)) }

  /// Sends bytes, through a line reader as a real connection's; one round. Returns how many of them were
  /// taken in runs.
  @discardableResult
  func send(_ name: String, bytes: [UInt8], inRuns: Bool = true) -> Int {
    let id = id(name)
    var run = 0
    bytes.withUnsafeBytes { chunk in
      var position = 0
      while directory.accepts(id), let item = readers[name]!.lines.next(chunk, &position) {
        directory.receive(item, from: id, now: now)
        if inRuns, case .line(let line) = item {
          let before = position
          directory.receiveRun(after: line, &readers[name]!.lines, chunk, &position, from: id)
          run += position - before
        }
        answerDisk()
      }
    }
    settle()
    return run
  }

  func send(_ name: String, _ line: String) { send(name, bytes: Array((line + "\n").utf8)) }

  /// Hands in one line without ending the round.
  func receive(_ name: String, _ line: String) {
    let id = id(name)
    Array(line.utf8).withUnsafeBytes { directory.receive(.line($0), from: id, now: now) }
    answerDisk()
  }

  func answerDisk() {
    directory.takeEffects { effect in
      switch effect {
      case .persist(let record, let ticket): tickets.append((record, ticket))
      case .note(let record): journal.append(record)
      case .dial(let id, let endpoint, _):
        dials.append((id, endpoint))
        let name = "\(endpoint)"
        sessions[name] = id
        namesByIndex[id.index] = name
        closed.remove(name)
        heard[name] = []
        readers[name] = Reader()
      case .finish(let id): finishing.append(namesByIndex[id.index]!)
      case .close(let id): closed.insert(namesByIndex[id.index]!)
      case .overrun(let id): overrun.append(namesByIndex[id.index]!)
      case .resume(let id): resumed.append(namesByIndex[id.index]!)
      case .event(let event): events.append(event)
      case .dialServer: preconditionFailure("a server has no server")
      }
    }
    while disk == .immediate, !tickets.isEmpty {
      let first = tickets.removeFirst()
      journal.append(first.record)
      directory.persisted(first.ticket, now: now)
      answerDisk()
    }
  }

  /// The oldest change that waits for the disk is on it, or failed.
  func disk(fails reason: String? = nil) {
    let (record, ticket) = tickets.removeFirst()
    if let reason {
      directory.persistFailed(ticket, reason: reason, now: now)
    } else {
      journal.append(record)
      directory.persisted(ticket, now: now)
    }
    settle()
  }

  /// All that waits for the disk is on it.
  func diskTakesAll() {
    let waiting = tickets
    tickets = []
    for (record, ticket) in waiting {
      journal.append(record)
      directory.persisted(ticket, now: now)
    }
    settle()
  }

  /// Ends the round: everybody hears what was said.
  func settle() {
    answerDisk()
    roundBytes = [:]
    var heardNow: [(String, [UInt8])] = []
    directory.endRound { session, pieces in
      heardNow.append((namesByIndex[session]!, pieces.flatMap { Array($0) }))
    }
    for (name, bytes) in heardNow {
      roundBytes[name, default: 0] += bytes.count
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(text.hasSuffix("\n"), "what a session hears ends with a line")
      heard[name]! += text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
        .map(String.init)
    }
    guard !drainsByHand else { return }
    for (name, _) in heardNow where sessions[name].map({ directory.awaitsDrain($0) }) == true {
      drained(name)
    }
  }

  func gone(_ name: String) {
    directory.closed(id(name), reason: "connection closed", now: now)
    closed.insert(name)
    settle()
  }

  func drained(_ name: String) {
    directory.drained(id(name), now: now)
    settle()
  }

  func pass(seconds: Int64) {
    now.monotonicMicroseconds += seconds * 1_000_000
    now.wallMicroseconds += seconds * 1_000_000
    directory.tick(now: now)
    settle()
  }

  /// What the connection heard since it was asked last.
  func take(_ name: String) -> [String] {
    defer { heard[name] = [] }
    return heard[name] ?? []
  }

  func isClosed(_ name: String) -> Bool { closed.contains(name) }

  // MARK: Scripts

  /// Plays a script; afterwards nobody may have heard more than it says.
  func play(
    _ script: String, ignoringHeard: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for line in script.split(separator: "\n").map(String.init) {
      step(line.trimmingPrefix(while: { $0 == " " }).description, sourceLocation)
    }
    guard !ignoringHeard else { return }
    #expect(dials.isEmpty, "dials that the script does not say", sourceLocation: sourceLocation)
    for name in heard.keys.sorted() {
      #expect(
        heard[name]! == [], "\(name) heard more than the script says",
        sourceLocation: sourceLocation)
    }
  }

  private func step(_ line: String, _ location: SourceLocation) {
    let words = line.split(separator: " ").map(String.init)
    switch words[0] {
    case "+":
      open(
        words[1], from: words.count > 2 ? words[2] : "127.0.0.1",
        key: words.count > 3 ? words[3] : nil)
    case "-": gone(words[1])
    case ".":
      directory.inputEnded(id(words[1]), now: now)
      settle()
    case "x": #expect(isClosed(words[1]), "\(words[1]) is still open", sourceLocation: location)
    case "=": pass(seconds: Int64(words[1])!)
    case "?":
      let asked = dials.isEmpty ? "nobody" : "\(dials.removeFirst().endpoint)"
      #expect(asked == words[1], "dialled", sourceLocation: location)
    case "!":
      directory.dialled(id(words[1]), now: now)
      settle()
    case "~":
      directory.dialFailed(id(words[1]), reason: "connection refused", now: now)
      settle()
    case "$":
      #expect(finishing.contains(words[1]), "it has not ended its side", sourceLocation: location)
      finishing.removeAll { $0 == words[1] }
      directory.finished(id(words[1]), now: now)
      settle()
    default:
      let name = String(words[0].dropLast())
      let text = String(line.dropFirst(words[0].count + 1))
      if words[0].hasSuffix(">") {
        send(name, text)
      } else {
        hear(name, text, location)
      }
    }
  }

  private func hear(_ name: String, _ expected: String, _ location: SourceLocation) {
    guard heard[name]?.isEmpty == false else {
      Issue.record("\(name) heard nothing, expected: \(expected)", sourceLocation: location)
      return
    }
    let line = heard[name]!.removeFirst()
    #expect(
      matches(line, expected), "\(name) heard: \(line)\nexpected:  \(expected)",
      sourceLocation: location)
  }

  private func matches(_ line: String, _ pattern: String) -> Bool {
    if pattern.hasSuffix("{*}") && !pattern.dropLast(3).contains("{}") {
      return line.hasPrefix(pattern.dropLast(3))
    }
    let parts = line.split(separator: " ", omittingEmptySubsequences: false)
    let wanted = pattern.split(separator: " ", omittingEmptySubsequences: false)
    for (index, want) in wanted.enumerated() {
      if want == "{*}" { return true }
      guard index < parts.count else { return false }
      let isRight =
        want.hasSuffix("{}") ? parts[index].hasPrefix(want.dropLast(2)) : parts[index] == want
      guard isRight else { return false }
    }
    return parts.count == wanted.count
  }
}
