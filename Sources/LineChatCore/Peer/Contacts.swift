// The others: everybody who shares a group with us, and whoever we have something for. Where they are
// reached, and by which way what waits for them goes.
//
//   direct     it listens for itself, and we may dial it
//   relayed    the server hands it over; where it has no address, or its address is dead just now
//   waiting    neither; it goes as soon as one of them works again
//
// A first dial is waited for. After one that failed nobody waits: what comes takes the other way at
// once, and the dial is tried again in the background.

import LineProtocol

struct Contact {
  enum Link: UInt8 {
    case none
    /// In the queue of those to be dialled.
    case queued
    case dialling
    /// Connected; it has yet to say who it is.
    case greeting
    case open
    /// What was due has been written and our side ended.
    case finishing
  }

  /// Whether it is connected to the server, as far as we know.
  enum Presence {
    case online
    case away
    /// Online by the server's word, and a message through the server did not find it: it has gone, or
    /// has only left the group.
    case missed
  }

  var member: Member
  var presence: Presence
  var isOnline: Bool { presence == .online }
  var speaksTags: Bool
  /// The server has told what it can do. Until then it is not dialled: a program's address must not be
  /// written to as if it were a netcat's.
  var isDescribed: Bool
  /// Groups that we share.
  var groups = 0
  /// Those for it, in the order in which they were made.
  var lanes: [Int32] = []
  /// Messages that wait for it.
  var waiting = 0

  var link = Link.none
  var session: SessionID?
  /// Counts its links, for deadlines.
  var linkNumber: UInt64 = 0
  /// Bytes sent on the link and not acknowledged.
  var unackedBytes = 0
  /// When something was last sent or acknowledged on the link.
  var movedAt: Int64 = 0
  /// When a sign of life was asked for; 0: it was not.
  var probedAt: Int64 = 0
  var failures = 0
  var retryAt: Int64 = 0
  var retryNumber: UInt64 = 0
  var lastFailure: String?
  /// Not to be tried through the server before.
  var relayAt: Int64 = 0
  var relayFailures = 0
  var isDirty = false

  var sentDirectly = 0
  var sentRelayed = 0
}

/// Which way what is for a contact goes at this moment.
enum Way: Equatable {
  /// On its link.
  case link
  /// The first dial is under way, or about to be.
  case soon
  case relay
  case none(String)
}

// MARK: - Getting to know

extension Peer {
  /// Somebody is in a group with us; `isCounted` where that is news.
  mutating func meet(_ entry: Roster.Entry, isCounted: Bool, isDescribed: Bool = true) -> Int32 {
    guard let contact = contactIndices[entry.member.name] else {
      let contact = contacts.insert(
        Contact(
          member: entry.member, presence: entry.isOnline ? .online : .away,
          speaksTags: entry.speaksTags, isDescribed: isDescribed || entry.member.place == .relay,
          groups: 1))
      contactIndices[entry.member.name] = contact
      return contact
    }
    // Of a stranger we know nothing.
    if contacts[contact].groups == 0 {
      contacts[contact].isDescribed = isDescribed || entry.member.place == .relay
    }
    if isCounted { contacts[contact].groups += 1 }
    contacts[contact].member.name = entry.member.name
    moves(contact, to: entry.member.place)
    if isDescribed { describe(contact, entry) }
    return contact
  }

  /// Somebody of whom we know no more than the name: only the server can find them.
  mutating func stranger(_ name: MemberName) -> Int32 {
    if let contact = contactIndices[name] { return contact }
    let contact = contacts.insert(
      Contact(
        member: Member(name: name, place: .relay), presence: .online, speaksTags: false,
        isDescribed: true))
    contactIndices[name] = contact
    return contact
  }

  mutating func describe(_ contact: Int32, _ entry: Roster.Entry) {
    let wasOnline = contacts[contact].isOnline
    let isNews =
      !contacts[contact].isDescribed || wasOnline != entry.isOnline
      || contacts[contact].speaksTags != entry.speaksTags
    contacts[contact].presence = entry.isOnline ? .online : .away
    contacts[contact].speaksTags = entry.speaksTags
    contacts[contact].isDescribed = true
    guard isNews else { return }
    if wasOnline != entry.isOnline { breakRelays(to: contact) }
    // What is known to have changed is tried anew.
    contacts[contact].retryAt = 0
    contacts[contact].relayAt = 0
    contacts[contact].relayFailures = 0
    markDirty(contact)
    if wasOnline != entry.isOnline {
      tellBehindMessages(.presence(contacts[contact].member, isOnline: entry.isOnline))
    }
  }

  mutating func moves(_ contact: Int32, to place: Place) {
    guard contacts[contact].member.place != place else { return }
    closeLink(contact)
    breakRelays(to: contact)
    // Who had no address has told nobody whether a program listens there.
    if contacts[contact].member.place == .relay && !contacts[contact].speaksTags {
      contacts[contact].isDescribed = false
    }
    contacts[contact].member.place = place
    contacts[contact].failures = 0
    contacts[contact].retryAt = 0
    contacts[contact].lastFailure = nil
    contacts[contact].presence = .online
    contacts[contact].relayAt = 0
    markDirty(contact)
  }

  mutating func isCalled(_ contact: Int32, _ new: MemberName) {
    let old = contacts[contact].member.name
    contactIndices[old] = nil
    // Somebody of whom we knew only that name, or who is in a roster that is behind: what is for them
    // is for this one.
    if let other = contactIndices[new], other != contact {
      takeEntries(of: other, contact)
      if contacts.holds(other) { merge(other, into: contact) }
    }
    contacts[contact].member.name = new
    contactIndices[new] = contact
    isCalled(contact, from: old, to: new)
    // The server knows nobody of the old name any more.
    breakRelays(to: contact)
    markDirty(contact)
  }

