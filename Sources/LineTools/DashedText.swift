// Arguments of `linechat send`, in which a text may begin with a dash: what can be no option begins the
// text, as if `--` stood before it.

package enum DashedText {
  /// `send --group ops -5 degrees` becomes `send --group ops -- -5 degrees`. What might be a mistyped
  /// option is left to be refused.
  package static func marked(_ arguments: [String]) -> [String] {
    for (index, argument) in arguments.enumerated() {
      if argument == "--" { return arguments }
      guard argument.hasPrefix("-"), !mayBeOption(argument) else { continue }
      return arguments[..<index] + ["--"] + arguments[index...]
    }
    return arguments
  }

  /// `-n`, `--group`, `--group=a b`
  private static func mayBeOption(_ argument: String) -> Bool {
    let name = argument.prefix { $0 != "=" }.drop { $0 == "-" }
    let dashes = argument.prefix { $0 == "-" }.count
    guard dashes <= 2, let first = name.first, first.isASCII, first.isLetter else { return false }
    return name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
  }
}
