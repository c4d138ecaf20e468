// Bytes in any pieces -> lines. Pull style, as in h11: the caller asks for items until a chunk is
// used up, and nothing is called back.
//
// The rules it keeps:
// - However the stream is cut into pieces, the items are the same.
// - A line that lies whole in its chunk is handed out in place; only what is unfinished or unusual
//   is copied, into a buffer that exists as long as it is needed and no longer.
// - Memory is bounded: a line beyond its limit is dropped while it comes in, up to its EOL, and
//   refused once. Nothing that comes in can trap.
// - The stream is looked at in this order: telnet commands are taken out (a byte 0xFF that begins
//   none stays, and makes its line invalid); LF ends a line, and a CR before it belongs to the end;
//   a byte order mark at the very beginning and empty lines are skipped; an HTTP request as first
//   line is told apart; the line's length is checked; then its text.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

package struct LineReader: ~Copyable {
  package enum Item {
    /// Not empty, without EOL, valid text, within the limits. Valid until the next call.
    case line(UnsafeRawBufferPointer)

    /// A line that is not taken: `bad-encoding` or `line-too-long`. The stream goes on.
    case refused(Refusal)

    /// The first line is an HTTP request's: a web page tries to talk to the port.
    case http

    /// A telnet client asks for a timing mark, and is deaf until it is refused: see
    /// `Telnet.timingMarkRefused`. It may come in the middle of a line.
    case timingMark
  }

  // Every connection has one of these, silent or not: no word is wasted.

  /// What came of an unfinished line, or the line handed out last; nil between whole lines. While
  /// a line is dropped, its last bytes where they might still show an HTTP request.
  private var carry: ByteBuffer?
  private let lineBytesLimit: Int32
  /// From how many bytes on the unfinished line is to be looked at: it may be too long then.
  private var checkedBytes: Int32 = 0
  private var telnet = TelnetFilter()
  private let refusesHTTP: Bool
  private var isSpent = false
  private var isDropping = false
  /// No line has been ended yet, not even an empty one: a byte order mark is skipped.
  private var isAtStart = true
  /// No line has been seen yet: it might be an HTTP request's.
  private var isBeforeFirstLine = true

  /// `lineBytesMax` can lower the limit of lines without a source, EOL included, to 128; and
  /// `refusesHTTP` is for TCP, where a browser can be made to connect.
  package init(lineBytesMax: Int = WireLimits.lineBytes, refusesHTTP: Bool = true) {
    let limit = max(WireLimits.lineBytesLeast, min(lineBytesMax, WireLimits.lineBytes))
    lineBytesLimit = Int32(limit)
    self.refusesHTTP = refusesHTTP
  }

  private var lineBytesMax: Int { Int(lineBytesLimit) }

  /// Lines shorter than this are within all limits, whatever they hold.
  private var quickBytes: Int { min(lineBytesMax, WireLimits.prefixBytes) - 1 }

  /// Memory in use for a line that is not whole yet: at most twice `WireLimits.carriedBytes`.
  package var carriedBytes: Int { carry?.capacity ?? 0 }

  /// The next item of `chunk` from `position` on, which is moved behind what was read. Nil: the
  /// chunk is used up, and what it holds of an unfinished line is kept for the next one.
  package mutating func next(
    _ chunk: UnsafeRawBufferPointer, _ position: inout Int
  ) -> Item? {
    if isSpent { release() }
    // Where the next LF is, or the chunk's end. Looked for again only when it has been passed, so
    // that a chunk full of telnet commands costs no more than another.
    var end = -1
    while position >= 0, position < chunk.count {
      if telnet.isInside {
        switch telnet.skip(chunk, &position) {
        case .nothing: break
        case .strayByte: takeStrayByte()
        case .timingMark: return .timingMark
        }
        continue
      }
      if end < position { end = chunk.place(of: 0x0A, from: position) ?? chunk.count }
      if end < chunk.count, carry == nil, !isDropping, !isBeforeFirstLine {
        let line = LineReader.withoutCR(chunk.part(position..<end))
        if line.count < quickBytes || !isTooLong(line, eolBytes: end - position - line.count + 1),
          TextCheck.firstFault(in: line) == nil
        {
          position = end + 1
          if line.isEmpty { continue }
          return .line(line)
        }
      }
      // Anything but a whole and valid line goes through the carry.
      if let command = chunk.part(0..<end).place(of: 0xFF, from: position) {
        take(chunk.part(position..<command))
        telnet.begin()
        position = command + 1
        continue
      }
      take(chunk.part(position..<end))
      position = end
      guard end < chunk.count else { return nil }
      position += 1
      if let item = endLine() { return item }
    }
    return nil
  }

  /// Gives `body` the text of each line that begins with `head` and is otherwise like most lines: whole in
  /// its chunk, short enough for all limits, of a text that says something. Ends with the first that is
  /// not, which is left for `next`, or after `most`. `head` is all but the text of the line before.
  package mutating func takeTexts(
    after head: UnsafeRawBufferPointer, most: Int, _ chunk: UnsafeRawBufferPointer,
    _ position: inout Int, _ body: (UnsafeRawBufferPointer) -> Void
  ) -> Int {
    guard carry == nil, !isDropping, !isBeforeFirstLine, !telnet.isInside, position >= 0,
      let base = chunk.baseAddress, let wanted = head.baseAddress
    else { return 0 }
    let longest = quickBytes - head.count
    guard longest > 0 else { return 0 }
    var count = 0
    var at = position
    while count < most {
      let start = at &+ head.count
      guard start < chunk.count, memcmp(base + at, wanted, head.count) == 0,
        let end = memchr(base + start, 0x0A, min(chunk.count &- start, longest))
      else { break }
      let line = UnsafeRawBufferPointer(
        start: base + start, count: UnsafeRawPointer(end) - (base + start))
      let text = LineReader.withoutCR(line)
      guard let first = text.first, first > 0x20, TextCheck.firstFault(in: text) == nil else {
        break
      }
      body(text)
      at = start &+ line.count &+ 1
      count &+= 1
    }
    position = at
    return count
  }

  /// The stream has ended in order. On a plain connection a last line without EOL counts; on one
  /// that speaks tags, if only in that line, it may be half of what its sender meant, and is dropped.
  package mutating func finish(isPlain: Bool) -> Item? {
    if isSpent { release() }
    if telnet.abandon() { takeStrayByte() }
    guard isPlain else {
      release()
      isDropping = false
      return nil
    }
    let last = endLine(isCRPartOfEnd: false)
    // A program's first line, cut off: only programs say tags.
    if case .line(let bytes)? = last, bytes.first == 0x40 { return nil }
    return last
  }

  private mutating func release() {
    carry = nil
    isSpent = false
  }

  /// Adds to the unfinished line. What is too long is dropped from the moment when that is certain,
  /// which the line is asked for a few times only, however small its pieces are.
  private mutating func take(_ run: UnsafeRawBufferPointer) {
    guard !run.isEmpty else { return }
    if isDropping { return keepTail(run) }
    if carry == nil { checkedBytes = Int32(quickBytes) }
    let carry = self.carry ?? ByteBuffer()
    self.carry = carry
    let taken = min(run.count, WireLimits.carriedBytes - carry.count)
    carry.append(run.part(0..<taken))
    guard carry.count >= Int(checkedBytes) else { return }
    // A CR at the end may be the EOL's or not: the line is too long only if it is so either way.
    var line = LineReader.withoutCR(carry.bytes)
    let eolBytes = carry.count - line.count + 1
    if isAtStart { line = LineReader.withoutBOM(line) }
    guard isTooLong(line, eolBytes: eolBytes) else {
      checkedBytes = Int32(min(2 * carry.count, WireLimits.carriedBytes))
      return
    }
    isDropping = true
    guard isBeforeFirstLine, refusesHTTP, LineReader.mayBeHTTP(line) else {
      self.carry = nil
      return
    }
    let tail = ByteBuffer()
    tail.append(carry.bytes.part(carry.count - LineReader.tailBytes..<carry.count))
    self.carry = tail
    keepTail(run.part(taken..<run.count))
  }

  /// A byte 0xFF that begins no telnet command: it stays, and the line will be refused.
  private mutating func takeStrayByte() {
    withUnsafeBytes(of: 0xFF as UInt8) { take($0) }
  }

  /// Of a line that is dropped, and may be an HTTP request's, its last bytes are kept.
  private mutating func keepTail(_ run: UnsafeRawBufferPointer) {
    guard let carry else { return }
    carry.append(run.part(run.count - LineReader.tailBytes..<run.count))
    carry.removeFirst(max(0, carry.count - LineReader.tailBytes))
  }

  /// What the line amounts to that has ended now; nil if it is empty.
  private mutating func endLine(isCRPartOfEnd: Bool = true) -> Item? {
    let wasDropped = isDropping
    isDropping = false
    var line = carry?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)
    let bytes = line.count
    if isCRPartOfEnd { line = LineReader.withoutCR(line) }
    let eolBytes = bytes - line.count + 1
    if isAtStart && !wasDropped { line = LineReader.withoutBOM(line) }
    isAtStart = false
    guard wasDropped || !line.isEmpty else {
      release()
      return nil
    }
    isSpent = true
    let isFirst = isBeforeFirstLine
    isBeforeFirstLine = false
    if isFirst, refusesHTTP, wasDropped || LineReader.mayBeHTTP(line), LineReader.endsInHTTP(line) {
      return .http
    }
    if wasDropped || isTooLong(line, eolBytes: eolBytes) {
      return .refused(LineReader.tooLong(lineBytesMax))
    }
    if let fault = TextCheck.firstFault(in: line) {
      return .refused(TextCheck.refusal(of: line, at: fault))
    }
    return .line(line)
  }
}

