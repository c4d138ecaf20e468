// How a program that asks a few things and ends speaks to a node, over the owner's socket in its
// directory, or to a server over TCP: a request, the lines of its answer, and what is heard meanwhile.
// Its calls block, each until a deadline.
//
// The rules it keeps:
//   - Whatever the other side sends is a message, or is passed over; nothing of it can trap.
//   - All that is held is bounded: an answer by `answerLinesMax`, which ends the dialogue, and what is
//     heard and not asked for by `heardMax`, the oldest of which is dropped and counted.
//   - Requests have labels where tags are spoken. Where they are not, answers come in the order of the
//     requests; after one that did not come in time nothing more can be asked.

import Glibc
import LineProtocol

/// A connection to a node or a server. Not for several threads at once.
package final class Dialogue {
  /// Why there is no answer; the text is for people.
  package enum Failure: Error, CustomStringConvertible {
    /// No node runs in that directory, or none that this user may speak to.
    case noNode(String)
    /// No server answers there.
    case noServer(String)
    /// The request is not carried out.
    case refused(Refusal)
    /// The other side ended the connection, or broke the rules.
    case lost(String)
    /// Nothing came in time.
    case silent(String)

    package var description: String {
      switch self {
      case .noNode(let text), .noServer(let text), .lost(let text), .silent(let text): text
      case .refused(let refusal): refusal.text
      }
    }
  }

  /// What the other side says first.
  package struct Greeting: Sendable {
    /// Who we are: the node's name, or the guest's that the server has chosen.
    package let name: MemberName
    /// `linechatd 0.1.0`
    package let program: String
    /// A request's longest, in bytes with its end.
    package let lineBytesMax: Int
    /// The server's, 16 hexadecimal digits; a node has none.
    package var serverID: String?
  }

  /// What a request was answered with.
  package struct Answer: Sendable {
    /// `MEMBER`, `GROUP`, `STAT` and `HELP` lines.
    package let lines: [Message]
    /// `OK` or `PONG`.
    package let reply: Message
  }

  /// A person would have given up by then; who lives answers within milliseconds, and a message that
  /// is tried with everybody within a second or two.
  package static let patienceSeconds = 10.0
  /// A dial and its greeting.
  private static let openingSeconds = 5.0
  /// As many as the largest group has members.
  private static let answerLinesMax = 200_000
  private static let heardMax = 4_096
  /// Enough that nobody waits for the way there and back, or for a disk, once for each.
  private static let requestsUnderWay = 64
  /// What comes while we send, and is looked at later: who sends more does not wait for our requests.
  private static let inboxMax = 65_536

  /// The other side is a node, and we speak as it.
  package let isNode: Bool
  /// For people: `the server at 127.0.0.1:5463`.
  package let partner: String
  package private(set) var greeting: Greeting
  /// What was heard and dropped, as nobody had asked for it in time.
  package private(set) var missed = 0

  private let descriptor: Descriptor
  private let speaksTags: Bool
  private var reader = LineReader(refusesHTTP: false)
  /// Read and not looked at yet.
  private var inbox: [Message] = []
  private var heard: [Message] = []
  private var labels = 0
  private var end: Failure?

  fileprivate init(_ descriptor: consuming Descriptor, _ partner: String, isNode: Bool, tags: Bool)
  {
    self.descriptor = descriptor
    self.partner = partner
    self.isNode = isNode
    speaksTags = tags
    greeting = Greeting(name: Dialogue.nobody, program: "", lineBytesMax: WireLimits.lineBytes)
  }

  private static var nobody: MemberName {
    guard let name = MemberName("nobody") else { preconditionFailure("that is a name") }
    return name
  }

  // MARK: Asking

  /// Sends a request and returns its answer. `.refused` where it is refused.
  @discardableResult
  package func ask(
    _ request: Message.Content, within seconds: Double = patienceSeconds
  ) throws(Failure) -> Answer {
    let label = try send(request, by: Moment(in: seconds))
    return try answer(to: label, by: Moment(in: seconds))
  }

  /// Sends requests without waiting for the answers in between, and returns what each was answered with,
  /// or refused with, in their order.
  package func askAll(
    _ requests: [Message.Content], within seconds: Double = patienceSeconds
  ) throws(Failure) -> [Result<Answer, Refusal>] {
    var answers: [Result<Answer, Refusal>] = []
    try askAll(requests, within: seconds) { answers.append($0) }
    return answers
  }

  /// The same, where what was answered before a failure is of interest.
  package func askAll(
    _ requests: [Message.Content], within seconds: Double = patienceSeconds,
    _ each: (Result<Answer, Refusal>) -> Void
  ) throws(Failure) {
    let deadline = Moment(in: seconds)
    for start in stride(from: 0, to: requests.count, by: Dialogue.requestsUnderWay) {
      var labels: [String?] = []
      let end = min(start + Dialogue.requestsUnderWay, requests.count)
      for request in requests[start..<end] { labels.append(try send(request, by: deadline)) }
      for label in labels {
        do throws(Failure) { each(.success(try answer(to: label, by: deadline))) } catch {
          guard case .refused(let refusal) = error else { throw error }
          each(.failure(refusal))
        }
      }
    }
  }

  /// The bytes of a request with its end, to be compared with `greeting.lineBytesMax`.
  package static func bytes(of request: Message.Content) throws(Refusal) -> Int {
    try Message(content: request).render().utf8.count
  }

  /// The label, where tags are spoken.
  private func send(_ request: Message.Content, by deadline: Moment) throws(Failure) -> String? {
    var tags = Tags()
    if speaksTags {
      labels += 1
      tags["label"] = "\(labels)"
    }
    let line: Message
    do throws(Refusal) { line = try Message(tags: tags, content: request) } catch {
      throw .refused(error)
    }
    try send(line.render(), by: deadline)
    return tags["label"]
  }

  private func answer(to label: String?, by deadline: Moment) throws(Failure) -> Answer {
    var lines: [Message] = []
    while true {
      guard let message = try next(by: deadline) else {
        let failure = Failure.silent("\(partner) does not answer")
        if label == nil { end = failure }
        throw failure
      }
      guard isPart(message, ofAnswerTo: label) else {
        try take(message)
        continue
      }
      switch message.content {
      case .ok, .pong: return Answer(lines: lines, reply: message)
      case .err(let refusal): throw .refused(refusal)
      default: lines.append(message)
      }
      guard lines.count <= Dialogue.answerLinesMax else {
        throw ended(.lost("\(partner) answers with too many lines"))
      }
    }
  }

  private func isPart(_ message: Message, ofAnswerTo label: String?) -> Bool {
    guard message.source == nil else { return false }
    switch message.content {
    case .err(let refusal):
      // What cannot be read is refused without its label; what ends the connection is no answer.
      if message.tags["label"] == nil, speaksTags {
        return refusal.code == .lineTooLong || refusal.code == .badEncoding
      }
      return message.tags["label"] == label && !refusal.code.endsConnections
    case .info, .ping: return false
    default: return message.tags["label"] == label
    }
  }

  // MARK: Hearing

  /// What to poll for reading, for those who wait for other things as well.
  package var number: Int32 { descriptor.number }

  /// The next line that somebody else has caused: a delivery, an `INFO`, or a `MEMBER` unasked for. Nil
  /// when the time is over. What came before the end of the connection is handed out before it throws.
  package func hear(within seconds: Double) throws(Failure) -> Message? {
    let deadline = Moment(in: seconds)
    while heard.isEmpty {
      guard let message = try next(by: deadline) else { return nil }
      try take(message)
    }
    return heard.removeFirst()
  }

  /// A line that is no part of an answer.
  private func take(_ message: Message) throws(Failure) {
    switch message.content {
    case .ping(let token) where message.source == nil:
      guard let pong = try? Message(content: .pong(token)) else { return }
      try send(pong.render(), by: Moment(in: Dialogue.patienceSeconds))
    case .err(let refusal) where message.source == nil:
      // The last word before the end.
      if refusal.code.endsConnections { throw ended(.lost("\(partner) says: \(refusal.text)")) }
    case .info: heard.append(message)
    case .member where message.tags["label"] == nil: heard.append(message)
    default: if message.source != nil { heard.append(message) }
    }
    if heard.count > Dialogue.heardMax {
      heard.removeFirst()
      missed += 1
    }
  }

  // MARK: Bytes

  /// The next line; nil when the time is over.
  private func next(by deadline: Moment) throws(Failure) -> Message? {
    while inbox.isEmpty {
      if let end { throw end }
      guard wait(for: POLLIN, by: deadline) != nil else { return nil }
      receive()
    }
    return inbox.removeFirst()
  }

  /// What has come of these; nil when the time is over.
  private func wait(for events: Int32, by deadline: Moment) -> Int32? {
    var entry = pollfd(fd: descriptor.number, events: Int16(events), revents: 0)
    while true {
      let count = poll(&entry, 1, deadline.milliseconds)
      if count > 0 { return Int32(entry.revents) }
      if count == 0 && deadline.hasPassed { return nil }
    }
  }

  /// Takes in what has come; notes where that is the end.
  private func receive() {
    withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
      let count = recv(descriptor.number, buffer.baseAddress, buffer.count, 0)
      if count < 0 && (errno == EINTR || errno == EAGAIN) { return }
      guard count > 0 else {
        let reason = count == 0 ? "" : " (\(SystemError("recv").reasonForPeople))"
        end = end ?? .lost("\(partner) went away\(reason)")
        return
      }
      let chunk = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      var position = 0
      while let item = reader.next(chunk, &position) {
        guard case .line(let bytes) = item, let message = try? Message(bytes: bytes) else {
          continue
        }
        inbox.append(message)
      }
    }
  }

  private func send(_ text: String, by deadline: Moment) throws(Failure) {
    if let end { throw end }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Who does not read may be waiting for us to.
        guard let ready = wait(for: POLLIN | POLLOUT, by: deadline) else {
          throw ended(.silent("\(partner) takes nothing"))
        }
        if ready & POLLOUT == 0 { receive() }
        if let end { throw end }
        guard inbox.count <= Dialogue.inboxMax else {
          throw ended(.lost("\(partner) sends, and does not read"))
        }
      } else if errno != EINTR {
        try explain(SystemError("send"))
      }
    }
  }

  /// Who cannot be written to may have said why.
  private func explain(_ error: SystemError) throws(Failure) {
    receive()
    for message in inbox {
      guard message.source == nil, case .err(let refusal) = message.content else { continue }
      throw ended(.lost("\(partner) says: \(refusal.text)"))
    }
    throw ended(.lost("\(partner) went away (\(error.reasonForPeople))"))
  }

  private func ended(_ failure: Failure) -> Failure {
    end = failure
    return failure
  }
}

