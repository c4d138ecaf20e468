// The reader's rules once more, as plainly as can be: the whole stream at once, in passes, with
// arrays. It is what the real one is compared with.

import LineProtocol

package struct ReferenceReader {
  private let lineBytesMax: Int
  private let refusesHTTP: Bool
  private let isPlain: Bool

  package init(
    lineBytesMax: Int = WireLimits.lineBytes, refusesHTTP: Bool = true, isPlain: Bool = true
  ) {
    self.lineBytesMax = lineBytesMax
    self.refusesHTTP = refusesHTTP
    self.isPlain = isPlain
  }

  package func items(of stream: [UInt8]) -> [Item] {
    let (text, marks) = withoutTelnet(stream)
    var data = text[...]
    var marksLeft = marks[...]
    if data.starts(with: [0xEF, 0xBB, 0xBF]) { data = data.dropFirst(3) }
    var items: [Item] = []
    while let end = data.firstIndex(of: 0x0A) {
      while let mark = marksLeft.first, mark <= end {
        items.append(.timingMark)
        marksLeft = marksLeft.dropFirst()
      }
      var line = Array(data[..<end])
      data = data[(end + 1)...]
      var eolBytes = 1
      if line.last == 0x0D {
        line.removeLast()
        eolBytes = 2
      }
      add(line, eolBytes, to: &items)
    }
    items += marksLeft.map { _ in .timingMark }
    // Half a line with tags is a program's that was stopped.
    var last: [Item] = items
    add(Array(data), 1, to: &last)
    let isTagged = last.last == .line(Array(data)) && data.first == 0x40
    if isPlain && !isTagged { items = last }
    return items
  }

  private func add(_ line: [UInt8], _ eolBytes: Int, to items: inout [Item]) {
    if line.isEmpty { return }
    if items.allSatisfy({ $0 == .timingMark }), refusesHTTP, isHTTP(line) {
      items.append(.http)
    } else if isTooLong(line, eolBytes) {
      items.append(.refused(.lineTooLong))
    } else if let text = String(validating: line, as: UTF8.self), isClean(text) {
      items.append(.line(line))
    } else {
      items.append(.refused(.badEncoding))
    }
  }

  private func isHTTP(_ line: [UInt8]) -> Bool {
    guard line.count >= 9, let first = line.first, ![0x20, 0x40, 0x3A].contains(first) else {
      return false
    }
    let end = Array(line.suffix(9))
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return end.starts(with: Array(" HTTP/".utf8)) && digits.contains(end[6])
      && end[7] == UInt8(ascii: ".") && digits.contains(end[8])
  }

  private func isTooLong(_ line: [UInt8], _ eolBytes: Int) -> Bool {
    func afterSpaces(_ rest: ArraySlice<UInt8>) -> ArraySlice<UInt8> { rest.drop { $0 == 0x20 } }
    func afterWord(_ rest: ArraySlice<UInt8>) -> ArraySlice<UInt8> { rest.drop { $0 != 0x20 } }
    var rest = afterSpaces(line[...])
    var limit = lineBytesMax
    if rest.first == 0x40 { rest = afterSpaces(afterWord(rest)) }
    if rest.first == 0x3A {
      rest = afterSpaces(afterWord(rest))
      limit = WireLimits.lineBytes
    }
    return line.count - rest.count > WireLimits.prefixBytes || rest.count + eolBytes > limit
  }

  /// The stream without telnet's commands; a byte 0xFF stands for what is none. With it, the places
  /// where a timing mark is asked for.
  private func withoutTelnet(_ stream: [UInt8]) -> (data: [UInt8], marks: [Int]) {
    var data: [UInt8] = []
    var marks: [Int] = []
    var at = 0
    while at < stream.count {
      let byte = stream[at]
      at += 1
      guard byte == 0xFF else {
        data.append(byte)
        continue
      }
      let command = at < stream.count ? stream[at] : 0
      switch command {
      case 251...254 where at + 1 < stream.count:
        if command == 253 && stream[at + 1] == 6 { marks.append(data.count) }
        at += 2
      case 250:
        let end = endOfSubnegotiation(stream, from: at - 1)
        if end.isStray { data.append(0xFF) }
        at = end.at
      case 236...249:
        at += 1
      case 255:
        data.append(0xFF)
        at += 1
      case 251...254:
        data.append(0xFF)
        at = stream.count
      default:
        data.append(0xFF)
      }
    }
    return (data, marks)
  }

  private func endOfSubnegotiation(_ stream: [UInt8], from start: Int) -> (at: Int, isStray: Bool) {
    let limit = min(stream.count, start + 512)
    var at = start + 2
    while at < limit {
      if stream[at] != 0xFF {
        at += 1
      } else if at + 1 < limit && stream[at + 1] == 0xF0 {
        return (at + 2, false)
      } else {
        at += 2
      }
    }
    return (limit, true)
  }
}
