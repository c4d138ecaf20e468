// Who uses a journal, for its tests: hands in numbered records, remembers what was promised for each
// of them, and holds a start to it.

import LineChatCore
import LineChatSimulation
import LineProtocol
import Testing

struct JournalOwner {
  enum Operation: Hashable, Sendable {
    /// So many records, in one write.
    case commit(Int)
    /// The last so many records are in flight.
    case snapshot(inFlight: Int)
    /// Killed between two operations, and started again.
    case restart
  }

  static let snapshotFile = "groups.json"

  var journal: Journal<SimulatedDisk>
  /// Records that are on the disk, in order. The content of a snapshot is how many of them are in it.
  var acknowledged: [Int] = []
  /// Records of which nobody knows whether they will be found.
  var doubtful: Set<Int> = []
  /// The highest number given to a record.
  var last = 0

  /// Starts on `disk`, with the first snapshot; whatever fails is thrown.
  init(_ disk: SimulatedDisk) throws {
    (_, journal) = try Recovery.start(disk, snapshotFile: JournalOwner.snapshotFile)
    try takeSnapshot(inFlight: 0)
  }

  /// Carries an operation out. Returns what went wrong.
  @discardableResult
  mutating func run(_ operation: Operation) -> StorageError? {
    do throws(StorageError) {
      switch operation {
      case .commit(let count):
        let numbers = Array(last + 1...last + count)
        last += count
        do throws(StorageError) {
          try journal.commit(numbers.map { JournalLine(JournalOwner.message($0)) })
        } catch {
          doubtful.formUnion(numbers)
          throw error
        }
        acknowledged += numbers
      case .snapshot(let inFlight): try takeSnapshot(inFlight: inFlight)
      case .restart: restart(.nothing)
      }
      return nil
    } catch {
      return error
    }
  }

  private mutating func takeSnapshot(inFlight count: Int) throws(StorageError) {
    let lines = acknowledged.suffix(count).map { JournalLine(JournalOwner.message($0)) }
    let content = Array("{\"applied\": \(acknowledged.count - lines.count)}".utf8)
    try journal.snapshot(content, inFlight: lines)
    // What failed before is never found again.
    doubtful = []
  }

  /// What a start on the disk finds must be everything that was acknowledged, in order, once, and
  /// beyond that at most what is doubtful.
  func check(_ survival: SimulatedDisk.Survival, _ comment: @autoclosure () -> Comment) {
    _ = found(journal.disk.afterCrash(survival), comment())
  }

  /// Goes on with what a start finds after a crash.
  mutating func restart(_ survival: SimulatedDisk.Survival) {
    let disk = journal.disk.afterCrash(survival)
    guard let (numbers, next) = found(disk, "restarted") else { return }
    acknowledged = numbers
    journal = next
    doubtful = []
    run(.snapshot(inFlight: 0))
  }

  private func found(
    _ disk: SimulatedDisk, _ comment: @autoclosure () -> Comment
  ) -> ([Int], Journal<SimulatedDisk>)? {
    do throws(Recovery.Failure) {
      let (recovery, next) = try Recovery.start(disk, snapshotFile: JournalOwner.snapshotFile)
      let applied = JournalOwner.applied(recovery.content)
      guard let applied, applied <= acknowledged.count else {
        Issue.record("the content is not one that was written. \(comment())")
        return nil
      }
      let numbers = recovery.records.map { JournalOwner.number($0.message) ?? -1 }
      let wanted = Array(acknowledged[applied...])
      let extra = numbers.filter { !wanted.contains($0) }
      let rest = numbers.filter { wanted.contains($0) }
      if rest != wanted { Issue.record("\(rest) instead of \(wanted). \(comment())") }
      if !doubtful.isSuperset(of: extra) { Issue.record("\(extra) came back. \(comment())") }
      return (acknowledged[..<applied] + numbers, next)
    } catch {
      Issue.record("no start: \(error). \(comment())")
      return nil
    }
  }

  // MARK: Records and content

  static func message(_ number: Int) -> Message {
    let tags = number.isMultiple(of: 3) ? "@time=2026-11-22T09:05:07.000042Z;for=carol " : ""
    let padding = String(repeating: "ü", count: number % 7)
    do throws(Refusal) {
      return try Message(parsing: "\(tags):alice@relay MSG lobby \(number) \(padding)!")
    } catch {
      preconditionFailure("\(error)")
    }
  }

  static func number(_ message: Message) -> Int? {
    guard case .msg(_, let text) = message.content else { return nil }
    return text.split(separator: " ").first.flatMap { Int($0) }
  }

  static func applied(_ content: [UInt8]?) -> Int? {
    guard let content else { return nil }
    let text = String(decoding: content, as: UTF8.self)
    guard let member = text.split(separator: "\"applied\": ").last else { return nil }
    return Int(member.prefix { $0.isNumber })
  }
}
