// What libFuzzer calls: the target that LINECHAT_FUZZ_TARGET names is fed. A fault ends the process, and
// libFuzzer writes the input down.

import Glibc
import LineChatFuzzing

private let target: FuzzTarget = {
  let name = getenv("LINECHAT_FUZZ_TARGET").map { String(cString: $0) } ?? ""
  guard let target = FuzzTarget(rawValue: name) else {
    let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: " ")
    fatalError("LINECHAT_FUZZ_TARGET is \"\(name)\"; it is one of \(names)")
  }
  return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func feed(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  do throws(Fault) {
    try target.feed(UnsafeRawBufferPointer(start: start, count: count))
  } catch {
    fatalError("\(target.rawValue): \(error)")
  }
  return 0
}
