// The fuzzer's corpus (Tests/Fuzz), fed without libFuzzer: what it has found stays found.

import Foundation
import LineChatFuzzing
import Testing

@Suite("The fuzzer's corpus", .timeLimit(.minutes(20)))
struct CorpusTests {
  private static func files(for target: FuzzTarget) throws -> [URL] {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try FileManager.default.contentsOfDirectory(
      at: tests.appending(path: "Fuzz/corpus/\(target.rawValue)"),
      includingPropertiesForKeys: nil
    ).sorted { $0.path < $1.path }
  }

  @Test("all of it holds", arguments: FuzzTarget.allCases)
  func corpus(target: FuzzTarget) throws {
    let files = try Self.files(for: target)
    #expect(files.count >= 10)
    for file in files {
      let bytes = Array(try Data(contentsOf: file))
      do throws(Fault) { try feed(target, bytes) } catch {
        Issue.record("\(target.rawValue)/\(file.lastPathComponent): \(error)")
      }
    }
  }

  @Test("and so does what is left when its ends are cut off", arguments: FuzzTarget.allCases)
  func parts(target: FuzzTarget) throws {
    for file in try Self.files(for: target) {
      let bytes = Array(try Data(contentsOf: file))
      for part in [bytes.dropFirst(bytes.count / 3), bytes.dropLast(bytes.count / 3)] {
        do throws(Fault) { try feed(target, Array(part)) } catch {
          Issue.record("a part of \(target.rawValue)/\(file.lastPathComponent): \(error)")
        }
      }
    }
  }

  private func feed(_ target: FuzzTarget, _ bytes: [UInt8]) throws(Fault) {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(Fault) in try target.feed(bytes) }
    }
    try result.get()
  }
}