// Opening one.
extension Dialogue {
  /// With the node that runs in a directory. Tags are spoken there.
  package static func withNode(in directory: String) throws(Failure) -> Dialogue {
    let path = OwnerSocket.node.path(in: directory)
    let none = "no node runs in \(directory)"
    guard path.utf8.count <= SocketAddress.pathBytesMax else { throw .noNode(none) }
    let dialogue: Dialogue
    do throws(SystemError) {
      dialogue = Dialogue(
        try Descriptor.connected(to: path), "the node in \(directory)", isNode: true, tags: true)
    } catch {
      switch error.code {
      // A socket that nobody listens at is what a node has left behind that was killed.
      case ENOENT, ENOTDIR, ECONNREFUSED: throw .noNode(none)
      case EAGAIN: throw .silent("the node in \(directory) does not answer")
      default: throw .noNode("\(none) that can be spoken to (\(error.reasonForPeople))")
      }
    }
    try dialogue.beGreeted(by: Moment(in: openingSeconds))
    try dialogue.beginTags()
    return dialogue
  }

  /// With a server, as a guest. Its name is looked up, and its addresses are tried in turn.
  package static func withServer(
    _ server: ServerAddress, tags: Bool = false
  ) throws(Failure) -> Dialogue {
    let deadline = Moment(in: openingSeconds)
    let addresses: [IPAddress]
    do throws(NameLookUp.Failure) { addresses = try server.addresses(by: deadline) } catch {
      throw .noServer("no server at \(server) (\(error)); start one: linechatd")
    }
    var reason = " (it has no address)"
    for address in addresses.prefix(MachineLimits.serverAddresses) {
      guard let endpoint = Endpoint(address: address, port: server.port) else { continue }
      let dialogue: Dialogue
      do throws(SystemError) {
        dialogue = Dialogue(
          try Descriptor.connected(to: endpoint, by: deadline), "the server at \(server)",
          isNode: false, tags: tags)
      } catch {
        // That nobody listens there is what the sentence says.
        reason = error.code == ECONNREFUSED ? "" : " (\(error.reasonForPeople))"
        continue
      }
      try dialogue.beGreeted(by: deadline)
      if tags { try dialogue.beginTags() }
      return dialogue
    }
    throw .noServer("no server at \(server)\(reason); start one: linechatd")
  }

