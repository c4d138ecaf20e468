// A row of plain values that grows at its end: what FanOut goes through once for each receiver of each
// round. Raw memory and not an array: an array is asked at each change whether somebody shares it, and
// counted up and down for each loop over it, which took a third of what a receiver cost.

struct Row<Element: BitwiseCopyable>: ~Copyable {
  private var base: UnsafeMutablePointer<Element>
  private var capacity = 0
  private(set) var count = 0

  init() { base = .allocate(capacity: 0) }

  deinit { base.deallocate() }

  var isEmpty: Bool { count == 0 }
  var indices: Range<Int> { 0..<count }

  /// Valid until the next change.
  var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }

  /// The value at an index that is there.
  subscript(index: Int) -> Element {
    @inline(__always) _read {
      check(index)
      yield base[index]
    }
    @inline(__always) _modify {
      check(index)
      yield &base[index]
    }
  }

  @inline(__always)
  private func check(_ index: Int) {
    precondition(index >= 0 && index < count, "this row is shorter")
  }

  @inline(__always)
  mutating func append(_ element: Element) {
    if count == capacity { grow() }
    (base + count).initialize(to: element)
    count += 1
  }

  /// Forgets what is held, and the memory too where it has room for more than `keeping`.
  mutating func removeAll(keeping: Int = .max) {
    count = 0
    guard capacity > keeping else { return }
    base.deallocate()
    base = .allocate(capacity: 0)
    capacity = 0
  }

  private mutating func grow() {
    capacity = max(16, 2 * capacity)
    let moved = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    moved.moveInitialize(from: base, count: count)
    base.deallocate()
    base = moved
  }
}
