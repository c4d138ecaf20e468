// How many names and groups each address has, and what is refused to one that has its share.
//
// The rules it keeps:
//   - A name counts for the host that it belongs to: chosen with NICK as long as its holder is there,
//     and that of a durable member as long as it is one. A guest's name is the server's own gift.
//   - A group counts for the host of the member that made it, as long as it is there, whoever is in
//     it by then.
//   - After a restart durable members count as before, as their hosts are on the disk; a group counts
//     for the first of its durable members.
//   - What is on its way to the disk counts already. Nothing that there is is ever taken away: where a
//     quota was lowered, it is only what is new that is refused.

import LineProtocol

extension Directory {
  private func counted(_ member: Int32) -> IPAddress? {
    configuration.quotas.counted(members[member].host)
  }

  // MARK: Names

  /// Notes whether the member has one of its host's names, after something that may have changed that.
  mutating func recount(_ member: Int32) {
    guard members.holds(member) else { return }
    let address = members[member].takesName ? counted(member) : nil
    guard address != members[member].countedAt else { return }
    namesByAddress.remove(members[member].countedAt)
    namesByAddress.add(address)
    members[member].countedAt = address
  }

  /// Refuses a name to somebody who has none yet, where the address has its share.
  mutating func checkNames(
    of member: Int32, _ verb: Verb, or instead: @autoclosure () -> String
  ) throws(Refusal) {
    let most = configuration.quotas.names
    guard most > 0, members[member].countedAt == nil, let address = counted(member),
      namesByAddress[address] >= most
    else { return }
    counters.quotaRefusals += 1
    throw Refusal(
      .rateLimited, verb,
      "your address has \(most) \(most == 1 ? "name" : "names") here, no more are allowed; "
        + instead())
  }

  // MARK: Groups

  /// Refuses to make a group where the address has its share.
  mutating func checkGroups(of member: Int32) throws(Refusal) {
    let most = configuration.quotas.groups
    guard most > 0, let address = counted(member), groupsByAddress[address] >= most else { return }
    counters.quotaRefusals += 1
    throw Refusal(
      .rateLimited, .join,
      "your address has made \(most == 1 ? "1 group that is" : "\(most) groups that are") still here, "
        + "no more are allowed; GROUPS lists those there are")
  }

  /// The address for which a group counts that does not exist yet and is on its way to the disk.
  mutating func reserveGroup(for step: Pending.Step, _ member: Int32) -> IPAddress? {
    guard case .join(let name, _) = step, groupIndices[name] == nil else { return nil }
    let address = counted(member)
    groupsByAddress.add(address)
    return address
  }

  /// A group is there from now on.
  mutating func countGroup(by member: Int32) -> IPAddress? {
    let address = counted(member)
    groupsByAddress.add(address)
    return address
  }
}

extension Directory.Member {
  /// It has chosen its name, is durable, or is about to be.
  var takesName: Bool { !isGuest || isDurable || pendingChanges > 0 }
}

// MARK: - What is wrong

extension Directory {
  func auditQuotas() -> [String] {
    var problems: [String] = []
    var names = AddressCounts()
    var made = AddressCounts()
    for index in members.indices {
      let state = members[index]
      names.add(state.countedAt)
      if state.countedAt != (state.takesName ? counted(index) : nil) {
        problems.append("\(state.name) counts for the wrong address")
      }
    }
    for index in groups.indices { made.add(groups[index].madeAt) }
    for waiting in pending.values { made.add(waiting.groupAt) }
    if names != namesByAddress { problems.append("the names of addresses are miscounted") }
    if made != groupsByAddress { problems.append("the groups of addresses are miscounted") }
    return problems
  }
}
