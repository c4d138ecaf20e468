// A failure of a call to the system: which call, and what the system said. "Would block" is no
// failure and never becomes one of these.

import Glibc

/// A call to the system that failed.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name of the call, as in its manual page.
  public let call: String

  /// The value of `errno` after it.
  public let code: Int32

  /// `code` is by default what the call just made left in `errno`.
  package init(_ call: String, _ code: Int32 = errno) {
    self.call = call
    self.code = code
  }

  /// What `code` means, in the system's words: "Address already in use".
  public var reason: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
      // strerror itself is not safe on several threads.
      guard let base = text.baseAddress, strerror_r(code, base, text.count) == 0 else {
        return "error \(code)"
      }
      return String(cString: base)
    }
  }

  /// For a person: "bind: Address already in use".
  public var description: String { "\(call): \(reason)" }
}
