// The transcripts of protocol.md: fenced blocks with the info string `transcript`, taken apart into
// steps. The notation is explained in the document itself, under "How to read the transcripts".

import Foundation
import Testing

/// A transcript: what happens on which connection, in order.
struct Transcript: Sendable, CustomTestStringConvertible {
  enum Action: Hashable, Sendable {
    case sends(String)
    case receives(String)
    case connects
    case endsInput
    case hangsUp
    case isClosed
    case stopsReading
    case readsOn
    case joins(groups: Int)
    case floods(group: String, bytes: Int)
    /// At the port of this name, which is drawn where it comes first.
    case listens(port: String)
    case stopsListening
    case isDialled
    case isLetGo
    case connectsAsOwner
    /// A node of that name, at a host of its own and the port of this name.
    case isNode(group: String, host: String, port: String)
    case knows(String)
    case nodeIsStopped
    case nodeIsStartedAgain
    case connectsToNode(String, from: String?)
    case connectsToSocket(of: String)
    case serverIsStopped
    case serverIsRestarted
    case serverHasFullDisk
  }

  struct Step: Sendable {
    let line: Int
    let who: String
    let action: Action
  }

  /// The heading above it.
  let title: String
  /// The line of the document in which it begins.
  let line: Int
  /// The options that the server is started with.
  let options: [String: Int]
  let steps: [Step]

  var testDescription: String { "\(title), line \(line)" }
}

struct TranscriptMistake: Error, CustomStringConvertible {
  let description: String
}

extension Transcript {
  /// All transcripts of a document.
  static func all(in document: String) throws -> [Transcript] {
    var found: [Transcript] = []
    var title = ""
    var opened: (line: Int, info: Substring, steps: [Step])?
    var isInOtherFence = false
    let lines = document.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      if let block = opened {
        if line == "```" {
          try found.append(
            Transcript(
              title: title, line: block.line, options: options(block.info), steps: block.steps))
          opened = nil
        } else if !line.isEmpty {
          opened?.steps.append(try step(line, number: index + 1))
        }
      } else if line.hasPrefix("```") {
        if line.hasPrefix("```transcript") {
          opened = (index + 1, line.dropFirst("```transcript".count), [])
        } else {
          isInOtherFence.toggle()
        }
      } else if line.hasPrefix("#"), !isInOtherFence {
        title = line.drop { $0 == "#" || $0 == " " }.description
      }
    }
    return found
  }

  private static func options(_ info: Substring) throws -> [String: Int] {
    var options: [String: Int] = [:]
    for word in info.split(separator: " ") {
      let parts = word.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, let value = Int(parts[1]) else {
        throw TranscriptMistake(description: "what option is '\(word)'?")
      }
      options[String(parts[0])] = value
    }
    return options
  }

  private static func step(_ line: Substring, number: Int) throws -> Step {
    guard let end = line.firstIndex(where: { !$0.isLetter && !$0.isNumber }) else {
      throw TranscriptMistake(description: "line \(number) begins with no name: \(line)")
    }
    let who = String(line[..<end])
    let mark = line[end...].prefix(2)
    let rest = String(line[end...].dropFirst(2))
    switch mark {
    case "> ": return Step(line: number, who: who, action: .sends(rest))
    case "< ": return Step(line: number, who: who, action: .receives(rest))
    case "- ": return Step(line: number, who: who, action: try action(rest, of: who, number))
    default: throw TranscriptMistake(description: "line \(number) has no mark: \(line)")
    }
  }

  private static func action(_ words: String, of who: String, _ number: Int) throws -> Action {
    switch words {
    case "connects": return .connects
    case "ends its input": return .endsInput
    case "hangs up": return .hangsUp
    case "is closed": return .isClosed
    case "stops reading": return .stopsReading
    case "reads on, past what was on its way": return .readsOn
    case "stops listening": return .stopsListening
    case "is dialled": return .isDialled
    case "is let go": return .isLetGo
    case "connects to linechatd.sock": return .connectsAsOwner
    case "is stopped" where who == "server": return .serverIsStopped
    case "is stopped": return .nodeIsStopped
    case "is started again": return .nodeIsStartedAgain
    case "is restarted" where who == "server": return .serverIsRestarted
    case "has a full disk" where who == "server": return .serverHasFullDisk
    default: break
    }
    if let match = words.wholeMatch(of: /joins (\d+) groups/), let groups = Int(match.1) {
      return .joins(groups: groups)
    }
    if let match = words.wholeMatch(of: /listens at \{([a-z]+[0-9]*)\}/) {
      return .listens(port: String(match.1))
    }
    let node = /is a node in (\S+), at (127\.0\.0\.\d+):\{([a-z]+[0-9]*)\}/
    if let match = words.wholeMatch(of: node) {
      return .isNode(group: String(match.1), host: String(match.2), port: String(match.3))
    }
    if let match = words.wholeMatch(of: /knows ([a-z]+)/) { return .knows(String(match.1)) }
    if let match = words.wholeMatch(of: /connects to ([a-z]+)'s node\.sock/) {
      return .connectsToSocket(of: String(match.1))
    }
    if let match = words.wholeMatch(of: /connects to ([a-z]+)(?: from (127\.0\.0\.\d+))?/) {
      return .connectsToNode(String(match.1), from: match.2.map { String($0) })
    }
    let flood = /says lines of (\d+) bytes in (\S+), until nobody is left there/
    if let match = words.wholeMatch(of: flood), let bytes = Int(match.1) {
      return .floods(group: String(match.2), bytes: bytes)
    }
    throw TranscriptMistake(description: "line \(number): what does '\(words)' mean?")
  }
}

