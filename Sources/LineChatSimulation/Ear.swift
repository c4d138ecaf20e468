// What one connection must hear next, and whether a line that it hears is that.
//
// What is promised about order: replies, private messages and a plain hearer's NICK lines come in
// the order in which they were caused (`own`); what is said in a group comes in that group's order
// (a lane each); a group's line never overtakes an earlier own line, but may come after a later one,
// up to a barrier: a listing, `OK WAIT` and a plain NICK come after everything said before. Within
// the lines of one reply nothing else comes.

import LineChatCore
import LineProtocol

struct Wrong: Error {
  let what: String
  init(_ what: String) { self.what = what }
}

struct Listed {
  let name: GroupName
  let count: Int
}

struct Expected {
  enum Text {
    case exact([UInt8])
    case error(codes: [ErrorCode], verb: String)
    /// Any number of lines with the prefix, then one that begins like the other.
    case several(prefix: String, last: String)
    /// GROUP lines as the groups are when they are written, then OK GROUPS.
    case groups([Listed])
  }

  let order: Int
  /// Nil as a value: any that has the right form.
  let tags: [String: String?]
  var text: Text
  var isBarrier = false
  var isContinuation = false
  /// It belongs to a listing, which may be written in pieces.
  var isListing = false
  /// It will not come any more, as its listing was broken off.
  var maySkip = false
  /// The message that it is about, whose id and time become known with it.
  var mark: Mark?
  /// It was said before, and is heard late or again.
  var isOld = false
}

final class Ear {
  enum Heard { case expected, presence, ping }

  private(set) var own: [Expected] = []
  private var lanes: [String: [Expected]] = [:]
  private var lastTimes: [String: Int64] = [:]
  private var lastIDs: [String: MessageID] = [:]
  /// How far a listing of groups has come.
  private var groupsTold: (last: GroupName?, count: Int) = (nil, 0)

  /// A listing has begun and not ended.
  var hasListing: Bool { own.contains { $0.isListing && !$0.maySkip } }

  var isEmpty: Bool { own.allSatisfy(\.maySkip) && lanes.values.allSatisfy(\.isEmpty) }

  var next: String {
    let lane = lanes.keys.sorted().first { lanes[$0]?.isEmpty == false }
    let first = own.first ?? lane.flatMap { lanes[$0]?.first }
    return first.map { Self.describe($0) } ?? "nothing"
  }

  /// The next of its own lines that must come.
  private var due: Expected? { own.first { !$0.maySkip } }

  func expect(_ expected: Expected, in lane: String?) {
    if let lane { lanes[lane, default: []].append(expected) } else { own.append(expected) }
  }

  /// The listing under way will not be ended, wherever it is; the connection ends with this line
  /// instead, and what was kept back follows it.
  func breakListing(with expected: (Int) -> Expected) {
    guard let last = own.lastIndex(where: \.isListing) else { return }
    for at in own.indices where own[at].isListing { own[at].maySkip = true }
    own.insert(expected(own[last].order), at: last + 1)
  }

  /// The next piece of a listing of groups shows them as they are now.
  func refresh(_ groups: [Listed]) {
    guard let at = own.firstIndex(where: \.isListing), case .groups = own[at].text else { return }
    own[at].text = .groups(groups)
  }

  func dropListing() { for at in own.indices where own[at].isListing { own[at].maySkip = true } }

  func hear(_ line: [UInt8]) throws(Wrong) -> Heard {
    let (tags, rest) = try Self.split(line)
    let words = rest.split(separator: 0x20, maxSplits: 3).map {
      String(decoding: $0, as: UTF8.self)
    }
    if rest.first == 0x3A, words.count >= 2 {
      switch words[1] {
      case "MSG", "JOIN", "LEAVE":
        try hear(line, tags, rest, in: words.count > 2 ? words[2].lowercased() : "")
        return .expected
      case "NICK":
        if let group = tags["group"] {
          try hear(line, tags, rest, in: group.lowercased())
          return .expected
        }
      default: break
      }
    }
    if words == ["PING"] {
      try checkContinuation(line)
      return .ping
    }
    if words.first == "MEMBER", !startsWithExpected(tags, rest) {
      try checkContinuation(line)
      return .presence
    }
    try hearOwn(line, tags, rest)
    return .expected
  }

  private func checkContinuation(_ line: [UInt8]) throws(Wrong) {
    guard due?.isContinuation != true else {
      throw Wrong("\(Self.text(line)) fell between the lines of a reply: \(next) was to come")
    }
  }

  private func startsWithExpected(_ tags: Tags, _ rest: ArraySlice<UInt8>) -> Bool {
    guard let head = own.first, (try? Self.check(tags, head.tags)) != nil else { return false }
    switch head.text {
    case .exact(let text): return rest.elementsEqual(text)
    case .groups: return rest.starts(with: "GROUP ".utf8) || rest.starts(with: "OK GROUPS".utf8)
    case .error, .several: return false
    }
  }

  private func hear(
    _ line: [UInt8], _ tags: Tags, _ rest: ArraySlice<UInt8>, in lane: String
  ) throws(Wrong) {
    guard let head = lanes[lane]?.first else {
      throw Wrong("\(Self.text(line)) was not for it; \(next) was to come")
    }
    guard case .exact(let text) = head.text, rest.elementsEqual(text) else {
      throw Wrong("\(Self.text(line)) came where \(Self.describe(head)) was to come")
    }
    // What was broken off may still be told as far as it had been written, but not behind this.
    while let first = own.first, first.maySkip, first.order < head.order { own.removeFirst() }
    try checkContinuation(line)
    if let first = due, first.order < head.order {
      throw Wrong("\(Self.text(line)) overtook \(Self.describe(first))")
    }
    try Self.check(tags, head.tags)
    try head.mark?.learn(tags)
    if !head.isOld { try checkRise(tags, head.tags, lane) }
    lanes[lane]?.removeFirst()
  }

