// `linechat members` and `linechat groups`: who is where.

import ArgumentParser
import CommandLineSupport
import LineChat
import LineTools

struct Members: ParsableCommand {
  static let name = "members"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Show who is in a group.",
    discussion: """
      A line for each member: name@place, and words such as online, away, tags and reachable. With --json \
      one object: group, and members with name, place, online and attributes.

      The node that runs in your profile is asked, if it is in the group; else the server. The exit code \
      is 0; 2 for a wrong call, and where there is no such group; 3 when there is nobody to ask.
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var speaker: SpeakerOptions

  @Argument(
    help: ArgumentHelp("The group.", valueName: "group"), completion: Completions.groups)
  var group: String

  func validate() throws {
    _ = try groupArgument(group)
    try speaker.check()
  }

  func run() throws {
    let wanted = try groupArgument(group)
    let (name, members) = try members(of: wanted)
    if json {
      return try Tool.put(
        JSONValue.object([
          "group": .text(name.description), "members": .list(members.map(Members.json)),
        ]).description)
    }
    for (member, attributes) in members {
      try Tool.put(([member.description] + attributes.map { escaped($0) }).joined(separator: " "))
    }
  }

  private static func json(_ member: Member, _ attributes: [String]) -> JSONValue {
    .object([
      "name": .text(member.name.description), "place": .text(member.place.description),
      "online": .flag(attributes.contains("online")),
      "attributes": .list(attributes.map { .text($0) }),
    ])
  }

  private func members(of group: GroupName) throws -> (GroupName, [(Member, [String])]) {
    let node = try speaker.node()
    let dialogue: Dialogue
    if let node, try node.isIn(group) {
      dialogue = node
    } else {
      dialogue = try Dialogue.withServer(speaker.serverAddress())
    }
    let answer: Dialogue.Answer
    do throws(Dialogue.Failure) { answer = try dialogue.ask(.members(group)) } catch {
      guard case .refused(let refusal) = error else { throw error }
      throw Tool.Failure(.wrongCall, refusal.text)
    }
    var name = group
    var members: [(Member, [String])] = []
    for case .member(let written, let member, let attributes) in answer.lines.map(\.content) {
      name = written
      members.append((member, attributes))
    }
    return (name, members)
  }
}

struct Groups: ParsableCommand {
  static let name = "groups"

  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Show the groups that there are.",
    discussion: """
      A line for each group: its name, how many members it has, and "yours" if your node is in it. With \
      --json one object: groups, each with name, members and yours.

      The server is asked; where it is not there, the node that runs in your profile, which knows its \
      own. The exit code is 0; 2 for a wrong call; 3 when there is neither.
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var speaker: SpeakerOptions

  func validate() throws { try speaker.check() }

  func run() throws {
    let own = try speaker.node()?.groups()
    let address = try speaker.serverAddress()
    let all: [(name: GroupName, members: Int)]
    do throws(Dialogue.Failure) { all = try Dialogue.withServer(address).groups() } catch {
      guard let own else { throw error }
      Tool.say("\(error); these are the groups of your node")
      all = own
    }
    func isOwn(_ name: GroupName) -> Bool { own?.contains { $0.name == name } == true }
    if json {
      let list = all.map { group in
        JSONValue.object([
          "name": .text(group.name.description), "members": .number(group.members),
          "yours": .flag(isOwn(group.name)),
        ])
      }
      return try Tool.put(JSONValue.object(["groups": .list(list)]).description)
    }
    for group in all {
      try Tool.put("\(group.name) \(group.members)" + (isOwn(group.name) ? " yours" : ""))
    }
  }
}
