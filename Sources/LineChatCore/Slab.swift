// Values under small indices that are used again: sessions, members and groups lie in slabs and know
// each other by index. An index is a fact of this process only; using one that holds nothing is a
// mistake of ours and ends the process.
//
// Raw memory and not an array of optionals: reading one field of an element must not copy (and
// retain) the whole of it, which on the way of a message costs more than the rest of the work.

struct Slab<Element>: ~Copyable {
  private var elements: UnsafeMutablePointer<Element>
  private var isUsed: UnsafeMutablePointer<Bool>
  private var capacity = 0
  /// Indices given out so far.
  private(set) var count = 0
  private var free: [Int32] = []

  init() {
    elements = .allocate(capacity: 0)
    isUsed = .allocate(capacity: 0)
  }

  deinit {
    for index in 0..<count where isUsed[index] { (elements + index).deinitialize(count: 1) }
    elements.deallocate()
    isUsed.deallocate()
  }

  /// The value under an index that is in use.
  subscript(index: Int32) -> Element {
    @inline(__always) _read {
      check(Int(index))
      yield elements[Int(index)]
    }
    @inline(__always) _modify {
      check(Int(index))
      yield &elements[Int(index)]
    }
  }

  /// The value under an index that is in use.
  subscript(index: UInt32) -> Element {
    @inline(__always) _read {
      check(Int(index))
      yield elements[Int(index)]
    }
    @inline(__always) _modify {
      check(Int(index))
      yield &elements[Int(index)]
    }
  }

  @inline(__always)
  private func check(_ index: Int) {
    precondition(index >= 0 && index < count && isUsed[index], "this index holds nothing")
  }

  /// Whether the index holds a value.
  func holds(_ index: UInt32) -> Bool { Int(index) < count && isUsed[Int(index)] }

  /// Whether the index holds a value.
  func holds(_ index: Int32) -> Bool { index >= 0 && holds(UInt32(index)) }

  /// The indices in use, rising.
  var indices: [Int32] { (0..<Int32(count)).filter { isUsed[Int($0)] } }

  /// How many indices may be given out again.
  var freeCount: Int { free.count }

  /// The index that the next insertion uses.
  var nextIndex: Int32 { free.last ?? Int32(count) }

  mutating func insert(_ element: Element) -> Int32 {
    let index = free.popLast() ?? extend()
    (elements + Int(index)).initialize(to: element)
    isUsed[Int(index)] = true
    return index
  }

  /// Takes a value out. Its index is given out again only after `reuse`.
  mutating func remove(_ index: Int32) {
    check(Int(index))
    isUsed[Int(index)] = false
    (elements + Int(index)).deinitialize(count: 1)
  }

  /// The index of a value that was taken out may be given out again.
  mutating func reuse(_ index: Int32) { free.append(index) }

  private mutating func extend() -> Int32 {
    if count == capacity { grow() }
    isUsed[count] = false
    count += 1
    return Int32(count - 1)
  }

  private mutating func grow() {
    capacity = max(16, capacity * 2)
    let moved = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    let flags = UnsafeMutablePointer<Bool>.allocate(capacity: capacity)
    for index in 0..<count {
      flags[index] = isUsed[index]
      if isUsed[index] { (moved + index).moveInitialize(from: elements + index, count: 1) }
    }
    elements.deallocate()
    isUsed.deallocate()
    elements = moved
    isUsed = flags
  }
}
