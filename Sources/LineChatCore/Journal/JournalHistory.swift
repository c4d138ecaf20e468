// What the journals in a directory hold, from one of them on, for those who derive something from the
// records (a node's readable logs): at a start, and later to catch up with what could not be written.
//
// The journals that are there are an unbroken end of the story (Journal.swift), so each record from
// `first` on comes once, in the order in which they were committed. What is damaged is passed over
// without a word: a start has said it, or the journal broke in this run, which was said too.

import LineProtocol

package enum JournalHistory {
  /// Gives `body` each record in the journals from number `first` on, with its journal's number.
  package static func read(
    _ disk: some Storage, from first: UInt64 = 0, _ body: (UInt64, JournalLine) -> Void
  ) throws(StorageError) {
    let numbers = try disk.names().compactMap(JournalName.number).filter { $0 >= first }.sorted()
    for number in numbers {
      let file = JournalName.text(number)
      guard let bytes = try disk.read(file) else { continue }
      var reading = Recovery()
      _ = reading.read(bytes, file, includingCarried: number == numbers.first)
      for record in reading.records { body(number, record.text) }
    }
  }
}
