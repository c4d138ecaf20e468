// What a server's owner can ask it while it runs: who its members are, and to forget one of them.
// Both speak the ordinary protocol over the socket in the server's data directory.

import ArgumentParser
import Glibc
import LineChat
import LineProtocol

struct Forget: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Take a durable member out of the running server's groups.",
    discussion: """
      Its name is free then, and what was kept for it is dropped. The exit code is 0 when that is \
      done, 1 where the server refuses, and 69 where no server runs with that data directory.
      """)

  @Argument(help: "Whom to forget.")
  var name: String

  @Option(help: ArgumentHelp("Only out of this group.", valueName: "group"))
  var group: String?

  @OptionGroup var directory: DirectoryOption

  @ParentCommand var parent: Linechatd

  func validate() throws {
    _ = try words()
  }

  func run() throws {
    let (name, group) = try words()
    let answer = try Owner(directory, parent).ask(.forget(name, group))
    // OK FORGET carol 2
    guard case .ok(_, let text) = answer.last else { return }
    let parts = text.split(separator: " ")
    let count = Int(parts.last ?? "") ?? 0
    let groups = count == 1 ? "1 group" : "\(count) groups"
    print("\(parts.first ?? "") was in \(groups), and is forgotten")
  }

  private func words() throws(ValidationError) -> (MemberName, GroupName?) {
    guard let member = MemberName(name) else {
      throw ValidationError("'\(escaped(name))' is no member's name")
    }
    return (member, try group.map { (text) throws(ValidationError) in try groupName(text) })
  }
}

struct Members: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the members of the running server's groups.",
    discussion: """
      A line for each member of each group: group, member, and words such as online, away, tags \
      and reachable. The exit code is 0, 1 where the server refuses (there is no such group), and 69 \
      where no server runs with that data directory.
      """)

  @Argument(help: "The groups to show. (default: all)")
  var groups: [String] = []

  @Flag(help: "Write one JSON object: each group's name with the list of its members.")
  var json = false

  @OptionGroup var directory: DirectoryOption

  @ParentCommand var parent: Linechatd

  func validate() throws {
    for group in groups { _ = try groupName(group) }
  }

  func run() throws {
    let server = try Owner(directory, parent)
    let named = try groups.map(groupName)
    var found: [String: [Entry]] = [:]
    var order: [String] = []
    for group in named.isEmpty ? try server.groups() : named {
      // One that went away after it was listed is none to complain of.
      guard let entries = try server.members(of: group, mayBeGone: named.isEmpty) else { continue }
      if found.updateValue(entries, forKey: group.description) == nil {
        order.append(group.description)
      }
    }
    if json {
      print(String(decoding: try StateCoding.encode(found), as: UTF8.self))
    } else {
      for group in order {
        for entry in found[group] ?? [] {
          print(([group, entry.member] + entry.attributes).joined(separator: " "))
        }
      }
    }
  }

  struct Entry: Encodable {
    let member: String
    let name: String
    let place: String
    let attributes: [String]
  }
}

private func groupName(_ text: String) throws(ValidationError) -> GroupName {
  guard let name = GroupName(text) else {
    throw ValidationError("'\(escaped(text))' is no group's name")
  }
  return name
}

/// A connection whose failures end the program, with a word about them.
private struct Owner {
  private let connection: OwnerConnection

  /// The directory may be named before or behind the command.
  init(_ option: DirectoryOption, _ parent: Linechatd) throws {
    let path = try option.dataDir ?? parent.options.directory.path()
    do throws(OwnerConnection.Failure) {
      connection = try OwnerConnection.open(dataDirectory: path)
    } catch {
      throw Owner.exit(error)
    }
  }

  func ask(_ request: Message.Content) throws -> [Message.Content] {
    do throws(OwnerConnection.Failure) { return try connection.ask(request) } catch {
      throw Owner.exit(error)
    }
  }

  func groups() throws -> [GroupName] {
    try ask(.groups).compactMap { content in
      if case .group(let name, _) = content { name } else { nil }
    }
  }

  /// Nil where there is no such group and that may be.
  func members(of group: GroupName, mayBeGone: Bool) throws -> [Members.Entry]? {
    let answer: [Message.Content]
    do throws(OwnerConnection.Failure) { answer = try connection.ask(.members(group)) } catch {
      if case .refused(let refusal) = error, refusal.code == .noSuchGroup, mayBeGone { return nil }
      throw Owner.exit(error)
    }
    return answer.compactMap { content in
      guard case .member(_, let member, let attributes) = content else { return nil }
      return Members.Entry(
        member: member.description, name: member.name.description, place: member.place.description,
        attributes: attributes)
    }
  }

  private static func exit(_ failure: OwnerConnection.Failure) -> ExitCode {
    let line = Array("linechatd: \(escaped(failure.description))\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    if case .refused = failure { return ExitCode(1) }
    return ExitCode(EX_UNAVAILABLE)
  }
}
