// A growable run of raw bytes: what is encoded for the wire is collected here.
// It is a class so that it has one owner of its memory and can be pooled; it is not Sendable.
// Nothing here traps on content; only running out of memory ends the process.
//
// Exclusive access to the stored properties is not checked at run time: they are touched by one
// plain function at a time, and the checks were a third of the cost of a message.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

package final class ByteBuffer {
  @exclusivity(unchecked) package private(set) var count = 0
  @exclusivity(unchecked) private(set) var capacity = 0
  @exclusivity(unchecked) private var base: UnsafeMutableRawPointer?

  package init() {}

  deinit { free(base) }

  package var isEmpty: Bool { count == 0 }

  /// The bytes held; valid until the next mutation.
  package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// The bytes of `range`, which must lie within `0..<count`; valid until the next mutation.
  package func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  package func append(_ more: UnsafeRawBufferPointer) {
    guard let source = more.baseAddress, more.count > 0 else { return }
    memcpy(room(for: more.count), source, more.count)
    count += more.count
  }

  /// The same as appending one after the other, with one look at the room.
  package func append(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ end: UInt8
  ) {
    let more = first.count + second.count + 1
    let place = room(for: more)
    if let base = first.baseAddress { memcpy(place, base, first.count) }
    if let base = second.baseAddress { memcpy(place + first.count, base, second.count) }
    place.storeBytes(of: end, toByteOffset: more - 1, as: UInt8.self)
    count += more
  }

  /// The same `times` over: what is there already is copied, twice as much with each copy.
  package func append(_ more: UnsafeRawBufferPointer, times: Int) {
    guard let source = more.baseAddress, more.count > 0, times > 0 else { return }
    let total = more.count * times
    let place = room(for: total)
    memcpy(place, source, more.count)
    var filled = more.count
    while filled < total {
      let next = min(filled, total - filled)
      memcpy(place + filled, place, next)
      filled += next
    }
    count += total
  }

  package func append(_ text: StaticString) {
    append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Disfavoured so that a literal is taken as the StaticString it is.
  @_disfavoredOverload
  package func append(_ text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  package func append(byte: UInt8) {
    room(for: 1).storeBytes(of: byte, as: UInt8.self)
    count += 1
  }

  /// Appends `number` in decimal.
  package func append(decimal number: Int) {
    if number >= 0 && number < 10 { return append(byte: 48 + UInt8(number)) }
    var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
    withUnsafeMutableBytes(of: &digits) { scratch in
      var at = scratch.count
      var rest = number.magnitude
      repeat {
        at -= 1
        scratch[at] = 48 + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      } while rest > 0
      if number < 0 {
        at -= 1
        scratch[at] = 45
      }
      append(UnsafeRawBufferPointer(rebasing: scratch[at...]))
    }
  }

  /// Appends what `write` writes into room for `limit` bytes; it returns how many it wrote.
  @inline(__always)
  func append(upTo limit: Int, _ write: (UnsafeMutableRawPointer) -> Int) {
    let written = write(room(for: limit))
    precondition(written >= 0 && written <= limit)
    count += written
  }

  /// Forgets what is held; keeps the memory for reuse if it is at most `keeping` bytes.
  package func removeAll(keeping: Int = .max) {
    count = 0
    if capacity > keeping {
      free(base)
      base = nil
      capacity = 0
    }
  }

  /// Drops everything from `count` on; `newCount` must not exceed the present one.
  package func truncate(to newCount: Int) {
    precondition(newCount >= 0 && newCount <= count)
    count = newCount
  }

  /// Drops the first `number` bytes.
  package func removeFirst(_ number: Int) {
    precondition(number >= 0 && number <= count)
    guard let base, number > 0 else { return }
    memmove(base, base + number, count - number)
    count -= number
  }

  private func room(for more: Int) -> UnsafeMutableRawPointer {
    let needed = count + more
    if needed > capacity { grow(to: needed) }
    return base.unsafelyUnwrapped + count
  }

  private func grow(to needed: Int) {
    let new = max(64, needed, capacity * 2)
    guard let memory = realloc(base, new) else {
      preconditionFailure("out of memory: \(new) bytes")
    }
    base = memory
    capacity = new
  }
}
