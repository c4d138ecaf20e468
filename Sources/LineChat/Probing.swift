// What somebody who looks for faults asks of the machine: who answers at an address, whether others
// reach a port of ours, who has a profile's directory. Its calls block, each until a deadline; nothing
// of it stays behind.

import CSystem
import Glibc
import LineProtocol

/// A look at one member's port.
package enum Doorbell {
  /// Why nobody answered as a node does, for people.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// No greeting is longer.
  private static let greetingBytesMax = 4_096

  /// Dials, and says nothing; returns the name of the node that greets there.
  package static func ring(
    _ endpoint: Endpoint, within seconds: Double
  ) throws(Failure) -> MemberName {
    let deadline = Moment(in: seconds)
    let descriptor: Descriptor
    do throws(SystemError) {
      descriptor = try Descriptor.connected(to: endpoint, by: deadline)
    } catch {
      throw Failure(description: error.reasonForPeople)
    }
    let line = try firstLine(of: descriptor, by: deadline)
    guard let message = try? Message(parsing: line), case .info(let text) = message.content,
      let word = text.split(separator: " ").first(where: { $0.hasPrefix("name=") }),
      let name = MemberName(word.dropFirst(5))
    else { throw Failure(description: "who answers there is no node") }
    return name
  }

  private static func firstLine(
    of descriptor: borrowing Descriptor, by deadline: Moment
  ) throws(Failure) -> String {
    var bytes: [UInt8] = []
    while !bytes.contains(0x0A) {
      guard bytes.count < greetingBytesMax else {
        throw Failure(description: "who answers there is no node")
      }
      var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, deadline.milliseconds) > 0 else {
        if deadline.hasPassed { throw Failure(description: "it is reached, and says nothing") }
        continue
      }
      var piece = [UInt8](repeating: 0, count: 1_024)
      let count = recv(descriptor.number, &piece, piece.count, 0)
      if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
      guard count > 0 else { throw Failure(description: "it is reached, and hangs up") }
      bytes += piece[..<count]
    }
    return String(decoding: bytes.prefix { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
  }
}

/// A port that is open for as long as this object lives, to see whether the server reaches it.
package final class Doorstep {
  /// The server looks once; whoever else comes by is greeted, too.
  private static let callersMax = 8

  package let addresses: [ListenAddress]
  private let listeners: [Listener]
  private var callers: [Int32] = []

  /// Where something is already, it throws.
  package init(at address: ListenAddress) throws(ServerError) {
    listeners = try Listener.bind(address, for: "linechat doctor")
    addresses = listeners.map(\.address)
  }

  deinit { for caller in callers { close(caller) } }

  package var port: UInt16? {
    guard case .tcp(_, let port) = addresses.first?.kind else { return nil }
    return port
  }

  /// Greets those who have come meanwhile, as a node does.
  package func greet(as name: MemberName) {
    for listener in listeners {
      while callers.count < Doorstep.callersMax {
        let caller = csystem_accept(listener.number, nil, nil)
        guard caller >= 0 else { break }
        callers.append(caller)
        let line = Array("INFO linechat-doctor \(lineChatVersion) name=\(name)\n".utf8)
        // A socket that was just accepted takes a line at once.
        _ = send(caller, line, line.count, Int32(MSG_NOSIGNAL))
      }
    }
  }

  package var hasBeenReached: Bool { !callers.isEmpty }
}

extension Dialogue {
  /// Our own end, as far as it is one of TCP: the address from which the server is reached.
  package var localAddress: IPAddress? {
    let number = number
    guard case .tcp(let address, _) = SocketAddress.receive({ getsockname(number, $0, $1) }).peer
    else { return nil }
    return address
  }
}

extension ServerAddress {
  /// Its addresses, those of a name looked up now.
  package func addresses(within seconds: Double) throws(NameLookUp.Failure) -> [IPAddress] {
    try addresses(by: Moment(in: seconds))
  }

  /// A host's name, and no literal address.
  package var isName: Bool {
    if case .name = host { true } else { false }
  }
}

/// Microseconds since 1970 UTC by this machine's clock.
package func wallMicroseconds() -> Int64 { SystemClock.now().wallMicroseconds }

extension StateDirectory {
  /// Who has locked the directory, such as "process 4711 (linechat)", without touching the lock: to
  /// try it would be to keep others from it. Nil: nobody, or the kernel does not say.
  package static func user(of path: String) -> String? {
    var status = stat()
    guard stat("\(path)/lock", &status) == 0, let bytes = bytes(ofFile: "/proc/locks") else {
      return nil
    }
    let locks = String(decoding: bytes, as: UTF8.self)
    // 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234567 0 EOF
    for line in locks.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count >= 6, words[1] == "FLOCK", words[5].hasSuffix(":\(status.st_ino)"),
        let process = Int32(words[4]), process > 0
      else { continue }
      guard let name = self.bytes(ofFile: "/proc/\(process)/comm") else {
        return "process \(process)"
      }
      return "process \(process) (\(String(decoding: name.prefix { $0 != 0x0A }, as: UTF8.self)))"
    }
    return nil
  }

  /// All of a file; nil where it can't be read.
  package static func bytes(ofFile path: String) -> [UInt8]? {
    let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return nil }
    let file = Descriptor(owning: number)
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(file.number, &piece, piece.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { return nil }
      guard count > 0 else { return bytes }
      bytes += piece[..<count]
    }
  }
}