// What a line's bytes say.
extension LineReader {
  /// One line from bytes that hold nothing else, with or without its EOL: the same rules for those
  /// who have no stream.
  static func whole(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> UnsafeRawBufferPointer {
    let hasLF = bytes.last == 0x0A
    let line = hasLF ? withoutCR(bytes.part(0..<bytes.count - 1)) : bytes
    let prefix = LineView.prefix(line)
    guard prefix.bytes <= WireLimits.prefixBytes,
      line.count - prefix.bytes + max(1, bytes.count - line.count) <= WireLimits.lineBytes
    else { throw tooLong(WireLimits.lineBytes) }
    if let fault = TextCheck.firstFault(in: line) {
      throw TextCheck.refusal(of: line, at: fault)
    }
    return line
  }

  /// Enough for " HTTP/1.1" and a CR.
  private static var tailBytes: Int { 16 }

  /// Whether a line, EOL apart, is beyond its limits. It never becomes true by taking bytes away
  /// from the end, so it may be asked of the beginning of a line, too.
  private func isTooLong(_ line: UnsafeRawBufferPointer, eolBytes: Int) -> Bool {
    let prefix = LineView.prefix(line)
    let limit = prefix.hasSource ? WireLimits.lineBytes : lineBytesMax
    return prefix.bytes > WireLimits.prefixBytes || line.count - prefix.bytes + eolBytes > limit
  }

  private static func tooLong(_ lineBytesMax: Int) -> Refusal {
    Refusal(
      .lineTooLong,
      "a line has at most \(lineBytesMax) bytes and \(WireLimits.prefixBytes) of tags and source "
        + "before its verb; send it in parts")
  }

  @inline(__always)
  private static func withoutCR(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    line.last == 0x0D ? line.part(0..<line.count - 1) : line
  }

  private static func withoutBOM(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    line.count >= 3 && line[0] == 0xEF && line[1] == 0xBB && line[2] == 0xBF
      ? line.part(3..<line.count) : line
  }

  /// No tags, no source, and it begins as a browser's request does: with its method.
  private static func mayBeHTTP(_ line: UnsafeRawBufferPointer) -> Bool {
    line.first != 0x40 && line.first != 0x3A && line.first != 0x20
  }

  /// It ends in " HTTP/<digit>.<digit>".
  private static func endsInHTTP(_ line: UnsafeRawBufferPointer) -> Bool {
    guard line.count >= 9 else { return false }
    let end = line.part(line.count - 9..<line.count)
    return end.part(0..<6).equals(" HTTP/") && isDigit(end[6]) && end[7] == 0x2E && isDigit(end[8])
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
}
