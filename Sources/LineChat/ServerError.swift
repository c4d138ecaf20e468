// Why a server does not start: a kind for programs, the text and the cause for people.

/// A server could not be started, or cannot go on.
public struct ServerError: Error, Sendable, CustomStringConvertible {
  /// What a program may want to tell apart.
  public enum Kind: Hashable, Sendable {
    /// Somebody else listens there.
    case addressInUse
    /// The system does not let this user listen there.
    case notPermitted
    /// The address is not one of this machine, or its name is not known.
    case noSuchAddress
    /// Something that is no socket is in the way, or its directory is missing.
    case badPath
    /// Another process uses the data directory.
    case dataDirectoryInUse
    /// The data directory cannot be made, written to, or read, or what it holds is damaged.
    case badDataDirectory
    /// `start`, `run` or `launch` was called at the wrong time.
    case wrongOrder
    /// Any other failure of the system.
    case system
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
}
