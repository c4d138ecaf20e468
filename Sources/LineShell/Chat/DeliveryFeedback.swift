// What became of what we said, told without being asked, and no more of it than helps:
//
//   everybody who is there has it            nothing
//   somebody who is there does not           2 of 3 have it; carol waits (unreachable)
//   the same for the next messages           nothing: that is known by now
//   and then                                 carol has it now
//
// Who is known to be away is not listed each time. What is still under way gets some seconds first.

import DequeModule
import LineChat
import LineChatCore
import LineProtocol

struct DeliveryFeedback {
  private struct Tracked {
    let conversation: Conversation
    let text: String
    /// All who were to get it.
    var recipients: [MemberName]
    /// Those who do not have it yet.
    var pending: [MemberName: DeliveryState]
    /// It has some seconds before it is looked at.
    var isInGrace = false
  }

  /// What reaches somebody for whom it waited.
  private struct Arrival {
    var messages = 0
    var isSent = false
    var dueAt: Int64
  }

  /// What is under way gets so long before its sender hears of it.
  private static let graceMicroseconds: Int64 = 3_000_000
  /// What arrives at somebody is told together after this time, or as soon as nothing is left.
  private static let arrivalMicroseconds: Int64 = 1_000_000
  /// Messages that are followed. What waits beyond that is counted by the node all the same.
  private static let trackedMax = 4_096
  /// Those who are named one by one.
  private static let namedMax = 3
  /// So many arrivals in this time are told one by one.
  private static let singlesMax = 3
  private static let singlesMicroseconds: Int64 = 10_000_000
  /// The others are told together after this time.
  private static let foldMicroseconds: Int64 = 3_000_000
  /// Names of whom something was said. Whoever comes under more of them is told of again.
  private static let toldMax = 16_384

  private var tracked: [MessageID: Tracked] = [:]
  /// In the order in which they were said; some are done with.
  private var order: Deque<MessageID> = []
  private var graces: Deque<(id: MessageID, dueAt: Int64)> = []
  /// How many of the messages somebody does not have.
  private var waiting: [MemberName: Int] = [:]
  /// Said to be waited for, and nothing has reached them since.
  private var missing: Set<MemberName> = []
  private var arrivals: [MemberName: Arrival] = [:]
  /// When those were told that were told by themselves; and when the others will be.
  private var arrivalsToldAt: [Int64] = []
  private var foldAt: Int64?
  /// Netcats of whom it was said that they give no receipts.
  private var silentReaders: Set<MemberName> = []
  /// Groups of which it was said that nobody is there.
  private var empty: Set<GroupName> = []

  /// When `tell` is due; monotonic microseconds.
  var deadline: Int64? {
    [graces.first?.dueAt, foldAt ?? arrivals.values.map(\.dueAt).min()].compactMap(\.self).min()
  }

  /// Nothing is waited for.
  var isAllDone: Bool { tracked.isEmpty }

  /// Who does not have everything yet, and how many messages that are.
  var lacking: [(name: MemberName, messages: Int)] {
    waiting.keys.sorted().map { ($0, waiting[$0] ?? 0) }
  }

  // MARK: What is known

  /// A message was taken over. Returns what is to be told at once.
  mutating func sent(_ receipt: Receipt, isAway: (MemberName) -> Bool, now: Int64) -> [String] {
    var lines = failures(receipt)
    var pending: [MemberName: DeliveryState] = [:]
    var silent: [MemberName] = []
    for entry in receipt.entries {
      switch entry.state {
      case .delivered, .takenOver: missing.remove(entry.recipient)
      case .sent:
        missing.remove(entry.recipient)
        if silentReaders.insert(entry.recipient).inserted { silent.append(entry.recipient) }
      case .failed: break
      case .relayed, .waiting: pending[entry.recipient] = entry.state
      }
    }
    if !silent.isEmpty {
      let give = silent.count == 1 ? "gives" : "give"
      lines.append(
        "\(Comings.list(silent)) \(give) no receipts: sent is all that can be known")
    }
    if silentReaders.count > Self.toldMax { silentReaders.removeAll() }
    if pending.count < receipt.entries.count, case .group(let group) = receipt.message.conversation
    {
      empty.remove(group)
    }
    guard let id = receipt.message.id, !pending.isEmpty else { return lines }
    let isUnderWay = pending.contains { name, state in
      !isAway(name) && (state == .relayed || state == .underWay)
    }
    let message = Tracked(
      conversation: receipt.message.conversation, text: receipt.message.text,
      recipients: receipt.entries.map(\.recipient), pending: pending, isInGrace: isUnderWay)
    keep(id, message)
    guard isUnderWay else { return lines + told(message, isAway) }
    graces.append((id, now + Self.graceMicroseconds))
    return lines
  }

