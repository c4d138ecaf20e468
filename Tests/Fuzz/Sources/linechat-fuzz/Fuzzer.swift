// What libFuzzer calls: the target that LINECHAT_FUZZ_TARGET names is fed. A fault ends the process, and
// libFuzzer writes the input down.

import Glibc
import LineChatFuzzing

private let target: FuzzTarget = {
  let name = getenv("LINECHAT_FUZZ_TARGET").map { String(cString: $0) } ?? ""
  guard let target = FuzzTarget(rawValue: name) else {
    let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: " ")
    say("LINECHAT_FUZZ_TARGET is \"\(name)\"; it is one of \(names)")
    // Not by exit: libFuzzer takes that for a fault of the target.
    _exit(64)
  }
  return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func feed(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  do throws(Fault) {
    try target.feed(UnsafeRawBufferPointer(start: start, count: count))
  } catch {
    say("\(target.rawValue): \(error)")
    // What libFuzzer takes for a fault.
    abort()
  }
  return 0
}

private func say(_ text: String) {
  let line = Array("\(text)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
}
