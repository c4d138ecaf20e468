// The hot path where somebody says much: a run of messages, line behind line, each of which differs from
// the one before in its text alone.
//
// The first line of a run goes the way of all lines: verb, names, group, membership and reply are worked
// out and checked. Behind it nothing can have changed when the next line is looked at, so for a line that
// begins with the same bytes all of that holds again, and only its text is new: it is checked, and copied
// once behind the source that is written once. What is said in the group and what is replied are the same
// bytes as on the long way, in the same order for everybody who gets them.
//
// What it is for: of 3,000 instructions for a message of 64 bytes, 250 are left (callgrind). With ten
// receivers that was as much time as the kernel takes to send a hundred messages to all of them.
//
// The rules it keeps:
//   - Nothing but plain messages that everybody in the group gets at once: nobody in it speaks tags, is
//     away or waits, and nobody traces what is said. Everything else is for the long way.
//   - A line that is in any way unusual ends the run and is left for the long way, which knows what to
//     say about it.
//   - As many as the session's replies have room for in this round, and no more.

import LineProtocol

/// What has just been said, as far as a run can go on from it.
struct Said {
  /// The number of its line, and whose it was.
  var line = 0
  var session: UInt32 = 0
  var group: Int32 = -1
  /// Up to the space behind the group's name.
  var headBytes = 0
}

extension Directory {
  /// Goes on with lines that say something where `line`, the last one taken, did. There may be none.
  package mutating func receiveRun(
    after line: UnsafeRawBufferPointer, _ reader: inout LineReader,
    _ chunk: UnsafeRawBufferPointer, _ position: inout Int, from id: SessionID
  ) {
    guard said.line == counters.lines, said.session == id.index, said.headBytes < line.count,
      position < chunk.count, canRun(id)
    else { return }
    let head = UnsafeRawBufferPointer(rebasing: line[..<said.headBytes])
    let group = said.group
    let member = sessions[id.index].member
    let membership = members[member].memberships.first { $0.group == group }
    let handed = groups[group].live - (membership == nil ? 0 : 1)
    runSource.removeAll()
    appendMessageHead(runSource, members[member].wire, groups[group].name)
    runReply.removeAll()
    appendMessageReply(runReply, groups[group].name, handed: handed, others: handed, kept: 0)
    runReply.append("\n")
    let most = fanOut.replyRoom(id.index) / runReply.count + 1
    var count = 0
    let slot = membership.flatMap { $0.slot >= 0 ? $0.slot : nil }
    let source = runSource.bytes
    fanOut.publish(to: groups[group].plain, except: slot) { buffer in
      count = reader.takeTexts(after: head, most: most, chunk, &position) { text in
        buffer.append(source, text, UInt8(ascii: "\n"))
      }
    }
    guard count > 0 else { return }
    fanOut.send(to: id.index, isReply: true) { $0.append(runReply.bytes, times: count) }
    counters.lines += count
    counters.messages += count
    counters.deliveries += count * handed
  }

  /// Where the last line was said, everybody hears what is said at once and in the same words.
  private func canRun(_ id: SessionID) -> Bool {
    let group = said.group
    return accepts(id) && !configuration.isTracing && groups.holds(group)
      && groups[group].live == groups[group].roster.count && groups[group].waiting.isEmpty
      && fanOut.subscriberCount(groups[group].tagged) == 0
      && fanOut.subscriberCount(groups[group].plain) > 0
  }
}
