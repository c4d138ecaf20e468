// A node as the machine sees it: the core and the loop put together, with what a node has beside a
// server: its server to be found, a listener that may move, the owner's calls, news for the owner.
// The public class is built on top of this one.

import Glibc
import LineChatCore
import LineProtocol
import Logging
import Synchronization

/// Where a node listens for others.
public enum Listening: Hashable, Sendable {
  /// At the local address of its connection to the server, on the port that it had last where that
  /// is free, else on any free one. It moves with that address.
  case automatic
  /// There. Port 0 is the one that it had last, where that is free, else any free one.
  case at(ListenAddress)
  /// Nowhere: everything comes through the server.
  case relay
}

/// A node: one thread that runs the loop, driven by calls from any other.
///
/// The news are given to the closure that the node is made with, on the loop's thread, in order: it
/// must return soon, and may call `perform`, `status` and `stop`. Answers to calls are not among
/// them; they are given to the call's own closure, exactly once, on the loop's thread (or on the
/// caller's, before the call returns, where the call is not taken).
package final class NodeMachine: Sendable {
  package struct Configuration: Sendable {
    /// The name wanted.
    package var name: MemberName
    /// Nil: a node without a server, which goes on with what its directory says.
    package var server: ServerAddress?
    package var listening = Listening.automatic
    /// The directory in which everything outlives the process, made where there is none. Nil: nothing
    /// is written, and there is no owner's socket.
    package var directory: String?
    /// To be joined as soon as the server is there.
    package var groups: [GroupName] = []
    /// A request's longest line in bytes, with its end: 512 to 65,536.
    package var lineBytesMax = WireLimits.lineBytes
    /// Joins without a place, for runs of one command.
    package var isTransient = false

    package init(name: MemberName) { self.name = name }
  }

  package typealias Completion<Value> = @Sendable (Result<Value, NodeError>) -> Void

  /// Nothing is opened yet.
  package init(
    _ configuration: Configuration, logger: Logger, news: @escaping @Sendable (News) -> Void
  ) {
    preconditionFailure("signatures only")
  }

  /// Takes the directory and what is in it, binds the owner's socket, and the listener where it is
  /// known already.
  /// - Throws: an error that says what failed and what to do. Nothing is left open then.
  package func start() throws(NodeError) {}

  /// Works on the calling thread until `stop`.
  /// - Throws: an error if the node was not started, runs already or has run; or if the system can no
  ///   longer wait for connections.
  package func run() throws(NodeError) {}

  /// Runs on a thread of its own; a failure goes to the log.
  package func runOnOwnThread() throws(NodeError) {}

  /// Ends the node within five seconds. Returns at once; may be called again. Calls that were not
  /// answered fail with `.stopped`.
  package func stop() {}

  /// Waits until a running node has ended.
  package func waitUntilStopped() {}

  /// Where the node listens now. Nil: nowhere, or not yet.
  package var address: ListenAddress? { nil }

  /// The path of the owner's socket; nil where there is none, or not yet.
  package var ownerSocket: String? { nil }

  /// Asks the node for something. Calls are carried out in their order; they may come before the
  /// node runs. An answer that is a refusal comes as an error of the kind `.refused`.
  package func perform(_ command: Command, _ completion: @escaping Completion<News.Answer>) {}

  /// What the node knows at the moment, behind the calls before this one.
  package func status(_ completion: @escaping Completion<NodeStatus>) {}
}
