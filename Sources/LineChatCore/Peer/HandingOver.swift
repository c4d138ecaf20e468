// A node that is there for one run, and does not listen, can't wait until everybody is back: what it says
// goes to the server without tags, as a netcat says it. The server is the sending node then: it hands the
// message over, and keeps it on its disk for durable members who are away.
//
// The replies come in order, and without a label as the request has none. Where the server is lost before
// its reply, nobody can tell whether it has the message, and it is not said again by itself.

import LineProtocol

extension Peer {
  var handsOver: Bool { configuration.isTransient && listens == nil }

  /// - Parameter body: the request, without its end.
  mutating func handOver(
    _ message: ChatMessage, _ body: [UInt8], to recipients: [Int32], for mouth: Mouth
  ) {
    let what = Asked.What.handOver(message, recipients.map { contacts[$0].member.name })
    guard isServerUp else { return refuse(serverIsAway(what.verb), to: mouth) }
    guard uplink.asked.count < Limits.handedOverMessages else {
      return refuse(
        Refusal(
          .rateLimited, what.verb,
          "\(uplink.asked.count) requests wait for the server's answer; try again when some have come"
        ),
        to: mouth)
    }
    uplink.labels += 1
    uplink.asked.append(Asked(label: uplink.labels, what: what, mouth: mouth))
    tellServer { buffer in
      body.withUnsafeBytes { buffer.append($0) }
      buffer.append("\n")
    }
  }

  /// The request that a reply without a label answers.
  mutating func takeHandedOver(_ verb: Verb?) -> Asked? {
    let index = uplink.asked.firstIndex { asked in
      if case .handOver = asked.what { asked.what.verb == verb } else { false }
    }
    guard let index else { return nil }
    let asked = uplink.asked[index]
    uplink.asked.removeFirst(index + 1)
    return asked
  }

  /// - Parameter text: `lobby 1/3 kept 1` or `bob`.
  mutating func wasTakenOver(
    _ message: ChatMessage, _ recipients: [MemberName], _ text: String, for mouth: Mouth?
  ) {
    news.append(.message(message))
    let missing = HandedOver(text).missing
    let entries = recipients.map { name in
      let isThere = contactIndices[name].map { contacts[$0].isOnline } ?? true
      guard missing > 0, !isThere else { return Receipt.Entry(name, .takenOver) }
      return Receipt.Entry(
        name,
        .failed(reason: "away, and the server does not keep it for \(missing) of those who are"))
    }
    let receipt = News.Answer.receipt(Receipt(message: message, entries: entries))
    switch mouth {
    case .call(let call): news.append(.answer(call: call, receipt))
    case .session:
      if let mouth {
        let verb: Verb = if case .group = message.conversation { .msg } else { .pm }
        answer(mouth, verb: verb) { $0.append(text) }
      }
      news.append(.answer(call: 0, receipt))
    case nil: break
    }
  }
}

/// The counts of `lobby 1/3 kept 1`.
private struct HandedOver {
  /// Members for whom nobody has it.
  var missing = 0

  init(_ text: String) {
    let words = text.split(separator: " ")
    let counts = words.count > 1 ? words[1].split(separator: "/").compactMap { Int($0) } : []
    guard counts.count == 2 else { return }
    let kept = words.count > 3 && words[2] == "kept" ? Int(words[3]) ?? 0 : 0
    // What comes from outside must not make a sum that does not fit.
    let most = Limits.names
    missing = max(0, min(counts[1], most) - min(counts[0], most) - min(kept, most))
  }
}
