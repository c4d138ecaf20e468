// The options, each of them from the command line or the environment, and what they come to.

import ArgumentParser
import CommandLineSupport
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

  @OptionGroup var quotas: QuotaOptions

  @Option(
    help: ArgumentHelp(
      "Lines a second that are taken from one connection, 0 to 1000000; who sends more is not read from "
        + "for a while. 0: no limit. (default: 0; environment: LINECHATD_MAX_RATE)",
      valueName: "lines"))
  var maxRate: String?

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
        + "trace only. (default: info; environment: LINECHATD_LOG_LEVEL)", valueName: "level"),
    completion: .list(Logger.Level.allCases.map(\.rawValue)))
  var logLevel: String?

  @Option(
    help: ArgumentHelp(
      "How it is logged, on standard error: text or json. (default: text; environment: "
        + "LINECHATD_LOG_FORMAT)", valueName: "format"),
    completion: .list(LogFormat.allCases.map(\.rawValue)))
  var logFormat: String?
}

/// What one address may have, so that nobody alone takes all there is.
struct QuotaOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Connections at once from one address, 0 to 1000000; 0: no limit. Who comes from this machine "
        + "is not counted. (default: 1000; environment: LINECHATD_MAX_CONNECTIONS_PER_ADDRESS)",
      valueName: "number"))
  var maxConnectionsPerAddress: String?

  @Option(
    help: ArgumentHelp(
      "Names that one address has, connected ones and durable members', 0 to 1000000; 0: no limit. "
        + "(default: 1000; environment: LINECHATD_MAX_NAMES_PER_ADDRESS)", valueName: "number"))
  var maxNamesPerAddress: String?

  @Option(
    help: ArgumentHelp(
      "Groups made from one address that are still there, 0 to 1000000; 0: no limit. (default: "
        + "1000; environment: LINECHATD_MAX_GROUPS_PER_ADDRESS)", valueName: "number"))
  var maxGroupsPerAddress: String?

  @Flag(
    help: ArgumentHelp(
      "Count who comes from this machine as well: for tests, and where a tunnel ends here. "
        + "(environment: LINECHATD_QUOTAS_ON_LOOPBACK=1)"))
  var quotasOnLoopback = false

  func apply(to server: inout Server.Configuration) throws(ValidationError) {
    if let given = Given(
      maxConnectionsPerAddress, "--max-connections-per-address",
      "LINECHATD_MAX_CONNECTIONS_PER_ADDRESS")
    {
      server.connectionsPerAddressMax = try given.number(0...1_000_000)
    }
    if let given = Given(
      maxNamesPerAddress, "--max-names-per-address", "LINECHATD_MAX_NAMES_PER_ADDRESS")
    {
      server.namesPerAddressMax = try given.number(0...1_000_000)
    }
    if let given = Given(
      maxGroupsPerAddress, "--max-groups-per-address", "LINECHATD_MAX_GROUPS_PER_ADDRESS")
    {
      server.groupsPerAddressMax = try given.number(0...1_000_000)
    }
    let variable = try Given.variable("LINECHATD_QUOTAS_ON_LOOPBACK")?.isYes() ?? false
    server.quotasCountLoopback = quotasOnLoopback || variable
  }
}

/// Which directory belongs to a server: the server is told so, and so are those who speak to it.
struct DirectoryOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the server keeps what must outlive it. (default: $XDG_STATE_HOME/linechatd or "
        + "~/.local/state/linechatd; environment: LINECHATD_DATA_DIR)", valueName: "directory"),
    completion: .directory)
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
    if let given = Given(maxConnections, "--max-connections", "LINECHATD_MAX_CONNECTIONS") {
      settings.server.connectionsMax = try given.number(1...1_000_000)
    }
    try quotas.apply(to: &settings.server)
    if let given = Given(maxRate, "--max-rate", "LINECHATD_MAX_RATE") {
      settings.server.linesPerSecondMax = try given.number(0...1_000_000)
    }
    if let given = Given(maxLine, "--max-line", "LINECHATD_MAX_LINE") {
      settings.server.lineBytesMax = try given.size(512...65_536)
    }
    if let given = Given(maxPending, "--max-pending", "LINECHATD_MAX_PENDING") {
      settings.server.pendingBytesMax = try given.size(4_096...(1 << 30))
    }
    if let given = Given(maxPendingTotal, "--max-pending-total", "LINECHATD_MAX_PENDING_TOTAL") {
      settings.server.pendingBytesTotalMax = try given.size(4_096...(1 << 40))
    }
    settings.server.dataDirectory = try dataDirectory()
    if let given = Given(memberTTL, "--member-ttl", "LINECHATD_MEMBER_TTL") {
      settings.server.memberTTLSeconds = try given.duration(1...315_360_000)
    }
    if let given = Given(logLevel, "--log-level", "LINECHATD_LOG_LEVEL") {
      settings.logLevel = try given.word(Logger.Level.allCases)
    }
    if let given = Given(logFormat, "--log-format", "LINECHATD_LOG_FORMAT") {
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
    if directory.dataDir == nil, try Given.variable("LINECHATD_MEMORY")?.isYes() == true {
      return nil
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
}
