// What outlives a server's process, in a real directory: members, their names, what is kept for them,
// the versions; and what happens where the disk does not do its part.

import Foundation
import Glibc
import LineChat
import LineChatCore
import LineProtocol
import TestSupport
import Testing

@Suite("Data directory", .ownThread, .timeLimit(.minutes(20)))
struct DataDirectoryTests {
  @Test("members, what is kept for them, and the server's id outlive it; a new one is another")
  func restart() throws {
    let directory = try TemporaryDirectory()
    var server = try TestServer(directory)
    let greeting = try TestClient(server.address).line()
    let id = try #require(word("server", in: greeting))
    #expect(
      server.log.all.contains(
        "info new state directory \(directory.path), this server's id is \(id)"))
    for (name, place) in [("carol", "relay"), ("dave", "relay"), ("erin", ":5999")] {
      let client = try server.client()
      try client.ask("NICK \(name)")
      #expect(try client.ask("JOIN ops \(place)").hasPrefix("OK JOIN ops "))
      if name == "dave" { #expect(try client.ask("LEAVE ops") == "OK LEAVE ops") }
      if name == "carol" { #expect(try client.ask("NICK Zoe") == "OK NICK Zoe") }
      try client.ask("QUIT")
    }
    let alice = try server.client()
    try alice.ask("NICK alice")
    #expect(try alice.ask("MSG ops one") == "OK MSG ops 0/2 kept 2")
    #expect(try alice.ask("PM zoe two") == "OK PM Zoe kept")
    // Twice: the second start has a snapshot and nothing after it.
    for _ in 1...2 {
      server.stop()
      server = try TestServer(directory)
      let client = try TestClient(server.address)
      #expect(word("server", in: try client.line()) == id)
      try client.send("MEMBERS ops\n")
      try client.expect("MEMBER ops Zoe@relay away")
      try client.expect("MEMBER ops erin@127.0.0.1:5999 away")
      try client.expect("OK MEMBERS ops 2")
    }
    let zoe = try server.client()
    try zoe.send("NICK zoe\n")
    try zoe.line(startingWith: ":alice@relay MSG ops one")
    try zoe.expect(":alice@relay PM Zoe two")
    try zoe.ask("PING")
    zoe.close()
    server.stop()
    server = try TestServer(directory)
    #expect(!(try directory.text(of: "groups.json")).contains("PM Zoe two"))
    let other = try TestServer(try TemporaryDirectory())
    #expect(word("server", in: try TestClient(other.address).line()) != id)
  }

  private func word(_ key: String, in line: String?) -> String? {
    line?.split(separator: " ").first { $0.hasPrefix("\(key)=") }
      .map { String($0.dropFirst(key.count + 1)) }
  }

  @Test("versions rise over restarts, faster than the clock and after it went back")
  func versions() throws {
    let directory = try TemporaryDirectory()
    var last = RosterVersion(start: 0, number: 0)
    for turn in 1...4 {
      if turn == 3 {
        // As if the last run had been in the future.
        let text = try directory.text(of: "groups.json")
        let line = try #require(text.split(separator: "\n").first { $0.contains("\"start\"") })
        let crc = try #require(text.split(separator: "\n").first { $0.contains("\"crc\"") })
        let changed = text.replacing(String(line), with: "  \"start\" : 9000000000000,")
          .replacing(String(crc) + "\n", with: "")
        try changed.write(
          toFile: "\(directory.path)/groups.json", atomically: true, encoding: .utf8)
      }
      let server = try TestServer(directory)
      let version = try versionOfJoin(server)
      #expect(version > last, "turn \(turn)")
      last = version
      if turn >= 3 { #expect(version.start > 9_000_000_000_000) }
      server.stop()
    }
  }

  @Test("versions rise where an older copy of the directory is put back, within one second, too")
  func copyPutBack() throws {
    let (directory, copy) = (try TemporaryDirectory(), try TemporaryDirectory())
    let kept = "\(copy.path)/kept"
    try TestServer(directory).stop()
    try FileManager.default.copyItem(atPath: directory.path, toPath: kept)
    var last = RosterVersion(start: 0, number: 0)
    for turn in 1...5 {
      let server = try TestServer(directory)
      let version = try versionOfJoin(server)
      #expect(version > last, "turn \(turn)")
      last = version
      server.stop()
      try FileManager.default.removeItem(atPath: directory.path)
      try FileManager.default.copyItem(atPath: kept, toPath: directory.path)
    }
  }

  private func versionOfJoin(_ server: TestServer) throws -> RosterVersion {
    let client = try server.client()
    try client.send("@label=a JOIN ops\n")
    let reply = try client.line { $0.contains("OK JOIN") }
    let text = try #require(Message(parsing: reply).tags["version"])
    return try #require(RosterVersion(text))
  }

  @Test("a slow disk holds up who waits for it, and nobody else")
  func slowDisk() throws {
    let directory = try TemporaryDirectory()
    let disk = TestDisk()
    let server = try TestServer(directory, disk: disk)
    let alice = try server.member("alice")
    let bob = try server.member("bob")
    try alice.expect(":bob@relay JOIN lobby")
    let carol = try server.client()
    try carol.ask("NICK carol")
    disk.hold()
    // Behind the join, her line waits with it; what others say does not.
    try carol.send("JOIN lobby relay\nMSG lobby at last\n")
    try disk.waitForSync()
    for turn in 1...200 {
      #expect(try alice.ask("MSG lobby \(turn)") == "OK MSG lobby 1/1")
      try bob.expect(":alice@relay MSG lobby \(turn)")
    }
    disk.letGo()
    try bob.expect(":carol@relay JOIN lobby")
    try bob.expect(":carol@relay MSG lobby at last")
    try carol.line(startingWith: "OK JOIN lobby 3")
    #expect(try carol.line() == "OK MSG lobby 2/2")
  }

  @Test("who sends and hangs up while the disk is slow is still carried out")
  func hangUpWhileWriting() throws {
    let directory = try TemporaryDirectory()
    let disk = TestDisk()
    let server = try TestServer(directory, disk: disk)
    let alice = try server.member("alice")
    disk.hold()
    let carol = try TestClient(server.address)
    try carol.send("NICK carol\nJOIN lobby relay\nMSG lobby still here\n")
    try disk.waitForSync()
    carol.reset()
    // By now the loop has seen the reset: what comes after it has been served.
    #expect(try alice.ask("PING") == "PONG")
    disk.letGo()
    try alice.expect(":carol@relay JOIN lobby")
    try alice.expect(":carol@relay MSG lobby still here")
  }

  @Test("a full disk is answered with the reason, others are served, and it gets well by itself")
  func fullDisk() throws {
    let directory = try TemporaryDirectory()
    let disk = TestDisk()
    var server = try TestServer(directory, disk: disk)
    let alice = try server.member("alice")
    let carol = try server.client()
    try carol.ask("NICK carol")
    #expect(try carol.ask("JOIN lobby relay") == "OK JOIN lobby 2")
    let dave = try server.client()
    try dave.ask("NICK dave")
    #expect(try dave.ask("JOIN lobby relay") == "OK JOIN lobby 3")
    try dave.ask("QUIT")
    for joined in ["carol", "dave"] { try alice.expect(":\(joined)@relay JOIN lobby") }
    disk.fill()
    for request in ["JOIN other relay", "NICK zoe", "LEAVE lobby"] {
      let reply = try carol.ask(request)
      #expect(
        reply.hasPrefix("ERR internal \(request.prefix { $0 != " " }) ")
          && reply.contains("No space left on device"), "\(reply)")
    }
    #expect(try alice.ask("MSG lobby to carol") == "OK MSG lobby 1/2")
    try carol.expect(":alice@relay MSG lobby to carol")
    #expect(try alice.ask("PM dave hi").hasPrefix("ERR internal PM "))
    #expect(try alice.ask("JOIN more") == "OK JOIN more 1")
    let complaints = { server.log.all.count { $0.contains("it is tried once a second") } }
    #expect(complaints() == 1)
    disk.makeRoom()
    try eventually("it gets well") {
      try carol.ask("JOIN other relay") == "OK JOIN other 1"
    }
    #expect(server.log.all.contains("info the disk takes changes again"))
    #expect(complaints() == 1)
    server.stop()
    server = try TestServer(directory)
    let client = try server.client()
    try client.send("MEMBERS lobby\n")
    try client.expect("MEMBER lobby carol@relay away")
    try client.expect("MEMBER lobby dave@relay away")
    try client.expect("OK MEMBERS lobby 2")
    try client.send("MEMBERS other\n")
    try client.expect("MEMBER other carol@relay away")
  }

  @Test("files that are taken away while in use fail what needs them, and are made anew")
  func removedDirectory() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer(directory)
    let alice = try server.member("alice")
    #expect(try alice.ask("JOIN first relay").hasPrefix("OK JOIN "))
    for name in ["groups.json", "journal.1"] { unlink("\(directory.path)/\(name)") }
    let reply = try alice.ask("JOIN lobby relay")
    #expect(reply.hasPrefix("ERR internal JOIN ") && reply.contains("removed"), "\(reply)")
    #expect(try alice.ask("MSG lobby hi") == "OK MSG lobby 0/0")
    try eventually("a new generation is begun") {
      try alice.ask("JOIN lobby relay").hasPrefix("OK JOIN lobby")
    }
  }

