// A bot: whoever asks !uptime, in the lobby or privately, is told for how long it has been there.
//
//   swift run uptime-bot [SERVER]

import LineChat

let start = ContinuousClock.now
let server = CommandLine.arguments.dropFirst().first ?? "127.0.0.1:5463"
var configuration = try PeerNode.Configuration(name: "uptime", server: server, groups: ["lobby"])
configuration.storage = try .profile("uptime-bot")
let bot = try PeerNode.launch(configuration)

for await event in bot.events {
  switch event {
  case .message(let question) where question.text == "!uptime":
    // Its own words come back to it, and so does what was asked while it was not there.
    if question.path == .own || question.isFromBeforeStart { continue }
    let uptime = (ContinuousClock.now - start).components.seconds
    try? bot.post("\(question.from.name): \(uptime) seconds", answering: question)
  case .serverIsAway(let reason, let seconds):
    print("no server at \(server) (\(reason)), next try in \(seconds) s")
  default: break
  }
}
