// Whom a command speaks to: the node that runs in the profile, as which it speaks then, or the server,
// where it is a guest.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat

struct SpeakerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the server is, if no node of yours runs: HOST:PORT, [IPV6]:PORT or HOST. (default: "
        + "127.0.0.1:5463; environment: LINECHAT_SERVER)", valueName: "address"))
  var server: String?

  @OptionGroup var identity: IdentityOptions

  /// Everything that can be wrong with them.
  func check() throws(ValidationError) {
    _ = try serverAddress()
    _ = try identity.directory()
  }

  func serverAddress() throws(ValidationError) -> ServerAddress {
    try ServerAddress(option: server)
  }
}

/// Who the caller is: which profile, and under which name where there is no node.
struct IdentityOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The name of a guest at the server, and of the profile where none is given. (default: the "
        + "login name; environment: LINECHAT_NAME)", valueName: "name"))
  var name: String?

  @OptionGroup var profile: ProfileOptions

  /// The name that was asked for, else the profile's, else the login name: as `linechat` has it.
  func guestName() throws(ValidationError) -> MemberName {
    if let given = Given(name, "--name", "LINECHAT_NAME") { return try given.memberName() }
    return profile.given.map { MemberName(like: $0.text) } ?? .ofLogin
  }

  /// Where the profile is, whether or not there is one. Nil: nobody has named one, and without a home
  /// there is none by default.
  func directory() throws(ValidationError) -> String? {
    let guest = try guestName()
    do throws(ValidationError) {
      guard case .directory(let path) = try profile.storage(name: guest) else { return nil }
      return path
    } catch {
      if isProfileNamed || hasHome { throw error }
      return nil
    }
  }

  private var isProfileNamed: Bool {
    profile.given != nil || Given(profile.dataDir, "--data-dir", "LINECHAT_DATA_DIR") != nil
  }

  private var hasHome: Bool {
    ["XDG_STATE_HOME", "HOME"].contains { environment($0)?.hasPrefix("/") == true }
  }
}

// Conversations.
extension SpeakerOptions {
  /// The node that runs in the profile; nil if none does. Throws `Dialogue.Failure` where one does that
  /// does not answer.
  func node() throws -> Dialogue? {
    guard let directory = try identity.directory() else { return nil }
    do throws(Dialogue.Failure) { return try Dialogue.withNode(in: directory) } catch {
      if case .noNode = error { return nil }
      throw error
    }
  }

  /// The server, under a guest's name; where that is another one than was wanted, it is said.
  func guest() throws -> Dialogue {
    let dialogue = try Dialogue.withServer(serverAddress())
    let wanted = try identity.guestName()
    let name = try dialogue.takeName(like: wanted)
    if name != wanted { Tool.say("\(wanted) is taken, so this is \(name)") }
    return dialogue
  }
}
