// Replies: each in its place. What is answered later (a message whose recipients are being tried) keeps
// its place among those that are answered at once.

import DequeModule
import LineProtocol

extension Peer {
  /// A place among the session's replies, for what is answered later.
  mutating func mouth(_ session: UInt32, _ label: String?) -> Mouth {
    let number = nextNumber()
    slots[session, default: []].append(ReplySlot(number: number))
    return .session(sessions[session].id, label: label, slot: number)
  }

  /// Writes a reply of several lines at once. `begin` writes the tags of a line.
  mutating func reply(
    _ session: UInt32, _ label: String?, tags: Tags = Tags(),
    _ encode: (_ buffer: ByteBuffer, _ begin: (Tags) -> Void) -> Void
  ) {
    let isTagged = sessions[session].speaksTags
    func write(_ buffer: ByteBuffer) {
      encode(buffer) { tags in
        guard isTagged else { return }
        var all = Tags()
        all["label"] = label
        for tag in tags { all[tag.key] = tag.value }
        all.render(into: buffer)
      }
    }
    guard slots[session]?.isEmpty == false else {
      return fanOut.send(to: session, isReply: true, write)
    }
    let number = nextNumber()
    slots[session]!.append(ReplySlot(number: number, bytes: Record(write).line, isDone: true))
  }

  mutating func replyLines(
    _ session: UInt32, _ label: String?, tags: Tags = Tags(), _ lines: [String]
  ) {
    reply(session, label, tags: tags) { buffer, begin in
      for line in lines {
        begin(line == lines.last ? tags : Tags())
        buffer.append(line)
        buffer.append("\n")
      }
    }
  }

  mutating func refuse(
    _ refusal: Refusal, to session: UInt32, label: String?, about message: String? = nil
  ) {
    counters.refusals += 1
    var tags = Tags()
    tags["msgid"] = message
    replyLines(session, label, tags: tags, [refusal.description])
    news.append(.refused(sessions[session].id, refusal))
  }

  /// The final reply to a request that had its place kept.
  mutating func answer(
    _ mouth: Mouth, verb: Verb, tags: @autoclosure () -> Tags = Tags(),
    _ encode: (ByteBuffer) -> Void
  ) {
    guard case .session(let id, let label, let slot) = mouth, isLive(id) else { return }
    let isTagged = sessions[id.index].speaksTags
    fill(id.index, slot) { buffer in
      if isTagged {
        var all = Tags()
        all["label"] = label
        for tag in tags() { all[tag.key] = tag.value }
        all.render(into: buffer)
      }
      buffer.append("OK ")
      buffer.append(verb.word)
      buffer.append(" ")
      encode(buffer)
      buffer.append("\n")
    }
  }

  mutating func refuse(_ refusal: Refusal, to mouth: Mouth) {
    switch mouth {
    case .call(0): news.append(.refused(nil, refusal))
    case .call(let call): news.append(.answer(call: call, .refused(refusal)))
    case .session(let id, let label, let slot):
      guard isLive(id) else { return }
      counters.refusals += 1
      let isTagged = sessions[id.index].speaksTags
      fill(id.index, slot) { buffer in
        if isTagged {
          var tags = Tags()
          tags["label"] = label
          tags.render(into: buffer)
        }
        buffer.append(refusal.description)
        buffer.append("\n")
      }
      news.append(.refused(id, refusal))
    }
  }

  mutating func fill(_ session: UInt32, _ slot: UInt64, _ encode: (ByteBuffer) -> Void) {
    guard let index = slots[session]?.firstIndex(where: { $0.number == slot }) else { return }
    slots[session]![index].bytes = Record(encode).line
    slots[session]![index].isDone = true
    while let first = slots[session]?.first, first.isDone {
      slots[session]!.removeFirst()
      fanOut.send(to: session, isReply: true) { buffer in
        first.bytes.withUnsafeBytes { buffer.append($0) }
      }
    }
    if slots[session]?.isEmpty == true { slots[session] = nil }
    // It may have been too much that was outstanding.
    if sessions[session].activity == .ready { effects.append(.resume(sessions[session].id)) }
    endIfDone(session)
  }
}
