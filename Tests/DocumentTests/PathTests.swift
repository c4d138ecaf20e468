// What the documents name must be there: files, folders, headings; and what they say of licences.

import Foundation
import TestSupport
import Testing

@Suite("The documents", .ownThread, .timeLimit(.minutes(20)))
struct PathTests {
  private static let documents =
    ["README.md", "protocol.md", "examples/lab/README.md"]
    + [
      "1-name-clash", "2-replica", "3-partition", "4-duplicates", "5-ordering", "6-failover",
    ].map { "examples/lab/\($0).md" }

  /// Text outside of fenced blocks.
  private static func prose(of document: String) throws -> String {
    var isInside = false
    return try Repository.text(of: document).split(
      separator: "\n", omittingEmptySubsequences: false
    )
    .filter { line in
      if line.hasPrefix("```") {
        isInside.toggle()
        return false
      }
      return !isInside
    }.joined(separator: "\n")
  }

  /// The anchors of a document's headings, made as GitHub makes them.
  private static func anchors(of document: String) throws -> Set<String> {
    let headings = try prose(of: document).split(separator: "\n").filter { $0.hasPrefix("#") }
    return Set(
      headings.map { heading in
        let words = heading.drop { $0 == "#" }.drop { $0 == " " }.lowercased()
        return words.filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
          .replacing(" ", with: "-")
      })
  }

  private static func folder(of document: String) -> String {
    document.contains("/") ? document.split(separator: "/").dropLast().joined(separator: "/") : "."
  }

  @Test("every link leads somewhere", arguments: documents)
  func links(document: String) throws {
    let links = try Self.prose(of: document).matches(of: #/\]\(([^)\s]+)\)/#)
      .map { String($0.output.1) }
    for link in links where !link.contains("://") {
      let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
      let target =
        parts[0].isEmpty
        ? document : "\(Self.folder(of: document))/\(parts[0])"
      #expect(Repository.has("\(Repository.root)/\(target)"), "\(link)")
      if parts.count == 2 {
        #expect(try Self.anchors(of: target).contains(String(parts[1])), "\(link)")
      }
    }
  }

  @Test("every file and folder that is named is there", arguments: documents)
  func files(document: String) throws {
    let pattern = #/`((?:Sources|Tests|examples)(?:/[A-Za-z0-9_+.\-]+)+)/?`/#
    for match in try Self.prose(of: document).matches(of: pattern) {
      #expect(Repository.has("\(Repository.root)/\(match.output.1)"), "\(match.output.1)")
    }
  }

  @Test("the chapter for those who study it names a file in each of its parts")
  func chapter() throws {
    let text = try Repository.text(of: "README.md")
    let start = try #require(text.range(of: "\n## For those who study it\n"))
    let rest = text[start.upperBound...]
    let chapter = rest.range(of: "\n## ").map { rest[..<$0.lowerBound] } ?? rest
    let parts = chapter.components(separatedBy: "\n### ").dropFirst()
    #expect(
      parts.map { String($0.prefix { $0 != "\n" }) } == [
        "Architecture", "Processes", "Communication", "Naming", "Synchronisation",
        "Consistency and replication", "Fault tolerance",
      ])
    for part in parts {
      #expect(part.contains("](Sources/"), "\(part)")
      #expect(part.contains("](protocol.md"), "\(part)")
    }
  }

  @Test("the README knows every folder of sources and every target of tests")
  func folders() throws {
    let readme = try Repository.text(of: "README.md")
    let sources = try FileManager.default.contentsOfDirectory(atPath: "\(Repository.root)/Sources")
    for name in sources where !name.hasPrefix(".") {
      #expect(readme.contains("`Sources/\(name)`"), "\(name)")
    }
    let tests = try FileManager.default.contentsOfDirectory(atPath: "\(Repository.root)/Tests")
    for name in tests where name.hasSuffix("Tests") {
      #expect(readme.contains("\n| \(name) |"), "\(name) is not in the table of the tests")
    }
  }

  @Test("GNU Readline is linked to the shell alone", arguments: ["linechatd", "uptime-bot"])
  func licence(program: String) async throws {
    func libraries(_ name: String) async throws -> String {
      let finished = try await run(["objdump", "-p", try Repository.program(name)])
      #expect(finished.exitCode == 0, "\(finished.errors)")
      return finished.output
    }
    #expect(try await libraries("linechat").contains("libreadline.so"))
    let other = try await libraries(program)
    #expect(other.contains("libc.so") && !other.contains("readline"))
  }
}