  /// In rosters that are behind, the other one is this one, too.
  private mutating func takeEntries(of other: Int32, _ contact: Int32) {
    for group in groups.keys.sorted() {
      guard let roster = groups[group]?.roster,
        var entry = roster.all.first(where: { $0.handle == other })
      else { continue }
      if roster.all.contains(where: { $0.handle == contact }) {
        // Whoever had the name there has left.
        groups[group]?.roster.remove(entry.member.name, as: roster.version)
        tellBehindMessages(.left(entry.member, group, reason: ""))
        leaves(other, group)
      } else {
        entry.handle = contact
        groups[group]?.roster.change(entry.member.name, to: entry, as: roster.version)
      }
    }
  }

  /// A contact is in the group no more: what was said there and it does not have, it will not get.
  mutating func leaves(_ contact: Int32, _ group: GroupName) {
    contacts[contact].groups -= 1
    if let stream = streamIndices[.group(group)], let lane = lane(of: contact, stream) {
      failLane(lane, reason: "left \(group)")
      removeLane(lane)
    }
    if contacts[contact].groups == 0 {
      closeLink(contact)
      // Where it is reached now only the server knows.
      contacts[contact].member.place = .relay
      contacts[contact].presence = .online
      markDirty(contact)
    } else if contacts[contact].presence == .missed {
      // That may be all there was to it: the next message shows whether it is there.
      contacts[contact].presence = .online
      markDirty(contact)
    }
    forgetIfUnused(contact)
  }

  /// We are called as that contact was: whoever had the name does not have it any more.
  mutating func isUs(_ contact: Int32) {
    for lane in contacts[contact].lanes {
      failLane(lane, reason: "that is this node's own name now")
    }
    forgetIfUnused(contact)
  }

  mutating func forgetIfUnused(_ contact: Int32) {
    guard contacts.holds(contact), contacts[contact].groups == 0, contacts[contact].waiting == 0,
      contacts[contact].link == .none
    else { return }
    for lane in contacts[contact].lanes { removeLane(lane) }
    contactIndices[contacts[contact].member.name] = nil
    // The next one has its number; what became of a message for this one is not told of that one.
    renumber(contact, as: nil)
    contacts.remove(contact)
    contacts.reuse(contact)
    dirty.removeAll { $0 == contact }
    dialQueue.removeAll { $0 == contact }
    isHeldBack.remove(contact)
  }

  // MARK: Which way

  mutating func markDirty(_ contact: Int32) {
    guard !contacts[contact].isDirty else { return }
    contacts[contact].isDirty = true
    dirty.append(contact)
  }

  /// Where it may be dialled by us; nil where it may not.
  func address(of contact: Int32) -> Endpoint? {
    guard case .direct(let endpoint) = contacts[contact].member.place,
      contacts[contact].isDescribed, contacts[contact].groups > 0
    else { return nil }
    // A program believes an address, and we have none by which it could know us.
    if place == .relay && contacts[contact].speaksTags { return nil }
    // An address that means this machine, or this wire, means something only to those who reached
    // the server there.
    if endpoint.address.isLoopback || endpoint.address.isLinkLocal {
      let server = uplink.address
      let isNear =
        server.map { $0.isLoopback || $0.isLinkLocal } ?? (listens?.address.isLoopback == true)
      guard isNear else { return nil }
    }
    return endpoint
  }

  mutating func way(to contact: Int32) -> Way {
    let state = contacts[contact]
    switch state.link {
    case .open: return .link
    case .finishing: return .soon
    case .queued, .dialling, .greeting: if state.failures == 0 { return .soon }
    case .none:
      if let endpoint = address(of: contact), state.retryAt <= time, !isShuttingDown {
        queueDial(contact, endpoint)
        if state.failures == 0 { return .soon }
      }
    }
    guard isServerUp else { return .none(reasonNotDirect(contact) ?? "the server is away") }
    guard state.isOnline else { return .none(reasonNotDirect(contact) ?? "not connected") }
    if state.relayAt > time { return .none("the server can't hand it over just now") }
    return .relay
  }

  /// Why it is not reached directly, where it listens for itself.
  func reasonNotDirect(_ contact: Int32) -> String? {
    guard case .direct = contacts[contact].member.place else { return nil }
    return contacts[contact].lastFailure.map { "unreachable: \($0)" } ?? "unreachable"
  }

  // MARK: Sending

  /// At the end of each round: what is due goes its way.
  mutating func sendWhatIsDue() {
    while !dirty.isEmpty {
      let taken = dirty
      dirty.removeAll(keepingCapacity: true)
      for contact in taken { contacts[contact].isDirty = false }
      for contact in taken where contacts.holds(contact) { serve(contact) }
      sendRelayed(to: taken)
      // What could not be sent may have been the last thing that a contact was kept for.
      for contact in taken { forgetIfUnused(contact) }
      startDials()
    }
  }

  /// Whether anything for it is on the disk, so that it may go: nobody is dialled before.
  func hasSomethingToSend(_ contact: Int32) -> Bool {
    contacts[contact].waiting > 0
      && contacts[contact].lanes.contains { lane in
        guard let first = lanes[lane].queue.first,
          let index = position(of: first.sequence, in: lanes[lane].stream)
        else { return false }
        return streams[lanes[lane].stream].messages[index].isOnDisk
      }
  }

  private mutating func serve(_ contact: Int32) {
    guard hasSomethingToSend(contact) else { return }
    switch way(to: contact) {
    case .link: sendOnLink(contact)
    case .soon, .relay: break
    case .none(let reason):
      breakRelays(to: contact)
      tellWaiting(contact, reason)
    }
  }
}
