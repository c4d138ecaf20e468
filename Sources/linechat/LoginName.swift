// What somebody is called who has not said it.

import CommandLineSupport
import Glibc
import LineChat

extension MemberName {
  /// The login name of whoever runs this, made into a name; `user` where nothing is left of it.
  static var ofLogin: MemberName {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    let login = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { buffer in
      guard let base = buffer.baseAddress,
        getpwuid_r(geteuid(), &entry, base, buffer.count, &found) == 0, let found,
        let name = found.pointee.pw_name
      else { return environment("LOGNAME") ?? environment("USER") ?? "" }
      return String(cString: name)
    }
    return MemberName(like: login)
  }

  /// `text` without what no name has in it: `_apt` is `apt`, `jörg` is `jrg`.
  init(like text: String) {
    let allowed = text.filter { $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) }
    let start = allowed.drop { !$0.isLetter }
    guard let name = MemberName(start.prefix(WireLimits.memberNameBytes)) ?? MemberName("user")
    else {
      preconditionFailure("that is a name")
    }
    self = name
  }
}
