// `linechat send`: says something and ends, with an exit code that says whether everybody has it.
//
// The node of the profile says it, if it runs and is in the group; what somebody cannot have now is on its
// disk then. Else the server does, for a guest: on a connection without tags, as it keeps for members who
// are away what comes from such.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import LineTools

struct Send: ParsableCommand {
  static let name = "send"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Say something in a group, or to one person, and end.",
    discussion: """
      The text is what follows the options, its words joined with a blank; put -- before a text that \
      begins like an option. Without a text it is standard input, a message a line; empty lines are left \
      out. More than 50 lines need --many, and are sent as they come then.

      The node that runs in your profile says it, if it is in the group. Else the server does, for a \
      guest with your name, or another where that is taken; a guest is no member. Control characters \
      and what is not UTF-8 are replaced, and that is said.

      The exit code is 0 when everybody has it, or it is on the disk of your node or of the server and \
      will be handed over; 2 for a wrong call: options, a text that is too long, a group that there is \
      not; 3 when nobody has taken it over for somebody, who is named on standard error.
      """)

  @Option(
    help: ArgumentHelp("The group to say it in.", valueName: "group"),
    completion: Completions.groups)
  var group: String?

  @Option(
    help: ArgumentHelp(
      "The one person to say it to: a name, an address, or name@address.", valueName: "peer"))
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Who must have it, or have it kept, for the exit code 0: all, or any one of them. (default: "
        + "all)", valueName: "who"))
  var need: String?

  @Flag(help: "Send standard input however many lines it has, each when it comes.")
  var many = false

  @OptionGroup var speaker: SpeakerOptions

  @Argument(help: ArgumentHelp("What to say. (default: standard input)", valueName: "text"))
  var words: [String] = []

  enum Need: String, CaseIterable { case all, any }

  /// Lines of standard input without `--many`: more than a person means to say at once.
  private static let linesMax = 50

  static func marked(_ arguments: [String]) -> [String] { DashedText.marked(arguments) }

  func validate() throws {
    _ = try target()
    _ = try neededBy()
    try speaker.check()
  }

  private func target() throws(ValidationError) -> Target {
    switch (group, to) {
    case (let group?, nil):
      return .group(try Given(text: group, source: "--group").groupName())
    case (nil, let peer?):
      guard let recipient = Recipient(peer) else {
        throw Given(text: peer, source: "--to").refusal(
          "a name (bob), an address (10.0.0.2:5001) or both (bob@10.0.0.2:5001)")
      }
      return .peer(recipient)
    case (nil, nil): throw ValidationError("say where: --group GROUP, or --to PEER")
    case (_?, _?):
      throw ValidationError("--group and --to exclude each other; take one of them away")
    }
  }

  private func neededBy() throws(ValidationError) -> Need {
    guard let need else { return .all }
    return try Given(text: need, source: "--need").word(Need.allCases)
  }

  func run() throws {
    var sender = Sender(try target(), try neededBy(), speaker)
    if !words.isEmpty {
      try sender.send([try wordsAsText()])
    } else if many {
      try sendAll(&sender)
    } else {
      let texts = try allLines()
      guard !texts.isEmpty else {
        throw Tool.Failure(.wrongCall, "nothing to say: no text, no input")
      }
      try sender.send(texts)
    }
    try sender.finish()
  }

  private func wordsAsText() throws -> FitText {
    let fit = FitText(words.joined(separator: " ").utf8)
    guard !fit.isBlank else { throw Tool.Failure(.wrongCall, "nothing to say: the text is empty") }
    // The text comes as a String, in which bad bytes have been replaced already.
    let hasBadBytes = CommandLine.hasBadBytes && fit.text.contains("\u{FFFD}")
    Send.tell(replaced: fit.replaced, isMore: hasBadBytes, breaks: fit.breaks, in: "the text")
    return fit
  }

  static func tell(replaced: Int, isMore: Bool = false, breaks: Int = 0, in place: String) {
    if replaced > 0 || isMore {
      Tool.say("\(place) had control characters or bytes that are no UTF-8; they are replaced")
    }
    if breaks > 0 {
      Tool.say("\(place) had line breaks; each is a blank now, as a message is one line")
    }
  }

  // MARK: Standard input

  /// What has come together is sent together.
  private func sendAll(_ sender: inout Sender) throws {
    var isEmpty = true
    try Send.readLines { lines in
      let texts = try lines.compactMap(Send.text)
      if texts.isEmpty { return true }
      isEmpty = false
      try sender.send(texts)
      return true
    }
    if isEmpty { throw Tool.Failure(.wrongCall, "nothing to say: the input is empty") }
  }

  /// All of them before the first is sent.
  private func allLines() throws -> [FitText] {
    var texts: [FitText] = []
    try Send.readLines { lines in
      for line in lines where texts.count <= Send.linesMax {
        if let text = try Send.text(of: line) { texts.append(text) }
      }
      return texts.count <= Send.linesMax
    }
    guard texts.count <= Send.linesMax else {
      throw Tool.Failure(
        .wrongCall,
        "standard input has more than \(Send.linesMax) lines, and nothing was sent; --many sends them"
      )
    }
    return texts
  }

  private static func text(of line: (number: Int, content: InputLines.Line)) throws -> FitText? {
    guard !line.content.isCut else {
      throw Tool.Failure(
        .wrongCall, "line \(line.number) of the input is longer than a message can be; split it")
    }
    let fit = FitText(line.content.bytes)
    guard !fit.isBlank else { return nil }
    tell(replaced: fit.replaced, breaks: fit.breaks, in: "line \(line.number)")
    return fit
  }

  /// Hands out what has come, until `body` says false.
  private static func readLines(
    _ body: ([(number: Int, content: InputLines.Line)]) throws -> Bool
  ) throws {
    var lines = InputLines(bytesMax: WireLimits.lineBytes)
    var number = 0
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(STDIN_FILENO, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EAGAIN {
        var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        poll(&entry, 1, -1)
        continue
      }
      guard count >= 0 else {
        throw Tool.Failure(.wrongCall, "cannot read standard input: \(SystemError("read").reason)")
      }
      let come = lines.take(chunk[..<count]).enumerated().map { (number + 1 + $0, $1) }
      number += come.count
      guard try body(come) else { return }
      if count == 0 { break }
    }
    if let last = lines.finish() { _ = try body([(number + 1, last)]) }
  }
}

extension CommandLine {
  /// Some argument is no UTF-8; as a String it has been repaired.
  fileprivate static var hasBadBytes: Bool {
    for index in 0..<Int(argc) {
      guard let argument = unsafeArgv[index] else { continue }
      if String(validatingCString: argument) == nil { return true }
    }
    return false
  }
}
