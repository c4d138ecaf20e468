// How many descriptors this process may have. The soft limit is often 1,024 where the hard one is
// far higher, and a program may raise the one to the other.

import Glibc

enum DescriptorLimit {
  /// Raises the soft limit for so many connections from others beside `own` descriptors. Returns how
  /// many connections it allows.
  static func raise(forConnections wanted: Int, own: Int, _ log: EventLog) -> Int {
    let others = MachineLimits.refusals + own + MachineLimits.reservedDescriptors
    let wanted = max(1, wanted)
    let needed = wanted.addingReportingOverflow(others)
    let limit = raise(to: needed.overflow ? .max : needed.partialValue)
    guard limit - others < wanted else { return wanted }
    // With a tiny limit the spare descriptor must do.
    let allowed = max(limit - others, limit / 2)
    log.warn(
      "the system allows \(limit) open descriptors, so \(allowed) connections at once instead of "
        + "\(wanted); raise the hard limit (ulimit -Hn, LimitNOFILE=)")
    return allowed
  }

  /// Raises the soft limit to `needed` where the hard one allows. Returns what it is then.
  private static func raise(to needed: Int) -> Int {
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
