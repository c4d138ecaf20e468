// What one round of the loop says to whom.
//
// Theory of operation. A line said in a group is encoded once, into the buffer that the group's
// channel has for this round; a receiver's share of it is a range of that buffer, so a round costs
// messages + receivers, not messages × receivers. Replies and private messages of all sessions lie
// in one more buffer. Per session there is a chain of segments: ranges of these buffers in the
// order in which they must be written. At the end of the round the owner is handed each session's
// chain once and writes it with one call, straight from the buffers.
//
// A share is implicit (everything in the channel's buffer from where the subscriber stands) until
// it is cut: before a line that the subscriber must not get, when it leaves, or where a private
// line has to come after what was said so far. Cutting appends a segment; nothing is copied.
//
// A session behind a long listing of its own is held: what others say to it is copied aside and
// follows the listing, so that deliveries never fall between the data lines of a reply.
//
// Pure bytes and indices. Sessions are known by their index; the Directory keeps them apart.
//
// Exclusive access to the stored properties is not checked at run time (`exclusivity(unchecked)`):
// the checks took half of the time of a message. What they would catch cannot happen here: the
// closures handed in write to a buffer and never call back into the FanOut.

import LineProtocol

package final class FanOut {
  /// A subscriber's place in a channel: which one it is, and from where its share runs this round.
  struct Subscriber {
    let session: UInt32
    /// A round's bytes are far fewer than this can count.
    var start: UInt32
    var round: UInt64
  }

  struct Channel {
    var subscribers: [Subscriber] = []
    var buffer: ByteBuffer?
  }

  private struct Segment {
    var channel: Int32
    var start: Int
    var end: Int
    var next: Int32
  }

  /// What one session has in this round.
  struct Outlet {
    var head: Int32 = -1
    var tail: Int32 = -1
    var replyBytes: Int32 = 0
    var isHeld = false
  }

  private static let replies: Int32 = -1
  private static let held: Int32 = -2

  @exclusivity(unchecked) private var round: UInt64 = 1
  @exclusivity(unchecked) private(set) var channels: [Channel] = []
  @exclusivity(unchecked) private(set) var freeChannels: [Int32] = []
  @exclusivity(unchecked) private var dirtyChannels: [Int32] = []
  @exclusivity(unchecked) private var pool: [ByteBuffer] = []

  @exclusivity(unchecked) private(set) var outlets = Row<Outlet>()
  @exclusivity(unchecked) private var dirtyOutlets = Row<UInt32>()
  @exclusivity(unchecked) private var segments = Row<Segment>()
  private let replyBuffer = ByteBuffer()
  /// What held sessions get later, by session.
  @exclusivity(unchecked) private(set) var heldBuffers: [UInt32: ByteBuffer] = [:]
  /// Sessions for which more was held than is allowed.
  @exclusivity(unchecked) private var overrun: [UInt32] = []
  /// Held bytes released in this round; they live until its end.
  @exclusivity(unchecked) private var released: [ByteBuffer] = []

  /// Where each channel's bytes lie while the round is written, and the replies.
  @exclusivity(unchecked) private var bases = Row<UnsafeRawPointer?>()
  @exclusivity(unchecked) private var replyBase: UnsafeRawPointer?
  @exclusivity(unchecked) private var pieces = Row<UnsafeRawBufferPointer>()
  @exclusivity(unchecked) private var isEnding = false

  package init() {}

  // MARK: What is said

  /// Appends a line for one session only. A reply goes out as it is; a delivery waits where the
  /// session is held.
  func send(to session: UInt32, isReply: Bool, _ encode: (ByteBuffer) -> Void) {
    precondition(!isEnding, "nothing may be said while a round is being written")
    if !isReply && outlets[Int(session)].isHeld {
      return setAside(for: session, encode)
    }
    let start = replyBuffer.count
    encode(replyBuffer)
    let end = replyBuffer.count
    if isReply {
      let sum = Int(outlets[Int(session)].replyBytes) + (end - start)
      outlets[Int(session)].replyBytes = Int32(clamping: sum)
    }
    append(Segment(channel: Self.replies, start: start, end: end, next: -1), to: session)
  }

  /// Encodes a line that several sessions are to get, and returns where it lies. It lies there in this
  /// round; `number` tells rounds apart.
  func encode(_ encode: (ByteBuffer) -> Void) -> Range<Int> {
    precondition(!isEnding, "nothing may be said while a round is being written")
    let start = replyBuffer.count
    encode(replyBuffer)
    return start..<replyBuffer.count
  }

  /// Sends a session what was encoded in this round. It costs no more than the note where that lies.
  func send(_ range: Range<Int>, to session: UInt32) {
    let sum = Int(outlets[Int(session)].replyBytes) + range.count
    outlets[Int(session)].replyBytes = Int32(clamping: sum)
    append(
      Segment(channel: Self.replies, start: range.lowerBound, end: range.upperBound, next: -1),
      to: session)
  }

  /// Rises with each round.
  var number: UInt64 { round }

  /// Appends a line to a channel: every subscriber gets it but the one in `slot`.
  func publish(to channel: Int32, except slot: Int32?, _ encode: (ByteBuffer) -> Void) {
    precondition(!isEnding, "nothing may be said while a round is being written")
    let buffer = roundBuffer(of: channel)
    if let slot { cut(channel, slot) }
    encode(buffer)
    if let slot { skip(channel, slot, to: buffer.count) }
  }

  /// Turns what the subscriber in `slot` has been told so far into a segment of its chain, so that
  /// what is sent to it next comes after that.
  func cut(_ channel: Int32, _ slot: Int32) {
    guard let buffer = channels[Int(channel)].buffer else { return }
    let subscriber = channels[Int(channel)].subscribers[Int(slot)]
    let start = subscriber.round == round ? Int(subscriber.start) : 0
    guard start < buffer.count else { return }
    skip(channel, slot, to: buffer.count)
    deliver(channel, start..<buffer.count, of: buffer, to: subscriber.session)
  }

  // MARK: Who hears it

  /// A new channel without subscribers.
  func makeChannel() -> Int32 {
    if let free = freeChannels.popLast() { return free }
    channels.append(Channel())
    bases.append(nil)
    return Int32(channels.count - 1)
  }

  /// Gives a channel back; it must have no subscriber.
  func removeChannel(_ channel: Int32) {
    precondition(channels[Int(channel)].subscribers.isEmpty, "a channel with subscribers is in use")
    freeChannels.append(channel)
  }

  func subscriberCount(_ channel: Int32) -> Int { channels[Int(channel)].subscribers.count }

  /// The sessions that hear a channel, in no promised order.
  func subscribers(_ channel: Int32) -> [UInt32] {
    channels[Int(channel)].subscribers.map(\.session)
  }

  /// From here on the session hears the channel. Returns its slot, which only `unsubscribe` moves.
  func subscribe(_ session: UInt32, to channel: Int32) -> Int32 {
    let start = channels[Int(channel)].buffer?.count ?? 0
    channels[Int(channel)].subscribers.append(
      Subscriber(session: session, start: UInt32(start), round: round))
    return Int32(channels[Int(channel)].subscribers.count - 1)
  }

  /// The subscriber in `slot` keeps what it was told so far and hears no more. The last subscriber
  /// moves into the slot; its session is returned so that its owner can note that.
  func unsubscribe(_ channel: Int32, _ slot: Int32) -> UInt32? {
    cut(channel, slot)
    let last = channels[Int(channel)].subscribers.removeLast()
    guard Int(slot) < channels[Int(channel)].subscribers.count else { return nil }
    channels[Int(channel)].subscribers[Int(slot)] = last
    return last.session
  }

  // MARK: Sessions

  /// Makes room for a session with this index.
  func open(_ session: UInt32) {
    while outlets.count <= Int(session) { outlets.append(Outlet()) }
  }

  /// Bytes of replies collected for the session in this round.
  package func replyBytes(_ session: UInt32) -> Int { Int(outlets[Int(session)].replyBytes) }

  /// Bytes of replies that the session may still collect in this round; below 0, it has more.
  func replyRoom(_ session: UInt32) -> Int { Limits.repliesPerRoundBytes - replyBytes(session) }

  /// Bytes kept back for the session behind its listing.
  package func heldBytes(_ session: UInt32) -> Int {
    outlets[Int(session)].isHeld ? heldBuffers[session]?.count ?? 0 : 0
  }

  /// From now on deliveries to the session wait until `release`.
  func hold(_ session: UInt32) {
    guard !outlets[Int(session)].isHeld else { return }
    outlets[Int(session)].isHeld = true
    heldBuffers[session] = ByteBuffer()
  }

  /// Deliveries to the session wait.
  func isHeld(_ session: UInt32) -> Bool { outlets[Int(session)].isHeld }

  /// The sessions for which too much was held since the last time this was asked.
  func takeOverrun() -> [UInt32] {
    guard !overrun.isEmpty else { return [] }
    defer { overrun.removeAll() }
    return overrun
  }

  /// What was held follows what has been sent to the session so far.
  func release(_ session: UInt32) {
    guard outlets[Int(session)].isHeld else { return }
    outlets[Int(session)].isHeld = false
    guard let aside = heldBuffers.removeValue(forKey: session), !aside.isEmpty else { return }
    released.append(aside)
    append(
      Segment(channel: Self.held, start: released.count - 1, end: aside.count, next: -1),
      to: session)
  }

  // MARK: The round

  /// Bytes encoded in this round. The owner ends a round early when they are many.
  package var roundBytes: Int {
    var sum = replyBuffer.count
    for channel in dirtyChannels { sum += channels[Int(channel)].buffer?.count ?? 0 }
    return sum
  }

  package var isEmpty: Bool { dirtyOutlets.isEmpty && dirtyChannels.isEmpty }

  /// Hands each session's chain to `body`, once per session that has something, as pieces in the
  /// order of writing. The pieces are valid within the call only, and nothing may be said before
  /// this returns: what a failed write leads to is told to the core afterwards.
  package func endRound(
    _ body: (_ session: UInt32, _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Void
  ) {
    guard !isEmpty else { return }
    closeShares()
    isEnding = true
    for index in dirtyOutlets.indices {
      let session = dirtyOutlets[index]
      var link = outlets[Int(session)].head
      outlets[Int(session)].head = -1
      outlets[Int(session)].tail = -1
      outlets[Int(session)].replyBytes = 0
      pieces.removeAll()
      while link >= 0 {
        let segment = segments[Int(link)]
        pieces.append(bytes(of: segment))
        link = segment.next
      }
      body(session, pieces.elements)
    }
    isEnding = false
    reset()
  }

  /// Turns what is left of every share into segments.
  private func closeShares() {
    for channel in dirtyChannels {
      guard let buffer = channels[Int(channel)].buffer else { continue }
      bases[Int(channel)] = buffer.bytes.baseAddress
      let end = buffer.count
      channels[Int(channel)].subscribers.withUnsafeBufferPointer { subscribers in
        for subscriber in subscribers {
          let start = subscriber.round == round ? Int(subscriber.start) : 0
          if start < end { deliver(channel, start..<end, of: buffer, to: subscriber.session) }
        }
      }
    }
    replyBase = replyBuffer.bytes.baseAddress
  }

  /// Buffers go back to the pool; one that grew large in a burst is given back to the system.
  private func reset() {
    for channel in dirtyChannels {
      guard let buffer = channels[Int(channel)].buffer else { continue }
      channels[Int(channel)].buffer = nil
      if pool.count < 64 {
        buffer.removeAll(keeping: 1 << 20)
        pool.append(buffer)
      }
    }
    dirtyChannels.removeAll(keepingCapacity: true)
    dirtyOutlets.removeAll()
    segments.removeAll(keeping: 65_536)
    replyBuffer.removeAll(keeping: 1 << 20)
    if !released.isEmpty { released.removeAll() }
    round &+= 1
  }

  private func bytes(of segment: Segment) -> UnsafeRawBufferPointer {
    if segment.channel == Self.held { return released[segment.start].bytes }
    let base = segment.channel == Self.replies ? replyBase : bases[Int(segment.channel)]
    return UnsafeRawBufferPointer(
      start: base.map { $0 + segment.start }, count: segment.end - segment.start)
  }

  private func roundBuffer(of channel: Int32) -> ByteBuffer {
    if let buffer = channels[Int(channel)].buffer { return buffer }
    let buffer = pool.popLast() ?? ByteBuffer()
    channels[Int(channel)].buffer = buffer
    dirtyChannels.append(channel)
    return buffer
  }

  private func skip(_ channel: Int32, _ slot: Int32, to end: Int) {
    channels[Int(channel)].subscribers[Int(slot)].start = UInt32(end)
    channels[Int(channel)].subscribers[Int(slot)].round = round
  }

  private func deliver(
    _ channel: Int32, _ range: Range<Int>, of buffer: ByteBuffer, to session: UInt32
  ) {
    if outlets[Int(session)].isHeld {
      setAside(for: session) { $0.append(buffer.bytes(range)) }
    } else {
      append(
        Segment(channel: channel, start: range.lowerBound, end: range.upperBound, next: -1),
        to: session)
    }
  }

  /// What comes to more than the limit is not kept: the session is reported by `takeOverrun`, and
  /// its owner drops it.
  private func setAside(for session: UInt32, _ encode: (ByteBuffer) -> Void) {
    guard let aside = heldBuffers[session], aside.count <= Limits.heldBytes else { return }
    encode(aside)
    if aside.count > Limits.heldBytes { overrun.append(session) }
  }

  private func append(_ segment: Segment, to session: UInt32) {
    let tail = outlets[Int(session)].tail
    if tail >= 0 && segment.channel != Self.held && segments[Int(tail)].channel == segment.channel
      && segments[Int(tail)].end == segment.start
    {
      segments[Int(tail)].end = segment.end
      return
    }
    let link = Int32(segments.count)
    segments.append(segment)
    if tail >= 0 {
      segments[Int(tail)].next = link
    } else {
      outlets[Int(session)].head = link
      dirtyOutlets.append(session)
    }
    outlets[Int(session)].tail = link
  }
}
