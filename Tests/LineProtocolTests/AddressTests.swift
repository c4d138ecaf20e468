// Addresses and endpoints: one meaning each, written as RFC 5952 asks.

import Foundation
import Testing

@testable import LineProtocol

@Suite("Addresses")
struct AddressTests {
  @Test(
    "an address is read, and written in its one canonical form",
    arguments: [
      ("0.0.0.0", "0.0.0.0"), ("10.0.0.2", "10.0.0.2"), ("255.255.255.255", "255.255.255.255"),
      // RFC 4291, 2.2.
      ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"),
      ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"),
      ("FF01:0:0:0:0:0:0:101", "ff01::101"), ("0:0:0:0:0:0:0:1", "::1"), ("::", "::"),
      ("0:0:0:0:0:0:0:0", "::"), ("2001:db8::", "2001:db8::"), ("::1", "::1"),
      ("::13.1.68.3", "::d01:4403"), ("0:0:0:0:0:FFFF:129.144.52.38", "129.144.52.38"),
      // RFC 5952, 1, 2 and 4.
      ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
      ("2001:db8::1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"),
      ("2001:0db8::1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:0:1::1", "2001:db8::1:0:0:1"),
      ("2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
      ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
      ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
      ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:0", "2001:db8:0:0:1::"),
      ("2001:db8::aaaa:0:0:1", "2001:db8::aaaa:0:0:1"), ("0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"),
      ("1:0:1:0:1:0:1:0", "1:0:1:0:1:0:1:0"), ("0:0:1:0:0:1:0:0", "::1:0:0:1:0:0"),
      ("1::", "1::"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
      ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
      ("1:2:3::5:6:7:8", "1:2:3:0:5:6:7:8"),
      ("fe80::0204:61ff:fe9d:f156", "fe80::204:61ff:fe9d:f156"),
      ("0001:0020:0300:4000:0:0:0:0", "1:20:300:4000::"),
      // Mapped ones are the IPv4 addresses they stand for; others with dots are not.
      ("::ffff:1.2.3.4", "1.2.3.4"), ("::FFFF:0102:0304", "1.2.3.4"), ("::ffff:0:0", "0.0.0.0"),
      ("0:0:0:0:0:ffff:0:1", "0.0.0.1"), ("::ffff:0:1.2.3.4", "::ffff:0:102:304"),
      ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
      ("1::1.2.3.4", "1::102:304"),
    ])
  func canonical(text: String, written: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == written)
    #expect(IPAddress(written) == address)
    let buffer = ByteBuffer()
    buffer.append(address)
    #expect(String(decoding: buffer.bytes, as: UTF8.self) == written)
  }

  @Test(
    "nothing else is an address",
    arguments: [
      "", ".", ":", ":::", "::::", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.256",
      "01.2.3.4", "1.2.3.04", "1.2.3.00", "0x1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4",
      "+1.2.3.4",
      "1.2.3.1000", "1.2.3.99999999999999999999999999", "16909060", "1.2.3.4\0", "١.2.3.4",
      "1.2.3.a",
      "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
      "1::2::3", "1:::2", ":1::2", "1::2:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "12345::", "g::",
      "::g",
      "::1%eth0", "fe80::1%1", "[::1]", "::1.2.3", "::1.2.3.4.5", "::1.2.3.256", "::01.2.3.4",
      "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::1:2:3:4:5:6:7:1.2.3.4",
      "::ffff:1.2.3",
      "1:2:3:4:5:6:7:8 ", "::１", "localhost", "2001:db8::/32",
      "0000000000000000000000000000000000000000000001", "00000::1",
    ])
  func noAddress(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test("addresses are written as the C library writes them, and read back: 20,000 random ones")
  func roundTrip() {
    var random = SeededGenerator(seed: 5952)
    for _ in 0..<20_000 {
      // Many groups are zero, or short, so that runs of zeros of all lengths occur.
      var halves: [UInt64] = [0, 0]
      for group in 0..<8 where !random.oneIn(2) {
        let value = random.next() >> UInt64(48 + random.below(16))
        halves[group / 4] |= value << UInt64(16 * (group % 4))
      }
      var address = IPAddress(high: halves[0], low: halves[1])
      // The C library writes ::a.b.c.d with dots, which RFC 5952 leaves to choice.
      if address.high == 0 && address.low >> 32 == 0 || random.oneIn(4) {
        address = IPAddress(v4: UInt32(truncatingIfNeeded: random.next()))
      }
      let text = address.description
      #expect(text == referenceText(address))
      #expect(IPAddress(text) == address, "\(text)")
    }
  }

  @Test("the same texts are addresses as for the C library: 50,000 that are or nearly are")
  func accepted() {
    var random = SeededGenerator(seed: 4291)
    let pieces = [
      "::", ":", ".", "0", "1", "ff", "ffff", "1.2.3.4", "12345", "01", "255", "256", "a:b",
    ]
    for _ in 0..<50_000 {
      let text = (0..<random.below(12)).map { _ in random.pick(pieces) }.joined()
      #expect((IPAddress(text) != nil) == isReferenceAddress(text), "\(text)")
    }
  }

  /// What `inet_ntop` writes.
  private func referenceText(_ address: IPAddress) -> String {
    var bytes = [UInt8](repeating: 0, count: 16)
    for at in 0..<8 {
      bytes[at] = UInt8(truncatingIfNeeded: address.high >> UInt64(56 - 8 * at))
      bytes[8 + at] = UInt8(truncatingIfNeeded: address.low >> UInt64(56 - 8 * at))
    }
    let family = address.isIPv4 ? AF_INET : AF_INET6
    if address.isIPv4 { bytes.removeFirst(12) }
    return String(unsafeUninitializedCapacity: 46) { buffer in
      buffer.withMemoryRebound(to: CChar.self) { characters in
        guard let base = characters.baseAddress,
          inet_ntop(family, bytes, base, socklen_t(characters.count)) != nil
        else { return 0 }
        return strlen(base)
      }
    }
  }

  /// Whether `inet_pton` takes it as either.
  private func isReferenceAddress(_ text: String) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16)
    return inet_pton(AF_INET, text, &bytes) == 1 || inet_pton(AF_INET6, text, &bytes) == 1
  }

