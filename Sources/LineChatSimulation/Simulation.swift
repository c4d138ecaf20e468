// One run: a server and its clients under faults, then healing, then everything must be as it
// should. The same options give the same outcome, to the last bit of its hash.

import LineChatCore
import LineProtocol

package struct Outcome: Sendable {
  package let options: Options
  package let steps: Int
  package let hash: UInt64
  /// What was found wrong first.
  package let failure: String?
  /// What happened last; only where it was recorded.
  package let lastEvents: [String]
  /// How much of what happened.
  package var counts: [String: Int] = [:]
}

package enum Simulation {
  /// Simulated time after the last fault in which all must be as it should: longer than the longest
  /// WAIT of the workload, than a silent program is suffered, and than the pause between two dials.
  /// (So what is kept for somebody who only listens may take longer than the 120 s within which it goes
  /// to those who are connected: the server dials every five minutes, as is promised.)
  private static let healingMicroseconds: Int64 = 400_000_000

  /// - Parameter follower: hears of every event as it happens.
  package static func run(
    _ options: Options, isRecording: Bool = false, follower: ((String) -> Void)? = nil
  ) -> Outcome {
    let world = World(options, isRecording: isRecording, follower: follower)
    if options.nodes.isOn { return Town(world).run() }
    let server = ServerNode(options)
    server.join(world)
    var clients: [ClientNode] = []
    for _ in 0..<options.clients {
      let isProgram = world.random(1...100) <= options.programShare
      clients.append(ClientNode(world, server: 0, isProgram: isProgram))
    }
    world.run(steps: options.steps)
    world.heal()
    let limit = options.steps * 20 + 200_000
    for _ in 0..<100 {
      world.run(steps: limit, until: world.now + healingMicroseconds)
      // One WAIT may stand behind the other, and a pause between two dials takes minutes.
      guard world.failure == nil, clients.contains(where: \.isWaiting) || server.model.hasMore
      else { break }
    }
    if server.model.hasMore { world.fail("somebody who listens does not get what waits") }
    for client in clients { client.check(against: server.model, world) }
    if options.endsByShutdown {
      if world.failure == nil { server.shutDown(world) }
      world.run(steps: limit, until: world.now + 30_000_000)
      for client in clients where client.link != nil {
        world.fail("a client was not let go at the end")
      }
    } else {
      clearUp(server, clients, world, limit)
    }
    return Outcome(
      options: options, steps: world.steps, hash: world.trace.hash, failure: world.failure,
      lastEvents: world.trace.last)
  }

  /// Everybody goes, every durable member is taken up and leaves its groups: nothing may be left.
  private static func clearUp(
    _ server: ServerNode, _ clients: [ClientNode], _ world: World, _ limit: Int
  ) {
    for client in clients { client.leave(world) }
    world.run(steps: limit, until: world.now + 100_000_000)
    let model = server.model
    let people = model.names.values.sorted { $0.name < $1.name }
    for person in people {
      let groups = model.groups(of: person)
      var script = ["NICK \(person.name)"]
      for group in groups { script += ["MEMBERS \(group.name)", "LEAVE \(group.name)"] }
      script += ["GROUPS", "QUIT"]
      _ = ClientNode(world, server: 0, from: person.host, key: person.key, script: script)
      world.run(steps: limit, until: world.now + 1_000_000)
    }
    if world.failure == nil { server.checkEmpty(world) }
  }
}
