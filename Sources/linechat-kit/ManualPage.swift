// A manual page in mdoc(7), from what a program says of itself. The program's own words are used; what
// is added is their order: options that several commands share are explained once.

import Foundation

struct ManualPage {
  /// Where programs that serve belong, and where all others do.
  private static let sections = ["linechatd": 8]
  private static let neighbours = [("linechat", 1), ("linechatd", 8), ("nc", 1)]

  private let info: CommandInfo
  private let date: Date

  init(_ info: CommandInfo, date: Date) { (self.info, self.date) = (info, date) }

  var text: String {
    var page = Page()
    let name = info.commandName
    let section = ManualPage.sections[name] ?? 1
    page.macro("Dd", dateText)
    page.macro("Dt", "\(name.uppercased()) \(section)")
    page.macro("Os")
    page.macro("Sh", "NAME")
    page.macro("Nm", name)
    page.macro("Nd", ManualPage.asPhrase(info.abstract ?? name))
    synopsis(&page)
    page.macro("Sh", "DESCRIPTION")
    page.paragraphs(info.discussion ?? info.abstract ?? "")
    commands(&page)
    options(&page)
    environment(&page)
    page.macro("Sh", "SEE ALSO")
    let others = ManualPage.neighbours.filter { $0.0 != name }.sorted {
      ($0.1, $0.0) < ($1.1, $1.0)
    }
    for (index, other) in others.enumerated() {
      page.macro("Xr", "\(other.0) \(other.1)\(index + 1 < others.count ? " ," : "")")
    }
    return page.text
  }

  private var dateText: String {
    let parts = Calendar.utc.dateComponents([.year, .month, .day], from: date)
    let months = [
      "January", "February", "March", "April", "May", "June", "July", "August", "September",
      "October", "November", "December",
    ]
    return "\(months[(parts.month ?? 1) - 1]) \(parts.day ?? 1), \(parts.year ?? 1970)"
  }

  /// `A chat server.` is `a chat server`.
  private static func asPhrase(_ sentence: String) -> String {
    let words = sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    return words.prefix(1).lowercased() + words.dropFirst()
  }

  private var visible: [CommandInfo] { info.shown.filter { $0.commandName != "help" } }

  // MARK: The parts

  private func synopsis(_ page: inout Page) {
    page.macro("Sh", "SYNOPSIS")
    if visible.isEmpty || info.options.contains(where: { !$0.isCommon }) {
      usage(of: info, called: nil, &page)
    }
    for command in visible {
      let isDefault = command.commandName == info.defaultSubcommand
      usage(
        of: command, called: (isDefault ? "Op Cm " : "Cm ") + command.commandName, &page)
    }
  }

  private func usage(of command: CommandInfo, called macro: String?, _ page: inout Page) {
    page.macro("Nm", info.commandName)
    if let macro { page.line("." + macro) }
    if !command.options.isEmpty { page.macro("Op", "Ar option ...") }
    for word in command.words {
      let name = "Ar \(word.valueName ?? "word")\(word.isRepeating ? " ..." : "")"
      page.line(word.isOptional ? ".Op \(name)" : ".\(name)")
    }
  }

  private func commands(_ page: inout Page) {
    guard !visible.isEmpty else { return }
    page.macro("Sh", "COMMANDS")
    for command in visible {
      page.macro("Ss", "\(info.commandName) \(command.commandName)")
      page.paragraphs(command.abstract ?? "")
      if let discussion = command.discussion {
        page.macro("Pp")
        page.paragraphs(discussion)
      }
      let own = command.words + command.options.filter { !$0.isCommon && !isShared($0) }
      let rest = command.options.filter { isShared($0) }.compactMap { $0.names?.last?.name }
      list(own, &page)
      if !rest.isEmpty {
        page.macro("Pp")
        page.paragraphs(
          "Explained under OPTIONS: " + rest.map { "--\($0)" }.joined(separator: ", ") + ".")
      }
    }
  }

  private func options(_ page: inout Page) {
    var own = info.words + info.options.filter { !$0.isCommon }
    for command in visible {
      for option in command.options where isShared(option) && !own.contains(option) {
        own.append(option)
      }
    }
    page.macro("Sh", "OPTIONS")
    list(own + info.options.filter(\.isCommon), &page)
  }

