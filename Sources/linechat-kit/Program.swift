// A program that is asked about itself. The argument parser answers: `--experimental-dump-help` with
// JSON, `--generate-completion-script` with a script.

import ArgumentParser
import Foundation

struct Program {
  let path: String

  func info() throws -> CommandInfo {
    let answer = try ask(["--experimental-dump-help"])
    do { return try JSONDecoder().decode(ProgramInfo.self, from: answer).command } catch {
      throw ValidationError("what \(path) says of its options can't be read: \(error)")
    }
  }

  func completions(for shell: String) throws -> String {
    String(decoding: try ask(["--generate-completion-script", shell]), as: UTF8.self)
  }

  private func ask(_ arguments: [String]) throws -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    do { try process.run() } catch {
      throw ValidationError("\(path) can't be run: \(error.localizedDescription)")
    }
    let answer = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      throw ValidationError("\(path) \(arguments.joined(separator: " ")) failed")
    }
    return answer
  }
}

private struct ProgramInfo: Decodable {
  let command: CommandInfo
}

/// A program, or one of its sub-commands.
struct CommandInfo: Decodable {
  let commandName: String
  let abstract: String?
  let discussion: String?
  let shouldDisplay: Bool?
  let defaultSubcommand: String?
  let subcommands: [CommandInfo]?
  let arguments: [ArgumentInfo]?

  var commands: [CommandInfo] { subcommands ?? [] }
  var shown: [CommandInfo] { commands.filter { $0.shouldDisplay != false } }

  /// What is given by its place, and by its name.
  var words: [ArgumentInfo] { given.filter { $0.kind == "positional" } }
  var options: [ArgumentInfo] { given.filter { $0.kind != "positional" } }
  private var given: [ArgumentInfo] { (arguments ?? []).filter(\.shouldDisplay) }
}

struct ArgumentInfo: Decodable, Equatable {
  struct Name: Decodable, Equatable {
    let kind: String
    let name: String
  }

  /// `positional`, `option` or `flag`.
  let kind: String
  let shouldDisplay: Bool
  let isOptional: Bool
  let isRepeating: Bool
  let names: [Name]?
  let valueName: String?
  let abstract: String?
  let discussion: String?

  /// Of all commands; said once.
  var isCommon: Bool { names?.contains { $0.name == "help" || $0.name == "version" } == true }

  /// The variables of the environment that stand for it.
  var variables: [String] {
    (abstract ?? "").matches(of: /\bLINECHATD?_[A-Z_]+/).map { String($0.output) }
  }
}