  /// Whoever has sent a tagged line gets such. What was heard before that has none, and nobody waits for
  /// it yet.
  private func beginTags() throws(Failure) {
    try ask(.ping())
    heard = []
  }

  /// `INFO linechatd 0.1.0 protocol=1 you=guest1 max-line=65536`, or `name=alice` of a node.
  private func beGreeted(by deadline: Moment) throws(Failure) {
    guard let message = try next(by: deadline) else {
      throw .silent(
        "\(partner) does not say who it is" + (isNode ? "" : "; is that a port of LineChat?"))
    }
    switch message.content {
    case .info(let text):
      let words = text.split(separator: " ")
      func value(_ key: String) -> Substring? {
        words.first { $0.hasPrefix("\(key)=") }?.dropFirst(key.count + 1)
      }
      guard let name = (value("you") ?? value("name")).flatMap({ MemberName($0) }) else { break }
      // Where a node has taken the server's place, its greeting has no `you`.
      if !isNode && value("you") == nil {
        throw .lost("\(partner) is the node of \(name), and no server")
      }
      greeting = Greeting(
        name: name, program: words.prefix(2).joined(separator: " "),
        lineBytesMax: value("max-line").flatMap { Int($0) }.map {
          min(max($0, WireLimits.lineBytesLeast), WireLimits.lineBytes)
        } ?? WireLimits.lineBytes, serverID: value("server").map(String.init))
      return
    case .err(let refusal): throw .lost("\(partner) says: \(refusal.text)")
    default: break
    }
    throw .lost("\(partner) does not speak this protocol")
  }
}

extension ErrorCode {
  /// Such an error comes unasked, and is the last line before the connection is closed.
  fileprivate var endsConnections: Bool {
    switch self {
    case .slowConsumer, .tooManyConnections, .shuttingDown: true
    default: false
    }
  }
}