  @Test("what an address is for is told from its bits")
  func kinds() throws {
    func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    #expect(try address("127.0.0.1").isLoopback && address("127.255.255.255").isLoopback)
    #expect(try address("::1").isLoopback && address("::ffff:127.0.0.1").isLoopback)
    #expect(try !address("128.0.0.1").isLoopback && !address("::2").isLoopback)
    #expect(try !address("1::1").isLoopback)
    #expect(try address("169.254.0.1").isLinkLocal && address("fe80::1").isLinkLocal)
    #expect(try address("febf::1").isLinkLocal && !address("fec0::1").isLinkLocal)
    #expect(try !address("169.255.0.1").isLinkLocal)
    #expect(try address("224.0.0.1").isMulticast && address("239.255.255.255").isMulticast)
    #expect(try address("ff02::1").isMulticast && !address("240.0.0.1").isMulticast)
    #expect(try !address("fe80::1").isMulticast && !address("223.0.0.1").isMulticast)
    #expect(try address("0.0.0.0").isUnspecified && address("::").isUnspecified)
    #expect(try !address("0.0.0.1").isUnspecified && !address("::1").isUnspecified)
    #expect(try address("1.2.3.4").isIPv4 && !address("::1.2.3.4").isIPv4)
    #expect(try address("1.2.3.4").v4 == 0x0102_0304)
    #expect(try address("1.2.3.4") < address("1.2.3.5"))
    #expect(try address("9.0.0.0") < address("10.0.0.0"))
  }

  @Test(
    "an endpoint is an address, in brackets where it has colons, and a port",
    arguments: [
      ("1.2.3.4:5001", "1.2.3.4:5001"), ("[::1]:1", "[::1]:1"), ("0.0.0.0:65535", "0.0.0.0:65535"),
      ("[2001:DB8::0]:5463", "[2001:db8::]:5463"), ("[::ffff:1.2.3.4]:80", "1.2.3.4:80"),
      (
        "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
        "[1111:2222:3333:4444:5555:6666:7777:8888]:65535"
      ),
    ])
  func endpoints(text: String, written: String) throws {
    let endpoint = try #require(Endpoint(text))
    #expect(endpoint.description == written)
    #expect(Endpoint(written) == endpoint)
    #expect(Endpoint(address: endpoint.address, port: endpoint.port) == endpoint)
  }

  @Test(
    "a port is a number from 1 to 65535 in canonical decimal",
    arguments: [
      "", "0", "65536", "-1", "+80", "٣", "0080", "00", "1" + String(repeating: "0", count: 40),
      " 80",
      "80 ", "8 0", "0x50", "80a", "８０", "18446744073709551617", "8.0",
    ])
  func noPorts(port: String) {
    #expect(Endpoint("1.2.3.4:\(port)") == nil)
    #expect(Endpoint("[::1]:\(port)") == nil)
    #expect(Placement(":\(port)") == nil)
  }

  @Test(
    "nothing else is an endpoint",
    arguments: [
      "", ":", "1.2.3.4", "::1", "::1:5001", "[::1]", "[::1]5001", "::1]:5001", "[::1:5001",
      "[1.2.3.4]:5001", "[]:5001", ":5001", "localhost:5001", "[::1%eth0]:5001", "[[::1]]:5001",
      "[:5001", "]:5001", "1.2.3.4:5001:", "1.2.3.4::5001", "[::1] :5001",
    ])
  func noEndpoints(text: String) {
    #expect(Endpoint(text) == nil)
  }

  @Test("there is no port 0")
  func portZero() throws {
    #expect(Endpoint(address: try #require(IPAddress("::1")), port: 0) == nil)
  }

  @Test("endpoints sort by address, then by port")
  func order() {
    let sorted = ["9.0.0.1:2", "10.0.0.1:9", "10.0.0.1:10", "[2001:db8::]:1"]
    #expect(sorted.shuffled().compactMap { Endpoint($0) }.sorted().map(\.description) == sorted)
  }
}
