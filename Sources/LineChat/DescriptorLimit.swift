// How many descriptors this process may have. The soft limit is often 1,024 where the hard one is
// far higher, and a program may raise the one to the other.

import Glibc

enum DescriptorLimit {
  /// Raises the soft limit to `needed` where the hard one allows. Returns what it is then.
  static func raise(to needed: Int) -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return needed }
    let wanted = rlim_t(needed)
    guard limit.rlim_cur < wanted else { return needed }
    var raised = limit
    raised.rlim_cur = min(wanted, limit.rlim_max)
    if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
    return Int(clamping: limit.rlim_cur)
  }
}