  private func environment(_ page: inout Page) {
    let all = info.options + info.words + visible.flatMap { $0.options + $0.words }
    var known: [String: String] = [:]
    for argument in all {
      let name = argument.names?.last.map { "--\($0.name)" } ?? argument.valueName ?? ""
      for variable in argument.variables { known[variable] = name }
    }
    guard !known.isEmpty else { return }
    page.macro("Sh", "ENVIRONMENT")
    page.paragraphs("Each of these stands for what is not given on the command line.")
    page.macro("Bl", "-tag -width Ds -compact")
    for (variable, name) in known.sorted(by: { $0.key < $1.key }) {
      page.macro("It", "Ev \(variable)")
      page.paragraphs(name)
    }
    page.macro("El")
  }

  /// More than one command has it, the same in all of them.
  private func isShared(_ option: ArgumentInfo) -> Bool {
    !option.isCommon && visible.filter { $0.options.contains(option) }.count > 1
  }

  /// `chat, node and doctor`
  private func owners(of option: ArgumentInfo) -> String {
    let names = visible.filter { $0.options.contains(option) }.map(\.commandName)
    return names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
  }

  private func list(_ arguments: [ArgumentInfo], _ page: inout Page) {
    guard !arguments.isEmpty else { return }
    page.macro("Bl", "-tag -width Ds")
    for argument in arguments {
      page.macro("It", ManualPage.heading(argument))
      page.paragraphs(argument.abstract ?? "")
      // One name may stand for different things in different commands.
      if isShared(argument), !info.options.contains(argument) {
        page.paragraphs("It is an option of \(owners(of: argument)).")
      }
      if let discussion = argument.discussion { page.paragraphs(discussion) }
    }
    page.macro("El")
  }

  /// `Fl -server Ar address`; `Fl h , Fl -help`; `Ar group ...`.
  private static func heading(_ argument: ArgumentInfo) -> String {
    let value = "Ar \(argument.valueName ?? "value")"
    guard let names = argument.names else { return value + (argument.isRepeating ? " ..." : "") }
    let flags = names.map { "Fl \($0.kind == "long" ? "-" : "")\($0.name)" }.joined(
      separator: " , ")
    return argument.kind == "option" ? "\(flags) \(value)" : flags
  }
}

/// Lines of mdoc.
private struct Page {
  /// What mandoc finds short enough.
  private static let columnsMax = 76

  private(set) var text = ""

  mutating func line(_ line: String) { text += line + "\n" }

  mutating func macro(_ name: String, _ words: String = "") {
    line(words.isEmpty ? ".\(name)" : ".\(name) \(words)")
  }

  /// Text as it is meant for people: an empty line is a new paragraph, each sentence begins a line.
  mutating func paragraphs(_ words: String) {
    for (index, paragraph) in words.components(separatedBy: "\n\n").enumerated() {
      if index > 0 { macro("Pp") }
      flow(paragraph)
    }
  }

  private mutating func flow(_ paragraph: String) {
    var row = ""
    for word in paragraph.split(whereSeparator: \.isWhitespace) {
      let shown = Page.escaped(word)
      if !row.isEmpty && row.count + 1 + shown.count > Page.columnsMax {
        line(row)
        row = ""
      }
      if row.isEmpty {
        row = shown.hasPrefix(".") || shown.hasPrefix("'") ? "\\&" + shown : shown
      } else {
        row += " " + shown
      }
      if let end = word.last(where: { $0 != ")" }), ".!?".contains(end) {
        line(row)
        row = ""
      }
    }
    if !row.isEmpty { line(row) }
  }

  private static func escaped(_ word: Substring) -> String {
    var shown = ""
    for (index, character) in word.enumerated() {
      switch character {
      case "\\": shown += "\\e"
      case "~": shown += "\\(ti"
      case "^": shown += "\\(ha"
      case "`": shown += "\\(ga"
      // What is typed has a minus there.
      case "-" where index == 0 || word.hasPrefix("-") || word.hasPrefix("\""): shown += "\\-"
      default: shown.append(character)
      }
    }
    return shown
  }
}

extension Calendar {
  fileprivate static var utc: Calendar {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    return calendar
  }
}
