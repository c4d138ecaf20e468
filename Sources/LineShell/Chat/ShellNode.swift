// The node under a shell: started with its directory taken, asked in the order of what was typed, and
// its answers in the words of the model.

import LineChat
import LineChatCore
import LineProtocol
import Logging

/// A node that runs for a shell. Calls come from the shell's thread; everything that comes back goes
/// through `inbox`.
package final class ShellNode: Sendable {
  let inbox: ShellInbox
  private let machine: NodeMachine
  private let directory: String?

  /// Takes the node's directory, and listens where it was told where. It does not run yet.
  /// - Throws: what `NodeMachine.start` throws: `.directoryInUse` where another process has it.
  package init(
    _ configuration: NodeMachine.Configuration, logger: Logger
  ) throws(NodeError) {
    let inbox: ShellInbox
    do throws(SystemError) { inbox = try ShellInbox() } catch {
      throw NodeError(.system, "cannot make a pipe: \(error)", cause: error)
    }
    self.inbox = inbox
    directory = configuration.directory
    machine = NodeMachine(configuration, logger: logger) { news in
      if let event = NodeEvent(news) { inbox.offer(.event(event)) }
    }
    try machine.start()
  }

  /// Its own directory; nil where it keeps nothing.
  package var path: String? { directory }

  /// Runs on a thread of its own from here on.
  func run() throws(NodeError) {
    do throws(SystemError) {
      try Thread.start { [machine, inbox] in
        do throws(NodeError) { try machine.run() } catch { inbox.offer(.ended("\(error)")) }
      }
    } catch {
      throw NodeError(.system, "cannot start a thread: \(error)", cause: error)
    }
  }

  /// Ends it: what is due is written, within five seconds.
  func end() {
    machine.stop()
    machine.waitUntilStopped()
  }

  // MARK: Asking

  func ask(_ request: ShellRequest, call: UInt64) {
    switch request {
    case .join(let group): perform(.join(group), call)
    case .leave(let group): perform(.leave(group), call)
    case .rename(let name): perform(.rename(name), call)
    case .say(let text, let group): perform(.say(group, text), call)
    case .tell(let text, let peer): perform(.tell(peer, text), call)
    case .members(let group): perform(.members(group), call)
    case .groups: perform(.groups, call)
    case .status:
      machine.status { [inbox] result in
        switch result {
        case .success(let status): inbox.offer(.answer(call, .status(status)))
        case .failure(let error): inbox.offer(.answer(call, ShellAnswer(error)))
        }
      }
    case .history(let conversation, let count):
      read(call) { (logs) throws(StorageError) in try logs.history(conversation, count) }
    case .search(let words, let count):
      read(call) { (logs) throws(StorageError) in try logs.search(words, count) }
    }
  }

  private func perform(_ command: Command, _ call: UInt64) {
    machine.perform(command) { [inbox] result in
      switch result {
      case .success(let answer): inbox.offer(.answer(call, ShellAnswer(answer)))
      case .failure(let error): inbox.offer(.answer(call, ShellAnswer(error)))
      }
    }
  }

  /// Reading may take its time in a large log: that is no reason not to go on typing.
  private func read(
    _ call: UInt64, _ body: @escaping @Sendable (ShellLogs) throws(StorageError) -> ShellAnswer
  ) {
    guard let directory else {
      return inbox.offer(.answer(call, .refused(nil, "this run keeps no log")))
    }
    let inbox = inbox
    do throws(SystemError) {
      try Thread.start {
        do throws(StorageError) {
          inbox.offer(.answer(call, try body(ShellLogs(in: directory))))
        } catch {
          inbox.offer(.answer(call, .refused(nil, "\(error)")))
        }
      }
    } catch {
      inbox.offer(.answer(call, .refused(nil, "\(error)")))
    }
  }
}

extension ShellAnswer {
  init(_ answer: News.Answer) {
    switch answer {
    case .done: self = .done
    case .members(let group, let entries):
      self = .members(
        group,
        entries.map {
          ShellMember($0.member, isOnline: $0.isOnline, speaksTags: $0.speaksTags)
        })
    case .groups(let groups): self = .groups(groups)
    case .receipt(let receipt): self = .receipt(receipt)
    case .refused(let refusal): self = .refused(refusal.code, refusal.text)
    }
  }

  init(_ error: NodeError) {
    guard case .refused(let code) = error.kind else {
      self = .refused(nil, "\(error)")
      return
    }
    self = .refused(code, "\(error)")
  }
}
