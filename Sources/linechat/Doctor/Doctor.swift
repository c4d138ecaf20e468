// `linechat doctor`: looks at everything that has to be right for a member to be reached, says what it
// found, and what to do about what is not.
//
// It asks the server as a guest, and the node that runs in the profile through its socket. For the clock
// and the port it joins a group of its own for a second or two, and leaves it again. What ends it waits
// while it has an address there: a member with an address would stay behind.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "See whether everything is right, and what to do where it is not.",
    discussion: """
      It looks at the profile's directory, the server, the own port as the server reaches it, the \
      clock, and who of the own groups is reached how. Give it the options that you give linechat.

      If no node runs in the profile, a port is opened for a moment, and the server asked to reach it: \
      as a guest in a group that is called doctor. and a number, and gone afterwards. Of nodes, their \
      ports are tried; of netcats that listen, they are not.

      Each line begins with ok, note or wrong. The exit code is 0 where nothing is wrong, 1 where \
      something is, and 64 for wrong options.
      """)

  @OptionGroup var options: NodeOptions

  @Flag(
    help: "Write one JSON object: well, true or false, and checks, each with its state and text.")
  var json = false

  @Argument(
    help: ArgumentHelp(
      "Groups to look at beside those that you are in. (environment: LINECHAT_GROUPS, several with "
        + "commas)", valueName: "group"), completion: Completions.groups)
  var groups: [String] = []

  func validate() throws { _ = try options.configuration(groups: groups) }

  func run() throws {
    Signals.unblock()
    let report = Report(writesJSON: json)
    let configuration = try options.configuration(groups: groups)
    let profile = ProfileCheck(configuration, report)
    let node = profile.look()
    let server = ServerCheck(configuration, report)
    let guest = server.look(node, saved: profile.saved)
    if let guest {
      let place = PortCheck(configuration, guest, report)
      ClockCheck(guest, report).look(in: place.group)
      place.look(node, saved: profile.saved)
    }
    let groups = GroupCheck(configuration, report, node: node, guest: guest, saved: profile.saved)
    groups.look()
    _ = try? guest?.ask(.quit)
    try report.finish()
    if !report.isWell { throw ExitCode(1) }
  }
}

/// What a person or the system ends programs with, kept waiting and let go.
enum Interruptions {
  static func hold() { mask(SIG_BLOCK) }
  static func release() { mask(SIG_UNBLOCK) }

  private static func mask(_ how: Int32) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, signal) }
    pthread_sigmask(how, &set, nil)
  }
}
