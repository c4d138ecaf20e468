// A server inside the test's own process, on a free port of 127.0.0.1, silent in the log.

import LineChat
import LineProtocol
import Logging

package final class RunningServer {
  package let port: UInt16
  private let server: Server

  package init(maxConnections: Int? = nil, maxPending: Int? = nil, maxLine: Int? = nil) throws {
    var configuration = Server.Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    if let maxConnections { configuration.connectionsMax = maxConnections }
    if let maxPending { configuration.pendingBytesMax = maxPending }
    if let maxLine { configuration.lineBytesMax = maxLine }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    server = try Server.launch(configuration, logger: logger)
    guard case .tcp(_, let port)? = server.addresses.first?.kind else {
      preconditionFailure("a server that was asked to listen has an address")
    }
    self.port = port
  }

  deinit { stop() }

  /// Asks it to stop; what is due is still written.
  package func stop() { server.stop() }
}
