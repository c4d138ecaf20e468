// Who comes and goes, told so that it disturbs nobody: the first few one by one, and where they are
// many, all of them in one line a little later.

import LineProtocol

struct Comings {
  enum Kind: Int, CaseIterable {
    case joined, left, isAway, isBack
  }

  /// Of one group; nil: of all that are shared.
  private struct Crowd {
    /// When those were told that were told by themselves.
    var toldAt: [Int64] = []
    /// The rest: how each began and how it is now, in order.
    var kinds: [MemberName: (first: Kind, last: Kind)] = [:]
    var order: [MemberName] = []
    var renames: [Rename] = []
    /// By the name of now, which of them it is.
    var renamed: [MemberName: Int] = [:]
    var dueAt: Int64?
  }

  /// Somebody's name before the first change that was not told, and after the latest.
  private struct Rename {
    let first: MemberName
    var last: MemberName
    let isIgnored: Bool
  }

  /// So many in this time are told one by one.
  private static let singlesMax = 3
  private static let singlesMicroseconds: Int64 = 10_000_000
  /// The rest are told together after this time.
  private static let foldMicroseconds: Int64 = 3_000_000
  /// Names in a folded line.
  private static let namesMax = 3

  private var crowds: [GroupName?: Crowd] = [:]

  /// When `fold` is due; monotonic microseconds.
  var deadline: Int64? { crowds.values.compactMap(\.dueAt).min() }

  /// Whether it is to be told by itself; if not, it comes with `fold`.
  mutating func note(_ kind: Kind, _ name: MemberName, in group: GroupName?, now: Int64) -> Bool {
    var crowd = crowds[group] ?? Crowd()
    defer { crowds[group] = crowd }
    guard !Comings.isSingle(&crowd, now) else { return true }
    if let known = crowd.kinds[name] {
      crowd.kinds[name] = (known.first, kind)
    } else {
      crowd.kinds[name] = (kind, kind)
      crowd.order.append(name)
    }
    return false
  }

  /// The same for a new name, which is of all groups.
  mutating func note(
    _ old: MemberName, isNow new: MemberName, isIgnored: Bool, now: Int64
  ) -> Bool {
    let all: GroupName? = nil
    var crowd = crowds[all] ?? Crowd()
    defer { crowds[all] = crowd }
    guard !Comings.isSingle(&crowd, now) else { return true }
    let index = crowd.renamed.removeValue(forKey: old) ?? crowd.renames.count
    if index == crowd.renames.count {
      crowd.renames.append(Rename(first: old, last: new, isIgnored: isIgnored))
    } else {
      crowd.renames[index].last = new
    }
    crowd.renamed[new] = index
    return false
  }

  /// Whether what comes now is told by itself. If not, it will be due.
  private static func isSingle(_ crowd: inout Crowd, _ now: Int64) -> Bool {
    crowd.toldAt.removeAll { now - $0 >= singlesMicroseconds }
    if crowd.dueAt == nil, crowd.toldAt.count < singlesMax {
      crowd.toldAt.append(now)
      return true
    }
    if crowd.dueAt == nil { crowd.dueAt = now + foldMicroseconds }
    return false
  }

  /// What is due, a text for each group: `12 joined (dave, erin, frank and 9 more), 1 left (gina)`.
  mutating func fold(now: Int64) -> [(group: GroupName?, text: String)] {
    var texts: [(group: GroupName?, text: String)] = []
    for group in crowds.keys.sorted(by: Comings.precedes) {
      guard var crowd = crowds[group], let due = crowd.dueAt, due <= now else { continue }
      let text = Comings.text(crowd)
      if !text.isEmpty { texts.append((group, text)) }
      crowd.kinds = [:]
      crowd.order = []
      crowd.renames = []
      crowd.renamed = [:]
      crowd.dueAt = nil
      // A storm that goes on stays folded.
      crowd.toldAt = Array(repeating: now, count: Comings.singlesMax)
      crowds[group] = crowd
    }
    crowds = crowds.filter { crowd in
      crowd.value.dueAt != nil
        || crowd.value.toldAt.contains { now - $0 < Comings.singlesMicroseconds }
    }
    return texts
  }

  private static func precedes(_ one: GroupName?, _ other: GroupName?) -> Bool {
    guard let one else { return other != nil }
    return other.map { one < $0 } ?? false
  }

  private static func text(_ crowd: Crowd) -> String {
    var parts: [String] = []
    func names(_ isWanted: ((first: Kind, last: Kind)) -> Bool) -> [MemberName] {
      crowd.order.filter { crowd.kinds[$0].map(isWanted) ?? false }
    }
    func add(_ names: [MemberName], _ verb: String) {
      if names.count == 1 {
        parts.append("\(names[0]) \(verb)")
      } else if !names.isEmpty {
        parts.append("\(names.count) \(verb) (\(list(names)))")
      }
    }
    add(names { $0.last == .joined && $0.first != .left }, "joined")
    add(names { $0.last == .left && $0.first != .joined }, "left")
    add(names { $0.first == .joined && $0.last == .left }, "came and went")
    add(names { $0.first == .left && $0.last == .joined }, "left and came back")
    add(names { $0.last == .isAway && $0.first != .isBack }, "went away")
    add(names { $0.last == .isBack && $0.first != .isAway }, "came back")
    // Away and back again, or the other way round, is no news.
    return (parts + newNames(crowd)).joined(separator: ", ")
  }

  private static func newNames(_ crowd: Crowd) -> [String] {
    var parts: [String] = []
    for isIgnored in [false, true] {
      let changes = crowd.renames.filter { $0.isIgnored == isIgnored && $0.first != $0.last }
      guard let one = changes.first else { continue }
      if changes.count == 1 {
        parts.append(text(one.first, isNow: one.last, isIgnored: isIgnored))
      } else if isIgnored {
        parts.append("\(changes.count) whom you ignore have new names, and are still ignored")
      } else {
        let words = changes.prefix(namesMax).map { "\($0.first) is \($0.last)" }
        parts.append("\(changes.count) have new names (\(list(words, of: changes.count)))")
      }
    }
    return parts
  }

  static func text(_ old: MemberName, isNow new: MemberName, isIgnored: Bool) -> String {
    isIgnored
      ? "\(old), whom you ignore, is now \(new), and still ignored" : "\(old) is now \(new)"
  }

  /// `dave, erin, frank and 9 more`
  static func list(_ names: [MemberName], most: Int = namesMax) -> String {
    list(names.prefix(most).map(\.description), of: names.count)
  }

  private static func list(_ shown: [String], of count: Int) -> String {
    let left = count - shown.count
    if left > 0 { return shown.joined(separator: ", ") + " and \(left) more" }
    guard let last = shown.last, shown.count > 1 else { return shown.joined() }
    return shown.dropLast().joined(separator: ", ") + " and \(last)"
  }
}
