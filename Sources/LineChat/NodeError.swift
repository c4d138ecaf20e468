// Why a node does not start, or does not do what it was asked: a kind for programs, the text and the
// cause for people.

import LineProtocol

/// A node could not be started, or a call of it has failed.
public struct NodeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What a program may want to tell apart.
  public enum Kind: Hashable, Sendable {
    /// Somebody else listens there.
    case addressInUse
    /// The system does not let this user listen there.
    case notPermitted
    /// The address to listen on is not one of this machine, or its name is not known.
    case noSuchAddress
    /// Something that is no socket is in the way, or its directory is missing.
    case badPath
    /// Another process uses the node's directory.
    case directoryInUse
    /// The node's directory cannot be made, written to, or read, or what it holds is damaged.
    case badDirectory
    /// `start`, `run` or `launch` was called at the wrong time.
    case wrongOrder
    /// Any other failure of the system.
    case system
    /// The request was refused, by this node or by its server; the code is the wire's.
    case refused(ErrorCode)
    /// More calls wait for an answer than a node takes.
    case tooManyCalls
    /// The node has been stopped.
    case stopped
    /// The task that waited for the answer was cancelled. What it had asked for may still happen.
    case cancelled
  }

  public let kind: Kind

  /// What happened, and what to do next.
  public let description: String

  /// The system's failure behind it, if there is one.
  public let cause: SystemError?

  package init(_ kind: Kind, _ description: String, cause: SystemError? = nil) {
    self.kind = kind
    self.description = description
    self.cause = cause
  }

  package init(_ refusal: Refusal) {
    self.init(.refused(refusal.code), refusal.text)
  }

  /// What a server and a node can fail at alike.
  init(_ error: ServerError) {
    let kind: Kind =
      switch error.kind {
      case .addressInUse: .addressInUse
      case .notPermitted: .notPermitted
      case .noSuchAddress: .noSuchAddress
      case .badPath: .badPath
      case .dataDirectoryInUse: .directoryInUse
      case .badDataDirectory: .badDirectory
      case .wrongOrder: .wrongOrder
      case .system: .system
      }
    self.init(kind, error.description, cause: error.cause)
  }
}
