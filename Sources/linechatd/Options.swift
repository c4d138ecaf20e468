// The options, each of them from the command line or the environment, and what they come to.

import ArgumentParser
import Glibc
import LineChat
import LineProtocol
import Logging

struct Options: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where to listen; may be repeated. HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 picks a free "
        + "one. (default: 127.0.0.1:5463; environment: LINECHATD_LISTEN, several with commas)",
      valueName: "address"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp(
      "Connections at once, 1 to 1000000. (default: 10000; environment: LINECHATD_MAX_CONNECTIONS)",
      valueName: "number"))
  var maxConnections: String?

  @Option(
    help: ArgumentHelp(
      "Bytes of a request's longest line, its end included, 512 to 65536. (default: 65536; "
        + "environment: LINECHATD_MAX_LINE)", valueName: "size"))
  var maxLine: String?

  @Option(
    help: ArgumentHelp(
      "What may wait for one slow reader before it is dropped, 4KiB to 1GiB. (default: 8MiB; "
        + "environment: LINECHATD_MAX_PENDING)", valueName: "size"))
  var maxPending: String?

  @Option(
    help: ArgumentHelp(
      "What may wait for all slow readers together before the slowest is dropped, 4KiB to 1TiB. "
        + "(default: 256MiB; environment: LINECHATD_MAX_PENDING_TOTAL)", valueName: "size"))
  var maxPendingTotal: String?

  @OptionGroup var directory: DirectoryOption

  @Flag(
    help: ArgumentHelp(
      "Keep nothing: members and messages end with the server. (environment: LINECHATD_MEMORY=1)"))
  var memory = false

  @Option(
    help: ArgumentHelp(
      "How long a durable member may be neither connected nor reached before it is dropped, such as "
        + "30d, 12h, 90m or 3600s; a bare number is seconds. (default: 30d; environment: "
        + "LINECHATD_MEMBER_TTL)", valueName: "time"))
  var memberTTL: String?

  @Option(
    help: ArgumentHelp(
      "What is logged: trace, debug, info, notice, warning, error or critical; message texts at "
        + "trace only. (default: info; environment: LINECHATD_LOG_LEVEL)", valueName: "level"))
  var logLevel: String?

  @Option(
    help: ArgumentHelp(
      "How it is logged, on standard error: text or json. (default: text; environment: "
        + "LINECHATD_LOG_FORMAT)", valueName: "format"))
  var logFormat: String?
}

/// Which directory belongs to a server: the server is told so, and so are those who speak to it.
struct DirectoryOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the server keeps what must outlive it. (default: $XDG_STATE_HOME/linechatd or "
        + "~/.local/state/linechatd; environment: LINECHATD_DATA_DIR)", valueName: "directory"))
  var dataDir: String?

  /// As it was given here, or in the environment.
  var given: String? { dataDir ?? environment("LINECHATD_DATA_DIR") }

  func path() throws(ValidationError) -> String {
    if let given {
      guard !given.isEmpty else { throw ValidationError("--data-dir must not be empty") }
      return given
    }
    do throws(ServerError) { return try StateDirectory.defaultPath(for: "linechatd") } catch {
      throw ValidationError("\(error)")
    }
  }
}

/// What the options and the environment come to.
struct Settings {
  var server = Server.Configuration()
  var logLevel = Logger.Level.info
  var logFormat = LogFormat.text

  func logger(_ writer: LogWriter) -> Logger {
    var logger = Logger(label: "linechatd") { _ in LineLogHandler(writer) }
    logger.logLevel = logLevel
    return logger
  }
}

extension Options {
  func settings() throws(ValidationError) -> Settings {
    var settings = Settings()
    if !listen.isEmpty {
      settings.server.listen = try addresses(listen, from: "--listen")
    } else if let text = environment("LINECHATD_LISTEN") {
      let parts = text.split(separator: ",", omittingEmptySubsequences: false).map {
        String($0).trimmed
      }
      settings.server.listen = try addresses(parts, from: "LINECHATD_LISTEN")
    }
    if let given = pick(maxConnections, "--max-connections", "LINECHATD_MAX_CONNECTIONS") {
      settings.server.connectionsMax = try given.number(1...1_000_000)
    }
    if let given = pick(maxLine, "--max-line", "LINECHATD_MAX_LINE") {
      settings.server.lineBytesMax = try given.size(512...65_536)
    }
    if let given = pick(maxPending, "--max-pending", "LINECHATD_MAX_PENDING") {
      settings.server.pendingBytesMax = try given.size(4_096...(1 << 30))
    }
    if let given = pick(maxPendingTotal, "--max-pending-total", "LINECHATD_MAX_PENDING_TOTAL") {
      settings.server.pendingBytesTotalMax = try given.size(4_096...(1 << 40))
    }
    settings.server.dataDirectory = try dataDirectory()
    if let given = pick(memberTTL, "--member-ttl", "LINECHATD_MEMBER_TTL") {
      settings.server.memberTTLSeconds = try given.duration(1...315_360_000)
    }
    if let given = pick(logLevel, "--log-level", "LINECHATD_LOG_LEVEL") {
      settings.logLevel = try given.word(Logger.Level.allCases)
    }
    if let given = pick(logFormat, "--log-format", "LINECHATD_LOG_FORMAT") {
      settings.logFormat = try given.word(LogFormat.allCases)
    }
    return settings
  }