  private func hearOwn(
    _ line: [UInt8], _ tags: Tags, _ rest: ArraySlice<UInt8>
  ) throws(Wrong) {
    while own.first?.maySkip == true && !startsWithExpected(tags, rest) { own.removeFirst() }
    guard var head = own.first else { throw Wrong("\(Self.text(line)) was not for it") }
    if head.isBarrier && !head.isContinuation {
      for (name, lane) in lanes where lane.first.map({ $0.order < head.order }) == true {
        throw Wrong("\(Self.text(line)) came before what was said in \(name) earlier")
      }
    }
    let isDone: Bool
    let text = String(decoding: rest, as: UTF8.self)
    var isRight = true
    switch head.text {
    case .exact(let exact):
      (isRight, isDone) = (rest.elementsEqual(exact), true)
    case .error(let codes, let verb):
      let words = text.split(separator: " ", maxSplits: 3).map(String.init)
      isRight =
        words.count == 4 && words[0] == "ERR" && codes.map(\.rawValue).contains(words[1])
        && words[2] == verb
      isDone = true
    case .several(let prefix, let last):
      isDone = text.hasPrefix(last)
      isRight = isDone || text.hasPrefix(prefix)
    case .groups(let groups):
      isDone = text.hasPrefix("OK ")
      isRight = hearGroup(text, isDone, groups)
    }
    guard isRight else {
      throw Wrong("\(Self.text(line)) came where \(Self.describe(head)) was to come")
    }
    try Self.check(tags, head.tags)
    try head.mark?.learn(tags)
    if isDone {
      own.removeFirst()
    } else {
      head.isContinuation = true
      own[0] = head
    }
  }

  /// Groups come in the order of their names, each as it was when the piece was written.
  private func hearGroup(_ text: String, _ isLast: Bool, _ groups: [Listed]) -> Bool {
    let next = groups.first { group in groupsTold.last.map { $0 < group.name } ?? true }
    if isLast {
      defer { groupsTold = (nil, 0) }
      return next == nil && text == "OK GROUPS \(groupsTold.count)"
    }
    guard let next, text == "GROUP \(next.name) \(next.count)" else { return false }
    groupsTold = (next.name, groupsTold.count + 1)
    return true
  }

  // MARK: Tags

  static func check(_ tags: Tags, _ expected: [String: String?]) throws(Wrong) {
    for tag in tags where expected[tag.key] == nil {
      throw Wrong("the tag \(tag.key)=\(tag.value) came and is not due")
    }
    for (key, value) in expected {
      guard let actual = tags[key] else { throw Wrong("the tag \(key) is missing") }
      let isRight =
        switch (key, value) {
        case (_, let value?): actual.utf8.elementsEqual(value.utf8)
        case ("time", nil): Timestamp.microseconds(actual) != nil
        case ("msgid", nil): MessageID(actual) != nil
        default: !actual.isEmpty
        }
      guard isRight else {
        throw Wrong("the tag \(key)=\(actual) came, \(value ?? "another") was due")
      }
    }
  }

  /// The server's own times rise within a group, and so do the numbers of a stream.
  private func checkRise(
    _ tags: Tags, _ expected: [String: String?], _ lane: String
  ) throws(Wrong) {
    if case .some(nil) = expected["time"], let time = tags["time"].flatMap(Timestamp.microseconds) {
      if let last = lastTimes[lane], time <= last { throw Wrong("times do not rise in \(lane)") }
      lastTimes[lane] = time
    }
    if case .some(nil) = expected["msgid"], let id = tags["msgid"].flatMap({ MessageID($0) }) {
      if let last = lastIDs[lane], last.stream == id.stream, id.sequence <= last.sequence {
        throw Wrong("message ids do not rise in \(lane)")
      }
      lastIDs[lane] = id
    }
  }

  // MARK: Lines

  static func split(_ line: [UInt8]) throws(Wrong) -> (Tags, ArraySlice<UInt8>) {
    guard line.first == 0x40 else { return (Tags(), line[...]) }
    guard let space = line.firstIndex(of: 0x20) else { throw Wrong("\(text(line)) is tags alone") }
    let result = line[1..<space].withUnsafeBytes { bytes in
      Result { () throws(Refusal) in try Tags.parse(bytes) }
    }
    guard case .success(let tags) = result, !tags.isEmpty else {
      throw Wrong("the tags of \(text(line)) cannot be read")
    }
    return (tags, line[(space + 1)...])
  }

  static func text(_ line: some Sequence<UInt8>) -> String {
    "\"\(String(decoding: Array(line.prefix(300)), as: UTF8.self))\""
  }

  private static func describe(_ expected: Expected) -> String {
    let tags = expected.tags.keys.sorted().map { "\($0)=\((expected.tags[$0] ?? nil) ?? "…")" }
    let head = tags.isEmpty ? "" : "@" + tags.joined(separator: ";") + " "
    switch expected.text {
    case .exact(let bytes): return head + text(bytes)
    case .error(let codes, let verb):
      return head + "ERR \(codes.map(\.rawValue).joined(separator: "|")) \(verb)"
    case .several(_, let last): return head + "… \(last)"
    case .groups: return head + "GROUP …"
    }
  }
}