/// What the words in braces stand for within one transcript.
struct Placeholders {
  private var values: [String: String] = [:]

  subscript(word: String) -> String? {
    get { values[word] }
    set { values[word] = newValue }
  }

  /// The bytes to send: `{600*x}` is repeated, `{0xFF}` is a byte, `{id}` is what it was found to be.
  func bytes(of text: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for part in parts(of: text) {
      switch part {
      case .literal(let literal): bytes += literal.utf8
      case .braces(let word):
        if let match = word.wholeMatch(of: /(\d+)\*(.)/), let count = Int(match.1) {
          bytes += String(repeating: String(match.2), count: count).utf8
        } else if word.hasPrefix("0x"), let byte = UInt8(word.dropFirst(2), radix: 16) {
          bytes.append(byte)
        } else if let value = values[word] {
          bytes += value.utf8
        } else {
          throw TranscriptMistake(description: "nothing has said yet what {\(word)} is")
        }
      }
    }
    return bytes
  }

  /// Whether a line is what the text says; notes what its placeholders stand for.
  mutating func match(_ text: String, _ line: String) -> Bool {
    var noted = values
    var rest = line[...]
    let parts = parts(of: text)
    for (index, part) in parts.enumerated() {
      switch part {
      case .literal(let literal):
        guard rest.hasPrefix(literal) else { return false }
        rest = rest.dropFirst(literal.count)
      case .braces(let word) where word.hasPrefix("0x"):
        guard rest.hasPrefix("{\(word)}") else { return false }
        rest = rest.dropFirst(word.count + 2)
      case .braces(let word):
        let value: Substring
        if let known = noted[word] {
          guard rest.hasPrefix(known) else { return false }
          value = rest.prefix(known.count)
        } else if case .literal(let next) = parts[index + 1], !next.isEmpty {
          guard let end = rest.firstRange(of: next)?.lowerBound else { return false }
          value = rest[..<end]
        } else {
          value = rest
        }
        guard !value.isEmpty, !value.contains(where: { $0 == " " || $0 == ";" }) else {
          return false
        }
        noted[word] = String(value)
        rest = rest.dropFirst(value.count)
      }
    }
    guard rest.isEmpty else { return false }
    values = noted
    return true
  }

  /// Literals and braces in turn; a literal comes first and last.
  private enum Part {
    case literal(String)
    case braces(String)
  }

  private func parts(of text: String) -> [Part] {
    var parts: [Part] = []
    var rest = text[...]
    while let match = rest.firstMatch(of: /\{([a-z]+[0-9]*|0x[0-9A-F]{2}|[0-9]+\*.)\}/) {
      parts.append(.literal(String(rest[..<match.range.lowerBound])))
      parts.append(.braces(String(match.1)))
      rest = rest[match.range.upperBound...]
    }
    parts.append(.literal(String(rest)))
    return parts
  }
}
