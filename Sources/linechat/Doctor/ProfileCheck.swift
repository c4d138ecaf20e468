// The profile's directory: whether it can be used, who uses it, and what the last run has left in it.

import Glibc
import LineChat

/// What the doctor needs of `replica.json`. It is behind where a node runs; then the node is asked.
struct SavedProfile: Decodable {
  struct Group: Decodable {
    let name: String
    /// As in a MEMBER line behind the group.
    let members: [String]
  }

  let name: String
  let server: String?
  /// Where the node listened last.
  let listens: String?
  let groups: [Group]
}

final class ProfileCheck {
  /// A log and a journal need some room.
  private static let roomBytesMin: UInt64 = 64 << 20

  private let configuration: PeerNode.Configuration
  private let report: Report
  private(set) var saved: SavedProfile?

  init(_ configuration: PeerNode.Configuration, _ report: Report) {
    self.configuration = configuration
    self.report = report
  }

  /// Returns a conversation with the node that runs in it, if one does.
  func look() -> Dialogue? {
    guard case .directory(let path) = configuration.storage else { return nil }
    var status = stat()
    guard stat(path, &status) == 0 else {
      lookWhereItWouldBe(path)
      name(nil)
      return nil
    }
    let isUsable = checkUse(of: path, status)
    let node = isUsable ? lookForNode(in: path) : nil
    if isUsable { readSaved(in: path) }
    name(node)
    return node
  }

  private func lookWhereItWouldBe(_ path: String) {
    guard errno == ENOENT else {
      return report.add(
        "profile", .wrong, "\(path) can't be looked at: \(String(cString: strerror(errno)))",
        advice: "see to its permissions, or name another with --data-dir")
    }
    var above = path
    repeat {
      above = ProfileCheck.parent(of: above)
    } while above != "/" && above != "." && access(above, F_OK) != 0
    if access(above, W_OK | X_OK) == 0 {
      report.add("profile", .note, "\(path) is not there yet; the first start of linechat makes it")
    } else {
      report.add(
        "profile", .wrong, "\(path) is not there, and \(above) is not yours to make it in",
        advice: "name another directory with --data-dir")
    }
  }

  private static func parent(of path: String) -> String {
    let parts = path.split(separator: "/").dropLast()
    let parent = parts.joined(separator: "/")
    if path.hasPrefix("/") { return "/\(parent)" }
    return parent.isEmpty ? "." : parent
  }

  private func checkUse(of path: String, _ status: stat) -> Bool {
    guard status.st_mode & S_IFMT == S_IFDIR else {
      report.add(
        "profile", .wrong, "\(path) is no directory",
        advice: "move it away, or take another --profile")
      return false
    }
    guard access(path, R_OK | W_OK | X_OK) == 0 else {
      report.add(
        "profile", .wrong, "\(path) is not yours to read and write",
        advice: "chown it to you, run this as its owner, or take another --profile")
      return false
    }
    if status.st_mode & 0o077 != 0 {
      report.add(
        "profile", .note, "\(path) is open to other users of this machine",
        advice: "chmod 700 '\(path)' keeps it private")
    }
    var room = statvfs()
    if statvfs(path, &room) == 0, UInt64(room.f_bavail) * UInt64(room.f_frsize) < Self.roomBytesMin
    {
      report.add(
        "profile", .wrong, "there are less than 64 MiB left on the disk of \(path)",
        advice: "make room: what can't be written is not said")
    }
    return true
  }

  private func lookForNode(in path: String) -> Dialogue? {
    let user = StateDirectory.user(of: path)
    do throws(Dialogue.Failure) {
      let node = try Dialogue.withNode(in: path)
      report.add("profile", .ok, "\(path), where \(user ?? "a node") runs")
      return node
    } catch {
      switch (error, user) {
      case (.noNode, nil): report.add("profile", .ok, "\(path), where no node runs now")
      case (.noNode, let user?):
        report.add(
          "profile", .wrong, "\(path) is in use by \(user), which does not listen to its owner",
          advice: "if it is not just starting or ending, end it and start it again")
      default:
        report.add(
          "profile", .wrong, "\(error)",
          advice: "end \(user ?? "it") and start it again; its log says more")
      }
      return nil
    }
  }

  private func readSaved(in path: String) {
    let file = "\(path)/replica.json"
    guard let bytes = StateDirectory.bytes(ofFile: file) else { return }
    do { saved = try StateCoding.decode(SavedProfile.self, from: bytes) } catch {
      report.add(
        "profile", .wrong, "\(file) can't be read: it is damaged",
        advice: "linechat does not start with it; take it back from a backup, or move it away")
    }
  }

  private func name(_ node: Dialogue?) {
    if let node {
      report.add("name", .ok, "\(node.greeting.name)")
    } else if !configuration.isNameWanted, let saved {
      report.add("name", .ok, "\(saved.name), as the last time")
    } else {
      report.add("name", .ok, "\(configuration.name)")
    }
  }
}
