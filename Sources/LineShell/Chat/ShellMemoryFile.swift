// What a shell keeps for its next start: `shell.json` in its profile, as a person would write it.

import LineChat
import LineChatCore
import LineProtocol

struct ShellMemoryFile {
  private struct Content: Codable {
    var current: String?
    var ignored: [String] = []
  }

  private static let name = "shell.json"

  private let directory: String

  init(in directory: String) { self.directory = directory }

  /// Nothing is remembered where there is no file yet.
  /// - Throws: a text for a person; the file is left as it is.
  func read() throws(ShellMemoryFault) -> ShellMemory {
    do {
      guard let bytes = try FileStorage(directory).read(Self.name) else { return ShellMemory() }
      let content = try StateCoding.decode(Content.self, from: bytes)
      return ShellMemory(
        ignored: Set(content.ignored.compactMap { MemberName($0) }),
        current: content.current.flatMap { GroupName($0) })
    } catch {
      throw ShellMemoryFault(
        description: "\(directory)/\(Self.name) can't be read, so nobody is ignored: "
          + "\((error as? StorageError)?.description ?? "it is no JSON of this shell's")")
    }
  }

  func write(_ memory: ShellMemory) throws(ShellMemoryFault) {
    let content = Content(
      current: memory.current?.description,
      ignored: memory.ignored.sorted().map(\.description))
    do {
      var storage = try FileStorage(directory)
      try StateCoding.encode(content).withUnsafeBytes { try storage.replace(Self.name, with: $0) }
    } catch {
      throw ShellMemoryFault(description: "\(directory)/\(Self.name) can't be written: \(error)")
    }
  }
}

struct ShellMemoryFault: Error, CustomStringConvertible {
  let description: String
}
