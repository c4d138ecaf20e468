// A socket that others connect to, on a literal IP address or a path.
//
// What every connection needs (no delay, keepalive) is set here once: on Linux an accepted socket
// takes it over from the one that listened, which saves four calls for each connection.

import CSystem
import Glibc
import LineProtocol

final class Listener {
  enum Accepted {
    case connection(Descriptor.Raw, PeerAddress)
    /// Nobody waits.
    case nothing
    /// Somebody waited and went away, or could not wait any longer.
    case lost
    /// Somebody waits, and there is no descriptor or no memory left for them.
    case exhausted(SystemError)
  }

  /// The address really bound: port 0 has become a port.
  let address: ListenAddress
  private let descriptor: Descriptor
  /// The socket's file as it was made here: another's in its place is not ours to remove.
  private let file: FileIdentity?

  /// Whoever connects here is the owner of this server or node.
  let isOwners: Bool

  var number: Int32 { descriptor.number }

  private init(
    _ address: ListenAddress, _ descriptor: consuming Descriptor, file: FileIdentity? = nil,
    isOwners: Bool = false
  ) {
    self.isOwners = isOwners
    self.address = address
    self.descriptor = descriptor
    self.file = file
  }

  deinit {
    guard let file, case .unix(let path) = address.kind, FileIdentity(path) == file else { return }
    unlink(path)
  }

  /// The next connection that waits, already non-blocking and close-on-exec. A connection that went
  /// away while it waited is nobody's trouble.
  func accept() -> Accepted {
    let (result, peer) = SocketAddress.receive { csystem_accept(descriptor.number, $0, $1) }
    // Families that were not asked for do not come; an unnamed Unix peer may come with none.
    if result >= 0 { return .connection(result, peer ?? .unix) }
    switch errno {
    case EAGAIN: return .nothing
    case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted(SystemError("accept"))
    case EBADF, EINVAL, ENOTSOCK, EFAULT: preconditionFailure("accept on no listening socket")
    // EINTR, ECONNABORTED, and what Linux passes on of the new connection's own troubles.
    default: return .lost
    }
  }
}

extension Descriptor {
  /// The number of a descriptor on its way to its owner.
  typealias Raw = Int32
}

/// Which file lies at a path.
private struct FileIdentity: Equatable {
  let device: dev_t
  let inode: ino_t
  let isSocket: Bool

  init?(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    device = status.st_dev
    inode = status.st_ino
    isSocket = status.st_mode & S_IFMT == S_IFSOCK
  }
}

// Binding.
extension Listener {
  /// Listens on every address that `address` stands for. With a name and port 0, all of them get
  /// the port that the first one got. An address of a name that this machine does not have (IPv6
  /// switched off, say) is left out as long as there is another.
  /// `program` is who listens, for the one who reads why it can't.
  static func bind(
    _ address: ListenAddress, for program: String
  ) throws(ServerError) -> [Listener] {
    if case .unix(let path) = address.kind { return [try bind(path: path, for: program)] }
    var bound: [Listener] = []
    var missing: ServerError?
    for literal in try address.resolved() {
      guard case .tcp(let host, var port) = literal.kind else { continue }
      if case .tcp(_, let first) = bound.first?.address.kind, port == 0 { port = first }
      do throws(ServerError) {
        bound.append(try bind(host, port: port, for: program))
      } catch {
        guard error.kind == .noSuchAddress else { throw error }
        missing = error
      }
    }
    if bound.isEmpty, let missing { throw missing }
    return bound
  }

  static func bind(
    _ host: IPAddress, port: UInt16, for program: String
  ) throws(ServerError) -> Listener {
    let address = ListenAddress(host, port: port)
    do throws(SystemError) {
      let descriptor = try Descriptor.socket(SocketAddress.family(of: host))
      try descriptor.set(SO_REUSEADDR, of: SOL_SOCKET, to: 1)
      // [::] is for IPv6 alone, so that 0.0.0.0 can be listened on beside it.
      if !host.isIPv4 { try descriptor.set(IPV6_V6ONLY, of: Int32(IPPROTO_IPV6), to: 1) }
      try descriptor.set(TCP_NODELAY, of: Int32(IPPROTO_TCP), to: 1)
      try descriptor.setKeepalive()
      let number = descriptor.number
      let result = SocketAddress.with(host, port: port) { Glibc.bind(number, $0, $1) }
      guard result == 0 else { throw SystemError("bind") }
      try descriptor.listen()
      let real = port == 0 ? try SocketAddress.localPort(of: descriptor) : port
      return Listener(ListenAddress(host, port: real), descriptor)
    } catch {
      throw ServerError(binding: address, for: program, error)
    }
  }

