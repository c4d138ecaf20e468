// MEMBERS, GROUPS, STATS and HELP: replies of many lines. A short one is written at once; a long
// one in pieces, the next when the reader has taken the last, so that a slow reader of a large
// group costs a piece of memory and not the whole. Meanwhile the session accepts no lines, and
// what others say to it follows the listing.

import LineProtocol

struct Listing {
  enum Source {
    /// A copy of the roster as it was, and how far it has been told.
    case members(Roster, GroupName, next: Int)
    /// Group by group in the order of their names, as they are when their turn comes.
    case groups(after: GroupName?, count: Int)
  }

  var source: Source
  let verb: Verb
  let label: String?
  /// A number of its own for each piece: a deadline of an earlier one, or of an earlier listing,
  /// says nothing about this.
  var piece: UInt64 = 0
}

extension Directory {
  mutating func listMembers(
    of name: GroupName, _ request: Request, as verb: Verb = .members
  ) throws(Refusal) {
    guard let group = groupIndices[name] else { throw noSuchGroup(name, verb) }
    let state = groups[group]
    list(.members(state.roster, state.name, next: 0), as: verb, request)
  }

  mutating func listGroups(_ request: Request) {
    list(.groups(after: nil, count: 0), as: .groups, request)
  }

  private mutating func list(_ source: Listing.Source, as verb: Verb, _ request: Request) {
    // Changes told before the snapshot are read before it.
    cutShares(of: request.session)
    var listing = Listing(source: source, verb: verb, label: request.label)
    let room = listings.count < Limits.listings ? configuration.listingPieceBytes : .max
    if writePiece(of: &listing, bytes: room, to: request.session) { return }
    listing.piece = nextTicket().number
    listings[request.session] = listing
    sessions[request.session].activity = .listing
    fanOut.hold(request.session)
    watch(request.session, listing.piece, now: request.now)
  }

  /// The reader has taken the last piece.
  mutating func goOnListing(_ session: UInt32, now: Instant) {
    guard var listing = listings[session] else { return }
    listing.piece = nextTicket().number
    if writePiece(of: &listing, bytes: configuration.listingPieceBytes, to: session) {
      listings[session] = nil
      fanOut.release(session)
      makeReady(session)
      endIfInputEnded(session, now: now)
    } else {
      listings[session] = listing
      watch(session, listing.piece, now: now)
    }
  }

  private mutating func watch(_ session: UInt32, _ piece: UInt64, now: Instant) {
    schedule(
      Deadline(
        at: now.monotonicMicroseconds + Limits.listingStallMicroseconds,
        kind: .listing(sessions[session].id, piece)))
  }

  mutating func listingStalled(_ session: UInt32, _ piece: UInt64) {
    guard listings[session]?.piece == piece else { return }
    effects.append(.overrun(sessions[session].id))
  }

  /// Writes about so many bytes. Returns whether the listing is complete.
  private func writePiece(of listing: inout Listing, bytes: Int, to session: UInt32) -> Bool {
    let (sum, isAll) = fanOut.replyBytes(session).addingReportingOverflow(bytes)
    let end = isAll ? .max : sum
    switch listing.source {
    case .members(let roster, let name, let start):
      for (next, entry) in roster.entries(from: start) {
        guard fanOut.replyBytes(session) < end else { return false }
        reply(session, listing.label) { appendMemberLine($0, name, entry) }
        listing.source = .members(roster, name, next: next)
      }
      reply(session, listing.label, version: roster.version) { buffer in
        buffer.append("OK ")
        buffer.append(listing.verb.word)
        buffer.append(byte: UInt8(ascii: " "))
        buffer.append(name)
        buffer.append(byte: UInt8(ascii: " "))
        buffer.append(decimal: roster.count)
      }
    case .groups(var last, var count):
      while let group = group(after: last) {
        guard fanOut.replyBytes(session) < end else { return false }
        reply(session, listing.label) { buffer in
          buffer.append("GROUP ")
          buffer.append(group.name)
          buffer.append(byte: UInt8(ascii: " "))
          buffer.append(decimal: group.roster.count)
        }
        (last, count) = (group.name, count + 1)
        listing.source = .groups(after: last, count: count)
      }
      reply(session, listing.label) { buffer in
        buffer.append("OK GROUPS ")
        buffer.append(decimal: count)
      }
    }
    return true
  }

  private func group(after name: GroupName?) -> Group? {
    var position = 0
    if let name {
      position = orderPosition(of: name)
      if position < groupOrder.count, groups[groupOrder[position]].name == name {
        position += 1
      }
    }
    guard position < groupOrder.count else { return nil }
    return groups[groupOrder[position]]
  }
}

// MARK: - STATS and HELP

extension Directory {
  mutating func stats(_ request: Request) {
    let started = (startedAt ?? request.now).monotonicMicroseconds
    let lines: [(String, Int)] = [
      ("uptime-seconds", Int((request.now.monotonicMicroseconds - started) / 1_000_000)),
      ("connections", machine.connections),
      ("connections-total", counters.opened),
      ("connections-refused", machine.refusedConnections),
      ("refused-by-quota", machine.quotaRefusals + counters.quotaRefusals),
      ("slow-consumers", machine.slowConsumers),
      ("rate-pauses", machine.pauses),
      ("names", names.count),
      ("groups", groupIndices.count),
      ("lines-received", counters.lines),
      ("messages", counters.messages),
      ("deliveries", counters.deliveries),
      ("kept", counters.kept),
      ("dials", counters.dials),
      ("dials-failed", counters.failedDials),
      ("errors", counters.refusals),
      ("bytes-received", machine.bytesReceived),
      ("bytes-sent", machine.bytesSent),
      ("bytes-pending", machine.pendingBytes),
      ("bytes-kept", keptBytes),
      ("max-connections", configuration.connectionsMax),
      ("max-connections-per-address", configuration.quotas.connections),
      ("max-names-per-address", configuration.quotas.names),
      ("max-groups-per-address", configuration.quotas.groups),
      ("max-rate", configuration.linesPerSecondMax),
    ]
    for (key, value) in lines {
      reply(request.session, request.label) { buffer in
        buffer.append("STAT ")
        buffer.append(key)
        buffer.append(byte: UInt8(ascii: " "))
        buffer.append(decimal: value)
      }
    }
    reply(request.session, request.label) { $0.append("OK STATS") }
  }

  mutating func help(_ word: String?, _ request: Request) throws(Refusal) {
    let lines: [String]
    if let word {
      guard let verb = Verb(word), let help = Help.of(verb) else {
        throw Refusal(
          code: .unknownVerb, verb: .help, text: "there is no such request; HELP lists them")
      }
      lines = [help.syntax] + help.details
    } else {
      lines = Help.overview
    }
    for line in lines {
      reply(request.session, request.label) { buffer in
        buffer.append("HELP ")
        buffer.append(line)
      }
    }
    reply(request.session, request.label) { $0.append("OK HELP") }
  }
}
