// What the fixture does.

import Glibc
import LineChat
import LineShell

final class Fixture {
  private let terminal: Terminal
  private let control: Int32
  private var unread: [UInt8] = []
  private var tabs = 0
  private var completes = true
  private var flood: (left: Int, perSecond: Int, start: ContinuousClock.Instant, shown: Int)?

  static func run() {
    var configuration = Terminal.Configuration()
    configuration.historyPath = variable("FIXTURE_HISTORY")
    configuration.historyLinesMax = variable("FIXTURE_HISTORY_LINES").flatMap { Int($0) } ?? 100
    do {
      try Fixture(Terminal.open(configuration)).run()
    } catch {
      let text = Array("\(error)\n".utf8)
      _ = write(2, text, text.count)
      exit(70)
    }
  }

  private init(_ terminal: Terminal) {
    self.terminal = terminal
    control = Fixture.variable("FIXTURE_CONTROL").map { open($0, O_RDWR | O_NONBLOCK) } ?? -1
  }

  private func run() {
    for warning in terminal.warnings { terminal.print(StyledText("warning: \(warning)")) }
    if terminal.isInteractive { terminal.print("ready") }
    terminal.complete = complete
    terminal.run(waking: control, until: { self.nextOfFlood }, { self.handle($0) })
    terminal.print("bye")
    terminal.close()
    if Fixture.variable("FIXTURE_TWICE") != nil { terminal.close() }
  }

  private func handle(_ event: TerminalEvent) {
    switch event {
    case .line(let text):
      terminal.print(StyledText("line: \(text)"))
      if text.hasPrefix("/") { carryOut(String(text.dropFirst())) }
    case .paste(let lines): terminal.print(StyledText("paste: \(lines.joined(separator: "|"))"))
    case .refused(let input): terminal.print(StyledText("refused: \(input)"))
    case .interrupted(let text): terminal.print(StyledText("interrupted: \(text)"))
    case .ended(let isFinal):
      terminal.print(StyledText("ended: \(isFinal)"))
      if isFinal || Fixture.variable("FIXTURE_STAYS") == nil { terminal.stop() }
    case .signalled(let signal):
      terminal.print(StyledText("signal: \(signal)"))
      terminal.stop()
    case .resized: terminal.print(StyledText("size: \(terminal.columns)x\(terminal.rows)"))
    case .woken: readControl()
    case .due: pour()
    case .outputFailed: exit(74)
    }
  }

  private func readControl() {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = read(control, &bytes, bytes.count)
    guard count > 0 else { return }
    unread += bytes[..<count]
    while let end = unread.firstIndex(of: 0x0A) {
      carryOut(String(decoding: unread[..<end], as: UTF8.self))
      unread.removeFirst(end + 1)
    }
  }

  private func carryOut(_ command: String) {
    let words = command.split(separator: " ", maxSplits: 1).map(String.init)
    let rest = words.count > 1 ? words[1] : ""
    switch words.first {
    case "print": terminal.print(StyledText(rest))
    case "dim": terminal.print(StyledText(rest, .dim))
    case "raw":
      let bytes = rest.split(separator: " ").compactMap { UInt8($0, radix: 16) }
      terminal.print(StyledText(String(decoding: bytes, as: UTF8.self)))
    case "indent":
      let parts = rest.split(separator: " ", maxSplits: 1)
      terminal.print(StyledText(String(parts[1])), indent: Int(parts[0]) ?? 0)
    case "flood":
      let numbers = rest.split(separator: " ").compactMap { Int($0) }
      flood = (numbers[0], numbers[1], .now, 0)
    case "prompt": terminal.prompt = StyledText(rest + "> ", Style(.green, bold: true))
    case "type": terminal.setText(rest)
    case "bell": terminal.bell()
    case "clear": terminal.clearScreen()
    case "crash": preconditionFailure("as asked")
    case "no-completion": completes = false
    case "exit": exit(3)
    case "recurse": terminal.print(StyledText("\(sum(from: 0))"))
    case "hang":
      // By no loop: nothing else is written from here on.
      _ = write(STDOUT_FILENO, "\r\nhangs\r\n", 9)
      while true { pause() }
    case "stop": terminal.stop()
    case "pause": terminal.isReading = false
    case "go": terminal.isReading = true
    default: break
    }
  }

  private var nextOfFlood: ContinuousClock.Instant? {
    flood.map { $0.start + .seconds(1) * $0.shown / $0.perSecond }
  }

  private func pour() {
    while let (left, perSecond, start, shown) = flood, let due = nextOfFlood, due <= .now {
      terminal.print(StyledText("flood \(shown + 1)"))
      flood = left > 1 ? (left - 1, perSecond, start, shown + 1) : nil
    }
  }

  private func complete(_ request: CompletionRequest) -> Completion {
    // The window's title tells that all keys before this TAB were looked at; nothing is drawn for it.
    tabs += 1
    let title = Array("\u{1B}]2;tab \(tabs)\u{7}".utf8)
    _ = write(1, title, title.count)
    if !completes { return .none }
    let (names, appended): ([String], String) =
      switch request.before {
      case "" where request.word.hasPrefix("/"): (["/join", "/jump", "/help"], " ")
      case "": (["bob", "bobby", "alice"], ": ")
      case "/join ": (["lobby", "loft", "Größe"], " ")
      case "/pm ":
        (["alice", "carol@127.0.0.1:5004", "127.0.0.1:5001", "127.0.0.1:5002", "[::1]:5003"], " ")
      case "/many ": ((1...300).map { "name\($0)" }, " ")
      default: (["zoe", "Zacharias"], " ")
      }
    let word = request.word.lowercased()
    return Completion(names.filter { $0.lowercased().hasPrefix(word) }, appending: appended)
  }

  /// Takes more stack than there is.
  @inline(never)
  private func sum(from number: Int) -> Int {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: 64) { numbers in
      numbers.initialize(repeating: number)
      return sum(from: number + 1) + numbers[numbers.count - 1]
    }
  }

  private static func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }
}
