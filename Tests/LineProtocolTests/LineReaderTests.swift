// Bytes to lines: ends of lines, limits, the first line, the last line, and memory.

import LineChatFuzzing
import Testing

@testable import LineProtocol

@Suite("Line reader")
struct LineReaderTests {
  @Test(
    "LF and CR LF end lines, mixed as they come, and empty lines are nothing",
    arguments: [
      ("a\nb\n", [.line("a"), .line("b")]), ("a\r\nb\r\n", [.line("a"), .line("b")]),
      ("a\nb\r\nc\n", [.line("a"), .line("b"), .line("c")]),
      ("\n\r\n\n\r\na\n\n\n", [.line("a")]), ("", []), ("\n", []), ("\r\n", []),
      (" \n", [.line(" ")]), ("\ta\t\n", [.line("\ta\t")]),
    ] as [(String, [Item])])
  func ends(stream: String, expected: [Item]) {
    #expect(items(stream) == expected)
  }

  @Test(
    "a CR that ends no line is refused, and the stream goes on",
    arguments: ["a\rb\n", "\ra\n", "a\r\r\n", "\r\r\n", "a\r b\r\n"])
  func loneCR(stream: String) {
    #expect(items(stream + "good\n") == [.refused(.badEncoding), .line("good")])
  }

  @Test("a last line without EOL counts on a plain connection, and not on a tagged one")
  func lastLine() {
    #expect(items("a\nQUIT", isPlain: true) == [.line("a"), .line("QUIT")])
    #expect(items("a\nQUIT", isPlain: false) == [.line("a")])
    #expect(items("a\nQUIT\n", isPlain: false) == [.line("a"), .line("QUIT")])
    #expect(items("QUIT", isPlain: true) == [.line("QUIT")])
    #expect(items("", isPlain: true) == [])
    #expect(items("@label=1 MSG lobby hal", isPlain: true) == [])
    #expect(items("a\n@label=1 MSG lobby hal", isPlain: true) == [.line("a")])
    #expect(items("a\n\u{1}", isPlain: true) == [.line("a"), .refused(.badEncoding)])
    #expect(items("a\n\u{1}", isPlain: false) == [.line("a")])
    // Half an EOL is a lone CR.
    #expect(items("a\nQUIT\r", isPlain: true) == [.line("a"), .refused(.badEncoding)])
  }

  @Test("a stream that ends twice has ended once")
  func finishTwice() {
    var reader = LineReader()
    #expect(read(Array("a".utf8), with: &reader) == [])
    #expect(reader.finish(isPlain: true).map { Item($0) } == .line("a"))
    #expect(reader.finish(isPlain: true).map { Item($0) } == nil)
    #expect(reader.carriedBytes == 0)
  }

  @Test("a byte order mark is skipped at the beginning, and nowhere else")
  func byteOrderMark() {
    let mark = "\u{FEFF}"
    #expect(items(mark + "NICK a\n") == [.line("NICK a")])
    #expect(items(mark + "\nb\n") == [.line("b")])
    #expect(items(mark + mark + "a\n") == [.line(mark + "a")])
    #expect(items("\n" + mark + "a\n") == [.line(mark + "a")])
    #expect(items("a\n" + mark + "b\n") == [.line("a"), .line(mark + "b")])
    #expect(items(mark) == [])
    #expect(items([[0xEF, 0xBB], [0xBF, 0x61], [0x0A]]) == [.line("a")])
    #expect(items([[0xEF, 0xBB, 0x0A]]) == [.refused(.badEncoding)])
    #expect(items(mark + "GET / HTTP/1.1\n") == [.http])
  }

