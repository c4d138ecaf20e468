// The small parts of a node's machine, each by itself.

import LineChatCore
import LineProtocol
import TestSupport
import Testing

@testable import LineChat

@Suite("The mailbox of a node", .ownThread, .timeLimit(.minutes(20)))
struct MailboxTests {
  private let lobby = GroupName("lobby")!

  @Test("hands over calls in their order, and each answer to who asked")
  func order() throws {
    let mailbox = Mailbox()
    let answers = Shared<[String]>([])
    mailbox.perform(.groups) { answers.value.append("groups \($0)") }
    try mailbox.post(.say(lobby, "one"))
    mailbox.status { _ in answers.value.append("status") }
    mailbox.perform(.leave(lobby)) { answers.value.append("leave \($0)") }
    var calls: [UInt64] = []
    for letter in mailbox.take() {
      switch letter {
      case .perform(.groups, let call), .perform(.leave, let call): calls.append(call)
      case .perform(.say(lobby, "one"), call: 0): calls.append(0)
      case .status(let call): calls.append(call)
      case .perform: Issue.record("nobody asked for that")
      }
    }
    #expect(calls.count == 4 && calls[1] == 0 && Set(calls).count == 4)
    #expect(mailbox.take().isEmpty)
    mailbox.answer(calls[3], .refused(Refusal(.notMember, .leave, "no")))
    mailbox.answer(calls[0], .groups([]))
    // An answer that nobody waits for any more, or never did.
    mailbox.answer(calls[0], .groups([]))
    mailbox.answer(0, .done)
    #expect(answers.value.count == 2)
    #expect(answers.value.first?.hasPrefix("leave failure(no") == true, "\(answers.value)")
    #expect(answers.value.last?.hasPrefix("groups success(") == true)
  }

  @Test("takes so many calls until some are answered, and so many bytes until they are taken")
  func bounds() throws {
    let mailbox = Mailbox()
    let failures = Shared<[NodeError.Kind]>([])
    func ask() {
      mailbox.perform(.groups) { result in
        if case .failure(let error) = result { failures.update { $0.append(error.kind) } }
      }
    }
    for _ in 0..<MachineLimits.calls { ask() }
    #expect(failures.value.isEmpty)
    ask()
    mailbox.status { result in
      if case .failure(let error) = result { failures.update { $0.append(error.kind) } }
    }
    #expect(failures.value == [.tooManyCalls, .tooManyCalls])
    #expect(throws: NodeError.self) { try mailbox.post(.groups) }
    // Taken, they still wait for their answers.
    let letters = mailbox.take()
    #expect(letters.count == MachineLimits.calls)
    #expect(throws: NodeError.self) { try mailbox.post(.groups) }
    for case .perform(_, let call) in letters { mailbox.answer(call, .done) }
    let text = String(repeating: "x", count: MachineLimits.callBytes / 4)
    for _ in 0..<4 { try mailbox.post(.say(lobby, text)) }
    let error = #expect(throws: NodeError.self) { try mailbox.post(.say(lobby, "x")) }
    #expect(error?.kind == .tooManyCalls)
    #expect(mailbox.take().count == 4)
    try mailbox.post(.say(lobby, text))
  }

  @Test("at its end, whoever waits is told, once")
  func closed() throws {
    let mailbox = Mailbox()
    let failures = Shared<[NodeError.Kind]>([])
    mailbox.perform(.groups) { result in
      if case .failure(let error) = result { failures.value.append(error.kind) }
    }
    let letters = mailbox.take()
    mailbox.status { result in
      if case .failure(let error) = result { failures.value.append(error.kind) }
    }
    mailbox.close()
    #expect(failures.value == [.stopped, .stopped])
    for case .perform(_, let call) in letters { mailbox.answer(call, .done) }
    mailbox.close()
    #expect(failures.value == [.stopped, .stopped])
    let error = #expect(throws: NodeError.self) { try mailbox.post(.groups) }
    #expect(error?.kind == .stopped)
  }

  @Test("wakes the loop for the first letter, and for those that were there before it")
  func wakes() throws {
    let mailbox = Mailbox()
    let wake = try WakePipe.make()
    mailbox.open(wake)
    func isAwake() throws -> Bool {
      let poller = Poller()
      _ = poller.add(wake.number, .reading)
      try poller.wait(0)
      return !poller.ready.isEmpty
    }
    #expect(try !isAwake())
    try mailbox.post(.groups)
    #expect(try isAwake())
    wake.drain()
    try mailbox.post(.groups)
    #expect(try !isAwake())
    _ = mailbox.take()
    try mailbox.post(.groups)
    #expect(try isAwake())
  }
}

