// What the commands for scripts have in common: exit codes, standard output and standard error.
//
// Signals do to them what they do to any program. A reader of standard output that has gone away ends
// them quietly, with 0: it has what it wanted.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat

enum Tool {
  /// The exit codes of these commands, next to 0.
  enum Code: Int32 {
    /// `tail`: the time ran out.
    case late = 1
    /// Wrong options, or something that can't be sent.
    case wrongCall = 2
    /// Nobody has taken it over, or there is nobody to ask.
    case unreachable = 3
    /// Standard output takes nothing.
    case output = 74
  }

  /// Ends the command, with a word about why.
  struct Failure: Error {
    let code: Code
    let text: String

    init(_ code: Code, _ text: String) {
      self.code = code
      self.text = text
    }
  }

  /// Nobody reads standard output any more.
  struct OutputClosed: Error {}

  private static let names: Set<String> = [
    Send.name, Tail.name, Members.name, Groups.name, Log.name, Status.name, Run.name,
  ]

  /// Runs the command and ends the program, if the arguments name one of these.
  static func runIfNamed(_ arguments: [String]) {
    guard let name = arguments.first, names.contains(name) else { return }
    // What these write to may be gone; that is told by the write.
    Run.noteSignals()
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    let words = name == Send.name ? Send.marked(arguments) : arguments
    do {
      var command = try Linechat.parseAsRoot(words)
      try command.run()
      exit(0)
    } catch {
      end(error)
    }
  }

  private static func end(_ error: any Error) -> Never {
    switch error {
    case is OutputClosed: exit(0)
    case let failure as Failure:
      say(failure.text)
      exit(failure.code.rawValue)
    case let failure as Dialogue.Failure:
      say(failure.description)
      exit(Code.unreachable.rawValue)
    default: break
    }
    guard Linechat.exitCode(for: error) == .validationFailure else {
      Linechat.exit(withError: error)
    }
    Chat.say(Linechat.fullMessage(for: error) + "\n")
    exit(Code.wrongCall.rawValue)
  }

  static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }

  /// Microseconds since 1970 UTC.
  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }

  /// A line on standard error.
  static func say(_ text: String) { Chat.say("linechat: \(text)\n") }

  /// Writes a line to standard output, at once.
  static func put(_ line: String) throws { try write(Array((line + "\n").utf8), to: STDOUT_FILENO) }

  static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Somebody else has made it non-blocking.
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&entry, 1, -1)
      } else if errno == EPIPE {
        throw OutputClosed()
      } else if errno != EINTR {
        throw Failure(.output, "cannot write to standard output: \(SystemError("write").reason)")
      }
    }
  }
}

/// A group's name on the command line.
func groupArgument(_ text: String) throws(ValidationError) -> GroupName {
  try Given(text: text, source: "a group").groupName()
}

/// `1 line`, `2 lines`
func counted(_ number: Int, _ thing: String) -> String {
  number == 1 ? "1 \(thing)" : "\(number) \(thing)s"
}
