// The shell as it runs: the model in the middle, the terminal on one side, the node on the other. All
// on one thread but the node, which has its own.

import Glibc
import LineChat
import LineChatCore

package final class ShellRunner {
  private let terminal: Terminal
  private let node: ShellNode
  private let memoryFile: ShellMemoryFile?
  private let onMention: MentionCommand?
  private var model: ShellModel
  private var exitCode = ShellExit.fine

  /// - Parameter memory: what was said of it at the start goes to the notes.
  package init(
    _ configuration: ShellModel.Configuration, terminal: Terminal, node: ShellNode,
    onMention: MentionCommand? = nil
  ) {
    var configuration = configuration
    configuration.tellsMentions = onMention != nil
    self.onMention = onMention
    configuration.notes += terminal.warnings
    memoryFile = node.path.map { ShellMemoryFile(in: $0) }
    var memory = ShellMemory()
    do throws(ShellMemoryFault) { memory = try memoryFile?.read() ?? memory } catch {
      configuration.notes.append("\(error)")
    }
    model = ShellModel(configuration, memory: memory)
    self.terminal = terminal
    self.node = node
  }

  /// Runs until its end, and the node's; returns the exit code.
  package func run() throws(NodeError) -> Int32 {
    terminal.complete = { [unowned self] request in
      let completion = model.complete(request, now: now)
      carryOut()
      return completion
    }
    model.start(now: now)
    carryOut()
    try node.run()
    if !isOver {
      let deadline = { [unowned self] in self.deadline }
      terminal.run(waking: node.inbox.number, until: deadline) { [unowned self] event in
        handle(event)
      }
    }
    terminal.close()
    onMention?.end()
    node.end()
    return exitCode
  }

  private var isOver = false

  private var now: Instant { MachineClock.system.now() }

  private var deadline: ContinuousClock.Instant? {
    model.deadline.map { due in
      .now + .microseconds(max(0, due - now.monotonicMicroseconds))
    }
  }

  private func handle(_ event: TerminalEvent) {
    switch event {
    case .woken: takeNews()
    case .due: model.tick(now: now)
    default: model.handle(event, now: now)
    }
    carryOut()
  }

  private func takeNews() {
    for item in node.inbox.take() {
      switch item {
      case .event(let event): model.hear(event, now: now)
      case .answer(let call, let answer): model.answered(call, answer, now: now)
      case .ended(let reason): model.nodeEnded(reason, now: now)
      }
    }
  }

  private func carryOut() {
    // What is answered at once is among the effects of the next round.
    for effect in model.takeEffects() where !isOver {
      switch effect {
      case .print(let line, let indent): terminal.print(line, indent: indent)
      case .complain(let line): terminal.complain(line)
      case .prompt(let text): terminal.prompt = text
      case .text(let text): terminal.setText(text)
      case .bell: terminal.bell()
      case .mention(let mention): onMention?.run(mention)
      case .clearScreen: terminal.clearScreen()
      case .reading(let isWanted): terminal.isReading = isWanted
      case .ask(let request, let call): node.ask(request, call: call)
      case .remember(let memory): remember(memory)
      case .exit(let code):
        exitCode = code
        isOver = true
        terminal.stop()
      }
    }
  }

  private func remember(_ memory: ShellMemory) {
    do throws(ShellMemoryFault) { try memoryFile?.write(memory) } catch {
      terminal.complain(StyledText("-- \(error)"))
    }
  }
}

extension LocalTime {
  /// As the system says, by TZ or /etc/localtime.
  package static let system = LocalTime { microseconds in
    var seconds = time_t(microseconds / 1_000_000)
    var local = tm()
    return localtime_r(&seconds, &local) == nil ? 0 : local.tm_gmtoff
  }
}
