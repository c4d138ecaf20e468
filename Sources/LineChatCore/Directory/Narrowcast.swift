// MSG to some members of a group only, those whom the tag `to` names. This is how a node says what
// it could not hand over itself, so the reply names names: who did not get it, and who got it and
// will never acknowledge it. Not the hot path: it costs a look-up for each name.
//
// Rules:
//   - The counts of the reply are within those named who are in the group. Names of nobody there
//     are not counted, but missed like those who are away. The speaker itself is neither.
//   - Each name is told once, as the group writes it, in the order in which they were named; those
//     behind `relay` in the order of the group.
//   - Names for which there is no room before the reply are not left out in silence: `*` stands for
//     them. Who was missed comes first.

import LineProtocol

extension Directory {
  mutating func narrowcast(
    _ text: UnsafeRawBufferPointer, in group: Int32, to narrowed: String, from member: Int32,
    _ request: Request
  ) throws(Refusal) {
    let wire = members[member].wire
    let name = groups[group].name
    let audience = try audience(narrowed, in: group, but: wire.name)
    let tags = try stampedTags(request, heardIn: group)
    var (handed, others) = (0, 0)
    var missed: [MemberName] = []
    var plain: [MemberName] = []
    for (named, hearer) in audience {
      let session = hearer.map { members[$0].session } ?? -1
      if hearer != nil { others += 1 }
      guard session >= 0 else {
        missed.append(named)
        continue
      }
      handed += 1
      let isTagged = sessions[session].speaksTags
      if !isTagged { plain.append(named) }
      // What was said to all before comes before this.
      cutShares(of: UInt32(session))
      fanOut.send(to: UInt32(session), isReply: false) { buffer in
        if isTagged { tags?.render(into: buffer) }
        appendMessage(buffer, wire, name, text)
      }
      noteReceived(UInt32(session))
    }
    counters.deliveries += handed
    replyToMessage(
      request.session, request.label, name, handed: handed, others: others, kept: 0,
      and: Self.outcome(missed: missed, plain: plain, label: request.label))
    if configuration.isTracing { report(text, to: name.description, from: member, handed) }
  }

  /// Whom a `to` tag names, the speaker aside: `relay` for all that the server hosts, or names. Who
  /// is not in the group has no member; what is no name is nobody's.
  private func audience(
    _ narrowed: String, in group: Int32, but own: MemberName
  ) throws(Refusal) -> [(name: MemberName, member: Int32?)] {
    let words = narrowed.split(separator: ",")
    guard words.count <= WireLimits.recipients else {
      throw Refusal(
        .badSyntax, .msg,
        "to names \(words.count) members, and at most \(WireLimits.recipients) may be named; say "
          + "it again to the others")
    }
    let roster = groups[group].roster
    var seen: Set<MemberName> = [own]
    var audience: [(name: MemberName, member: Int32?)] = []
    for word in words {
      if word.lowercased() == "relay" {
        for entry in roster.all where entry.member.place == .relay {
          if seen.insert(entry.member.name).inserted {
            audience.append((entry.member.name, entry.handle))
          }
        }
      } else if let name = MemberName(word), seen.insert(name).inserted {
        let entry = roster[name]
        audience.append((entry?.member.name ?? name, entry?.handle))
      }
    }
    return audience
  }

  /// The tags `missed` and `plain`, as far as there is room for them before the reply.
  private static func outcome(
    missed: [MemberName], plain: [MemberName], label: String?
  ) -> Tags {
    var tags = Tags()
    tags["label"] = label
    // A separator stands before each tag, and a space behind the last.
    var room = WireLimits.prefixBytes - max(1, tags.byteCount)
    tags = Tags()
    if !missed.isEmpty {
      let kept = plain.isEmpty ? 0 : ";plain=*".utf8.count
      let text = list(missed, bytes: room - kept - ";missed=".utf8.count)
      tags["missed"] = text
      room -= ";missed=".utf8.count + text.utf8.count
    }
    if !plain.isEmpty { tags["plain"] = list(plain, bytes: room - ";plain=".utf8.count) }
    return tags
  }

  /// Names with commas between them, in so many bytes at most; `*` stands for those that do not fit.
  private static func list(_ names: [MemberName], bytes room: Int) -> String {
    var text = ""
    for (index, name) in names.enumerated() {
      let word = (text.isEmpty ? "" : ",") + name.description
      let tail = index < names.count - 1 ? ",*".utf8.count : 0
      guard text.utf8.count + word.utf8.count + tail <= room else {
        return text + (text.isEmpty ? "*" : ",*")
      }
      text += word
    }
    return text
  }
}
