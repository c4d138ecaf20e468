// Where the documents, the scripts and the programs are.

import Foundation
import TestSupport

enum Repository {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  static func text(of file: String) throws -> String {
    try String(contentsOfFile: "\(root)/\(file)", encoding: .utf8)
  }

  static func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  /// The folder in which this package's programs lie: that of the tests' own binary.
  static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().path

  static func program(_ name: String) throws -> String {
    let path = "\(programs)/\(name)"
    guard access(path, X_OK) == 0 else { throw TestFailure("there is no \(path)") }
    return path
  }
}
