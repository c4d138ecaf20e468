// A guest at a server: somebody who says something, or listens, for as long as it is connected. Its name
// must be nobody's: by taking that of a durable member who is away it would become that member, and get
// what is kept for it.

import Glibc
import LineProtocol

extension Dialogue {
  /// Groups whose members are looked at: their lists come within a second or two. Where there are more,
  /// the guest takes a name that nobody else would have.
  private static let groupsMax = 256
  private static let namesMax = 32

  /// Takes a name as a guest: the one that is wanted if it is free, else one like it.
  package func takeName(like wanted: MemberName) throws(Failure) -> MemberName {
    let taken = try membersNames()
    var number = taken == nil ? max(2, Int(getpid())) : 1
    for _ in 0..<Dialogue.namesMax {
      let name = number == 1 ? wanted : MemberName(wanted, ending: "\(number)")
      number += 1
      if taken?.contains(name) == true { continue }
      do throws(Failure) {
        try ask(.nick(name))
        return name
      } catch {
        guard case .refused(let refusal) = error, refusal.code == .nameTaken else { throw error }
      }
    }
    // The name that the server has given is as good as any.
    return greeting.name
  }

  /// Everybody who is in a group; nil where that is too much to ask for.
  private func membersNames() throws(Failure) -> Set<MemberName>? {
    let groups = try ask(.groups).lines.compactMap { line in
      if case .group(let name, _) = line.content { name } else { nil }
    }
    guard groups.count <= Dialogue.groupsMax else { return nil }
    var names: Set<MemberName> = []
    for result in try askAll(groups.map { .members($0) }) {
      // A group that has gone meanwhile has no members.
      guard case .success(let answer) = result else { continue }
      for case .member(_, let member, _) in answer.lines.map(\.content) {
        names.insert(member.name)
      }
    }
    return names
  }
}

extension MemberName {
  /// `alice2`: the same with something behind it that names may have, cut to what a name may be.
  package init(_ name: MemberName, ending: String) {
    let start = name.description.prefix(WireLimits.memberNameBytes - ending.utf8.count)
    guard let full = MemberName(start + ending) else {
      preconditionFailure("a name's beginning with letters that a name may have is one")
    }
    self = full
  }
}