  @Test(
    "a first line that ends as an HTTP request's does is told apart",
    arguments: [
      ("GET / HTTP/1.1\r\nHost: x\r\n", [.http, .line("Host: x")]), ("POST /x HTTP/1.0\n", [.http]),
      ("\r\n\nGET / HTTP/2.0\n", [.http]), ("MSG lobby see HTTP/1.1\n", [.http]),
      ("GET / HTTP/1.1", [.http]), ("GET /\u{1} HTTP/1.1\n", [.http]),
      // Neither of these is one.
      ("GET / HTTP/1.1 \n", [.line("GET / HTTP/1.1 ")]),
      ("GET /HTTP/1.1\n", [.line("GET /HTTP/1.1")]),
      ("GET / HTTP/11\n", [.line("GET / HTTP/11")]),
      ("GET / HTTP/1.x\n", [.line("GET / HTTP/1.x")]),
      ("GET / http/1.1\n", [.line("GET / http/1.1")]),
      ("@a=1 GET / HTTP/1.1\n", [.line("@a=1 GET / HTTP/1.1")]),
      (":a@relay GET / HTTP/1.1\n", [.line(":a@relay GET / HTTP/1.1")]),
      ("a\nGET / HTTP/1.1\n", [.line("a"), .line("GET / HTTP/1.1")]),
      ("\u{1}\nGET / HTTP/1.1\n", [.refused(.badEncoding), .line("GET / HTTP/1.1")]),
    ] as [(String, [Item])])
  func http(stream: String, expected: [Item]) {
    #expect(items(stream) == expected)
    let bytewise = Array(stream.utf8).map { [$0] }
    #expect(items(bytewise) == expected)
  }