  /// What will not be delivered, together where the reason is the same.
  private func failures(_ receipt: Receipt) -> [String] {
    var reasons: [String] = []
    var names: [String: [MemberName]] = [:]
    for entry in receipt.entries {
      guard case .failed(let reason) = entry.state else { continue }
      if names[reason] == nil { reasons.append(reason) }
      names[reason, default: []].append(entry.recipient)
    }
    return reasons.map { "not delivered to \(Comings.list(names[$0] ?? [])): \($0)" }
  }

  /// Something has changed for a message after that.
  mutating func changed(
    _ id: MessageID, _ conversation: Conversation, _ name: MemberName, _ state: DeliveryState,
    now: Int64
  ) -> [String] {
    let isTracked = tracked[id] != nil
    let isInGrace = tracked[id]?.isInGrace ?? false
    switch state {
    case .relayed, .waiting:
      if tracked[id]?.pending[name] != nil { tracked[id]?.pending[name] = state }
      return []
    case .failed(let reason):
      let what = tracked[id].map { "\"\(truncated($0.text, to: 30))\"" }
      settle(id, name)
      missing.remove(name)
      return ["\(what ?? "a message to \(conversation)") was not delivered to \(name): \(reason)"]
    case .delivered, .sent, .takenOver:
      settle(id, name)
      missing.remove(name)
      if case .group(let group) = conversation { empty.remove(group) }
      // What was still under way arrives without a word.
      guard !isInGrace else { return [] }
      var arrival = arrivals[name] ?? Arrival(dueAt: now + Self.arrivalMicroseconds)
      arrival.messages += 1
      if state == .sent { arrival.isSent = true }
      // Of what was said in an earlier run nobody knows here how much there is.
      if isTracked, waiting[name] == nil { arrival.dueAt = now }
      arrivals[name] = arrival
      return []
    }
  }

  /// What is due.
  mutating func tell(_ isAway: (MemberName) -> Bool, now: Int64) -> [String] {
    var lines = tellArrivals(now)
    while let grace = graces.first, grace.dueAt <= now {
      graces.removeFirst()
      tracked[grace.id]?.isInGrace = false
      if let message = tracked[grace.id] { lines += told(message, isAway) }
    }
    return lines
  }

  /// The first few one by one, and where they are many, the others in one line a little later.
  private mutating func tellArrivals(_ now: Int64) -> [String] {
    let due = arrivals.filter { $0.value.dueAt <= now }.sorted { $0.key < $1.key }
    arrivalsToldAt.removeAll { now - $0 >= Self.singlesMicroseconds }
    guard let foldAt else {
      guard arrivalsToldAt.count + due.count <= Self.singlesMax else {
        self.foldAt = now + Self.foldMicroseconds
        return []
      }
      for (name, _) in due { arrivals[name] = nil }
      arrivalsToldAt += due.map { _ in now }
      return due.map { Self.text([$0.key], [$0.value]) }
    }
    guard foldAt <= now else { return [] }
    self.foldAt = nil
    for (name, _) in due { arrivals[name] = nil }
    arrivalsToldAt = Array(repeating: now, count: Self.singlesMax)
    return [false, true].compactMap { isSent in
      let some = due.filter { $0.value.isSent == isSent }
      return some.isEmpty ? nil : Self.text(some.map(\.key), some.map(\.value))
    }
  }

