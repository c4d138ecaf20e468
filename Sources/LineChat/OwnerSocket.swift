// The socket in the directory of a server or a node. Whoever can open it is its owner: it has the
// directory's and its own mode to protect it. Where the directory's path is too long for a socket's,
// the socket is in a directory of its own, $XDG_RUNTIME_DIR/linechatd-… or /tmp/linechatd-…, and
// what stands in the directory is a link to it.

import Glibc
import LineProtocol

package struct OwnerSocket: Sendable {
  package static let server = OwnerSocket(name: "linechatd.sock", program: "linechatd")
  package static let node = OwnerSocket(name: "node.sock", program: "linechat")

  let name: String
  /// What a directory that it needs elsewhere is called after.
  private let program: String

  /// Where the socket is that belongs to this directory, for somebody who connects.
  package func path(in directory: String) -> String {
    let path = "\(directory)/\(name)"
    guard path.utf8.count > SocketAddress.pathBytesMax else { return path }
    return OwnerSocket.target(of: path) ?? path
  }

  /// Listens there.
  func bind(in directory: String, _ log: EventLog) throws(ServerError) -> Listener {
    let path = "\(directory)/\(name)"
    guard path.utf8.count > SocketAddress.pathBytesMax else {
      return try Listener.bindOwners(path: path, for: program)
    }
    let other = try privateDirectory(for: directory) + "/" + name
    let listener = try Listener.bindOwners(path: other, for: program)
    // A link that is there already may lead to where the last run had its socket.
    if OwnerSocket.target(of: path) != nil { unlink(path) }
    guard symlink(other, path) == 0 else {
      throw ServerError(badDirectory: path, SystemError("symlink"))
    }
    log.inform("the path of \(escaped(path)) is too long for a socket, so it is at \(other)")
    return listener
  }

  private static func target(of link: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4_096) { buffer in
      guard let base = buffer.baseAddress else { return nil }
      let count = readlink(link, base, buffer.count)
      guard count > 0 else { return nil }
      return String(decoding: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self)
    }
  }

  /// A directory with a short path, for this user and this data directory alone.
  private func privateDirectory(for directory: String) throws(ServerError) -> String {
    var whole = directory
    if let real = realpath(directory, nil) {
      whole = String(cString: real)
      free(real)
    }
    let own = "\(program)-\(geteuid())-\(OwnerSocket.hash(whole))"
    var parents = ["/tmp"]
    if let runtime = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }),
      runtime.hasPrefix("/"),
      "\(runtime)/\(own)/\(name)".utf8.count <= SocketAddress.pathBytesMax
    {
      parents.insert(runtime, at: 0)
    }
    var failure: ServerError?
    for parent in parents {
      do throws(ServerError) { return try OwnerSocket.make("\(parent)/\(own)") } catch {
        failure = error
      }
    }
    throw failure ?? ServerError(.badPath, "there is no directory for the owner's socket")
  }

  /// In a directory that everybody can write to, somebody else may have been first.
  private static func make(_ path: String) throws(ServerError) -> String {
    if mkdir(path, 0o700) == 0 { return path }
    guard errno == EEXIST else { throw ServerError(badDirectory: path, SystemError("mkdir")) }
    var status = stat()
    guard lstat(path, &status) == 0 else {
      throw ServerError(badDirectory: path, SystemError("lstat"))
    }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
      status.st_mode & 0o077 == 0
    else {
      throw ServerError(
        .badPath,
        "\(path) is not a directory of yours alone; remove it, or name a data directory with a "
          + "shorter path")
    }
    return path
  }

  /// FNV-1a, 64 bits: the same path leads to the same name.
  private static func hash(_ text: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return String(hash, radix: 16)
  }
}

extension ServerError {
  fileprivate init(badDirectory path: String, _ cause: SystemError) {
    self.init(.badPath, "\(path) cannot be made: \(cause)", cause: cause)
  }
}
