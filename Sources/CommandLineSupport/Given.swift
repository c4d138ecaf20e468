// Values as people give them, on the command line or in the environment, and the refusals that say
// where a wrong one was given and what would be right.

import ArgumentParser
import Glibc
import LineChat

/// An empty variable is as good as none.
package func environment(_ name: String) -> String? {
  guard let value = getenv(name) else { return nil }
  let text = String(cString: value)
  return text.isEmpty ? nil : text
}

/// A value as somebody gave it, and where, so that an error can say so.
package struct Given {
  package let text: String
  package let source: String

  package init(text: String, source: String) {
    self.text = text
    self.source = source
  }

  /// What the option says, else what the variable does; nil where neither says anything.
  package init?(_ option: String?, _ name: String, _ variable: String) {
    if let option {
      (text, source) = (option, name)
    } else if let value = Given.variable(variable) {
      self = value
    } else {
      return nil
    }
  }

  package static func variable(_ name: String) -> Given? {
    environment(name).map { Given(text: $0.trimmed, source: name) }
  }

  package func number(_ range: ClosedRange<Int>) throws(ValidationError) -> Int {
    guard let number = Int(text), range.contains(number) else {
      throw refusal("a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  package func size(_ range: ClosedRange<Int>) throws(ValidationError) -> Int {
    guard let size = ByteSize.parse(text), range.contains(size) else {
      throw refusal(
        "a size from \(ByteSize.text(range.lowerBound)) to \(ByteSize.text(range.upperBound)), "
          + "such as 8192, 512KiB or 8MiB")
    }
    return size
  }

  /// In seconds.
  package func duration(_ range: ClosedRange<Int>) throws(ValidationError) -> Int {
    guard let seconds = TimeSpan.parse(text), range.contains(seconds) else {
      throw refusal("a time from 1 second to 3650d, such as 30d, 12h, 90m or 3600")
    }
    return seconds
  }

  package func word<Word: RawRepresentable<String>>(
    _ words: [Word]
  ) throws(ValidationError) -> Word {
    guard let word = Word(rawValue: text.lowercased()) else {
      throw refusal("one of " + words.map(\.rawValue).joined(separator: ", "))
    }
    return word
  }

  package func memberName() throws(ValidationError) -> MemberName {
    guard let name = MemberName(text) else {
      throw refusal("a letter, then up to 31 letters, digits, '_', '.' or '-'")
    }
    return name
  }

  package func groupName() throws(ValidationError) -> GroupName {
    guard let name = GroupName(text) else {
      throw refusal("1 to 64 letters, digits, '_', '.' or '-'")
    }
    return name
  }

  /// Of a variable that stands for a flag.
  package func isYes() throws(ValidationError) -> Bool {
    switch text.lowercased() {
    case "1", "true", "yes": return true
    case "0", "false", "no": return false
    default: throw refusal("1 or 0")
    }
  }

  package func refusal(_ wanted: String) -> ValidationError {
    ValidationError("\(source) must be \(wanted), not '\(escaped(text))'")
  }
}

/// Times in seconds as people write them: `30d`, `12h`, `90m`, `10s`, and `10` for the same.
package enum TimeSpan {
  private static let units = ["": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800]

  package static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = String(text.dropFirst(digits.count)).trimmed.lowercased()
    guard let number = Int(digits), let factor = units[unit] else { return nil }
    let (seconds, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : seconds
  }
}

/// Sizes in bytes as people write them.
package enum ByteSize {
  private static let units = [
    "": 1, "B": 1,
    "K": 1 << 10, "KIB": 1 << 10, "KB": 1_000,
    "M": 1 << 20, "MIB": 1 << 20, "MB": 1_000_000,
    "G": 1 << 30, "GIB": 1 << 30, "GB": 1_000_000_000,
    "T": 1 << 40, "TIB": 1 << 40, "TB": 1_000_000_000_000,
  ]

  /// `8MiB`, `8M`, `8 MiB`: powers of 1,024; `8MB`: powers of 1,000; `8192`: bytes. In any case of
  /// letters.
  package static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = String(text.dropFirst(digits.count)).trimmed.uppercased()
    guard let number = Int(digits), let factor = units[unit] else { return nil }
    let (size, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : size
  }

  package static func text(_ size: Int) -> String {
    for (unit, factor) in [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    where size % factor == 0 { return "\(size / factor)\(unit)" }
    return "\(size)"
  }
}

extension String {
  /// Without the spaces around it.
  package var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
