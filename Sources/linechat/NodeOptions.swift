// What makes a node: who it is, where its server is, where it listens and where it keeps things. Every
// command that starts one, or speaks to one, has these options.

import ArgumentParser
import CommandLineSupport
import LineChat

struct NodeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the server is: HOST:PORT, [IPV6]:PORT or HOST. (default: 127.0.0.1:5463; environment: "
        + "LINECHAT_SERVER)", valueName: "address"))
  var server: String?

  @Option(
    help: ArgumentHelp(
      "Where to listen for the other members: HOST:PORT or [IPV6]:PORT; port 0 is the one of the "
        + "last time, or a free one. (default: the address from which the server is reached; "
        + "environment: LINECHAT_LISTEN)", valueName: "address"))
  var listen: String?

  @Option(
    help: ArgumentHelp(
      "What the others are told instead of that address, IP:PORT: where a port is forwarded to this "
        + "node. (environment: LINECHAT_ANNOUNCE)", valueName: "address"))
  var announce: String?

  @Flag(
    help: ArgumentHelp(
      "Do not listen: everything comes through the server. (environment: LINECHAT_RELAY=1)"))
  var relay = false

  @Option(
    help: ArgumentHelp(
      "The name to have. (default: the one of the last time in this profile; at first the profile's, "
        + "else the login name; environment: LINECHAT_NAME)", valueName: "name"))
  var name: String?

  @OptionGroup var profile: ProfileOptions
}

/// Which directory is meant: by who starts a node in it, and by who speaks to one.
struct ProfileOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Which of your identities this is, each with a directory of its own; one node at a time has it. "
        + "(default: the name; environment: LINECHAT_PROFILE)", valueName: "profile"),
    completion: Completions.profiles)
  var profile: String?

  @Option(
    help: ArgumentHelp(
      "Where the profiles' directories are. (default: $XDG_STATE_HOME/linechat or "
        + "~/.local/state/linechat; environment: LINECHAT_DATA_DIR)", valueName: "directory"),
    completion: .directory)
  var dataDir: String?

  var given: Given? { Given(profile, "--profile", "LINECHAT_PROFILE") }

  /// The directory of the profile; where none is given, of the one that is called like the name.
  func storage(name: MemberName) throws(ValidationError) -> PeerNode.Storage {
    let parent = Given(dataDir, "--data-dir", "LINECHAT_DATA_DIR")
    if let parent, parent.text.isEmpty { throw parent.refusal("the path of a directory") }
    do throws(NodeError) {
      // Names that differ in case alone are one name.
      return try .profile(given?.text ?? name.description.lowercased(), in: parent?.text)
    } catch {
      guard let given, case .refused = error.kind else { throw ValidationError("\(error)") }
      throw ValidationError("\(given.source): \(error)")
    }
  }
}

extension NodeOptions {
  /// What the options and the environment come to.
  func configuration(groups: [String]) throws(ValidationError) -> PeerNode.Configuration {
    let name = try memberName()
    let usual = profile.given.map { MemberName(like: $0.text) } ?? .ofLogin
    var configuration = PeerNode.Configuration(name: name ?? usual)
    configuration.isNameWanted = name != nil
    configuration.storage = try profile.storage(name: configuration.name)
    configuration.server = try serverAddress()
    configuration.listening = try listening()
    configuration.announced = try announced(configuration.listening)
    configuration.groups = try groupNames(groups)
    return configuration
  }

  /// The name that was asked for, if one was.
  func memberName() throws(ValidationError) -> MemberName? {
    try Given(name, "--name", "LINECHAT_NAME").map { (given) throws(ValidationError) in
      try given.memberName()
    }
  }

  func serverAddress() throws(ValidationError) -> ServerAddress {
    try ServerAddress(option: server)
  }

  /// What is given on the command line wins over the environment, whichever of the two it is.
  func listening() throws(ValidationError) -> Listening {
    if listen != nil && relay {
      throw ValidationError("--listen and --relay exclude each other; take one of them away")
    }
    if relay { return .relay }
    if listen == nil, let variable = Given.variable("LINECHAT_RELAY"), try variable.isYes() {
      guard Given.variable("LINECHAT_LISTEN") == nil else {
        throw ValidationError("LINECHAT_LISTEN and LINECHAT_RELAY exclude each other; unset one")
      }
      return .relay
    }
    guard let given = Given(listen, "--listen", "LINECHAT_LISTEN") else { return .automatic }
    let address: ListenAddress
    do throws(ListenAddress.Malformed) { address = try ListenAddress(parsing: given.text) } catch {
      throw ValidationError("\(given.source): \(escaped(error.description))")
    }
    if case .unix = address.kind { throw given.refusal("HOST:PORT or [IPV6]:PORT") }
    return .at(address)
  }

  func announced(_ listening: Listening) throws(ValidationError) -> Endpoint? {
    guard let given = Given(announce, "--announce", "LINECHAT_ANNOUNCE") else { return nil }
    guard let endpoint = Endpoint(given.text) else {
      throw given.refusal("an address such as 10.0.0.2:5001 or [2001:db8::2]:5001")
    }
    guard case .at = listening else {
      throw ValidationError("\(given.source) goes with --listen: a forwarded port stays the same")
    }
    return endpoint
  }

  func groupNames(_ texts: [String]) throws(ValidationError) -> [GroupName] {
    try GroupName.list(texts)
  }
}

extension GroupName {
  /// Those that are given, else those of the environment, each once.
  static func list(_ texts: [String]) throws(ValidationError) -> [GroupName] {
    var given = texts.map { Given(text: $0, source: "a group") }
    if texts.isEmpty, let list = environment("LINECHAT_GROUPS") {
      given = list.split(separator: ",").map {
        Given(text: String($0).trimmed, source: "LINECHAT_GROUPS")
      }
    }
    var names: [GroupName] = []
    for one in given {
      let name = try one.groupName()
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

extension ServerAddress {
  /// What `--server` says, else the environment, else this machine.
  init(option: String?) throws(ValidationError) {
    let given =
      Given(option, "--server", "LINECHAT_SERVER") ?? Given(text: "127.0.0.1", source: "--server")
    do throws(ListenAddress.Malformed) { try self.init(parsing: given.text) } catch {
      throw ValidationError("\(given.source): \(escaped(error.description))")
    }
  }
}
