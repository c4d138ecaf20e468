// The server that is abused: linechatd as a process of its own, with what a test needs to see whether it
// stands it. The tests take a small form; LINECHAT_ABUSE=whole makes them as large as their names say,
// and prints what was measured.

import Foundation
import Glibc
import LineChat
import LineProtocol
import TestSupport

enum Abuse {
  static let isWhole = ProcessInfo.processInfo.environment["LINECHAT_ABUSE"] == "whole"

  /// As many as the test's name says, or fewer.
  static func count(_ whole: Int, or small: Int) -> Int { isWhole ? whole : small }

  /// Figures for whoever has asked for the whole form.
  static func report(_ what: String) {
    if isWhole { print("abuse: \(what)") }
  }

  static func megabytes(_ bytes: Int) -> String { "\((bytes + (1 << 19)) >> 20) MiB" }

  /// Ten thousand connections have two ends, and one of each is ours.
  static let raiseDescriptorLimit: Void = {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, 20_000)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }()
}

final class Target {
  let daemon: Linechatd
  let address: ListenAddress
  let figures: ProcessFigures

  init(
    _ options: [String] = [], listen: String = "127.0.0.1:0",
    keepingIn directory: TemporaryDirectory? = nil
  ) throws {
    Abuse.raiseDescriptorLimit
    let place = directory.map { ["--data-dir", $0.path] } ?? []
    daemon = try Linechatd(["--listen", listen] + place + options)
    address = try daemon.addresses()[0]
    figures = daemon.figures
  }

  var port: UInt16 {
    get throws {
      guard case .tcp(_, let port) = address.kind else { throw TestFailure("no port") }
      return port
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
    _ name: String, of group: String = "lobby", receiveBuffer: Int32? = nil
  ) throws -> TestClient {
    let client = try client(receiveBuffer: receiveBuffer)
    for request in ["NICK \(name)", "JOIN \(group)"] {
      let reply = try client.ask(request)
      guard reply.hasPrefix("OK ") else { throw TestFailure(reply) }
    }
    return client
  }

  func stop() throws {
    daemon.signal(SIGTERM)
    let code = try daemon.exitCode()
    guard code == 0 else { throw TestFailure("it ended with \(code)") }
  }
}

extension TestClient {
  /// What the server counts.
  func stats() throws -> [String: Int] {
    try send("STATS\n")
    var found: [String: Int] = [:]
    while let line = try line(), line != "OK STATS" {
      let words = line.split(separator: " ")
      if words.count == 3, words[0] == "STAT" { found[String(words[1])] = Int(words[2]) }
    }
    return found
  }

  /// What the server says to a request, its final line included, other lines left out.
  func answers(_ request: String, _ expected: String) throws {
    let reply = try ask(request)
    guard reply.hasPrefix(expected) else {
      throw TestFailure("'\(request)' was answered '\(reply)', not '\(expected)'")
    }
  }
}

/// Reads everything that comes on a connection, on a thread of its own, as fast as it can, and counts
/// lines.
final class Drain: Sendable {
  private let shared = Shared(State())
  private struct State {
    var lines = 0
    var bytes = 0
    var hasEnded = false
    var isOver = false
  }

  /// Counts the lines that begin with `start`, from what has not been read yet. With `isNumbered`, what
  /// follows there must be 1, 2, 3 …
  init(_ client: TestClient, countingLinesWith start: String, isNumbered: Bool = false) {
    let descriptor = dup(client.descriptor)
    let shared = shared
    Thread.detachNewThread {
      defer { close(descriptor) }
      var counter = LineCounter(start: Array(start.utf8), isNumbered: isNumbered)
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      while !shared.value.isOver {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, 100) > 0 else { continue }
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR {
          return shared.update { $0.hasEnded = true }
        }
        guard count > 0 else { continue }
        counter.take(buffer, count)
        let lines = counter.isInOrder ? counter.lines : -1
        shared.update { state in
          state.lines = lines
          state.bytes += count
        }
      }
    }
  }

  deinit { shared.update { $0.isOver = true } }

  /// Lines so far; -1 where they were out of order.
  var lines: Int { shared.value.lines }
  var bytes: Int { shared.value.bytes }
}

/// Counts lines with a beginning in a stream that comes in pieces, without looking at each byte.
private struct LineCounter {
  let start: [UInt8]
  let isNumbered: Bool
  private(set) var lines = 0
  private(set) var isInOrder = true
  /// The first bytes of the line that has been begun.
  private var head: [UInt8] = []
  private static let headBytes = 80

  init(start: [UInt8], isNumbered: Bool) {
    self.start = start
    self.isNumbered = isNumbered
  }

  mutating func take(_ buffer: [UInt8], _ count: Int) {
    buffer.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      var position = 0
      while position < count {
        let end = memchr(base + position, 0x0A, count - position).map { base.distance(to: $0) }
        let stop = end ?? count
        let room = max(0, Self.headBytes - head.count)
        head += bytes[position..<min(stop, position + room)]
        position = stop + 1
        if end != nil { endLine() }
      }
    }
  }

  private mutating func endLine() {
    defer { head.removeAll(keepingCapacity: true) }
    guard head.starts(with: start) else { return }
    lines += 1
    guard isNumbered else { return }
    let digits = head.dropFirst(start.count).prefix { $0 >= 0x30 && $0 <= 0x39 }
    if String(decoding: digits, as: UTF8.self) != "\(lines)" { isInOrder = false }
  }
}
