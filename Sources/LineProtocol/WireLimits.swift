// Every number that bounds something on the wire, with its reason. They are part of the protocol:
// both sides may count on them, so none of them is an option (`--max-line` can only lower one).

package enum WireLimits {
  /// A line with its EOL, without its tags and source: as much as one read takes from a socket,
  /// so that one sender's line never needs a second round of everybody.
  package static let lineBytes = 65_536

  /// The least that `lineBytes` can be lowered to: every request without a text fits.
  package static let lineBytesLeast = 128

  /// Tags and source together, up to the verb. They are apart from `lineBytes` so that a line that
  /// was accepted can be passed on with the sender's name before it.
  package static let prefixBytes = 2_048

  /// What a reader holds of an unfinished line: all of the above, a byte order mark, and a CR that
  /// may or may not be its end. (The buffer's memory grows by doubling, so it may be twice that.)
  package static let carriedBytes = lineBytes + prefixBytes + 3 + 1

  /// Tags of a line: bounds what a few bytes (`a=;a=;`) can make a reader do.
  package static let tags = 64

  /// A `label`: room for a UUID and some words; it is repeated on every data line of a reply.
  package static let labelBytes = 64

  /// Names in a `to`: as many as fit into the prefix of a line at their longest, and a few.
  package static let recipients = 64

  /// A telnet subnegotiation from IAC to SE: terminal types and window sizes take less than 100.
  package static let telnetSubnegotiationBytes = 512

  /// A member's name: fits a column of a terminal, and four words of memory.
  package static let memberNameBytes = 32

  /// A group's name: a host name's label or a hash in hexadecimal fits.
  package static let groupNameBytes = 64

  /// An IPv6 address in brackets with its port: `[` 39 `]:` 5.
  package static let endpointBytes = 47

  /// The bytes of a line that a refusal quotes.
  package static let quotedBytes = 48

  /// `WAIT`: a day, so that a forgotten script does not hold its connection for ever.
  package static let waitSeconds = 86_400

  /// `WAIT`: more messages than anybody waits for, and far from overflow in any sum.
  package static let waitCount = 1_000_000_000
}