  /// The socket by which its owner speaks to a server or a node.
  static func bindOwners(path: String, for program: String) throws(ServerError) -> Listener {
    try bind(path: path, for: program, isOwners: true)
  }

  private static func bind(
    path: String, for program: String, isOwners: Bool = false
  ) throws(ServerError) -> Listener {
    let address: ListenAddress
    do throws(ListenAddress.Malformed) {
      address = try ListenAddress(parsing: "unix:" + path)
    } catch {
      throw ServerError(.badPath, error.description)
    }
    try removeStaleSocket(path, address, program)
    do throws(SystemError) {
      let descriptor = try Descriptor.socket(AF_UNIX)
      // The file gets the socket's own mode: it is never open to others, not even for a moment.
      guard fchmod(descriptor.number, 0o600) == 0 else { throw SystemError("fchmod") }
      let number = descriptor.number
      let result = SocketAddress.with(path: path) { Glibc.bind(number, $0, $1) }
      guard result == 0 else { throw SystemError("bind") }
      try descriptor.listen()
      return Listener(address, descriptor, file: FileIdentity(path), isOwners: isOwners)
    } catch {
      throw ServerError(binding: address, for: program, error)
    }
  }

  /// A server that was killed leaves its socket's file behind; one that lives answers at it.
  private static func removeStaleSocket(
    _ path: String, _ address: ListenAddress, _ program: String
  ) throws(ServerError) {
    guard let file = FileIdentity(path) else { return }
    guard file.isSocket else {
      throw ServerError(.badPath, "\(path) exists and is no socket; name another path")
    }
    let answer: Int32
    do throws(SystemError) {
      let caller = try Descriptor.socket(AF_UNIX)
      let number = caller.number
      let result = SocketAddress.with(path: path) { connect(number, $0, $1) }
      answer = result == 0 ? 0 : errno
    } catch {
      throw ServerError(binding: address, for: program, error)
    }
    // Nobody listens, or the file is gone by now. Anything else (a full queue, no permission) may
    // be a living server.
    guard answer == ECONNREFUSED || answer == ENOENT else {
      let code = answer == EACCES ? EACCES : EADDRINUSE
      throw ServerError(binding: address, for: program, SystemError("connect", code))
    }
    unlink(path)
  }
}

extension Descriptor {
  fileprivate func listen() throws(SystemError) {
    guard Glibc.listen(number, MachineLimits.listenBacklog) == 0 else {
      throw SystemError("listen")
    }
  }

  /// Without it, a peer that vanished would hold its name for ever.
  func setKeepalive() throws(SystemError) {
    let tcp = Int32(IPPROTO_TCP)
    try set(SO_KEEPALIVE, of: SOL_SOCKET, to: 1)
    try set(TCP_KEEPIDLE, of: tcp, to: MachineLimits.keepaliveIdleSeconds)
    try set(TCP_KEEPINTVL, of: tcp, to: MachineLimits.keepaliveIntervalSeconds)
    try set(TCP_KEEPCNT, of: tcp, to: MachineLimits.keepaliveProbes)
  }
}

extension ServerError {
  /// What a failed bind means for the person who started the server.
  fileprivate init(
    binding address: ListenAddress, for program: String, _ cause: SystemError
  ) {
    switch cause.code {
    case EADDRINUSE:
      self.init(
        .addressInUse, "\(address) is in use; is a \(program) running already?", cause: cause)
    case EACCES, EPERM:
      self.init(
        .notPermitted,
        "not permitted to listen on \(address); ports below 1024 and other users' directories need "
          + "more rights", cause: cause)
    case EADDRNOTAVAIL, EAFNOSUPPORT:
      self.init(.noSuchAddress, "\(address) is not an address of this machine", cause: cause)
    case ENOENT, ENOTDIR:
      self.init(.badPath, "the directory of \(address) does not exist", cause: cause)
    default:
      self.init(.system, "cannot listen on \(address): \(cause)", cause: cause)
    }
  }
}
