// stub
package struct LineReader: ~Copyable {
  package enum Item {
    case line(UnsafeRawBufferPointer)
    case refused(Refusal)
    case http
  }

  package init(lineBytesMax: Int = WireLimits.lineBytes, refusesHTTP: Bool = true) {}

  package mutating func next(_ chunk: UnsafeRawBufferPointer, _ position: inout Int) -> Item? {
    nil
  }

  package mutating func finish(isPlain: Bool) -> Item? { nil }

  package var carriedBytes: Int { 0 }
}
