// The shell's bounds, each with its reason.

package enum ShellLimits {
  /// What one paste may bring in. More is cut, which is said: nobody reads it, and readline draws it
  /// all anew with each key.
  package static let pasteBytes = 65_536

  /// How long the end of a paste is waited for after its latest byte, in milliseconds. A terminal
  /// that dies in the middle must not swallow all keys from then on.
  static let pasteSilenceMilliseconds = 2_000

  /// How long the rest of a key's sequence is waited for behind an ESC, in milliseconds, where vi's
  /// keys make a difference between the two.
  static let escapeMilliseconds: Int32 = 50

  /// The shortest time between two batches of lines above the one being typed, in milliseconds: 50
  /// pictures a second are as many as an eye takes, and leave the terminal its time for keys.
  static let batchMilliseconds = 20

  /// The same where what is being typed is higher than the screen: each time all of it goes through
  /// the terminal, and stays in what can be scrolled back to.
  static let tallBatchMilliseconds = 2_000

  /// The shortest time between two beginnings of the user's command for mentions, in milliseconds: as
  /// with the bell, more tell nothing new, and anybody can cause them.
  static let mentionGapMilliseconds = 2_000

  /// A command for mentions that runs for longer, in seconds, is killed as soon as the next is due.
  static let mentionSeconds = 60

  /// Bytes read from the terminal or standard input in one go; a terminal never gives more.
  static let readBytes = 16_384

  /// What is read from the end of a history file at most, in bytes.
  static let historyBytes = 4 << 20

  /// A remembered line that is longer was pasted, and is not kept for other runs. In bytes.
  static let historyLineBytes = 4_096

  /// The prompt takes at most one part in so many of a row, so that there is room to type.
  static let promptShare = 2
}
