// A whole session of a core: connections, time, and its journal on a disk that fails. The input is a
// script, a step in each line; what is no step is passed over.
//
//   >1NICK bob    connection 1 says a line (it is opened where it is not there)
//   :1NIC         the same without an end, so that a line comes in pieces
//   +13k          connection 1 is opened: from 10.0.0.3 (`l` loopback, `u` a Unix socket, `o` the
//                 owner's), with a key of its own
//   .1  -1        its input ends; it is gone
//   !a  ~a  $a    what was dialled (a, b, c …; s: the server) stands; does not; has ended its side
//   =1500         so many milliseconds pass
//   d             listings wait until `d` is said again
//   *MSG lobby x  the node's owner says something (`WAIT 0`: its machine has slept; `QUIT`: it ends)
//   %h %w %g      the disk waits; writes; goes on
//   %f1 %e2 %z    its first step from now on has no space; its second one fails; all fail, or no longer
//   %s %c7        a snapshot is taken; the process is killed (7: what is left of what was not synced)
//
// What must hold: the books are in order after each step; whoever hears something hears whole lines that
// are messages; a call is answered at most once; the same is said in whatever pieces the lines come;
// and where everything has been written, a start after a kill finds what was promised, without a word.

import LineChatCore
import LineProtocol

enum SessionFuzz<C: FuzzedCore & ~Copyable> {
  static func feed(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
    let steps = bytes.lines.prefix(256)
    let whole = try play(steps, inPieces: false)
    guard steps.contains(where: { $0.first == UInt8(ascii: ">") }) else { return }
    let inPieces = try play(steps, inPieces: true)
    try hold(whole == inPieces, "what is said depends on the pieces in which lines come")
  }

  private static func play(
    _ steps: ArraySlice<UnsafeRawBufferPointer>, inPieces: Bool
  ) throws(Fault) -> [UInt8: [UInt8]] {
    let rig = try SessionRig<C>(inPieces: inPieces)
    for step in steps { try rig.take(step) }
    try rig.end()
    return rig.output
  }
}

extension SessionRig where C: ~Copyable {
  /// One line of the script.
  package func take(_ step: String) throws(Fault) {
    let result = Array(step.utf8).withUnsafeBytes { bytes in
      Result { () throws(Fault) in try take(bytes) }
    }
    try result.get()
  }

  func take(_ step: UnsafeRawBufferPointer) throws(Fault) {
    guard let operation = step.first else { return }
    let who = step.count > 1 ? step[1] : 0
    let rest = UnsafeRawBufferPointer(rebasing: step.dropFirst(2))
    switch operation {
    case UInt8(ascii: ">"): try says(who, Array(rest) + [0x0A])
    case UInt8(ascii: ":"): try says(who, Array(rest))
    case UInt8(ascii: "+"): try open(who, rest)
    case UInt8(ascii: "."): try inputEnds(who)
    case UInt8(ascii: "-"): try gone(who)
    case UInt8(ascii: "!"): try stands(who)
    case UInt8(ascii: "~"): try fails(who)
    case UInt8(ascii: "$"): try ends(who)
    case UInt8(ascii: "="):
      let digits = UnsafeRawBufferPointer(rebasing: step.dropFirst().prefix(8))
      if let milliseconds = Int64(digits.text), milliseconds >= 0 { try pass(milliseconds) }
    case UInt8(ascii: "d"): try toggleDraining()
    case UInt8(ascii: "*"): try order(UnsafeRawBufferPointer(rebasing: step.dropFirst()).text)
    case UInt8(ascii: "%"): try disk(who, rest.first.map { Int($0 & 15) } ?? 0)
    default: break
    }
  }
}