  @Test("a second server on the same directory is refused, naming the process")
  func secondServer() throws {
    let directory = try TemporaryDirectory()
    let first = try TestServer(directory)
    do {
      _ = try TestServer(directory)
      Issue.record("both run")
    } catch let error as ServerError {
      #expect(error.kind == .dataDirectoryInUse)
      #expect(error.description.contains("in use by process \(getpid()) ("))
    }
    first.stop()
    _ = try TestServer(directory)
  }

  @Test("what cannot be read is not written over")
  func unreadable() throws {
    let directory = try TemporaryDirectory()
    try TestServer(directory).stop()
    let path = "\(directory.path)/groups.json"
    for text in ["", "{", "{\"journal\": 1}", "{\"journal\": 1, \"server\": \"x\", \"start\": 1}"] {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      do {
        _ = try TestServer(directory)
        Issue.record("started with '\(text)'")
      } catch let error as ServerError {
        #expect(error.kind == .badDataDirectory)
        #expect(error.description.contains("groups.json cannot be read"))
      }
      #expect(try directory.text(of: "groups.json") == text)
    }
  }

  @Test("what makes no sense in a snapshot is left out, said, and kept aside")
  func faults() throws {
    let directory = try TemporaryDirectory()
    try TestServer(directory).stop()
    let text = """
      {"journal": 9, "server": "00000000000000ff", "start": 5, "time": "2026-01-01T00:00:00.000000Z",
       "members": [{"name": "carol", "place": "relay", "seen": "2026-01-01T00:00:00.000000Z"},
                   {"name": "9", "place": "relay", "seen": "2026-01-01T00:00:00.000000Z"}],
       "groups": [{"name": "ops", "members": ["carol", "nobody"]}], "kept": []}
      """
    try text.write(toFile: "\(directory.path)/groups.json", atomically: true, encoding: .utf8)
    let server = try TestServer(directory)
    let client = try TestClient(server.address)
    #expect(try client.line()?.contains(" server=00000000000000ff ") == true)
    let said = server.log.all.filter { $0.hasPrefix("warning groups.json") }
    #expect(said.count == 3, "\(said)")
    #expect(try directory.text(of: "groups.json.damaged-1") == text)
  }

