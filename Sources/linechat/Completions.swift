// What a shell may offer for a word of the command line: profiles, and the groups that any of them has
// been in. Both are names of files, so nothing is opened, and no node and no server is asked.

import ArgumentParser
import CommandLineSupport
import Glibc
import LineChat

enum Completions {
  /// More than somebody reads through.
  private static let namesMax = 1_000

  static var profiles: CompletionKind { .custom { words, _, _ in profiles(words) } }

  static var groups: CompletionKind { .custom { words, _, _ in groups(words) } }

  private static func profiles(_ words: [String]) -> [String] {
    guard let directory = directory(words) else { return [] }
    let names = names(in: directory).filter {
      var status = stat()
      return !$0.hasPrefix(".") && GroupName($0) != nil && stat("\(directory)/\($0)", &status) == 0
        && status.st_mode & S_IFMT == S_IFDIR
    }
    return Array(names.sorted().prefix(namesMax))
  }

  /// From the logs, each of which is `lobby.log` or `@alice.log`.
  private static func groups(_ words: [String]) -> [String] {
    guard let directory = directory(words) else { return [] }
    var found: Set<String> = []
    for profile in profiles(words) {
      for file in names(in: "\(directory)/\(profile)/log") where file.hasSuffix(".log") {
        let name = String(file.dropLast(4))
        if GroupName(name) != nil { found.insert(name) }
      }
    }
    return Array(found.sorted().prefix(namesMax))
  }

  private static func names(in directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      names.append(name)
    }
    return names
  }

  /// Where the profiles are, as far as the words typed so far tell.
  private static func directory(_ words: [String]) -> String? {
    var given = environment("LINECHAT_DATA_DIR")
    for (option, value) in zip(words, words.dropFirst()) where option == "--data-dir" {
      given = value
    }
    if let given { return given }
    guard case .directory(let path)? = try? PeerNode.Storage.profile("x") else { return nil }
    return String(path.dropLast(2))
  }
}
