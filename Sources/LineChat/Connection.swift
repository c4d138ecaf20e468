// One connection as the loop keeps it: its descriptor, what has come and could not be processed
// yet, and what is to go and was not taken yet. An idle connection holds no buffer at all; this
// object is all it costs.
//
// The rules it keeps:
//   - Nothing is copied that can be processed or sent at once. Input is kept only while the core
//     takes no lines from here; output only where the kernel refused it.
//   - The stream to the other side consists of whole lines, also where most of it is dropped.
//   - It decides nothing: what its calls meant for the session is the loop's affair.
//
// Why exclusive access is not checked at run time is said in Loop.

import Glibc
import LineChatCore
import LineProtocol

final class Connection {
  /// Who knows of it, and what may still be done with it.
  enum Stage: UInt8 {
    /// Being connected from here; nothing can be read or written yet.
    case dialling
    /// The core's session is live.
    case open
    /// Dialled, and the core has nothing more to say: what is due is written, our side is shut, and
    /// what the other side says is heard until it ends, or a second is over.
    case finishing
    /// The core knows it no more, or never did: what is due is written, what comes is thrown away.
    case closing
    /// Everything is written and our side is shut: reading on until the other side ends, or a second
    /// is over.
    case lingering
    /// Taken out of the loop; closed at the end of the round.
    case gone
  }

  // In an order that leaves no gaps: there may be ten thousand of these, most of them silent.

  let descriptor: Descriptor
  /// The entry in the poller, and the index in the loop's table.
  let slot: Poller.Slot
  let peer: PeerAddress
  /// The core had it dialled: it counts in no limit of those that come.
  let isDialled: Bool
  /// Valid as long as `hasSession`.
  let session: SessionID?

  @exclusivity(unchecked) var stage: Stage
  @exclusivity(unchecked) var interest: Poller.Interest
  /// The core takes no lines at the moment.
  @exclusivity(unchecked) var isHeld = false
  /// It has sent more lines than it may, and is not read from for a moment.
  @exclusivity(unchecked) var isPaced = false
  /// The other side has sent its last byte, and it has been read.
  @exclusivity(unchecked) var inputHasEnded = false
  /// The core has been told that.
  @exclusivity(unchecked) var endIsTold = false
  /// The other side is gone. What it had sent is still carried out; what is due to it is thrown away.
  @exclusivity(unchecked) var isDeaf = false
  /// It went without an orderly end: half a line at the end of its input means nothing.
  @exclusivity(unchecked) var wasReset = false
  /// Dropped as a slow consumer: at the deadline it is reset.
  @exclusivity(unchecked) var isSlow = false
  /// Since the deadline was set, the other side has taken something.
  @exclusivity(unchecked) var hasProgressed = false
  /// The kernel has no memory; not to be asked again before the pause is over.
  @exclusivity(unchecked) var isResting = false
  /// In the loop's list of those whose output has been written.
  @exclusivity(unchecked) var isListedAsDrained = false

  @exclusivity(unchecked) var reader: LineReader
  @exclusivity(unchecked) private var rare: Rare?
  /// When something must have happened, on the monotonic clock; what it is depends on the stage.
  @exclusivity(unchecked) var deadline: Int64 = 0

  /// What few connections have at a time.
  private final class Rare {
    var leftover: ByteBuffer?
    var account = Pace.Account()
    /// Output that the kernel refused, from `backlogStart` on.
    var backlog: ByteBuffer?
    var backlogStart = 0
    /// The first byte of that is not the first of its line.
    var backlogStartsInLine = false
  }

  init(
    _ descriptor: consuming Descriptor, _ peer: PeerAddress, slot: Poller.Slot, session: SessionID?,
    lineBytesMax: Int, isDialled: Bool = false
  ) {
    self.descriptor = descriptor
    self.peer = peer
    self.slot = slot
    self.session = session
    self.isDialled = isDialled
    reader = LineReader(lineBytesMax: lineBytesMax, refusesHTTP: peer.isRemote && !isDialled)
    stage = isDialled ? .dialling : session == nil ? .closing : .open
    interest = isDialled ? .writing : .reading
  }

  /// The core's session is live, as far as the loop knows.
  var hasSession: Bool {
    switch stage {
    case .dialling, .open, .finishing: true
    case .closing, .lingering, .gone: false
    }
  }

