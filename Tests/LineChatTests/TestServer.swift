// A server for tests, in this process: it listens on a free port of 127.0.0.1 unless told otherwise,
// keeps its log for the test to look at, and ends with it.

import Glibc
import LineChat
import LineProtocol
import Logging
import Synchronization

/// A log that a test can read.
final class LogRecord: Sendable {
  private let lines = Mutex<[String]>([])

  func append(_ line: String) { lines.withLock { $0.append(line) } }

  var all: [String] { lines.withLock { $0 } }

  struct Handler: LogHandler {
    let record: LogRecord
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { record.append("\(event.level) \(event.message)") }
  }

  func logger(_ level: Logger.Level = .info) -> Logger {
    var logger = Logger(label: "test") { _ in Handler(record: self) }
    logger.logLevel = level
    return logger
  }
}

final class TestServer {
  let server: Server
  let log = LogRecord()

  init(
    logLevel: Logger.Level = .info, _ change: (inout Server.Configuration) throws -> Void = { _ in }
  ) throws {
    var configuration = Server.Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    try change(&configuration)
    server = try Server.launch(configuration, logger: log.logger(logLevel))
  }

  deinit {
    server.stop()
    server.waitUntilStopped()
  }

  var address: ListenAddress {
    get throws {
      guard let address = server.addresses.first else { throw TestFailure("not bound") }
      return address
    }
  }

  /// A client that has been greeted.
  func client(from source: String? = nil, receiveBuffer: Int32? = nil) throws -> TestClient {
    let client = try TestClient(
      address, from: source.flatMap { IPAddress($0) }, receiveBuffer: receiveBuffer)
    try client.line(startingWith: "INFO ")
    return client
  }

  /// A client under a name and in a group.
  func member(
    _ name: String, of group: String = "lobby", from source: String? = nil,
    receiveBuffer: Int32? = nil
  ) throws -> TestClient {
    let client = try client(from: source, receiveBuffer: receiveBuffer)
    let named = try client.ask("NICK \(name)")
    guard named == "OK NICK \(name)" else { throw TestFailure(named) }
    let joined = try client.ask("JOIN \(group)")
    guard joined.hasPrefix("OK JOIN ") else { throw TestFailure(joined) }
    return client
  }
}

/// Runs `body` again and again until it is true; for what the other side does without telling.
func eventually(
  within seconds: Double = 20, _ what: String, _ body: () throws -> Bool
) throws {
  let deadline = Deadline(seconds: seconds)
  while try !body() {
    if deadline.hasPassed { throw TestFailure("it did not happen within \(seconds) s: \(what)") }
    // Leaves the processor to the server; there is nothing to poll.
    poll(nil, 0, 2)
  }
}

/// A directory of the test's own, removed with it.
final class TemporaryDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/linechat-test-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw TestFailure("mkdtemp: errno \(errno)") }
    path = String(cString: made)
  }

  deinit {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != "." && name != ".." { unlink("\(path)/\(name)") }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}
