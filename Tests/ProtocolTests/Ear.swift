// Somebody in a transcript who listens at a port of its own. Left alone it is what `nc -lk` is: one
// connection at a time is read to its end, and what came is its next lines. A program, which says
// who it is and acknowledges, takes a connection by itself and holds it until it is let go.

import TestSupport

final class Ear {
  let port: UInt16
  private let listener: TestListener
  /// What came and has not been asked for.
  private var heard: [String] = []
  /// The connection that a program holds.
  private var link: TestClient?

  init(port: UInt16?) throws {
    listener = try TestListener(port: port)
    self.port = listener.port
  }

  func close() { listener.close() }

  /// The next line; nil where a program was let go instead.
  func line() throws -> String? {
    if let link { return try link.line() }
    while heard.isEmpty { heard = try listener.accept().linesToEnd() }
    return heard.removeFirst()
  }

  func send(_ bytes: [UInt8]) throws {
    guard let link else { throw TestFailure("nobody has dialled it") }
    try link.send(bytes)
  }

  func accept() throws { link = try listener.accept() }

  func beLetGo() throws {
    if let line = try link?.line() {
      throw TestFailure("should have been let go, but heard: \(line)")
    }
    link = nil
  }

  /// A line that came and was not asked for.
  func more() throws -> String? {
    if let line = heard.first { return line }
    return try (try? listener.accept(within: 0))?.linesToEnd().first
  }
}
