// The buffer in which everything for the wire is collected.

import Testing

@testable import LineProtocol

@Suite("Byte buffer")
struct ByteBufferTests {
  private func text(_ buffer: ByteBuffer) -> String {
    String(decoding: buffer.bytes, as: UTF8.self)
  }

  @Test(
    "numbers are appended in decimal",
    arguments: [0, 1, 9, 10, 99, 100, 65_535, -1, -10, Int.max, Int.min, 1_000_000_007])
  func decimals(number: Int) {
    let buffer = ByteBuffer()
    buffer.append("n=")
    buffer.append(decimal: number)
    #expect(text(buffer) == "n=\(number)")
  }

  @Test("what is appended comes out in order, and can be cut at both ends")
  func cuts() {
    let buffer = ByteBuffer()
    #expect(buffer.isEmpty)
    buffer.append("one ")
    buffer.append(String("two "))
    buffer.append(byte: 0x33)
    #expect(text(buffer) == "one two 3")
    buffer.removeFirst(4)
    #expect(text(buffer) == "two 3")
    buffer.truncate(to: 3)
    #expect(text(buffer) == "two")
    #expect(buffer.bytes(1..<3).elementsEqual("wo".utf8))
    buffer.removeFirst(3)
    #expect(buffer.isEmpty && buffer.bytes.isEmpty)
  }

  @Test("memory grows with what is held, and is given back when asked")
  func memory() {
    let buffer = ByteBuffer()
    #expect(buffer.capacity == 0)
    for _ in 0..<10_000 { buffer.append("0123456789") }
    #expect(buffer.count == 100_000 && buffer.capacity < 300_000)
    buffer.removeAll()
    #expect(buffer.capacity >= 100_000)
    buffer.removeAll(keeping: 64)
    #expect(buffer.capacity == 0)
    buffer.append(byte: 0x61)
    #expect(text(buffer) == "a")
  }
}
