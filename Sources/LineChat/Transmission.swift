// Handing bytes to the kernel: one call where it takes them, and what it did not take is the
// caller's to keep. SIGPIPE never comes of it.

import Glibc

/// What a send came to.
struct Transmission {
  /// Taken by the kernel.
  var bytes = 0
  /// Why it took no more: 0 where everything went, or where it has no room just now.
  var failure: Int32 = 0
  /// It has no memory just now; asking again at once would lead nowhere.
  var lacksMemory = false

  /// `endFollows`: our side is shut right behind it. The kernel keeps what fills no packet until then,
  /// so that the last lines and the end are one packet, and the other side wakes up once for both.
  static func send(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, endFollows: Bool = false
  ) -> Transmission {
    guard bytes.count > 0 else { return Transmission() }
    let how = flags(endFollows)
    return result { Glibc.send(descriptor, bytes.baseAddress, bytes.count, how) }
  }

  fileprivate static func flags(_ endFollows: Bool) -> Int32 {
    Int32(MSG_NOSIGNAL) | (endFollows ? Int32(MSG_MORE) : 0)
  }

  fileprivate static func result(_ call: () -> Int) -> Transmission {
    while true {
      let count = call()
      if count >= 0 { return Transmission(bytes: count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return Transmission()
      case ENOBUFS, ENOMEM: return Transmission(lacksMemory: true)
      default: return Transmission(failure: errno)
      }
    }
  }
}

/// Sends scattered pieces with as few calls as possible. One for all connections: its memory is used
/// again with each send.
final class Gatherer {
  private let vectors = UnsafeMutablePointer<iovec>.allocate(
    capacity: MachineLimits.piecesPerCall)
  private let buffer = UnsafeMutableRawPointer.allocate(
    byteCount: MachineLimits.gatheringBytes, alignment: 64)

  deinit {
    vectors.deallocate()
    buffer.deallocate()
  }

  func send(
    _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>, to descriptor: Int32, endFollows: Bool
  ) -> Transmission {
    switch pieces.count {
    case 0: Transmission()
    case 1: Transmission.send(pieces[0], to: descriptor, endFollows: endFollows)
    case ...MachineLimits.piecesPerCall: sendVectors(pieces, to: descriptor, endFollows)
    default: sendGathered(pieces, to: descriptor)
    }
  }

  private func sendVectors(
    _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>, to descriptor: Int32, _ endFollows: Bool
  ) -> Transmission {
    for (index, piece) in pieces.enumerated() {
      vectors[index] = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: piece.baseAddress), iov_len: piece.count)
    }
    var message = msghdr()
    message.msg_iov = vectors
    message.msg_iovlen = pieces.count
    let how = Transmission.flags(endFollows)
    return Transmission.result { sendmsg(descriptor, &message, how) }
  }

  /// Copies the pieces together, a bufferful at a time, until the kernel takes no more.
  private func sendGathered(
    _ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>, to descriptor: Int32
  ) -> Transmission {
    var total = 0
    var filled = 0
    for piece in pieces {
      var rest = piece
      while let base = rest.baseAddress, rest.count > 0 {
        let count = min(rest.count, MachineLimits.gatheringBytes - filled)
        memcpy(buffer + filled, base, count)
        filled += count
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        guard filled == MachineLimits.gatheringBytes else { continue }
        var sent = sendFilled(filled, to: descriptor)
        total += sent.bytes
        if sent.bytes < filled {
          sent.bytes = total
          return sent
        }
        filled = 0
      }
    }
    var sent = sendFilled(filled, to: descriptor)
    sent.bytes += total
    return sent
  }

  private func sendFilled(_ count: Int, to descriptor: Int32) -> Transmission {
    Transmission.send(UnsafeRawBufferPointer(start: buffer, count: count), to: descriptor)
  }
}
