// From options to a node that is started, whatever is in the way: a wrong address is asked for again
// where somebody is there to be asked, and a profile that is in use is passed over for the next one.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat
import LineShell
import Logging

struct ChatStart {
  private(set) var name: MemberName
  private(set) var server: ServerAddress
  let groups: [GroupName]
  /// To be said when the shell begins.
  private(set) var notes: [String] = []

  private let options: NodeOptions
  private let isInteractive: Bool
  private var listening: Listening
  private var announced: Endpoint?

  /// Profiles that are tried beside the first one: more shells than a person has.
  private static let profilesMax = 32

  init(_ options: NodeOptions, groups: [String], isInteractive: Bool) throws {
    self.options = options
    self.isInteractive = isInteractive
    self.groups = try options.groupNames(groups)
    let given = try options.memberName()
    let usual = options.profile.given.map { MemberName(like: $0.text) } ?? .ofLogin
    name = given ?? (isInteractive ? usual : MemberName(usual, ending: ".\(getpid())"))
    server = try ChatStart.ask(isInteractive, "the server's address [127.0.0.1:5463]: ") {
      (text) throws(ValidationError) in
      var options = options
      if let text { options.server = text.isEmpty ? "127.0.0.1" : text }
      return try options.serverAddress()
    }
    listening = try ChatStart.ask(isInteractive, "the address to listen at [automatic]: ") {
      (text) throws(ValidationError) in
      if text?.isEmpty == true { return .automatic }
      var options = options
      if let text { (options.listen, options.relay) = (text, false) }
      return try options.listening()
    }
    announced = try options.announced(listening)
  }

  /// A node with its directory taken.
  mutating func node(_ logger: Logger) throws -> ShellNode {
    guard isInteractive else { return try transientNode(logger) }
    let isFree =
      options.profile.given == nil && options.name == nil
      && environment("LINECHAT_NAME") == nil
    let first = name
    var number = 1
    while true {
      do throws(NodeError) {
        return try ShellNode(configuration(), logger: logger)
      } catch {
        switch error.kind {
        case .directoryInUse where isFree && number < ChatStart.profilesMax:
          number += 1
          name = MemberName(first, ending: "\(number)")
          notes = ["\(first) is in use here already, so you are \(name) (--name NAME chooses)"]
        case .directoryInUse:
          let identity = options.profile.given?.text ?? "\(name)"
          let reason = error.description.prefix { $0 != ";" }
          throw Chat.failure(
            "\(identity) runs already: \(reason); take another one with --name or --profile")
        case .addressInUse, .notPermitted, .noSuchAddress:
          Chat.say("\(error)\n")
          listening = try askWhereToListen(after: error)
          announced = try options.announced(listening)
        default: throw Chat.failure(error.description)
        }
      }
    }
  }

  private func configuration() throws(NodeError) -> NodeMachine.Configuration {
    var node = NodeMachine.Configuration(name: name)
    node.isNameWanted = options.name != nil || environment("LINECHAT_NAME") != nil
    node.server = server
    node.listening = listening
    node.announced = announced
    do throws(ValidationError) {
      if case .directory(let path) = try options.profile.storage(name: name) {
        node.directory = path
      }
    } catch {
      throw NodeError(.badDirectory, error.message)
    }
    return node
  }

  /// Without a terminal nothing is kept: the member ends with the run.
  private func transientNode(_ logger: Logger) throws -> ShellNode {
    var node = NodeMachine.Configuration(name: name)
    node.isNameWanted = true
    node.isTransient = true
    node.server = server
    node.listening = .relay
    do throws(NodeError) { return try ShellNode(node, logger: logger) } catch {
      throw Chat.failure(error.description)
    }
  }

  private func askWhereToListen(after error: NodeError) throws -> Listening {
    try ChatStart.ask(isInteractive, "the address to listen at [automatic]: ", isWrong: true) {
      (text) throws(ValidationError) in
      guard let text else { throw ValidationError(error.description) }
      if text.isEmpty { return .automatic }
      var options = options
      (options.listen, options.relay) = (text, false)
      return try options.listening()
    }
  }

  /// What the options say; where that is wrong and somebody is there, it is said and asked for until
  /// it is right.
  private static func ask<Value>(
    _ isInteractive: Bool, _ prompt: String, isWrong: Bool = false,
    _ read: (_ text: String?) throws(ValidationError) -> Value
  ) throws -> Value {
    var text: String?
    var isWrong = isWrong
    while true {
      if isWrong {
        Chat.say(prompt)
        // Ctrl-C is an answer, too; the end of the input is none.
        Signals.unblock()
        defer { Signals.block() }
        guard let line = readLine() else { throw ExitCode(EX_USAGE) }
        text = line.trimmed
      }
      do throws(ValidationError) { return try read(text) } catch {
        guard isInteractive else { throw error }
        Chat.say("\(error.message)\n")
        isWrong = true
      }
    }
  }
}
