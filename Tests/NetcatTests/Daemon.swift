// A real linechatd in a process of its own, on a free port, for as long as a test needs it.

import Foundation
import LineChat
import LineProtocol
import Synchronization
import TestSupport

final class Daemon: Sendable {
  let port: UInt16
  private let shared: Shared

  /// What the thread that minds the process and the tests both know.
  private final class Shared: Sendable {
    struct State {
      var child: pid_t = -1
      var port: UInt16?
      var failure: Error?
      var exitCode: Child.ExitCode?
    }
    let state = Mutex(State())
    let hasStarted = DispatchSemaphore(value: 0)
    let hasEnded = DispatchSemaphore(value: 0)
  }

  /// linechatd lies beside the tests' own binary.
  static var path: String {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("linechatd").path
  }

  /// Where no directory is given it keeps nothing.
  init(_ options: [String] = [], keepingIn directory: TemporaryDirectory? = nil) throws {
    shared = Shared()
    let shared = shared
    let memory = directory.map { ["--data-dir", $0.path] } ?? ["--memory"]
    let command = [Daemon.path, "--listen", "127.0.0.1:0"] + memory + options
    // A thread of its own reads the log all the time: a full pipe would stop the server.
    Thread.detachNewThread {
      do {
        let child = try Child(command)
        let line = try child.line(of: .errors, containing: "listening on 127.0.0.1:")
        let digits = line.split(separator: "127.0.0.1:", maxSplits: 1).last?.prefix { $0.isNumber }
        shared.state.withLock {
          $0.child = child.process
          $0.port = digits.flatMap { UInt16($0) }
        }
        shared.hasStarted.signal()
        let exitCode = try child.finish(within: .seconds(600))
        shared.state.withLock { $0.exitCode = exitCode }
      } catch {
        shared.state.withLock { $0.failure = error }
        shared.hasStarted.signal()
      }
      shared.hasEnded.signal()
    }
    guard shared.hasStarted.wait(timeout: .now() + 20) == .success else {
      throw TestFailure("linechatd did not start in 20 seconds")
    }
    let state = shared.state.withLock { ($0.port, $0.failure) }
    guard let port = state.0 else {
      throw state.1 ?? TestFailure("linechatd did not say its port")
    }
    self.port = port
  }

  deinit { stop() }

  /// A connection to it that has been greeted.
  func client() throws -> TestClient {
    let client = try TestClient(ListenAddress(IPAddress(v4: 0x7F00_0001), port: port))
    try client.line(startingWith: "INFO linechatd ")
    return client
  }

  /// Ends it as an operator would; gives its exit code, nil if it did not end in ten seconds.
  @discardableResult
  func stop(_ signal: Int32 = SIGTERM) -> Child.ExitCode? {
    shared.state.withLock { state in
      if state.exitCode == nil && state.child > 0 { _ = kill(state.child, signal) }
    }
    guard shared.hasEnded.wait(timeout: .now() + 10) == .success else { return nil }
    shared.hasEnded.signal()
    return shared.state.withLock { $0.exitCode }
  }
}
