// What comes from a terminal, on its way to readline: made valid UTF-8, without characters that would
// not be shown, and each bracketed paste in one piece.
//
// Readline would take any bytes, and show them raw; and it waits for a paste's end with the whole
// program. So bytes that are no UTF-8, and characters that no line may hold, become U+FFFD here,
// where the one who typed them sees it. A paste is held until it is complete; then it is given on
// between its markers, with line ends as CR, without controls but tabs, and cut to a bounded length.

import LineProtocol

struct KeyFilter {
  private static let pasteStart = Array("\u{1B}[200~".utf8)
  private static let pasteEnd = Array("\u{1B}[201~".utf8)
  private static let replacement = Array("\u{FFFD}".utf8)

  private enum State {
    case keys
    case paste
    /// A paste that was called off: its rest still comes, and is dropped.
    case abandonedPaste
  }

  private var state = State.keys
  /// How much of the marker that ends this state the latest bytes were.
  private var matched = 0
  /// The paste so far, as it came.
  private var pasted: [UInt8] = []
  /// Bytes of the pastes so far that were too many, and not asked for yet.
  private var excess = 0
  /// The beginning of a character of several bytes.
  private var character: [UInt8] = []

  /// A paste is under way.
  var isHolding: Bool { state != .keys }

  /// How many bytes pastes that have ended had too much since this was asked last.
  mutating func takeExcess() -> Int {
    guard state == .keys else { return 0 }
    defer { excess = 0 }
    return excess
  }

  /// Takes bytes of the terminal and appends to `keys` what readline is to get.
  mutating func take(_ bytes: some Sequence<UInt8>, into keys: inout [UInt8]) {
    for byte in bytes {
      switch state {
      case .keys: takeKey(byte, &keys)
      case .paste, .abandonedPaste: takePasted(byte, &keys)
      }
    }
  }

  /// Gives on a paste whose end does not come.
  mutating func endPaste(into keys: inout [UInt8]) {
    if state != .keys { finishPaste(&keys) }
  }

  /// Readline has forgotten what came so far, so a paste under way must not reach it either.
  mutating func abandonPaste() {
    if state == .paste { state = .abandonedPaste }
  }

  private mutating func takeKey(_ byte: UInt8, _ keys: inout [UInt8]) {
    guard !matches(byte, KeyFilter.pasteStart) else {
      // Readline has all of the marker but this last byte; it gets that together with the paste.
      state = .paste
      return
    }
    clean(byte, &keys)
  }

  private mutating func takePasted(_ byte: UInt8, _ keys: inout [UInt8]) {
    let before = matched
    if matches(byte, KeyFilter.pasteEnd) { return finishPaste(&keys) }
    // What looked like the end and was not belongs to the paste.
    if matched <= before { collect(KeyFilter.pasteEnd[..<before]) }
    if matched == 0 { collect([byte]) }
  }

  private mutating func collect(_ bytes: some Collection<UInt8>) {
    let fitting = min(bytes.count, ShellLimits.pasteBytes - pasted.count)
    pasted += bytes.prefix(fitting)
    excess += bytes.count - fitting
  }

  /// Whether `byte` completes the marker.
  private mutating func matches(_ byte: UInt8, _ marker: [UInt8]) -> Bool {
    if byte == marker[matched] {
      matched += 1
    } else {
      matched = byte == marker[0] ? 1 : 0
    }
    guard matched == marker.count else { return false }
    matched = 0
    return true
  }

  private mutating func finishPaste(_ keys: inout [UInt8]) {
    let text = pasted
    let isWanted = state == .paste
    pasted = []
    matched = 0
    state = .keys
    guard isWanted else { return }
    keys.append(KeyFilter.pasteStart[KeyFilter.pasteStart.count - 1])
    var previous: UInt8 = 0
    for byte in text {
      switch byte {
      case 0x0D: clean(byte, &keys)
      // CR LF is one line end.
      case 0x0A: if previous != 0x0D { clean(0x0D, &keys) }
      case 0x09: clean(byte, &keys)
      case 0..<0x20, 0x7F: keys += KeyFilter.replacement
      default: clean(byte, &keys)
      }
      previous = byte
    }
    // A character that the cut went through.
    character.removeAll(keepingCapacity: true)
    keys += KeyFilter.pasteEnd
  }

  /// Gives on one byte, or the character that it completes.
  private mutating func clean(_ byte: UInt8, _ keys: inout [UInt8]) {
    if character.isEmpty {
      switch byte {
      case 0..<0x80: keys.append(byte)
      case 0xC2...0xF4: character.append(byte)
      default: keys += KeyFilter.replacement
      }
      return
    }
    guard byte & 0xC0 == 0x80 else {
      // The character breaks off, and another begins.
      character.removeAll(keepingCapacity: true)
      keys += KeyFilter.replacement
      return clean(byte, &keys)
    }
    character.append(byte)
    guard character.count == KeyFilter.length(character[0]) else { return }
    keys += KeyFilter.isFit(character) ? character : KeyFilter.replacement
    character.removeAll(keepingCapacity: true)
  }

  private static func length(_ lead: UInt8) -> Int { lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4 }

  private static func isFit(_ bytes: [UInt8]) -> Bool {
    guard let text = String(validating: bytes, as: UTF8.self),
      let scalar = text.unicodeScalars.first
    else { return false }
    return !isUnsafeToShow(scalar)
  }
}