  /// Nil: nothing is kept. What is given here wins over the environment.
  private func dataDirectory() throws(ValidationError) -> String? {
    if memory {
      guard directory.dataDir == nil else {
        throw ValidationError("--memory and --data-dir exclude each other; take one of them away")
      }
      return nil
    }
    if directory.dataDir == nil, let text = environment("LINECHATD_MEMORY") {
      switch text.lowercased() {
      case "1", "true", "yes": return nil
      case "0", "false", "no": break
      default:
        throw ValidationError("LINECHATD_MEMORY must be 1 or 0, not '\(escaped(text))'")
      }
    }
    return try directory.path()
  }

  private func addresses(
    _ texts: [String], from source: String
  ) throws(ValidationError) -> [ListenAddress] {
    var addresses: [ListenAddress] = []
    for text in texts {
      do throws(ListenAddress.Malformed) {
        addresses.append(try ListenAddress(parsing: text))
      } catch {
        throw ValidationError("\(source): \(escaped(error.description))")
      }
    }
    return addresses
  }

  private func pick(_ option: String?, _ name: String, _ variable: String) -> Given? {
    if let option { return Given(text: option, source: name) }
    return environment(variable).map { Given(text: $0.trimmed, source: variable) }
  }

}

/// An empty variable is as good as none.
private func environment(_ name: String) -> String? {
  guard let value = getenv(name) else { return nil }
  let text = String(cString: value)
  return text.isEmpty ? nil : text
}

/// A value as somebody gave it, and where, so that an error can say so.
private struct Given {
  let text: String
  let source: String

  func number(_ range: ClosedRange<Int>) throws(ValidationError) -> Int {
    guard let number = Int(text), range.contains(number) else {
      throw refusal("a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func size(_ range: ClosedRange<Int>) throws(ValidationError) -> Int {
    guard let size = ByteSize.parse(text), range.contains(size) else {
      throw refusal(
        "a size from \(ByteSize.text(range.lowerBound)) to \(ByteSize.text(range.upperBound)), "
          + "such as 8192, 512KiB or 8MiB")
    }
    return size
  }

  /// In seconds.
  func duration(_ range: ClosedRange<Int>) throws(ValidationError) -> Int {
    guard let seconds = TimeSpan.parse(text), range.contains(seconds) else {
      throw refusal("a time from 1 second to 3650d, such as 30d, 12h, 90m or 3600")
    }
    return seconds
  }

  func word<Word: RawRepresentable<String>>(_ words: [Word]) throws(ValidationError) -> Word {
    guard let word = Word(rawValue: text.lowercased()) else {
      throw refusal("one of " + words.map(\.rawValue).joined(separator: ", "))
    }
    return word
  }

  private func refusal(_ wanted: String) -> ValidationError {
    ValidationError("\(source) must be \(wanted), not '\(escaped(text))'")
  }
}

/// Times in seconds as people write them: `30d`, `12h`, `90m`, `10s`, and `10` for the same.
enum TimeSpan {
  private static let units = ["": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800]

  static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = String(text.dropFirst(digits.count)).trimmed.lowercased()
    guard let number = Int(digits), let factor = units[unit] else { return nil }
    let (seconds, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : seconds
  }
}

/// Sizes in bytes as people write them.
enum ByteSize {
  private static let units = [
    "": 1, "B": 1,
    "K": 1 << 10, "KIB": 1 << 10, "KB": 1_000,
    "M": 1 << 20, "MIB": 1 << 20, "MB": 1_000_000,
    "G": 1 << 30, "GIB": 1 << 30, "GB": 1_000_000_000,
    "T": 1 << 40, "TIB": 1 << 40, "TB": 1_000_000_000_000,
  ]

  /// `8MiB`, `8M`, `8 MiB`: powers of 1,024; `8MB`: powers of 1,000; `8192`: bytes. In any case of
  /// letters.
  static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = String(text.dropFirst(digits.count)).trimmed.uppercased()
    guard let number = Int(digits), let factor = units[unit] else { return nil }
    let (size, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : size
  }

  static func text(_ size: Int) -> String {
    for (unit, factor) in [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    where size % factor == 0 { return "\(size / factor)\(unit)" }
    return "\(size)"
  }
}

extension String {
  fileprivate var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
