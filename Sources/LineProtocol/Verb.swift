// The verbs of the protocol, one case each. A new verb begins here; the compiler then leads to
// every `switch` that must answer it. Verbs are read without regard to case and written in upper
// case; reading one makes no String: it is folded into a word of the machine and looked up.

/// The verb of a line: what is asked for, or what kind of reply or data line it is.
public enum Verb: UInt8, CaseIterable, Hashable, Sendable, CustomStringConvertible {
  case nick, join, leave, msg, pm, ack, members, groups, ping, help, stats, wait, quit
  case ok, err, pong, info, member, group, stat

  /// The word on the wire.
  public var word: StaticString {
    switch self {
    case .nick: "NICK"
    case .join: "JOIN"
    case .leave: "LEAVE"
    case .msg: "MSG"
    case .pm: "PM"
    case .ack: "ACK"
    case .members: "MEMBERS"
    case .groups: "GROUPS"
    case .ping: "PING"
    case .help: "HELP"
    case .stats: "STATS"
    case .wait: "WAIT"
    case .quit: "QUIT"
    case .ok: "OK"
    case .err: "ERR"
    case .pong: "PONG"
    case .info: "INFO"
    case .member: "MEMBER"
    case .group: "GROUP"
    case .stat: "STAT"
    }
  }

  /// The word on the wire.
  public var description: String { word.description }

  /// Something that one side asks of the other. The rest are replies and data lines, which get
  /// no reply when they come in.
  public var isRequest: Bool {
    switch self {
    case .nick, .join, .leave, .msg, .pm, .ack, .members, .groups, .ping, .help, .stats, .wait,
      .quit:
      true
    case .ok, .err, .pong, .info, .member, .group, .stat:
      false
    }
  }

  /// The verb that `text` names in any case, or nil.
  public init?(_ text: some StringProtocol) {
    guard let verb = withBytes(of: text, { Verb(bytes: $0) }) else { return nil }
    self = verb
  }

  package init?(bytes: UnsafeRawBufferPointer) {
    guard let verb = Verb(folded: Verb.fold(bytes)) else { return nil }
    self = verb
  }

  /// The bytes in upper case, the first one highest; 0 if they cannot be a verb's. Clearing bit 5
  /// makes a capital of a small letter and of nothing else; a leading zero would not be seen.
  @inline(__always)
  private static func fold(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard bytes.count <= 7, let first = bytes.first, first >= 0x41 else { return 0 }
    var word: UInt64 = 0
    for byte in bytes { word = word << 8 | UInt64(byte & 0xDF) }
    return word
  }

  private init?(folded: UInt64) {
    switch folded {
    case 0x4E49_434B: self = .nick
    case 0x4A4F_494E: self = .join
    case 0x4C_4541_5645: self = .leave
    case 0x4D_5347: self = .msg
    case 0x504D: self = .pm
    case 0x41_434B: self = .ack
    case 0x4D_454D_4245_5253: self = .members
    case 0x4752_4F55_5053: self = .groups
    case 0x5049_4E47: self = .ping
    case 0x4845_4C50: self = .help
    case 0x53_5441_5453: self = .stats
    case 0x5741_4954: self = .wait
    case 0x5155_4954: self = .quit
    case 0x4F4B: self = .ok
    case 0x45_5252: self = .err
    case 0x504F_4E47: self = .pong
    case 0x494E_464F: self = .info
    case 0x4D45_4D42_4552: self = .member
    case 0x47_524F_5550: self = .group
    case 0x5354_4154: self = .stat
    default: return nil
    }
  }
}