@Suite("The watch for sleep", .ownThread, .timeLimit(.minutes(20)))
struct SleepWatchTests {
  @Test("tells a sleep from a busy moment, and other addresses from the same")
  func watch() {
    let suspended = Shared<Int64>(5_000_000)
    let addresses = Shared<[IPAddress]>([IPAddress(v4: 1)])
    let looks = Shared(0)
    var surroundings = Surroundings()
    surroundings.clock = MachineClock(
      now: { Instant(monotonicMicroseconds: 0, wallMicroseconds: 0) },
      suspendedMicroseconds: { suspended.value })
    surroundings.addresses = {
      looks.update { $0 += 1 }
      return addresses.value
    }
    var watch = SleepWatch(surroundings)
    func look(_ seconds: Int64) -> String? {
      watch.look(
        surroundings,
        now: Instant(monotonicMicroseconds: seconds * 1_000_000, wallMicroseconds: 0))
    }
    #expect(look(0) == nil)
    suspended.value += MachineLimits.sleepLeastMicroseconds
    #expect(look(0) == nil)
    suspended.value += MachineLimits.sleepLeastMicroseconds + 1
    #expect(look(0) == "the machine slept for 2 s")
    #expect(look(0) == nil)
    // The clocks are read one after the other, so the difference trembles.
    suspended.value -= 10
    #expect(look(0) == nil)
    #expect(looks.value == 2)

    addresses.value = []
    #expect(look(2) == nil)
    #expect(looks.value == 2)
    #expect(look(3) == "the addresses of this machine are others now")
    #expect(look(5) == nil)
    #expect(look(6) == nil)
    #expect(looks.value == 4)
    #expect(watch.nextLookMicroseconds == 9_000_000)
  }
}

@Suite("The timer that goes on while the machine sleeps", .ownThread, .timeLimit(.minutes(20)))
struct BootTimerTests {
  @Test("is readable when its time has come, and not again before the next")
  func timer() throws {
    let timer = try #require(BootTimer.make())
    let poller = Poller()
    _ = poller.add(timer.number, .reading)
    func isReadable(within microseconds: Int64) throws -> Bool {
      try poller.wait(microseconds)
      return !poller.ready.isEmpty
    }
    timer.set(1_000)
    #expect(try isReadable(within: 30_000_000))
    #expect(try isReadable(within: 0))
    timer.set(3_600_000_000)
    #expect(try !isReadable(within: 0))
    timer.set(1)
    #expect(try isReadable(within: 30_000_000))
  }
}

@Suite("The resolver", .ownThread, .timeLimit(.minutes(20)))
struct ResolverTests {
  @Test("has so many look-ups under way, and gives each outcome under its number")
  func bounds() throws {
    let gate = Latch()
    let wake = try WakePipe.make()
    let resolver = Resolver(
      { name in
        gate.wait()
        return .failure(NameLookUp.Failure(name))
      }, wake: wake)
    var names: [UInt64: String] = [:]
    for index in 0..<MachineLimits.lookUps {
      names[try resolver.begin("host\(index)")] = "host\(index)"
    }
    #expect(throws: NameLookUp.Failure.self) { try resolver.begin("one too many") }
    #expect(resolver.takeOutcomes().isEmpty)
    gate.open()
    var found: [UInt64: String] = [:]
    try eventually(within: 30, "all have ended") {
      for (number, outcome) in resolver.takeOutcomes() {
        if case .failure(let failure) = outcome { found[number] = failure.description }
      }
      return found.count == MachineLimits.lookUps
    }
    #expect(found == names)
    _ = try resolver.begin("the next")
  }
}

@Suite("Addresses of servers", .ownThread, .timeLimit(.minutes(20)))
struct ServerAddressTests {
  @Test(
    "are written as they are read, with the usual port where there is none",
    arguments: [
      ("chat.example", "chat.example:5463"), ("chat.example:1", "chat.example:1"),
      ("10.0.0.1", "10.0.0.1:5463"), ("10.0.0.1:65535", "10.0.0.1:65535"),
      ("[::1]", "[::1]:5463"), ("[2001:db8::1]:7", "[2001:db8::1]:7"),
      ("localhost", "localhost:5463"),
    ])
  func accepted(text: String, written: String) throws {
    let address = try ServerAddress(parsing: text)
    #expect(address.description == written)
    #expect(try ServerAddress(parsing: written) == address)
  }

  @Test(
    "are refused with what is wrong",
    arguments: [
      ("", "name the server"), (":5463", "name the server"),
      ("chat.example:0", "a port from 1 to 65535"),
      ("chat.example:", "does not end in a port"), ("0.0.0.0:5463", "to listen on"),
      ("[::]", "to listen on"), ("unix:/x", "HOST:PORT"), ("bad host", "neither an IP address"),
      ("::1", "in brackets"), ("chat.example:http", "does not end in a port from 1 to"),
    ])
  func refused(text: String, reason: String) {
    let error = #expect(throws: ListenAddress.Malformed.self) { try ServerAddress(parsing: text) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }
}