  private func makeRare() -> Rare {
    if let rare { return rare }
    let made = Rare()
    rare = made
    return made
  }

  private func dropRareIfEmpty() {
    guard let rare, rare.backlog == nil, rare.leftover == nil, rare.account.isUnused else { return }
    self.rare = nil
  }

  // MARK: Input

  /// Input behind a line that keeps the core busy; at most one read's worth.
  var leftover: ByteBuffer? {
    get { rare?.leftover }
    set {
      guard newValue != nil || rare != nil else { return }
      makeRare().leftover = newValue
      dropRareIfEmpty()
    }
  }

  /// What it has used of its rate.
  var account: Pace.Account {
    get { rare?.account ?? Pace.Account() }
    set { makeRare().account = newValue }
  }

  // MARK: Output

  var backlogBytes: Int {
    guard let rare, let backlog = rare.backlog else { return 0 }
    return backlog.count - rare.backlogStart
  }

  /// Appends what the kernel did not take of `pieces`: everything behind the first `written` bytes.
  func keep(_ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>, behind written: Int) {
    let rare = makeRare()
    let kept = rare.backlog ?? ByteBuffer()
    if rare.backlog == nil {
      rare.backlog = kept
      rare.backlogStart = 0
      rare.backlogStartsInLine = false
    }
    var skipped = written
    for piece in pieces where piece.count > 0 {
      if skipped >= piece.count {
        skipped -= piece.count
        // The last byte written tells whether the backlog starts with a new line.
        if skipped == 0 { rare.backlogStartsInLine = piece[piece.count - 1] != Connection.newline }
      } else {
        if skipped > 0 { rare.backlogStartsInLine = piece[skipped - 1] != Connection.newline }
        kept.append(UnsafeRawBufferPointer(rebasing: piece[skipped...]))
        skipped = 0
      }
    }
  }

  /// Sends as much of the backlog as the kernel takes.
  func sendBacklog() -> Transmission {
    guard let rare, let backlog = rare.backlog else { return Transmission() }
    let rest = backlog.bytes(rare.backlogStart..<backlog.count)
    let sent = Transmission.send(rest, to: descriptor.number)
    if sent.bytes == rest.count {
      dropBacklog()
    } else if sent.bytes > 0 {
      rare.backlogStartsInLine = rest[sent.bytes - 1] != Connection.newline
      rare.backlogStart += sent.bytes
      // Moving what is left costs less than what has gone since the last time.
      if rare.backlogStart > backlog.count / 2 {
        backlog.removeFirst(rare.backlogStart)
        rare.backlogStart = 0
      }
    }
    return sent
  }

  func dropBacklog() {
    rare?.backlog = nil
    rare?.backlogStart = 0
    rare?.backlogStartsInLine = false
    dropRareIfEmpty()
  }

  /// Drops the backlog but for the rest of a line that has been begun, and appends `line`, which
  /// ends with a newline.
  func replaceBacklog(with line: String) {
    let rare = makeRare()
    let kept = ByteBuffer()
    if let backlog = rare.backlog, rare.backlogStartsInLine {
      let rest = backlog.bytes(rare.backlogStart..<backlog.count)
      let end = rest.firstIndex(of: Connection.newline) ?? rest.count - 1
      kept.append(UnsafeRawBufferPointer(rebasing: rest[...end]))
    }
    kept.append(line)
    rare.backlog = kept
    rare.backlogStart = 0
  }

  private static let newline = UInt8(ascii: "\n")

  // MARK: The end

  /// Whether a shutdown of our side has been possible.
  func shutDownOutput() -> Bool { shutdown(descriptor.number, Int32(SHUT_WR)) == 0 }

  /// The close that follows sends a reset: what is still in the kernel goes nowhere.
  func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    let length = socklen_t(MemoryLayout<linger>.size)
    _ = setsockopt(descriptor.number, SOL_SOCKET, SO_LINGER, &option, length)
  }

  /// The failure that the socket has met and nobody has asked for yet; 0 for none.
  func takeFailure() -> Int32 {
    var failure: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    let result = getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &failure, &length)
    return result == 0 ? failure : errno
  }
}
