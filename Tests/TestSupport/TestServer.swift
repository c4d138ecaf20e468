// A server for tests, in this process: it listens on a free port of 127.0.0.1 unless told otherwise,
// keeps its log for the test to look at, and ends with it.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import Logging
import Synchronization

/// A log that a test can read.
package final class LogRecord: Sendable {
  private let lines = Mutex<[String]>([])

  package init() {}

  package func append(_ line: String) { lines.withLock { $0.append(line) } }

  package var all: [String] { lines.withLock { $0 } }

  private struct Handler: LogHandler {
    let record: LogRecord
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { record.append("\(event.level) \(event.message)") }
  }

  package func logger(_ level: Logger.Level = .info) -> Logger {
    var logger = Logger(label: "test") { _ in Handler(record: self) }
    logger.logLevel = level
    return logger
  }
}

package final class TestServer {
  package let server: Server
  package let log = LogRecord()

  package init(
    logLevel: Logger.Level = .info, disk: TestDisk? = nil,
    _ change: (inout Server.Configuration) throws -> Void = { _ in }
  ) throws {
    var configuration = Server.Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    try change(&configuration)
    let logger = log.logger(logLevel)
    if let disk {
      server = Server(configuration, logger: logger) { path throws(StorageError) in
        try disk.make(path)
      }
      try server.launch()
    } else {
      server = try Server.launch(configuration, logger: logger)
    }
  }

  /// A server that remembers.
  package convenience init(
    _ directory: TemporaryDirectory, logLevel: Logger.Level = .info, disk: TestDisk? = nil
  ) throws {
    try self.init(logLevel: logLevel, disk: disk) { $0.dataDirectory = directory.path }
  }

  deinit { stop() }

  package func stop() {
    server.stop()
    server.waitUntilStopped()
  }

  package var address: ListenAddress {
    get throws {
      guard let address = server.addresses.first else { throw TestFailure("not bound") }
      return address
    }
  }

  /// A client that has been greeted.
  package func client(from source: String? = nil, receiveBuffer: Int32? = nil) throws -> TestClient
  {
    let client = try TestClient(
      address, from: source.flatMap { IPAddress($0) }, receiveBuffer: receiveBuffer)
    try client.line(startingWith: "INFO ")
    return client
  }

  /// A client under a name and in a group.
  package func member(
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
package func eventually(
  within seconds: Double = 20, _ what: String, _ body: () throws -> Bool
) throws {
  let deadline = Deadline(seconds: seconds)
  while try !body() {
    if deadline.hasPassed { throw TestFailure("it did not happen within \(seconds) s: \(what)") }
    pauseBriefly()
  }
}

/// Leaves the processor to others where there is nothing to poll.
package func pauseBriefly() { poll(nil, 0, 2) }

/// A directory of the test's own, removed with it.
package final class TemporaryDirectory {
  package let path: String

  package init() throws {
    let letters = String(repeating: "X", count: 6)
    var template = Array("/tmp/linechat-test-\(letters)".utf8CString)
    guard let made = mkdtemp(&template) else { throw TestFailure("mkdtemp: errno \(errno)") }
    path = String(cString: made)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  package func text(of name: String) throws -> String {
    try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
  }
}