  private static func text(_ names: [MemberName], _ arrivals: [Arrival]) -> String {
    let messages = arrivals.map(\.messages).max() ?? 0
    let isSent = arrivals.first?.isSent == true
    guard names.count == 1 else {
      let what = messages == 1 ? "it" : "your messages"
      return
        "\(names.count) have \(isSent ? "been sent " : "")\(what) now (\(Comings.list(names)))"
    }
    let what = messages == 1 ? "it" : "your \(messages) messages"
    return "\(names[0]) has \(isSent ? "been sent " : "")\(what) now"
  }

  mutating func renamed(_ old: MemberName, to new: MemberName) {
    if missing.remove(old) != nil { missing.insert(new) }
    if silentReaders.remove(old) != nil { silentReaders.insert(new) }
    if let arrival = arrivals.removeValue(forKey: old) { arrivals[new] = arrival }
    guard let count = waiting.removeValue(forKey: old) else { return }
    waiting[new, default: 0] += count
    for id in order {
      guard let state = tracked[id]?.pending.removeValue(forKey: old) else { continue }
      tracked[id]?.pending[new] = state
      if let index = tracked[id]?.recipients.firstIndex(of: old) {
        tracked[id]?.recipients[index] = new
      }
    }
  }

  // MARK: In words

  /// Names those of whom it has not been said before.
  private mutating func told(_ message: Tracked, _ isAway: (MemberName) -> Bool) -> [String] {
    let lacking = message.recipients.filter { message.pending[$0] != nil }
    guard case .group(let group) = message.conversation else {
      guard let name = lacking.first, missing.insert(name).inserted else { return [] }
      let words = isAway(name) ? "is away; it waits" : Self.words(message.pending[name])
      return ["\(name) \(words)"]
    }
    let news = lacking.filter { !missing.contains($0) && !isAway($0) }
    let have = message.recipients.count - lacking.count
    guard !news.isEmpty else {
      guard have == 0, empty.insert(group).inserted else { return [] }
      return ["nobody is there now; it waits for \(Comings.list(lacking))"]
    }
    if missing.count > Self.toldMax { missing.removeAll() }
    missing.formUnion(news)
    var parts = news.prefix(Self.namedMax).map { "\($0) \(Self.words(message.pending[$0]))" }
    if news.count > Self.namedMax { parts.append("\(news.count - Self.namedMax) more wait") }
    let text = parts.joined(separator: "; ")
    // Of one there is nothing to be counted.
    guard have + news.count > 1 else { return [text] }
    return ["\(have) of \(have + news.count) have it; \(text)"]
  }

  private static func words(_ state: DeliveryState?) -> String {
    switch state {
    // The details are for /why.
    case .waiting(let reason): "waits (\(reason.prefix { $0 != ":" }))"
    case .relayed: "has not confirmed it (the server handed it over)"
    case .delivered, .sent, .takenOver, .failed, nil: "has it"
    }
  }

  // MARK: Keeping

  private mutating func keep(_ id: MessageID, _ message: Tracked) {
    for name in message.pending.keys { waiting[name, default: 0] += 1 }
    tracked[id] = message
    order.append(id)
    while let first = order.first, tracked[first] == nil || tracked.count > Self.trackedMax {
      for name in (tracked[first]?.pending ?? [:]).keys { lessWaits(for: name) }
      tracked[first] = nil
      order.removeFirst()
    }
    // Those in the middle that are done with are not carried along for ever.
    if order.count > 2 * Self.trackedMax { order.removeAll { tracked[$0] == nil } }
  }

  private mutating func settle(_ id: MessageID, _ name: MemberName) {
    guard tracked[id]?.pending.removeValue(forKey: name) != nil else { return }
    lessWaits(for: name)
    if tracked[id]?.pending.isEmpty == true { tracked[id] = nil }
  }

  private mutating func lessWaits(for name: MemberName) {
    guard let count = waiting[name] else { return }
    waiting[name] = count > 1 ? count - 1 : nil
  }
}
