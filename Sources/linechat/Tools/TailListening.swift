// What `linechat tail` does: listens, prints, and finds its node or server again when it was lost. It waits
// for three things at once: a line, the end of its time, and that nobody reads its output any more.

import ArgumentParser
import Glibc
import LineChat
import LineShell
import LineTools

struct TailListening {
  /// Empty: those of the node.
  var groups: [GroupName]
  let speaker: SpeakerOptions
  let isJSON: Bool
  /// Messages still to be printed; nil: no end.
  var left: Int?
  let ends: Moment?

  private var pauseSeconds = TailListening.pauseLeast

  private static let pauseLeast = 0.5
  private static let pauseMost = 30.0
  /// What has lasted for so long is no failure at the start: the next pause is short again.
  private static let lastingSeconds = 10.0
  /// A server that says nothing for so long is asked whether it is there.
  private static let silenceSeconds = 60.0

  init(groups: [GroupName], speaker: SpeakerOptions, isJSON: Bool, left: Int?, ends: Moment?) {
    self.groups = groups
    self.speaker = speaker
    self.isJSON = isJSON
    self.left = left
    self.ends = ends
  }

  /// Returns when everything is printed that was to be.
  mutating func run() throws {
    var dialogue = try open()
    while true {
      let lasting = Moment(in: TailListening.lastingSeconds)
      do { return try listen(to: dialogue) } catch let failure as Dialogue.Failure {
        if lasting.hasPassed { pauseSeconds = TailListening.pauseLeast }
        Tool.say("\(failure); trying again in \(pauseSeconds) s")
      }
      dialogue = try reopen()
      Tool.say("listening again, to \(dialogue.partner)")
    }
  }

  // MARK: Whom it listens to

  private mutating func open() throws -> Dialogue {
    if let node = try speaker.node() {
      let own = try node.groups().map(\.name)
      if groups.isEmpty { groups = own }
      guard !groups.isEmpty else {
        throw Tool.Failure(.wrongCall, "your node is in no group yet; name one")
      }
      guard let other = groups.first(where: { !own.contains($0) }) else { return node }
      Tool.say("\(node.greeting.name)'s node is not in \(other), so a guest listens")
    }
    guard !groups.isEmpty else {
      throw Tool.Failure(.wrongCall, "name a group: no node of yours runs that is in some")
    }
    let guest = try speaker.guest()
    for group in groups { try guest.ask(.join(group)) }
    return guest
  }

  private mutating func reopen() throws -> Dialogue {
    while true {
      try wait(for: nil, until: Moment(in: pauseSeconds))
      pauseSeconds = min(2 * pauseSeconds, TailListening.pauseMost)
      do { return try open() } catch let failure as Dialogue.Failure {
        Tool.say("\(failure); trying again in \(pauseSeconds) s")
      }
    }
  }

  // MARK: Lines

  private mutating func listen(to dialogue: Dialogue) throws {
    var silence = Moment(in: TailListening.silenceSeconds)
    var missed = 0
    while true {
      while let line = try dialogue.hear(within: 0) {
        silence = Moment(in: TailListening.silenceSeconds)
        if try isLast(line) { return }
      }
      if dialogue.missed > missed {
        Tool.say("\(counted(dialogue.missed - missed, "line")) came too fast, and were dropped")
        missed = dialogue.missed
      }
      if silence.hasPassed {
        try dialogue.ask(.ping())
        silence = Moment(in: TailListening.silenceSeconds)
      }
      try wait(for: dialogue.number, until: silence)
    }
  }

  /// Prints it, if it is wanted. Whether it was the last.
  private mutating func isLast(_ line: Message) throws -> Bool {
    guard case .msg(let group, _) = line.content, groups.contains(group),
      let entry = ChatEntry(line, now: Tool.now)
    else { return false }
    try Tool.put(isJSON ? entry.json.description : entry.line(LocalTime.system.full))
    guard let left else { return false }
    self.left = left - 1
    return left <= 1
  }

  /// Returns when something can be read, or at the moment. Throws where the time has run out, or nobody
  /// reads the output any more.
  private func wait(for number: Int32?, until moment: Moment) throws {
    var entries = [pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)]
    if let number { entries.append(pollfd(fd: number, events: Int16(POLLIN), revents: 0)) }
    while true {
      let wait = min(moment.milliseconds, ends?.milliseconds ?? .max)
      let count = poll(&entries, nfds_t(entries.count), wait)
      if count > 0 && entries[0].revents != 0 { throw Tool.OutputClosed() }
      if count > 0 || moment.hasPassed { return }
      if ends?.hasPassed == true { throw Tool.Failure(.late, late) }
    }
  }

  private var late: String {
    left.map { "the time is over; \(counted($0, "message")) did not come" } ?? "the time is over"
  }
}
