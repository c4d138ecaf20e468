// linechat-kit: what is installed beside a program of this package, made from what the program says of
// its own options: a manual page, and the completions of bash, zsh and fish. examples/install.sh uses
// it; it is not installed itself.

import ArgumentParser
import Foundation

struct LinechatKit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "linechat-kit",
    abstract: "Write the manual page of linechat or linechatd, or their completions for a shell.",
    discussion: """
      What is written goes to standard output. The page has the date of SOURCE_DATE_EPOCH where that is \
      in the environment, else today's.
      """)

  enum Piece: String, CaseIterable, ExpressibleByArgument {
    case man, bash, zsh, fish
  }

  @Argument(help: "What to write: man, bash, zsh or fish.")
  var piece: Piece

  @Argument(help: "The path of the program that it is for.", completion: .file())
  var program: String

  func run() throws {
    let program = Program(path: program)
    let text =
      switch piece {
      case .man: ManualPage(try program.info(), date: date).text
      case .bash, .zsh, .fish:
        try CompletionScript(
          shell: piece, made: try program.completions(for: piece.rawValue),
          for: try program.info()
        ).text()
      }
    FileHandle.standardOutput.write(Data(text.utf8))
  }

  private var date: Date {
    let seconds = ProcessInfo.processInfo.environment["SOURCE_DATE_EPOCH"].flatMap(Double.init)
    return seconds.map(Date.init(timeIntervalSince1970:)) ?? Date()
  }
}

LinechatKit.main()
