// The argument parser's completions, and one thing more: where a program has a command that is meant
// when none is named (`linechat --server HOST` is `linechat chat --server HOST`), what belongs to that
// command is completed without its name, too. The parser's scripts know nothing of it, so each gets a
// function that puts the name in.

import ArgumentParser

struct CompletionScript {
  let shell: LinechatKit.Piece
  private let made: String
  private let info: CommandInfo

  init(shell: LinechatKit.Piece, made: String, for info: CommandInfo) {
    (self.shell, self.made, self.info) = (shell, made, info)
  }

  func text() throws -> String {
    guard let command = info.defaultSubcommand else { return made }
    return switch shell {
    case .bash: try bash(command)
    case .zsh: try zsh(command)
    case .fish: try fish(command)
    case .man: made
    }
  }

  private var program: String { info.commandName }

  /// What makes a first word one of the program's own, and no beginning of the usual command.
  private var firstWords: [String] {
    info.commands.map(\.commandName) + ["help", "--version", "-h", "--help"]
  }

  private func bash(_ command: String) throws -> String {
    let last = "complete -o filenames -F _\(program) \(program)\n"
    return try replacing(
      last,
      with: """
        # Where no command is named it is \(command).
        _\(program)_or_\(command)() {
            case "${COMP_WORDS[1]}" in
            \(firstWords.joined(separator: "|")))
                [[ "${COMP_CWORD}" -gt 1 ]] && { _\(program) "${@}"; return; }
                ;;
            esac
            if [[ "${COMP_CWORD}" -eq 1 ]]; then
                _\(program) "${@}"
                local -a offered=("${COMPREPLY[@]}")
            else
                local -a offered=()
            fi
            COMPREPLY=()
            COMP_WORDS=("${COMP_WORDS[0]}" \(command) "${COMP_WORDS[@]:1}")
            COMP_CWORD="$((COMP_CWORD + 1))"
            _\(program) "${@}"
            COMPREPLY+=("${offered[@]}")
        }

        complete -o filenames -F _\(program)_or_\(command) \(program)

        """)
  }

  private func zsh(_ command: String) throws -> String {
    var script = try replacing(
      "\n_\(program)() {\n", with: "\n_\(program)_as_written() {\n")
    let last = "\nif [[ \"${funcstack[1]}\" = _\(program) ]]; then\n"
    guard script.contains(last) else { throw unknownScript }
    script = script.replacing(
      last,
      with: """

        # Where no command is named it is \(command).
        _\(program)() {
            local -i ret=1
            if (( CURRENT == 2 )); then
                _\(program)_as_written "${@}" && ret=0
            elif [[ "${words[2]}" = (\(firstWords.joined(separator: "|"))) ]]; then
                _\(program)_as_written "${@}"
                return
            fi
            words=("${words[1]}" \(command) "${(@)words[2,-1]}")
            (( CURRENT++ ))
            _\(program)_as_written "${@}" && ret=0
            return "${ret}"
        }
        \(last)
        """)
    return script
  }

  private func fish(_ command: String) throws -> String {
    let tokens = "    set -l unparsed_tokens (__\(program)_tokens -pc)\n"
    let script = try replacing(
      tokens,
      with: tokens + """
            # Where no command is named it is \(command).
            if test (count $unparsed_tokens) -gt 1
                if not contains -- $unparsed_tokens[2] \(firstWords.joined(separator: " "))
                    set unparsed_tokens $unparsed_tokens[1] \(command) $unparsed_tokens[2..]
                end
            end

        """)
    let offered = script.split(separator: "\n").filter {
      $0.hasPrefix("complete ") && $0.contains("\"\(program) \(command)\"")
        && !$0.contains(" -l 'version'") && !$0.contains(" -l 'help'")
    }
    let asFirst = offered.map { $0.replacing("\"\(program) \(command)\"", with: "\"\(program)\"") }
    return script + asFirst.map { $0 + "\n" }.joined()
  }

  private func replacing(_ part: String, with other: String) throws -> String {
    guard made.contains(part) else { throw unknownScript }
    return made.replacing(part, with: other)
  }

  private var unknownScript: ValidationError {
    ValidationError(
      "the argument parser writes other completions for \(shell.rawValue) than it did; "
        + "Sources/linechat-kit/CompletionScript.swift has to learn them")
  }
}
