// What is logged, and how.

import ArgumentParser
import CommandLineSupport
import Logging

struct LogOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What is logged: trace, debug, info, notice, warning, error or critical; message texts at "
        + "trace only. (default: info; environment: LINECHAT_LOG_LEVEL)", valueName: "level"),
    completion: .list(Logger.Level.allCases.map(\.rawValue)))
  var logLevel: String?

  @Option(
    help: ArgumentHelp(
      "How it is logged, on standard error: text or json. (default: text; environment: "
        + "LINECHAT_LOG_FORMAT)", valueName: "format"),
    completion: .list(LogFormat.allCases.map(\.rawValue)))
  var logFormat: String?

  func settings() throws(ValidationError) -> (Logger.Level, LogFormat) {
    let level = try Given(logLevel, "--log-level", "LINECHAT_LOG_LEVEL").map {
      (given) throws(ValidationError) in try given.word(Logger.Level.allCases)
    }
    let format = try Given(logFormat, "--log-format", "LINECHAT_LOG_FORMAT").map {
      (given) throws(ValidationError) in try given.word(LogFormat.allCases)
    }
    return (level ?? .info, format ?? .text)
  }
}
