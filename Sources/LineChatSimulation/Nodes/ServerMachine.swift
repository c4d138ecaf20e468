// The server among the nodes: the real directory and its journal on a disk that can be lost, or put
// back to what it was earlier. What it says is checked by its own simulation; here it is part of what
// the nodes live in.

import LineChatCore
import LineProtocol

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

final class ServerMachine: Machine<Directory> {
  /// As in the real data directory.
  private struct Stored: Codable {
    var server: String
    var start: UInt64
    var state: DurableState
  }

  static let host = IPAddress(v4: 0x0a00_00fa)
  static let endpoint = Endpoint(address: host, port: 5_463)

  private let requestBytesMax: Int
  private var id: UInt64 = 0
  private var versionStart: UInt64 = 0
  private var backup: SimulatedDisk?
  private var register = Register()
  private var membersThen: Register.Members = [:]
  /// How often it has been started anew: what it had not kept is gone.
  private(set) var starts = 0

  init(_ options: Options) {
    let (_, journal) = ServerMachine.emptyDisk()
    requestBytesMax = options.lineBytesMax
    super.init(
      "server", ServerMachine.host, Directory(Directory.Configuration()), journal,
      sectorBytes: options.nodes.sectorBytes)
  }

  private static func emptyDisk() -> (Recovery, DiskThread) {
    do throws(Recovery.Failure) {
      let (recovery, journal) = try Recovery.start(SimulatedDisk(), snapshotFile: "groups.json")
      return (recovery, DiskThread(journal, carriesNotes: Directory.carriesNotes))
    } catch {
      preconditionFailure("an empty disk can be read: \(error)")
    }
  }

  override var lineBytesMax: Int { requestBytesMax }
  override var snapshotFile: String { "groups.json" }

  override func prepare(_ content: [UInt8]?, _ records: [Record], _ world: World) {
    let stored = content.flatMap { try? JSONDecoder().decode(Stored.self, from: Data($0)) }
    let now = moment(world)
    id = stored.flatMap { UInt64($0.server, radix: 16) } ?? world.random.next()
    versionStart = max((stored?.start ?? 0) + 1, UInt64(now.wallMicroseconds / 1_000))
    if world.options.nodes.sabotage == .serverRepeatsVersions { versionStart = 1 }
    var configuration = Directory.Configuration()
    configuration.version = "1"
    configuration.serverID = id
    configuration.seed = world.random.next()
    configuration.versionStart = versionStart
    configuration.lineBytesMax = requestBytesMax
    configuration.listingPieceBytes = world.options.listingPieceBytes
    configuration.listenEndpoints = Set([ServerMachine.endpoint].compactMap { $0 })
    configuration.memberTTLMicroseconds = 100 * 365 * 86_400_000_000
    core = Directory(configuration)
    if let stored {
      let faults = core.restore(stored.state, now: now)
      if let fault = faults.first { world.fail("in the server's snapshot: \(fault)") }
    }
    for record in records where !isLost(world) {
      do throws(Refusal) { try core.replay(record, now: now) } catch {
        world.fail("\(Ear.text(record.line)) is not replayed: \(error.text)")
      }
    }
    do throws(Wrong) { try register.check(core.durableState()) } catch { world.fail(error.what) }
  }

  private func isLost(_ world: World) -> Bool {
    world.options.nodes.sabotage == .serverForgets && world.chance(3)
  }

  override func crash(_ world: World, losesPower: Bool) {
    guard isUp else { return }
    super.crash(world, losesPower: losesPower)
    register.stopped()
  }

  override func state() -> [UInt8] {
    encoded(
      Stored(server: hexadecimal(id), start: versionStart, state: core.durableState()))
  }

  override func begin(_ world: World) {
    starts += 1
    if let endpoint = ServerMachine.endpoint { listen(endpoint, world) }
    tell(world) { core, now in core.restored(now: now) }
  }

  override func check(_ world: World) {
    let audit = core.audit()
    if let problem = audit.problems.first { world.fail("the server's books are wrong: \(problem)") }
  }

  // MARK: What it says

  override func listens(_ bytes: UnsafeRawBufferPointer, _ socket: Socket) {
    guard let message = try? Message(parsing: String(decoding: bytes, as: UTF8.self)) else {
      return
    }
    register.asked(message, on: socket.link.number)
  }

  override func wrote(_ all: [(Socket, [UInt8])], _ world: World) {
    var lines: [(Int, Bool, Message)] = []
    for (socket, bytes) in all where socket.side == .server {
      let isDurable =
        switch world.node(socket.link.client) {
        case let peer as PeerMachine: !peer.isTransient
        case let netcat as Netcat: netcat.listens != nil
        default: false
        }
      for line in bytes.split(separator: 0x0A) where Register.matters(line) {
        guard let message = try? Message(parsing: String(decoding: line, as: UTF8.self)) else {
          continue
        }
        lines.append((socket.link.number, isDurable, message))
      }
    }
    do throws(Wrong) {
      try register.said(lines, server: id) { group in
        // One that is gone begins anew behind all that was.
        let numbers = core.rosterNumbers
        return RosterVersion(start: versionStart, number: numbers.groups[group] ?? numbers.changes)
      }
    } catch {
      world.fail("the server: \(error.what)")
    }
  }

  // MARK: What befalls its directory

  /// Keeps a copy of what is on the disk, as one does at night.
  func backUp(_ world: World) {
    guard isUp else { return }
    world.note("the server's directory is copied")
    backup = disk.disk.afterCrash(.everything)
    membersThen = register.sureMembers
  }

  /// While it is down: the copy is put back.
  func restoreBackup(_ world: World) {
    guard let backup else { return }
    world.note("the server's directory is put back")
    platter = backup
    register.putBack(membersThen)
  }

  /// While it is down: everything is gone.
  func loseDirectory(_ world: World) {
    world.note("the server's directory is lost")
    platter = emptyDisk
    register.forgetMembers()
  }
}

/// A state as a snapshot's content.
package func encoded(_ state: some Encodable) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  do { return Array(try encoder.encode(state)) } catch {
    preconditionFailure("strings and numbers can be encoded: \(error)")
  }
}
