// The delay of an echoed key: from the moment at which a key is written to the shell's terminal to the
// one at which it is to be read from there, while messages arrive, or none.
//
// How an echo is told from everything else: what is typed are capitals, and nothing else that the shell
// writes has those (messages and names here are in small letters; the escape sequences that it uses end
// with other capitals). A line that is drawn anew because of a message shows what was typed before, so
// each key of a line is another letter, and two lines that follow each other have none in common: a
// letter that is seen cannot be an old one.

import ArgumentParser
import CBench
import Foundation
import Glibc
import Histogram

struct Typing: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The delay of an echoed key in the shell, while messages arrive.")

  @Option(help: "Messages a second that arrive meanwhile, one row each.")
  var rates: String = "0,1000,10000"

  @Option(help: "Keys for each row.")
  var keys = 2_000

  @Option(help: "Keys a second: 10 are more than people type.")
  var speed = 100

  @OptionGroup var programs: ProgramOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...1_000_000).contains(keys), (1...1_000).contains(speed) else {
      throw ValidationError("--keys is from 1 to 1000000, --speed from 1 to 1000")
    }
    _ = try messageRates()
  }

  private func messageRates() throws -> [Int] {
    try rates.split(separator: ",").map {
      guard let rate = Int($0), (0...1_000_000).contains(rate) else {
        throw ValidationError("--rates are numbers from 0 to 1000000 with commas, not '\(rates)'")
      }
      return rate
    }
  }

  func run() throws {
    let linechatd = try programs.path("linechatd", given: programs.linechatd)
    let linechat = try programs.path("linechat", given: programs.linechat)
    var rows: [Row] = []
    for rate in try messageRates() {
      let desk = try TypingDesk(linechatd, linechat)
      rows.append(try desk.measure(rate: rate, keys: keys, speed: speed))
    }
    try report.print(rows)
  }
}

/// A server, a shell in a terminal, and somebody who says much.
private final class TypingDesk {
  private let server: MeasuredServer
  private let shell: Running
  private let sender: Connection
  private let master: Int32
  private let folder: URL
  private var latencies = Histogram<UInt64>.ofNanoseconds()
  /// Messages of which the beginning was seen.
  private var shown = 0
  private var said = 0
  /// What may be the beginning of one.
  private var tail: [UInt8] = []

  /// What each message begins with.
  private static let mark = Array("message number ".utf8)
  /// Two alphabets with nothing in common, and without the capitals of escape sequences.
  private static let alphabets = [Array("EFGINOQR".utf8), Array("STUVWXYZ".utf8)]

  init(_ linechatd: String, _ linechat: String) throws {
    folder = try Workplace.make()
    server = try MeasuredServer(linechatd)
    sender = try Connection(port: server.port)
    try sender.send("NICK noisy\nJOIN lobby\n")
    try sender.line(startingWith: "OK JOIN")
    var path = [CChar](repeating: 0, count: 128)
    master = cbench_open_terminal(80, 24, &path, path.count)
    guard master >= 0 else { throw BenchFailure("there is no terminal to be had") }
    let terminal = String(decoding: path.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    shell = try Running(
      [
        "env", "TERM=xterm-256color", "INPUTRC=/dev/null", linechat, "--server",
        "127.0.0.1:\(server.port)", "--name", "typist", "--data-dir", folder.path, "lobby",
      ], terminal: terminal)
    _ = try wait(for: Array("you are in lobby".utf8))
  }

  deinit {
    shell.end()
    close(master)
    Workplace.remove(folder)
  }

  func measure(rate: Int, keys: Int, speed: Int) throws -> Row {
    var row = Row("typing", "\(rate) messages/s")
    let stop = Flag()
    let teller = rate > 0 ? start(rate: rate, until: stop) : nil
    let cpu = shell.cpuSeconds
    let ownCPU = Running.ownCPUSeconds
    let start = monotonicNanoseconds()
    var typed = 0
    while typed < keys {
      for letter in Self.alphabets[(typed / 8) % 2] where typed < keys {
        // Keys come at their times, however late the one before was seen.
        try drain(until: start + UInt64(typed) * 1_000_000_000 / UInt64(speed))
        try type(letter)
        typed += 1
      }
      write(0x15)
    }
    let end = monotonicNanoseconds()
    stop.raise()
    said = teller?.count() ?? 0
    row.cpuSeconds = shell.cpuSeconds - cpu
    row.benchCPUSeconds = Running.ownCPUSeconds - ownCPU
    // What is still on its way to the screen.
    let deadline = monotonicNanoseconds() + 20_000_000_000
    while shown < said, monotonicNanoseconds() < deadline {
      try drain(until: monotonicNanoseconds() + 50_000_000)
    }
    row.sent = said
    row.delivered = shown
    row.lost = said - shown
    row.perSecond = Double(said) / (Double(end - start) / 1e9)
    row.take(latencies)
    return row
  }

  // MARK: The messages

  private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var isUp = false

    func raise() { lock.withLock { isUp = true } }

    var isRaised: Bool { lock.withLock { isUp } }
  }