  @Test("only the owner may forget, over the socket in the directory")
  func forget() throws {
    let directory = try TemporaryDirectory()
    let server = try TestServer(directory)
    let carol = try server.client()
    try carol.ask("NICK carol")
    for group in ["ops", "dev"] { try carol.ask("JOIN \(group) relay") }
    #expect(try carol.ask("FORGET carol").hasPrefix("ERR forbidden FORGET "))
    try carol.ask("QUIT")
    #expect(server.server.addresses.count == 1)
    let path = "\(directory.path)/linechatd.sock"
    var status = stat()
    #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    let owner = try TestClient(ListenAddress(parsing: "unix:\(path)"))
    #expect(try owner.ask("FORGET carol ops") == "OK FORGET carol 1")
    #expect(try owner.ask("FORGET carol") == "OK FORGET carol 1")
    #expect(try owner.ask("FORGET carol").hasPrefix("ERR no-such-peer FORGET "))
    #expect(try server.client(from: "127.0.0.2").ask("NICK carol") == "OK NICK carol")
  }

  @Test("where the path is too long for a socket, it is elsewhere, and said")
  func longPath() throws {
    let directory = try TemporaryDirectory()
    let long = directory.path + "/" + String(repeating: "long", count: 30)
    let server = try TestServer { $0.dataDirectory = long }
    let line = try #require(server.log.all.first { $0.contains("is too long for a socket") })
    let path = try String(#require(line.split(separator: " ").last))
    let owner = try TestClient(ListenAddress(parsing: "unix:\(path)"))
    try owner.line(startingWith: "INFO ")
    #expect(OwnerSocket.server.path(in: long) == path)
    var status = stat()
    let parent = String(path.dropLast("/linechatd.sock".count))
    #expect(lstat(parent, &status) == 0 && status.st_mode & 0o777 == 0o700)
    server.stop()
    #expect(access(path, F_OK) != 0)
    rmdir(parent)
  }
}
