// The server over real sockets: what a person with netcat sees, however the bytes travel.

import Glibc
import LineChat
import LineChatCore
import LineProtocol
import Logging
import TestSupport
import Testing

@Suite("A server over sockets", .ownThread, .timeLimit(.minutes(20)))
struct ServerTests {
  @Test("two members chat")
  func chat() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let bob = try server.member("bob")
    try alice.expect(":bob@relay JOIN lobby")
    try bob.send("MSG lobby hello, world\n")
    try bob.expect("OK MSG lobby 1/1")
    try alice.expect(":bob@relay MSG lobby hello, world")
    try alice.send("PM bob psst\n")
    try alice.expect("OK PM bob")
    try bob.expect(":alice@relay PM bob psst")
    try bob.send("QUIT\n")
    try bob.expect("OK QUIT")
    #expect(try bob.line() == nil)
    #expect(bob.end == .inOrder)
    try alice.expect(":bob@relay LEAVE lobby")
  }

  @Test("a line may arrive byte by byte, and end in LF or CRLF")
  func pieces() throws {
    let server = try TestServer()
    let client = try server.client()
    for byte in Array("PING one\r\nPING two\n\r\n\nPING three\r\n".utf8) { try client.send([byte]) }
    try client.expect("PONG one")
    try client.expect("PONG two")
    try client.expect("PONG three")
  }

  @Test("pipelined requests are answered in their order", arguments: [1, 100, 20_000])
  func pipelining(count: Int) throws {
    let server = try TestServer()
    let client = try server.client()
    let requests = (1...count).map { "PING \($0)\n" }.joined()
    // The replies are read while the requests go out, as neither fits the kernel's buffers for sure.
    let bytes = Array(requests.utf8)
    var sent = 0
    for number in 1...count {
      while sent < bytes.count {
        let taken = client.sendAtOnce(Array(bytes[sent..<min(sent + 65_536, bytes.count)]))
        sent += taken
        if taken == 0 { break }
      }
      try client.expect("PONG \(number)")
    }
    #expect(sent == bytes.count)
  }

  @Test("a line of 65,536 bytes goes through, one more byte is refused")
  func longestLine() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let bob = try server.member("bob")
    try alice.expect(":bob@relay JOIN lobby")
    let head = "MSG lobby "
    let text = String(repeating: "x", count: 65_536 - head.utf8.count - 1)
    try bob.send(head + text + "\n")
    try bob.expect("OK MSG lobby 1/1")
    try alice.expect(":bob@relay MSG lobby " + text)
    try bob.send(head + text + "y\nPING still\n")
    #expect(try bob.line()?.hasPrefix("ERR line-too-long ") == true)
    try bob.expect("PONG still")
  }

  @Test("IPv6 and Unix sockets are served beside IPv4")
  func families() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer {
      $0.listen.append(try ListenAddress(parsing: "[::1]:0"))
      $0.listen.append(try ListenAddress(parsing: "unix:\(directory.path)/socket"))
    }
    let addresses = server.server.addresses
    #expect(addresses.count == 3)
    let clients = try addresses.map { try TestClient($0) }
    for (index, client) in clients.enumerated() {
      try client.line(startingWith: "INFO ")
      try client.ask("NICK member\(index)")
      try client.ask("JOIN lobby")
    }
    try clients[2].ask("MSG lobby to all")
    try clients[0].line(startingWith: ":member2@relay MSG lobby to all")
    try clients[1].line(startingWith: ":member2@relay MSG lobby to all")
    #expect(server.log.all.contains { $0.contains("[::1]:") && $0.contains("connected as") })
    #expect(server.log.all.contains { $0.contains("unix socket connected as") })
  }

  @Test("a Unix socket is for its owner alone, replaces a stale one, and is removed at the end")
  func unixSocketFile() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/socket"
    let address = try ListenAddress(parsing: "unix:\(path)")
    // As a killed server leaves it: bound once, and nobody there.
    let stale = socket(AF_UNIX, Int32(bitPattern: SOCK_STREAM.rawValue), 0)
    #expect(SocketAddress.with(path: path) { bind(stale, $0, $1) } == 0)
    close(stale)

    let server = try TestServer { $0.listen = [address] }
    var status = stat()
    #expect(stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    _ = try server.client()

    let error = #expect(throws: ServerError.self) {
      _ = try TestServer { $0.listen = [address] }
    }
    #expect(error?.kind == .addressInUse)
    _ = try server.client()
    server.server.stop()
    server.server.waitUntilStopped()
    #expect(stat(path, &status) != 0)
  }

  @Test("a file that is no socket is left alone")
  func fileInTheWay() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/notes"
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    let error = #expect(throws: ServerError.self) {
      _ = try TestServer { $0.listen = [try ListenAddress(parsing: "unix:\(path)")] }
    }
    #expect(error?.kind == .badPath)
    var status = stat()
    #expect(stat(path, &status) == 0)
  }

  @Test("a port in use is said")
  func portInUse() throws {
    let server = try TestServer()
    let address = try server.address
    let error = #expect(throws: ServerError.self) { _ = try TestServer { $0.listen = [address] } }
    #expect(error?.kind == .addressInUse)
    #expect(error?.description == "\(address) is in use; is a linechatd running already?")
  }

  @Test("localhost stands for its addresses, all on one port")
  func name() throws {
    let server = try TestServer { $0.listen = [try ListenAddress(parsing: "localhost:0")] }
    let ports = server.server.addresses.compactMap { address in
      if case .tcp(_, let port) = address.kind { port } else { nil }
    }
    #expect(!ports.isEmpty && Set(ports).count == 1)
    for address in server.server.addresses {
      try TestClient(address).line(startingWith: "INFO ")
    }
  }

  @Test("STATS counts what the machine sees")
  func stats() throws {
    let server = try TestServer()
    let client = try server.client()
    try client.ask("PING")
    try client.send("STATS\n")
    var stats: [String: Int] = [:]
    while let line = try client.line(), line != "OK STATS" {
      let words = line.split(separator: " ")
      if words.count == 3 { stats[String(words[1])] = Int(words[2]) }
    }
    #expect(stats["connections"] == 1)
    #expect(stats["bytes-received"] == 5)
    #expect(stats["bytes-sent"] ?? 0 > 20)
    #expect(stats["bytes-pending"] == 0)
  }

  @Test("the log says who did what, escaped, and texts at trace level only")
  func log() throws {
    for level in [Logger.Level.info, .trace] {
      let server = try TestServer(logLevel: level)
      let alice = try server.member("alice")
      let bob = try server.member("bob")
      try bob.ask("NICK alice")
      try bob.ask("MSG lobby \u{FEFF}secret\\")
      try bob.ask("FROB\u{200E}")
      try alice.line(startingWith: ":bob@relay MSG")
      try bob.ask("QUIT")
      try eventually("the log is written") {
        server.log.all.contains { $0.contains("disconnected: quit") }
      }
      let text = server.log.all.joined(separator: "\n")
      #expect(text.contains("info alice@relay joined lobby (1 member)"))
      #expect(text.contains("info bob@relay joined lobby (2 members)"))
      #expect(text.contains("name-taken NICK: "))
      #expect(text.contains("bob@relay left lobby (1 member)"))
      #expect(!text.contains("\u{FEFF}") && !text.contains("\u{200E}"))
      #expect(text.contains("secret") == (level == .trace))
    }
  }

  @Test("a server is started once, and may be stopped before it runs")
  func lifeCycle() throws {
    var configuration = Server.Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    let server = Server(configuration, logger: LogRecord().logger())
    #expect(throws: ServerError.self) { try server.run() }
    try server.start()
    #expect(throws: ServerError.self) { try server.start() }
    server.stop()
    server.stop()
    try server.run()
    server.waitUntilStopped()
    #expect(throws: ServerError.self) { try server.run() }
  }

  @Test("at a stop everybody is told, and gets what is due")
  func gracefulStop() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let bob = try server.member("bob", receiveBuffer: 65_536)
    // More than the kernel takes for bob at once, who begins to read when the server stops.
    let text = String(repeating: "x", count: 60_000)
    for _ in 1...100 { try alice.ask("MSG lobby \(text)") }
    server.server.stop()
    var heard = 0
    while let line = try bob.line() {
      if line.hasPrefix(":alice@relay MSG lobby ") { heard += 1 }
      if line.hasPrefix("INFO shutting-down") { break }
    }
    #expect(heard == 100)
    #expect(try bob.line() == nil)
    #expect(bob.end == .inOrder)
    try alice.line(startingWith: "INFO shutting-down")
    #expect(try alice.line() == nil)
    alice.close()
    bob.close()
    server.server.waitUntilStopped()
    #expect(throws: (any Error).self) { try TestClient(server.address) }
  }

  @Test("a stop takes five seconds at most, whoever does not read")
  func stopIsBounded() throws {
    let server = try TestServer()
    let alice = try server.member("alice")
    let bob = try server.member("bob", receiveBuffer: 4_096)
    let text = String(repeating: "x", count: 60_000)
    for _ in 1...100 { try alice.ask("MSG lobby \(text)") }
    let start = Deadline.now
    server.server.stop()
    server.server.waitUntilStopped()
    #expect(Deadline.now - start < 5_000_000_000)
    bob.close()
  }
}