  @Test("an over-long HTTP request is told apart, too, and on a Unix socket none is")
  func longHTTP() {
    let long = "GET /" + String(repeating: "x", count: 70_000)
    for eol in ["\n", "\r\n"] {
      let stream = Array((long + " HTTP/1.1" + eol + "b\n").utf8)
      for size in [1 << 20, 65_536, 1_000, 7] {
        #expect(items(cut(stream, every: size)) == [.http, .line("b")])
        #expect(
          items(cut(stream, every: size), refusesHTTP: false)
            == [.refused(.lineTooLong), .line("b")])
      }
    }
    #expect(items(long + "\nb HTTP/1.1\n") == [.refused(.lineTooLong), .line("b HTTP/1.1")])
    #expect(items("@a=1 " + long + " HTTP/1.1\n") == [.refused(.lineTooLong)])
    #expect(items("GET / HTTP/1.1\n").first == .http)
    #expect(
      items([Array("GET / HTTP/1.1\n".utf8)], refusesHTTP: false) == [.line("GET / HTTP/1.1")])
  }

  @Test("a line has 65,536 bytes with its EOL, tags and source apart, and not one more")
  func lineBound() {
    for prefix in ["", ":alice@relay ", "@label=1;x=2 :alice@relay ", "@label=1 ", "  "] {
      for (eol, bytes) in [("\n", 1), ("\r\n", 2)] {
        let line = "MSG a " + String(repeating: "x", count: 65_536 - 6 - bytes)
        for size in [1 << 20, 65_536, 5_000] {
          let fits = cut(Array((prefix + line + eol + "b\n").utf8), every: size)
          #expect(items(fits) == [.line(prefix + line), .line("b")])
          let over = cut(Array((prefix + line + "x" + eol + "b\n").utf8), every: size)
          #expect(items(over) == [.refused(.lineTooLong), .line("b")])
        }
      }
    }
  }

  @Test("a byte order mark does not count to the first line's bytes")
  func lineBoundWithMark() {
    let line = "MSG a " + String(repeating: "x", count: 65_536 - 7)
    #expect(items("\u{FEFF}" + line + "\nb\n") == [.line(line), .line("b")])
    #expect(items("\u{FEFF}" + line + "x\nb\n") == [.refused(.lineTooLong), .line("b")])
  }

  @Test("a last line without EOL is bounded as if it had one")
  func lastLineBound() {
    let line = "MSG a " + String(repeating: "x", count: 65_536 - 7)
    #expect(items("b\n" + line) == [.line("b"), .line(line)])
    #expect(items("b\n" + line + "x") == [.line("b"), .refused(.lineTooLong)])
    #expect(items("b\n" + line + "x", isPlain: false) == [.line("b")])
  }

  @Test("tags and source have 2,048 bytes of their own, and not one more")
  func prefixBound() {
    let tags = "@a=" + String(repeating: "v", count: 2_048 - 13) + " :b@relay "
    let rest = "MSG a " + String(repeating: "x", count: 65_536 - 7)
    for size in [1 << 20, 3_000, 100] {
      let fits = cut(Array((tags + rest + "\nb\n").utf8), every: size)
      #expect(items(fits) == [.line(tags + rest), .line("b")])
      for over in ["@a=v" + tags.dropFirst(3) + "MSG a x", tags + " MSG a x"] {
        #expect(
          items(cut(Array((over + "\nb\n").utf8), every: size))
            == [.refused(.lineTooLong), .line("b")])
      }
    }
    let endless = "@" + String(repeating: "a", count: 3_000)
    #expect(items(endless + "\nb\n") == [.refused(.lineTooLong), .line("b")])
    let spaces = String(repeating: " ", count: 2_048)
    #expect(
      items(spaces + "b\n" + spaces + " b\n") == [.line(spaces + "b"), .refused(.lineTooLong)])
  }

  @Test("a lower limit is for lines without a source", arguments: [128, 2_048, 2_100, 4_000])
  func lowerLimit(limit: Int) {
    let fits = "MSG a " + String(repeating: "x", count: limit - 7)
    let tags = "@a=" + String(repeating: "t", count: 300) + " "
    for size in [1 << 20, 50, 1] {
      func read(_ stream: String) -> [Item] {
        items(cut(Array(stream.utf8), every: size), lineBytesMax: limit)
      }
      #expect(read(fits + "\n" + fits + "x\n") == [.line(fits), .refused(.lineTooLong)])
      #expect(
        read(fits.dropLast() + "\r\n" + fits + "\r\n") == [
          .line(String(fits.dropLast())), .refused(.lineTooLong),
        ])
      #expect(read(tags + fits + "\n") == [.line(tags + fits)])
      #expect(read(tags + fits + "x\n") == [.refused(.lineTooLong)])
      let delivery = ":alice@relay " + fits + String(repeating: "y", count: 4_000)
      #expect(
        read(delivery + "\n" + tags + delivery + "\n") == [.line(delivery), .line(tags + delivery)])
    }
  }

  @Test("a limit out of range is the nearest that makes sense")
  func oddLimits() {
    let line = "MSG a " + String(repeating: "x", count: 65_536 - 7) + "\n"
    #expect(items([Array(line.utf8)], lineBytesMax: .max).count == 1)
    #expect(items([Array(("x" + line).utf8)], lineBytesMax: .max) == [.refused(.lineTooLong)])
    for limit in [127, 1, 0, -1, .min] {
      let least = "MSG a " + String(repeating: "x", count: 128 - 7)
      #expect(
        items([utf8(least + "\n" + least + "x\n")], lineBytesMax: limit)
          == [.line(least), .refused(.lineTooLong)])
    }
  }

  @Test("the refusal of a long line says how long a line may be")
  func longText() throws {
    var reader = LineReader(lineBytesMax: 512)
    let bytes = Array((String(repeating: "x", count: 600) + "\n").utf8)
    let refusal: Refusal? = bytes.withUnsafeBytes { bytes in
      var position = 0
      guard case .refused(let refusal) = reader.next(bytes, &position) else { return nil }
      return refusal
    }
    #expect(try #require(refusal).text.contains("512 bytes"))
    #expect(isClean(try #require(refusal).text))
  }

  @Test("memory does not grow with a line that is too long, and none is held between lines")
  func memory() {
    var reader = LineReader()
    #expect(reader.carriedBytes == 0)
    let most = 2 * WireLimits.carriedBytes
    for start in ["MSG a ", "@a=", ":a", "@a=1 :b@relay MSG ", "GET /"] {
      #expect(read(Array(start.utf8), with: &reader) == [])
      #expect(reader.carriedBytes > 0)
      var largest = 0
      for size in [1, 10, 1_000, 65_536, 1 << 20] {
        for _ in 0..<20 {
          #expect(read(Array(repeating: 0x78, count: size), with: &reader) == [])
          largest = max(largest, reader.carriedBytes)
        }
      }
      #expect(largest <= most)
      #expect(reader.carriedBytes <= 128, "what is dropped is not kept")
      #expect(
        read(Array("\ngood\n".utf8), with: &reader) == [.refused(.lineTooLong), .line("good")])
      #expect(reader.carriedBytes == 0)
    }
    #expect(read(Array("half".utf8), with: &reader) == [])
    #expect(reader.carriedBytes > 0 && reader.carriedBytes <= 128)
    #expect(read(Array(" a line\n".utf8), with: &reader) == [.line("half a line")])
    #expect(reader.carriedBytes == 0)
  }

  @Test("a lower limit lowers the memory that a line without a source can take")
  func memoryOfLowerLimit() {
    for start in ["MSG a ", "@a=1 MSG a ", "", "  "] {
      var reader = LineReader(lineBytesMax: 1_024)
      var largest = 0
      #expect(read(utf8("x\n" + start), with: &reader) == [.line("x")])
      for _ in 0..<20_000 {
        #expect(read([0x78], with: &reader) == [])
        largest = max(largest, reader.carriedBytes)
      }
      #expect(largest <= 4_096)
      #expect(read(utf8("\n"), with: &reader) == [.refused(.lineTooLong)])
    }
  }

  @Test("a line that lies whole in its chunk is handed out in place")
  func inPlace() {
    var reader = LineReader()
    #expect(read(Array("first\n".utf8), with: &reader) == [.line("first")])
    Array("MSG a x\r\nMSG b y\nrest".utf8).withUnsafeBytes { chunk in
      var position = 0
      guard case .line(let one) = reader.next(chunk, &position),
        position == 9, case .line(let other) = reader.next(chunk, &position)
      else {
        Issue.record("no two lines")
        return
      }
      #expect(one.baseAddress == chunk.baseAddress)
      #expect(other.baseAddress == chunk.baseAddress.map { $0 + 9 })
      #expect(position == 17)
      #expect(reader.next(chunk, &position).map { Item($0) } == nil)
      #expect(position == chunk.count)
    }
  }

  @Test("empty chunks and positions at the end are nothing")
  func emptyChunks() {
    var reader = LineReader()
    var position = 0
    #expect(
      reader.next(UnsafeRawBufferPointer(start: nil, count: 0), &position).map { Item($0) } == nil)
    #expect(items([[], [0x61], [], [], [0x0A], []]) == [.line("a")])
  }

  @Test("a stream cut in two at every byte gives the same items as whole")
  func everyCut() {
    let stream = Array(
      "\u{FEFF}NICK alice\r\n@a=1 MSG lobby héllo 😀\nbad\u{1}\n\r\n:b@relay PM c x\r\nlone\rcr\n€"
        .utf8)
    let whole = items([stream])
    #expect(whole.count == 6)
    for at in 0...stream.count {
      #expect(items([Array(stream[..<at]), Array(stream[at...])]) == whole, "cut at \(at)")
    }
    for size in 1...9 { #expect(items(cut(stream, every: size)) == whole) }
  }
}

/// The stream in pieces of `size` bytes.
func cut(_ stream: [UInt8], every size: Int) -> [[UInt8]] {
  stride(from: 0, to: stream.count, by: size).map {
    Array(stream[$0..<min($0 + size, stream.count)])
  }
}