  private final class Teller: @unchecked Sendable {
    private let done = DispatchSemaphore(value: 0)
    private var total = 0

    func finish(_ count: Int) {
      total = count
      done.signal()
    }

    func count() -> Int {
      done.wait()
      return total
    }
  }

  /// In ticks of five milliseconds, as a network delivers them.
  private func start(rate: Int, until stop: Flag) -> Teller {
    let teller = Teller()
    nonisolated(unsafe) let sender = sender
    Thread.detachNewThread {
      var count = 0
      let start = monotonicNanoseconds()
      while !stop.isRaised {
        usleep(5_000)
        let due = Int((monotonicNanoseconds() - start) * UInt64(rate) / 1_000_000_000)
        guard due > count else { continue }
        let lines = (count..<due).map { "MSG lobby message number \($0)\n" }.joined()
        guard (try? sender.send(lines)) != nil else { break }
        _ = try? sender.read(waiting: 0)
        count = due
      }
      teller.finish(count)
    }
    return teller
  }

  // MARK: The terminal

  private func type(_ letter: UInt8) throws {
    let start = monotonicNanoseconds()
    write(letter)
    let seen = try wait(for: [letter])
    latencies.record(seen - start)
  }

  private func write(_ byte: UInt8) {
    var byte = byte
    _ = Glibc.write(master, &byte, 1)
  }

  /// Reads until these bytes have come, and returns when that was.
  private func wait(for wanted: [UInt8]) throws -> UInt64 {
    var text: [UInt8] = []
    let deadline = monotonicNanoseconds() + 20_000_000_000
    while monotonicNanoseconds() < deadline {
      text += try read(waiting: 100)
      if wanted.count == 1 ? text.contains(wanted[0]) : text.firstRange(of: wanted) != nil {
        return monotonicNanoseconds()
      }
    }
    throw BenchFailure("the shell did not show \(String(decoding: wanted, as: UTF8.self))")
  }

  private func drain(until time: UInt64) throws {
    while true {
      let now = monotonicNanoseconds()
      guard now < time else { return }
      _ = try read(waiting: Int32(min(100, (time - now + 999_999) / 1_000_000)))
    }
  }

  private func read(waiting milliseconds: Int32) throws -> [UInt8] {
    var entry = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = Glibc.read(master, &bytes, bytes.count)
    guard count > 0 else { throw BenchFailure("the shell has ended") }
    bytes.removeLast(bytes.count - count)
    countMessages(in: bytes)
    return bytes
  }

  private func countMessages(in bytes: [UInt8]) {
    let all = tail + bytes
    var from = all.startIndex
    while let range = all[from...].firstRange(of: Self.mark) {
      shown += 1
      from = range.upperBound
    }
    tail = Array(all[max(from, all.endIndex - Self.mark.count + 1)...])
  }
}
